package accounts

import (
	"slices"
	"strconv"
	"strings"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
)

// Relative identifiers of groups that every domain has (MS-DTYP, section 2.4.2.4).
const (
	domainAdmins     = 512
	enterpriseAdmins = 519
)

// groupRole returns the greatest role that a principal has by its groups, none if it has none.
func (s *Service) groupRole(i gss.Initiator) (role auth.Role) {
	for _, sid := range i.SIDs {
		r, configured := s.Groups[sid]
		if rid, ok := domainRID(sid); !configured && ok && s.Realm != "" && i.Realm == s.Realm && (rid == domainAdmins || rid == enterpriseAdmins) {
			r = auth.Administrator
		}
		if rank(r) > rank(role) {
			role = r
		}
	}
	return role
}

// rank orders the roles by what they may do.
func rank(r auth.Role) int {
	return slices.Index([]auth.Role{"", auth.Auditor, auth.Operator, auth.Administrator}, r)
}

// domainRID returns the last part of a SID of the form S-1-5-21-a-b-c-RID, that of an account or a group of a domain.
func domainRID(sid string) (rid uint32, ok bool) {
	rest, ok := strings.CutPrefix(sid, "S-1-5-21-")
	parts := strings.Split(rest, "-")
	if !ok || len(parts) != 4 {
		return 0, false
	}
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != part {
			return 0, false
		}
		rid = uint32(n)
	}
	return rid, true
}
