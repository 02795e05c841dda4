package server_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/server"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/licensing"
)

// functions are all of the operator's, with a request that is right.
var functions = map[string]string{
	wire.CreateOrganization: `{"name":"Second"}`,
	wire.Organizations:      `{}`,
	wire.Sell:               `{"credentials":{"program":"open"},"productVersion":7,"productType":1,"count":5}`,
	wire.IssueCode:          `{"entitlement":"none","count":1,"target":"none"}`,
	wire.CancelCode:         `{"serial":9}`,
	wire.ActivationCode:     `{"productId":"none","name":"a"}`,
	wire.DeactivationCode:   `{"licenseServerId":"none"}`,
	wire.Approve:            `{"productId":"none","name":"a"}`,
	wire.Entitlements:       `{}`,
	wire.Servers:            `{}`,
	wire.Transfers:          `{}`,
	wire.Codes:              `{}`,
	wire.Ledger:             `{"limit":10}`,
	wire.Check:              `{}`,
}

func command(function, authorization, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, wire.OperatorPath+function, strings.NewReader(body))
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// TestOperatorToken: nobody else is the operator.
func TestOperatorToken(t *testing.T) {
	o := newOffice(t)
	for function, body := range functions {
		for _, authorization := range []string{"", token, "Bearer", "Bearer ", "Bearer " + token[1:], "Bearer " + token + " ", "bearer " + token, "Basic " + token} {
			o.wantProblem(command(function, authorization, body), http.StatusForbidden, licensing.Denied)
		}
		if status, body := o.ask(command(function, "Bearer "+token, body)); status == http.StatusForbidden || status >= 500 {
			t.Errorf("%s: %d %s", function, status, body)
		}
	}
	if strings.Contains(o.log.String(), token) {
		t.Error("the token is in the log")
	}
	without := server.New(o.service, server.Options{Authority: o.authority, Logger: slog.New(slog.DiscardHandler)})
	for _, authorization := range []string{"Bearer ", "Bearer " + token} {
		w := httptest.NewRecorder()
		without.ServeHTTP(w, command(wire.Organizations, authorization, "{}"))
		if w.Code != http.StatusNotFound {
			t.Errorf("without a token in its options the operator's interface answers %d", w.Code)
		}
	}
}

func TestOperatorBodies(t *testing.T) {
	o := newOffice(t)
	for function := range functions {
		for _, body := range []string{"", "garbage", `{"unknown":1}`, "[]", strings.Repeat(" ", 2<<20)} {
			o.wantProblem(command(function, "Bearer "+token, body), http.StatusUnprocessableEntity, licensing.Invalid)
		}
	}
}

// TestOperatorFunctions calls them for what they are for.
func TestOperatorFunctions(t *testing.T) {
	o := newOffice(t)
	call := func(function, body string, answer any) {
		t.Helper()
		status, text := o.ask(command(function, "Bearer "+token, body))
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", function, status, text)
		}
		if err := json.Unmarshal(text, answer); err != nil {
			t.Fatalf("%s: %s: %v", function, text, err)
		}
	}
	var sale clearinghouse.Sale
	call(wire.Sell, functions[wire.Sell], &sale)
	if sale.Count != 5 || len(sale.Credentials.AuthorizationNumber) != licensing.AuthorizationNumberLength {
		t.Errorf("sold %+v", sale)
	}
	var servers []clearinghouse.ServerView
	call(wire.Servers, "{}", &servers)
	if len(servers) != 1 || servers[0].ProductID != o.member.productID {
		t.Fatalf("the license servers are %+v", servers)
	}
	issue, err := json.Marshal(clearinghouse.CodeRequest{Entitlement: sale.Entitlement, ProductType: 1, Count: 2, Target: servers[0].LicenseServerID})
	if err != nil {
		t.Fatal(err)
	}
	var issued clearinghouse.IssuedCode
	call(wire.IssueCode, string(issue), &issued)
	var entries []clearinghouse.Entry
	call(wire.Ledger, `{"after":1,"limit":10}`, &entries)
	if len(entries) != 1 || entries[0].Kind != "code" {
		t.Errorf("the ledger has %+v", entries)
	}
	var code clearinghouse.Code
	serial, err := json.Marshal(wire.Serial{Serial: issued.Serial})
	if err != nil {
		t.Fatal(err)
	}
	call(wire.CancelCode, string(serial), &code)
	var wrong []string
	call(wire.Check, "{}", &wrong)
	if code.State != clearinghouse.CodeCanceled || len(wrong) > 0 {
		t.Errorf("canceled as %+v; the ledger: %q", code, wrong)
	}
	var id, confirmation string
	enrollee, err := json.Marshal(wire.Enrollee{ProductID: o.newStranger().productID, Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	call(wire.ActivationCode, string(enrollee), &id)
	deactivate, err := json.Marshal(wire.LicenseServer{LicenseServerID: id})
	if err != nil {
		t.Fatal(err)
	}
	call(wire.DeactivationCode, string(deactivate), &confirmation)
	if len(id) != 35 || len(confirmation) != 35 {
		t.Errorf("activated by %q, deactivated by %q", id, confirmation)
	}
}

// TestTransport carries requests in the process as a network would.
func TestTransport(t *testing.T) {
	o := newOffice(t)
	client := &http.Client{Transport: server.Transport(o.handler)}
	response, err := client.Get("https://clearinghouse.test" + wire.AuthorityPath)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || int64(len(body)) != response.ContentLength || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s, %v", response.StatusCode, body, err)
	}
}
