package inventory_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/server"
	"calkeeper/internal/clearinghouse/wire"
)

// fault is what happens to one request.
type fault string

const (
	fine         fault = "fine"
	refused      fault = "connection refused"
	requestLost  fault = "request lost"
	replyLost    fault = "reply lost"
	replyGarbled fault = "a proxy answers instead"
	doubled      fault = "request arrives twice"
	copied       fault = "a copy of the request arrives later"
)

// plan is what goes wrong during one action.
type plan struct {
	faults     []fault // of the requests, one after the other
	crashWho   int     // member, or -1 for the clearinghouse
	crashAfter int     // at that point counted from 1; 0: no crash
	meanwhile  func()  // something else that happens
	meanAfter  int     // at that point
	points     int     // passed so far
}

var errNetwork = errors.New("the network failed")

// point is passed at each step of a transfer, around each commit and around each request. A process that has died meanwhile
// goes no further.
func (w *world) point(who int, alive bool, name, step string) {
	if !alive {
		panic(crashed{name})
	}
	w.points++
	if f := w.meanwhile; f != nil && w.points >= w.meanAfter {
		w.meanwhile = nil
		f()
	}
	if w.crashAfter > 0 && w.crashWho == who {
		if w.crashAfter--; w.crashAfter == 0 {
			w.t.Logf("    %s crashes at %s", name, step)
			panic(crashed{name})
		}
	}
}

// network carries requests from one license server to the clearinghouse.
type network struct {
	w    *world
	m    *member
	step func(string)
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.step("request")
	response, err := n.roundTrip(r)
	n.step("answer")
	return response, err
}

func (n *network) roundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w := n.w
	next := fine
	if len(w.faults) > 0 {
		next, w.faults = w.faults[0], w.faults[1:]
		if next != fine {
			w.t.Logf("    %s %s: %s", n.m.name, r.URL.Path, next)
		}
	}
	if !n.m.online || !w.house.up || next == refused {
		return nil, errNetwork
	}
	w.note(r.URL.Path, body)
	if next == requestLost {
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
			trace.GotConn(httptrace.GotConnInfo{})
		}
		return nil, errNetwork
	}
	response, err := w.deliver(r, body)
	if err == nil && next == doubled {
		response, err = w.deliver(r, body)
	}
	if err != nil || next == replyLost {
		return nil, errNetwork
	}
	if next == copied && r.URL.Path == wire.PerformPath {
		again := r.Clone(context.Background())
		again.Body = io.NopCloser(bytes.NewReader(body))
		w.late = append(w.late, again)
	}
	if next == replyGarbled {
		response.StatusCode = http.StatusBadGateway
		response.Header = http.Header{}
		response.Body = io.NopCloser(strings.NewReader("<html>Bad Gateway</html>"))
	}
	return response, nil
}

// deliver hands a request to the clearinghouse, which may crash.
func (w *world) deliver(r *http.Request, body []byte) (response *http.Response, err error) {
	life := w.house.life
	if !w.house.up {
		return nil, errNetwork
	}
	defer func() {
		if p := recover(); p != nil {
			if c, ok := p.(crashed); !ok || c.name != "clearinghouse" {
				panic(p)
			}
			if w.house.life == life {
				w.house.stop()
			}
		}
		if w.house.life != life {
			response, err = nil, errNetwork
		}
	}()
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	response, err = server.Transport(w.house.handler).RoundTrip(again)
	if err == nil && response.StatusCode == http.StatusInternalServerError && w.house.life == life {
		w.t.Errorf("the clearinghouse answered %s %s with HTTP 500\n%s", r.URL.Path, body, w.log.String())
	}
	return response, err
}

// note counts the granting operations that a call begins: one that is asked again counts once.
func (w *world) note(path string, body []byte) {
	var op clearinghouse.Operation
	if path != wire.PerformPath || json.Unmarshal(body, &op) != nil {
		return
	}
	switch op.Kind {
	case clearinghouse.Install, clearinghouse.Import, clearinghouse.Convert, clearinghouse.Reinstall:
		if !w.granting[op.Key] {
			w.granting[op.Key] = true
			w.asked++
		}
	}
}

// arrive delivers the copies of requests that are under way.
func (w *world) arrive() {
	late := w.late
	w.late = nil
	for _, r := range late {
		body, err := io.ReadAll(r.Body)
		w.must(err)
		if _, err := w.deliver(r, body); err != nil && !errors.Is(err, errNetwork) {
			w.t.Errorf("a late copy: %v", err)
		}
	}
}
