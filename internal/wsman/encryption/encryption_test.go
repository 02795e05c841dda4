package encryption_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"calkeeper/internal/wsman/encryption"

	"pgregory.net/rapid"
)

const (
	announced = `multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"`
	soap      = "application/soap+xml;charset=UTF-8"
)

// frame is what pywinrm, pypsrp and masterzen/winrm send.
func frame(protocol, content, length, blob string) string {
	return "--Encrypted Boundary\r\n" +
		"\tContent-Type: " + protocol + "\r\n" +
		"\tOriginalContent: type=" + content + ";Length=" + length + "\r\n" +
		"--Encrypted Boundary\r\n" +
		"\tContent-Type: application/octet-stream\r\n" +
		blob + "--Encrypted Boundary--\r\n"
}

// The signature of NTLM (MS-NLMP 2.2.2.9.2), and the first 60 bytes of Kerberos' token with AES, seen as text.
const (
	ntlmSignature = "\x01\x00\x00\x00CHECKSUM\x00\x00\x00\x00"
	krbSignature  = "\x05\x04\x06\xff\x00\x00\x00\x1c\x00\x00\x00\x00\x12\x34\x56\x78" + "forty-four bytes of confounder and checksum."
)

func TestFrames(t *testing.T) {
	for _, c := range []struct {
		name    string
		body    string
		message encryption.Message
	}{
		{
			name:    "NTLM",
			body:    frame(encryption.SPNEGO, soap, "5", "\x10\x00\x00\x00"+ntlmSignature+"s\r\nal"),
			message: encryption.Message{Protocol: encryption.SPNEGO, OriginalContent: soap, Signature: []byte(ntlmSignature), Sealed: []byte("s\r\nal")},
		},
		{
			name:    "Kerberos",
			body:    frame(encryption.Kerberos, "application/soap+xml;charset=UTF-16", "12", "\x3c\x00\x00\x00"+krbSignature+"twelve bytes"),
			message: encryption.Message{Protocol: encryption.Kerberos, OriginalContent: "application/soap+xml;charset=UTF-16", Signature: []byte(krbSignature), Sealed: []byte("twelve bytes")},
		},
		{
			name:    "an empty message",
			body:    frame(encryption.SPNEGO, soap, "0", "\x10\x00\x00\x00"+ntlmSignature),
			message: encryption.Message{Protocol: encryption.SPNEGO, OriginalContent: soap, Signature: []byte(ntlmSignature), Sealed: []byte{}},
		},
		{
			name: "the boundaries inside of what is sealed",
			body: frame(encryption.SPNEGO, soap, "68", "\x10\x00\x00\x00"+ntlmSignature+"\r\n--Encrypted Boundary--\r\n--Encrypted Boundary\r\n--Encrypted Boundary"),
			message: encryption.Message{Protocol: encryption.SPNEGO, OriginalContent: soap, Signature: []byte(ntlmSignature),
				Sealed: []byte("\r\n--Encrypted Boundary--\r\n--Encrypted Boundary\r\n--Encrypted Boundary")},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			contentType := fmt.Sprintf(`multipart/encrypted;protocol="%s";boundary="Encrypted Boundary"`, c.message.Protocol)
			if got := c.message.ContentType(); got != contentType {
				t.Errorf("Content-Type is %s", got)
			}
			if got := c.message.Append([]byte("before")); string(got) != "before"+c.body {
				t.Errorf("Append gives\n%q, not\n%q", got, c.body)
			}
			got, err := encryption.Parse(contentType, []byte(c.body))
			if err != nil || !reflect.DeepEqual(got, c.message) {
				t.Errorf("Parse gives %q, %v", got, err)
			}
		})
	}
}

// TestWhatClientsVary has what some send differently, and what could be sent so.
func TestWhatClientsVary(t *testing.T) {
	body := frame(encryption.SPNEGO, soap, "6", "\x10\x00\x00\x00"+ntlmSignature+"sealed")
	want := encryption.Message{Protocol: encryption.SPNEGO, OriginalContent: soap, Signature: []byte(ntlmSignature), Sealed: []byte("sealed")}
	for name, c := range map[string]struct{ contentType, body string }{
		"no tabs, as OMI":                 {announced, strings.ReplaceAll(body, "\t", "")},
		"spaces for tabs":                 {announced, strings.ReplaceAll(body, "\t", "  ")},
		"no end of the last line":         {announced, strings.TrimSuffix(body, "\r\n")},
		"case of the headers":             {announced, strings.NewReplacer("Content-Type", "content-type", "OriginalContent: type", "ORIGINALCONTENT:Type", "Length", "length").Replace(body)},
		"case of the protocol":            {strings.Replace(announced, "SPNEGO", "spnego", 1), strings.Replace(body, "HTTP-", "http-", 1)},
		"the headers in the other order":  {announced, swapHeaders(body)},
		"spaces in Content-Type":          {`Multipart/Encrypted ; boundary = "Encrypted Boundary" ; protocol = "application/HTTP-SPNEGO-session-encrypted" ; `, body},
		"no quotes":                       {`multipart/encrypted;protocol=application/HTTP-SPNEGO-session-encrypted;boundary=Encrypted Boundary`, body},
		"another boundary":                {strings.Replace(announced, "Encrypted B", "My b", 1), strings.ReplaceAll(body, "Encrypted B", "My b")},
		"a boundary with what quotes for": {strings.Replace(announced, "Encrypted B", "a;b=c--", 1), strings.ReplaceAll(body, "Encrypted B", "a;b=c--")},
		"another parameter":               {announced + ";charset=UTF-8", body},
		"a space before Length":           {announced, strings.Replace(body, ";Length", "; Length", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			if !encryption.Is(c.contentType) {
				t.Errorf("Is(%q) is false", c.contentType)
			}
			got, err := encryption.Parse(c.contentType, []byte(c.body))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Parse(%q) gives %q, %v", c.body, got, err)
			}
		})
	}
}

// swapHeaders puts OriginalContent before Content-Type.
func swapHeaders(body string) string {
	lines := strings.SplitN(body, "\r\n", 4)
	lines[1], lines[2] = lines[2], lines[1]
	return strings.Join(lines, "\r\n")
}

func TestRefuse(t *testing.T) {
	const blob = "\x10\x00\x00\x00" + ntlmSignature + "SECRET"
	good := frame(encryption.SPNEGO, soap, "6", blob)
	plain := "<s:Envelope>a request in clear</s:Envelope>"
	part := strings.TrimSuffix(good, "--Encrypted Boundary--\r\n")
	replaced := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("there is no %q", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	length := func(digits string) string { return frame(encryption.SPNEGO, soap, digits, blob) }
	for _, c := range []struct{ name, contentType, body, says string }{
		{"not sealed", "application/soap+xml;charset=UTF-8", good, "Content-Type of a sealed message: it is not multipart/encrypted"},
		{"no Content-Type", "", good, "it is not multipart/encrypted"},
		{"several parts", strings.Replace(announced, "multipart/encrypted", "multipart/x-multi-encrypted", 1), good, "several sealed parts"},
		{"CredSSP", strings.Replace(announced, "SPNEGO", "CredSSP", 1), strings.ReplaceAll(good, "SPNEGO", "CredSSP"), "CredSSP is not supported"},
		{"another protocol", strings.Replace(announced, "SPNEGO", "Digest", 1), good, "the protocol must be application/HTTP-SPNEGO-session-encrypted or"},
		{"no protocol", `multipart/encrypted;boundary="Encrypted Boundary"`, good, "the protocol must be"},
		{"two protocols", announced + `;protocol="application/HTTP-Kerberos-session-encrypted"`, good, "only once"},
		{"two boundaries", announced + ";Boundary=x", good, "only once"},
		{"no boundary", `multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted"`, good, "the boundary must be"},
		{"an empty boundary", strings.Replace(announced, "Encrypted Boundary", "", 1), strings.ReplaceAll(good, "Encrypted Boundary", ""), "the boundary must be"},
		{"a long boundary", strings.Replace(announced, "Encrypted Boundary", strings.Repeat("b", 71), 1), good, "the boundary must be 1 to 70"},
		{"a boundary that ends with a space", strings.Replace(announced, "Boundary", "Boundary ", 1), strings.ReplaceAll(good, "Boundary", "Boundary "), "the last not a space"},
		{"a boundary of two lines", strings.Replace(announced, "Encrypted Boundary", "a\r\nb", 1), strings.ReplaceAll(good, "Encrypted Boundary", "a\r\nb"), "printable"},
		{"open quotes", strings.TrimSuffix(announced, `"`), good, "quotes"},
		{"something after the quotes", announced + "x", good, "quotes"},
		{"a backslash", strings.Replace(announced, "Encrypted", `\Encrypted`, 1), good, "quotes"},
		{"a parameter without value", announced + ";x", good, "no name or no value"},
		{"a parameter without name", announced + ";=x", good, "no name or no value"},
		{"a parameter without value before another", `multipart/encrypted;x;` + strings.TrimPrefix(announced, "multipart/encrypted;"), good, "no name or no value"},

		{"empty", announced, "", "line 1: it is not the boundary"},
		{"not in the frame", announced, plain, "line 1: it is not the boundary"},
		{"another boundary", strings.Replace(announced, "Boundary", "boundary", 1), good, "line 1: it is not the boundary"},
		{"the boundary with a space, as some servers", announced, strings.ReplaceAll(good, "--Enc", "-- Enc"), "line 1: it is not the boundary"},
		{"a request before the frame", announced, plain + "\r\n" + good, "line 1: it is not the boundary"},
		{"an empty line before the frame", announced, "\r\n" + good, "line 1: it is not the boundary"},
		{"a request after the frame", announced, good + plain, "does not end with the closing boundary"},
		{"empty lines after the frame", announced, good + "\r\n", "does not end with the closing boundary"},
		{"a request after the frame, and the end again", announced, good + plain + "--Encrypted Boundary--\r\n", "sealed bytes, and OriginalContent says 6"},
		{"another message after the first", announced, good + good, "sealed bytes, and OriginalContent says 6"},
		{"another part", announced, part + good, "sealed bytes, and OriginalContent says 6"},
		{"a line ends with LF", announced, strings.ReplaceAll(good, "\r\n", "\n"), "line 1: it is not the boundary"},
		{"the closing boundary at once", announced, "--Encrypted Boundary--\r\n", "line 1: it is not the boundary"},
		{"no first part", announced, "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n" + blob + "--Encrypted Boundary--\r\n",
			"line 2: Content-Type of the first part is not the protocol"},
		{"another protocol in the part", announced, replaced("SPNEGO", "Kerberos"), "line 2: Content-Type of the first part is not the protocol"},
		{"no Content-Type in the first part", announced, replaced("\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n", ""), "line 3: the first part has no Content-Type"},
		{"Content-Type twice", announced, replaced("\tOriginal", "\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\tOriginal"), "line 3: the first part has to consist of"},
		{"no OriginalContent", announced, replaced("\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=6\r\n", ""), "line 3: the first part has no OriginalContent"},
		{"OriginalContent twice", announced, replaced("\tOriginal", "\tOriginalContent: type=a;Length=6\r\n\tOriginal"), "line 4: the first part has to consist of"},
		{"another header", announced, replaced("\tOriginal", "\tContent-Length: 6\r\n\tOriginal"), "line 3: the first part has to consist of"},
		{"no header", announced, replaced("\tOriginal", "\tOriginal\r\n"), "line 3: the first part has to consist of"},
		{"an empty line, as in MIME", announced, replaced("Length=6\r\n", "Length=6\r\n\r\n"), "line 4: the first part has to consist of"},
		{"a request in the first part", announced, replaced("Length=6\r\n", "Length=6\r\n"+plain+"\r\n"), "line 4: the first part has to consist of"},
		{"a long line", announced, replaced("charset=UTF-8", strings.Repeat("x", 500)), "line 3: it is longer than 512 bytes"},
		{"a long type", announced, replaced("charset=UTF-8", strings.Repeat("x", 250)), "line 3: the type of OriginalContent is longer than 256 bytes"},
		{"a type of two lines", announced, replaced("charset", "\ncharset"), "line 3: OriginalContent does not begin"},
		{"no type", announced, replaced("type=application/soap+xml;charset", "charset"), "line 3: OriginalContent does not begin"},
		{"an empty type", announced, replaced("type=application/soap+xml;charset=UTF-8", "type="), "line 3: OriginalContent does not begin"},
		{"no length", announced, replaced(";Length=6", ""), "line 3: OriginalContent does not end with Length="},
		{"only a length", announced, replaced("type=application/soap+xml;charset=UTF-8;", ""), "line 3: OriginalContent does not end with Length="},
		{"the length first", announced, replaced("type=application/soap+xml;charset=UTF-8;Length=6", "type=application/soap+xml;Length=6;charset=UTF-8"), "does not end with Length="},
		{"two lengths", announced, replaced(";Length=6", ";Length=7;Length=6"), "two lengths"},
		{"an empty length", announced, length(""), "no plain number"},
		{"a negative length", announced, length("-6"), "no plain number"},
		{"a length with a sign", announced, length("+6"), "no plain number"},
		{"a length in hexadecimal", announced, length("0x6"), "no plain number"},
		{"a length with zeros", announced, length("06"), "no plain number"},
		{"a length with an underscore", announced, length("1_0"), "no plain number"},
		{"a length of ten digits", announced, length("4294967302"), "no plain number of up to 9 digits"},
		{"a length of other digits", announced, length("٦"), "no plain number"},
		{"a length too low", announced, length("5"), "there are 6 sealed bytes, and OriginalContent says 5"},
		{"a length too high", announced, length("7"), "there are 6 sealed bytes, and OriginalContent says 7"},
		{"another type of the second part", announced, replaced("octet-stream", "soap+xml"), "line 5: after the second boundary must come"},
		{"an empty line in the second part", announced, replaced("octet-stream\r\n", "octet-stream\r\n\r\n"), "line 6: the signature has"},
		{"a header more in the second part", announced, replaced("octet-stream\r\n", "octet-stream\r\n\tContent-Length: 26\r\n"), "line 6: the signature has"},
		{"no second part", announced, replaced("--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n", ""), "line 4"},
		{"no closing boundary", announced, part, "line 6: the body does not end with the closing boundary"},
		{"a boundary that does not close", announced, part + "--Encrypted Boundary\r\n", "line 6: the body does not end with the closing boundary"},
		{"no blob", announced, frame(encryption.SPNEGO, soap, "0", ""), "line 6: there is no length of a signature"},
		{"three bytes", announced, frame(encryption.SPNEGO, soap, "0", "\x10\x00\x00"), "line 6: there is no length of a signature"},
		{"no signature", announced, frame(encryption.SPNEGO, soap, "6", "\x00\x00\x00\x00SECRET"), "line 6: the signature is empty"},
		{"a signature too long", announced, frame(encryption.SPNEGO, soap, "6", "\x17\x00\x00\x00"+ntlmSignature+"SECRET"), "line 6: the signature has 23 bytes, and 22 are left"},
		{"a signature far too long", announced, frame(encryption.SPNEGO, soap, "6", "\xff\xff\xff\xff"+ntlmSignature+"SECRET"), "the signature has 4294967295 bytes, and 22 are left"},
		{"a signature of the other byte order", announced, frame(encryption.SPNEGO, soap, "6", "\x00\x00\x00\x10"+ntlmSignature+"SECRET"), "are left"},
		{"a signature too short", announced, frame(encryption.SPNEGO, soap, "6", "\x0f\x00\x00\x00"+ntlmSignature+"SECRET"), "there are 7 sealed bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := encryption.Parse(c.contentType, []byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("Parse(%q) gives %q, %v, and not %q", c.body, m, err, c.says)
			}
			if !reflect.DeepEqual(m, encryption.Message{}) {
				t.Errorf("%q beside %v", m, err)
			}
			if strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "CHECKSUM") {
				t.Errorf("the error has sealed bytes: %v", err)
			}
		})
	}
}

func TestIs(t *testing.T) {
	for contentType, want := range map[string]bool{
		announced:                             true,
		"Multipart/Encrypted":                 true,
		" multipart/x-multi-encrypted ;x":     true, // which Parse refuses with its reason
		"":                                    false,
		"multipart/encrypted-not":             false,
		"multipart/mixed;multipart/encrypted": false,
		"application/soap+xml;charset=UTF-8":  false,
	} {
		if got := encryption.Is(contentType); got != want {
			t.Errorf("Is(%q) is %v", contentType, got)
		}
	}
}

// TestCut proves that of a frame that is cut anywhere nothing is taken, but for the end of the last line.
func TestCut(t *testing.T) {
	body := []byte(frame(encryption.SPNEGO, soap, "6", "\x10\x00\x00\x00"+ntlmSignature+"sealed"))
	for n := range len(body) - 2 {
		if m, err := encryption.Parse(announced, body[:n:n]); err == nil {
			t.Errorf("of %d bytes it takes %q", n, m)
		}
	}
}

// TestRoundTrip seals bytes that look like the frame.
func TestRoundTrip(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 20),
		rapid.Map(rapid.SampledFrom([]string{
			"--Encrypted Boundary", "--Encrypted Boundary\r\n", "--Encrypted Boundary--", "--Encrypted Boundary--\r\n", "\r\n", "--", "-",
			"\tContent-Type: application/octet-stream\r\n", "\x10\x00\x00\x00",
		}), func(text string) []byte { return []byte(text) }),
	)
	blob := func(least int) *rapid.Generator[[]byte] {
		return rapid.Map(rapid.SliceOfN(piece, least, 8), func(pieces [][]byte) []byte { return append([]byte{}, bytes.Join(pieces, nil)...) })
	}
	rapid.Check(t, func(t *rapid.T) {
		m := encryption.Message{
			Protocol:        rapid.SampledFrom([]string{encryption.SPNEGO, encryption.Kerberos}).Draw(t, "protocol"),
			OriginalContent: rapid.SampledFrom([]string{soap, "application/soap+xml;charset=UTF-16", "text/xml"}).Draw(t, "content"),
			Signature:       append(blob(0).Draw(t, "signature"), rapid.Byte().Draw(t, "last")),
			Sealed:          blob(0).Draw(t, "sealed"),
		}
		got, err := encryption.Parse(m.ContentType(), m.Append(nil))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%q comes back as %q, %v", m, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	good := frame(encryption.SPNEGO, soap, "6", "\x10\x00\x00\x00"+ntlmSignature+"sealed")
	f.Add(announced, []byte(good))
	f.Add(announced, []byte(good+good))
	f.Add(strings.Replace(announced, "SPNEGO", "Kerberos", 1), []byte(frame(encryption.Kerberos, "x", "2", "\x3c\x00\x00\x00"+krbSignature+"--")))
	f.Add("multipart/encrypted; boundary=a; protocol=application/HTTP-SPNEGO-session-encrypted; x=\"y\"",
		[]byte("--a\r\noriginalcontent:type=t; length=0\r\ncontent-type:application/HTTP-SPNEGO-session-encrypted\r\n--a\r\ncontent-type:application/octet-stream\r\n\x01\x00\x00\x00s--a--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		m, err := encryption.Parse(contentType, body)
		if err != nil {
			if len(err.Error()) > 300 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if !encryption.Is(contentType) {
			t.Fatalf("%q is parsed, and Is does not know it", contentType)
		}
		end := append(bytes.Clone(m.Signature), m.Sealed...)
		if at := bytes.LastIndex(body, end); at < 0 || len(body)-at-len(end) > len("----\r\n")+70 {
			t.Fatalf("%q is not at the end of %q", end, body)
		}
		frame := m.Append(nil)
		again, err := encryption.Parse(m.ContentType(), frame)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%q comes back as %q, %v", m, again, err)
		}
		if !bytes.Equal(again.Append(nil), frame) {
			t.Fatalf("%q is written in two ways", m)
		}
	})
}
