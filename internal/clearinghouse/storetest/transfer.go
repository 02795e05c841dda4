package storetest

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

func (w world) transfer(key string) clearinghouse.Transfer {
	return clearinghouse.Transfer{
		Key: key, Entitlement: enterprise, ProductType: licensing.PerUser, Count: math.MaxUint32, Source: w.first, Target: w.second,
		At: start, NoticeSeq: 1,
	}
}

func testTransfers(t *testing.T, h Harness) {
	w := newWorld(t, h)
	// Their keys do not sort by age.
	want := []clearinghouse.Transfer{w.transfer("b"), w.transfer("c"), w.transfer("a")}
	for i := range want {
		want[i].At = start.Add(time.Duration(i) * time.Second)
	}
	want[1].Released = start.Add(time.Minute)
	want[1].Acknowledged = start.Add(2 * time.Minute)
	w.update(func(tx clearinghouse.Tx) error {
		return errors.Join(tx.InsertTransfer(want[0]), tx.InsertTransfer(want[1]), tx.InsertTransfer(want[2]))
	})
	equal(t, "Transfers", w.content().transfers, want)

	want[0] = clearinghouse.Transfer{
		Key: "b", Entitlement: retailed, ProductType: licensing.PerDevice, Count: 1, Source: w.second, Target: w.first,
		At: start, NoticeSeq: 4, Released: start.Add(time.Hour), Acknowledged: start.Add(2 * time.Hour),
	}
	w.update(func(tx clearinghouse.Tx) error { return tx.UpdateTransfer(want[0]) })
	equal(t, "Transfers after UpdateTransfer", w.content().transfers, want)
	equal(t, "Transfer", read(w.fixture, func(r clearinghouse.Reader) (clearinghouse.Transfer, error) { return r.Transfer("b") }), want[0])

	with := func(change func(v *clearinghouse.Transfer)) clearinghouse.Transfer {
		v := w.transfer("d")
		change(&v)
		return v
	}
	for _, c := range []struct {
		what     string
		kind     licensing.Kind
		transfer clearinghouse.Transfer
	}{
		{"a key in use", licensing.AlreadyExists, w.transfer("b")},
		{"an entitlement that is not known", licensing.NotFound, with(func(v *clearinghouse.Transfer) { v.Entitlement = "unknown" })},
		{"a source that is not known", licensing.NotFound, with(func(v *clearinghouse.Transfer) { v.Source = 4000 })},
		{"a target that is not known", licensing.NotFound, with(func(v *clearinghouse.Transfer) { v.Target = 4000 })},
	} {
		w.refused(c.kind, "a transfer with "+c.what, func(tx clearinghouse.Tx) error { return tx.InsertTransfer(c.transfer) })
	}
	w.refused(licensing.NotFound, "update of a transfer that is not known", func(tx clearinghouse.Tx) error { return tx.UpdateTransfer(w.transfer("d")) })
	equal(t, "Transfers after what was refused", w.content().transfers, want)
}

func testReleaseTransfers(t *testing.T, h Harness) {
	w := newWorld(t, h)
	var want []clearinghouse.Transfer
	for i, key := range []string{"none", "one", "two", "three", "early", "elsewhere"} {
		v := w.transfer(key)
		v.NoticeSeq = uint64(i)
		want = append(want, v)
	}
	want[4].NoticeSeq, want[4].Released = 2, start
	want[5].NoticeSeq, want[5].Source, want[5].Target = 1, w.second, w.first
	w.update(func(tx clearinghouse.Tx) error {
		for _, v := range want {
			if err := tx.InsertTransfer(v); err != nil {
				return err
			}
		}
		return nil
	})
	release := func(seq uint64, at time.Time) {
		w.update(func(tx clearinghouse.Tx) error { return tx.ReleaseTransfers(w.first, seq, at) })
	}
	release(0, start.Add(time.Second))
	equal(t, "Transfers after no notice was applied", w.content().transfers, want)
	release(2, start.Add(time.Hour))
	want[1].Released, want[2].Released = start.Add(time.Hour), start.Add(time.Hour)
	equal(t, "Transfers after two notices were applied", w.content().transfers, want)
	release(math.MaxUint64, start.Add(2*time.Hour))
	want[3].Released = start.Add(2 * time.Hour)
	equal(t, "Transfers after all notices were applied", w.content().transfers, want)
	w.refused(licensing.Internal, "a release at no time", func(tx clearinghouse.Tx) error { return tx.ReleaseTransfers(w.second, 1, time.Time{}) })
}

func testNotices(t *testing.T, h Harness) {
	w := newWorld(t, h)
	notice := func(server uint32, seq uint64) clearinghouse.QueuedNotice {
		return clearinghouse.QueuedNotice{Server: server, Seq: seq, Signed: clearinghouse.Signed{Payload: []byte{0, '{', byte(seq)}, Signature: hash("signature")}}
	}
	want := []clearinghouse.QueuedNotice{notice(w.first, 1), notice(w.first, 2), notice(w.first, 3), notice(w.second, 1)}
	w.update(func(tx clearinghouse.Tx) error {
		return errors.Join(tx.InsertNotice(want[0]), tx.InsertNotice(want[3]), tx.InsertNotice(want[1]), tx.InsertNotice(want[2]))
	})
	notices := func(server uint32, after uint64, limit int) []clearinghouse.QueuedNotice {
		return read(w.fixture, func(r clearinghouse.Reader) ([]clearinghouse.QueuedNotice, error) {
			return r.Notices(server, after, limit)
		})
	}
	equal(t, "all notices", notices(w.first, 0, 10), want[:3])
	equal(t, "the first notices", notices(w.first, 0, 2), want[:2])
	equal(t, "the notices after the first", notices(w.first, 1, 10), want[1:3])
	equal(t, "the notices of another server", notices(w.second, 0, 10), want[3:])
	equal(t, "the notices after the last", notices(w.first, 3, 10), nil)
	equal(t, "the notices after the largest number", notices(w.first, math.MaxUint64, 10), nil)
	equal(t, "no notices", notices(w.first, 0, 0), nil)
	equal(t, "less than no notices", notices(w.first, 0, -1), nil)
	equal(t, "the notices of a server that is not known", notices(4000, 0, 10), nil)
	w.refused(licensing.AlreadyExists, "a notice's number twice", func(tx clearinghouse.Tx) error { return tx.InsertNotice(notice(w.first, 2)) })
	w.refused(licensing.NotFound, "a notice for a server that is not known", func(tx clearinghouse.Tx) error { return tx.InsertNotice(notice(4000, 1)) })
	equal(t, "all notices after what was refused", w.content().notices, want)
}

func (w world) code(serial uint32) clearinghouse.Code {
	return clearinghouse.Code{
		Serial: serial, Import: true, FirstGroup: "ABCDE", Entitlement: enterprise, ProductType: licensing.PerUser, Count: 1048575,
		Target: w.second, Source: w.first, State: clearinghouse.CodeIssued, Issued: start,
	}
}

func testCodes(t *testing.T, h Harness) {
	w := newWorld(t, h)
	with := func(serial uint32, change func(c *clearinghouse.Code)) clearinghouse.Code {
		c := w.code(serial)
		change(&c)
		return c
	}
	install := func(c *clearinghouse.Code) { c.Import, c.Source = false, 0 }
	want := []clearinghouse.Code{
		w.code(1),
		with(2, install),
		with(3, func(c *clearinghouse.Code) { c.Entitlement = retailed }),
		with(4, func(c *clearinghouse.Code) { c.ProductType = licensing.PerDevice }),
		with(5, func(c *clearinghouse.Code) { c.Source, c.Target = w.second, w.first }),
		with(6, func(c *clearinghouse.Code) { c.State, c.RedeemKey = clearinghouse.CodeRedeemed, "key" }),
		w.code(7),
		w.code(math.MaxUint32),
	}
	w.update(func(tx clearinghouse.Tx) error {
		for _, c := range slices.Backward(want) {
			if err := tx.InsertCode(c); err != nil {
				return err
			}
		}
		return nil
	})
	codes := func() []clearinghouse.Code { return read(w.fixture, clearinghouse.Reader.Codes) }
	opened := func() []clearinghouse.Code {
		return read(w.fixture, func(r clearinghouse.Reader) ([]clearinghouse.Code, error) {
			return r.OpenCodes(w.first, enterprise, licensing.PerUser)
		})
	}
	equal(t, "Codes", codes(), want)
	equal(t, "OpenCodes", opened(), []clearinghouse.Code{want[0], want[6], want[7]})

	want[0].State, want[0].RedeemKey = clearinghouse.CodeRedeemed, "other key"
	want[1] = with(2, func(c *clearinghouse.Code) { c.FirstGroup, c.Count, c.Issued = "Z", 1, start.Add(time.Hour) })
	w.update(func(tx clearinghouse.Tx) error { return errors.Join(tx.UpdateCode(want[0]), tx.UpdateCode(want[1])) })
	equal(t, "Codes after UpdateCode", codes(), want)
	equal(t, "OpenCodes after UpdateCode", opened(), []clearinghouse.Code{want[1], want[6], want[7]})
	equal(t, "Code", read(w.fixture, func(r clearinghouse.Reader) (clearinghouse.Code, error) { return r.Code(math.MaxUint32) }), want[7])

	for _, c := range []struct {
		what string
		kind licensing.Kind
		code clearinghouse.Code
	}{
		{"a serial in use", licensing.AlreadyExists, w.code(7)},
		{"an entitlement that is not known", licensing.NotFound, with(8, func(c *clearinghouse.Code) { c.Entitlement = "unknown" })},
		{"a source that is not known", licensing.NotFound, with(8, func(c *clearinghouse.Code) { c.Source = 4000 })},
		{"a target that is not known", licensing.NotFound, with(8, func(c *clearinghouse.Code) { c.Target = 4000 })},
	} {
		w.refused(c.kind, "a code with "+c.what, func(tx clearinghouse.Tx) error { return tx.InsertCode(c.code) })
	}
	w.refused(licensing.NotFound, "update of a code that is not known", func(tx clearinghouse.Tx) error { return tx.UpdateCode(w.code(8)) })
	equal(t, "Codes after what was refused", codes(), want)
}

func testSerials(t *testing.T, h Harness) {
	f := fixture{t, h.Open(t)}
	seen := map[uint32]bool{}
	last := uint32(0)
	take := func(n int) {
		t.Helper()
		var taken []uint32
		f.update(func(tx clearinghouse.Tx) error {
			for range n {
				serial, err := tx.NextSerial()
				if err != nil {
					return err
				}
				taken = append(taken, serial)
			}
			return nil
		})
		for _, serial := range taken {
			if serial <= last || seen[serial] {
				t.Errorf("the serial %d follows %d", serial, last)
			}
			seen[serial], last = true, serial
		}
	}
	take(1)
	take(5)
	// No code was stored with them, and still they are used.
	f.store = h.Reopen(t, f.store)
	take(3)
	stop := errors.New("stop")
	err := f.store.Update(t.Context(), func(tx clearinghouse.Tx) error {
		_, err := tx.NextSerial()
		return errors.Join(err, stop)
	})
	if !errors.Is(err, stop) {
		t.Errorf("Update returned %v", err)
	}
	take(2)
}

func testSettled(t *testing.T, h Harness) {
	w := newWorld(t, h)
	settled := func(server uint32, key string) clearinghouse.Settled {
		return clearinghouse.Settled{
			Server: server, Key: key, RequestHash: hash("request"), At: start,
			Response: clearinghouse.Signed{Payload: []byte("{}"), Signature: hash("signature of " + key)},
		}
	}
	// Two servers may choose the same key.
	want := []clearinghouse.Settled{settled(w.first, "a"), settled(w.first, "b"), settled(w.second, "a")}
	want[1].Response, want[1].RequestHash = clearinghouse.Signed{}, nil
	w.update(func(tx clearinghouse.Tx) error {
		return errors.Join(tx.InsertSettled(want[0]), tx.InsertSettled(want[1]), tx.InsertSettled(want[2]))
	})
	equal(t, "Settled", w.content("a", "b").settled, want)
	w.refused(licensing.AlreadyExists, "a settled operation's key twice", func(tx clearinghouse.Tx) error { return tx.InsertSettled(settled(w.first, "b")) })
	w.refused(licensing.NotFound, "a settled operation of a server that is not known", func(tx clearinghouse.Tx) error { return tx.InsertSettled(settled(4000, "a")) })
	equal(t, "Settled after what was refused", w.content("a", "b").settled, want)
}

func testNotFound(t *testing.T, h Harness) {
	w := newWorld(t, h)
	for what, get := range map[string]func(clearinghouse.Reader) error{
		"Organization":                        func(r clearinghouse.Reader) error { _, err := r.Organization("west"); return err },
		"Organization with no ID":             func(r clearinghouse.Reader) error { _, err := r.Organization(""); return err },
		"OrganizationByEnrolment":             func(r clearinghouse.Reader) error { _, err := r.OrganizationByEnrolment(hash("unknown")); return err },
		"OrganizationByEnrolment with none":   func(r clearinghouse.Reader) error { _, err := r.OrganizationByEnrolment(nil); return err },
		"Server":                              func(r clearinghouse.Reader) error { _, err := r.Server(4000); return err },
		"ServerByProductID":                   func(r clearinghouse.Reader) error { _, err := r.ServerByProductID("unknown"); return err },
		"ServerByLicenseServerID":             func(r clearinghouse.Reader) error { _, err := r.ServerByLicenseServerID("unknown"); return err },
		"ServerByLicenseServerID with none":   func(r clearinghouse.Reader) error { _, err := r.ServerByLicenseServerID(""); return err },
		"Entitlement":                         func(r clearinghouse.Reader) error { _, err := r.Entitlement("unknown"); return err },
		"Transfer":                            func(r clearinghouse.Reader) error { _, err := r.Transfer("unknown"); return err },
		"Code":                                func(r clearinghouse.Reader) error { _, err := r.Code(4000); return err },
		"Settled":                             func(r clearinghouse.Reader) error { _, err := r.Settled(w.first, "unknown"); return err },
		"Settled of a server that is unknown": func(r clearinghouse.Reader) error { _, err := r.Settled(4000, "a"); return err },
	} {
		wantFault(t, what, w.store.View(t.Context(), get), licensing.NotFound)
		w.refused(licensing.NotFound, what+" in a Tx", func(tx clearinghouse.Tx) error { return get(tx) })
	}
}
