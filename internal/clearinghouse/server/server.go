// Package server offers a clearinghouse over HTTPS: to license servers, whose requests carry a MAC made with the secret
// that they share with the clearinghouse, and to its operator, who has a token. Every answer to a license server is signed.
// docs/clearinghouse.md describes the protocol.
//
// Handlers decode, call one function of the clearinghouse, and encode.
package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/licensing"
)

// maxBody is the greatest request body in bytes; the largest real one is a reinstall of a server with many key packs.
const maxBody = 1 << 20

// maxWait bounds a poll.
const maxWait = 30 * time.Second

// Options are what the server needs beside its clearinghouse.
type Options struct {
	Authority     clearinghouse.Authority
	OperatorToken string // empty: no operator interface
	Logger        *slog.Logger
}

type server struct {
	service *clearinghouse.Service
	Options
}

// New returns the handler of both interfaces.
func New(service *clearinghouse.Service, o Options) http.Handler {
	s := &server{service, o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.AuthorityPath, s.authority)
	mux.HandleFunc("POST "+wire.ActivatePath, member(s, func(ctx context.Context, id string, r clearinghouse.ActivateRequest) (clearinghouse.Signed, error) {
		return service.Activate(ctx, id, r)
	}))
	mux.HandleFunc("POST "+wire.ReactivatePath, member(s, func(ctx context.Context, id string, r clearinghouse.ReactivateRequest) (clearinghouse.Signed, error) {
		return service.Reactivate(ctx, id, r)
	}))
	mux.HandleFunc("POST "+wire.DeactivatePath, member(s, func(ctx context.Context, id string, _ struct{}) (struct{}, error) {
		return struct{}{}, service.Deactivate(ctx, id)
	}))
	mux.HandleFunc("POST "+wire.PerformPath, member(s, func(ctx context.Context, id string, op clearinghouse.Operation) (clearinghouse.Signed, error) {
		return service.Perform(ctx, id, op)
	}))
	mux.HandleFunc("POST "+wire.PollPath, member(s, func(ctx context.Context, id string, p wire.Poll) ([]clearinghouse.Signed, error) {
		return service.Poll(ctx, id, p.After, min(max(0, time.Duration(p.WaitMilliseconds)*time.Millisecond), maxWait))
	}))
	if o.OperatorToken != "" {
		s.operatorRoutes(mux)
	}
	return mux
}

func (s *server) authority(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(encode(s.Authority))
}

// member returns the handler of one request that license servers make: it checks the MAC and signs the answer.
func member[Request, Answer any](s *server, f func(context.Context, string, Request) (Answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.refuse(w, r, licensing.Faultf(licensing.Invalid, "the request could not be read, or has more than %d bytes", maxBody))
			return
		}
		nonce := r.Header.Get(wire.NonceHeader)
		productID := r.Header.Get(wire.ProductIDHeader)
		if err := s.checkMAC(r, productID, nonce, body); err != nil {
			s.refuse(w, r, err)
			return
		}
		var request Request
		if err := json.Unmarshal(body, &request); err != nil {
			s.refuse(w, r, licensing.Faultf(licensing.Invalid, "the request is not the JSON that %s takes", r.URL.Path))
			return
		}
		answer, err := f(r.Context(), productID, request)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		s.answer(w, r, http.StatusOK, "application/json", encode(answer))
	}
}

func (s *server) checkMAC(r *http.Request, productID, nonce string, body []byte) error {
	if len(nonce) < 16 || len(nonce) > 64 {
		return licensing.Faultf(licensing.Invalid, "the header %s must have 16 to 64 characters", wire.NonceHeader)
	}
	secret, err := s.service.Secret(productID)
	if err != nil {
		return err
	}
	given, err := hex.DecodeString(r.Header.Get(wire.MACHeader))
	if err != nil || !hmac.Equal(given, wire.MAC(secret, r.URL.Path, productID, nonce, body)) {
		return licensing.Faultf(licensing.Denied, "the request's MAC is wrong: the license server's key or its clearinghouse's authority document is another")
	}
	return nil
}

// refuse answers with a problem document (RFC 9457). What is internal stays in the log.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return // nobody reads the answer
	}
	kind := licensing.KindOf(err)
	if kind == licensing.Internal {
		s.Logger.Error("request failed", "path", r.URL.Path, "error", err)
	} else {
		s.Logger.Info("request refused", "path", r.URL.Path, "kind", kind.String(), "reason", err.Error())
	}
	problem := wire.Problem{Title: kind.String(), Status: statusOf(kind), Detail: licensing.Message(err)}
	s.answer(w, r, problem.Status, "application/problem+json", encode(problem))
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	signature := s.service.SignAnswer(wire.SignedAnswer(r.URL.Path, r.Header.Get(wire.ProductIDHeader), r.Header.Get(wire.NonceHeader), status, body))
	w.Header().Set("Content-Type", contentType)
	w.Header().Set(wire.SignatureHeader, base64.StdEncoding.EncodeToString(signature))
	w.WriteHeader(status)
	w.Write(body)
}

func statusOf(k licensing.Kind) int {
	switch k {
	case licensing.Invalid, licensing.NotSupported, licensing.OutOfRange:
		return http.StatusUnprocessableEntity
	case licensing.NotFound:
		return http.StatusNotFound
	case licensing.AlreadyExists, licensing.NotActivated:
		return http.StatusConflict
	case licensing.Unavailable:
		return http.StatusServiceUnavailable
	case licensing.Denied:
		return http.StatusForbidden
	case licensing.Limited:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// encode writes types of ours, which always can be.
func encode(v any) []byte {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		return []byte(`{"title":"internal","status":500}`)
	}
	return b.Bytes()
}
