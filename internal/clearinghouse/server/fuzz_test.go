package server_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/licensing"
)

// FuzzRequest sends bodies of a license server that is rightly authenticated and hostile: the clearinghouse refuses them, and its
// ledger balances.
func FuzzRequest(f *testing.F) {
	paths := []string{wire.ActivatePath, wire.ReactivatePath, wire.PerformPath, wire.PollPath, wire.DeactivatePath}
	o := newOffice(f)
	sale, err := o.service.Sell(f.Context(), clearinghouse.SellRequest{
		Credentials: licensing.Credentials{Program: licensing.Agreement, AgreementNumber: "1234567"}, ProductVersion: 7, Count: 10,
	})
	if err != nil {
		f.Fatal(err)
	}
	source := o.newMember("source")
	servers, err := o.service.Servers(f.Context(), "")
	if err != nil {
		f.Fatal(err)
	}
	sourceID := servers[1].LicenseServerID
	if _, err := o.service.Perform(f.Context(), source.productID, clearinghouse.Operation{
		Key: "key-of-the-source", Kind: clearinghouse.Install, Credentials: sale.Credentials, ProductVersion: 7, Count: 5,
	}); err != nil {
		f.Fatal(err)
	}
	for path, body := range map[uint8]string{
		0: `{"enrolmentKey":"x","name":"a.example.net","names":["b","192.0.2.1"],"contact":{"firstName":"a","lastName":"b","company":"c","countryRegion":"d"}}`,
		1: `{"name":"a","contact":{},"reason":4}`,
		3: `{"after":1,"waitMilliseconds":1}`,
		4: `{}`,
	} {
		f.Add(path, body)
	}
	for _, body := range []string{
		`{"key":"0123456789abcdef","kind":"install","credentials":{"program":"agreement","agreementNumber":"1234567"},"productVersion":7,"count":1}`,
		`{"key":"0123456789abcdeg","kind":"import","credentials":{"program":"agreement","agreementNumber":"1234567"},"productVersion":7,"count":1,"sourceName":"source","sourceId":"` + sourceID + `"}`,
		`{"key":"0123456789abcdeh","kind":"import","credentials":{"program":"agreement","agreementNumber":"1234567"},"productVersion":7,"sourceName":"source","sourceId":"` + sourceID + `"}`,
		`{"key":"0123456789abcdei","kind":"install","credentials":{"program":"retail","licenseCode":"RRRRR"}}`,
		`{"key":"0123456789abcdej","kind":"convert","entitlement":"` + sale.Entitlement + `","productType":0,"count":1}`,
		`{"key":"0123456789abcdek","kind":"return","entitlement":"` + sale.Entitlement + `","productType":1,"count":4294967295}`,
		`{"key":"0123456789abcdel","kind":"reinstall","credentials":{"program":"agreement","agreementNumber":"1234567"},"productVersion":7,"count":1,"installed":[{"entitlement":"x","count":1}]}`,
		`{"key":"0123456789abcdem","kind":"redeem","code":"` + sourceID + `","targetId":"` + sourceID + `","grant":"x"}`,
		`{"key":"0123456789abcden","kind":"redeem","code":"` + sourceID + `","sourceId":"x"}`,
		`{"key":"0123456789abcdeo","kind":"acknowledge","grant":"key-of-the-source"}`,
		`{"key":"\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000","kind":"acknowledge","grant":"\ud800"}`,
	} {
		f.Add(uint8(2), body)
	}
	f.Fuzz(func(t *testing.T, path uint8, body string) {
		var wait wire.Poll
		if json.Unmarshal([]byte(body), &wait) == nil && wait.WaitMilliseconds > 1 {
			return // so long would the poll take
		}
		o.t = t
		o.log.Reset()
		o.ahead += 10 * time.Second     // so that wrong numbers are not limited
		o.activate(o.member, "example") // it may have given up its ID
		p := paths[int(path)%len(paths)]
		status, answer := o.ask(o.member.request(p, body))
		if status >= 500 {
			t.Errorf("%s %q is answered with %d %s\n%s", p, body, status, answer, o.log)
		}
		if strings.Contains(o.log.String(), "level=ERROR") {
			t.Errorf("%s %q is an error of the clearinghouse:\n%s", p, body, o.log)
		}
		wrong, err := o.service.Check(t.Context())
		if err != nil || len(wrong) > 0 {
			t.Errorf("%s %q: the ledger: %q, %v", p, body, wrong, err)
		}
	})
}
