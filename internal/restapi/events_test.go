package restapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/restapi"
	"calkeeper/internal/restapi/wire"
)

func TestEvents(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	for i := range 5 {
		h.ask([]string{users, farm}[i%2], http.MethodPost, licenses, fmt.Sprintf(`{"user":"user%d"}`, i), http.StatusCreated, nil)
	}
	for caller, most := range map[string]int{auditor: 100, users: 100, devices: 0} {
		seen, after := 0, uint64(0)
		for {
			var page wire.EventPage
			w := h.ask(caller, http.MethodGet, fmt.Sprintf("/v1/events?limit=2&after=%d", after), "", http.StatusOK, &page)
			for _, e := range page.Events {
				if e.Seq <= after || caller == users && e.Actor != users || e.LicenseID == 0 {
					t.Errorf("%s sees, after %d, %+v", caller, after, e)
				}
				after = e.Seq
				seen++
			}
			if !strings.Contains(w.Body.String(), `"events":[`) || w.Header().Get("Link") != fmt.Sprintf(`</v1/events?after=%d&limit=2>; rel="next"`, page.Next) {
				t.Errorf("%s, Link %q", w.Body, w.Header().Get("Link"))
			}
			if len(page.Events) == 0 && page.Next == after {
				break
			}
			after = page.Next
		}
		if seen > most || (seen == 0) != (most == 0) {
			t.Errorf("%s sees %d events", caller, seen)
		}
	}
}

// patience is how long something may take that takes no time on an idle machine.
const patience = 30 * time.Second

// waiting returns when so many requests wait for events.
func (h *house) waiting(n int) {
	h.t.Helper()
	for end := time.Now().Add(patience); restapi.Waiting(h.handler) != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%d requests wait, want %d", restapi.Waiting(h.handler), n)
		}
	}
}

// TestLongPoll waits for an event that comes.
func TestLongPoll(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Limits.Waiting = 2 })
	last, err := h.service.LastEvent(context.Background())
	must(t, err)
	target := fmt.Sprintf("/v1/events?wait=60&after=%d", last)
	answers := make(chan wire.EventPage, 2)
	for range 2 {
		go func() {
			var page wire.EventPage
			w := httptest.NewRecorder()
			h.handler.ServeHTTP(w, h.request(users, http.MethodGet, target, ""))
			_ = json.Unmarshal(w.Body.Bytes(), &page)
			answers <- page
		}()
	}
	h.waiting(2)
	h.refused(users, http.MethodGet, target, "", http.StatusTooManyRequests, "limited", "wait for events")
	h.ask(users, http.MethodGet, fmt.Sprintf("/v1/events?after=%d", last), "", http.StatusOK, nil) // does not wait
	h.ask(farm, http.MethodPost, licenses, `{"user":"bob"}`, http.StatusCreated, nil)              // another host's
	h.ask(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusCreated, nil)
	for range 2 {
		page := <-answers
		if len(page.Events) == 0 || page.Events[0].Actor != users || page.Next < page.Events[0].Seq {
			t.Errorf("got %+v", page)
		}
	}
	h.waiting(0)
}

// stream asks for server-sent events on a real connection.
func stream(t *testing.T, h *house, url, caller string, header http.Header) (*bufio.Scanner, *http.Response, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(t, err)
	h.as(caller, r)
	r.Header.Set("Accept", "text/html, text/event-stream;q=0.9")
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	must(t, err)
	t.Cleanup(func() { response.Body.Close() })
	return bufio.NewScanner(response.Body), response, cancel
}

// next returns the lines of the next event, or comment.
func next(lines *bufio.Scanner) string {
	var text []string
	for lines.Scan() {
		if lines.Text() == "" {
			return strings.Join(text, "\n")
		}
		text = append(text, lines.Text())
	}
	return "end"
}

func TestEventStream(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	h.ask(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusCreated, nil)
	url := h.serve() + "/v1/events"
	lines, response, cancel := stream(t, h, url, auditor, nil)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != wire.EventStream {
		t.Fatalf("%s, %s", response.Status, response.Header)
	}
	if got := next(lines); got != ": events" {
		t.Fatalf("the stream begins with %q", got)
	}
	h.ask(users, http.MethodPost, licenses, `{"user":"bob"}`, http.StatusCreated, nil)
	var e wire.Event
	parse := func(text string) {
		t.Helper()
		got := strings.Split(text, "\n")
		if len(got) != 3 || json.Unmarshal([]byte(strings.TrimPrefix(got[2], "data: ")), &e) != nil ||
			got[0] != fmt.Sprintf("id: %d", e.Seq) || got[1] != "event: "+e.Action {
			t.Fatalf("the event is %q", text)
		}
	}
	parse(next(lines))
	if e.Action != "issue" || e.Actor != users || !strings.Contains(e.Detail, "bob") || !e.At.Equal(h.clock()) {
		t.Errorf("the event is %+v", e)
	}
	cancel()
	h.waiting(0)
	// It goes on behind the last event that was seen: with the header, or with the parameter.
	before := e.Seq - 1
	for _, again := range []struct {
		url    string
		header http.Header
	}{
		{url + "?after=0", http.Header{"Last-Event-Id": {fmt.Sprint(before)}}},
		{url + "?after=" + fmt.Sprint(before), nil},
	} {
		lines, _, _ = stream(t, h, again.url, auditor, again.header)
		next(lines)
		parse(next(lines))
		if e.Seq != before+1 {
			t.Errorf("%+v begins with %+v", again, e)
		}
	}
	for _, wrong := range []string{"x", "-1", "99999999999999999999", "1 ", "18446744073709551615"} {
		r := h.request(auditor, http.MethodGet, "/v1/events", "")
		r.Header.Set("Accept", wire.EventStream)
		r.Header.Set("Last-Event-ID", wrong)
		h.refusal(r, http.StatusUnprocessableEntity, "invalid", "Last-Event-ID")
	}
}

// TestEventStreamOfAHost: a session host sees what it asked, and a heartbeat while others ask.
func TestEventStreamOfAHost(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Limits.Heartbeat = 50 * time.Millisecond })
	lines, _, _ := stream(t, h, h.serve()+"/v1/events", users, nil)
	next(lines)
	h.ask(farm, http.MethodPost, licenses, `{"user":"bob"}`, http.StatusCreated, nil)
	if got := next(lines); got != ": heartbeat" {
		t.Errorf("got %q", got)
	}
	h.ask(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusCreated, nil)
	got := next(lines)
	for got == ": heartbeat" {
		got = next(lines)
	}
	if !strings.Contains(got, `"actor":"`+users+`"`) {
		t.Errorf("got %q", got)
	}
}

// TestServerStops ends streams and polls by the context of the server, as app does.
func TestServerStops(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	ctx, stop := context.WithCancel(context.Background())
	s := httptest.NewUnstartedServer(h.handler)
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Start()
	t.Cleanup(s.Close)
	lines, _, _ := stream(t, h, s.URL+"/v1/events", auditor, nil)
	next(lines)
	polled := make(chan *http.Response, 1)
	last, err := h.service.LastEvent(ctx)
	must(t, err)
	go func() {
		r, _ := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/v1/events?wait=60&after=%d", s.URL, last), nil)
		h.as(auditor, r)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
		}
		polled <- response
	}()
	h.waiting(2)
	stop()
	if got := next(lines); got != "end" {
		t.Errorf("the stream goes on with %q", got)
	}
	response := <-polled
	if response == nil {
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "stops") {
		t.Errorf("the poll ends with %s %s, %v", response.Status, text, err)
	}
	if strings.Contains(h.log.String(), "level=ERROR") {
		t.Errorf("that the server stops is an error in the log:\n%s", h.log)
	}
}

// TestDeadlinesOfConnections: a stream lives longer than the time that the server has to read a request.
func TestDeadlinesOfConnections(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, func(o *restapi.Options) { o.Limits.Heartbeat = 20 * time.Millisecond })
	s := httptest.NewUnstartedServer(h.handler)
	s.Config.ReadTimeout = 100 * time.Millisecond
	s.Start()
	t.Cleanup(s.Close)
	lines, _, _ := stream(t, h, s.URL+"/v1/events", auditor, nil)
	for i := range 15 {
		if got := next(lines); got == "end" {
			t.Fatalf("the stream ended after %d heartbeats", i)
		}
	}
}
