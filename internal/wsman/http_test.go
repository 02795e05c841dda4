package wsman_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"calkeeper/internal/wsman"
	"calkeeper/internal/wsman/soap"
)

const identify = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>`

var getSite = get(wmi+"Test_Site", "").String()

// TestHTTP checks what is decided before a message is read.
func TestHTTP(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, c := range []struct {
		name, method, path, contentType, user, body string
		status                                      int
		header, value                               string
	}{
		{name: "good", status: 200, header: "Content-Type", value: "application/soap+xml;charset=UTF-8"},
		{name: "trailing slash", path: "/wsman/", status: 200},
		{name: "text/xml", contentType: "text/xml", status: 200},
		{name: "quoted charset", contentType: `Application/SOAP+xml; charset="utf-8"`, status: 200},
		{name: "other path", path: "/wsman/subscriptions", status: 404},
		{name: "GET", method: "GET", status: 405, header: "Allow", value: "POST"},
		{name: "nobody", user: "-", status: 401, header: "Www-Authenticate", value: "Negotiate"},
		{name: "wrong password", user: "mallory:x", status: 401, header: "Www-Authenticate", value: "Negotiate"},
		{name: "handshake", user: "type1:", status: 401, header: "Www-Authenticate", value: "Negotiate dHlwZTI="},
		{name: "last leg of a handshake", user: "last leg:Secret1!", status: 200, header: "Www-Authenticate", value: "Negotiate ZG9uZQ=="},
		{name: "busy", user: "busy:", status: 503, header: "Retry-After", value: "2"},
		{name: "busy does not challenge", user: "busy:", status: 503, header: "Www-Authenticate"},
		{name: "authenticator panics", user: "panic:", status: 401},
		{name: "end of a handshake", body: "-", status: 200, header: "Content-Length", value: "0"},
		{name: "end of a handshake, no type", body: "-", contentType: "-", status: 200},
		{name: "no type", contentType: "-", status: 415},
		{name: "JSON", contentType: "application/json", status: 415},
		{name: "too large", body: strings.Repeat(" ", 2<<20), status: 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(or(c.method, "POST"), or(c.path, "/wsman"), strings.NewReader(or(c.body, getSite)))
			r.Header.Set("Content-Type", or(c.contentType, "application/soap+xml;charset=UTF-8"))
			user, password, _ := strings.Cut(or(c.user, "alice:Secret1!"), ":")
			if user != "" {
				r.SetBasicAuth(user, password)
			}
			got := serve(t, s, r)
			if got.status != c.status {
				t.Errorf("status %d, want %d: %s", got.status, c.status, got.raw)
			}
			if c.header != "" && got.header.Get(c.header) != c.value {
				t.Errorf("%s is %q, want %q", c.header, got.header.Get(c.header), c.value)
			}
			if got.status == 503 && got.raw != "come back later\n" {
				t.Errorf("explained as %q", got.raw)
			}
			if got.status >= 413 && got.status != 503 && got.text("Body/Fault/Code/Subcode/Value") != "w:EncodingLimit" {
				t.Errorf("no fault: %s", got.raw)
			}
			if (got.status == 401 || got.status == 404 || got.status == 405 || c.body == "-") && got.raw != "" {
				t.Errorf("a body: %q", got.raw)
			}
		})
	}
	r := httptest.NewRequest("POST", "/wsman", strings.NewReader(getSite))
	r.Header.Set("Content-Type", "application/soap+xml")
	r.Header.Set("Content-Encoding", "gzip")
	r.SetBasicAuth("alice", "Secret1!")
	if got := serve(t, s, r); got.status != 415 {
		t.Errorf("compressed: status %d", got.status)
	}
	r = httptest.NewRequest("POST", "/wsman", strings.NewReader(getSite))
	if got := serve(t, server(t, newWorld(0), func(o *wsman.Options) { o.Authenticator = nil }), r); got.status != 401 {
		t.Errorf("without an authenticator: status %d", got.status)
	}
}

// or returns s, or what it stands for: an empty string for the preset, "-" for the empty string.
func or(s, preset string) string {
	switch s {
	case "":
		return preset
	case "-":
		return ""
	}
	return s
}

// TestIdentify checks what strangers and callers learn.
func TestIdentify(t *testing.T) {
	s := server(t, newWorld(1), nil)
	ask := func(anonymous bool, body string) reply {
		r := httptest.NewRequest("POST", "/wsman", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
		if anonymous {
			r.Header.Set("WSMANIDENTIFY", "unauthenticated")
		} else {
			r.SetBasicAuth("alice", "Secret1!")
		}
		return serve(t, s, r)
	}
	for anonymous, version := range map[bool]string{true: "OS: 0.0.0 SP: 0.0 Stack: 3.0", false: "OS: Linux SP: 0.0 Stack: 1.2"} {
		got := ask(anonymous, identify)
		if got.status != 200 {
			t.Fatalf("status %d", got.status)
		}
		answer := got.at("Body/IdentifyResponse")
		for name, want := range map[string]string{
			"ProtocolVersion": soap.NamespaceWSMan, "ProductVendor": "calkeeper", "ProductVersion": version,
		} {
			if answer.text(name) != want {
				t.Errorf("anonymous %v: %s is %q, want %q", anonymous, name, answer.text(name), want)
			}
		}
	}
	// A stranger gets nothing else, and cannot make the server read much.
	for _, body := range []string{getSite, ""} {
		if got := ask(true, body); got.status != 401 || len(got.header["Www-Authenticate"]) != 2 {
			t.Errorf("%q: status %d, %v", body, got.status, got.header)
		}
	}
	if got := ask(true, strings.Repeat(" ", 9000)+identify); got.status != 413 {
		t.Errorf("large: status %d", got.status)
	}
	if got := ask(true, "<"); got.status != 400 {
		t.Errorf("malformed: status %d", got.status)
	}
}

// TestUnreadable sends what is no SOAP message. All of it is answered with a fault, as openwsman prints nothing useful else.
func TestUnreadable(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, c := range []struct {
		name, body, contentType string
		status                  int
		code, subcode, detail   string
		wsman                   string
	}{
		{"no XML", "hello", "", 400, "s:Sender", "w:SchemaValidationError", "", "2150858819"},
		{"cut off", getSite[:200], "", 400, "s:Sender", "w:SchemaValidationError", "", "2150858819"},
		{"DTD", `<!DOCTYPE x [<!ENTITY a "b">]>` + getSite, "", 400, "s:Sender", "w:SchemaValidationError", "", "2150858819"},
		{"deep", strings.Repeat("<a>", 100_000), "", 400, "s:Sender", "w:SchemaValidationError", "", "2150858819"},
		{"wide", "<a>" + strings.Repeat("<b/>", 200_000) + "</a>", "", 400, "s:Sender", "w:SchemaValidationError", "", "2150858819"},
		{"no Body", `<s:Envelope xmlns:s="` + soap.NamespaceEnvelope + `"/>`, "", 400, "s:Sender", "w:SchemaValidationError", "", "2150858819"},
		{"not UTF-8", "<a>\xff</a>", "", 400, "s:Sender", "w:EncodingLimit", "CharacterSet", "2150858828"},
		{"Latin", getSite, "application/soap+xml;charset=iso-8859-1", 400, "s:Sender", "w:EncodingLimit", "CharacterSet", "2150858828"},
		{"half a UTF-16 unit", "\xff\xfe<\x00a", "", 400, "s:Sender", "w:EncodingLimit", "CharacterSet", "2150858828"},
		{"other root", "<html/>", "", 500, "s:VersionMismatch", "<none>", "", "2150858765"},
		{"SOAP 1.1", `<s:Envelope xmlns:s="` + soap.NamespaceEnvelope11 + `"><s:Body/></s:Envelope>`, "", 500, "s:VersionMismatch", "<none>", "", "2150858765"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/wsman", strings.NewReader(c.body))
			r.Header.Set("Content-Type", or(c.contentType, "application/soap+xml;charset=UTF-8"))
			r.SetBasicAuth("alice", "Secret1!")
			got := serve(t, s, r)
			if got.header.Get("Content-Type") == "application/soap+xml;charset=UTF-16" {
				got.node = parse(t, fromUTF16(t, got.raw))
			}
			fault := got.at("Body/Fault")
			if got.status != c.status || fault == nil || fault.text("Code/Value") != c.code ||
				fault.text("Code/Subcode/Value") != c.subcode || fault.at("Detail/WSManFault").attr("Code") != c.wsman {
				t.Errorf("status %d, %s", got.status, got.raw)
			}
			if got.text("Header/RelatesTo") != "http://schemas.xmlsoap.org/ws/2004/08/addressing/id/unspecified" {
				t.Errorf("RelatesTo %q", got.text("Header/RelatesTo"))
			}
			if upgrade := got.at("Header/Upgrade/SupportedEnvelope"); (upgrade != nil) != (c.code == "s:VersionMismatch") {
				t.Errorf("Upgrade: %v", upgrade)
			}
		})
	}
}

func toUTF16(text string, order string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune("\uFEFF" + text)) {
		if order == "le" {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return b
}

func fromUTF16(t *testing.T, raw string) string {
	t.Helper()
	if len(raw) < 2 || len(raw)%2 != 0 {
		t.Fatalf("%d bytes are no UTF-16", len(raw))
	}
	low, high := 0, 1
	if raw[0] == 0xFE {
		low, high = 1, 0
	}
	var units []uint16
	for i := 0; i < len(raw); i += 2 {
		units = append(units, uint16(raw[i+low])|uint16(raw[i+high])<<8)
	}
	text, ok := strings.CutPrefix(string(utf16.Decode(units)), "\uFEFF")
	if !ok {
		t.Fatal("no byte order mark")
	}
	return text
}

// TestUTF16 checks that a reply comes in the charset of its request, faults included, and in no more bytes than asked for.
func TestUTF16(t *testing.T) {
	w := newWorld(400)
	w.site.Company = "Müller 東京 🗝"
	s := server(t, w, nil)
	for _, order := range []string{"le", "be"} {
		ask := func(message string) reply {
			r := httptest.NewRequest("POST", "/wsman", bytes.NewReader(toUTF16(message, order)))
			r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-16")
			r.SetBasicAuth("alice", "Secret1!")
			got := serve(t, s, r)
			if got.header.Get("Content-Type") != "application/soap+xml;charset=UTF-16" {
				t.Errorf("Content-Type %q", got.header.Get("Content-Type"))
			}
			if strings.HasPrefix(got.raw, "\xFE\xFF") != (order == "be") {
				t.Errorf("%s: the reply starts with %x", order, got.raw[:2])
			}
			got.node = parse(t, fromUTF16(t, got.raw))
			return got
		}
		if got := ask(getSite); got.text("Body/Test_Site/Company") != w.site.Company {
			t.Errorf("Company is %q", got.text("Body/Test_Site/Company"))
		}
		if got := ask(get(wmi+"Test_None", "").String()); got.status != 500 || got.at("Body/Fault") == nil {
			t.Errorf("status %d", got.status)
		}
		got := ask(message{action: enumeration + "Enumerate", uri: wmi + "Test_Pack", header: `<w:MaxEnvelopeSize>50000</w:MaxEnvelopeSize>`,
			body: `<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>400</w:MaxElements></n:Enumerate>`}.String())
		if n := len(got.at("Body/EnumerateResponse/Items").Children); n < 20 || n > 100 || len(got.raw) > 50_000 {
			t.Errorf("%d items in %d bytes", n, len(got.raw))
		}
	}
}

// TestBrokenBody checks that a connection which ends early, or a client that sends a byte at a time, does no harm.
func TestBrokenBody(t *testing.T) {
	s := server(t, newWorld(1), nil)
	r := httptest.NewRequest("POST", "/wsman", iotest.OneByteReader(strings.NewReader(getSite)))
	r.Header.Set("Content-Type", "application/soap+xml")
	r.SetBasicAuth("alice", "Secret1!")
	if got := serve(t, s, r); got.status != 200 {
		t.Errorf("byte by byte: status %d", got.status)
	}
	r = httptest.NewRequest("POST", "/wsman", io.MultiReader(strings.NewReader(getSite[:100]), iotest.ErrReader(errors.New("gone"))))
	r.SetBasicAuth("alice", "Secret1!")
	if got := serve(t, s, r); got.status != 400 {
		t.Errorf("broken: status %d", got.status)
	}

	web := httptest.NewServer(s)
	defer web.Close()
	c, err := net.Dial("tcp", web.Listener.Addr().String())
	must(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "POST /wsman HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6U2VjcmV0MSE=\r\nContent-Type: application/soap+xml\r\nContent-Length: 100000000\r\n\r\n<s:Env")
	must(t, err)
	must(t, c.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(c)
	must(t, err)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400")) {
		t.Errorf("half-closed: %q", answer)
	}
	// The server goes on.
	request, err := http.NewRequest("POST", web.URL+"/wsman", strings.NewReader(getSite))
	must(t, err)
	request.Header.Set("Content-Type", "application/soap+xml")
	request.SetBasicAuth("alice", "Secret1!")
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	body, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode != 200 || response.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
		t.Errorf("afterwards: status %d, %v", response.StatusCode, response.Header)
	}
}
