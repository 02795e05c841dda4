package restapi

import (
	"context"
	"net/http"

	"calkeeper/internal/auditfile"
	"calkeeper/internal/restapi/wire"
)

const auditTag = "audit"

type (
	auditInput struct {
		After uint64 `query:"after" maximum:"9007199254740991" doc:"Only those with a greater seq."`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}
	auditOutput struct {
		Link string `header:"Link" hidden:"true"`
		Body wire.AuditPage
	}
)

func (s *server) auditRoutes() {
	register(s, operation{
		id: "list-audit-records", method: http.MethodGet, path: "/v1/audit", tag: auditTag, access: anyAccount, summary: "List audit records",
		description: "Oldest first, and the end of their hash chain at the same moment.", success: []int{http.StatusOK}, header: linkHeader(),
	}, s.auditRecords)
}

func (s *server) auditRecords(ctx context.Context, x *exchange, in *auditInput) (*auditOutput, error) {
	page, err := s.Audit.Page(ctx, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	var next uint64
	if page.More {
		next = page.Records[len(page.Records)-1].Seq
	}
	return &auditOutput{x.link("/v1/audit", next), wire.AuditPage{
		Records: each(page.Records, auditfile.Encode), Next: next, Head: auditfile.EncodeHead(page.Head),
	}}, nil
}
