package issuance_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// TestEvents: what happens to CALs, and denials, in order and without gaps, whatever else is recorded.
func TestEvents(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: deny})
	ctx := context.Background()
	host := f.host("rdsh.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 1)
	start, err := f.service.LastEvent(ctx)
	f.must(err)
	c := f.request(host, user("ada"), issuance.Issued).CAL
	f.install(ws2019, perUser, 1) // no event
	f.refuse(host, user("bob"), licensing.NoFreeCAL)
	f.must(f.service.ReleaseCAL(ctx, "admin", c.ID))
	end, err := f.service.LastEvent(ctx)
	f.must(err)

	for _, limit := range []int{1, 2, 100} {
		var actions []string
		for after := start; ; {
			events, last, err := f.service.Events(ctx, after, limit)
			f.must(err)
			for _, e := range events {
				actions = append(actions, e.Action)
				if e.Action != "deny" && e.LicenseID != c.ID || e.Seq <= after || e.Seq > last {
					t.Errorf("after %d: %+v", after, e)
				}
			}
			if last == after {
				break
			}
			after = last
		}
		if want := []string{"issue", "deny", "release"}; !slices.Equal(actions, want) {
			t.Errorf("%d at a time the events are %q; want %q", limit, actions, want)
		}
	}
	if events, last, err := f.service.Events(ctx, end, 100); len(events) != 0 || last != end || err != nil {
		t.Errorf("after the end: %v, %d, %v", events, last, err)
	}
	if events, last, err := f.service.Events(ctx, start, 0); len(events) != 0 || last != start || err != nil {
		t.Errorf("none at a time: %v, %d, %v", events, last, err)
	}
}

// TestWaitEvents returns as soon as something happens, and in the end nothing.
func TestWaitEvents(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	ctx := context.Background()
	host := f.host("rdsh.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 100)
	last, err := f.service.LastEvent(ctx)
	f.must(err)
	for i := range 20 {
		got := make(chan string, 1)
		go func() {
			events, _, err := f.service.WaitEvents(ctx, last, 10, time.Minute)
			if err != nil || len(events) != 1 {
				got <- "nothing"
				return
			}
			got <- events[0].Action
		}()
		f.request(host, user(string(rune('a'+i))), issuance.Issued)
		if action := <-got; action != "issue" {
			t.Errorf("waiting brought %q", action)
		}
		last, err = f.service.LastEvent(ctx)
		f.must(err)
	}
	if events, seen, err := f.service.WaitEvents(ctx, last, 10, time.Millisecond); len(events) != 0 || seen != last || err != nil {
		t.Errorf("nothing happens: %v, %d, %v", events, seen, err)
	}
	f.host("other.example.net", ws2022, perUser) // recorded, and no event
	if events, seen, err := f.service.WaitEvents(ctx, last, 10, time.Millisecond); len(events) != 0 || seen != last+1 || err != nil {
		t.Errorf("nothing happens to a CAL: %v, %d, %v", events, seen, err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := f.service.WaitEvents(gone, last+1, 10, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller is gone: %v", err)
	}
}

// TestRunSweeps until its context ends.
func TestRunSweeps(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perUser), f.install(ws2022, perUser, 1)
	c := f.request(host, user("ada"), issuance.Issued).CAL
	f.now = c.Expires
	last, err := f.service.LastEvent(context.Background())
	f.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.service.Run(ctx)
	}()
	events, _, err := f.service.WaitEvents(context.Background(), last, 1, time.Minute)
	f.must(err)
	if len(events) != 1 || events[0].Action != "reclaim" || events[0].LicenseID != c.ID {
		t.Errorf("the sweep has done %+v", events)
	}
	cancel()
	<-done
	f.issued(pool, 0)
}

// TestForgetting: answers after a day, denials after 400 days; what was counted stays.
func TestForgetting(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: deny})
	ctx := context.Background()
	f.refuse(f.host("rdsh.example.net", ws2022, perUser), user("ada"), licensing.NoKeyPack)
	f.pass(400 * day)
	f.sweep()
	if list := f.denials(); len(list) != 1 {
		t.Errorf("the denials are %+v", list)
	}
	f.pass(time.Microsecond)
	f.recount()
	f.sweep()
	if list := f.denials(); len(list) != 0 {
		t.Errorf("the denials are %+v", list)
	}
	counts, err := f.service.DenialCounts(ctx)
	f.must(err)
	counters, err := f.service.Counters(ctx)
	f.must(err)
	if len(counts) != 1 || counts[0].Count != 1 || len(counters) != 1 || counters[0].Denied != 1 {
		t.Errorf("counted are %+v, %+v", counts, counters)
	}
}

// TestCounters: by version and type, of installed key packs and of those that the license server made.
func TestCounters(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: allow})
	devices, users := f.host("d", ws2022, perDevice), f.host("u", ws2022, perUser)
	f.install(ws2022, perDevice, 3)
	f.install(ws2022, perDevice, 2)
	f.install(ws2022, perUser, 1)
	f.install(ws2019, perUser, 7)
	f.devices(devices, 2)
	f.request(devices, device("unknown"), issuance.Issued)
	f.request(users, user("ada"), issuance.Issued)
	f.request(users, user("bob"), issuance.Issued)
	f.refuse(f.concurrent("c", ws2025, perDevice), device("d9"), licensing.NoKeyPack)
	counters, err := f.service.Counters(context.Background())
	f.must(err)
	want := []issuance.Counter{
		{ProductVersion: ws2019, ProductType: perUser, Installed: 7, Available: 7},
		{ProductVersion: ws2022, ProductType: perDevice, Installed: 5, Issued: 2, Available: 3, Temporary: 1},
		{ProductVersion: ws2022, ProductType: perUser, Installed: 1, Issued: 1, OverUsed: 1},
		{ProductVersion: ws2025, ProductType: perDevice, Denied: 1},
	}
	if !slices.Equal(counters, want) {
		t.Errorf("counted are\n%+v; want\n%+v", counters, want)
	}
}
