package storetest

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func testLease(t *testing.T, h Harness) {
	s := h.open(t)
	cals := insertCALs(t, s, calOf("a", licensing.StatusConcurrent), calOf("b", licensing.StatusConcurrent))
	bare := licensing.Lease{CAL: cals[0].ID, Host: hostName(1), Session: ":0", Expires: noon()}
	all := putLeases(t, s, lease(cals[0].ID, ":10"), lease(cals[0].ID, ""), bare)
	if err := differ("Leases", contentOf(t, s).Issued.Leases, all); err != nil {
		t.Fatal(err)
	}

	// The session of a logon becomes known; a user comes from another device.
	all[1].Session, all[1].Provisional, all[1].Expires = ":11", false, noon().Add(2*time.Hour)
	all[0] = licensing.Lease{
		ID: all[0].ID, CAL: cals[1].ID, Host: hostName(2), User: "Grace", UserKey: "grace@", Device: licensing.Device{ID: "i", Name: "n"},
		DeviceKey: "id:i", Session: ":12", Opened: noon().Add(time.Second), Expires: noon().Add(time.Minute),
	}
	putLeases(t, s, all[0], all[1])
	if err := differ("Leases after updates", contentOf(t, s).Issued.Leases, all); err != nil {
		t.Fatal(err)
	}
	if again := putLeases(t, s, lease(cals[0].ID, "")); again[0].ID <= all[2].ID { // that place is free again
		t.Fatalf("the new lease got ID %d, and %d was used before", again[0].ID, all[2].ID)
	}

	// With its CAL a lease goes, and only then.
	update(t, s, func(tx store.Tx) error { return tx.DeleteCAL(cals[0].ID) })
	if err := differ("Leases after DeleteCAL", contentOf(t, s).Issued.Leases, all[:1]); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return tx.DeleteLease(all[0].ID) })
	if err := differ("content after DeleteLease", contentOf(t, s).Issued, issued{CALs: cals[1:]}); err != nil {
		t.Fatal(err)
	}
}

func testLeaseFaults(t *testing.T, h Harness) {
	s := h.open(t)
	cal := insertCALs(t, s, calOf("a", licensing.StatusConcurrent))[0].ID
	elsewhere, other, another := lease(cal, ":10"), lease(cal, ""), lease(cal, "")
	elsewhere.Host, other.UserKey, another.DeviceKey = hostName(1), "grace@", "id:other"
	putLeases(t, s, lease(cal, ":10"), lease(cal, ":11"), elsewhere, lease(cal, ""), other, another)
	before := contentOf(t, s)
	all := before.Issued.Leases
	if len(all) != 6 {
		t.Fatalf("there are %d leases; want all 6, which differ", len(all))
	}
	taken, free := []licensing.Lease{lease(cal, ":10"), lease(cal, "")}, lease(cal, ":12")
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		var problems []error
		for _, l := range taken {
			_, err := tx.PutLease(l)
			problems = append(problems, fault(fmt.Sprintf("PutLease with the session %q again", l.Session), err, licensing.AlreadyExists))
			l.ID = all[1].ID
			_, err = tx.PutLease(l)
			problems = append(problems, fault(fmt.Sprintf("PutLease into the session %q", l.Session), err, licensing.AlreadyExists))
		}
		free.CAL = cal + 1
		_, err := tx.PutLease(free)
		problems = append(problems, fault("PutLease without its CAL", err, licensing.NotFound))
		free.ID = all[0].ID
		_, err = tx.PutLease(free)
		problems = append(problems, fault("PutLease of another CAL that is not there", err, licensing.NotFound))
		free.CAL = cal
		for _, id := range []uint64{all[5].ID + 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
			free.ID = id
			_, errPut := tx.PutLease(free)
			_, errGet := tx.Lease(id)
			problems = append(problems,
				fault(fmt.Sprintf("PutLease of %d", id), errPut, licensing.NotFound),
				fault(fmt.Sprintf("Lease(%d)", id), errGet, licensing.NotFound),
				fault(fmt.Sprintf("ExtendLease(%d)", id), tx.ExtendLease(id, noon()), licensing.NotFound),
				fault(fmt.Sprintf("DeleteLease(%d)", id), tx.DeleteLease(id), licensing.NotFound))
		}
		for _, of := range [][4]string{
			{hostName(0), ":12", "ada@example", "id:hwid-1"}, {hostName(2), ":10", "", ""}, {hostName(2), "", "ada@example", "id:hwid-1"},
			{hostName(0), "", "grace@", "id:other"}, {hostName(0), "", "", ""}, {hostName(1), "", "ada@example", "id:hwid-1"},
		} {
			_, err := tx.LeaseOf(of[0], of[1], of[2], of[3])
			problems = append(problems, fault(fmt.Sprintf("LeaseOf(%q)", of), err, licensing.NotFound))
		}
		_, err = tx.Lease(0)
		return errors.Join(append(problems, fault("Lease(0)", err, licensing.NotFound))...)
	}); err != nil {
		t.Fatal(err)
	}
	expect(t, s, before)
	view(t, s, func(r store.Reader) error {
		session, err := r.LeaseOf(hostName(0), ":10", "somebody", "else")
		logon, errLogon := r.LeaseOf(hostName(0), "", "ada@example", "id:other")
		none, errNone := r.Leases(store.LeaseFilter{After: math.MaxUint64})
		return errors.Join(err, errLogon, errNone, differ("LeaseOf of a session", session, all[0]),
			differ("LeaseOf of a logon", logon, all[5]), differ("Leases after all", len(none), 0))
	})
}

// testExtendLease extends without an audit record.
func testExtendLease(t *testing.T, h Harness) {
	s := h.open(t)
	long, short, active := calOf("a", licensing.StatusConcurrent), calOf("b", licensing.StatusConcurrent), activeCAL("c")
	long.Expires, short.Expires, active.Expires = noon().Add(3*time.Hour), noon().Add(time.Hour), noon().Add(time.Hour)
	cals := insertCALs(t, s, long, short, active)
	leases := putLeases(t, s, lease(cals[0].ID, ":1"), lease(cals[1].ID, ":2"), lease(cals[2].ID, ":3"))
	before := contentOf(t, s)
	later := noon().Add(2 * time.Hour)
	extend := func(expires time.Time) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.ExtendLease(leases[0].ID, expires), tx.ExtendLease(leases[1].ID, expires), tx.ExtendLease(leases[2].ID, expires))
		}); err != nil {
			t.Fatal(err)
		}
		for i := range leases {
			before.Issued.Leases[i].Expires = expires
		}
	}
	extend(later)
	before.Issued.CALs[1].Expires = later // only the concurrent one that ended earlier
	expect(t, s, before)
	extend(noon()) // back: the CALs stay
	expect(t, s, before)
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return fault("ExtendLease without an end", tx.ExtendLease(leases[1].ID, time.Time{}), licensing.Invalid)
	}); err != nil {
		t.Fatal(err)
	}
	expect(t, s, before)
}

func testExpiredLeases(t *testing.T, h Harness) {
	s := h.open(t)
	cal := insertCALs(t, s, calOf("a", licensing.StatusConcurrent))[0].ID
	at := func(session string, after time.Duration) licensing.Lease {
		l := lease(cal, session)
		l.Expires = noon().Add(after)
		return l
	}
	all := putLeases(t, s, at(":3", time.Hour), at(":2", time.Microsecond), at(":1", -time.Hour), at(":0", 0))
	for _, test := range []struct {
		now   time.Time
		limit int
		want  []licensing.Lease
	}{
		{noon().Add(-time.Hour - 1), 10, nil},
		{noon(), 10, []licensing.Lease{all[2], all[3]}},
		{noon().Add(time.Microsecond), 2, []licensing.Lease{all[2], all[3]}},
		{endOfTime(), math.MaxInt, []licensing.Lease{all[2], all[3], all[1], all[0]}},
		{endOfTime(), 0, nil},
		{endOfTime(), -1, nil},
	} {
		view(t, s, func(r store.Reader) error {
			got, err := r.ExpiredLeases(test.now, test.limit)
			return errors.Join(err, differ(fmt.Sprintf("ExpiredLeases(%v, %d)", test.now, test.limit), nilIfNone(got), test.want))
		})
	}
}
