package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
	"calkeeper/internal/simulation"
	"calkeeper/internal/wsman/client"
)

func TestOutcome(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, test := range []struct {
		err    error
		code   int
		advice string // a part of it; empty: there is none
	}{
		{errors.New("anything"), exitFailure, ""},
		{&licensing.Fault{Kind: licensing.Internal, Msg: "anything"}, exitFailure, ""},
		{&net.OpError{Op: "listen", Err: syscall.EADDRINUSE}, exitFailure, ""},
		{syscall.ENOENT, exitFailure, ""},
		{fmt.Errorf("wsman: get: %w: %w", context.Canceled, dial), exitFailure, "look before you ask again"},
		{usagef("wrong: %w", dial), exitUsage, ""},
		{wrongError{errors.New("wrong")}, exitWrong, ""},
		{&client.Fault{HTTPStatus: 401}, exitDenied, "CALKEEPER_PASSWORD"},
		{&client.Fault{Code: "Sender", Subcode: "AccessDenied"}, exitDenied, ""},
		{licensing.Faultf(licensing.Denied, "no"), exitDenied, ""},
		{refusal{status: cim.StatusAccessDenied}, exitDenied, ""},
		{refusal{status: cim.StatusNotFound}, exitRefused, ""},
		{&client.Fault{Code: "Sender", Subcode: "InvalidSelectors"}, exitRefused, ""},
		{licensing.Faultf(licensing.NotFound, "no"), exitRefused, ""},
		{&licensing.Fault{Kind: licensing.Unlicensed, Err: licensing.NoFreeCAL}, exitUnlicensed, ""},
		{fromAPI(licensing.Faultf(licensing.Unlicensed, "no"), "--host-url"), exitUnlicensed, ""},
		{fromAPI(licensing.Faultf(licensing.Denied, "no"), "--host-url"), exitDenied, ""},
		{fromAPI(licensing.Faultf(licensing.Limited, "no"), "--host-url"), exitRefused, ""},
		{fromAPI(&licensing.Fault{Kind: licensing.Unavailable, Err: dial}, "--host-url"), exitUnreachable, "Check --host-url, and whether"},
		{fromAPI(&licensing.Fault{Kind: licensing.Unavailable, Err: x509.UnknownAuthorityError{}}, "--host-url"), exitUnreachable, "--ca-file"},
		{fromAPI(&licensing.Fault{Kind: licensing.Unavailable, Err: errors.New("HTTP status 502")}, "--host-url"), exitUnreachable, "Check --host-url: https and http have different ports"},
		{fromAPI(&licensing.Fault{Kind: licensing.Unavailable, Err: context.Canceled}, "--server"), exitFailure, "look before you ask again"},
		{&client.Fault{HTTPStatus: 404}, exitUnreachable, ""},
		{fmt.Errorf("%w: no reply", client.ErrTimedOut), exitUnreachable, ""},
		{&licensing.Fault{Kind: licensing.Unavailable, Err: dial}, exitUnreachable, "clearinghouse"},
		{fmt.Errorf("get: %w", dial), exitUnreachable, "--server"},
		{&net.DNSError{Name: "nowhere.invalid"}, exitUnreachable, "--server"},
		{x509.UnknownAuthorityError{}, exitUnreachable, "--ca-file"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}}, exitUnreachable, "--alias"},
		{tls.RecordHeaderError{Msg: "no TLS"}, exitUnreachable, "ports"},
		{fmt.Errorf("get: %w", io.EOF), exitUnreachable, "ports"},
		{fmt.Errorf("get: %w", &net.OpError{Op: "read", Err: syscall.ECONNRESET}), exitUnreachable, "ports"},
		{fmt.Errorf("get: %w", client.ErrScheme), exitUnreachable, "ports"},
		{&client.Fault{HTTPStatus: 400}, exitUnreachable, "ports"},
		{&client.Fault{HTTPStatus: 400, Code: "Sender", Subcode: "SchemaValidationError"}, exitRefused, ""},
	} {
		code, advice := outcome(test.err)
		if code != test.code || !strings.Contains(advice, test.advice) || (advice == "") != (test.advice == "") {
			t.Errorf("%v: exit code %d, advice %q; want %d, %q", test.err, code, advice, test.code, test.advice)
		}
	}
}

// TestWrongURL calls real servers by URLs that cannot work.
func TestWrongURL(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) })
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	plain.Config.ErrorLog, secure.Config.ErrorLog = log.New(io.Discard, "", 0), log.New(io.Discard, "", 0)
	bare := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(passwordVariable, "secretsecret")
	for name, test := range map[string]struct{ url, says, advice, not string }{
		"https where http is": {"https://" + bare(plain) + "/wsman", "another scheme at this port", "https and http have different ports", "--ca-file"},
		"http where https is": {"http://" + bare(secure) + "/wsman", "", "https and http have different ports", "--ca-file"},
		"another name":        {"https://" + strings.Replace(bare(secure), "127.0.0.1", "localhost", 1) + "/wsman", "example.com", "--alias", "--ca-file"},
	} {
		t.Run(name, func(t *testing.T) {
			c := connection{Server: test.url, User: "a", CAFile: ca, Timeout: waitLimit}
			wsman, err := c.dial(t.Context(), &terminal{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = wsman.Get(t.Context(), licenseServerClass, nil)
			if err == nil {
				t.Fatal("it was answered")
			}
			code, advice := outcome(err)
			if code != exitUnreachable || !strings.Contains(err.Error(), test.says) || !strings.Contains(advice, test.advice) ||
				strings.Contains(err.Error()+advice, test.not) || strings.Contains(err.Error(), "of its CA") {
				t.Errorf("%v\nexit code %d, advice %q; want %d, and %q", err, code, advice, exitUnreachable, test.advice)
			}
		})
	}
}

func TestRefusalNamesStatusAndWhatToDo(t *testing.T) {
	for _, test := range []struct {
		method string
		status cim.Status
		want   string
	}{
		{"InstallOpenLicenseKeyPack", cim.StatusInvalidOperation, "WBEM_E_INVALID_OPERATION (0x80041016).\nThe license server is not activated: run `calkeeper activate`"},
		{"ActivateServerAutomatic", cim.StatusInvalidOperation, "servers approve"},
		{"ActivateServerAutomatic", cim.StatusFailed, "log says why"},
		{"ActivateServer", cim.StatusAlreadyExists, "--reactivate makes a new ID"},
		{"ReactivateServerAutomatic", cim.StatusAlreadyExists, "stop it, and try again in two minutes"},
		{"InstallLicenseKeyPack", 0xC0110011, "returned 0xC0110011.\nThe license server's log says more"},
	} {
		if got := (refusal{test.method, test.status, advice(test.method, test.status)}).Error(); !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %q lacks %q", test.method, test.status, got, test.want)
		}
	}
}

func TestWithoutCodes(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"unexpected argument 7ABCDEFGHJKLMNPQRSTVWXYZ2", "unexpected argument 7ABCD-…"},
		{"unexpected argument 7ABCD-EFGHJ-KLMNP-QRSTV-WXYZ2", "unexpected argument 7ABCD-…"},
		{"unexpected argument 7abcd efghj klmnp qrstv wxyz2", "unexpected argument 7abcd-…"},
		{"unknown flag --authorization-number", "unknown flag --authorization-number"},
		{"expected one of ReinstallOpenPurchaseLicenseKeyPack", "expected one of ReinstallOpenPurchaseLicenseKeyPack"},
		{"unexpected argument 12345", "unexpected argument 12345"},
	} {
		if got := withoutCodes(test.text); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.text, got, test.want)
		}
	}
}

func TestAPIURL(t *testing.T) {
	for _, test := range []struct{ server, want string }{
		{"http://127.0.0.1:5985/wsman", "http://127.0.0.1:5985/v1"},
		{"http://127.0.0.1:5985/", "http://127.0.0.1:5985/v1"},
		{"https://ls1.example.org", "https://ls1.example.org:5986/v1"},
		{"http://[::1]/wsman/", "http://[::1]:5985/v1"},
		{"https://proxy.example.org:443/ls1/wsman", "https://proxy.example.org:443/ls1/v1"},
		{"ls1.example.org", ""},
		{"ftp://ls1.example.org/wsman", ""},
		{"https://ada:secret@ls1.example.org/wsman", ""},
		{"https://ls1.example.org/wsman?x=secret", ""},
		{"https://:5986/wsman", ""},
		{"https://ls1.example.org/%zz", ""},
	} {
		got, err := apiURL(test.server)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v; want %q", test.server, got, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats the address: %v", err)
		}
	}
}

func TestWithAPIPath(t *testing.T) {
	for address, want := range map[string]string{
		"https://ls1.example.org:5986":      "https://ls1.example.org:5986/v1",
		"https://ls1.example.org:5986/":     "https://ls1.example.org:5986/v1",
		"https://ls1.example.org:5986/v1":   "https://ls1.example.org:5986/v1",
		"https://proxy.example.org/ls1/v1/": "https://proxy.example.org/ls1/v1/",
		"https://ls1.example.org/%zz":       "https://ls1.example.org/%zz",
	} {
		if got := withAPIPath(address); got != want {
			t.Errorf("%s: %s; want %s", address, got, want)
		}
	}
}

// TestPages reads pages that are shorter than asked for, and stops where it is told.
func TestPages(t *testing.T) {
	items := make([]int, 2500)
	for i := range items {
		items[i] = i + 1
	}
	for _, test := range []struct{ most, want, reads int }{{0, 2500, 5}, {1, 1, 1}, {600, 600, 1}, {1600, 1600, 3}, {9999, 2500, 5}} {
		reads := 0
		list, err := pages(test.most, func(after uint64, limit int) ([]int, uint64, error) {
			reads++
			limit = min(limit, 700) // the server's own idea
			page := items[after:min(int(after)+limit, len(items))]
			next := after + uint64(len(page))
			if next == uint64(len(items)) {
				next = 0
			}
			return page, next, nil
		})
		if err != nil || len(list) != test.want || list[len(list)-1] != test.want || reads > test.reads {
			t.Errorf("at most %d: %d items in %d reads, %v; want %d in %d", test.most, len(list), reads, err, test.want, test.reads)
		}
	}
	if list, err := pages(0, func(uint64, int) ([]int, uint64, error) { return nil, 0, nil }); err != nil || list == nil {
		t.Errorf("nothing is %v, %v; want an empty list, which JSON shows as []", list, err)
	}
}

func TestSimulateDefaultsAreThoseOfTheSimulation(t *testing.T) {
	var c cli
	parser, err := newParser(&c, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"simulate"}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Simulate.farm()
	want := simulation.Default()
	want.OverUse.Policy = licensing.AllowOverUse
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func FuzzArguments(f *testing.F) {
	for _, seed := range []string{"2", "8", "9", "2008r2", "device", "USER", "spla", "5", "6", "upgraded", "2027-06", "9999-12", "0000-01", "ws2022", "WS2008R2", "per-user", "2026-02-30", "-1", "", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var (
			version   productVersion
			kind      productType
			agreement agreementType
			why       reason
			last      month
			host      hostVersion
			mode      hostMode
			day       date
		)
		if version.UnmarshalText([]byte(text)) == nil && (version < 2 || version > 8) {
			t.Errorf("%q is product version %d", text, version)
		}
		if kind.UnmarshalText([]byte(text)) == nil && kind > 1 {
			t.Errorf("%q is product type %d", text, kind)
		}
		if agreement.UnmarshalText([]byte(text)) == nil && agreement > 5 {
			t.Errorf("%q is agreement type %d", text, agreement)
		}
		if why.UnmarshalText([]byte(text)) == nil && why > 4 {
			t.Errorf("%q is reason %d", text, why)
		}
		if host.UnmarshalText([]byte(text)) == nil && (host < 2 || host > 8) {
			t.Errorf("%q is version %d of a session host", text, host)
		}
		if mode.UnmarshalText([]byte(text)) == nil && mode > 1 {
			t.Errorf("%q is mode %d", text, mode)
		}
		if day.UnmarshalText([]byte(text)) == nil && day.Format(time.DateOnly) != text {
			t.Errorf("the day %q is shown as %q", text, day.Format(time.DateOnly))
		}
		if last.UnmarshalText([]byte(text)) == nil && !last.IsZero() && lastMonth(last.end()) != text {
			t.Errorf("the month %q is shown as %q", text, lastMonth(last.end()))
		}
	})
}
