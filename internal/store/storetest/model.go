package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// testModel runs random transactions, some of which fail, on a store and on a model of it in memory, and compares all that
// can be read at the end of every transaction and after it. Now and then it closes and reopens.
func testModel(t *testing.T, h Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		s := h.Open(t)
		defer func() { s.Close() }() // whichever it is then
		m := newModel()
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				if err := s.View(t.Context(), m.compare); err != nil {
					rt.Fatal(err)
				}
			},
			"update": func(rt *rapid.T) {
				steps := rapid.SliceOfN(rapid.Custom(drawStep), 0, 8).Draw(rt, "steps")
				if rapid.IntRange(0, 4).Draw(rt, "audited") > 0 {
					audit := drawStep(rt)
					audit.Method = "Audit"
					steps = append(steps, audit)
				}
				fails := rapid.IntRange(0, 3).Draw(rt, "fails") == 0
				next, err := m.run(t, s, steps, fails)
				if err != nil {
					rt.Fatal(err)
				}
				m = next
			},
			"reopen": func(rt *rapid.T) {
				if rapid.IntRange(0, 4).Draw(rt, "really") > 0 {
					return
				}
				if err := s.Close(); err != nil {
					rt.Fatalf("Close: %v", err)
				}
				s = h.Reopen(t, s)
			},
		})
	})
}

// step is one call of a method of Tx; what the method does not need is ignored.
type step struct {
	Method  string
	Pick    int // which key pack of those there are; one beyond them is none
	Small   uint32
	Number  uint32
	Text    string
	Instant time.Time
	Issued  issuedStep
}

func drawStep(t *rapid.T) step {
	return step{
		Method: rapid.SampledFrom(append([]string{
			"PutServer", "InsertKeyPack", "InsertKeyPack", "UpdateKeyPack", "DeleteKeyPack",
			"InsertOperation", "DeleteOperation", "InsertDocument", "UseSerial", "InsertReport", "DeleteReport", "Audit",
		}, issuedSteps()...)).Draw(t, "method"),
		Pick:    rapid.IntRange(0, 4).Draw(t, "pick"),
		Small:   rapid.Uint32Range(0, 5).Draw(t, "small"),
		Number:  rapid.Uint32().Draw(t, "number"),
		Text:    strings.ReplaceAll(strings.ToValidUTF8(rapid.String().Draw(t, "text"), "?"), "\x00", "0"),
		Instant: time.UnixMicro(rapid.Int64Range(0, 4_000_000_000_000_000).Draw(t, "instant")).UTC(),
		Issued:  drawIssuedStep(t),
	}
}

func (s step) server() licensing.Server {
	return licensing.Server{ProductID: s.Text, ActivatedAt: s.Instant, Contact: licensing.Contact{City: s.Text}, NoticeSeq: uint64(s.Number)}
}

func (s step) keyPack() licensing.KeyPack {
	return licensing.KeyPack{
		Type: licensing.KeyPackType(s.Small), ProductVersion: licensing.WindowsServer2012 + licensing.ProductVersion(s.Small%5),
		ProductType: licensing.ProductType(s.Number % 2), Total: s.Number, Issued: s.Number / 2, Held: s.Small,
		Installed: s.Instant, Entitlement: s.Text, Flag: s.Text,
		OverUse: licensing.OverUse{Policy: licensing.OverUsePolicy(s.Text), WarnAt: s.Number, DenyBeyond: s.Small},
	}
}

func (s step) key() string { return fmt.Sprintf("key %d", s.Small) }

func (s step) operation() store.Operation {
	return store.Operation{Key: s.key(), Kind: s.Text, Request: nilIfEmpty([]byte(s.Text)), KeyPackID: s.Number, Created: s.Instant}
}

func (s step) document() store.Document {
	return store.Document{KeyPackID: s.Small, Kind: s.Text, Payload: nilIfEmpty([]byte(s.Text)), Received: s.Instant}
}

func (s step) auditRecord() store.AuditRecord {
	return store.AuditRecord{At: s.Instant, Actor: s.Text, Action: "step", KeyPackID: s.Number, LicenseID: s.Small, Delta: -int64(s.Number), Detail: s.Text}
}

// model is what a store should hold. What a store chooses, IDs and Seqs, is taken from it after a check.
type model struct {
	content
	lastKeyPackID               uint32
	lastOperation, lastAuditSeq uint64
	lastCAL                     uint32
	lastLease, lastDenial       uint64
}

func newModel() *model {
	return &model{
		content:       content{Documents: map[uint32][]store.Document{}},
		lastKeyPackID: licensing.FirstKeyPackID - 1,
	}
}

func (m *model) clone() *model {
	c := *m
	c.KeyPacks, c.Operations, c.Audit = slices.Clone(m.KeyPacks), slices.Clone(m.Operations), slices.Clone(m.Audit)
	c.Serials, c.Documents = slices.Clone(m.Serials), maps.Clone(m.Documents)
	for id, documents := range c.Documents {
		c.Documents[id] = slices.Clone(documents)
	}
	c.Issued, c.Reports = m.Issued.clone(), slices.Clone(m.Reports)
	return &c
}

func (m *model) compare(r store.Reader) error {
	got, err := readContent(r)
	if err != nil {
		return err
	}
	return differ("content", got, m.content)
}

// run runs the steps in one transaction and returns the model of the store after it, or what the store did wrong.
func (m *model) run(t *testing.T, s store.Store, steps []step, fails bool) (*model, error) {
	var next *model
	var changed, audited bool
	var wrong error
	err := s.Update(t.Context(), func(tx store.Tx) error {
		next, changed, audited, wrong = m.clone(), false, false, nil
		for i, step := range steps {
			done, err := next.apply(tx, step)
			if err != nil {
				wrong = fmt.Errorf("step %d, %s: %w", i, step.Method, err)
				return wrong
			}
			changed = changed || done && step.Method != "Audit"
			audited = audited || step.Method == "Audit"
		}
		if err := next.compare(tx); err != nil {
			wrong = fmt.Errorf("before the end of the transaction: %w", err)
			return wrong
		}
		if fails {
			return errRefused
		}
		return nil
	})
	switch {
	case wrong != nil:
		return nil, wrong
	case fails && !errors.Is(err, errRefused):
		return nil, fmt.Errorf("the error of Update is %v; want that of its function", err)
	case fails:
		return m, nil
	case changed && !audited:
		return m, fault("Update without an audit record", err, licensing.Internal)
	}
	return next, err
}

// apply takes one step on both sides. It reports whether the step changed anything, or what the store did wrong.
func (m *model) apply(tx store.Tx, s step) (changed bool, wrong error) {
	switch s.Method {
	case "PutServer":
		m.Server = s.server()
		return true, tx.PutServer(m.Server)
	case "InsertKeyPack":
		k := s.keyPack()
		var err error
		if k.ID, err = tx.InsertKeyPack(k); err != nil {
			return true, err
		}
		if k.ID <= m.lastKeyPackID {
			return true, fmt.Errorf("the key pack got ID %d, and %d was used before", k.ID, m.lastKeyPackID)
		}
		m.lastKeyPackID = k.ID
		m.KeyPacks = append(m.KeyPacks, k)
		return true, nil
	case "UpdateKeyPack":
		k := s.keyPack()
		if s.Pick >= len(m.KeyPacks) {
			k.ID = m.lastKeyPackID + 1
			return false, fault(s.Method, tx.UpdateKeyPack(k), licensing.NotFound)
		}
		k.ID = m.KeyPacks[s.Pick].ID
		m.KeyPacks[s.Pick] = k
		return true, tx.UpdateKeyPack(k)
	case "DeleteKeyPack":
		if s.Pick >= len(m.KeyPacks) {
			return false, fault(s.Method, tx.DeleteKeyPack(m.lastKeyPackID+1), licensing.NotFound)
		}
		at := len(m.KeyPacks) - 1 - s.Pick // the newest most often
		id := m.KeyPacks[at].ID
		m.KeyPacks = nilIfNone(slices.Delete(m.KeyPacks, at, at+1))
		return true, tx.DeleteKeyPack(id)
	case "InsertOperation":
		return m.insertOperation(tx, s.operation())
	case "DeleteOperation":
		at := slices.IndexFunc(m.Operations, func(o store.Operation) bool { return o.Key == s.key() })
		if at < 0 {
			return false, fault(s.Method, tx.DeleteOperation(s.key()), licensing.NotFound)
		}
		m.Operations = nilIfNone(slices.Delete(m.Operations, at, at+1))
		return true, tx.DeleteOperation(s.key())
	case "InsertDocument":
		d := s.document()
		m.Documents[d.KeyPackID] = append(m.Documents[d.KeyPackID], d)
		return true, tx.InsertDocument(d)
	case "UseSerial":
		at, used := slices.BinarySearch(m.Serials, s.Small)
		if used {
			return false, fault(s.Method, tx.UseSerial(s.Small), licensing.AlreadyExists)
		}
		m.Serials = slices.Insert(m.Serials, at, s.Small)
		return true, tx.UseSerial(s.Small)
	case "InsertReport", "DeleteReport":
		return m.changeReport(tx, s)
	case "Audit":
		return true, m.audit(tx, s.auditRecord())
	}
	return m.applyIssued(tx, s)
}

func (m *model) insertOperation(tx store.Tx, o store.Operation) (changed bool, wrong error) {
	if slices.ContainsFunc(m.Operations, func(open store.Operation) bool { return open.Key == o.Key }) {
		return false, fault("InsertOperation", tx.InsertOperation(o), licensing.AlreadyExists)
	}
	if err := tx.InsertOperation(o); err != nil {
		return true, err
	}
	all, err := tx.Operations()
	if err != nil || len(all) == 0 {
		return true, fmt.Errorf("after InsertOperation there are %d operations (%w)", len(all), err)
	}
	o.Seq = all[len(all)-1].Seq
	if o.Seq <= m.lastOperation {
		return true, fmt.Errorf("the operation got Seq %d, and %d was used before", o.Seq, m.lastOperation)
	}
	m.lastOperation = o.Seq
	m.Operations = append(m.Operations, o)
	return true, nil
}

func (m *model) audit(tx store.Tx, a store.AuditRecord) error {
	if err := tx.Audit(a); err != nil {
		return err
	}
	added, err := tx.AuditRecords(m.lastAuditSeq, math.MaxInt)
	if err != nil || len(added) != 1 {
		return fmt.Errorf("after Audit there are %d new records (%w)", len(added), err)
	}
	a.Seq = added[0].Seq
	m.lastAuditSeq = a.Seq
	m.Audit = append(m.Audit, a)
	return nil
}

// nilIfNone makes an empty list equal to one that was never filled.
func nilIfNone[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}
