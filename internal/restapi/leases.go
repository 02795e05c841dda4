package restapi

import (
	"context"
	"net/http"
	"strconv"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

const leaseTag = "leases"

type (
	leasesInput struct {
		After uint64 `query:"after" maximum:"9007199254740991" doc:"Only those with a greater ID."`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		Host  string `query:"host" maxLength:"253" doc:"Only of this session host."`
		User  string `query:"user" maxLength:"256" doc:"Only of this user, in any spelling."`
	}
	leasesOutput struct {
		Link string `header:"Link" hidden:"true"`
		Body wire.LeasePage
	}
	leaseID struct {
		ID uint64 `path:"id" maximum:"9007199254740991"`
	}
	leaseOutput struct{ Body wire.Lease }
)

func (s *server) leaseRoutes() {
	register(s, operation{
		id: "list-leases", method: http.MethodGet, path: "/v1/leases", tag: leaseTag, access: anyone, summary: "List leases",
		description: "By ascending ID; a session host gets its own.", success: []int{http.StatusOK}, header: linkHeader(),
	}, s.leases)
	register(s, operation{
		id: "renew-lease", method: http.MethodPost, path: "/v1/leases/{id}/renew", tag: leaseTag, access: hosts,
		summary: "Say that a session lives", description: "Its session host says so, in good time before the lease ends.",
		success: []int{http.StatusOK}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *leaseID) (*leaseOutput, error) {
		l, err := s.Issuance.RenewLease(ctx, x.caller.host, in.ID)
		return &leaseOutput{encodeLease(l)}, err
	})
	register(s, operation{
		id: "end-lease", method: http.MethodDelete, path: "/v1/leases/{id}", tag: leaseTag, access: hosts | operating,
		summary: "End a session that is over", description: "A session host ends its own, an operator or administrator any.",
		success: []int{http.StatusOK}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *leaseID) (*endedOutput, error) {
		ended, err := s.Issuance.EndLease(ctx, x.caller.name, x.caller.host.Name, in.ID)
		return &endedOutput{encodeEnded(ended)}, err
	})
}

func (s *server) leases(ctx context.Context, x *exchange, in *leasesInput) (_ *leasesOutput, err error) {
	f := store.LeaseFilter{After: in.After, Limit: in.Limit + 1}
	if in.Host != "" {
		if f.Host, err = licensing.ParseHostName(in.Host); err != nil {
			return nil, err
		}
	}
	if x.caller.is == hosts {
		if f.Host != "" && f.Host != x.caller.name {
			return nil, licensing.Faultf(licensing.Denied, "%s may see its own leases only", x.caller.name)
		}
		f.Host = x.caller.name
	}
	if in.User != "" {
		if f.UserKey, err = licensing.UserKey(in.User); err != nil {
			return nil, err
		}
	}
	leases, err := s.Issuance.Leases(ctx, f)
	if err != nil {
		return nil, err
	}
	var next uint64
	if len(leases) > in.Limit {
		leases = leases[:in.Limit]
		next = leases[in.Limit-1].ID
	}
	return &leasesOutput{x.link("/v1/leases", next), wire.LeasePage{Leases: each(leases, encodeLease), Next: next}}, nil
}

// link returns the header Link (RFC 8288) to the page after the one that was asked for, empty if there is none.
func (x *exchange) link(path string, next uint64) string {
	if next == 0 {
		return ""
	}
	q := x.query
	q.Set("after", strconv.FormatUint(next, 10))
	return "<" + path + "?" + q.Encode() + `>; rel="next"`
}

func linkHeader() map[string]string {
	return map[string]string{"Link": "The next page (RFC 8288), if there is one."}
}
