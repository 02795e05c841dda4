package wsman_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"calkeeper/internal/wsman"
)

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("after 20 seconds %s; %d goroutines:\n%s", what, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// listener is a server on a real listener, with a clock of its own.
type listener struct {
	*world
	server *wsman.Server
	web    *httptest.Server

	mu  sync.Mutex
	now time.Time
}

func listen(t *testing.T, w *world, change func(*wsman.Options), configure func(*http.Server)) *listener {
	t.Helper()
	l := &listener{world: w, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	l.server = server(t, w, func(o *wsman.Options) {
		o.Now = func() time.Time { l.mu.Lock(); defer l.mu.Unlock(); return l.now }
		if change != nil {
			change(o)
		}
	})
	l.web = httptest.NewUnstartedServer(l.server)
	if configure != nil {
		configure(l.web.Config)
	}
	l.web.Start()
	t.Cleanup(l.web.Close)
	return l
}

func (l *listener) wait(d time.Duration) {
	l.mu.Lock()
	l.now = l.now.Add(d)
	l.mu.Unlock()
}

func (l *listener) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", l.web.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c.(*net.TCPConn)
}

// post is a request of the user alice as it goes over a connection.
func post(message string) string {
	return fmt.Sprintf("POST /wsman HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6U2VjcmV0MSE=\r\n"+
		"Content-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", len(message), message)
}

// answered reads a reply.
func answered(t *testing.T, c net.Conn) reply {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	must(t, err)
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return reply{status: response.StatusCode, header: response.Header, raw: string(body), node: parse(t, string(body))}
}

// reset ends a connection at once, so that the peer's next write fails.
func reset(t *testing.T, c *net.TCPConn) {
	t.Helper()
	must(t, c.SetLinger(0))
	must(t, c.Close())
}

// TestConnectionsThatEndEarly has clients leave at every point of a request and of its reply: those who still listen get the right
// fault, and nothing stays behind of any of them, neither a goroutine nor an open enumeration nor a sequence of instances.
func TestConnectionsThatEndEarly(t *testing.T) {
	const many, clients = 12_000, 3
	big := newWorld(many)
	for i := range big.packs {
		big.packs[i].Description = strings.Repeat("x", 800)
	}
	l := listen(t, big, func(o *wsman.Options) {
		o.Limits.MaxElements, o.Limits.MaxEnvelopeSize = many, 32<<20
	}, nil)
	site, whole := post(getSite), post(enumerate(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>11999</w:MaxElements>"))
	chunked := strings.Replace(post(""), "Content-Length: 0", "Transfer-Encoding: chunked", 1)

	for _, c := range []struct {
		name    string
		sent    string
		blocked bool                           // the provider stops in the middle
		leave   func(*testing.T, *net.TCPConn) // the client does so after it has sent, and the server is at work
		open    int                            // enumerations that are open then, until they expire
	}{
		{"closed before anything", "", false, hangUp, 0},
		{"reset before anything", "", false, reset, 0},
		{"half-closed before anything", "", false, halfClose, 0},
		{"reset within the HTTP header", site[:40], false, reset, 0},
		{"half-closed within the HTTP header", site[:40], false, halfClose, 0},
		{"reset within the envelope", site[:len(site)-100], false, reset, 0},
		{"closed within the envelope", site[:len(site)-100], false, hangUp, 0},
		{"half-closed within the envelope", site[:len(site)-100], false, refused("w:SchemaValidationError"), 0},
		{"half-closed within a chunk", chunked + "100\r\n<s:Env", false, refused("w:SchemaValidationError"), 0},
		{"half-closed between chunks", chunked + "6\r\n<s:Env\r\n", false, refused("w:SchemaValidationError"), 0},
		{"no chunk at all", chunked + "no number\r\n", false, refused("w:SchemaValidationError"), 0},
		{"reset within a chunk", chunked + "100\r\n<s:Env", false, reset, 0},
		{"half-closed during the operation", whole, true, refused("w:TimedOut"), 0},
		{"closed during the operation", whole, true, hangUp, 0},
		{"reset during the operation", whole, true, reset, 0},
		{"reset within the reply", whole, false, resetWithin, 1},
		{"reset before the reply was read", site, false, reset, 0},
		{"half-closed after the reply", site, false, func(t *testing.T, c *net.TCPConn) {
			if got := answered(t, c); got.status != 200 {
				t.Error(got.raw)
			}
			must(t, c.CloseWrite())
			if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
		}, 0},
	} {
		ended := t.Run(c.name, func(t *testing.T) {
			before, started := runtime.NumGoroutine(), l.started.Load()
			l.blocked = nil
			if c.blocked {
				l.blocked = make(chan struct{})
				defer close(l.blocked)
			}
			for range clients {
				began := l.started.Load()
				connection := l.dial(t)
				_, err := io.WriteString(connection, c.sent)
				must(t, err)
				if c.blocked {
					eventually(t, "the provider has not been asked", func() bool { return l.started.Load() > began })
				}
				c.leave(t, connection)
				connection.Close()
			}
			eventually(t, "not as many enumerations are open as should be", func() bool { return l.server.OpenEnumerations() == clients*c.open })
			eventually(t, "sequences of instances have not ended", func() bool {
				return l.started.Load()-l.ended.Load() == int64(clients*c.open)
			})
			if c.blocked && l.started.Load() != started+clients {
				t.Errorf("%d sequences began", l.started.Load()-started)
			}
			// An enumeration whose first items did not arrive expires like any other.
			l.wait(time.Hour)
			connection := l.dial(t)
			_, err := io.WriteString(connection, post(getSite)+post(releaseMessage("uuid:none")))
			must(t, err)
			if got := answered(t, connection); got.status != 200 {
				t.Errorf("afterwards: %s", got.raw)
			}
			reset(t, connection)
			eventually(t, "enumerations or sequences are left", func() bool {
				return l.server.OpenEnumerations() == 0 && l.started.Load() == l.ended.Load()
			})
			eventually(t, fmt.Sprintf("goroutines are left, of %d before", before), func() bool { return runtime.NumGoroutine() <= before })
		})
		if !ended {
			break // the others would only count what this one has left
		}
	}
}

func hangUp(t *testing.T, c *net.TCPConn) { must(t, c.Close()) }

// halfClose says that nothing more will be sent, and waits until the server has hung up.
func halfClose(t *testing.T, c *net.TCPConn) {
	t.Helper()
	must(t, c.CloseWrite())
	_, err := io.Copy(io.Discard, c)
	must(t, err)
}

// resetWithin reads the first part of a reply.
func resetWithin(t *testing.T, c *net.TCPConn) {
	t.Helper()
	head := make([]byte, 1000)
	_, err := io.ReadFull(c, head)
	must(t, err)
	if !strings.HasPrefix(string(head), "HTTP/1.1 200") || strings.Contains(string(head), "</s:Envelope>") {
		t.Errorf("%s", head)
	}
	reset(t, c)
}

// refused returns what half-closes a connection and reads a fault.
func refused(subcode string) func(*testing.T, *net.TCPConn) {
	return func(t *testing.T, c *net.TCPConn) {
		t.Helper()
		must(t, c.CloseWrite())
		got := answered(t, c)
		status := map[string]int{"w:SchemaValidationError": 400, "w:TimedOut": 500}[subcode]
		if got.status != status || got.text("Body/Fault/Code/Subcode/Value") != subcode {
			t.Errorf("status %d, %s", got.status, got.raw)
		}
	}
}

// TestSlowRequest sends a part of a request, and then nothing, until the time for sending it is over (MS-WSMV 3.1.5.2).
func TestSlowRequest(t *testing.T) {
	l := listen(t, newWorld(1), nil, func(h *http.Server) { h.ReadTimeout = 50 * time.Millisecond })
	before := runtime.NumGoroutine()
	request := post(getSite)
	c := l.dial(t)
	_, err := io.WriteString(c, request[:len(request)-1])
	must(t, err)
	checkFault(t, answered(t, c), "s:Receiver", "w:TimedOut", "")
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

// TestExpiredContexts lets many enumerations expire, some of them in the middle: all their contexts are refused alike, and nothing
// of them is left.
func TestExpiredContexts(t *testing.T) {
	l := listen(t, newWorld(9), func(o *wsman.Options) { o.Limits.MaxOfOneCaller = 50 }, nil)
	before := runtime.NumGoroutine()
	var contexts []string
	for i := range 48 {
		context := open(t, l.server, "alice")
		if i%3 > 0 {
			send(t, l.server, pull(context, "<n:MaxElements>2</n:MaxElements>")).items(t)
		}
		contexts = append(contexts, context)
	}
	if n := l.server.OpenEnumerations(); n != 48 || l.started.Load() != 32 {
		t.Errorf("%d enumerations are open, %d sequences began", n, l.started.Load())
	}
	l.wait(4*time.Minute - 1)
	send(t, l.server, pull(contexts[0], "")).items(t) // it lives on
	l.wait(1)
	for i, context := range contexts[1:] {
		ask := pull(context, "")
		if i%2 == 0 {
			ask = releaseMessage(context)
		}
		for range 2 {
			checkFault(t, send(t, l.server, ask), "s:Receiver", "n:InvalidEnumerationContext", "")
		}
	}
	if n := l.server.OpenEnumerations(); n != 1 {
		t.Errorf("%d enumerations are open", n)
	}
	if got := send(t, l.server, releaseMessage(contexts[0])); got.status != 200 {
		t.Error(got.raw)
	}
	if l.started.Load() != 33 || l.ended.Load() != 33 {
		t.Errorf("%d sequences began, %d ended", l.started.Load(), l.ended.Load())
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}
