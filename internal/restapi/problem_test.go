package restapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi"
)

// fake is a Service some of whose answers are the test's.
type fake struct {
	restapi.Issuance
	err    error
	panics bool
}

func (f *fake) Request(ctx context.Context, r issuance.Request) (issuance.Answer, error) {
	if f.panics {
		panic("the token is " + r.User)
	}
	if f.err != nil {
		return issuance.Answer{}, f.err
	}
	return f.Issuance.Request(ctx, r)
}

func (f *fake) Hosts(ctx context.Context) ([]licensing.Host, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Issuance.Hosts(ctx)
}

// TestProblems is the table of what is answered to which fault.
func TestProblems(t *testing.T) {
	f := &fake{}
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { f.Issuance, o.Issuance = o.Issuance, f })
	const secret = "disk /dev/sda is full"
	for kind, want := range map[licensing.Kind]struct {
		status int
		name   string
	}{
		licensing.Invalid:       {422, "invalid"},
		licensing.NotSupported:  {422, "not-supported"},
		licensing.OutOfRange:    {422, "out-of-range"},
		licensing.NotFound:      {404, "not-found"},
		licensing.AlreadyExists: {409, "already-exists"},
		licensing.NotActivated:  {409, "not-activated"},
		licensing.Unlicensed:    {409, "unlicensed"},
		licensing.Denied:        {403, "denied"},
		licensing.Limited:       {429, "limited"},
		licensing.Unavailable:   {503, "unavailable"},
		licensing.Internal:      {500, "internal"},
	} {
		f.err = fmt.Errorf("hosts: %w", &licensing.Fault{Kind: kind, Msg: "this is wrong", Err: errors.New(secret)})
		says := "this is wrong"
		if kind == licensing.Internal {
			says = "internal error; the log has the details"
		}
		h.log.Reset()
		p := h.refused(administrator, http.MethodGet, "/v1/hosts", "", want.status, want.name, says)
		if p.Title != kind.String() || strings.Contains(p.Detail, secret) {
			t.Errorf("%s: %+v", kind, p)
		}
		if !strings.Contains(h.log.String(), secret) || strings.Contains(h.log.String(), "level=ERROR") != (want.status >= 500) {
			t.Errorf("%s: the log is %s", kind, h.log)
		}
	}
	f.err = &licensing.Fault{Kind: licensing.Limited, Msg: "slowly"}
	if w := h.do(h.request(administrator, http.MethodGet, "/v1/hosts", "")); w.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
	}
	f.err = errors.New(secret)
	h.refused(administrator, http.MethodGet, "/v1/hosts", "", http.StatusInternalServerError, "internal", "internal error")
	f.err = fmt.Errorf("store: %w", context.Canceled)
	h.refused(administrator, http.MethodGet, "/v1/hosts", "", http.StatusServiceUnavailable, "unavailable", "stops")
	for _, reason := range licensing.DenialReasons() {
		f.err = &licensing.Fault{Kind: licensing.Unlicensed, Msg: "no", Err: reason}
		if p := h.refused(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusConflict, "unlicensed", "no"); p.Reason != string(reason) {
			t.Errorf("the reason is %q, want %q", p.Reason, reason)
		}
	}
}

func TestPanic(t *testing.T) {
	f := &fake{panics: true}
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { f.Issuance, o.Issuance = o.Issuance, f })
	h.refused(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusInternalServerError, "internal", "internal error")
	if log := h.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "problem_test.go") {
		t.Errorf("the log has not the stack: %s", log)
	}
}

// TestSecretsStayOut asks in all ways with secrets, and looks for them in the log and the answers.
func TestSecretsStayOut(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	h.ask(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusCreated, nil)
	h.ask(administrator, http.MethodGet, "/v1/hosts", "", http.StatusOK, nil)
	answers := ""
	for _, secret := range h.secrets {
		for _, r := range []*http.Request{
			h.request(users, http.MethodPost, licenses, `{"user":"`+secret+`\u0007"}`),
			h.request(administrator, http.MethodGet, licenses+"/"+secret, ""),
			h.request(administrator, http.MethodGet, "/v1/licenses?status="+secret, ""),
			h.request(administrator, http.MethodGet, "/v1/"+secret, ""),
		} {
			answers += h.do(r).Body.String()
		}
		r := h.request("", http.MethodGet, "/v1/server", "")
		r.Header.Set("Authorization", "Bearer "+secret+"x")
		answers += h.do(r).Body.String()
	}
	for name, secret := range h.secrets {
		if strings.Contains(h.log.String(), secret) || strings.Contains(answers, secret) {
			t.Errorf("the secret of %s is in the log, or in an answer", name)
		}
	}
}
