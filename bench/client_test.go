//go:build linux

package bench_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"calkeeper/internal/wsman/client"
)

// connection is an HTTP client of one kept connection that costs as little as it can: it sends bytes made beforehand.
type connection struct {
	conn net.Conn
	r    *bufio.Reader
	body []byte
}

func dial(b *testing.B, address string) *connection {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return newConnection(conn)
}

func newConnection(conn net.Conn) *connection {
	return &connection{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
}

// exchange sends a request and returns the body of the answer, which is valid until the next.
func (c *connection) exchange(request []byte) ([]byte, error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	status, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 20")) {
		return nil, fmt.Errorf("the answer is %q", status)
	}
	length := -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) == len("\r\n") {
			break
		}
		if name := []byte("Content-Length: "); bytes.HasPrefix(line, name) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return nil, err
			}
		}
	}
	if length < 0 {
		return nil, errors.New("the answer has no Content-Length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.r, c.body)
	return c.body, err
}

// recorder keeps what a client sent last, as it went over the wire, and the length of the answer.
type recorder struct {
	request []byte
	answer  int
}

// RoundTrip sends the request.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	var wire bytes.Buffer
	if err := request.Write(&wire); err != nil {
		return nil, err
	}
	r.request = wire.Bytes()
	body, err := request.GetBody()
	if err != nil {
		return nil, err
	}
	again := request.Clone(request.Context())
	again.Body = body
	response, err := http.DefaultTransport.RoundTrip(again)
	if err == nil {
		r.answer = int(response.ContentLength)
	}
	return response, err
}

// record returns what a WS-Management client sends for a call, and the length of the answer's body.
func record(b *testing.B, s *server, call func(*client.Client) error) (request []byte, answer int) {
	b.Helper()
	var r recorder
	c, err := client.New(client.Options{URL: s.URL(), User: administrator, Password: s.password, HTTPClient: &http.Client{Transport: &r}})
	if err != nil {
		b.Fatal(err)
	}
	if err := call(c); err != nil {
		b.Fatal(err)
	}
	return r.request, r.answer
}

// addressOf returns host:port of a URL of ours.
func addressOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	address, _, _ := strings.Cut(rest, "/")
	return address
}

// exchanger sends a request and returns the body of the answer.
type exchanger interface {
	exchange(request []byte) ([]byte, error)
}

// side is one of the two that are compared.
type side struct {
	connections []exchanger
	request     []byte
	rounds      series            // how long each round took
	cpu         series            // how long it kept processors busy: this process, server and client
	each        [][]time.Duration // how long each request took, by connection
}

func newSide(b *testing.B, address string, request []byte, connections int) *side {
	b.Helper()
	return sideOf(request, connections, func() exchanger { return dial(b, address) })
}

// sideOf returns a side whose connections that function makes.
func sideOf(request []byte, connections int, connect func() exchanger) *side {
	s := &side{request: request, each: make([][]time.Duration, connections)}
	for range connections {
		s.connections = append(s.connections, connect())
	}
	return s
}

// round sends so many requests on each connection, on all of them at once.
func (s *side) round(b *testing.B, requests int) {
	var wg sync.WaitGroup
	began, busy := time.Now(), processCPU(b)
	for i, c := range s.connections {
		wg.Go(func() {
			for range requests {
				sent := time.Now()
				if _, err := c.exchange(s.request); err != nil {
					b.Error(err)
					return
				}
				s.each[i] = append(s.each[i], time.Since(sent))
			}
		})
	}
	wg.Wait()
	s.rounds = append(s.rounds, time.Since(began))
	s.cpu = append(s.cpu, processCPU(b)-busy)
}

// processCPU returns how long this process has kept processors busy.
func processCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// series is how long something took, each time. Its median does not mind what else the machine did now and then.
type series []time.Duration

func (s series) at(part float64) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(part*float64(len(sorted)-1))]
}

func (s series) median() time.Duration { return s.at(0.5) }

// perSecond returns how many there were per second, if each time there were n.
func (s series) perSecond(n int) float64 { return float64(n) / s.median().Seconds() }

// roundRequests is how many requests all connections together send in one round: enough to make starting it cheap, few
// enough that a round lasts some hundredths of a second.
const roundRequests = 640

// compare lets both sides take turns. What the testing package measures itself is both, and both ends of the connections.
func compare(b *testing.B, ours, reference *side) {
	b.Helper()
	compareRounds(b, ours, reference, roundRequests)
}

// compareRounds is compare with so many requests in a round.
func compareRounds(b *testing.B, ours, reference *side, all int) {
	b.Helper()
	connections := len(ours.connections)
	requests := all / connections
	for _, s := range []*side{ours, reference} { // to warm up
		s.round(b, requests)
		s.rounds, s.cpu, s.each = nil, nil, make([][]time.Duration, connections)
	}
	for b.Loop() {
		ours.round(b, requests)
		reference.round(b, requests)
	}
	n := requests * connections
	each := series(slices.Concat(ours.each...))
	b.ReportMetric(0, "ns/op") // of a round
	b.ReportMetric(ours.rounds.perSecond(n), "req/s")
	b.ReportMetric(reference.rounds.perSecond(n), "reference-req/s")
	b.ReportMetric(ours.rounds.perSecond(n)/reference.rounds.perSecond(n), "ratio")
	b.ReportMetric(float64(ours.cpu.median().Microseconds())/float64(n), "cpu-µs/req")
	b.ReportMetric(float64(reference.cpu.median().Microseconds())/float64(n), "reference-cpu-µs/req")
	b.ReportMetric(each.at(0.50).Seconds()*1000, "p50-ms")
	b.ReportMetric(each.at(0.99).Seconds()*1000, "p99-ms")
}
