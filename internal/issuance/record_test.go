package issuance_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// recorded returns what the audit log says since a Seq, as "actor action detail".
func (f *farm) recorded(since uint64) (list []string) {
	f.t.Helper()
	events, _, err := f.service.Events(context.Background(), since, 1000)
	f.must(err)
	for _, e := range events {
		list = append(list, e.Actor+" | "+e.Action+" | "+e.Detail)
	}
	return list
}

// records checks what the audit log says about a piece of work.
func (f *farm) records(work func(), want ...string) {
	f.t.Helper()
	since, err := f.service.LastEvent(context.Background())
	f.must(err)
	work()
	if got := f.recorded(since); !slices.Equal(got, want) {
		f.t.Errorf("recorded is\n%q; want\n%q", got, want)
	}
}

// TestSessionIsRecorded: from logon to logoff, who did what to whose CAL.
func TestSessionIsRecorded(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.concurrent("xrdp", ws2022, perDevice)
	f.install(ws2022, perDevice, 1)
	f.records(func() { f.request(host, provisional(on("ada", "d1", "")), issuance.Issued) }, "xrdp | issue | d1", "xrdp | session | d1")
	f.records(func() { f.validate(host, on("ada", "d1", ":10"), issuance.Validated) }, "xrdp | session | d1: :10")
	f.records(func() { f.request(host, provisional(on("ada", "d1", "")), issuance.Held) }, "xrdp | use | d1: :10")
	f.records(func() { f.request(host, provisional(on("ada", "d2", "")), issuance.TakenOver) },
		"xrdp | take over | d2: from d1", "xrdp | take over | d2: :10")
	f.records(func() { f.release(host, on("", "", ":10"), one) }, "xrdp | session ended | d2: :10", "xrdp | release | d2")
	f.records(func() { f.release(host, on("", "", ":10"), issuance.Ended{}) })
	f.request(host, provisional(on("ada", "d1", "")), issuance.Issued)
	f.pass(time.Hour)
	f.records(f.sweep, "xrdp | lease expired | d1", "xrdp | release | d1")
}

// TestTermIsRecorded: from the first connection to the end of the term.
func TestTermIsRecorded(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: deny})
	host := f.host("rdsh", ws2022, perDevice)
	f.install(ws2022, perDevice, 5)
	f.records(func() { f.request(host, device("d1"), issuance.Issued) }, "rdsh | issue | d1")
	f.records(func() { f.request(host, device("d1"), issuance.Held) })
	f.records(func() { f.validate(host, device("d1"), issuance.Validated) }, "rdsh | validate | d1")
	f.records(func() { f.validate(f.host("other", ws2025, perDevice), device("d1"), issuance.Validated) }, "other | issue | d1", "other | validate | d1")
	f.records(func() { f.request(host, device("d1"), issuance.Upgraded) }, "rdsh | upgrade | d1")
	c := f.cals(everything)[0]
	f.records(func() { f.request(f.host("second", ws2022, perDevice), on("ada", "d1", ""), issuance.Held) }, "second | use | d1")
	f.now = c.Expires.Add(-day)
	f.records(func() { f.renew(host, device("d1"), issuance.Renewed) }, "rdsh | renew | d1")
	f.records(func() { f.revoke(c.ID) }, "admin | revoke | d1")
	f.records(func() {
		f.refuse(f.concurrent("u", ws2025, perUser), user("ada"), licensing.NoKeyPack)
	}, "u | deny | no license for ada: there is no key pack of per user CALs of Windows Server 2025 or newer")
	f.now = f.now.Add(90 * day)
	f.records(f.sweep, "calkeeper | reclaim | d1", "calkeeper | reclaim | d1")
}

// TestLatestUse: a CAL says from where, for whom and by which session host it was used last.
func TestLatestUse(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	f.install(ws2022, perUser, 1)
	a, b := f.host("a", ws2022, perUser), f.host("b", ws2022, perUser)
	first := f.request(a, on("ada", "d1", ""), issuance.Issued).CAL
	for _, c := range []struct {
		host licensing.Host
		r    issuance.Request
		want licensing.CAL
	}{
		{a, on("ada", "d2", ""), licensing.CAL{Host: "a", User: "ada", Device: licensing.Device{ID: "d2"}}},
		{b, on("ada", "d2", ""), licensing.CAL{Host: "b", User: "ada", Device: licensing.Device{ID: "d2"}}},
		{b, on("ADA", "d2", ""), licensing.CAL{Host: "b", User: "ADA", Device: licensing.Device{ID: "d2"}}},
		{a, user("ADA"), licensing.CAL{Host: "a", User: "ADA", Device: licensing.Device{ID: "d2"}}},
	} {
		answer := f.request(c.host, c.r, issuance.Held).CAL
		want := first
		want.Host, want.User, want.Device = c.want.Host, c.want.User, c.want.Device
		if stored := f.cal(first.ID); stored != want || answer != want {
			t.Errorf("the answer is %+v, stored is %+v; want %+v", answer, stored, want)
		}
	}
}

// TestLatestSessionIsTakenOver: of two sessions, the one that began last.
func TestLatestSessionIsTakenOver(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		f.validate(host, on("ada", "d1", ":11"), issuance.Issued)
		f.pass(time.Minute)
		f.validate(host, on("ada", "d1", ":10"), issuance.Validated)
		f.validate(host, on("ada", "d1", ":11"), issuance.Validated)
		a, err := f.service.Request(context.Background(), issuance.Request{Host: host, User: "ada", Device: licensing.Device{ID: "d2"}})
		f.must(err)
		if a.Lease == nil || a.Lease.Session != ":10" {
			t.Errorf("from the second device ada comes to %+v", a.Lease)
		}
	})
}

// TestTermHasNoBias: random bytes that would make some terms likelier than others are not used.
func TestTermHasNoBias(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh", ws2022, perDevice)
	f.install(ws2022, perDevice, 6)
	for name, c := range map[string]struct {
		random []byte
		days   int
	}{
		"shortest":           {[]byte{0}, 52},
		"longest":            {[]byte{37}, 89},
		"again from 0":       {[]byte{38}, 52},
		"the last that will": {[]byte{227}, 89},
		"too high":           {[]byte{228, 255, 240, 1}, 53},
	} {
		source := bytes.NewReader(c.random)
		f.service = issuance.New(f.store, issuance.Options{Now: f.options.Now, Random: source, Logger: f.options.Logger})
		if cal := f.licensedDevice(host, name); cal.Expires.Sub(f.now) != time.Duration(c.days)*day || source.Len() != 0 {
			t.Errorf("%s: a term of %s, and %d bytes are left", name, cal.Expires.Sub(f.now), source.Len())
		}
	}
	f.service = issuance.New(f.store, issuance.Options{Now: f.options.Now, Random: bytes.NewReader(nil), Logger: f.options.Logger})
	f.validate(host, device("unlucky"), issuance.Validated)
	answer, err := f.service.Request(context.Background(), issuance.Request{Host: host, Device: licensing.Device{ID: "unlucky"}})
	if err == nil || licensing.KindOf(err) != licensing.Internal {
		t.Errorf("without randomness: %+v, %v", answer, err)
	}
	if _, err := f.service.AddHost(context.Background(), "admin", licensing.Host{Name: "new", ProductVersion: ws2022}); err == nil {
		t.Error("without randomness a session host gets a token")
	}
}
