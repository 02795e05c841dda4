package store_test

import (
	"encoding/hex"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/store"
)

func record(seq uint64) store.AuditRecord {
	return store.AuditRecord{
		Seq: seq, At: time.Date(2026, 11, 27, 12, 0, 0, 123456789, time.UTC), Actor: "ada", Action: "install", KeyPackID: 3, LicenseID: 17, Delta: -5,
		Detail: "five removed", Origin: store.Origin{Remote: "192.0.2.7", Mechanism: "Kerberos"},
	}
}

// chain returns n records after unchained ones, and their head.
func chain(t *testing.T, unchained, n uint64) ([]store.AuditRecord, store.AuditHead) {
	t.Helper()
	var list []store.AuditRecord
	for seq := range unchained {
		list = append(list, record(seq+1))
	}
	head := store.AuditHead{Seq: unchained, Hash: store.AuditGenesis(unchained), Unchained: unchained}
	for range n {
		r, err := head.Next(record(0), 0)
		if err != nil {
			t.Fatal(err)
		}
		list, head.Seq, head.Hash = append(list, r), r.Seq, r.Hash
	}
	return list, head
}

func all(list []store.AuditRecord) iter.Seq2[store.AuditRecord, error] {
	return func(yield func(store.AuditRecord, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// TestChain holds the encoding to what docs/audit.md says: whoever verifies an export must come to the same.
func TestChain(t *testing.T) {
	genesis := store.AuditGenesis(0)
	if got, want := hex.EncodeToString(genesis), "5ffa56b340d17b2e3d69f801c542ac58f4e75c539f4a4cd12f0974cdce6a70e1"; got != want {
		t.Errorf("the genesis is %s; want %s", got, want)
	}
	r := record(1)
	if got, want := hex.EncodeToString(r.Chain(genesis)), "87f2a6f05af2bab6d627d5dd5f5a5b3d4cc0b1a0915d86085dfe102615bc82f1"; got != want {
		t.Errorf("the first record is %s; want %s", got, want)
	}
	for name, change := range map[string]func(*store.AuditRecord){
		"Seq":       func(r *store.AuditRecord) { r.Seq++ },
		"At":        func(r *store.AuditRecord) { r.At = r.At.Add(time.Microsecond) },
		"Actor":     func(r *store.AuditRecord) { r.Actor = "eve" },
		"Action":    func(r *store.AuditRecord) { r.Action = "" },
		"KeyPackID": func(r *store.AuditRecord) { r.KeyPackID++ },
		"LicenseID": func(r *store.AuditRecord) { r.LicenseID++ },
		"Delta":     func(r *store.AuditRecord) { r.Delta = 5 },
		"Detail":    func(r *store.AuditRecord) { r.Detail += " " },
		"Remote":    func(r *store.AuditRecord) { r.Remote = "192.0.2.8" },
		"Mechanism": func(r *store.AuditRecord) { r.Mechanism = "Basic" },
		"a border":  func(r *store.AuditRecord) { r.Actor, r.Action = r.Actor+r.Action[:1], r.Action[1:] },
	} {
		changed := record(1)
		change(&changed)
		if string(changed.Chain(genesis)) == string(r.Chain(genesis)) {
			t.Errorf("the hash does not depend on %s", name)
		}
	}
	finer := record(1)
	finer.At = finer.At.Truncate(time.Microsecond)
	if string(finer.Chain(genesis)) != string(r.Chain(genesis)) {
		t.Error("the hash depends on what is not stored of the instant")
	}
}

func TestVerifyAudit(t *testing.T) {
	list, head := chain(t, 2, 5)
	noted := store.AuditHead{Seq: 4, Hash: list[3].Hash}
	rewritten, rewrittenHead := chain(t, 1, 6)
	for name, c := range map[string]struct {
		list  []store.AuditRecord
		head  store.AuditHead
		noted store.AuditHead
		flaw  uint64
		why   string
	}{
		"untouched":                    {list, head, store.AuditHead{}, 0, ""},
		"untouched, and noted":         {list, head, noted, 0, ""},
		"noted as it is":               {list, head, head, 0, ""},
		"empty":                        {nil, store.AuditHead{Hash: store.AuditGenesis(0)}, store.AuditHead{}, 0, ""},
		"old ones removed":             {list[2:], head, store.AuditHead{}, 0, ""}, // what was never chained cannot be verified
		"first of the chain removed":   {append(list[:2:2], list[3:]...), head, store.AuditHead{}, 4, "does not continue the chain after record 2"},
		"one in the middle removed":    {append(list[:4:4], list[5:]...), head, store.AuditHead{}, 6, "does not continue the chain after record 4"},
		"newest removed":               {list[:6], head, store.AuditHead{}, 6, "the chain ends with record 7"},
		"all removed":                  {nil, head, store.AuditHead{}, 2, "the chain ends with record 7"},
		"two swapped":                  {append(append(list[:3:3], list[4], list[3]), list[5:]...), head, store.AuditHead{}, 5, "does not continue"},
		"one repeated":                 {append(list[:7:7], list[6]), head, store.AuditHead{}, 7, "comes after record 7"},
		"one added behind":             {append(list[:7:7], record(8)), head, store.AuditHead{}, 8, "does not continue the chain after record 7"},
		"chained passed off as old":    {list, store.AuditHead{Seq: 7, Hash: head.Hash, Unchained: 3}, store.AuditHead{}, 3, "is chained"},
		"old passed off as chained":    {list, store.AuditHead{Seq: 7, Hash: head.Hash, Unchained: 1}, store.AuditHead{}, 2, "does not continue"},
		"another head":                 {list, store.AuditHead{Seq: 7, Hash: list[5].Hash, Unchained: 2}, store.AuditHead{}, 7, "its head was changed"},
		"written anew, noted":          {rewritten, rewrittenHead, noted, 4, "written anew"},
		"cut, with its head, noted":    {list[:6], store.AuditHead{Seq: 6, Hash: list[5].Hash, Unchained: 2}, head, 6, "record 7 was there once"},
		"noted before the first":       {list, head, store.AuditHead{Seq: 2, Hash: store.AuditGenesis(2)}, 0, ""},
		"empty, and noted":             {nil, store.AuditHead{Hash: store.AuditGenesis(0)}, store.AuditHead{Hash: store.AuditGenesis(0)}, 0, ""},
		"noted with another beginning": {list, head, store.AuditHead{Seq: 2, Hash: store.AuditGenesis(0)}, 2, "began otherwise"},
		"noted one that is no record":  {list, head, store.AuditHead{Seq: 1, Hash: noted.Hash}, 1, "not there any more"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := store.VerifyAudit(all(c.list), c.head, c.noted)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.why == "" && v.Flaw != nil:
				t.Errorf("a flaw at %d: %s", v.Flaw.Seq, v.Flaw.Why)
			case c.why != "" && (v.Flaw == nil || v.Flaw.Seq != c.flaw || !strings.Contains(v.Flaw.Why, c.why)):
				t.Errorf("%+v; want a flaw at %d: %s", v.Flaw, c.flaw, c.why)
			case c.why == "" && v.Records != uint64(len(c.list)):
				t.Errorf("%d records were read", v.Records)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := store.VerifyAudit(func(yield func(store.AuditRecord, error) bool) { yield(store.AuditRecord{}, broken) }, head, noted); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestAuditHead(t *testing.T) {
	_, head := chain(t, 0, 3)
	if got, err := store.ParseAuditHead(head.String()); err != nil || got.String() != head.String() || got.Seq != 3 {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "3", ":", "3:", "3:00", "x" + head.String(), "-" + head.String(), head.String() + "00", strings.Replace(head.String(), ":", " ", 1)} {
		if _, err := store.ParseAuditHead(text); err == nil {
			t.Errorf("%q is taken for a head", text)
		}
	}
	if _, err := (store.AuditHead{Seq: 1, Hash: []byte("short")}).Next(record(0), 1); err == nil {
		t.Error("a damaged head is continued")
	}
}
