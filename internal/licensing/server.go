package licensing

import (
	"fmt"
	"time"
)

// Contact is who runs the license server: the writable properties of Win32_TSLicenseServer.
type Contact struct {
	FirstName     string `json:"firstName"`
	LastName      string `json:"lastName"`
	Company       string `json:"company"`
	CountryRegion string `json:"countryRegion"`
	EMail         string `json:"eMail,omitempty"`
	OrgUnit       string `json:"orgUnit,omitempty"`
	Address       string `json:"address,omitempty"`
	City          string `json:"city,omitempty"`
	State         string `json:"state,omitempty"`
	PostalCode    string `json:"postalCode,omitempty"`
}

// ActivationStatus is what GetActivationStatus answers.
type ActivationStatus uint32

// The activation statuses.
const (
	StatusActivated    ActivationStatus = 0
	StatusNotActivated ActivationStatus = 1
	StatusUnknown      ActivationStatus = 2
)

// ServerRole is Win32_TSLicenseServer.ServerRole.
type ServerRole uint32

// The server roles.
const (
	Workgroup ServerRole = 0
	Domain    ServerRole = 1
	Forest    ServerRole = 2
)

// String returns the role in the words of the documentation of Win32_TSLicenseServer.
func (r ServerRole) String() string {
	switch r {
	case Workgroup:
		return "workgroup"
	case Domain:
		return "domain"
	case Forest:
		return "forest"
	}
	return fmt.Sprintf("role %d", uint32(r))
}

// ParseServerRole checks a role that a caller gave: 0 to 2.
func ParseServerRole(n uint32) (ServerRole, error) {
	if n > uint32(Forest) {
		return 0, Faultf(Invalid, "ServerRole %d is not valid: 0 workgroup, 1 domain, 2 forest", n)
	}
	return ServerRole(n), nil
}

// Server is what a license server knows about itself.
type Server struct {
	ProductID       string // see keycode.ProductID
	LicenseServerID string // 35 characters; empty while not activated
	ActivatedAt     time.Time
	Contact         Contact
	Role            ServerRole
	NoticeSeq       uint64 // the last notice of the clearinghouse that was applied
}

// Activated tells whether the clearinghouse has given this license server its ID.
func (s *Server) Activated() bool { return s.LicenseServerID != "" }

// ReactivationReason is why a license server is activated again.
type ReactivationReason uint32

// The reasons.
const (
	ServerRedeployed ReactivationReason = iota
	CertificateCorrupt
	PrivateKeyCompromised
	ActivationKeyExpired
	ServerUpgraded
)

// ParseReactivationReason checks a reason that a caller gave: 0 to 4.
func ParseReactivationReason(n uint32) (ReactivationReason, error) {
	if n > uint32(ServerUpgraded) {
		return 0, Faultf(Invalid, "Reason %d is not valid: 0 redeployed, 1 certificate corrupt, 2 private key compromised, 3 activation key expired, 4 upgraded", n)
	}
	return ReactivationReason(n), nil
}

// CheckComplete tells which of the data that activation requires is missing: FirstName, LastName, Company, CountryRegion.
func (c *Contact) CheckComplete() error {
	for _, p := range []struct{ name, value string }{
		{"FirstName", c.FirstName}, {"LastName", c.LastName}, {"Company", c.Company}, {"CountryRegion", c.CountryRegion},
	} {
		if p.value == "" {
			return Faultf(Invalid, "%s is empty: activation needs FirstName, LastName, Company and CountryRegion", p.name)
		}
	}
	return nil
}
