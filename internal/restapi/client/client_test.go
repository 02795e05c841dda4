package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auditing"
	"calkeeper/internal/auth"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/receipt"
	"calkeeper/internal/restapi"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

const host = "rds1.example.com"

// house is a license server with 10 CALs of each type, its API on a connection, and clients of it.
type house struct {
	url, token, password string
	key                  ed25519.PublicKey
	pack                 uint32
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	st, err := sqlite.Open(ctx, filepath.Join(dir, "licenses.db"), sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	h := &house{}
	must(t, st.Update(ctx, func(tx store.Tx) error {
		now := time.Now().UTC()
		err := tx.PutServer(licensing.Server{LicenseServerID: "ABCDEFGHJKMNPQRSTVWXYZ0123456789ABC", ActivatedAt: now})
		for _, mode := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
			if err == nil {
				h.pack, err = tx.InsertKeyPack(licensing.KeyPack{
					Type: licensing.KeyPackVolume, ProductVersion: licensing.WindowsServer2022, ProductType: mode, Total: 10,
					Installed: now, Expires: licensing.PerpetualExpiry(now), Entitlement: "e-" + mode.ModeName(),
				})
			}
		}
		return errors.Join(err, tx.Audit(store.AuditRecord{At: now, Actor: "test", Action: "install"}))
	}))
	service := issuance.New(st, issuance.Options{Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
	h.token, err = service.AddHost(ctx, "test", licensing.Host{Name: host, ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerUser, Concurrent: true})
	must(t, err)
	people := accounts.New(st, accounts.Options{KeyFile: filepath.Join(dir, "accounts.key")})
	h.password, err = people.Generate(ctx, "test", accounts.Change{Name: "admin", Role: auth.Administrator})
	must(t, err)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	h.key = key.Public().(ed25519.PublicKey)
	server := httptest.NewServer(restapi.New(restapi.Options{
		Issuance: service, Accounts: people, Audit: auditing.New(st), ServerName: "ls1", Version: "1.2.3", ReceiptKey: key,
		Activated: func(context.Context) (bool, error) { return true, nil },
	}))
	t.Cleanup(server.Close)
	h.url = server.URL + "/v1"
	return h
}

func (h *house) client(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	o.URL = h.url
	c, err := client.New(o)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func (h *house) host(t *testing.T) *client.Client { return h.client(t, client.Options{Token: h.token}) }

func (h *house) administrator(t *testing.T) *client.Client {
	return h.client(t, client.Options{User: "admin", Password: h.password})
}

// TestSessionHost goes through what a session host asks.
func TestSessionHost(t *testing.T) {
	h := newHouse(t)
	c, ctx := h.host(t), t.Context()
	device := &wire.Device{ID: "ip:192.0.2.7", Name: "DEV1"}
	a, err := c.Request(ctx, wire.Request{User: "ada", Device: device, Provisional: true}, `a "key"\`)
	must(t, err)
	again, err := c.Request(ctx, wire.Request{User: "ada", Device: device, Provisional: true}, `a "key"\`)
	must(t, err)
	if a.Outcome != "issued" || again.Outcome != "issued" || a.License.ID != again.License.ID || a.Lease == nil || !a.Lease.Provisional {
		t.Errorf("got %+v, and again %+v", a, again)
	}
	if _, err := c.Request(ctx, wire.Request{User: "bob"}, `a "key"\`); licensing.KindOf(err) != licensing.AlreadyExists {
		t.Errorf("another request under the key: %v", err)
	}
	a, err = c.Validate(ctx, wire.Request{User: "ada", Session: ":10", Receipt: true}, "")
	must(t, err)
	if claims, err := receipt.Verify(h.key, a.Receipt, time.Now()); err != nil || claims.Host != host || claims.User != "ada@" {
		t.Errorf("the receipt says %+v, %v", claims, err)
	}
	if a, err = c.Renew(ctx, wire.Request{User: "ada", Session: ":10"}, ""); err != nil || a.Lease == nil {
		t.Errorf("renewed: %+v, %v", a, err)
	}
	if l, err := c.RenewLease(ctx, a.Lease.ID); err != nil || l.Session != ":10" {
		t.Errorf("the lease: %+v, %v", l, err)
	}
	if page, err := c.Leases(ctx, client.LeaseQuery{User: "ADA", Host: host, Limit: 1}); err != nil || len(page.Leases) != 1 {
		t.Errorf("leases: %+v, %v", page, err)
	}
	if page, err := c.Licenses(ctx, client.LicenseQuery{Search: "ad", Status: "concurrent", KeyPack: h.pack}); err != nil || len(page.Licenses) != 1 {
		t.Errorf("licenses: %+v, %v", page, err)
	}
	if l, err := c.License(ctx, a.License.ID); err != nil || l.User != "ada" {
		t.Errorf("the license: %+v, %v", l, err)
	}
	if _, err := c.Audit(ctx, 0, 0); licensing.KindOf(err) != licensing.Denied {
		t.Errorf("the audit log: %v", err)
	}
	if page, err := c.Events(ctx, 0, 0, time.Minute); err != nil || len(page.Events) == 0 {
		t.Errorf("events: %+v, %v", page, err)
	}
	if s, err := c.Server(ctx); err != nil || s.Name != "ls1" || !s.Activated {
		t.Errorf("the server: %+v, %v", s, err)
	}
	if _, err := c.Hosts(ctx); licensing.KindOf(err) != licensing.Denied {
		t.Errorf("hosts: %v", err)
	}
	if ended, err := c.Release(ctx, wire.Request{User: "ada", Session: ":10"}); err != nil || ended != (wire.Ended{Leases: 1, Licenses: 1}) {
		t.Errorf("released: %+v, %v", ended, err)
	}
	if _, err := c.EndLease(ctx, a.Lease.ID); licensing.KindOf(err) != licensing.NotFound {
		t.Errorf("ended twice: %v", err)
	}
}

// TestAdministrator goes through what an administrator asks.
func TestAdministrator(t *testing.T) {
	h := newHouse(t)
	c, ctx := h.administrator(t), t.Context()
	must(t, c.SetOverUse(ctx, h.pack, wire.OverUse{Policy: "deny", DenyBeyond: 100}))
	packs, err := c.KeyPacks(ctx)
	if err != nil || len(packs) != 2 || packs[1].OverUse.DenyBeyond != 100 {
		t.Errorf("key packs: %+v, %v", packs, err)
	}
	session := h.host(t)
	var last wire.Answer
	for i := range 10 {
		last, err = session.Request(ctx, wire.Request{User: fmt.Sprint("user", i)}, "")
		must(t, err)
	}
	_, err = session.Request(ctx, wire.Request{User: "ada"}, "")
	reason, ok := errors.AsType[licensing.DenialReason](err)
	if licensing.KindOf(err) != licensing.Unlicensed || !ok || reason != licensing.OverUseLimit && reason != licensing.NoFreeCAL {
		t.Errorf("the eleventh: %v", err)
	}
	if page, err := c.Denials(ctx, 0, 10); err != nil || len(page.Denials) != 1 || page.Denials[0].Reason != string(reason) {
		t.Errorf("denials: %+v, %v", page, err)
	}
	if page, err := c.Audit(ctx, 1, 2); err != nil || len(page.Records) != 2 || page.Records[0].Seq != 2 || page.Next != 3 || page.Head.Seq <= 3 {
		t.Errorf("audit records: %+v, %v", page, err)
	}
	if counters, err := c.Counters(ctx); err != nil || len(counters.Counters) != 2 || counters.Counters[1].Denied != 1 {
		t.Errorf("counters: %+v, %v", counters, err)
	}
	seen := 0
	for q := (client.LicenseQuery{Limit: 3}); ; {
		page, err := c.Licenses(ctx, q)
		must(t, err)
		seen += len(page.Licenses)
		if q.After = page.Next; q.After == 0 {
			break
		}
	}
	if seen != 10 {
		t.Errorf("%d licenses", seen)
	}
	if _, err := c.Revoke(ctx, last.License.ID); licensing.KindOf(err) != licensing.NotSupported {
		t.Errorf("revoked a per user license: %v", err)
	}
	if ended, err := c.EndLease(ctx, last.Lease.ID); err != nil || ended.Licenses != 1 {
		t.Errorf("ended: %+v, %v", ended, err)
	}
	if err := c.ReleaseLicense(ctx, last.License.ID); licensing.KindOf(err) != licensing.NotFound {
		t.Errorf("released what is free: %v", err)
	}
	added, err := c.AddHost(ctx, wire.NewHost{Name: "2001:db8::7", ProductVersion: "ws2019", Mode: "per-device"})
	if err != nil || added.Host.Name != "2001:db8::7" || !strings.HasPrefix(added.Token, "ckh_") {
		t.Errorf("added: %+v, %v", added, err)
	}
	if token, err := c.NewToken(ctx, "2001:db8::7"); err != nil || token == added.Token {
		t.Errorf("a new token: %v", err)
	}
	if hosts, err := c.Hosts(ctx); err != nil || len(hosts) != 2 {
		t.Errorf("hosts: %+v, %v", hosts, err)
	}
	must(t, c.RemoveHost(ctx, "2001:db8::7"))
	if err := c.RemoveHost(ctx, "../licenses/1"); licensing.KindOf(err) == licensing.Internal || err == nil {
		t.Errorf("a name that is a path: %v", err)
	}
	wrong := h.client(t, client.Options{User: "admin", Password: "12345678"})
	if _, err := wrong.Hosts(ctx); licensing.KindOf(err) != licensing.Denied {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestStreamEvents(t *testing.T) {
	h := newHouse(t)
	c, ctx := h.host(t), t.Context()
	_, err := c.Request(ctx, wire.Request{User: "ada"}, "")
	must(t, err)
	page, err := c.Events(ctx, 0, 0, 0)
	must(t, err)
	first := page.Events[0].Seq
	var seen []wire.Event
	for e, err := range c.StreamEvents(ctx, first) {
		must(t, err)
		if seen = append(seen, e); len(seen) == len(page.Events)-1 {
			_, err := c.Request(ctx, wire.Request{User: "bob"}, "")
			must(t, err)
		}
		if strings.Contains(e.Detail, "bob") {
			break
		}
	}
	if seen[0].Seq != page.Events[1].Seq || seen[0].At != page.Events[1].At {
		t.Errorf("the stream begins with %+v, want %+v", seen[0], page.Events[1])
	}
	ending, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, err := range c.StreamEvents(ending, first) {
		must(t, err)
		cancel()
	}
	for _, err := range h.client(t, client.Options{Token: "ckh_wrong"}).StreamEvents(ctx, 0) {
		if licensing.KindOf(err) != licensing.Denied {
			t.Errorf("with a wrong token: %v", err)
		}
	}
}

// TestStrangeServers asks what is no license server, or one that fails.
func TestStrangeServers(t *testing.T) {
	problem := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", wire.ProblemJSON)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		kind    licensing.Kind
		says    string
	}{
		"HTML":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, licensing.Unavailable, "not the API's"},
		"another server": {http.NotFound, licensing.Unavailable, "404"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, licensing.Unavailable, "302"},
		"a proxy":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, licensing.Unavailable, "502"},
		"no problem":       {problem(400, "{"), licensing.Unavailable, "400"},
		"a failure":        {problem(500, `{"type":"urn:calkeeper:problem:internal","detail":"internal error","instance":"urn:calkeeper:request:7"}`), licensing.Unavailable, "request:7"},
		"a kind of later":  {problem(409, `{"type":"urn:calkeeper:problem:on-fire","detail":"hot"}`), licensing.Unavailable, "hot"},
		"without a kind":   {problem(415, `{"type":"about:blank","title":"Unsupported Media Type"}`), licensing.Invalid, "Unsupported Media Type"},
		"not found":        {problem(404, `{"type":"about:blank","title":"Not Found"}`), licensing.NotFound, "Not Found"},
		"too many":         {problem(429, `{"type":"about:blank","title":"Too Many Requests"}`), licensing.Limited, ""},
		"down":             {problem(503, `{"type":"about:blank","title":"Service Unavailable"}`), licensing.Unavailable, ""},
		"refused":          {problem(409, `{"type":"urn:calkeeper:problem:unlicensed","detail":"no","reason":"no-free-cal"}`), licensing.Unlicensed, "no-free-cal"},
		"a reason of mine": {problem(409, `{"type":"urn:calkeeper:problem:unlicensed","detail":"no","reason":"x"}`), licensing.Unlicensed, "no"},
		"too long":         {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), 9<<20)) }, licensing.Unavailable, ""},
		"hangs up":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, licensing.Unavailable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			api, err := client.New(client.Options{URL: server.URL + "/v1/", Token: "ckh_secret"})
			must(t, err)
			defer api.Close()
			_, err = api.Request(t.Context(), wire.Request{User: "ada"}, "")
			if licensing.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %s: %v; want %s that says %q", licensing.KindOf(err), err, c.kind, c.says)
			}
			reason, ok := errors.AsType[licensing.DenialReason](err)
			if ok != (c.says == "no-free-cal") || ok && reason != licensing.NoFreeCAL {
				t.Errorf("the reason is %q", reason)
			}
		})
	}
}

func TestStrangeStreams(t *testing.T) {
	for text, says := range map[string]string{
		"":                                     "has ended the stream",
		": events\n\n":                         "has ended the stream",
		"data: x\n\n":                          "not the API's",
		"data: {\"seq\":\"x\"}\n\n":            "not the API's",
		"data: " + strings.Repeat(" ", 70_000): "token too long",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
		api, err := client.New(client.Options{URL: server.URL})
		must(t, err)
		var got error
		for _, err := range api.StreamEvents(t.Context(), 7) {
			got = err
		}
		if licensing.KindOf(got) != licensing.Unavailable || !strings.Contains(got.Error(), says) {
			t.Errorf("%.20q: %v; want one that says %q", text, got, says)
		}
		api.Close()
		server.Close()
	}
}

func TestUnreachable(t *testing.T) {
	const address = "127.0.0.1:1" // a port just given up may be another test's by now
	c, err := client.New(client.Options{URL: "http://" + address})
	must(t, err)
	_, err = c.Server(t.Context())
	if _, dial := errors.AsType[*net.OpError](err); licensing.KindOf(err) != licensing.Unavailable || !dial || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v", err)
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	c, err = client.New(client.Options{URL: silent.URL, Timeout: 20 * time.Millisecond})
	must(t, err)
	_, err = c.Server(t.Context())
	if licensing.KindOf(err) != licensing.Unavailable || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"name":"%d certificates"}`, len(r.TLS.PeerCertificates))
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c, err := client.New(client.Options{URL: server.URL, TLS: &tls.Config{RootCAs: roots}})
	must(t, err)
	if s, err := c.Server(t.Context()); err != nil || s.Name != "0 certificates" {
		t.Errorf("%+v, %v", s, err)
	}
	c, err = client.New(client.Options{URL: server.URL})
	must(t, err)
	_, err = c.Server(t.Context())
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); licensing.KindOf(err) != licensing.Unavailable || !untrusted {
		t.Errorf("got %v", err)
	}
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		options client.Options
		says    string
	}{
		"no URL":             {client.Options{}, "must be like"},
		"another scheme":     {client.Options{URL: "ftp://a/v1"}, "must be like"},
		"no host":            {client.Options{URL: "https:///v1"}, "must be like"},
		"a password in it":   {client.Options{URL: "https://u:secret@a/v1"}, "must be like"},
		"a query":            {client.Options{URL: "https://a/v1?x"}, "must be like"},
		"token and password": {client.Options{URL: "https://a/v1", Token: "secret", User: "u"}, "a token and a password"},
		"a line break":       {client.Options{URL: "https://a/v1", Token: "secret\n"}, "line break"},
		"unencrypted token":  {client.Options{URL: "http://a.example.com/v1", Token: "secret"}, "not encrypted"},
		"unencrypted":        {client.Options{URL: "http://192.0.2.1/v1", User: "u", Password: "secret"}, "not encrypted"},
	} {
		_, err := client.New(c.options)
		if licensing.KindOf(err) != licensing.Invalid || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v; want one that says %q", name, err, c.says)
		}
	}
	for _, o := range []client.Options{
		{URL: "http://localhost/v1", Token: "secret"}, {URL: "http://[::1]:5985/v1", Token: "secret"}, {URL: "http://127.1.2.3/v1", User: "u", Password: "p"},
		{URL: "http://a.example.com/v1"}, {URL: "http://a.example.com/v1", Token: "secret", AllowUnencrypted: true}, {URL: "https://a.example.com/prefix/v1/", Token: "secret"},
	} {
		if _, err := client.New(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// FuzzAnswers lets a server answer whatever it likes: each answer is an answer, or a Fault that is not internal.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/json", `{"outcome":"issued","license":{"id":1}}`)
	f.Add(409, wire.ProblemJSON, `{"type":"urn:calkeeper:problem:unlicensed","reason":"no-free-cal"}`)
	f.Add(500, wire.ProblemJSON, `{"type":"urn:calkeeper:problem:internal"}`)
	f.Add(200, wire.EventStream, "id: 7\nevent: issue\ndata: {\"seq\":7}\n\n")
	f.Add(404, ";", "\xff")
	var status int
	var contentType, body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	f.Cleanup(server.Close)
	c, err := client.New(client.Options{URL: server.URL, Token: "ckh_secret"})
	must(f, err)
	f.Fuzz(func(t *testing.T, s int, ct, b string) {
		status, contentType, body = 200+(s%400+400)%400, ct, b
		_, err := c.Request(t.Context(), wire.Request{User: "ada"}, "")
		if err != nil && licensing.KindOf(err) == licensing.Internal {
			t.Errorf("%d %s %q: %v", status, contentType, body, err)
		}
		for _, err := range c.StreamEvents(t.Context(), 0) {
			if err != nil && licensing.KindOf(err) == licensing.Internal {
				t.Errorf("%d %s %q: the stream: %v", status, contentType, body, err)
			}
		}
	})
}
