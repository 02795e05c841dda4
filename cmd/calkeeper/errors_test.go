package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
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
		{&client.Fault{HTTPStatus: 404}, exitUnreachable, ""},
		{fmt.Errorf("%w: no reply", client.ErrTimedOut), exitUnreachable, ""},
		{&licensing.Fault{Kind: licensing.Unavailable, Err: dial}, exitUnreachable, "clearinghouse"},
		{fmt.Errorf("get: %w", dial), exitUnreachable, "--server"},
		{&net.DNSError{Name: "nowhere.invalid"}, exitUnreachable, "--server"},
		{x509.UnknownAuthorityError{}, exitUnreachable, "--ca-file"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}}, exitUnreachable, "--ca-file"},
		{tls.RecordHeaderError{Msg: "no TLS"}, exitUnreachable, "ports"},
		{fmt.Errorf("get: %w", io.EOF), exitUnreachable, "ports"},
	} {
		code, advice := outcome(test.err)
		if code != test.code || !strings.Contains(advice, test.advice) || (advice == "") != (test.advice == "") {
			t.Errorf("%v: exit code %d, advice %q; want %d, %q", test.err, code, advice, test.code, test.advice)
		}
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

func FuzzArguments(f *testing.F) {
	for _, seed := range []string{"2", "8", "9", "2008r2", "device", "USER", "spla", "5", "6", "upgraded", "2027-06", "9999-12", "0000-01", "-1", "", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var (
			version   productVersion
			kind      productType
			agreement agreementType
			why       reason
			last      month
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
		if last.UnmarshalText([]byte(text)) == nil && !last.IsZero() && lastMonth(last.end()) != text {
			t.Errorf("the month %q is shown as %q", text, lastMonth(last.end()))
		}
	})
}
