package restapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/restapi"
	"calkeeper/internal/restapi/wire"
)

// impatient is a client that goes away after a few parts of an answer, which ends streams.
type impatient struct {
	*httptest.ResponseRecorder
	parts int
}

func (w *impatient) Write(b []byte) (int, error) {
	if w.parts++; w.parts > 3 {
		return 0, errors.New("the client has gone")
	}
	return w.ResponseRecorder.Write(b)
}

// fuzzed returns a license server that limits nobody, and a function that answers a hostile request: never with a failure of its own.
func fuzzed(f *testing.F) (*house, func(*testing.T, *http.Request) *httptest.ResponseRecorder) {
	f.Helper()
	h := newHouse(f, issuance.Policies{AnyHost: true}, func(o *restapi.Options) {
		o.Limits = restapi.Limits{Rate: 1e9, Burst: 1e9, FailureRate: 1e9, FailureBurst: 1e9, Heartbeat: time.Millisecond}
	})
	return h, func(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
		h.log.Reset()
		w := &impatient{ResponseRecorder: httptest.NewRecorder()}
		h.handler.ServeHTTP(w, r)
		if w.Code >= 500 || strings.Contains(h.log.String(), "level=ERROR") {
			t.Errorf("%s %s %q is answered with %d %s\n%s", r.Method, r.URL, r.Header, w.Code, w.Body, h.log)
		}
		if w.Code >= 400 && w.Header().Get("Content-Type") != wire.ProblemJSON {
			t.Errorf("%s %s: %d is no problem: %s", r.Method, r.URL, w.Code, w.Body)
		}
		return w.ResponseRecorder
	}
}

// FuzzBody sends bodies of callers who may send them.
func FuzzBody(f *testing.F) {
	h, ask := fuzzed(f)
	targets := []struct{ caller, method, path string }{
		{users, http.MethodPost, licenses}, {devices, http.MethodPost, licenses}, {farm, http.MethodPost, licenses}, {"", http.MethodPost, licenses},
		{farm, http.MethodPost, licenses + "/validate"}, {devices, http.MethodPost, licenses + "/renew"}, {farm, http.MethodPost, licenses + "/release"},
		{administrator, http.MethodPost, "/v1/hosts"}, {administrator, http.MethodPut, fmt.Sprintf("/v1/keypacks/%d/over-use", h.packs["per-user"])},
	}
	for i, body := range []string{
		`{"user":"EXAMPLE\\Ada","device":{"id":"ip:192.0.2.7","name":"DEV1"},"session":":10","provisional":true,"receipt":true}`,
		`{"device":{"id":"\ud83d\ude00"}}`,
		`{"user":"ada@example.com","session":":10","provisional":false}`,
		`{"user":"ada","sessionHost":{"version":"ws2022","mode":"per-user"}}`,
		`{"user":"ada","user":"bob"}`,
		`{"user":1e400}`,
		`[[[[[[[[[[`,
		`{"name":"rds4","productVersion":"ws2022","mode":"per-user","concurrent":true,"leaseTtlSeconds":4294967296,"certificate":"AB:CD"}`,
		`{"policy":"deny","warnAt":-1,"denyBeyond":18446744073709551616}`,
		"{\"user\":\"\xff\x00\"}",
		`null`,
	} {
		f.Add(uint8(i), body)
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		to := targets[int(which)%len(targets)]
		r := h.request(to.caller, to.method, to.path, body)
		r.Header.Set("Content-Type", wire.JSON)
		ask(t, r)
	})
}

// FuzzHeaders sends headers of callers who are somebody, or nobody.
func FuzzHeaders(f *testing.F) {
	h, ask := fuzzed(f)
	token := "Bearer " + h.secrets[users]
	f.Add(token, `"8e03978e-40d5"`, "7", wire.JSON, wire.EventStream)
	f.Add(token, `"\"`, "-1", "application/json;charset=x", "a;,b;q=0.x")
	f.Add("Basic OnB3", "key", "", "application/json;;", "text/event-stream;q=0")
	f.Add("bearer ckh_", "\x00", "18446744073709551616", "+;", ";")
	f.Add("", "", "", "", "")
	f.Fuzz(func(t *testing.T, authorization, key, last, contentType, accept string) {
		if _, _, ok := (&http.Request{Header: http.Header{"Authorization": {authorization}}}).BasicAuth(); ok {
			return // to hash the password takes long, on purpose
		}
		for _, r := range []*http.Request{
			h.request("", http.MethodPost, licenses, `{"user":"ada"}`), h.request("", http.MethodGet, "/v1/events", ""),
			h.request(users, http.MethodPost, licenses, `{"user":"ada"}`), h.request(users, http.MethodGet, "/v1/events?limit=1", ""),
		} {
			if r.Header.Get("Authorization") == "" && authorization != "" {
				r.Header["Authorization"] = []string{authorization}
			}
			r.Header["Idempotency-Key"], r.Header["Last-Event-Id"] = []string{key}, []string{last}
			r.Header["Content-Type"], r.Header["Accept"] = []string{contentType}, []string{accept}
			w := ask(t, r)
			if w.Code < 300 && r.URL.Path == "/v1/events" && authorization != token && !strings.HasSuffix(r.URL.RawQuery, "limit=1") &&
				!strings.EqualFold(authorization, token) {
				t.Errorf("%q may see events", authorization)
			}
		}
	})
}

// FuzzTarget asks for paths and queries, with every method.
func FuzzTarget(f *testing.F) {
	h, ask := fuzzed(f)
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch, http.MethodOptions, "X"}
	callers := []string{users, auditor, ""} // an administrator would remove the hosts
	for _, r := range restapi.Routes(h.handler) {
		method, path, _ := strings.Cut(r.Pattern, " ")
		f.Add(uint8(slices.Index(methods, method)), uint8(0), path, "after=1&limit=1")
	}
	for _, query := range []string{
		"search=%25&status=active&keyPack=3", "user=a%5Cb&host=x", "wait=-1", "after=18446744073709551616", "limit=%00", "&&&=", "a=1&a=2", ";", "%zz", "after=1e3",
	} {
		f.Add(uint8(0), uint8(1), "/v1/licenses", query)
	}
	f.Fuzz(func(t *testing.T, method, caller uint8, path, query string) {
		q, _ := url.ParseQuery(query)
		if q.Get("wait") > "0" {
			return // so long would it take
		}
		r := h.request(callers[int(caller)%len(callers)], methods[int(method)%len(methods)], "/", "")
		r.URL = &url.URL{Path: path, RawQuery: query}
		if escaped, err := url.ParseRequestURI(path); err == nil && escaped.Host == "" {
			r.URL = escaped
			r.URL.RawQuery = query
		}
		ask(t, r)
	})
}
