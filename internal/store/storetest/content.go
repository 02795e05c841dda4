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

// content is all that can be read from a store.
type content struct {
	Server     licensing.Server
	KeyPacks   []licensing.KeyPack
	Operations []store.Operation
	Documents  map[uint32][]store.Document // by key pack, only those that have any
	Serials    []uint32                    // the used ones, as far as readContent asks
	Audit      []store.AuditRecord
	Issued     issued
	Reports    []licensing.Report
	Accounts   []store.Account
}

// verifyAudit holds the audit log against its chain, which ends at that Seq.
func verifyAudit(r store.Reader, seq uint64) error {
	head, err := r.AuditHead()
	if err != nil {
		return err
	}
	v, err := store.VerifyAudit(store.AllAudit(r), head, store.AuditHead{})
	if err == nil && v.Flaw != nil {
		err = fmt.Errorf("the audit log is broken at record %d: %s", v.Flaw.Seq, v.Flaw.Why)
	}
	return errors.Join(err, differ("the head of the audit log", head.Seq, seq))
}

// unhashed returns audit records without their hashes, which depend on all before.
func unhashed(list []store.AuditRecord) []store.AuditRecord {
	for i := range list {
		list[i].Hash = nil
	}
	return list
}

// asked is the end of the key pack IDs whose documents readContent asks for, and of the serials. Tests that compare content
// use no others.
const asked = 8

// readContent reads everything, and checks what must hold in any state: the order of IDs and Seqs, and that what KeyPacks
// lists is what KeyPack finds. Empty bytes are returned as nil.
func readContent(r store.Reader) (content, error) {
	c := content{Documents: map[uint32][]store.Document{}}
	var err error
	if c.Server, err = r.Server(); err != nil {
		return c, err
	}
	last := uint32(licensing.FirstKeyPackID - 1)
	for k, err := range r.KeyPacks() {
		if err != nil {
			return c, err
		}
		if k.ID <= last {
			return c, fmt.Errorf("in KeyPacks ID %d comes after %d", k.ID, last)
		}
		last = k.ID
		c.KeyPacks = append(c.KeyPacks, k)
		one, err := r.KeyPack(k.ID)
		if err != nil {
			return c, err
		}
		if err := differ("KeyPack of what KeyPacks listed", one, k); err != nil {
			return c, err
		}
	}
	operations, err := r.Operations()
	if err != nil {
		return c, err
	}
	seq := uint64(0)
	for _, o := range operations {
		if o.Seq <= seq {
			return c, fmt.Errorf("in Operations Seq %d comes after %d", o.Seq, seq)
		}
		seq = o.Seq
		o.Request = nilIfEmpty(o.Request)
		c.Operations = append(c.Operations, o)
	}
	for id := range uint32(asked) {
		documents, err := r.Documents(id)
		if err != nil {
			return c, err
		}
		for _, d := range documents {
			d.Payload, d.Signature = nilIfEmpty(d.Payload), nilIfEmpty(d.Signature)
			c.Documents[id] = append(c.Documents[id], d)
		}
	}
	for serial := range uint32(asked) {
		used, err := r.SerialUsed(serial)
		if err != nil {
			return c, err
		}
		if used {
			c.Serials = append(c.Serials, serial)
		}
	}
	if c.Audit, err = r.AuditRecords(0, math.MaxInt); err != nil {
		return c, err
	}
	seq = 0
	for _, a := range c.Audit {
		if a.Seq <= seq {
			return c, fmt.Errorf("in AuditRecords Seq %d comes after %d", a.Seq, seq)
		}
		seq = a.Seq
	}
	newest, err := r.LastAudit()
	if err := errors.Join(err, differ("LastAudit", newest, seq), verifyAudit(r, seq)); err != nil {
		return c, err
	}
	c.Audit = unhashed(c.Audit)
	if c.Accounts, err = r.Accounts(); err != nil {
		return c, err
	}
	if c.Issued, err = readIssued(r); err != nil {
		return c, err
	}
	c.Reports, err = readReports(r)
	return c, err
}

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// contentOf reads a store in one View.
func contentOf(t *testing.T, s store.Store) content {
	t.Helper()
	var c content
	view(t, s, func(r store.Reader) (err error) {
		c, err = readContent(r)
		return err
	})
	return c
}

// expect fails the test unless the store has this content.
func expect(t *testing.T, s store.Store, want content) {
	t.Helper()
	if err := differ("content", contentOf(t, s), want); err != nil {
		t.Fatal(err)
	}
}

// noon is an instant with microseconds.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC) }

func server() licensing.Server {
	return licensing.Server{
		ProductID:       "00000-00000-00000-00001",
		LicenseServerID: "ABCDEFGHJKMNPQRSTVWXYZ0123456789ABC",
		ActivatedAt:     noon(),
		Contact: licensing.Contact{
			FirstName: "Ada", LastName: "Żółć", Company: "日本の会社", CountryRegion: "Österreich", EMail: "ada@example.com",
			OrgUnit: "IT", Address: "Straße 1\nHinterhof", City: "Wien", State: "W", PostalCode: "1010",
		},
		Role:      licensing.Forest,
		NoticeSeq: 17,
	}
}

func keyPack(total uint32) licensing.KeyPack {
	return licensing.KeyPack{
		Type: licensing.KeyPackVolume, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser,
		Total: total, Issued: 3, Held: 2, Installed: noon(), Expires: licensing.PerpetualExpiry(noon()),
		Entitlement: "entitlement-1", Code: "evidence", Flag: "unknown serial",
		OverUse: licensing.OverUse{Policy: licensing.DenyOverUse, WarnAt: 90, DenyBeyond: 110},
	}
}

func operation(key string) store.Operation {
	return store.Operation{Key: key, Kind: "import", Request: []byte{0, 1, 0xFF, '"'}, KeyPackID: 4, Created: noon()}
}

func document(keyPackID uint32, kind string) store.Document {
	return store.Document{
		KeyPackID: keyPackID, Kind: kind, Payload: []byte(`{"grant":1}`), Signature: []byte{0, 0xFE}, Received: noon(),
	}
}

func auditRecord(action string, keyPackID uint32) store.AuditRecord {
	return store.AuditRecord{At: noon(), Actor: `DOMAIN\ada`, Action: action, KeyPackID: keyPackID, LicenseID: 17, Delta: -5, Detail: "five removed"}
}

// fill writes something of everything in one transaction and returns the key pack's ID.
func fill(tx store.Tx, serial uint32) (uint32, error) {
	id, err := tx.InsertKeyPack(keyPack(10))
	return id, errors.Join(err,
		tx.PutServer(server()),
		tx.InsertOperation(operation(fmt.Sprintf("operation %d", serial))),
		tx.InsertDocument(document(id, "grant")),
		tx.UseSerial(serial),
		fillIssued(tx, id, int(serial)),
		tx.InsertReport(report(int(serial))),
		tx.Audit(auditRecord("install", id)),
	)
}
