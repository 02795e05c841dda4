package wsman_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calkeeper/internal/wsman"
)

// open begins an enumeration and returns its context.
func open(t *testing.T, s *wsman.Server, user string) string {
	t.Helper()
	_, context, _ := sendAs(t, s, user, enumerate(wmi+"Test_Pack", "", "")).items(t)
	return context
}

func releaseMessage(context string) string {
	return message{action: enumeration + "Release", uri: wmi + "Test_Pack", body: `<n:Release><n:EnumerationContext>` + context + `</n:EnumerationContext></n:Release>`}.String()
}

// TestRelease ends an enumeration in the middle.
func TestRelease(t *testing.T) {
	w := newWorld(5)
	s := server(t, w, nil)
	context := open(t, s, "alice")
	send(t, s, pull(context, "")).items(t)
	// Others cannot tell it from one that does not exist.
	for _, message := range []string{pull(context, ""), releaseMessage(context)} {
		checkFault(t, sendAs(t, s, "mallory", message), "s:Receiver", "n:InvalidEnumerationContext", "")
	}
	got := send(t, s, releaseMessage(context))
	if got.status != 200 || got.text("Header/Action") != enumeration+"ReleaseResponse" || len(got.at("Body").Children) != 0 || w.ended.Load() != 1 {
		t.Errorf("%d ended: %s", w.ended.Load(), got.raw)
	}
	for _, message := range []string{pull(context, ""), releaseMessage(context)} {
		checkFault(t, send(t, s, message), "s:Receiver", "n:InvalidEnumerationContext", "")
	}
}

// TestExpiry lets an enumeration lie idle, by a clock of its own.
func TestExpiry(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	wait := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	w := newWorld(9)
	s := server(t, w, func(o *wsman.Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	used, idle := open(t, s, "alice"), open(t, s, "alice")
	send(t, s, pull(idle, "")).items(t)
	for range 3 {
		wait(3 * time.Minute)
		send(t, s, pull(used, "")).items(t)
	}
	if w.ended.Load() != 1 {
		t.Errorf("%d sequences ended", w.ended.Load())
	}
	checkFault(t, send(t, s, pull(idle, "")), "s:Receiver", "n:InvalidEnumerationContext", "")
	wait(6 * time.Minute)
	checkFault(t, send(t, s, releaseMessage(used)), "s:Receiver", "n:InvalidEnumerationContext", "")
	if w.ended.Load() != 2 {
		t.Errorf("%d sequences ended", w.ended.Load())
	}
}

// TestExpiryTimer lets all enumerations lie idle while no request comes at all.
func TestExpiryTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(5)
		s := server(t, w, nil)
		first := open(t, s, "alice")
		send(t, s, pull(first, "")).items(t)
		time.Sleep(3 * time.Minute)
		second := open(t, s, "alice")
		send(t, s, pull(second, "")).items(t)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if w.ended.Load() != 1 {
			t.Errorf("after 6 minutes %d sequences ended", w.ended.Load())
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if w.ended.Load() != 2 {
			t.Errorf("after 11 minutes %d sequences ended", w.ended.Load())
		}
		third := open(t, s, "alice")
		send(t, s, pull(third, "")).items(t)
		s.Close()
		if w.ended.Load() != 3 {
			t.Errorf("after Close %d sequences ended", w.ended.Load())
		}
	})
}

// TestMaxEnumerations opens too many, and makes room again.
func TestMaxEnumerations(t *testing.T) {
	w := newWorld(5)
	s := server(t, w, func(o *wsman.Options) { o.Limits.MaxEnumerations = 3 })
	var contexts []string
	for range 3 {
		contexts = append(contexts, open(t, s, "alice"))
	}
	for _, children := range []string{"", "<w:OptimizeEnumeration/>"} {
		fault := checkFault(t, send(t, s, enumerate(wmi+"Test_Pack", "", children)), "s:Sender", "w:QuotaLimit", "")
		if code := fault.at("Detail/WSManFault").attr("Code"); code != "2150858815" {
			t.Errorf("code %s", code)
		}
	}
	if w.started.Load() != w.ended.Load() {
		t.Errorf("%d sequences begun, %d ended", w.started.Load(), w.ended.Load())
	}
	// What fits into one reply needs no room.
	send(t, s, enumerate(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>5</w:MaxElements>")).items(t)
	send(t, s, releaseMessage(contexts[0]))
	open(t, s, "alice")
}

// TestMaxOfOneCaller: nobody takes what there is for all.
func TestMaxOfOneCaller(t *testing.T) {
	s := server(t, newWorld(5), func(o *wsman.Options) { o.Limits.MaxOfOneCaller = 2 })
	first := open(t, s, "alice")
	open(t, s, "alice")
	checkFault(t, sendAs(t, s, "alice", enumerate(wmi+"Test_Pack", "", "")), "s:Sender", "w:QuotaLimit", "")
	open(t, s, "bob")
	sendAs(t, s, "alice", releaseMessage(first))
	open(t, s, "alice")
}

// TestClose checks that nothing stays open, and that nothing opens any more.
func TestClose(t *testing.T) {
	w := newWorld(5)
	s := server(t, w, nil)
	send(t, s, pull(open(t, s, "alice"), "")).items(t)
	s.Close()
	if w.started.Load() != 1 || w.ended.Load() != 1 {
		t.Errorf("%d sequences begun, %d ended", w.started.Load(), w.ended.Load())
	}
	checkFault(t, send(t, s, enumerate(wmi+"Test_Pack", "", "")), "s:Receiver", "a:EndpointUnavailable", "")
	if got := send(t, s, getSite); got.status != 200 {
		t.Errorf("status %d", got.status)
	}
}

// TestItemTooLong checks that an item which does not fit can still be had, if the client asks for more.
func TestItemTooLong(t *testing.T) {
	w := newWorld(3)
	w.packs[1].Description = strings.Repeat("z", 10_000)
	s := server(t, w, nil)
	const small = `<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>`
	context := open(t, s, "alice")
	ask := func(header, children string) reply {
		return send(t, s, strings.Replace(pull(context, children), "</s:Header>", header+"</s:Header>", 1))
	}
	if found, _, end := ask(small, "<n:MaxElements>9</n:MaxElements>").items(t); len(found) != 1 || end {
		t.Fatalf("%d items, end %v", len(found), end)
	}
	for range 2 {
		checkFault(t, ask(small, ""), "s:Sender", "w:EncodingLimit", "MaxEnvelopeSize")
	}
	if found, _, end := ask("", "<n:MaxElements>9</n:MaxElements>").items(t); len(found) != 2 || !end {
		t.Errorf("%d items, end %v", len(found), end)
	}
	// An optimized enumeration gives up at once, and leaves nothing open.
	w.packs[0].Description = w.packs[1].Description
	checkFault(t, send(t, s, withHeader(enumerateMessage(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/>"), small).String()), "s:Sender", "w:EncodingLimit", "MaxEnvelopeSize")
	if w.started.Load() != w.ended.Load() {
		t.Errorf("%d sequences begun, %d ended", w.started.Load(), w.ended.Load())
	}
}

// TestProviderStops checks what happens to an enumeration whose provider fails or takes too long.
func TestProviderStops(t *testing.T) {
	w := newWorld(5)
	w.breakAt = 3
	s := server(t, w, nil)
	checkFault(t, send(t, s, enumerate(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements>")), "s:Receiver", "w:InternalError", "")
	context := open(t, s, "alice")
	send(t, s, pull(context, "")).items(t)
	checkFault(t, send(t, s, pull(context, "<n:MaxElements>9</n:MaxElements>")), "s:Receiver", "w:InternalError", "")
	checkFault(t, send(t, s, pull(context, "")), "s:Receiver", "n:InvalidEnumerationContext", "")

	w.breakAt, w.blocked = 0, make(chan struct{})
	checkFault(t, send(t, s, withHeader(enumerateMessage(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/>"), "<w:OperationTimeout>PT0.01S</w:OperationTimeout>").String()), "s:Receiver", "w:TimedOut", "")
	context = open(t, s, "alice")
	checkFault(t, send(t, s, pull(context, "<n:MaxTime>PT0.01S</n:MaxTime>")), "s:Receiver", "w:TimedOut", "")
	checkFault(t, send(t, s, pull(context, "")), "s:Receiver", "n:InvalidEnumerationContext", "")
	if w.started.Load() != w.ended.Load() {
		t.Errorf("%d sequences begun, %d ended", w.started.Load(), w.ended.Load())
	}
}

// TestConcurrentPull pulls, releases and closes while a Pull is under way.
func TestConcurrentPull(t *testing.T) {
	for _, end := range []string{"finish", "release", "close"} {
		t.Run(end, func(t *testing.T) {
			w := newWorld(5)
			w.blocked = make(chan struct{})
			s := server(t, w, nil)
			context := open(t, s, "alice")
			done := make(chan reply)
			go func() { done <- send(t, s, pull(context, "<n:MaxElements>2</n:MaxElements>")) }()
			for w.started.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			fault := checkFault(t, send(t, s, pull(context, "")), "s:Sender", "w:Concurrency", "")
			if code := fault.at("Detail/WSManFault").attr("Code"); code != "2150858802" {
				t.Errorf("code %s", code)
			}
			switch end {
			case "finish":
				close(w.blocked)
				if found, next, _ := (<-done).items(t); len(found) != 2 || next != context {
					t.Errorf("%d items, context %q", len(found), next)
				}
				return
			case "release":
				if got := send(t, s, releaseMessage(context)); got.status != 200 {
					t.Error(got.raw)
				}
			case "close":
				s.Close()
			}
			if got := <-done; got.status != 500 {
				t.Error(got.raw)
			}
			if w.ended.Load() != 1 {
				t.Errorf("%d sequences ended", w.ended.Load())
			}
		})
	}
}

// TestGoneCaller checks that an operation ends when its caller hangs up.
func TestGoneCaller(t *testing.T) {
	w := newWorld(5)
	s := server(t, w, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan reply)
	go func() {
		r := newRequest(get(wmi+"Test_Pack", "PackId=904").String()).WithContext(ctx)
		done <- serve(t, s, r)
	}()
	cancel()
	checkFault(t, <-done, "s:Receiver", "w:TimedOut", "")
}

// TestProviderPanics checks that a sequence which panics takes nothing with it: neither in a request, nor when a timer or
// Close ends it.
func TestProviderPanics(t *testing.T) {
	w := newWorld(5)
	w.panicAt = 3
	var log bytes.Buffer
	s := server(t, w, logTo(&log))
	checkFault(t, send(t, s, enumerate(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements>")), "s:Receiver", "w:InternalError", "")
	context := open(t, s, "alice")
	checkFault(t, send(t, s, pull(context, "<n:MaxElements>9</n:MaxElements>")), "s:Receiver", "w:InternalError", "")
	checkFault(t, send(t, s, pull(context, "")), "s:Receiver", "n:InvalidEnumerationContext", "")
	w.panicAt, w.panicAtEnd = 0, true
	context = open(t, s, "alice")
	send(t, s, pull(context, "")).items(t)
	if got := send(t, s, releaseMessage(context)); got.status != 200 {
		t.Error(got.raw)
	}
	send(t, s, pull(open(t, s, "alice"), "")).items(t)
	s.Close()
	if n := strings.Count(log.String(), "at the end of an enumeration"); n != 2 {
		t.Errorf("%d panics are in the log:\n%s", n, log.String())
	}
}

// TestQueryByDeniedKey checks that a query for one instance tells why it cannot be had.
func TestQueryByDeniedKey(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for id, subcode := range map[string]string{"901": "w:AccessDenied", "902": "w:InternalError", "900": "w:InternalError"} {
		got := send(t, s, enumerate(wmi+"*", "", "<w:OptimizeEnumeration/>"+wqlFilter("select * from Test_Pack where PackId = "+id)))
		if got.status != 500 || got.text("Body/Fault/Code/Subcode/Value") != subcode || strings.Contains(got.raw, secret) {
			t.Errorf("%s: %s", id, got.raw)
		}
	}
}
