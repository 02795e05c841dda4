package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/licensing"
)

func (s *server) operatorRoutes(mux *http.ServeMux) {
	c := s.service
	operator(s, mux, wire.CreateOrganization, func(ctx context.Context, r wire.Name) (clearinghouse.NewOrganization, error) {
		return c.CreateOrganization(ctx, r.Name)
	})
	operator(s, mux, wire.Organizations, func(ctx context.Context, _ struct{}) ([]clearinghouse.Organization, error) {
		return c.Organizations(ctx)
	})
	operator(s, mux, wire.Sell, c.Sell)
	operator(s, mux, wire.IssueCode, c.IssueCode)
	operator(s, mux, wire.ActivationCode, func(ctx context.Context, r wire.Enrollee) (string, error) {
		return c.ActivationCode(ctx, r.ProductID, r.Organization, r.Name)
	})
	operator(s, mux, wire.DeactivationCode, func(ctx context.Context, r wire.LicenseServer) (string, error) {
		return c.DeactivationCode(ctx, r.LicenseServerID)
	})
	operator(s, mux, wire.CancelCode, func(ctx context.Context, r wire.Serial) (clearinghouse.Code, error) {
		return c.CancelCode(ctx, r.Serial)
	})
	operator(s, mux, wire.Approve, func(ctx context.Context, r wire.Enrollee) (clearinghouse.Server, error) {
		return c.Approve(ctx, r.ProductID, r.Organization, r.Name)
	})
	operator(s, mux, wire.Entitlements, func(ctx context.Context, r wire.Owner) ([]clearinghouse.EntitlementView, error) {
		return c.Entitlements(ctx, r.Organization)
	})
	operator(s, mux, wire.Servers, func(ctx context.Context, r wire.Owner) ([]clearinghouse.ServerView, error) {
		return c.Servers(ctx, r.Organization)
	})
	operator(s, mux, wire.Transfers, func(ctx context.Context, _ struct{}) ([]clearinghouse.Transfer, error) {
		return c.Transfers(ctx)
	})
	operator(s, mux, wire.Codes, func(ctx context.Context, _ struct{}) ([]clearinghouse.Code, error) {
		return c.Codes(ctx)
	})
	operator(s, mux, wire.Ledger, func(ctx context.Context, r wire.Page) ([]clearinghouse.Entry, error) {
		return c.Ledger(ctx, r.After, r.Limit)
	})
	operator(s, mux, wire.Check, func(ctx context.Context, _ struct{}) ([]string, error) {
		return c.Check(ctx)
	})
}

// operator adds one function of the operator's interface.
func operator[Request, Answer any](s *server, mux *http.ServeMux, name string, f func(context.Context, Request) (Answer, error)) {
	mux.HandleFunc("POST "+wire.OperatorPath+name, func(w http.ResponseWriter, r *http.Request) {
		if !s.isOperator(r) {
			s.refuse(w, r, licensing.Faultf(licensing.Denied, "the operator's token is missing or wrong"))
			return
		}
		var request Request
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			s.refuse(w, r, licensing.Faultf(licensing.Invalid, "the request is not the JSON that %s takes", name))
			return
		}
		answer, err := f(r.Context(), request)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		s.answer(w, r, http.StatusOK, "application/json", encode(answer))
	})
}

func (s *server) isOperator(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	// Hashed, so that the comparison tells nothing of the length either.
	given, right := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.OperatorToken))
	return ok && subtle.ConstantTimeCompare(given[:], right[:]) == 1
}
