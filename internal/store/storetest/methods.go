package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func testEmpty(t *testing.T, h Harness) {
	s := h.open(t)
	expect(t, s, content{Documents: map[uint32][]store.Document{}})
	if s.Path() == "" {
		t.Error("Path is empty; it names the database for people")
	}
	for _, id := range []uint32{0, 1, licensing.BuiltInKeyPackID, licensing.FirstKeyPackID, math.MaxUint32} {
		view(t, s, func(r store.Reader) error {
			_, err := r.KeyPack(id)
			return fault(fmt.Sprintf("KeyPack(%d)", id), err, licensing.NotFound)
		})
	}
}

func testServer(t *testing.T, h Harness) {
	s := h.open(t)
	for _, want := range []licensing.Server{server(), {}, {NoticeSeq: math.MaxInt64}, {ProductID: "second"}} {
		update(t, s, func(tx store.Tx) error { return tx.PutServer(want) })
		if err := differ("Server", contentOf(t, s).Server, want); err != nil {
			t.Error(err)
		}
	}
}

func testKeyPack(t *testing.T, h Harness) {
	s := h.open(t)
	full, bare := keyPack(10), licensing.KeyPack{ProductVersion: licensing.WindowsServer2008}
	full.ID, bare.ID = 77, 77 // not read
	packs := insert(t, s, full, bare, keyPack(licensing.Unlimited))
	for i, k := range packs {
		if k.ID < licensing.FirstKeyPackID {
			t.Errorf("key pack %d got ID %d; the first is %d", i, k.ID, licensing.FirstKeyPackID)
		}
	}
	if err := differ("KeyPacks", contentOf(t, s).KeyPacks, packs); err != nil {
		t.Fatal(err)
	}

	packs[1] = licensing.KeyPack{
		ID: packs[1].ID, Type: licensing.KeyPackRetail, ProductVersion: licensing.WindowsServer2025, ProductType: licensing.PerUser,
		Total: 1, Issued: math.MaxUint32, Held: math.MaxUint32, Installed: noon().Add(time.Hour), Expires: noon().AddDate(5, 0, 0),
		Entitlement: "other", Code: "other code", Flag: "other flag",
		OverUse: licensing.OverUse{Policy: licensing.AllowOverUse, WarnAt: math.MaxUint32, DenyBeyond: math.MaxUint32},
	}
	packs[2] = licensing.KeyPack{ID: packs[2].ID, ProductVersion: licensing.WindowsServer2012}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.UpdateKeyPack(packs[1]), tx.UpdateKeyPack(packs[2]), tx.DeleteKeyPack(packs[0].ID))
	})
	if err := differ("KeyPacks after updates", contentOf(t, s).KeyPacks, packs[1:]); err != nil {
		t.Fatal(err)
	}

	gone := packs[0]
	update(t, s, func(tx store.Tx) error {
		_, err := tx.KeyPack(gone.ID)
		return errors.Join(
			fault("KeyPack of one deleted", err, licensing.NotFound),
			fault("UpdateKeyPack of one deleted", tx.UpdateKeyPack(gone), licensing.NotFound),
			fault("DeleteKeyPack of one deleted", tx.DeleteKeyPack(gone.ID), licensing.NotFound),
			fault("DeleteKeyPack of the built-in", tx.DeleteKeyPack(licensing.BuiltInKeyPackID), licensing.NotFound),
			fault("UpdateKeyPack without ID", tx.UpdateKeyPack(keyPack(1)), licensing.NotFound),
		)
	})
	if err := differ("KeyPacks after faults", contentOf(t, s).KeyPacks, packs[1:]); err != nil {
		t.Fatal(err)
	}
}

func testOperations(t *testing.T, h Harness) {
	s := h.open(t)
	first, second := operation("z first"), operation("a second")
	first.Seq, second.KeyPackID, second.Request = 99, 0, nil
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertOperation(first), tx.InsertOperation(second))
	})
	before := contentOf(t, s).Operations
	if len(before) != 2 {
		t.Fatalf("%d operations are open; want 2", len(before))
	}
	first.Seq, second.Seq = before[0].Seq, before[1].Seq
	if err := differ("Operations", before, []store.Operation{first, second}); err != nil {
		t.Fatal(err)
	}

	other := store.Operation{Key: first.Key, Kind: "other", Created: noon().Add(time.Hour)}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			fault("InsertOperation with a Key in use", tx.InsertOperation(other), licensing.AlreadyExists),
			fault("DeleteOperation of none", tx.DeleteOperation("none"), licensing.NotFound),
			fault("DeleteOperation in another case", tx.DeleteOperation("Z FIRST"), licensing.NotFound),
		)
	})
	if err := differ("Operations after faults", contentOf(t, s).Operations, before); err != nil {
		t.Fatal(err)
	}

	// A key that was closed can be opened again, and then it is the newest.
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			tx.DeleteOperation(first.Key),
			fault("DeleteOperation again", tx.DeleteOperation(first.Key), licensing.NotFound),
			tx.InsertOperation(other))
	})
	after := contentOf(t, s).Operations
	if len(after) != 2 || after[1].Seq <= second.Seq {
		t.Fatalf("after reopening a key: %+v", after)
	}
	other.Seq = after[1].Seq
	if err := differ("Operations", after, []store.Operation{second, other}); err != nil {
		t.Fatal(err)
	}

	// Nor is the Seq of the newest given out again.
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.DeleteOperation(other.Key), tx.InsertOperation(operation("third")))
	})
	if newest := contentOf(t, s).Operations[1]; newest.Seq <= other.Seq {
		t.Errorf("the newest operation has Seq %d, and %d was given out before", newest.Seq, other.Seq)
	}
}

func testDocuments(t *testing.T, h Harness) {
	s := h.open(t)
	id := insert(t, s, keyPack(1))[0].ID
	grant, transfer, empty := document(id, "grant"), document(id, "transfer"), store.Document{KeyPackID: id + 1}
	transfer.Received = noon().Add(-time.Hour) // the order is that of insertion
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertDocument(grant), tx.InsertDocument(empty), tx.InsertDocument(transfer), tx.InsertDocument(grant))
	})
	want := map[uint32][]store.Document{id: {grant, transfer, grant}, id + 1: {empty}}
	if err := differ("Documents", contentOf(t, s).Documents, want); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return tx.DeleteKeyPack(id) })
	if err := differ("Documents of a deleted key pack", contentOf(t, s).Documents, want); err != nil {
		t.Fatal(err)
	}
}

func testSerials(t *testing.T, h Harness) {
	s := h.open(t)
	used := func(r store.Reader, serial uint32, want bool) error {
		got, err := r.SerialUsed(serial)
		return errors.Join(err, differ(fmt.Sprintf("SerialUsed(%d)", serial), got, want))
	}
	for _, serial := range []uint32{0, 1, math.MaxInt32 + 1, math.MaxUint32} {
		view(t, s, func(r store.Reader) error { return used(r, serial, false) })
		update(t, s, func(tx store.Tx) error {
			return errors.Join(used(tx, serial, false), tx.UseSerial(serial), used(tx, serial, true))
		})
		view(t, s, func(r store.Reader) error { return used(r, serial, true) })
		err := tryUpdate(t.Context(), s, func(tx store.Tx) error { return tx.UseSerial(serial) })
		if err := fault(fmt.Sprintf("UseSerial(%d) again", serial), err, licensing.AlreadyExists); err != nil {
			t.Error(err)
		}
	}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.UseSerial(7), fault("UseSerial(7) twice in a transaction", tx.UseSerial(7), licensing.AlreadyExists))
	})
	if err := differ("used serials", contentOf(t, s).Serials, []uint32{0, 1, 7}); err != nil {
		t.Error(err)
	}
}

func testAuditRecords(t *testing.T, h Harness) {
	s := h.open(t)
	id := insert(t, s, keyPack(1))[0].ID
	want := contentOf(t, s).Audit
	extremes := []store.AuditRecord{
		auditRecord("install", id),
		{Seq: 1, Delta: math.MinInt64},
		{Delta: math.MaxInt64, KeyPackID: math.MaxUint32, LicenseID: math.MaxUint32, Hash: []byte("none of the caller's")},
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { // Audit alone is a transaction, too
		return errors.Join(tx.Audit(extremes[0]), tx.Audit(extremes[1]), tx.Audit(extremes[2]))
	}); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return tx.DeleteKeyPack(id) })
	all := contentOf(t, s).Audit
	if len(all) != 5 {
		t.Fatalf("%d audit records; want 5", len(all))
	}
	for i, record := range append(extremes, auditRecord("test", 0)) {
		record.Seq, record.Hash = all[i+1].Seq, nil
		want = append(want, record)
	}
	if err := differ("AuditRecords", all, want); err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		after uint64
		limit int
		want  []store.AuditRecord
	}{
		{0, 2, all[:2]},
		{all[1].Seq, 2, all[2:4]},
		{all[3].Seq, 2, all[4:]},
		{all[4].Seq, 2, nil},
		{math.MaxUint64, 2, nil},
		{0, 0, nil},
		{0, -1, nil},
		{0, math.MaxInt, all},
	} {
		view(t, s, func(r store.Reader) error {
			got, err := r.AuditRecords(test.after, test.limit)
			if err != nil || len(got) == 0 && len(test.want) == 0 {
				return err
			}
			return differ(fmt.Sprintf("AuditRecords(%d, %d)", test.after, test.limit), unhashed(got), test.want)
		})
	}
}

// testValues stores what is likely to be cut, converted or escaped on the way.
func testValues(t *testing.T, h Harness) {
	s := h.open(t)
	texts := []string{
		"", " ", " leading and trailing ", "'; DROP TABLE key_pack; --", "%_\\\"`$1 ?1 :a @a", "\x01\t\r\n\x7f", "null", "007", "1e3",
		"ﬁ ≠ fi", "é e\u0301", "\u202Ertl", "\uFEFFbom", "\uFFFD", "👩‍👩‍👧‍👦 𐍈",
		strings.Repeat("x", 10_000), strings.Repeat("日本語👩", 2_500),
	}
	for _, text := range texts {
		name := fmt.Sprintf("text %.20q of %d bytes", text, len(text))
		c := licensing.Contact{
			FirstName: text, LastName: text, Company: text, CountryRegion: text, EMail: text,
			OrgUnit: text, Address: text, City: text, State: text, PostalCode: text,
		}
		want := licensing.Server{ProductID: text, Contact: c}
		update(t, s, func(tx store.Tx) error { return tx.PutServer(want) })
		if err := differ(name, contentOf(t, s).Server, want); err != nil {
			t.Error(err)
		}
	}
	large := make([]byte, 1<<20)
	for i := range large {
		large[i] = byte(i * 7)
	}
	want := document(1, strings.Repeat("é", 5_000))
	want.Payload, want.Signature = large, []byte{0}
	update(t, s, func(tx store.Tx) error { return tx.InsertDocument(want) })
	if err := differ("a document of 1 MiB", contentOf(t, s).Documents[1], []store.Document{want}); err != nil {
		t.Error("the large document came back differently")
	}

	instants := []struct{ put, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.Unix(0, 0), time.Unix(0, 0).UTC()},
		{time.Unix(-1, 999_999_999), time.Unix(-1, 999_999_000).UTC()},
		{noon().In(time.FixedZone("", 5*3600+1800)), noon()},
		{noon().Add(999), noon()},
		{time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
	}
	id := insert(t, s, keyPack(1))[0].ID
	for _, instant := range instants {
		k := keyPack(1)
		k.ID, k.Installed, k.Expires = id, instant.put, instant.put
		update(t, s, func(tx store.Tx) error { return tx.UpdateKeyPack(k) })
		k.Installed, k.Expires = instant.want, instant.want
		if err := differ(fmt.Sprintf("instant %v", instant.put), contentOf(t, s).KeyPacks[0], k); err != nil {
			t.Error(err)
		}
	}
}

// testUnstorable gives what not every database can store. All refuse it, so that no use-case works with one of them only.
func testUnstorable(t *testing.T, h Harness) {
	s := h.open(t)
	id := insert(t, s, keyPack(1))[0].ID
	writes := map[string]func(tx store.Tx, text string, instant time.Time) error{
		"PutServer": func(tx store.Tx, text string, instant time.Time) error {
			return tx.PutServer(licensing.Server{ActivatedAt: instant, Contact: licensing.Contact{PostalCode: text}})
		},
		"InsertKeyPack": func(tx store.Tx, text string, instant time.Time) error {
			k := keyPack(1)
			k.Flag, k.Expires = text, instant
			_, err := tx.InsertKeyPack(k)
			return err
		},
		"UpdateKeyPack": func(tx store.Tx, text string, instant time.Time) error {
			k := keyPack(1)
			k.ID, k.Entitlement, k.Installed = id, text, instant
			return tx.UpdateKeyPack(k)
		},
		"InsertOperation": func(tx store.Tx, text string, instant time.Time) error {
			return tx.InsertOperation(store.Operation{Key: "k" + text, Created: instant})
		},
		"InsertDocument": func(tx store.Tx, text string, instant time.Time) error {
			return tx.InsertDocument(store.Document{Kind: text, Received: instant})
		},
		"InsertReport": func(tx store.Tx, text string, instant time.Time) error {
			return tx.InsertReport(licensing.Report{FileName: "r" + text, Generated: instant})
		},
		"Audit": func(tx store.Tx, text string, instant time.Time) error {
			return tx.Audit(store.AuditRecord{Detail: text, At: instant})
		},
	}
	maps.Copy(writes, issuedWrites(insertCALs(t, s, activeCAL("id:hwid-1"))[0].ID))
	before := contentOf(t, s)
	const secret = "ABCDE-FGHJK"
	for name, write := range writes {
		update(t, s, func(tx store.Tx) error {
			return errors.Join(
				fault(name+" with a NUL", write(tx, "a\x00b", noon()), licensing.Invalid),
				fault(name+" with a broken character", write(tx, secret+"\xC3", noon()), licensing.Invalid),
				conceals(write(tx, secret+"\xC3", noon()), secret),
				fault(name+" with a surrogate", write(tx, "\xED\xA0\x80", noon()), licensing.Invalid),
				fault(name+" in the year 10000", write(tx, "", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), licensing.Invalid),
				fault(name+" in the year 0", write(tx, "", time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)), licensing.Invalid),
			)
		})
	}
	update(t, s, func(tx store.Tx) error {
		err := tx.PutServer(licensing.Server{NoticeSeq: math.MaxInt64 + 1})
		return fault("PutServer with a NoticeSeq of 64 bits", err, licensing.Invalid)
	})
	after := contentOf(t, s)
	after.Audit = before.Audit
	if err := differ("content after values that were refused", after, before); err != nil {
		t.Error(err)
	}
}

// conceals returns an error if err shows text that may be a secret.
func conceals(err error, text string) error {
	if err != nil && strings.Contains(err.Error(), text) {
		return errors.New("the error shows the text that was refused")
	}
	return nil
}
