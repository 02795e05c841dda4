package restapi_test

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"calkeeper/internal/issuance"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

func TestAccounts(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	const bob, ada = "/v1/accounts/bob", "/v1/accounts/ada@EXAMPLE.ORG"
	sum := strings.Repeat("ab", 32)
	get := func(path string, want wire.Account) {
		t.Helper()
		var got wire.Account
		h.ask(administrator, http.MethodGet, path, "", http.StatusOK, &got)
		if want.Changed = h.clock(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v; want %+v", path, got, want)
		}
	}
	put := func(path, body string, want wire.Account) {
		t.Helper()
		var got wire.Account
		w := h.ask(administrator, http.MethodPut, path, body, http.StatusOK, &got)
		if want.Changed = h.clock(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v; want %+v", body, got, want)
		}
		if strings.Contains(w.Body.String(), "argon2") || strings.Contains(w.Body.String(), "correct-horse") {
			t.Errorf("%s", w.Body)
		}
		get(path, want)
	}
	put(bob, `{"role":"Auditor","password":"correct-horse"}`, wire.Account{Name: "bob", Role: "Auditor", Password: true})
	h.secrets["bob"] = "correct-horse"
	asBob := func(password string, status int) {
		t.Helper()
		r := h.request("", http.MethodGet, "/v1/hosts", "")
		r.SetBasicAuth("bob", password)
		if w := h.do(r); w.Code != status {
			t.Errorf("bob: %d; want %d", w.Code, status)
		}
	}
	asBob("correct-horse", http.StatusOK)
	put("/v1/accounts/BOB", `{"role":"Operator"}`, wire.Account{Name: "bob", Role: "Operator", Password: true})
	put(bob, `{"ntlm":true,"password":"battery-staple","certificate":"`+strings.ToUpper(sum)+`"}`,
		wire.Account{Name: "bob", Role: "Operator", Password: true, NTLM: true, Certificate: sum})
	asBob("correct-horse", http.StatusUnauthorized) // at once
	asBob("battery-staple", http.StatusOK)
	put(bob, `{"ntlm":false,"certificate":""}`, wire.Account{Name: "bob", Role: "Operator", Password: true})
	put(ada, `{"role":"Operator"}`, wire.Account{Name: "ada@EXAMPLE.ORG", Role: "Operator"})

	for body, says := range map[string]string{
		`{}`:                                      "role",
		`{"role":"Auditor"}`:                      "neither password nor certificate",
		`{"role":"administrator"}`:                "role",
		`{"role":"Auditor","password":"short"}`:   "8 to 1024",
		`{"role":"Auditor","certificate":"xyz"}`:  "64 hexadecimal",
		`{"role":"Auditor","certificate":"abcd"}`: "32",
		`{"role":"Auditor","hash":"x"}`:           "hash",
	} {
		h.refused(administrator, http.MethodPut, "/v1/accounts/eve", body, http.StatusUnprocessableEntity, "invalid", says)
	}
	h.refused(administrator, http.MethodPut, "/v1/accounts/a:b", `{"role":"Auditor","password":"12345678"}`, http.StatusUnprocessableEntity, "invalid", "colon")
	h.refused(administrator, http.MethodPut, "/v1/accounts/"+url.PathEscape("a\nb"), `{"role":"Auditor","password":"12345678"}`, http.StatusUnprocessableEntity, "invalid", "control")
	h.refused(administrator, http.MethodGet, "/v1/accounts/eve", "", http.StatusNotFound, "not-found", "")
	h.refused(administrator, http.MethodDelete, "/v1/accounts/eve", "", http.StatusNotFound, "not-found", "there is no account eve")
	h.refused(administrator, http.MethodDelete, "/v1/accounts/"+administrator, "", http.StatusUnprocessableEntity, "not-supported", "no Administrator")
	h.refused(administrator, http.MethodPut, "/v1/accounts/"+administrator, `{"role":"Auditor"}`, http.StatusUnprocessableEntity, "not-supported", "no Administrator")
	put(bob, `{"certificate":"`+sum+`"}`, wire.Account{Name: "bob", Role: "Operator", Password: true, Certificate: sum})
	h.refused(administrator, http.MethodPut, "/v1/accounts/eve", `{"role":"Auditor","certificate":"`+sum+`"}`, http.StatusConflict, "already-exists", "")

	h.ask(administrator, http.MethodDelete, "/v1/accounts/Ada@example.org", "", http.StatusNoContent, nil)
	var list wire.Accounts
	h.ask(administrator, http.MethodGet, "/v1/accounts", "", http.StatusOK, &list)
	var names []string
	for _, a := range list.Accounts {
		names = append(names, a.Name)
	}
	if !strings.Contains(strings.Join(names, " "), administrator+" "+auditor+" bob") || strings.Contains(strings.Join(names, " "), "ada") {
		t.Errorf("accounts: %q", names)
	}
	h.ask(administrator, http.MethodDelete, bob, "", http.StatusNoContent, nil)
	asBob("battery-staple", http.StatusUnauthorized)

	var last store.AuditRecord
	must(t, h.store.View(context.Background(), func(r store.Reader) error {
		records, err := r.AuditRecords(0, 1000)
		for _, r := range records {
			if r.Action == "remove account" {
				last = r
			}
		}
		return err
	}))
	if last.Actor != administrator || last.Detail != "bob" || last.Origin != (store.Origin{Remote: "192.0.2.9", Mechanism: "Basic"}) {
		t.Errorf("recorded: %+v", last)
	}
}

// TestLockedOut: who failed too often is told when to come back, also with the right password.
func TestLockedOut(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	ask := func(password string) *http.Request {
		r := h.request("", http.MethodGet, "/v1/server", "")
		r.SetBasicAuth(auditor, password)
		return r
	}
	for range 6 {
		h.refusal(ask("wrong password"), http.StatusUnauthorized, "denied", "user or password is wrong")
	}
	h.refusal(ask(h.secrets[auditor]), http.StatusTooManyRequests, "limited", "too many failed authentications")
	w := h.do(ask(h.secrets[auditor]))
	if n, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || n != 1 {
		t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
	}
	h.pass(1e9)
	if w := h.do(ask(h.secrets[auditor])); w.Code != http.StatusOK {
		t.Errorf("a second later: %d", w.Code)
	}
}
