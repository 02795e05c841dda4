package restapi

import (
	"context"
	"net/http"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

const statisticsTag = "statistics"

type (
	denialsInput struct {
		After uint64 `query:"after" maximum:"9007199254740991" doc:"Only those with a greater seq."`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}
	denialsOutput struct {
		Link string `header:"Link" hidden:"true"`
		Body wire.DenialPage
	}
	countersOutput struct{ Body wire.Counters }
	keyPacksOutput struct{ Body wire.KeyPacks }
	overUseInput   struct {
		ID   uint64 `path:"id" maximum:"4294967295"`
		Body wire.OverUse
	}
)

func (s *server) statisticsRoutes() {
	register(s, operation{
		id: "list-denials", method: http.MethodGet, path: "/v1/denials", tag: statisticsTag, access: anyAccount,
		summary: "List refused requests", description: "Oldest first.", success: []int{http.StatusOK}, header: linkHeader(),
	}, s.denials)
	register(s, operation{
		id: "get-counters", method: http.MethodGet, path: "/v1/counters", tag: statisticsTag, access: anyAccount,
		summary: "Count licenses by version and type", success: []int{http.StatusOK},
	}, s.counters)
	register(s, operation{
		id: "list-keypacks", method: http.MethodGet, path: "/v1/keypacks", tag: statisticsTag, access: anyAccount, summary: "List key packs",
		description: "The installed ones, and those that the license server made to count temporary and over-used licenses.",
		success:     []int{http.StatusOK},
	}, func(ctx context.Context, _ *exchange, _ *nothing) (*keyPacksOutput, error) {
		list, err := s.Issuance.KeyPacks(ctx)
		return &keyPacksOutput{wire.KeyPacks{KeyPacks: each(list, encodeKeyPack)}}, err
	})
	register(s, operation{
		id: "set-over-use", method: http.MethodPut, path: "/v1/keypacks/{id}/over-use", tag: statisticsTag, access: administrators,
		summary:     "Say what happens when more of a key pack is asked for than there is",
		description: "An empty object lets the license server's default hold.",
		success:     []int{http.StatusNoContent}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *overUseInput) (*nothing, error) {
		o := licensing.OverUse{Policy: licensing.OverUsePolicy(in.Body.Policy), WarnAt: in.Body.WarnAt, DenyBeyond: in.Body.DenyBeyond}
		return &nothing{}, s.Issuance.SetOverUse(ctx, x.caller.name, uint32(in.ID), o)
	})
}

func (s *server) denials(ctx context.Context, x *exchange, in *denialsInput) (*denialsOutput, error) {
	list, err := s.Issuance.Denials(ctx, in.After, in.Limit+1)
	if err != nil {
		return nil, err
	}
	var next uint64
	if len(list) > in.Limit {
		list = list[:in.Limit]
		next = list[in.Limit-1].Seq
	}
	return &denialsOutput{x.link("/v1/denials", next), wire.DenialPage{Denials: each(list, encodeDenial), Next: next}}, nil
}

func (s *server) counters(ctx context.Context, _ *exchange, _ *nothing) (*countersOutput, error) {
	list, err := s.Issuance.Counters(ctx)
	if err != nil {
		return nil, err
	}
	denials, err := s.Issuance.DenialCounts(ctx)
	return &countersOutput{wire.Counters{Counters: each(list, encodeCounter), Denials: each(denials, encodeDenialCount)}}, err
}
