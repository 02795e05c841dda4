package restapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

func TestAuthentication(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Limits.FailureBurst = 100 })
	token := h.secrets[users]
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"token":                     {[]string{"Bearer " + token}, 200},
		"token, scheme in capitals": {[]string{"BEARER " + token}, 200},
		"nothing":                   {nil, 401},
		"empty":                     {[]string{""}, 401},
		"only a scheme":             {[]string{"Bearer"}, 401},
		"empty token":               {[]string{"Bearer "}, 401},
		"wrong token":               {[]string{"Bearer ckh_" + strings.Repeat("a", 52)}, 401},
		"token and a space":         {[]string{"Bearer " + token + " "}, 401},
		"two spaces":                {[]string{"Bearer  " + token}, 401},
		"capital token":             {[]string{"Bearer " + strings.ToUpper(token)}, 401},
		"long token":                {[]string{"Bearer " + strings.Repeat("a", 60_000)}, 401},
		"binary token":              {[]string{"Bearer \xff\x00"}, 401},
		"token as password":         {[]string{basic(users, token)}, 401},
		"account":                   {[]string{basic(administrator, h.secrets[administrator])}, 200},
		"account with domain":       {[]string{basic(`LS1\ADMIN`, h.secrets[administrator])}, 200},
		"wrong password":            {[]string{basic(administrator, "12345678")}, 401},
		"no such account":           {[]string{basic("nobody", "12345678")}, 401},
		"not base64":                {[]string{"Basic %%%"}, 401},
		"no colon":                  {[]string{"Basic YWRtaW4="}, 401},
		"another scheme":            {[]string{"Negotiate " + token}, 401},
		"twice":                     {[]string{"Bearer " + token, "Bearer " + token}, 401},
	} {
		r := h.request("", http.MethodGet, "/v1/server", "")
		if c.header != nil {
			r.Header["Authorization"] = c.header
		}
		if w := h.do(r); w.Code != c.status {
			t.Errorf("%s: %d, want %d", name, w.Code, c.status)
		}
	}
	must(t, h.service.RemoveHost(context.Background(), "test", users))
	h.refused(users, http.MethodGet, "/v1/server", "", http.StatusUnauthorized, "denied", "")
}

// TestRefusedHostIsRecorded, without the token.
func TestRefusedHostIsRecorded(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	r := h.request("", http.MethodGet, "/v1/server", "")
	r.Header.Set("Authorization", "Bearer ckh_"+strings.Repeat("a", 52))
	r.RemoteAddr = "192.0.2.9:1"
	if w := h.do(r); w.Code != http.StatusUnauthorized {
		t.Fatalf("status %d", w.Code)
	}
	var last store.AuditRecord
	must(t, h.store.View(context.Background(), func(r store.Reader) error {
		for record, err := range store.AllAudit(r) {
			if err != nil {
				return err
			}
			last = record
		}
		return nil
	}))
	if last.Action != "logon refused" || last.Actor != "unknown" || last.Origin != (store.Origin{Remote: "192.0.2.9", Mechanism: "Token"}) ||
		strings.Contains(last.Detail, "aaaa") {
		t.Errorf("recorded: %+v", last)
	}
}

func basic(user, password string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// TestUnencrypted: over plain HTTP, credentials are taken from this machine only.
func TestUnencrypted(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.AllowUnencrypted = false })
	for _, caller := range []string{users, administrator} {
		h.refused(caller, http.MethodGet, "/v1/server", "", http.StatusUnauthorized, "denied", "over TLS, or from this machine, only")
	}
	url := h.serve()
	for _, caller := range []string{users, administrator} {
		r, err := http.NewRequest(http.MethodGet, url+"/v1/server", nil)
		must(t, err)
		h.as(caller, r)
		response, err := http.DefaultClient.Do(r)
		must(t, err)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s from this machine: %d", caller, response.StatusCode)
		}
	}
}

// certificate returns a certificate that signs itself.
func certificate(t *testing.T, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rds4"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestClientCertificate(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	server := httptest.NewUnstartedServer(h.handler)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	get := func(c *tls.Certificate, token string) (int, wire.Server) {
		transport := server.Client().Transport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		if c != nil {
			transport.TLSClientConfig.Certificates = []tls.Certificate{*c}
		}
		r, err := http.NewRequest(http.MethodGet, server.URL+"/v1/leases", nil)
		must(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := transport.RoundTrip(r)
		must(t, err)
		response.Body.Close()
		return response.StatusCode, wire.Server{}
	}
	now := h.clock()
	good := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	sum := sha256.Sum256(good.Certificate[0])
	colons := strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf("% X", sum[:])), " ", ":")
	var added wire.AddedHost
	h.ask(administrator, http.MethodPost, "/v1/hosts", `{"name":"RDS4.example.com.","productVersion":"ws2019","mode":"per-device","certificate":"`+colons+`"}`,
		http.StatusCreated, &added)
	if added.Token != "" || added.Host.Name != "rds4.example.com" || added.Host.Certificate != fmt.Sprintf("%x", sum) {
		t.Errorf("registered: %+v", added)
	}
	other := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	for name, c := range map[string]struct {
		certificate *tls.Certificate
		token       string
		want        int
	}{
		"none":                   {nil, "", 401},
		"registered":             {&good, "", 200},
		"another":                {&other, "", 401},
		"another, and a token":   {&other, h.secrets[users], 200},
		"registered, bad token":  {&good, "x", 401},
		"registered, good token": {&good, h.secrets[users], 200},
	} {
		if got, _ := get(c.certificate, c.token); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	h.pass(2 * time.Hour)
	if got, _ := get(&good, ""); got != http.StatusUnauthorized {
		t.Errorf("after its end: %d", got)
	}
	h.pass(-4 * time.Hour)
	if got, _ := get(&good, ""); got != http.StatusUnauthorized {
		t.Errorf("before its beginning: %d", got)
	}
}

// TestStranger: with the license server security group off, a session host that is not registered is known by its address.
func TestStranger(t *testing.T) {
	h := newHouse(t, issuance.Policies{AnyHost: true}, nil)
	const said = `"sessionHost":{"version":"ws2019","mode":"per-user"}`
	var a wire.Answer
	h.ask("", http.MethodPost, licenses, `{"user":"ada",`+said+`}`, http.StatusCreated, &a)
	if a.License.Host != "192.0.2.9" || a.License.ProductVersion != "ws2022" {
		t.Errorf("got %+v", a)
	}
	for body, says := range map[string]string{
		`{"user":"ada"}`:                                                                    "body.sessionHost is missing",
		`{"user":"ada","sessionHost":null}`:                                                 "body.sessionHost is missing",
		`{"user":"ada","sessionHost":{}}`:                                                   "version",
		`{"user":"ada","sessionHost":{"version":"xp","mode":"per-user"}}`:                   "xp",
		`{"user":"ada","sessionHost":{"version":"ws2019","mode":"x"}}`:                      "licensing mode",
		`{"user":"ada","sessionHost":{"version":"ws2019","mode":"per-user","name":"rds1"}}`: "name",
	} {
		h.refused("", http.MethodPost, licenses, body, http.StatusUnprocessableEntity, "invalid", says)
	}
	h.refused("", http.MethodGet, licenses, "", http.StatusUnauthorized, "denied", "only registered")
	h.refused(users, http.MethodPost, licenses, `{"user":"ada",`+said+`}`, http.StatusUnprocessableEntity, "invalid", "leave it out, rds1.example.com is registered as ws2022, per-user")
	_, err := h.service.AddHost(context.Background(), "test", licensing.Host{Name: "192.0.2.9", ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerUser})
	must(t, err)
	h.refused("", http.MethodPost, licenses, `{"user":"ada",`+said+`}`, http.StatusUnauthorized, "denied", "say who asks")

	closed := newHouse(t, issuance.Policies{}, nil)
	closed.refused("", http.MethodPost, licenses, `{"user":"ada",`+said+`}`, http.StatusUnauthorized, "denied", "say who asks")
}

func TestHosts(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	var added wire.AddedHost
	w := h.ask(administrator, http.MethodPost, "/v1/hosts", `{"name":"RDS4","productVersion":"ws2008r2","mode":"per-user","concurrent":true,"leaseTtlSeconds":120}`,
		http.StatusCreated, &added)
	want := wire.Host{Name: "rds4", ProductVersion: "ws2008", Mode: "per-user", Concurrent: true, LeaseTTLSeconds: 120, Added: h.clock()}
	if !reflect.DeepEqual(added.Host, want) || w.Header().Get("Location") != "/v1/hosts/rds4" || !strings.HasPrefix(added.Token, "ckh_") {
		t.Errorf("got %+v, Location %q; want %+v", added.Host, w.Header().Get("Location"), want)
	}
	h.secrets["rds4"] = added.Token
	h.ask("rds4", http.MethodGet, "/v1/leases", "", http.StatusOK, nil)
	h.refused(administrator, http.MethodPost, "/v1/hosts", `{"name":"rds4","productVersion":"ws2022","mode":"per-user"}`, http.StatusConflict, "already-exists", "")
	for body, says := range map[string]string{
		`{"name":"a b","productVersion":"ws2022","mode":"per-user"}`:                                                     "name",
		`{"name":"","productVersion":"ws2022","mode":"per-user"}`:                                                        "name",
		`{"name":"rds5","productVersion":"xp","mode":"per-user"}`:                                                        "xp",
		`{"name":"rds5","productVersion":"ws2022","mode":"x"}`:                                                           "mode",
		`{"name":"rds5","productVersion":"ws2022"}`:                                                                      "mode",
		`{"name":"rds5","productVersion":"ws2022","mode":"per-user","leaseTtlSeconds":60}`:                               "does not count sessions",
		`{"name":"rds5","productVersion":"ws2022","mode":"per-user","concurrent":true,"leaseTtlSeconds":59}`:             "59s",
		`{"name":"rds5","productVersion":"ws2022","mode":"per-user","certificate":"abc"}`:                                "64 hexadecimal",
		`{"name":"rds5","productVersion":"ws2022","mode":"per-user","certificate":"abcd"}`:                               "32",
		`{"name":"rds5","productVersion":"ws2022","mode":"per-user","concurrent":true,"leaseTtlSeconds":99999999999999}`: "leaseTtlSeconds",
	} {
		h.refused(administrator, http.MethodPost, "/v1/hosts", body, http.StatusUnprocessableEntity, "invalid", says)
	}
	var token wire.Token
	h.ask(administrator, http.MethodPost, "/v1/hosts/RDS4/token", "", http.StatusOK, &token)
	h.refused("rds4", http.MethodGet, "/v1/leases", "", http.StatusUnauthorized, "denied", "")
	h.secrets["rds4"] = token.Token
	h.ask("rds4", http.MethodGet, "/v1/leases", "", http.StatusOK, nil)
	var list wire.Hosts
	w = h.ask(auditor, http.MethodGet, "/v1/hosts", "", http.StatusOK, &list)
	if len(list.Hosts) != 4 || strings.Contains(w.Body.String(), "ckh_") {
		t.Errorf("hosts: %s", w.Body)
	}
	h.ask(administrator, http.MethodDelete, "/v1/hosts/rds4", "", http.StatusNoContent, nil)
	h.refused("rds4", http.MethodGet, "/v1/leases", "", http.StatusUnauthorized, "denied", "")
	h.refused(administrator, http.MethodDelete, "/v1/hosts/rds4", "", http.StatusNotFound, "not-found", "")
	h.refused(administrator, http.MethodDelete, "/v1/hosts/%20", "", http.StatusUnprocessableEntity, "invalid", "")
	h.refused(administrator, http.MethodDelete, "/v1/hosts/%ff", "", http.StatusNotFound, "", "")
}

func TestKeyPacks(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	target := fmt.Sprintf("/v1/keypacks/%d/over-use", h.packs["per-user"])
	h.ask(administrator, http.MethodPut, target, `{"policy":"deny","denyBeyond":110,"warnAt":90}`, http.StatusNoContent, nil)
	var list wire.KeyPacks
	h.ask(auditor, http.MethodGet, "/v1/keypacks", "", http.StatusOK, &list)
	found := false
	for _, k := range list.KeyPacks {
		found = found || k.ID == h.packs["per-user"] && k.Kind == "volume" && k.Type == "per-user" && k.Total == 10 && k.Available == 10 &&
			k.OverUse == wire.OverUse{Policy: "deny", DenyBeyond: 110, WarnAt: 90}
	}
	if !found {
		t.Errorf("key packs: %+v", list)
	}
	h.ask(administrator, http.MethodPut, target, `{}`, http.StatusNoContent, nil)
	h.refused(administrator, http.MethodPut, target, `{"policy":"deny","denyBeyond":99}`, http.StatusUnprocessableEntity, "invalid", "99")
	h.refused(administrator, http.MethodPut, target, `{"policy":"maybe"}`, http.StatusUnprocessableEntity, "invalid", "body.policy")
	h.refused(administrator, http.MethodPut, "/v1/keypacks/4000000000/over-use", `{}`, http.StatusNotFound, "not-found", "")
	// The ID of a key pack plus 2^32 is not that key pack.
	h.refused(administrator, http.MethodPut, fmt.Sprintf("/v1/keypacks/%d/over-use", uint64(h.packs["per-user"])+1<<32), `{}`,
		http.StatusUnprocessableEntity, "invalid", "path.id")
}

func TestServer(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	var s wire.Server
	h.ask(users, http.MethodGet, "/v1/server", "", http.StatusOK, &s)
	if s != (wire.Server{Name: "ls1.example.com", Version: "1.2.3", Activated: true, ReceiptKey: "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="}) {
		t.Errorf("got %+v", s)
	}
	if w := h.ask(auditor, http.MethodGet, "/metrics", "", http.StatusOK, nil); w.Body.String() != "calkeeper_build_info 1\n" {
		t.Errorf("metrics: %s", w.Body)
	}
	none := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Metrics = nil })
	none.refused(auditor, http.MethodGet, "/metrics", "", http.StatusNotFound, "", "")
}
