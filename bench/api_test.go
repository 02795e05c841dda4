//go:build linux

package bench_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"

	"calkeeper/internal/app"
)

// BenchmarkIssueAPI issues CALs to new users through the REST API: a session host's token, JSON, a durable transaction. Beside
// it, a bare net/http handler reads the same JSON, has the plain group loop issue the CAL, and answers with a constant of the
// same length.
func BenchmarkIssueAPI(b *testing.B) {
	for _, connections := range []int{1, 64} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			dir := b.TempDir()
			fillLicenses(b, dir, 1000)
			s := serve(b, app.LicenseServerOptions{Dir: dir, Name: "ls1.farm.example", APIRate: 1_000_000_000})
			host := perUserHost()
			token, err := s.Issuance.AddHost(b.Context(), "bench", host)
			if err != nil {
				b.Fatal(err)
			}
			address := addressOf(s.APIURL())
			first, err := dial(b, address).exchange(askFor(address, token, `EXAMPLE\first`))
			if err != nil {
				b.Fatal(err)
			}
			ours := &issuer{issue: post(b, address, token, connections)}
			reference := &issuer{issue: post(b, bareAPI(b, len(first)), token, connections)}
			issues := issuesPerCaller(connections)
			for _, s := range []*issuer{ours, reference} {
				s.round(b, connections, issues)
				s.forget()
			}
			for b.Loop() {
				ours.round(b, connections, issues)
				reference.round(b, connections, issues)
			}
			n := connections * issues
			b.ReportMetric(0, "ns/op") // of both
			b.ReportMetric(ours.rounds.perSecond(n), "issues/s")
			b.ReportMetric(reference.rounds.perSecond(n), "reference-issues/s")
			b.ReportMetric(timesFaster(ours.rounds, reference.rounds), "ratio")
			b.ReportMetric(ours.cpuEach(n), "cpu-µs/issue")
			b.ReportMetric(reference.cpuEach(n), "reference-cpu-µs/issue")
			b.ReportMetric(ours.latency().at(0.50).Seconds()*1000, "p50-ms")
			b.ReportMetric(ours.latency().at(0.99).Seconds()*1000, "p99-ms")
		})
	}
}

// askFor returns the request for a user's CAL as it goes over the wire.
func askFor(address, token, user string) []byte {
	body := fmt.Sprintf(`{"user":%s}`, strconv.Quote(user))
	return fmt.Appendf(nil, "POST /v1/licenses HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", address, token, len(body), body)
}

// post returns what asks for a user's CAL on a connection of its own for each caller.
func post(b *testing.B, address, token string, connections int) func(int, string) error {
	b.Helper()
	var each []*connection
	for range connections {
		each = append(each, dial(b, address))
	}
	return func(caller int, user string) error {
		_, err := each[caller].exchange(askFor(address, token, user))
		return err
	}
}

// bareAPI starts the reference, which answers with so many bytes. It returns its address.
func bareAPI(b *testing.B, length int) string {
	b.Helper()
	issue := startPlainGroup(b, plainDatabase(b))
	answer := make([]byte, length)
	for i := range answer {
		answer[i] = ' '
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ User string }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if err := issue(0, request.User); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(length))
		w.WriteHeader(http.StatusCreated)
		w.Write(answer)
	})}
	go s.Serve(listener)
	b.Cleanup(func() { s.Close() })
	return listener.Addr().String()
}
