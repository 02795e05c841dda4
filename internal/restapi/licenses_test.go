package restapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/receipt"
	"calkeeper/internal/restapi/wire"
)

const licenses = "/v1/licenses"

func TestRequestPerUser(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	var first, again wire.Answer
	w := h.ask(users, http.MethodPost, licenses, `{"user":"EXAMPLE\\Ada","device":{"id":"ip:192.0.2.7","name":"DEV1"}}`, http.StatusCreated, &first)
	if got := w.Header().Get("Location"); got != fmt.Sprintf("/v1/licenses/%d", first.License.ID) {
		t.Errorf("Location is %q", got)
	}
	want := wire.License{
		ID: first.License.ID, KeyPackID: h.packs["per-user"], ProductVersion: "ws2022", Type: "per-user", Status: "active", User: `EXAMPLE\Ada`,
		Device: first.License.Device, Host: users, Validated: true, Issued: h.clock(), Expires: h.clock().Add(licensing.PerUserTerm),
	}
	if first.Outcome != "issued" || first.License != want || *want.Device != (wire.Device{ID: "ip:192.0.2.7", Name: "DEV1"}) || first.Lease != nil {
		t.Errorf("got %+v; want the license %+v", first, want)
	}
	w = h.ask(users, http.MethodPost, licenses, `{"user":"ada@example.com"}`, http.StatusOK, &again)
	if again.Outcome != "held" || again.License.ID != first.License.ID || w.Header().Get("Location") != "" {
		t.Errorf("again: %+v, Location %q", again, w.Header().Get("Location"))
	}
	var got wire.License
	h.ask(users, http.MethodGet, fmt.Sprint(licenses, "/", first.License.ID), "", http.StatusOK, &got)
	if got.ID != first.License.ID || got.User != again.License.User {
		t.Errorf("the license is %+v", got)
	}
}

func TestRequestPerDevice(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	const body = `{"user":"ada","device":{"name":"DEV1"}}`
	var a wire.Answer
	h.ask(devices, http.MethodPost, licenses, body, http.StatusCreated, &a)
	if a.License.Status != "temporary" || a.License.Validated {
		t.Errorf("at first: %+v", a)
	}
	h.ask(devices, http.MethodPost, licenses+"/validate", body, http.StatusOK, &a)
	if a.Outcome != "validated" || !a.License.Validated {
		t.Errorf("validated: %+v", a)
	}
	h.ask(devices, http.MethodPost, licenses, body, http.StatusCreated, &a)
	if a.Outcome != "upgraded" || a.License.Status != "active" || a.License.Type != "per-device" {
		t.Errorf("at the next connection: %+v", a)
	}
	h.ask(devices, http.MethodPost, licenses+"/renew", body, http.StatusOK, &a)
	if a.Outcome != "held" {
		t.Errorf("renewed too early: %+v", a)
	}
	h.pass(a.License.Expires.Sub(h.clock()) - time.Hour)
	h.ask(devices, http.MethodPost, licenses+"/renew", body, http.StatusOK, &a)
	if a.Outcome != "renewed" {
		t.Errorf("renewed in time: %+v", a)
	}
	h.refused(devices, http.MethodPost, licenses+"/renew", `{"device":{"name":"DEV2"}}`, http.StatusNotFound, "not-found", "DEV2 holds no CAL")
}

func TestDenied(t *testing.T) {
	h := newHouse(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 100}}, nil)
	for i := range 10 {
		h.ask(users, http.MethodPost, licenses, fmt.Sprintf(`{"user":"user%d"}`, i), http.StatusCreated, nil)
	}
	p := h.refused(users, http.MethodPost, licenses, `{"user":"ada","device":{"id":"ip:192.0.2.7"}}`, http.StatusConflict, "unlicensed", "no license for ada")
	if p.Reason != "over-use-limit" && p.Reason != "no-free-cal" {
		t.Errorf("the reason is %q", p.Reason)
	}
	var page wire.DenialPage
	h.ask(auditor, http.MethodGet, "/v1/denials", "", http.StatusOK, &page)
	if len(page.Denials) != 1 || page.Next != 0 {
		t.Fatalf("denials: %+v", page)
	}
	d := page.Denials[0]
	if d.Host != users || d.User != "ada" || d.Device == nil || d.Device.ID != "ip:192.0.2.7" || d.Reason != p.Reason || d.Type != "per-user" ||
		d.ProductVersion != "ws2022" || d.Detail != p.Detail || !d.At.Equal(h.clock()) {
		t.Errorf("the denial is %+v", d)
	}
	var c wire.Counters
	h.ask(auditor, http.MethodGet, "/v1/counters", "", http.StatusOK, &c)
	if len(c.Counters) != 2 || c.Counters[1] != (wire.Counter{ProductVersion: "ws2022", Type: "per-user", Installed: 10, Issued: 10, Denied: 1}) ||
		len(c.Denials) != 1 || c.Denials[0] != (wire.DenialCount{ProductVersion: "ws2022", Type: "per-user", Reason: p.Reason, Count: 1}) {
		t.Errorf("counters: %+v", c)
	}
}

func TestConcurrent(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	var a wire.Answer
	h.ask(farm, http.MethodPost, licenses, `{"user":"ada","device":{"id":"ip:192.0.2.7"},"provisional":true}`, http.StatusCreated, &a)
	if a.Lease == nil || !a.Lease.Provisional || a.Lease.Session != "" {
		t.Fatalf("provisional: %+v", a)
	}
	h.ask(farm, http.MethodPost, licenses+"/validate", `{"user":"ada","session":":10"}`, http.StatusOK, &a)
	if a.Lease == nil || a.Lease.Provisional || a.Lease.Session != ":10" || a.Lease.Host != farm || a.Lease.License != a.License.ID {
		t.Fatalf("validated: %+v", a)
	}
	lease := fmt.Sprintf("/v1/leases/%d", a.Lease.ID)
	h.pass(30 * time.Minute)
	var l wire.Lease
	h.ask(farm, http.MethodPost, lease+"/renew", "", http.StatusOK, &l)
	if !l.Expires.Equal(h.clock().Add(time.Hour)) {
		t.Errorf("renewed: %+v", l)
	}
	h.refused(users, http.MethodPost, lease+"/renew", "", http.StatusNotFound, "not-found", "no lease")
	h.refused(users, http.MethodDelete, lease, "", http.StatusNotFound, "not-found", "no lease")
	for caller, want := range map[string]int{farm: 1, users: 0, administrator: 1} {
		var page wire.LeasePage
		h.ask(caller, http.MethodGet, "/v1/leases?user=ADA", "", http.StatusOK, &page)
		if len(page.Leases) != want {
			t.Errorf("%s sees %+v", caller, page)
		}
	}
	h.refused(users, http.MethodGet, "/v1/leases?host="+farm, "", http.StatusForbidden, "denied", "its own leases only")
	var ended wire.Ended
	h.ask(farm, http.MethodPost, licenses+"/release", `{"user":"ada","session":":10"}`, http.StatusOK, &ended)
	if ended != (wire.Ended{Leases: 1, Licenses: 1}) {
		t.Errorf("released: %+v", ended)
	}
	h.ask(farm, http.MethodPost, licenses, `{"user":"bob","session":":11"}`, http.StatusCreated, &a)
	h.ask(administrator, http.MethodDelete, fmt.Sprintf("/v1/leases/%d", a.Lease.ID), "", http.StatusOK, &ended)
	if ended != (wire.Ended{Leases: 1, Licenses: 1}) {
		t.Errorf("ended: %+v", ended)
	}
}

func TestIdempotencyKey(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	ask := func(key, body string) *http.Request {
		r := h.request(users, http.MethodPost, licenses, body)
		r.Header["Idempotency-Key"] = []string{key}
		return r
	}
	first := h.do(ask(`"8e03978e-40d5"`, `{"user":"ada"}`))
	for _, key := range []string{`"8e03978e-40d5"`, `8e03978e-40d5`} {
		again := h.do(ask(key, `{"user":"ada"}`))
		if first.Code != http.StatusCreated || again.Code != http.StatusCreated || again.Body.String() != first.Body.String() {
			t.Errorf("at first %d %s, then %d %s", first.Code, first.Body, again.Code, again.Body)
		}
	}
	h.refusal(ask(`"8e03978e-40d5"`, `{"user":"bob"}`), http.StatusUnprocessableEntity, "already-exists", "another request")
	h.ask(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusOK, nil)
	if w := h.do(ask(`"a \"quoted\\ key\""`, `{"user":"eve"}`)); w.Code != http.StatusCreated {
		t.Errorf("an escaped key: %d", w.Code)
	}
	if w := h.do(ask(`a "quoted\ key"`, `{"user":"eve"}`)); w.Code != http.StatusCreated {
		t.Errorf("the same without quotes: %d", w.Code)
	}
	for _, key := range []string{"", `"`, `""`, `"x`, `"x"y`, `"x";a=1`, `"\x"`, `"x\"`, strings.Repeat("k", 256), "kéy", "k\x00", `"k` + "\t" + `"`} {
		h.refusal(ask(key, `{"user":"ada"}`), http.StatusUnprocessableEntity, "invalid", "")
	}
	twice := ask("a", `{"user":"ada"}`)
	twice.Header.Add("Idempotency-Key", "a")
	h.refusal(twice, http.StatusUnprocessableEntity, "invalid", "2 times")
}

func TestReceipt(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	ids := map[string]bool{}
	for host, want := range map[string]receipt.Claims{
		users:   {User: "ada@example", Device: "id:ip:192.0.2.7"},
		devices: {User: "bob@example", Device: "id:ip:192.0.2.7"},
		farm:    {User: "eve@example", Device: "id:ip:192.0.2.7"},
	} {
		var a wire.Answer
		body := `{"user":"` + strings.ToUpper(want.User) + `.ORG","device":{"id":"IP:192.0.2.7","name":"DEV1"},"receipt":true}`
		want.Expires = h.clock().Add(7 * 24 * time.Hour)
		h.ask(host, http.MethodPost, licenses, body, http.StatusCreated, &a)
		got, err := receipt.Verify(publicKey(h), a.Receipt, h.clock())
		want.Issuer, want.Host, want.LicenseID, want.Issued, want.ID = "ls1.example.com", host, a.License.ID, h.clock(), got.ID
		if err != nil || got != want || len(got.ID) != 32 || ids[got.ID] {
			t.Errorf("the receipt says %+v, %v; want %+v", got, err, want)
		}
		ids[got.ID] = true
	}
	// That of a session is for the device of its logon.
	var a wire.Answer
	h.ask(farm, http.MethodPost, licenses, `{"user":"kim","device":{"id":"ip:192.0.2.8"},"provisional":true}`, http.StatusCreated, &a)
	h.ask(farm, http.MethodPost, licenses+"/validate", `{"user":"kim","session":":10","receipt":true}`, http.StatusOK, &a)
	if got, err := receipt.Verify(publicKey(h), a.Receipt, h.clock()); err != nil || got.User != "kim@" || got.Device != "id:ip:192.0.2.8" {
		t.Errorf("of a session: %+v, %v", got, err)
	}
	// One of a license that ends sooner ends with it.
	h.ask(devices, http.MethodPost, licenses, `{"device":{"id":"x"},"receipt":true}`, http.StatusCreated, &a)
	h.pass(licensing.TemporaryTerm - 24*time.Hour)
	h.ask(devices, http.MethodPost, licenses, `{"device":{"id":"x"},"receipt":true}`, http.StatusOK, &a)
	got, err := receipt.Verify(publicKey(h), a.Receipt, h.clock())
	if err != nil || !got.Expires.Equal(a.License.Expires) || got.Device != "id:x" || got.User != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	h.ask(devices, http.MethodPost, licenses, `{"device":{"id":"x"}}`, http.StatusOK, &a)
	if w := h.ask(devices, http.MethodPost, licenses, `{"device":{"id":"x"}}`, http.StatusOK, nil); strings.Contains(w.Body.String(), "receipt") {
		t.Errorf("a receipt that nobody asked for: %s", w.Body)
	}
}

func TestListLicenses(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	var ids []uint32
	for i := range 5 {
		var a wire.Answer
		h.ask([]string{users, farm}[i%2], http.MethodPost, licenses, fmt.Sprintf(`{"user":"user%d"}`, i), http.StatusCreated, &a)
		ids = append(ids, a.License.ID)
	}
	for caller, want := range map[string][]uint32{auditor: ids, users: {ids[0], ids[2], ids[4]}, devices: nil} {
		var got []uint32
		target := licenses + "?limit=2"
		for pages := 0; target != "" && pages < 10; pages++ {
			var page wire.LicensePage
			w := h.ask(caller, http.MethodGet, target, "", http.StatusOK, &page)
			for _, l := range page.Licenses {
				got = append(got, l.ID)
			}
			link := w.Header().Get("Link")
			target = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
			if (page.Next != 0) != (link != "") || link != "" && target != fmt.Sprintf(licenses+"?after=%d&limit=2", page.Next) {
				t.Errorf("next is %d, Link %q", page.Next, link)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s sees %v, want %v", caller, got, want)
		}
	}
	for query, want := range map[string]int{
		"search=USER3": 1, "search=user": 5, "search=nobody": 0, "search=%25": 0, "status=active": 3, "status=concurrent": 2, "status=revoked": 0,
		fmt.Sprint("after=", ids[2]): 2, "after=4294967295": 0, fmt.Sprint("keyPack=", h.packs["per-user"]): 5, fmt.Sprint("keyPack=", h.packs["per-device"]): 0,
	} {
		var page wire.LicensePage
		w := h.ask(auditor, http.MethodGet, licenses+"?"+query, "", http.StatusOK, &page)
		if len(page.Licenses) != want || !strings.Contains(w.Body.String(), `"licenses":[`) {
			t.Errorf("%s: %s; want %d", query, w.Body, want)
		}
	}
	h.refused(devices, http.MethodGet, fmt.Sprint(licenses, "/", ids[0]), "", http.StatusNotFound, "not-found", "no CAL")
	h.refused(auditor, http.MethodGet, licenses+"/4294967295", "", http.StatusNotFound, "not-found", "")
}

func TestRevokeAndRelease(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	var ids []uint32
	for i := range 3 {
		var a wire.Answer
		body := fmt.Sprintf(`{"device":{"id":"dev%d"}}`, i)
		h.ask(devices, http.MethodPost, licenses+"/validate", body, http.StatusOK, nil)
		h.ask(devices, http.MethodPost, licenses, body, http.StatusCreated, &a)
		ids = append(ids, a.License.ID)
	}
	for i, want := range []uint32{1, 0} {
		var rest wire.Revocation
		h.ask(administrator, http.MethodPost, fmt.Sprintf(licenses+"/%d/revoke", ids[i]), "", http.StatusOK, &rest)
		if rest.RevokableCALs != want {
			t.Errorf("after the first %d: %+v", i+1, rest)
		}
	}
	p := h.refused(administrator, http.MethodPost, fmt.Sprintf(licenses+"/%d/revoke", ids[2]), "", http.StatusUnprocessableEntity, "out-of-range", "20 percent")
	if p.Revocation == nil || p.Revocation.RevokableCALs != 0 || !p.Revocation.NextRevokeAllowedOn.After(h.clock()) {
		t.Errorf("the problem has %+v", p.Revocation)
	}
	h.refused(administrator, http.MethodPost, licenses+"/4294967295/revoke", "", http.StatusNotFound, "not-found", "")
	h.refused(administrator, http.MethodDelete, fmt.Sprint(licenses, "/", ids[2]), "", http.StatusUnprocessableEntity, "not-supported", "revoke it")
	var a wire.Answer
	h.ask(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusCreated, &a)
	if w := h.ask(administrator, http.MethodDelete, fmt.Sprint(licenses, "/", a.License.ID), "", http.StatusNoContent, nil); w.Body.Len() > 0 {
		t.Errorf("a body with 204: %s", w.Body)
	}
	h.refused(administrator, http.MethodDelete, fmt.Sprint(licenses, "/", a.License.ID), "", http.StatusNotFound, "not-found", "")
	if log := h.log.String(); !strings.Contains(log, "level=INFO msg=\"rest: request refused\"") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log is\n%s", log)
	}
}
