package wsman_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"calkeeper/internal/wsman"
)

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }

func benchmark(b *testing.B, s *wsman.Server, message string) {
	b.Helper()
	body := strings.NewReader(message)
	r := newRequest("")
	r.Body = io.NopCloser(body)
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(message)
		clear(w.header)
		s.ServeHTTP(w, r)
	}
	if w.status != 200 {
		b.Fatalf("status %d", w.status)
	}
	b.ReportMetric(float64(w.bytes)/float64(b.N), "reply-B")
}

func BenchmarkGet(b *testing.B) {
	request, err := os.ReadFile("testdata/golden/pywinrm-get.request.xml")
	must(b, err)
	benchmark(b, server(b, newWorld(1), nil), strings.NewReplacer("Win32_TSLicenseKeyPack", "Test_Pack", "KeyPackId", "PackId").Replace(string(request)))
}

func BenchmarkInvoke(b *testing.B) {
	benchmark(b, server(b, newWorld(1), nil), call(wmi+"Test_Pack", "Install", "",
		`<Install_INPUT><AgreementType>1</AgreementType><sNumber>1234567</sNumber><LicenseCount>5</LicenseCount></Install_INPUT>`).String())
}

func BenchmarkFault(b *testing.B) {
	s := server(b, newWorld(1), nil)
	message := get(wmi+"Test_Pack", "PackId=29").String()
	for b.Loop() {
		r, w := newRequest(message), &sink{header: http.Header{}}
		if s.ServeHTTP(w, r); w.status != 500 {
			b.Fatalf("status %d", w.status)
		}
	}
}

func BenchmarkEnumerate1000(b *testing.B) {
	s := server(b, newWorld(1000), func(o *wsman.Options) { o.Limits.MaxEnvelopeSize = 2 << 20 })
	benchmark(b, s, withHeader(enumerateMessage(dmtf+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>"+
		"<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>"), managed).String())
}

// BenchmarkLoopback gets an instance over HTTP, on connections that are kept open.
func BenchmarkLoopback(b *testing.B) {
	for name, connections := range map[string]int{"connections=1": 1, "connections=64": 64} {
		b.Run(name, func(b *testing.B) {
			web := httptest.NewServer(server(b, newWorld(1), nil))
			defer web.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
			message := []byte(get(wmi+"Test_Pack", "PackId=2").String())
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			done := make(chan error, connections)
			for range connections {
				go func() {
					for left.Add(-1) >= 0 {
						r, err := http.NewRequest("POST", web.URL+"/wsman", bytes.NewReader(message))
						if err != nil {
							done <- err
							return
						}
						r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
						r.SetBasicAuth("alice", "Secret1!")
						answer, err := client.Do(r)
						if err == nil {
							_, err = io.Copy(io.Discard, answer.Body)
							answer.Body.Close()
						}
						if err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range connections {
				must(b, <-done)
			}
		})
	}
}
