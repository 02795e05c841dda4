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

func testCAL(t *testing.T, h Harness) {
	s := h.open(t)
	full, bare := activeCAL("id:hwid-1"), licensing.CAL{
		KeyPackID: math.MaxUint32, ProductVersion: licensing.WindowsServer2008, ProductType: licensing.PerUser,
		Status: licensing.StatusPending, Holder: "ada@example", Expires: noon(),
	}
	full.ID, bare.ID, full.Validated = 77, 77, true // the IDs are not read
	want := insertCALs(t, s, full, bare)
	if err := differ("CALs", contentOf(t, s).Issued.CALs, want); err != nil {
		t.Fatal(err)
	}

	want[0] = licensing.CAL{
		ID: want[0].ID, KeyPackID: 9, ProductVersion: licensing.WindowsServer2025, ProductType: licensing.PerUser,
		Status: licensing.StatusRevoked, Holder: "grace@", User: "Grace", Device: licensing.Device{ID: "d", Name: "n"},
		Host: "other", Issued: noon().Add(time.Second), Expires: noon().Add(time.Hour),
	}
	renewed := want[1]
	renewed.Host, renewed.Validated, renewed.Expires = "other", true, noon().AddDate(0, 2, 0)
	want[1] = renewed
	gone := insertCALs(t, s, activeCAL("id:gone"))[0]
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.UpdateCAL(want[0]), tx.UpdateCAL(want[1]), tx.DeleteCAL(gone.ID))
	})
	if err := differ("CALs after updates", contentOf(t, s).Issued.CALs, want); err != nil {
		t.Fatal(err)
	}

	before := contentOf(t, s).Issued
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		var problems []error
		for _, id := range []uint32{0, gone.ID, math.MaxUint32} {
			_, err := tx.CAL(id)
			gone.ID = id
			problems = append(problems,
				fault(fmt.Sprintf("CAL(%d)", id), err, licensing.NotFound),
				fault(fmt.Sprintf("UpdateCAL of %d", id), tx.UpdateCAL(gone), licensing.NotFound),
				fault(fmt.Sprintf("DeleteCAL(%d)", id), tx.DeleteCAL(id), licensing.NotFound))
		}
		return errors.Join(problems...)
	}); err != nil {
		t.Fatal(err)
	}
	if err := differ("CALs after faults", contentOf(t, s).Issued, before); err != nil {
		t.Fatal(err)
	}
}

// testSlots fills every Slot of a holder, and tries to fill each again.
func testSlots(t *testing.T, h Harness) {
	const holder = "id:hwid-1"
	s := h.open(t)
	newer := calOf(holder, licensing.StatusTemporary)
	newer.ProductVersion = licensing.WindowsServer2025
	perUser := activeCAL(holder) // a holder of another kind
	perUser.ProductType = licensing.PerUser
	all := insertCALs(t, s,
		newer, calOf(holder, licensing.StatusTemporary), calOf(holder, licensing.StatusRevoked), calOf(holder, licensing.StatusRevoked),
		activeCAL(holder), perUser, activeCAL("id:HWID-1")) // holders are compared as they are
	before := contentOf(t, s).Issued // has checked CALsOf
	if err := differ("CALs", before.CALs, all); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r store.Reader) error {
		of, err := r.CALsOf(holder, licensing.PerDevice)
		none, errNone := r.CALsOf("id:nobody", licensing.PerDevice)
		return errors.Join(err, errNone, differ("CALsOf", of, []licensing.CAL{all[4], all[1], all[0]}), differ("CALsOf nobody", len(none), 0))
	})

	var refused []licensing.CAL
	for _, status := range []licensing.LicenseStatus{
		licensing.StatusActive, licensing.StatusPending, licensing.StatusConcurrent, licensing.StatusTemporary,
	} {
		refused = append(refused, calOf(holder, status))
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		for _, c := range refused {
			_, err := tx.InsertCAL(c)
			if err := fault("InsertCAL in a Slot that is taken", err, licensing.AlreadyExists); err != nil {
				return err
			}
			for _, other := range []licensing.CAL{all[0], all[2], all[6]} { // from another Slot, from none, from another holder
				if c.ID = other.ID; other.Slot() == c.Slot() && other.Holder == c.Holder {
					continue
				}
				if err := fault("UpdateCAL into a Slot that is taken", tx.UpdateCAL(c), licensing.AlreadyExists); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := differ("content after faults", contentOf(t, s).Issued, before); err != nil {
		t.Fatal(err)
	}

	// Within its Slot a CAL may change, and a Slot that was left is free.
	update(t, s, func(tx store.Tx) error {
		pending, revoked := all[4], all[1]
		pending.Status, revoked.Status = licensing.StatusPending, licensing.StatusRevoked
		_, err := tx.InsertCAL(activeCAL("id:new"))
		return errors.Join(err, tx.UpdateCAL(pending), tx.UpdateCAL(revoked), tx.DeleteCAL(all[0].ID))
	})
	update(t, s, func(tx store.Tx) error {
		_, errOld := tx.InsertCAL(calOf(holder, licensing.StatusTemporary))
		_, errNew := tx.InsertCAL(newer)
		return errors.Join(errOld, errNew)
	})
	contentOf(t, s)
}

func testExpiredCALs(t *testing.T, h Harness) {
	s := h.open(t)
	at := func(holder string, after time.Duration, status licensing.LicenseStatus) licensing.CAL {
		c := calOf(holder, status)
		c.Expires = noon().Add(after)
		return c
	}
	all := insertCALs(t, s, at("c", 2, licensing.StatusActive), at("b", time.Microsecond, licensing.StatusRevoked),
		at("a", -time.Hour, licensing.StatusTemporary), at("d", 0, licensing.StatusConcurrent), at("e", time.Hour, licensing.StatusPending))
	all[0].Expires = noon() // the nanoseconds are cut
	for _, test := range []struct {
		now   time.Time
		limit int
		want  []licensing.CAL
	}{
		{noon().Add(-time.Hour - 1), 10, nil},
		{noon().Add(-time.Hour), 10, []licensing.CAL{all[2]}},
		{noon().Add(time.Microsecond), 10, []licensing.CAL{all[2], all[0], all[3], all[1]}},
		{noon().Add(time.Microsecond), 1, []licensing.CAL{all[2]}},
		{noon().Add(time.Hour).In(time.FixedZone("", -3600)), math.MaxInt, []licensing.CAL{all[2], all[0], all[3], all[1], all[4]}},
		{endOfTime(), 0, nil},
		{endOfTime(), -1, nil},
		{time.Time{}, 10, nil},
	} {
		view(t, s, func(r store.Reader) error {
			got, err := r.ExpiredCALs(test.now, test.limit)
			return errors.Join(err, differ(fmt.Sprintf("ExpiredCALs(%v, %d)", test.now, test.limit), nilIfNone(got), test.want))
		})
	}
}

func testCountRevoked(t *testing.T, h Harness) {
	s := h.open(t)
	revoked := func(v licensing.ProductVersion, p licensing.ProductType, after time.Duration) licensing.CAL {
		c := calOf("id:hwid-1", licensing.StatusRevoked)
		c.ProductVersion, c.ProductType, c.Expires = v, p, noon().Add(after)
		return c
	}
	const old, newer = licensing.WindowsServer2022, licensing.WindowsServer2025
	early := activeCAL("id:hwid-1")
	early.Expires = noon().Add(-time.Hour)
	all := insertCALs(t, s, revoked(old, licensing.PerDevice, 2*time.Hour), revoked(old, licensing.PerDevice, time.Hour),
		revoked(newer, licensing.PerDevice, time.Minute), revoked(old, licensing.PerUser, time.Second), early)
	count := func(v licensing.ProductVersion, p licensing.ProductType, want uint32, first time.Time) {
		t.Helper()
		view(t, s, func(r store.Reader) error {
			n, next, err := r.CountRevoked(v, p, time.Time{}, 0)
			return errors.Join(err, differ("CountRevoked", n, want), differ("next", next, first))
		})
	}
	count(old, licensing.PerDevice, 2, noon().Add(time.Hour))
	count(newer, licensing.PerDevice, 1, noon().Add(time.Minute))
	count(old, licensing.PerUser, 1, noon().Add(time.Second))
	count(newer, licensing.PerUser, 0, time.Time{})
	view(t, s, func(r store.Reader) error {
		_, second, err := r.CountRevoked(old, licensing.PerDevice, noon(), 1)
		_, none, errNone := r.CountRevoked(old, licensing.PerDevice, noon(), 2)
		n, next, errLater := r.CountRevoked(old, licensing.PerDevice, noon().Add(time.Hour), 0)
		return errors.Join(err, errNone, errLater, differ("the second", second, noon().Add(2*time.Hour)), differ("the third", none, time.Time{}),
			differ("after the first", n, uint32(1)), differ("the first after it", next, noon().Add(2*time.Hour)))
	})
	update(t, s, func(tx store.Tx) error { return tx.DeleteCAL(all[1].ID) })
	count(old, licensing.PerDevice, 1, noon().Add(2*time.Hour))
}

func testAddIssued(t *testing.T, h Harness) {
	s := h.open(t)
	k := insert(t, s, keyPack(5))[0] // 3 are issued
	for _, test := range []struct {
		delta int
		want  uint32
	}{{1, 4}, {-4, 0}, {math.MaxUint32, math.MaxUint32}, {-math.MaxUint32, 0}, {7, 7}} {
		update(t, s, func(tx store.Tx) error { return tx.AddIssued(k.ID, test.delta) })
		k.Issued = test.want
		if err := differ(fmt.Sprintf("key packs after AddIssued(%d)", test.delta), contentOf(t, s).KeyPacks, []licensing.KeyPack{k}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		var problems []error
		for _, delta := range []int{-8, math.MaxUint32 - 6, math.MinInt, math.MaxInt} {
			problems = append(problems, fault(fmt.Sprintf("AddIssued(%d)", delta), tx.AddIssued(k.ID, delta), licensing.OutOfRange))
		}
		return errors.Join(append(problems, fault("AddIssued to none", tx.AddIssued(k.ID+1, 1), licensing.NotFound))...)
	}); err != nil {
		t.Fatal(err)
	}
	if err := differ("key packs after faults", contentOf(t, s).KeyPacks, []licensing.KeyPack{k}); err != nil {
		t.Fatal(err)
	}
}

func testTemporarySpent(t *testing.T, h Harness) {
	s := h.open(t)
	spend := func(tx store.Tx) error {
		return tx.SpendTemporary(holderName(1), licensing.WindowsServer2022, noon())
	}
	update(t, s, spend)
	if err := s.Update(t.Context(), spend); err != nil {
		t.Errorf("SpendTemporary again changes nothing, and yet: %v", err)
	}
	update(t, s, func(tx store.Tx) error {
		return tx.SpendTemporary(holderName(2), licensing.WindowsServer2025, time.Time{})
	})
	want := []spent{{holderName(1), licensing.WindowsServer2022}, {holderName(2), licensing.WindowsServer2025}}
	if err := differ("spent temporary CALs", contentOf(t, s).Issued.Spent, want); err != nil {
		t.Fatal(err)
	}
}
