package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func testHosts(t *testing.T, h Harness) {
	s := h.open(t)
	withCertificate, withBoth := host(1), host(2)
	withCertificate.TokenHash, withCertificate.Certificate = nil, credential(1)
	withBoth.Certificate = credential(12)
	bare := licensing.Host{Name: "Bare", ProductVersion: licensing.WindowsServer2008}
	barer := licensing.Host{Name: "bare", ProductVersion: licensing.WindowsServer2025, LeaseTTL: licensing.LongestLeaseTTL, TokenHash: []byte{}}
	want := []licensing.Host{bare, barer, host(0), withCertificate, withBoth} // by name
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutHost(withBoth), tx.PutHost(barer), tx.PutHost(host(0)), tx.PutHost(bare), tx.PutHost(withCertificate))
	})
	want[1].TokenHash = nil
	before := contentOf(t, s).Issued
	if err := differ("Hosts", before, issued{Hosts: want}); err != nil {
		t.Fatal(err)
	}

	if err := s.Update(t.Context(), func(tx store.Tx) error {
		var problems []error
		for _, taken := range [][]byte{credential(0), credential(1), credential(12)} {
			token, certificate := licensing.Host{Name: "new", ProductVersion: 2, TokenHash: taken}, withBoth
			certificate.Name, certificate.TokenHash, certificate.Certificate = "Bare", credential(99), taken
			problems = append(problems,
				fault("PutHost with a token of another", tx.PutHost(token), licensing.AlreadyExists),
				fault("PutHost with a certificate of another", tx.PutHost(certificate), licensing.AlreadyExists))
		}
		for _, hash := range [][]byte{nil, {}, credential(99), credential(0)[:31], append(credential(0), 0)} {
			_, err := tx.HostByCredential(hash)
			problems = append(problems, fault(fmt.Sprintf("HostByCredential(%x)", hash), err, licensing.NotFound))
		}
		_, err := tx.Host("BARE")
		return errors.Join(append(problems, fault("Host of none", err, licensing.NotFound),
			fault("DeleteHost of none", tx.DeleteHost("BARE"), licensing.NotFound))...)
	}); err != nil {
		t.Fatal(err)
	}
	if err := differ("Hosts after faults", contentOf(t, s).Issued, before); err != nil {
		t.Fatal(err)
	}

	// Credentials change hands, and a host keeps its own.
	want[0].TokenHash, want[2].TokenHash = want[2].TokenHash, credential(5)
	want[4].TokenHash, want[4].Certificate = nil, credential(2)
	want[0].LicenseServers, want[2].LicenseServers = want[2].LicenseServers, nil
	want[3] = licensing.Host{Name: hostName(1), ProductVersion: licensing.WindowsServer2025, Mode: licensing.PerUser, Added: noon().Add(time.Hour)}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutHost(want[2]), tx.PutHost(want[0]), tx.PutHost(want[4]), tx.PutHost(want[3]), tx.PutHost(want[0]))
	})
	if err := differ("Hosts after changes", contentOf(t, s).Issued, issued{Hosts: want}); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.DeleteHost("Bare"), tx.DeleteHost(hostName(2))) })
	if err := differ("Hosts after removal", contentOf(t, s).Issued, issued{Hosts: want[1:4]}); err != nil {
		t.Fatal(err)
	}
}

// testHostLeases replaces a session host, which keeps its leases, and deletes it, which does not.
func testHostLeases(t *testing.T, h Harness) {
	s := h.open(t)
	cal := insertCALs(t, s, calOf("a", licensing.StatusConcurrent))[0]
	other := lease(cal.ID, ":10")
	other.Host = hostName(1)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.PutHost(host(0)), tx.PutHost(host(1))) })
	all := putLeases(t, s, lease(cal.ID, ":10"), other, lease(cal.ID, ""))
	changed := host(0)
	changed.TokenHash = credential(7)
	update(t, s, func(tx store.Tx) error { return tx.PutHost(changed) })
	if err := differ("Leases after PutHost", contentOf(t, s).Issued.Leases, all); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return tx.DeleteHost(hostName(0)) })
	want := issued{CALs: []licensing.CAL{cal}, Hosts: []licensing.Host{host(1)}, Leases: all[1:2]}
	if err := differ("content after DeleteHost", contentOf(t, s).Issued, want); err != nil {
		t.Fatal(err)
	}
}

func testDenials(t *testing.T, h Harness) {
	s := h.open(t)
	var all []licensing.Denial
	for i, reason := range append(licensing.DenialReasons(), licensing.NoFreeCAL, licensing.NoFreeCAL, licensing.NoKeyPack) {
		d := denial(fmt.Sprintf("denial %d", i))
		d.Seq, d.Reason, d.At = 99, reason, noon().Add(-time.Duration(i)*time.Hour) // the order is that of insertion
		if reason == licensing.NoKeyPack {
			d.ProductVersion, d.ProductType = licensing.WindowsServer2025, licensing.PerDevice
		}
		all = append(all, d)
	}
	update(t, s, func(tx store.Tx) error {
		for _, d := range all {
			if err := tx.InsertDenial(d); err != nil {
				return err
			}
		}
		return nil
	})
	got := contentOf(t, s).Issued
	if len(got.Denials) != len(all) {
		t.Fatalf("%d denials; want %d", len(got.Denials), len(all))
	}
	counts := []store.DenialCount{{ProductVersion: licensing.WindowsServer2025, ProductType: licensing.PerDevice, Reason: licensing.NoKeyPack, Count: 2}}
	for _, reason := range licensing.DenialReasons() {
		count := store.DenialCount{ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser, Reason: reason, Count: 1}
		if reason == licensing.NoFreeCAL {
			count.Count = 3
		}
		if reason != licensing.NoKeyPack {
			counts = append(counts, count)
		}
	}
	slices.SortFunc(counts, compareCounts)
	for i := range all {
		all[i].Seq = got.Denials[i].Seq
	}
	if err := errors.Join(differ("Denials", got.Denials, all), differ("DenialCounts", got.Counts, counts)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		after uint64
		limit int
		want  []licensing.Denial
	}{
		{0, 2, all[:2]},
		{all[1].Seq, 2, all[2:4]},
		{all[6].Seq, 2, all[7:]},
		{all[7].Seq, 2, nil},
		{math.MaxUint64, 2, nil},
		{0, 0, nil},
		{0, -1, nil},
	} {
		view(t, s, func(r store.Reader) error {
			got, err := r.Denials(test.after, test.limit)
			return errors.Join(err, differ(fmt.Sprintf("Denials(%d, %d)", test.after, test.limit), nilIfNone(got), nilIfNone(test.want)))
		})
	}
}

func testAnswers(t *testing.T, h Harness) {
	s := h.open(t)
	want := []store.Answer{answer(0, 0, "a"), answer(0, 1, "b"), answer(1, 1, "c")}
	want[2].Fingerprint, want[2].Body = nil, nil
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutAnswer(want[1]), tx.PutAnswer(want[0]), tx.PutAnswer(want[2]))
	})
	want[1].Fingerprint, want[1].Body, want[1].At = []byte{0}, make([]byte, 100_000), noon().Add(time.Hour)
	update(t, s, func(tx store.Tx) error { return tx.PutAnswer(want[1]) })
	if err := differ("answers", contentOf(t, s).Issued.Answers, want); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r store.Reader) error {
		_, errHost := r.Answer(hostName(2), answerKey(1))
		_, errKey := r.Answer(hostName(0), "ANSWER 0")
		return errors.Join(fault("Answer to none", errHost, licensing.NotFound), fault("Answer of another key", errKey, licensing.NotFound))
	})
}

// testForget forgets without an audit record, the oldest first, a limited number at a time.
func testForget(t *testing.T, h Harness) {
	s := h.open(t)
	update(t, s, func(tx store.Tx) error {
		for i := range askedNames {
			a, d := answer(0, i, "x"), denial(fmt.Sprint(i))
			a.At, d.At = noon().Add(-time.Duration(i)*time.Hour), noon().Add(-time.Duration(i)*time.Minute)
			if err := errors.Join(tx.PutAnswer(a), tx.InsertDenial(d)); err != nil {
				return err
			}
		}
		return nil
	})
	want := contentOf(t, s)
	for _, test := range []struct {
		answers, denials    time.Time
		limit               int
		keepAnswers, keepDs int // how many are left
	}{
		{time.Time{}, time.Time{}, math.MaxInt, 4, 4},
		{endOfTime(), endOfTime(), 0, 4, 4},
		{endOfTime(), endOfTime(), -1, 4, 4},
		{noon().Add(-3 * time.Hour), noon().Add(-3 * time.Minute), 10, 4, 4}, // that of this very instant is not before it
		{noon(), noon().Add(-2 * time.Minute), 2, 2, 3},
		{time.Time{}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), 2, 2, 1},
		{endOfTime(), endOfTime(), math.MaxInt, 0, 0},
	} {
		var n int
		if err := s.Update(t.Context(), func(tx store.Tx) (err error) {
			n, err = tx.Forget(test.answers, test.denials, test.limit)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		removed := len(want.Issued.Answers) - test.keepAnswers + len(want.Issued.Denials) - test.keepDs
		want.Issued.Answers = nilIfNone(want.Issued.Answers[:test.keepAnswers])
		want.Issued.Denials = nilIfNone(want.Issued.Denials[:test.keepDs])
		if err := differ(fmt.Sprintf("Forget(%v, %v, %d)", test.answers, test.denials, test.limit), n, removed); err != nil {
			t.Fatal(err)
		}
		expect(t, s, want)
	}
}
