package restapi

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

const accountTag = "accounts"

type (
	accountsOutput struct{ Body wire.Accounts }
	accountOutput  struct{ Body wire.Account }
	accountName    struct {
		Name string `path:"name" maxLength:"256"`
	}
	setAccountInput struct {
		Name string `path:"name" maxLength:"256"`
		Body wire.AccountChange
	}
)

func (s *server) accountRoutes() {
	register(s, operation{
		id: "list-accounts", method: http.MethodGet, path: "/v1/accounts", tag: accountTag, access: administrators, summary: "List accounts",
		success: []int{http.StatusOK},
	}, func(ctx context.Context, _ *exchange, _ *nothing) (*accountsOutput, error) {
		list, err := s.Accounts.List(ctx)
		return &accountsOutput{wire.Accounts{Accounts: each(list, encodeAccount)}}, err
	})
	register(s, operation{
		id: "get-account", method: http.MethodGet, path: "/v1/accounts/{name}", tag: accountTag, access: administrators, summary: "Get one account",
		success: []int{http.StatusOK}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, _ *exchange, in *accountName) (*accountOutput, error) {
		a, err := s.Accounts.Account(ctx, in.Name)
		return &accountOutput{encodeAccount(a)}, err
	})
	register(s, operation{
		id: "set-account", method: http.MethodPut, path: "/v1/accounts/{name}", tag: accountTag, access: administrators,
		summary: "Add an account, or change one", description: "What is left out stays as it is. A new account needs a role and, unless it is a " +
			"Kerberos principal (user@REALM), a password or a certificate. The last Administrator who can log on stays one.",
		success: []int{http.StatusOK}, refusals: []int{http.StatusNotFound, http.StatusConflict},
	}, s.setAccount)
	register(s, operation{
		id: "remove-account", method: http.MethodDelete, path: "/v1/accounts/{name}", tag: accountTag, access: administrators,
		summary: "Remove an account", description: "Not the last Administrator who can log on.",
		success: []int{http.StatusNoContent}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *accountName) (*nothing, error) {
		return &nothing{}, s.Accounts.Remove(ctx, x.caller.name, in.Name)
	})
}

func (s *server) setAccount(ctx context.Context, x *exchange, in *setAccountInput) (*accountOutput, error) {
	c := accounts.Change{Name: in.Name, Role: auth.Role(in.Body.Role), Password: in.Body.Password, NTLM: in.Body.NTLM}
	if text := in.Body.Certificate; text != nil {
		var err error
		if c.Certificate, err = hex.DecodeString(strings.ReplaceAll(*text, ":", "")); err != nil {
			return nil, licensing.Faultf(licensing.Invalid, "body.certificate must be the SHA-256 of the certificate's DER: 64 hexadecimal digits")
		}
	}
	if err := s.Accounts.Set(ctx, x.caller.name, c); err != nil {
		return nil, err
	}
	a, err := s.Accounts.Account(ctx, in.Name)
	return &accountOutput{encodeAccount(a)}, err
}

func encodeAccount(a accounts.Account) wire.Account {
	return wire.Account{
		Name: a.Name, Role: string(a.Role), Password: a.Password, NTLM: a.NTLM, Certificate: hex.EncodeToString(a.Certificate), Changed: a.Changed.UTC(),
	}
}
