package wsman_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calkeeper/internal/wsman"
)

// padded returns a message of exactly that many bytes: its header ends with a comment.
func padded(m message, size int) string {
	const end = "</s:Header>"
	text := strings.Replace(m.String(), end, "<!---->"+end, 1)
	return strings.Replace(text, "-->"+end, strings.Repeat("x", size-len(text))+"-->"+end, 1)
}

// TestOneMebibyte sends envelopes of exactly as many bytes as are read, and of one character more.
func TestOneMebibyte(t *testing.T) {
	w := newWorld(1)
	s := server(t, w, nil)
	web := httptest.NewServer(s)
	defer web.Close()
	for _, c := range []struct {
		name, contentType string
		body              []byte
		status            int
	}{
		{"UTF-8", "application/soap+xml;charset=UTF-8", []byte(padded(get(wmi+"Test_Site", ""), 1<<20)), 200},
		{"UTF-8, too long", "application/soap+xml;charset=UTF-8", []byte(padded(get(wmi+"Test_Site", ""), 1<<20+1)), 413},
		{"UTF-16", "application/soap+xml;charset=UTF-16", toUTF16(padded(get(wmi+"Test_Site", ""), 1<<19-1), "le"), 200},
		{"UTF-16, too long", "application/soap+xml;charset=UTF-16", toUTF16(padded(get(wmi+"Test_Site", ""), 1<<19), "le"), 413},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", c.name, chunked), func(t *testing.T) {
				request, err := http.NewRequest("POST", web.URL+"/wsman", bytes.NewReader(c.body))
				must(t, err)
				if chunked {
					request.ContentLength = -1
				}
				request.Header.Set("Content-Type", c.contentType)
				request.SetBasicAuth("alice", "Secret1!")
				response, err := http.DefaultClient.Do(request)
				must(t, err)
				defer response.Body.Close()
				var reply bytes.Buffer
				_, err = reply.ReadFrom(response.Body)
				must(t, err)
				if response.StatusCode != c.status {
					t.Errorf("%d bytes: status %d", len(c.body), response.StatusCode)
				}
				if c.status == 413 {
					fault := parse(t, reply.String()).at("Body/Fault")
					if fault.text("Code/Subcode/Value") != "w:EncodingLimit" || fault.at("Detail/WSManFault").attr("Code") != "2150858805" {
						t.Error(reply.String())
					}
				}
			})
		}
	}

	// What fills an envelope is written, also if it is too long to be told back.
	company := strings.Repeat("x", 1<<20-len(put(wmi+"Test_Site", "", "<Test_Site><Company></Company></Test_Site>").String()))
	message := put(wmi+"Test_Site", "", "<Test_Site><Company>"+company+"</Company></Test_Site>").String()
	if len(message) != 1<<20 {
		t.Fatalf("%d bytes", len(message))
	}
	checkFault(t, send(t, s, message), "s:Sender", "w:EncodingLimit", "UnreportableSuccess")
	if w.site.Company != company {
		t.Errorf("Company has %d bytes", len(w.site.Company))
	}
}

// TestPutUnreportable checks that a client whose own limit is too small for the reply learns that its Put was done.
func TestPutUnreportable(t *testing.T) {
	w := newWorld(1)
	company := strings.Repeat("x", 9000)
	body := "<Test_Site><Company>" + company + "</Company></Test_Site>"
	for _, must := range []string{"", ` s:mustUnderstand="true"`, ` s:mustUnderstand="false"`} {
		w.site.Company = "Old"
		m := withHeader(put(wmi+"Test_Site", "", body), `<w:MaxEnvelopeSize`+must+`>8192</w:MaxEnvelopeSize>`)
		checkFault(t, send(t, server(t, w, nil), m.String()), "s:Sender", "w:EncodingLimit", "UnreportableSuccess")
		if w.site.Company != company {
			t.Errorf("%s: Company is %.20q", must, w.site.Company)
		}
	}
}

// TestMaxElements asks for impossible numbers of items, and for far too many. After a fault an enumeration goes on.
func TestMaxElements(t *testing.T) {
	s := server(t, newWorld(7), func(o *wsman.Options) { o.Limits.MaxElements = 3 })
	for _, n := range []string{"", " ", "0", "-0", "00", "-1", "-2147483648", "1.5", "1e3", "0x10", "many", "½", "٣", "5 5", "<x/>", "18446744073709551616x"} {
		got := send(t, s, enumerate(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>"+n+"</w:MaxElements>"))
		checkFault(t, got, "s:Sender", "w:SchemaValidationError", "")
		context := open(t, s, "alice")
		checkFault(t, send(t, s, pull(context, "<n:MaxElements>"+n+"</n:MaxElements>")), "s:Sender", "w:SchemaValidationError", "")
		if found, _, _ := send(t, s, pull(context, "<n:MaxElements>2</n:MaxElements>")).items(t); len(found) != 2 || found[0].text("PackId") != "2" {
			t.Errorf("%q: after the fault %d items", n, len(found))
		}
		send(t, s, releaseMessage(context))
	}
	for n, want := range map[string]int{
		"1": 1, "2": 2, "3": 3, "4": 3, "007": 3, "2147483647": 3, "2147483648": 3, "4294967295": 3, "4294967296": 3,
		"18446744073709551615": 3, "18446744073709551616": 3, strings.Repeat("9", 1000): 3,
	} {
		found, context, _ := send(t, s, enumerate(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>"+n+"</w:MaxElements>")).items(t)
		if len(found) != want {
			t.Errorf("%.30s: Enumerate gave %d items", n, len(found))
		}
		if found, _, _ = send(t, s, pull(context, "<n:MaxElements>"+n+"</n:MaxElements>")).items(t); len(found) != want {
			t.Errorf("%.30s: Pull gave %d items", n, len(found))
		}
		send(t, s, releaseMessage(context))
	}
	if n := s.OpenEnumerations(); n != 0 {
		t.Errorf("%d enumerations are open", n)
	}
}

// TestMaxEnvelopeSize sends impossible sizes, and sizes beyond all that are sent.
func TestMaxEnvelopeSize(t *testing.T) {
	s := server(t, newWorld(1), nil)
	ask := func(size string) reply {
		return send(t, s, withHeader(get(wmi+"Test_Site", ""), "<w:MaxEnvelopeSize>"+size+"</w:MaxEnvelopeSize>").String())
	}
	for _, size := range []string{"", "-1", "8192.5", "8k", "0x2000", "1e6", strings.Repeat("9", 1000) + "x"} {
		checkFault(t, ask(size), "s:Sender", "a:InvalidMessageInformationHeader", "")
	}
	for _, size := range []string{"0", "1", "8191"} {
		checkFault(t, ask(size), "s:Sender", "w:EncodingLimit", "MinimumEnvelopeLimit")
	}
	for _, size := range []string{"8192", "512000", "2147483648", "4294967295", "4294967296", "4398046510080", "18446744073709551616", strings.Repeat("9", 1000)} {
		if got := ask(size); got.status != 200 {
			t.Errorf("%.30s: %s", size, got.raw)
		}
	}
}

// TestFaultsFitIntoTheSmallestEnvelope checks that no fault is longer than the smallest envelope a client may ask for (DSP0226,
// R6.2-4), whatever of the request it could repeat.
func TestFaultsFitIntoTheSmallestEnvelope(t *testing.T) {
	s := server(t, newWorld(1), nil)
	endpoint := `<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address><a:ReferenceParameters><x>` +
		strings.Repeat("x", 4000) + `</x></a:ReferenceParameters></a:ReplyTo>`
	selector := `<w:Selector Name="` + strings.Repeat("&amp;", 10_000) + `"/>`
	long := withHeader(get(wmi+"Test_Pack", ""), `<w:SelectorSet>`+selector+selector+`</w:SelectorSet>`)
	for name, m := range map[string]message{
		"long text":                       long,
		"long text and references":        withHeader(long, endpoint),
		"unknown headers":                 withHeader(get(wmi+"Test_Site", ""), many(`<x:Odd%d s:mustUnderstand="1" xmlns:x="urn:`+strings.Repeat("x", 150)+`"/>`, 50)),
		"one unknown header, long names":  withHeader(get(wmi+"Test_Site", ""), `<x:Odd s:mustUnderstand="1" xmlns:x="urn:`+strings.Repeat("x", 500_000)+`"/>`),
		"unknown header after a good one": withHeader(get(wmi+"Test_Site", ""), `<x:A s:mustUnderstand="1" xmlns:x="urn:x"/><x:B s:mustUnderstand="1" xmlns:x="urn:`+strings.Repeat("x", 500_000)+`"/>`),
	} {
		for _, options := range []string{"", managed} {
			for _, charset := range []string{"UTF-8", "UTF-16"} {
				body := []byte(withHeader(m, options).String())
				if charset == "UTF-16" {
					body = toUTF16(string(body), "be")
				}
				r := newRequest("")
				r.Body = io.NopCloser(bytes.NewReader(body))
				r.Header.Set("Content-Type", "application/soap+xml;charset="+charset)
				got := serve(t, s, r)
				if got.status != 500 || len(got.raw) > 8192 {
					t.Errorf("%s, %s, %.10s: status %d, %d bytes", name, charset, options, got.status, len(got.raw))
				}
			}
		}
	}
	// What is said is still said where there is room.
	if got := send(t, s, get(wmi+"Test_Pack", strings.Repeat("x", 300)+"=1;"+strings.Repeat("x", 300)+"=1").String()); !strings.Contains(got.text("Body/Fault/Reason/Text"), strings.Repeat("x", 300)) {
		t.Error(got.raw)
	}
}
