package server_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/server"
	"calkeeper/internal/clearinghouse/sqlite"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

const token = "7ZQ2-operator"

// office is a clearinghouse that is offered over HTTP, and the license server that asks it.
type office struct {
	t         testing.TB
	service   *clearinghouse.Service
	handler   http.Handler
	authority clearinghouse.Authority
	log       *bytes.Buffer
	enrolment string
	member    member
	ahead     time.Duration // of the clearinghouse's clock
}

func (o *office) now() time.Time { return time.Now().Add(o.ahead) }

// member is a license server as it signs its requests.
type member struct {
	productID string
	secret    keycode.Secret
}

func newOffice(t testing.TB) *office {
	t.Helper()
	keys, err := clearinghouse.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	o := &office{t: t, authority: keys.Authority(), log: new(bytes.Buffer)}
	logger := slog.New(slog.NewTextHandler(o.log, nil))
	o.service = clearinghouse.New(store, keys, clearinghouse.Options{Now: o.now, Random: rand.Reader, Logger: logger, ReleaseWait: time.Millisecond})
	o.handler = server.New(o.service, server.Options{Authority: o.authority, OperatorToken: token, Logger: logger})
	organization, err := o.service.CreateOrganization(t.Context(), "Example")
	if err != nil {
		t.Fatal(err)
	}
	o.enrolment = organization.EnrolmentKey
	o.member = o.newMember("a.example.net")
	return o
}

// newMember activates a license server.
func (o *office) newMember(name string) member {
	o.t.Helper()
	m := o.newStranger()
	o.activate(m, name)
	return m
}

func (o *office) activate(m member, name string) {
	o.t.Helper()
	_, err := o.service.Activate(o.t.Context(), m.productID, clearinghouse.ActivateRequest{
		EnrolmentKey: o.enrolment, Name: name,
		Contact: licensing.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example", CountryRegion: "GB"},
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// newStranger returns a license server that the clearinghouse does not know.
func (o *office) newStranger() member {
	o.t.Helper()
	identity, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	secret, err := o.authority.Secret(identity)
	if err != nil {
		o.t.Fatal(err)
	}
	return member{keycode.ProductID(identity.PublicKey()), secret}
}

const nonce = "0123456789abcdef"

// request returns a request that is right.
func (m member) request(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set(wire.ProductIDHeader, m.productID)
	r.Header.Set(wire.NonceHeader, nonce)
	r.Header.Set(wire.MACHeader, hex.EncodeToString(wire.MAC(m.secret, path, m.productID, nonce, []byte(body))))
	return r
}

// ask returns the answer to a request.
func (o *office) ask(r *http.Request) (status int, body []byte) {
	o.t.Helper()
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	signature, err := base64.StdEncoding.DecodeString(w.Header().Get(wire.SignatureHeader))
	if err != nil {
		o.t.Error(err)
	}
	signed := wire.SignedAnswer(r.URL.Path, r.Header.Get(wire.ProductIDHeader), r.Header.Get(wire.NonceHeader), w.Code, w.Body.Bytes())
	if w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed && !clearinghouse.VerifyAnswer(o.authority.SigningKey, signed, signature) {
		o.t.Errorf("%s %s: the answer %d %s is not signed", r.Method, r.URL.Path, w.Code, w.Body)
	}
	return w.Code, w.Body.Bytes()
}

func (o *office) wantProblem(r *http.Request, status int, kind licensing.Kind) {
	o.t.Helper()
	got, body := o.ask(r)
	var p wire.Problem
	if err := json.Unmarshal(body, &p); err != nil || got != status || p.Status != status || licensing.ParseKind(p.Title) != kind || p.Detail == "" {
		o.t.Errorf("got %d %s; want %d %s", got, body, status, kind)
	}
}

// TestRequestsMustBeAuthentic changes a right request in every part.
func TestRequestsMustBeAuthentic(t *testing.T) {
	o := newOffice(t)
	stranger := o.newStranger()
	const body = `{"after":0,"waitMilliseconds":0}`
	right := func() *http.Request { return o.member.request(wire.PollPath, body) }
	if status, answer := o.ask(right()); status != http.StatusOK || strings.TrimSpace(string(answer)) != "null" {
		t.Fatalf("the right request is answered with %d %s", status, answer)
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		kind   licensing.Kind
	}{
		"another body": {func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"after":1,"waitMilliseconds":0}`))
		}, 403, licensing.Denied},
		"a body with a space": {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body + " ")) }, 403, licensing.Denied},
		"another path":        {func(r *http.Request) { r.URL.Path = wire.PerformPath }, 403, licensing.Denied},
		"another nonce":       {func(r *http.Request) { r.Header.Set(wire.NonceHeader, "0123456789abcdeF") }, 403, licensing.Denied},
		"another license server": {func(r *http.Request) {
			r.Header.Set(wire.ProductIDHeader, stranger.productID)
		}, 403, licensing.Denied},
		"no MAC":           {func(r *http.Request) { r.Header.Del(wire.MACHeader) }, 403, licensing.Denied},
		"half a MAC":       {func(r *http.Request) { r.Header.Set(wire.MACHeader, r.Header.Get(wire.MACHeader)[:32]) }, 403, licensing.Denied},
		"a MAC in base 64": {func(r *http.Request) { r.Header.Set(wire.MACHeader, "not hexadecimal") }, 403, licensing.Denied},
		"no nonce":         {func(r *http.Request) { r.Header.Del(wire.NonceHeader) }, 422, licensing.Invalid},
		"a short nonce":    {func(r *http.Request) { r.Header.Set(wire.NonceHeader, nonce[1:]) }, 422, licensing.Invalid},
		"a long nonce":     {func(r *http.Request) { r.Header.Set(wire.NonceHeader, strings.Repeat("x", 65)) }, 422, licensing.Invalid},
		"no product ID":    {func(r *http.Request) { r.Header.Del(wire.ProductIDHeader) }, 422, licensing.Invalid},
		"a product ID in lower case": {func(r *http.Request) {
			r.Header.Set(wire.ProductIDHeader, strings.ToLower(o.member.productID))
		}, 422, licensing.Invalid},
		"a product ID that is mistyped": {func(r *http.Request) { r.Header.Set(wire.ProductIDHeader, "0"+o.member.productID[1:]) }, 422, licensing.Invalid},
		"a key of low order":            {func(r *http.Request) { r.Header.Set(wire.ProductIDHeader, lowOrder(t)) }, 422, licensing.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := right()
			c.change(r)
			o.wantProblem(r, c.status, c.kind)
		})
	}
	o.wantProblem(stranger.request(wire.PollPath, body), http.StatusConflict, licensing.NotActivated)
}

// lowOrder returns the product ID of the key 0, with which everybody agrees on the same secret.
func lowOrder(t *testing.T) string {
	t.Helper()
	zero, err := ecdh.X25519().NewPublicKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return keycode.ProductID(zero)
}

// TestBodies sends what is no request, rightly authenticated.
func TestBodies(t *testing.T) {
	o := newOffice(t)
	for _, path := range []string{wire.ActivatePath, wire.ReactivatePath, wire.PerformPath, wire.PollPath, wire.DeactivatePath} {
		for name, body := range map[string]string{
			"nothing": "", "garbage": "\x00\xff{{{", "half": `{"key":`, "a list": "[]", "a number": "7", "two": "{}{}",
			"a deep list": strings.Repeat("[", 100000), "a negative number": `{"after":-1,"count":-1,"reason":-1,"name":-1}`,
			"a big number": `{"after":1e400,"count":4294967296,"reason":1e9999,"name":{}}`,
		} {
			if path == wire.DeactivatePath && (name == "a negative number" || name == "a big number") {
				continue // it has no fields that could be wrong
			}
			t.Run(path+" "+name, func(t *testing.T) {
				o.wantProblem(o.member.request(path, body), http.StatusUnprocessableEntity, licensing.Invalid)
			})
		}
	}
	big := `{"key":"` + strings.Repeat("x", 1<<20) + `"}`
	o.wantProblem(o.member.request(wire.PerformPath, big), http.StatusUnprocessableEntity, licensing.Invalid)
	if strings.Contains(o.log.String(), "level=ERROR") {
		t.Errorf("hostile bodies are errors of the clearinghouse:\n%s", o.log)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	o := newOffice(t)
	for path, want := range map[string]int{wire.PerformPath: http.StatusMethodNotAllowed, "/v1/": http.StatusNotFound, "/": http.StatusNotFound} {
		if status, _ := o.ask(httptest.NewRequest(http.MethodGet, path, nil)); status != want {
			t.Errorf("GET %s: %d; want %d", path, status, want)
		}
	}
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, wire.AuthorityPath, nil))
	var a clearinghouse.Authority
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Check() != nil || !a.SigningKey.Equal(o.authority.SigningKey) {
		t.Errorf("the authority document is %s", w.Body)
	}
}

// TestKindsTravel: every kind of fault arrives at a license server as what it was.
func TestKindsTravel(t *testing.T) {
	o := newOffice(t)
	sale, err := o.service.Sell(t.Context(), clearinghouse.SellRequest{
		Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: 7, Count: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	install := func(key string, number string, count uint32) *http.Request {
		body, err := json.Marshal(clearinghouse.Operation{
			Key: key, Kind: clearinghouse.Install, ProductVersion: 7, Count: count,
			Credentials: licensing.Credentials{Program: licensing.Agreement, AgreementNumber: number},
		})
		if err != nil {
			t.Fatal(err)
		}
		return o.member.request(wire.PerformPath, string(body))
	}
	number := sale.Credentials.AgreementNumber
	o.wantProblem(install("0123456789abcdef-1", number, 0), 422, licensing.Invalid)
	o.wantProblem(install("0123456789abcdef-2", number, 2), 422, licensing.OutOfRange)
	for i := range 100 {
		o.wantProblem(install(fmt.Sprint("0123456789abcdef-wrong-", i), "0000000", 1), 404, licensing.NotFound)
	}
	o.wantProblem(install("0123456789abcdef-4", number, 1), 429, licensing.Limited)
	o.wantProblem(o.member.request(wire.ActivatePath, `{"enrolmentKey":"wrong","name":"a","contact":{"firstName":"a","lastName":"b","company":"c","countryRegion":"d"}}`),
		403, licensing.Denied)
	if status, _ := o.ask(o.member.request(wire.DeactivatePath, "{}")); status != http.StatusOK {
		t.Errorf("deactivate: %d", status)
	}
	o.wantProblem(o.member.request(wire.DeactivatePath, "{}"), 409, licensing.NotActivated)
	if log := o.log.String(); strings.Contains(log, number) || strings.Contains(log, o.enrolment) {
		t.Errorf("the log has a secret:\n%s", log)
	}
}

// TestInternalStaysInTheLog: what has gone wrong inside is no license server's affair.
func TestInternalStaysInTheLog(t *testing.T) {
	o := newOffice(t)
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	r := o.member.request(wire.PollPath, `{}`).WithContext(ctx)
	status, body := o.ask(r)
	if status != http.StatusInternalServerError || strings.Contains(string(body), "deadline") {
		t.Errorf("answered %d %s", status, body)
	}
	if !strings.Contains(o.log.String(), "deadline") {
		t.Errorf("the log does not have it:\n%s", o.log)
	}
}
