package wsman_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman"
)

// FuzzServeHTTP sends anything at all. The server must not panic, and must answer with one of the statuses there are and,
// unless the body is empty, with well-formed XML.
func FuzzServeHTTP(f *testing.F) {
	files, err := filepath.Glob("testdata/golden/*.request.xml")
	must(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(f, err)
		f.Add(text, "application/soap+xml;charset=UTF-8", false)
	}
	for _, c := range faultCases {
		if len(c.message.String()) < 3000 && !strings.Contains(c.name, "time") {
			f.Add([]byte(c.message.String()), "application/soap+xml", false)
		}
	}
	f.Add([]byte(identify), "text/xml", true)
	f.Add([]byte(withHeader(get(wmi+"Test_Site", ""), `<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address>`+
		`<a:ReferenceParameters><x:One xmlns:x="urn:x" x:y="z" xml:lang="en">1<Two/></x:One></a:ReferenceParameters></a:ReplyTo>`).String()), "application/soap+xml", false)
	f.Add(toUTF16(getSite, "le"), "application/soap+xml;charset=UTF-16", false)
	f.Add([]byte(enumerate(wmi+"*", "", "<w:OptimizeEnumeration/>"+wqlFilter("select PackId from Test_Pack where Description like 'P%'"))), "application/soap+xml", false)
	f.Add([]byte(put(wmi+"Test_Site", "", `<Test_Site><Company>x</Company></Test_Site>`).String()), "application/soap+xml", false)
	f.Add([]byte(withHeader(get(wmi+"Test_Pack", "PackId=2"), `<w:FragmentTransfer>Tags/text()</w:FragmentTransfer>`).String()), "", false)

	s := server(f, newWorld(3), func(o *wsman.Options) {
		// Short, since a fuzzer finds the methods that wait for their end.
		o.Limits.OperationTimeout = 1_000_000
		ns, err := cim.NewNamespace("root/other", recorded(f).Classes...)
		must(f, err)
		o.Namespaces = append(o.Namespaces, ns)
	})
	f.Fuzz(func(t *testing.T, body []byte, contentType string, anonymous bool) {
		r := httptest.NewRequest(http.MethodPost, "/wsman", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", contentType)
		r.SetBasicAuth("alice", "Secret1!")
		if anonymous {
			r.Header.Set("WSMANIDENTIFY", "unauthenticated")
		}
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, r)
		switch recorder.Code {
		case 200, 400, 401, 405, 413, 415, 500:
		default:
			t.Fatalf("status %d", recorder.Code)
		}
		raw := recorder.Body.String()
		if raw == "" {
			if recorder.Code != 401 && len(body) > 0 {
				t.Errorf("status %d without a body", recorder.Code)
			}
			return
		}
		switch recorder.Header().Get("Content-Type") {
		case "application/soap+xml;charset=UTF-8":
		case "application/soap+xml;charset=UTF-16":
			raw = fromUTF16(t, raw)
		default:
			t.Errorf("Content-Type %q", recorder.Header().Get("Content-Type"))
		}
		envelope := parse(t, raw)
		if fault := envelope.at("Body/Fault"); (fault != nil) != (recorder.Code != 200) {
			t.Errorf("status %d with %s", recorder.Code, raw)
		}
	})
}
