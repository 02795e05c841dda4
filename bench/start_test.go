//go:build linux

package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart runs the program, as `make build` makes it, until it has answered Identify: in a new directory, where it
// makes its identity, database, certificate and first account, and in the same one again. Beside it starts a program that
// does nothing but answer. Its memory is taken half a second later.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	calkeeper := build(b, filepath.Join(dir, "calkeeper"), "calkeeper/cmd/calkeeper")
	reference := build(b, filepath.Join(dir, "bare"), writeBare(b))
	for _, test := range []struct {
		name     string
		embedded bool
	}{{"alone", false}, {"embedded-clearinghouse", true}} {
		b.Run(test.name, func(b *testing.B) {
			var empty, again, bare []run
			for b.Loop() {
				dir := b.TempDir()
				arguments := []string{"serve", "--dir", dir, "--listen-https", "127.0.0.1:0", "--log-level", "error"}
				if test.embedded {
					arguments = append(arguments, "--embedded-clearinghouse", "--clearinghouse-listen", "127.0.0.1:0")
				}
				empty = append(empty, start(b, calkeeper, "--listen-http", arguments...))
				again = append(again, start(b, calkeeper, "--listen-http", arguments...))
				bare = append(bare, start(b, reference, "-listen"))
			}
			b.ReportMetric(0, "ns/op") // of all
			b.ReportMetric(median(empty, run.milliseconds), "empty-ms")
			b.ReportMetric(median(again, run.milliseconds), "existing-ms")
			b.ReportMetric(median(bare, run.milliseconds), "reference-ms")
			b.ReportMetric(median(empty, run.megabytes), "empty-MB")
			b.ReportMetric(median(again, run.megabytes), "existing-MB")
			b.ReportMetric(median(bare, run.megabytes), "reference-MB")
		})
	}
}

// run is one start of a program.
type run struct {
	answered time.Duration
	resident int // kB
}

func (r run) milliseconds() float64 { return r.answered.Seconds() * 1000 }
func (r run) megabytes() float64    { return float64(r.resident) / 1024 }

func median(runs []run, of func(run) float64) float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// build builds a program as `make build` does.
func build(b *testing.B, path, what string) string {
	b.Helper()
	c := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", path, what)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("go build %s: %v\n%s", what, err, out)
	}
	return path
}

// writeBare writes the program that does nothing but answer.
func writeBare(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bare.go")
	if err := os.WriteFile(path, []byte(`package main

import (
	"flag"
	"log"
	"net/http"
)

func main() {
	listen := flag.String("listen", "", "host:port")
	flag.Parse()
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("here")) })))
}
`), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

const identify = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ` +
	`xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>`

// start runs a program, which shall listen on the address that follows the flag, until it has answered; then it stops it.
func start(b *testing.B, program, flag string, arguments ...string) run {
	b.Helper()
	address := freeAddress(b)
	request := fmt.Appendf(nil, "POST /wsman HTTP/1.1\r\nHost: %s\r\nWSMANIDENTIFY: unauthenticated\r\n"+
		"Content-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", address, len(identify), identify)
	c := exec.CommandContext(b.Context(), program, append(arguments, flag, address)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	began := time.Now()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	if err := awaitAnswer(b.Context(), address, request); err != nil {
		c.Process.Kill()
		c.Wait()
		b.Fatalf("%s: %v\n%s", filepath.Base(program), err, out.String())
	}
	r := run{answered: time.Since(began)}
	b.StopTimer()
	defer b.StartTimer()
	time.Sleep(500 * time.Millisecond)
	r.resident = resident(b, c.Process.Pid)
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := c.Wait(); err != nil && !diedOf(err, syscall.SIGTERM) {
		b.Fatalf("%s: %v\n%s", filepath.Base(program), err, out.String())
	}
	return r
}

// diedOf tells whether a program did not care about the signal: the reference does not.
func diedOf(err error, signal syscall.Signal) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == signal
}

// freeAddress returns one on which nobody listens now.
func freeAddress(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// awaitAnswer asks until there is an answer. Nothing tells when somebody begins to listen, so it tries every 200 µs.
func awaitAnswer(ctx context.Context, address string, request []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			defer conn.Close()
			if _, err := conn.Write(request); err != nil {
				return err
			}
			answer := make([]byte, len("HTTP/1.1 200"))
			if _, err := io.ReadFull(conn, answer); err != nil {
				return err
			}
			if string(answer) != "HTTP/1.1 200" {
				return fmt.Errorf("the answer begins with %q", answer)
			}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// resident returns the resident memory of a process in kB.
func resident(b *testing.B, pid int) int { return processStatus(b, pid, "VmRSS") }

// processStatus returns what /proc/PID/status has under a name, in kB.
func processStatus(b *testing.B, pid int, name string) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatalf("there is no %s in /proc/PID/status", name)
	return 0
}
