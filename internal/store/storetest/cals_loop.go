package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// loopFilters are filters of every kind, each of which all CALs of loopCALs match.
func loopFilters() []store.CALFilter {
	return []store.CALFilter{
		{}, {KeyPackID: licensing.FirstKeyPackID}, {Holder: "id:one"}, {Status: licensing.StatusRevoked}, {Host: hostName(0)},
		{Search: "łUKASZ"},
		{KeyPackID: licensing.FirstKeyPackID, Holder: "id:one", Status: licensing.StatusRevoked, Host: hostName(0), Search: "laptop"},
	}
}

func loopCALs(n int) []licensing.CAL {
	all := make([]licensing.CAL, n)
	for i := range all {
		all[i] = calOf("id:one", licensing.StatusRevoked)
	}
	return all
}

// collect returns the CALs of a loop. It ends a loop that does not end by itself.
func collect(r store.Reader, f store.CALFilter) (all []licensing.CAL, err error) {
	for c, err := range r.CALs(f) {
		if err != nil {
			return all, err
		}
		if all = append(all, c); len(all) > 1000 {
			return all, fmt.Errorf("CALs(%+v) does not end", f)
		}
	}
	return all, nil
}

// testCALFilters asks for every combination of filters.
func testCALFilters(t *testing.T, h Harness) {
	s := h.open(t)
	texts := []string{"Ärger", "ΣΊΣΥΦΟΣ", "straße", "a%b_c", "x"}
	var all []licensing.CAL
	for i := range 40 {
		c := activeCAL(fmt.Sprintf("holder %d", i%4))
		c.KeyPackID = licensing.FirstKeyPackID + uint32(i)%3
		c.Status = []licensing.LicenseStatus{licensing.StatusRevoked, licensing.StatusTemporary, licensing.StatusRevoked, licensing.StatusActive}[i/10]
		c.ProductVersion = licensing.WindowsServer2012 + licensing.ProductVersion(i%5)
		if c.Status == licensing.StatusActive {
			c.Holder = fmt.Sprint("holder of full ", i)
		}
		c.User, c.Device = texts[i%5], licensing.Device{ID: texts[i/5%5], Name: texts[i/25]}
		c.Host = hostName(i / 2 % 2)
		all = append(all, c)
	}
	all = insertCALs(t, s, all...)
	var filters []store.CALFilter
	for _, keyPackID := range []uint32{0, licensing.FirstKeyPackID, 77} {
		for _, holder := range []string{"", "holder 1", "holder of full 33", "HOLDER 1"} {
			for _, status := range []licensing.LicenseStatus{0, licensing.StatusActive, licensing.StatusRevoked, licensing.StatusPending} {
				for _, host := range []string{"", hostName(1), "RDSH1.example.com"} {
					for _, search := range []string{"", "ärg", "σίσυφοσ", "STRA", "%", "_C", "nowhere", "holder", hostName(0)} {
						for _, after := range []uint32{0, all[7].ID, all[39].ID, 1<<32 - 1} {
							filters = append(filters, store.CALFilter{
								After: after, KeyPackID: keyPackID, Holder: holder, Status: status, Host: host, Search: search,
							})
						}
					}
				}
			}
		}
	}
	view(t, s, func(r store.Reader) error {
		for _, f := range filters {
			got, err := collect(r, f)
			if err := errors.Join(err, differ(fmt.Sprintf("CALs(%+v)", f), got, selectCALs(all, f))); err != nil {
				return err
			}
		}
		return nil
	})
}

// selectCALs is what CALs should return.
func selectCALs(all []licensing.CAL, f store.CALFilter) []licensing.CAL {
	return only(all, func(c *licensing.CAL) bool {
		texts := strings.ToLower(c.User + "\n" + c.Device.ID + "\n" + c.Device.Name)
		return c.ID > f.After && (f.KeyPackID == 0 || c.KeyPackID == f.KeyPackID) && (f.Holder == "" || c.Holder == f.Holder) &&
			(f.Status == 0 || c.Status == f.Status) && (f.Host == "" || c.Host == f.Host) && strings.Contains(texts, strings.ToLower(f.Search))
	})
}

// testCALsBreak leaves loops early, in every way there is, more often than a store has connections.
func testCALsBreak(t *testing.T, h Harness) {
	s := h.open(t)
	all := insertCALs(t, s, loopCALs(3)...)
	for _, f := range loopFilters() {
		for range 6 {
			view(t, s, func(r store.Reader) error {
				sequence := r.CALs(f)
				for c, err := range sequence {
					if err != nil {
						return err
					}
					if c.ID == all[1].ID {
						break
					}
				}
				n := 0
				for _, err := range sequence { // begins again
					if err != nil {
						return err
					}
					n++
				}
				return differ("CALs in the second loop", n, len(all))
			})
			recovered(func() {
				_ = s.View(t.Context(), func(r store.Reader) error {
					for range r.CALs(f) {
						panic("in the body of a loop")
					}
					return nil
				})
			})
		}
	}
	if err := differ("CALs", contentOf(t, s).Issued.CALs, all); err != nil {
		t.Fatal(err)
	}
}

// testCALsBodyReads does everything that a Reader can in the body of a loop.
func testCALsBodyReads(t *testing.T, h Harness) {
	s := h.open(t)
	packs := insert(t, s, keyPack(1), keyPack(2))
	all := insertCALs(t, s, loopCALs(3)...)
	body := func(r store.Reader) error {
		for _, f := range loopFilters() {
			var outer []licensing.CAL
			for c, err := range r.CALs(f) {
				if err != nil {
					return err
				}
				if outer = append(outer, c); len(outer) > len(all) {
					return differ("outer loop", outer, all) // an inner loop restarted it
				}
				if _, err := readContent(r); err != nil { // has loops of its own
					return err
				}
				for _, g := range loopFilters() {
					var inner []licensing.CAL
					for c, err := range r.CALs(g) {
						if err != nil {
							return err
						}
						inner = append(inner, c)
						innermost, err := collect(r, f)
						if err := errors.Join(err, differ("innermost loop", innermost, all)); err != nil {
							return err
						}
					}
					if err := differ("inner loop", inner, all); err != nil {
						return err
					}
				}
				var inner []licensing.KeyPack
				for k, err := range r.KeyPacks() {
					if err != nil {
						return err
					}
					inner = append(inner, k)
				}
				if err := differ("inner loop over key packs", inner, packs); err != nil {
					return err
				}
			}
			if err := differ("outer loop", outer, all); err != nil {
				return err
			}
		}
		return nil
	}
	view(t, s, body)
	update(t, s, func(tx store.Tx) error { return body(tx) })
	snapshot(t, s, body)
}

// testCALsBodyWrites changes CALs in the body of a loop over them: also that by which the filter finds them.
func testCALsBodyWrites(t *testing.T, h Harness) {
	for _, f := range loopFilters() {
		s := h.open(t)
		all := insertCALs(t, s, loopCALs(10)...)
		var want []licensing.CAL
		update(t, s, func(tx store.Tx) error {
			var seen, added []licensing.CAL
			for c, err := range tx.CALs(f) {
				if err != nil {
					return err
				}
				if seen = append(seen, c); len(seen) > len(all) {
					break
				}
				switch len(seen) % 5 {
				case 0:
					err = tx.DeleteCAL(c.ID)
				case 1:
					c.KeyPackID = 77
				case 2:
					c.Holder = fmt.Sprint("id:other ", c.ID)
				case 3:
					c.Status, c.Holder = licensing.StatusActive, fmt.Sprint("id:other ", c.ID)
				case 4:
					c.User, c.Device, c.Host = "nobody", licensing.Device{}, "nowhere"
				}
				if len(seen)%5 != 0 {
					err = tx.UpdateCAL(c)
					want = append(want, c)
				}
				more := loopCALs(1)[0]
				id, insertErr := tx.InsertCAL(more)
				if err := errors.Join(err, insertErr); err != nil {
					return err
				}
				more.ID = id
				added = append(added, more)
			}
			want = append(want, added...)
			return differ(fmt.Sprintf("CALs that the loop over %+v reached", f), seen, all)
		})
		if err := differ("CALs", contentOf(t, s).Issued.CALs, want); err != nil {
			t.Fatal(err)
		}
		if got := slices.IndexFunc(want, func(c licensing.CAL) bool { return c.ID == all[4].ID }); got >= 0 {
			t.Fatal("the test does not delete")
		}
	}
}
