package restapi

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

const hostTag = "hosts"

type (
	hostsOutput     struct{ Body wire.Hosts }
	addHostInput    struct{ Body wire.NewHost }
	addedHostOutput struct {
		Location string `header:"Location" hidden:"true"`
		Body     wire.AddedHost
	}
	hostName struct {
		Name string `path:"name" maxLength:"253"`
	}
	tokenOutput struct{ Body wire.Token }
)

func (s *server) hostRoutes() {
	register(s, operation{
		id: "list-hosts", method: http.MethodGet, path: "/v1/hosts", tag: hostTag, access: anyAccount, summary: "List session hosts",
		success: []int{http.StatusOK},
	}, func(ctx context.Context, _ *exchange, _ *nothing) (*hostsOutput, error) {
		list, err := s.Issuance.Hosts(ctx)
		return &hostsOutput{wire.Hosts{Hosts: each(list, encodeHost)}}, err
	})
	register(s, operation{
		id: "add-host", method: http.MethodPost, path: "/v1/hosts", tag: hostTag, access: administrators, summary: "Register a session host",
		description: "The answer has its token, which is shown this once, unless it has a client certificate.",
		success:     []int{http.StatusCreated}, refusals: []int{http.StatusConflict},
	}, s.addHost)
	register(s, operation{
		id: "new-token", method: http.MethodPost, path: "/v1/hosts/{name}/token", tag: hostTag, access: administrators,
		summary: "Give a session host a new token", description: "In place of its token or certificate, which count no more.",
		success: []int{http.StatusOK}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *hostName) (*tokenOutput, error) {
		token, err := s.Issuance.NewToken(ctx, x.caller.name, in.Name)
		return &tokenOutput{wire.Token{Token: token}}, err
	})
	register(s, operation{
		id: "remove-host", method: http.MethodDelete, path: "/v1/hosts/{name}", tag: hostTag, access: administrators,
		summary: "Take a session host's registration back", description: "Its sessions use no licenses any more.",
		success: []int{http.StatusNoContent}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *hostName) (*nothing, error) {
		return &nothing{}, s.Issuance.RemoveHost(ctx, x.caller.name, in.Name)
	})
}

func (s *server) addHost(ctx context.Context, x *exchange, in *addHostInput) (*addedHostOutput, error) {
	h, err := decodeHost(in.Body)
	if err != nil {
		return nil, err
	}
	token, err := s.Issuance.AddHost(ctx, x.caller.name, h)
	if err != nil {
		return nil, err
	}
	if h, err = s.Issuance.Host(ctx, h.Name); err != nil {
		return nil, err
	}
	return &addedHostOutput{"/v1/hosts/" + url.PathEscape(h.Name), wire.AddedHost{Host: encodeHost(h), Token: token}}, nil
}

func decodeHost(in wire.NewHost) (h licensing.Host, err error) {
	h = licensing.Host{Name: in.Name, Concurrent: in.Concurrent, LeaseTTL: time.Duration(in.LeaseTTLSeconds) * time.Second}
	if h.ProductVersion, err = licensing.ParseVersionName(in.ProductVersion); err != nil {
		return h, err
	}
	if h.Mode, err = licensing.ParseMode(in.Mode); err != nil {
		return h, err
	}
	if h.Certificate, err = hex.DecodeString(strings.ReplaceAll(in.Certificate, ":", "")); err != nil {
		return h, licensing.Faultf(licensing.Invalid, "body.certificate must be the SHA-256 of the certificate's DER: 64 hexadecimal digits")
	}
	return h, nil
}
