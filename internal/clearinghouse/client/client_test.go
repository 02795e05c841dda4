package client_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/client"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// house answers requests as a clearinghouse does, or as somebody does who is none. It is an http.RoundTripper.
type house struct {
	t      *testing.T
	keys   clearinghouse.Keys
	secret keycode.Secret
	client *client.Client

	status    int
	body      string
	answering func(a *answer) // changes the answer before it is sent
	requests  int
}

// answer is what is signed, and by whom.
type answer struct {
	key                    ed25519.PrivateKey
	path, productID, nonce string
	signed                 func() []byte // the signature over status and body as they are then
	status                 int
	body                   []byte
	signature              string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	keys, err := clearinghouse.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, keys: keys, status: http.StatusOK, body: "{}"}
	identity := newIdentity(t)
	if h.secret, err = keys.Authority().Secret(identity); err != nil {
		t.Fatal(err)
	}
	h.client = h.newClient(identity, h)
	return h
}

func newIdentity(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (h *house) newClient(identity *ecdh.PrivateKey, transport http.RoundTripper) *client.Client {
	h.t.Helper()
	a := h.keys.Authority()
	a.URL = "https://clearinghouse.test"
	return newClient(h.t, client.Options{Authority: a, Identity: identity, Transport: transport, Random: rand.Reader})
}

func newClient(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// RoundTrip checks the request and signs the answer.
func (h *house) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	h.requests++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a := answer{
		key: h.keys.Signing, path: r.URL.Path, productID: r.Header.Get(wire.ProductIDHeader), nonce: r.Header.Get(wire.NonceHeader),
		status: h.status, body: []byte(h.body),
	}
	if want := hex.EncodeToString(wire.MAC(h.secret, a.path, a.productID, a.nonce, body)); r.Header.Get(wire.MACHeader) != want {
		h.t.Errorf("the MAC is %q; want %q", r.Header.Get(wire.MACHeader), want)
	}
	if len(a.nonce) != 32 || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		h.t.Errorf("the request is %s %+v", r.Method, r.Header)
	}
	a.signed = func() []byte {
		text := wire.SignedAnswer(a.path, a.productID, a.nonce, a.status, a.body)
		return ed25519.Sign(a.key, append([]byte("calkeeper answer v1\n"), text...))
	}
	a.signature = base64.StdEncoding.EncodeToString(a.signed())
	if h.answering != nil {
		h.answering(&a)
	}
	header := http.Header{}
	header.Set(wire.SignatureHeader, a.signature)
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(string(a.body))), Request: r}, nil
}

var operation = clearinghouse.Operation{Key: "0123456789abcdef", Kind: clearinghouse.Install}

// TestAnswersMustBeSigned changes a right answer in every part. None of them tells anything, so the operation stays open.
func TestAnswersMustBeSigned(t *testing.T) {
	h := newHouse(t)
	if _, err := h.client.Perform(t.Context(), operation); err != nil {
		t.Fatal(err)
	}
	others, err := clearinghouse.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	again := func(a *answer) { a.signature = base64.StdEncoding.EncodeToString(a.signed()) }
	for name, change := range map[string]func(*answer){
		"another body":           func(a *answer) { a.body = []byte(`{"payload":"AAAA"}`) },
		"another status":         func(a *answer) { a.status = http.StatusNotFound },
		"another key":            func(a *answer) { a.key = others.Signing; again(a) },
		"another nonce":          func(a *answer) { a.nonce = "0123456789abcdef0123456789abcdef"; again(a) },
		"another path":           func(a *answer) { a.path = wire.PollPath; again(a) },
		"another license server": func(a *answer) { a.productID = keycode.ProductID(newIdentity(t).PublicKey()); again(a) },
		"no signature":           func(a *answer) { a.signature = "" },
		"garbage as signature":   func(a *answer) { a.signature = "!" },
		"half a signature":       func(a *answer) { a.signature = a.signature[:40] },
		"a proxy's 502": func(a *answer) {
			a.status, a.body, a.signature = http.StatusBadGateway, []byte("<html>Bad Gateway</html>"), ""
		},
		"a proxy's 407": func(a *answer) { a.status, a.body, a.signature = http.StatusProxyAuthRequired, nil, "" },
		"a captive portal": func(a *answer) {
			a.status, a.body, a.signature = http.StatusOK, []byte(`{"payload":"e30=","signature":""}`), ""
		},
		"a refusal that nobody signed": func(a *answer) {
			a.status, a.body, a.signature = http.StatusNotFound, []byte(`{"title":"not found","status":404,"detail":"no"}`), ""
		},
		"a redirection": func(a *answer) { a.status, a.body, a.signature = http.StatusFound, nil, "" },
	} {
		t.Run(name, func(t *testing.T) {
			h.answering = change
			before := h.requests
			signed, err := h.client.Perform(t.Context(), operation)
			if licensing.KindOf(err) != licensing.Unavailable || errors.Is(err, clearinghouse.ErrNotSent) {
				t.Errorf("got %v; want an unavailable clearinghouse that may have been asked", err)
			}
			if len(signed.Payload) > 0 {
				t.Errorf("it is taken for %s", signed.Payload)
			}
			if h.requests != before+1 {
				t.Errorf("%d requests were made", h.requests-before)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	h := newHouse(t)
	for k := licensing.Internal; k <= licensing.Limited; k++ {
		h.status, h.body = 418, fmt.Sprintf(`{"title":%q,"status":418,"detail":"so it is"}`, k)
		_, err := h.client.Perform(t.Context(), operation)
		want := k
		if k == licensing.Internal {
			want = licensing.Unavailable // it has not decided
		}
		if licensing.KindOf(err) != want || licensing.Message(err) != "so it is" || errors.Is(err, clearinghouse.ErrNotSent) {
			t.Errorf("a fault that is %s arrives as %s: %v", k, licensing.KindOf(err), err)
		}
	}
	h.body = `{"title":"a kind of a later version","status":418,"detail":"so it is"}`
	if _, err := h.client.Perform(t.Context(), operation); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("an unknown kind arrives as %v", err)
	}
	for _, body := range []string{"", "no JSON", `{"title":`} {
		h.body = body
		if _, err := h.client.Perform(t.Context(), operation); licensing.KindOf(err) != licensing.Unavailable {
			t.Errorf("the problem %q arrives as %v", body, err)
		}
	}
	h.status = http.StatusOK
	for _, body := range []string{"", "no JSON", `{"payload":`, `{"payload":7}`, `[]`} {
		h.body = body
		_, err := h.client.Perform(t.Context(), operation)
		if err == nil || licensing.KindOf(err) != licensing.Internal {
			t.Errorf("the answer %q arrives as %v", body, err)
		}
	}
	h.body = `[{"payload":"AAAA","signature":"BBBB"},{}]`
	if notices, err := h.client.Poll(t.Context(), 7, time.Second); err != nil || len(notices) != 2 {
		t.Errorf("polled %+v, %v", notices, err)
	}
	h.body = "{}"
	if err := h.client.Deactivate(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBigAnswers are not read to their end.
func TestBigAnswers(t *testing.T) {
	h := newHouse(t)
	h.body = `{"payload":"` + strings.Repeat("A", 17<<20) + `"}`
	if _, err := h.client.Perform(t.Context(), operation); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("got %v", err)
	}
}

// TestActivationIsOnesOwn: the signed document inside the answer is checked as well.
func TestActivationIsOnesOwn(t *testing.T) {
	h := newHouse(t)
	identity := newIdentity(t)
	var err error
	if h.secret, err = h.keys.Authority().Secret(identity); err != nil {
		t.Fatal(err)
	}
	c := h.newClient(identity, h)
	own := clearinghouse.Activation{LicenseServerID: "id", ProductID: keycode.ProductID(identity.PublicKey())}
	answerWith := func(purpose clearinghouse.Purpose, document any) {
		signed, err := clearinghouse.Sign(h.keys.Signing, purpose, document)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(signed)
		if err != nil {
			t.Fatal(err)
		}
		h.body = string(text)
	}
	answerWith(clearinghouse.PurposeActivation, own)
	if a, err := c.Activate(t.Context(), clearinghouse.ActivateRequest{}); err != nil || a != own {
		t.Errorf("activated as %+v, %v", a, err)
	}
	if a, err := c.Reactivate(t.Context(), clearinghouse.ReactivateRequest{}); err != nil || a != own {
		t.Errorf("reactivated as %+v, %v", a, err)
	}
	answerWith(clearinghouse.PurposeGrant, own)
	if _, err := c.Activate(t.Context(), clearinghouse.ActivateRequest{}); err == nil {
		t.Error("a grant passes for an activation")
	}
	answerWith(clearinghouse.PurposeActivation, clearinghouse.Activation{LicenseServerID: "id", ProductID: "another"})
	if _, err := c.Activate(t.Context(), clearinghouse.ActivateRequest{}); err == nil {
		t.Error("another license server's activation is taken")
	}
}

// TestWhatWasSent tells requests that never arrived from those that may have.
func TestWhatWasSent(t *testing.T) {
	h := newHouse(t)
	const closed = "https://127.0.0.1:1" // a port just given up may be another test's by now

	release := make(chan struct{})
	drop := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	drop.Config.ErrorLog = log.New(io.Discard, "", 0)
	hang := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	halfway := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte("half"))
	}))
	for _, s := range []*httptest.Server{drop, hang, halfway} {
		t.Cleanup(s.Close)
	}
	t.Cleanup(func() { close(release) })
	certificates := func(s *httptest.Server) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	}
	for name, c := range map[string]struct {
		url, certificates string
		notSent           bool
	}{
		"nobody listens":                   {closed, "", true},
		"no such host":                     {"https://clearinghouse.invalid", "", true},
		"no URL":                           {"::", "", true},
		"a certificate that nobody trusts": {drop.URL, "", true},
		"a line that breaks":               {drop.URL, certificates(drop), false},
		"no answer":                        {hang.URL, certificates(hang), false},
		"half an answer":                   {halfway.URL, certificates(halfway), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.keys.Authority()
			a.URL, a.Certificates = c.url, c.certificates
			one := newClient(t, client.Options{Authority: a, Identity: newIdentity(t), Random: rand.Reader, Timeout: 500 * time.Millisecond})
			_, err := one.Perform(t.Context(), operation)
			if licensing.KindOf(err) != licensing.Unavailable || errors.Is(err, clearinghouse.ErrNotSent) != c.notSent {
				t.Errorf("got %v; want an unavailable clearinghouse, not sent: %v", err, c.notSent)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.client.Perform(ctx, operation); !errors.Is(err, clearinghouse.ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("a request whose caller is gone ends with %v", err)
	}
}

func TestOptions(t *testing.T) {
	h := newHouse(t)
	good := func() client.Options {
		return client.Options{Authority: h.keys.Authority(), Identity: newIdentity(t), Random: rand.Reader}
	}
	for name, change := range map[string]func(*client.Options){
		"no signing key":         func(o *client.Options) { o.Authority.SigningKey = nil },
		"no agreement key":       func(o *client.Options) { o.Authority.AgreementKey = nil },
		"a key of low order":     func(o *client.Options) { o.Authority.AgreementKey = make([]byte, 32) },
		"certificates not PEM":   func(o *client.Options) { o.Authority.Certificates = "none" },
		"one's own key as house": func(o *client.Options) { o.Authority.AgreementKey = o.Identity.PublicKey().Bytes() },
	} {
		o := good()
		change(&o)
		if _, err := client.New(o); err == nil {
			t.Errorf("%s: there is a client", name)
		}
	}
	o := good()
	o.Authority.URL, o.Transport, o.Random = "https://clearinghouse.test", h, strings.NewReader("short")
	if _, err := newClient(t, o).Perform(t.Context(), operation); err == nil || h.requests > 0 {
		t.Errorf("without randomness: %v", err)
	}
	// A final slash of the URL does not count.
	identity := newIdentity(t)
	o = client.Options{Authority: h.keys.Authority(), Identity: identity, Transport: h, Random: rand.Reader}
	o.Authority.URL = "https://clearinghouse.test/"
	var err error
	if h.secret, err = o.Authority.Secret(identity); err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(t, o).Perform(t.Context(), operation); err != nil {
		t.Errorf("with a final slash in the URL: %v", err)
	}
}

// TestOperator speaks as the operator.
func TestOperator(t *testing.T) {
	var got *http.Request
	var body []byte
	status, text := http.StatusOK, `"done"`
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
		io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	a := clearinghouse.Authority{URL: s.URL + "/", Certificates: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))}
	o, err := client.NewOperator(a, "token", nil)
	if err != nil {
		t.Fatal(err)
	}
	var answer string
	if err := o.Call(t.Context(), wire.Sell, wire.Name{Name: "x"}, &answer); err != nil || answer != "done" {
		t.Errorf("answered %q, %v", answer, err)
	}
	if got.URL.Path != wire.OperatorPath+wire.Sell || got.Header.Get("Authorization") != "Bearer token" || string(body) != `{"name":"x"}` {
		t.Errorf("asked %s %+v %s", got.URL.Path, got.Header, body)
	}
	status, text = http.StatusForbidden, `{"title":"denied","status":403,"detail":"no"}`
	if err := o.Call(t.Context(), wire.Sell, wire.Name{}, &answer); licensing.KindOf(err) != licensing.Denied {
		t.Errorf("refused as %v", err)
	}
	a.URL = "https://127.0.0.1:1" // nobody listens there; a port that was just given up may be another test's by now
	if o, err = client.NewOperator(a, "token", nil); err != nil {
		t.Fatal(err)
	}
	if err := o.Call(t.Context(), wire.Sell, wire.Name{}, &answer); !errors.Is(err, clearinghouse.ErrNotSent) {
		t.Errorf("without a clearinghouse: %v", err)
	}
	if _, err := client.NewOperator(clearinghouse.Authority{Certificates: "none"}, "token", nil); err == nil {
		t.Error("certificates that are no PEM are taken")
	}
	if err := o.Call(t.Context(), wire.Sell, func() {}, &answer); err == nil {
		t.Error("a function was sent")
	}
}
