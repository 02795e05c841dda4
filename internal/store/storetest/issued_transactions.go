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

// undoneIssued changes all that fillIssued(tx, keyPackID, 1) wrote, and adds to it. A test undoes that.
func undoneIssued(tx store.Tx, keyPackID uint32) error {
	c, err := readIssued(tx)
	if err != nil {
		return err
	}
	moved, l, h := c.CALs[0], c.Leases[0], c.Hosts[0]
	moved.Holder, l.Session, h.TokenHash = "id:moved", "", nil
	_, errLease := tx.PutLease(l)
	_, errForget := tx.Forget(endOfTime(), endOfTime(), 1)
	return errors.Join(errLease, errForget, tx.UpdateCAL(moved), tx.PutHost(h), tx.ExtendLease(l.ID, endOfTime()),
		tx.DeleteLease(l.ID), tx.DeleteCAL(c.CALs[1].ID), tx.DeleteHost(h.Name), tx.AddIssued(keyPackID, 1),
		tx.PutAnswer(answer(1, 1, "other")), tx.SpendTemporary(holderName(0), licensing.WindowsServer2025, noon()),
		fillIssued(tx, keyPackID, 2))
}

// issuedFaults has every method that fillIssued(tx, 1) gives cause to return its Faults.
func issuedFaults(tx store.Tx) error {
	_, errCAL := tx.CAL(math.MaxUint32)
	_, errInsert := tx.InsertCAL(calOf(holderName(1), licensing.StatusActive))
	_, errLease := tx.Lease(math.MaxUint64)
	_, errOf := tx.LeaseOf(hostName(0), "none", "", "")
	_, errPut := tx.PutLease(lease(1, ":1"))
	_, errOrphan := tx.PutLease(lease(math.MaxUint32, ":orphan"))
	_, errHost := tx.Host("none")
	_, errCredential := tx.HostByCredential(credential(99))
	_, errAnswer := tx.Answer("none", "none")
	thief := host(2)
	thief.TokenHash = credential(1)
	return errors.Join(
		fault("CAL", errCAL, licensing.NotFound),
		fault("InsertCAL", errInsert, licensing.AlreadyExists),
		fault("UpdateCAL", tx.UpdateCAL(activeCAL("nobody")), licensing.NotFound),
		fault("DeleteCAL", tx.DeleteCAL(math.MaxUint32), licensing.NotFound),
		fault("AddIssued", tx.AddIssued(1, 1), licensing.NotFound),
		fault("Lease", errLease, licensing.NotFound),
		fault("LeaseOf", errOf, licensing.NotFound),
		fault("PutLease", errPut, licensing.AlreadyExists),
		fault("PutLease without its CAL", errOrphan, licensing.NotFound),
		fault("ExtendLease", tx.ExtendLease(math.MaxUint64, noon()), licensing.NotFound),
		fault("DeleteLease", tx.DeleteLease(math.MaxUint64), licensing.NotFound),
		fault("Host", errHost, licensing.NotFound),
		fault("HostByCredential", errCredential, licensing.NotFound),
		fault("PutHost", tx.PutHost(thief), licensing.AlreadyExists),
		fault("DeleteHost", tx.DeleteHost("none"), licensing.NotFound),
		fault("InsertDenial", tx.InsertDenial(licensing.Denial{}), licensing.Invalid),
		fault("Answer", errAnswer, licensing.NotFound),
		fault("PutAnswer", tx.PutAnswer(store.Answer{Key: "\x00"}), licensing.Invalid),
	)
}

// issuedChanges are changes of what fillIssued(tx, keyPackID, 1) wrote; all of them need an audit record.
func issuedChanges(c issued, keyPackID uint32) map[string]func(store.Tx) error {
	return map[string]func(store.Tx) error{
		"InsertCAL": func(tx store.Tx) error {
			_, err := tx.InsertCAL(activeCAL("new"))
			return err
		},
		"UpdateCAL": func(tx store.Tx) error {
			return tx.UpdateCAL(licensing.CAL{ID: c.CALs[0].ID, KeyPackID: 3, ProductVersion: 2, Status: 2, Holder: "x", Expires: noon()})
		},
		"UpdateCAL again": func(tx store.Tx) error { return tx.UpdateCAL(c.CALs[0]) },
		"DeleteCAL":       func(tx store.Tx) error { return tx.DeleteCAL(c.CALs[0].ID) },
		"AddIssued":       func(tx store.Tx) error { return tx.AddIssued(keyPackID, 1) },
		"SpendTemporary":  func(tx store.Tx) error { return tx.SpendTemporary("new", licensing.WindowsServer2022, noon()) },
		"PutLease": func(tx store.Tx) error {
			_, err := tx.PutLease(lease(c.CALs[0].ID, "new"))
			return err
		},
		"PutLease again": func(tx store.Tx) error {
			_, err := tx.PutLease(c.Leases[0])
			return err
		},
		"DeleteLease":   func(tx store.Tx) error { return tx.DeleteLease(c.Leases[0].ID) },
		"PutHost":       func(tx store.Tx) error { return tx.PutHost(host(3)) },
		"PutHost again": func(tx store.Tx) error { return tx.PutHost(c.Hosts[0]) },
		"DeleteHost":    func(tx store.Tx) error { return tx.DeleteHost(c.Hosts[0].Name) },
		"InsertDenial":  func(tx store.Tx) error { return tx.InsertDenial(denial("new")) },
		"PutAnswer":     func(tx store.Tx) error { return tx.PutAnswer(answer(0, 0, "new")) },
		"PutAnswer again": func(tx store.Tx) error {
			return tx.PutAnswer(c.Answers[0])
		},
	}
}

// issuedWrites write a text and an instant that may not be storable.
func issuedWrites(cal uint32) map[string]func(tx store.Tx, text string, instant time.Time) error {
	return map[string]func(tx store.Tx, text string, instant time.Time) error{
		"InsertCAL": func(tx store.Tx, text string, instant time.Time) error {
			c := activeCAL("new")
			c.Device.Name, c.Expires = text, instant
			_, err := tx.InsertCAL(c)
			return err
		},
		"UpdateCAL": func(tx store.Tx, text string, instant time.Time) error {
			c := activeCAL("new" + text)
			c.ID, c.Issued = cal, instant
			return tx.UpdateCAL(c)
		},
		"SpendTemporary": func(tx store.Tx, text string, instant time.Time) error {
			return tx.SpendTemporary("new"+text, licensing.WindowsServer2022, instant)
		},
		"PutLease": func(tx store.Tx, text string, instant time.Time) error {
			l := lease(cal, "new")
			l.UserKey, l.Opened = text, instant
			_, err := tx.PutLease(l)
			return err
		},
		"PutHost": func(tx store.Tx, text string, instant time.Time) error {
			h := host(1)
			h.Name, h.Added = "new"+text, instant
			return tx.PutHost(h)
		},
		"InsertDenial": func(tx store.Tx, text string, instant time.Time) error {
			d := denial(text)
			d.At = instant
			return tx.InsertDenial(d)
		},
		"PutAnswer": func(tx store.Tx, text string, instant time.Time) error {
			return tx.PutAnswer(store.Answer{Key: "new" + text, At: instant})
		},
	}
}

// testRequired leaves out the instants by which things are swept: what has none would never go.
func testRequired(t *testing.T, h Harness) {
	s := h.open(t)
	c := insertCALs(t, s, calOf("a", licensing.StatusConcurrent))[0]
	l := putLeases(t, s, lease(c.ID, ":1"))[0]
	before := contentOf(t, s)
	c.Expires, l.Expires = time.Time{}, time.Time{}
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		fresh := l
		fresh.ID, fresh.Session = 0, ":2"
		d, a := denial(""), answer(0, 0, "")
		d.At, a.At = time.Time{}, time.Time{}
		_, errInsert := tx.InsertCAL(licensing.CAL{KeyPackID: 3, ProductVersion: 2, Status: licensing.StatusActive, Holder: "b"})
		_, errPut := tx.PutLease(l)
		_, errNew := tx.PutLease(fresh)
		return errors.Join(
			fault("InsertCAL", errInsert, licensing.Invalid),
			fault("UpdateCAL", tx.UpdateCAL(c), licensing.Invalid),
			fault("PutLease", errPut, licensing.Invalid),
			fault("PutLease of a new one", errNew, licensing.Invalid),
			fault("InsertDenial", tx.InsertDenial(d), licensing.Invalid),
			fault("PutAnswer", tx.PutAnswer(a), licensing.Invalid),
		)
	}); err != nil {
		t.Fatal(err)
	}
	expect(t, s, before)
}

// testIssuedIDsNeverReused removes the newest CAL, lease and denial in different ways before it adds others.
func testIssuedIDsNeverReused(t *testing.T, h Harness) {
	s := h.open(t)
	insert(t, s, keyPack(1))
	var last [3]uint64
	add := func(when string) {
		t.Helper()
		update(t, s, func(tx store.Tx) error { return fillIssued(tx, licensing.FirstKeyPackID, 1) })
		c := contentOf(t, s).Issued
		got := [3]uint64{uint64(c.CALs[0].ID), c.Leases[0].ID, c.Denials[0].Seq}
		for i, what := range []string{"CAL", "lease", "denial"} {
			if got[i] <= last[i] {
				t.Errorf("%s: the %s got the number %d, and %d was in use before", when, what, got[i], last[i])
			}
		}
		last = [3]uint64{uint64(c.CALs[1].ID), got[1], got[2]}
	}
	remove := func() {
		t.Helper()
		update(t, s, func(tx store.Tx) error {
			_, err := tx.Forget(endOfTime(), endOfTime(), math.MaxInt)
			return errors.Join(err, tx.DeleteCAL(uint32(last[0])-1), tx.DeleteCAL(uint32(last[0])))
		})
		if c := contentOf(t, s).Issued; len(c.CALs)+len(c.Leases)+len(c.Denials) > 0 {
			t.Fatalf("not removed: %+v", c)
		}
	}
	add("in an empty store")
	remove()
	add("after removal")
	remove()
	s = h.reopen(t, s)
	add("after removal and reopening")
	remove()
	path := fmt.Sprintf("%s/backup", t.TempDir())
	if err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s = h.restore(t, path)
	add("after removal and in a restored backup")
}
