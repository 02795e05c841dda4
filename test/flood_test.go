package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"calkeeper/internal/store"
)

// basicClient sends requests with Basic authentication on one connection.
type basicClient struct {
	conn    net.Conn
	answers *bufio.Reader
}

func dialBasic(ctx context.Context, server, from string) (*basicClient, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	return &basicClient{conn, bufio.NewReader(conn)}, nil
}

// get asks for the license server, and returns the status, and whether the answer says when to try again.
func (c *basicClient) get(user, password string) (status int, later bool, err error) {
	r, err := http.NewRequest(http.MethodPost, "http://ls/wsman", bytes.NewReader(getServer))
	if err != nil {
		return 0, false, err
	}
	r.SetBasicAuth(user, password)
	r.Header.Set("Content-Type", soapXML)
	if err := r.Write(c.conn); err != nil {
		return 0, false, err
	}
	a, err := http.ReadResponse(c.answers, r)
	if err != nil {
		return 0, false, err
	}
	defer a.Body.Close()
	_, err = io.Copy(io.Discard, a.Body)
	return a.StatusCode, a.Header.Get("Retry-After") != "", err
}

// getOnce does so on a connection of its own.
func getOnce(t *testing.T, server, from, user, password string) (status int, later bool) {
	t.Helper()
	c, err := dialBasic(t.Context(), server, from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	if status, later, err = c.get(user, password); err != nil {
		t.Fatal(err)
	}
	return status, later
}

// peakMemory returns the peak of the process's resident memory in bytes.
func (p *process) peakMemory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) < 2 || fields[1] != "kB" {
		t.Fatalf("VmHWM is missing in\n%s", text)
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// TestFloodOfWrongPasswords sends 1,000 wrong passwords at once, each of which would need 19 MiB to be checked, from five addresses. The
// process's memory has a bound, all are refused, clients go on with the address that the flood comes from and with another one, and the
// audit log has few records, which account for every attempt.
func TestFloodOfWrongPasswords(t *testing.T) {
	const (
		attempts  = 1000
		addresses = 5
		maxGrowth = 128 << 20
		maxRows   = 100
		fresh     = "127.0.0.3"
		attacked  = "127.0.1.1" // also of a client that was in
	)
	dir, server := filepath.Join(t.TempDir(), "ls"), freePort(t)
	p := &process{
		path: program(t, shipped), name: "ls", ready: filepath.Join(t.TempDir(), "ready"),
		args: []string{"serve", "--dir", dir, "--name", "ls.farm.example", "--listen-http", server, "--listen-https", ""},
		env:  []string{"CALKEEPER_ADMIN_PASSWORD=" + password},
	}
	p.start(t, "")
	cmd := exec.Command(p.path, "account", "set", "grace", "--role", "Auditor")
	cmd.Env = append(os.Environ(), "CALKEEPER_SERVER=http://"+server+"/wsman", "CALKEEPER_PASSWORD="+password, "CALKEEPER_NEW_PASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if status, _ := getOnce(t, server, attacked, "Administrator", password); status != http.StatusOK {
		t.Fatalf("the client that is to be remembered has status %d", status)
	}
	before := p.peakMemory(t)

	// All connections are there before the first request. At each address every fourth is for Administrator: few enough for the client that
	// was in to stay so.
	var begin, ended sync.WaitGroup
	var refused atomic.Int64
	statuses := make(chan int, attempts)
	begin.Add(1)
	for i := range attempts {
		from := fmt.Sprintf("127.0.1.%d", i%addresses+1)
		user := "nobody at " + from[len(from)-1:]
		if i/addresses%4 == 0 {
			user = "Administrator"
		}
		c, err := dialBasic(t.Context(), server, from)
		if err != nil {
			t.Fatal(err)
		}
		ended.Go(func() {
			defer c.conn.Close()
			begin.Wait()
			status, _, err := c.get(user, fmt.Sprintf("wrong password %d", i))
			if err != nil {
				t.Error(err)
			}
			refused.Add(1)
			statuses <- status
		})
	}
	over := make(chan struct{})
	begin.Done()
	go func() { ended.Wait(); close(statuses); close(over) }()

	counts := map[int]int{<-statuses: 1} // it is under way
	if status, _ := getOnce(t, server, fresh, "grace", password); status != http.StatusOK {
		t.Errorf("a new client from another address has status %d", status)
	}
	remembered, err := dialBasic(t.Context(), server, attacked)
	if err != nil {
		t.Fatal(err)
	}
	defer remembered.conn.Close()
	answered := 0
	for done := false; !done; answered++ {
		select {
		case <-over:
			done = true
		default:
		}
		if status, _, err := remembered.get("Administrator", password); status != http.StatusOK || err != nil {
			t.Fatalf("the client that was in has status %d, %v", status, err)
		}
	}
	for status := range statuses {
		counts[status]++
	}
	if counts[http.StatusUnauthorized]+counts[http.StatusServiceUnavailable] != attempts || counts[http.StatusServiceUnavailable] == 0 {
		t.Errorf("%d wrong passwords have statuses %v; want 401 and 503", attempts, counts)
	}
	growth := p.peakMemory(t) - before
	t.Logf("statuses %v; the peak of memory grew by %d KiB, from %d KiB; %d answers to the client that was in", counts, growth>>10, before>>10, answered)
	if growth > maxGrowth {
		t.Errorf("the peak of memory grew by %d KiB", growth>>10)
	}

	// The next record for an account, or of an address, tells what was not recorded: make one of each.
	for i := range addresses {
		from := fmt.Sprintf("127.0.1.%d", i+1)
		await(t, "a password is checked again", func() bool {
			status, later := getOnce(t, server, from, "nobody at "+from[len(from)-1:], "a wrong password")
			refused.Add(1)
			return status == http.StatusUnauthorized && !later
		})
	}
	await(t, "the Administrator can log on elsewhere", func() bool {
		status, _ := getOnce(t, server, fresh, "Administrator", password)
		if status != http.StatusOK {
			refused.Add(1)
		}
		return status == http.StatusOK
	})
	if status, _ := getOnce(t, server, attacked, "Administrator", password); status != http.StatusOK {
		t.Errorf("the client that was in has status %d afterwards", status)
	}
	p.stop(t)
	rows, told := refusals(t, auditRecords(t, dir))
	if rows > maxRows || int64(rows+told) != refused.Load() {
		t.Errorf("of %d refused attempts %d are recorded and %d told of; want all, and at most %d records", refused.Load(), rows, told, maxRows)
	}
	t.Logf("%d refused: %d records, which tell of %d more", refused.Load(), rows, told)
	if bytes.Contains(p.log.Bytes(), []byte("wrong password 1")) || bytes.Contains(p.log.Bytes(), []byte(password)) {
		t.Error("the log holds a password")
	}
}

var unrecorded = regexp.MustCompile(`(\d+) (?:refusals before were not recorded|attempts, of anybody, had found too many under way)`)

// refusals counts the records of refused logons, and the attempts that any record tells of besides.
func refusals(t *testing.T, records []store.AuditRecord) (rows, told int) {
	t.Helper()
	for _, r := range records {
		if r.Action == "logon refused" {
			rows++
		}
		for _, m := range unrecorded.FindAllStringSubmatch(r.Detail, -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			told += n
		}
	}
	return rows, told
}
