package client_test

import (
	"errors"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
)

func TestFaults(t *testing.T) {
	const cannot = "The WS-Management service cannot process the request."
	tests := []struct {
		file  string
		want  client.Fault
		is    error
		error string
	}{
		{
			"fault-a-not-found.xml",
			client.Fault{Code: "Sender", Subcode: "DestinationUnreachable", Detail: "InvalidResourceURI", WSManCode: 2150858752,
				Reason: cannot + " The service cannot find the resource identified by the resource URI and selectors."},
			client.ErrNotFound,
			"not found: there is no such instance or class; check the class, the keys and the namespace: " + cannot +
				" The service cannot find the resource identified by the resource URI and selectors " +
				"(DestinationUnreachable, InvalidResourceURI, code 0x80338000)",
		},
		{
			"fault-a-provider.xml",
			client.Fault{Code: "Receiver", Subcode: "InternalError", WSManCode: 2147749896, WBEMStatus: 0x80041008, Reason: cannot,
				Provider: "The WMI service returned an\n  \u202E\"invalid parameter\" error."},
			nil,
			`the server refuses the request: The WMI service returned an "invalid parameter" error (InternalError, WBEM_E_INVALID_PARAMETER)`,
		},
		{
			"fault-b.xml",
			client.Fault{Code: "Receiver", Subcode: "InternalError", WBEMStatus: 0x80041008, Provider: "Invalid parameter",
				Reason: "The WMI service or the WMI provider returned an unknown error: HRESULT 0x80041008"},
			nil,
			"the server refuses the request: Invalid parameter (InternalError, WBEM_E_INVALID_PARAMETER)",
		},
		{
			"fault-omi.xml",
			client.Fault{Code: "Sender", Subcode: "DestinationUnreachable", WBEMStatus: 0x80041010, Provider: "The class does not exist",
				Reason: "No route can be determined to reach the destination role defined by the WS-Addressing To."},
			client.ErrNotFound,
			"not found: there is no such instance or class; check the class, the keys and the namespace: The class does not exist " +
				"(DestinationUnreachable, WBEM_E_INVALID_CLASS)",
		},
		{
			"fault-access-denied.xml",
			client.Fault{Code: "Sender", Subcode: "AccessDenied", WSManCode: 5, Provider: "Access is denied.",
				Reason: "The sender was not authorized to access the resource."},
			client.ErrAccessDenied,
			"access denied: use an account whose role allows it (AccessDenied, code 5)",
		},
		{
			"fault-timed-out.xml",
			client.Fault{Code: "Receiver", Subcode: "TimedOut", WSManCode: 2150858793, Reason: "The operation has timed out.",
				Provider: "The WS-Management service cannot complete the operation within the time specified in OperationTimeout."},
			client.ErrTimedOut,
			"timed out: look whether the server is busy, or allow more time: The WS-Management service cannot complete the " +
				"operation within the time specified in OperationTimeout (TimedOut, code 0x80338029)",
		},
		{
			"fault-selectors.xml",
			client.Fault{Code: "Sender", Subcode: "InvalidSelectors", Detail: "InsufficientSelectors", WSManCode: 2150858843,
				Reason: "The Selectors for the resource were not valid.", Provider: "The request contained one or more invalid SOAP headers."},
			nil,
			"the server refuses the request: The request contained one or more invalid SOAP headers " +
				"(InvalidSelectors, InsufficientSelectors, code 0x8033805B)",
		},
		{
			"fault-encoding-limit.xml",
			client.Fault{Code: "Sender", Subcode: "EncodingLimit", Detail: "MaxEnvelopeSize",
				Reason: "The response that the WS-Management service computed exceeds the internal limit for envelope size."},
			client.ErrTooLarge,
			"the reply does not fit into MaxEnvelopeSize: raise it, or ask for less: The response that the WS-Management service " +
				"computed exceeds the internal limit for envelope size (EncodingLimit, MaxEnvelopeSize)",
		},
		{
			"fault-languages.xml",
			client.Fault{Code: "Sender", Subcode: "CannotProcessFilter", WBEMStatus: 0x80041017, Reason: "The query is wrong (0x80041017)."},
			nil,
			"the server refuses the request: The query is wrong (0x80041017) (CannotProcessFilter, WBEM_E_INVALID_QUERY)",
		},
		{
			"fault-bare.xml",
			client.Fault{Code: "Sender"},
			nil,
			"the server refuses the request (Sender)",
		},
	}
	kinds := []error{client.ErrUnauthorized, client.ErrAccessDenied, client.ErrNotFound, client.ErrTimedOut, client.ErrTooLarge, client.ErrNoService, client.ErrReply}
	for _, test := range tests {
		// Windows sends 500; some servers send 400 for what the sender did, and nothing forbids 200.
		for _, status := range []int{500, 400, 200} {
			s := newServer(t, answer{file: test.file, status: status})
			_, err := s.client(t).Get(t.Context(), "Win32_Process", []client.Value{client.Text("Handle", "29")})
			var fault *client.Fault
			if !errors.As(err, &fault) {
				t.Errorf("%s: no fault: %v", test.file, err)
				continue
			}
			test.want.HTTPStatus = status
			if *fault != test.want {
				t.Errorf("%s:\ngot  %+v\nwant %+v", test.file, *fault, test.want)
			}
			if got := fault.Error(); got != test.error {
				t.Errorf("%s:\ngot  %s\nwant %s", test.file, got, test.error)
			}
			if got := err.Error(); got != "wsman: get Win32_Process: "+test.error {
				t.Errorf("%s: the whole error is %s", test.file, got)
			}
			for _, kind := range kinds {
				if got, want := errors.Is(err, kind), kind == test.is; got != want {
					t.Errorf("%s: errors.Is(%q) is %v", test.file, kind, got)
				}
			}
		}
	}
}

// TestFaultKinds goes through the codes that the fixtures do not have.
func TestFaultKinds(t *testing.T) {
	tests := []struct {
		fault client.Fault
		want  error
	}{
		{client.Fault{Code: "Receiver", WBEMStatus: 0x80041002}, client.ErrNotFound},
		{client.Fault{Code: "Receiver", WBEMStatus: 0x8004100E}, client.ErrNotFound},
		{client.Fault{Code: "Receiver", WBEMStatus: 0x80041003}, client.ErrAccessDenied},
		{client.Fault{Code: "Sender", WSManCode: 0x80070005}, client.ErrAccessDenied},
		{client.Fault{Code: "Sender", WSManCode: 0x80338000}, client.ErrNotFound},
		{client.Fault{Code: "Sender", Subcode: "EncodingLimit", Detail: "CharacterSet"}, nil},
		{client.Fault{Code: "Sender", HTTPStatus: 404}, nil},
		{client.Fault{HTTPStatus: 500}, nil},
	}
	for _, test := range tests {
		if test.want != nil && !errors.Is(&test.fault, test.want) {
			t.Errorf("%+v is not %q", test.fault, test.want)
		}
		if test.want == nil && !strings.HasPrefix(test.fault.Error(), "the server ") {
			t.Errorf("%+v is %q", test.fault, test.fault.Error())
		}
	}
}

func TestFaultTextIsOneLine(t *testing.T) {
	fault := client.Fault{Code: "Sender", Reason: "\r\n one\x1b[31m \t two\u0085\u2028three " + strings.Repeat("é", 1000)}
	text := fault.Error()
	if !strings.HasPrefix(text, "the server refuses the request: one [31m two three é") || strings.ContainsAny(text, "\x1b\r\n\t\u0085\u2028") {
		t.Errorf("got %q", text)
	}
	if len([]rune(text)) > 500 {
		t.Errorf("it has %d characters", len([]rune(text)))
	}
}
