package auditfile_test

import (
	"bytes"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"calkeeper/internal/auditfile"
	"calkeeper/internal/store"
)

func all(list []store.AuditRecord) iter.Seq2[store.AuditRecord, error] {
	return func(yield func(store.AuditRecord, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// chained returns a log: one record from before the chain, and those that are given.
func chained(t rapid.TB, list ...store.AuditRecord) ([]store.AuditRecord, store.AuditHead) {
	t.Helper()
	head := store.AuditHead{Seq: 1, Hash: store.AuditGenesis(1), Unchained: 1}
	out := []store.AuditRecord{{Seq: 1, At: time.Unix(1, 0).UTC(), Action: "old"}}
	for _, r := range list {
		r, err := head.Next(r, 0)
		if err != nil {
			t.Fatal(err)
		}
		out, head.Seq, head.Hash = append(out, r), r.Seq, r.Hash
	}
	return out, head
}

func write(t rapid.TB, f auditfile.Format, list []store.AuditRecord, head store.AuditHead) string {
	t.Helper()
	var b bytes.Buffer
	if err := auditfile.Write(&b, f, head, all(list)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// verify reads JSON lines and verifies them.
func verify(text string) (store.AuditVerification, error) {
	head, records, err := auditfile.Read(strings.NewReader(text))
	if err != nil {
		return store.AuditVerification{}, err
	}
	return store.VerifyAudit(records, head, store.AuditHead{})
}

// TestWhatIsWrittenIsRead: all that a record can hold comes back, in printable lines, and its chain holds.
func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		var list []store.AuditRecord
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			list = append(list, store.AuditRecord{
				At:    time.UnixMicro(rapid.Int64Range(-62135596800000000, 253402300799999999).Draw(t, "at")).UTC(),
				Actor: text.Draw(t, "actor"), Action: text.Draw(t, "action"), Detail: text.Draw(t, "detail"), KeyPackID: rapid.Uint32().Draw(t, "key pack"),
				LicenseID: rapid.Uint32().Draw(t, "license"), Delta: rapid.Int64().Draw(t, "delta"),
				Origin: store.Origin{Remote: text.Draw(t, "remote"), Mechanism: text.Draw(t, "mechanism")},
			})
		}
		list, head := chained(t, list...)
		lines := write(t, auditfile.JSONLines, list, head)
		if i := strings.IndexFunc(lines, func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' }); i >= 0 {
			t.Fatalf("%q is not printable", lines)
		}
		if n := strings.Count(lines, "\n"); n != len(list)+1 || !strings.HasSuffix(lines, "\n") {
			t.Fatalf("%d lines for %d records", n, len(list))
		}
		v, err := verify(lines)
		if err != nil || v.Flaw != nil || v.Records != uint64(len(list)) || v.Unchained != 1 || v.Head.String() != head.String() {
			t.Fatalf("%+v %+v, %v", v, v.Flaw, err)
		}
		i := 0
		_, records, err := auditfile.Read(strings.NewReader(lines))
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range records {
			if err != nil || !r.At.Equal(list[i].At) || r.Actor != list[i].Actor || r.Detail != list[i].Detail || r.Origin != list[i].Origin || !bytes.Equal(r.Hash, list[i].Hash) {
				t.Fatalf("%+v is read as %+v, %v", list[i], r, err)
			}
			i++
		}
	})
}

// TestImpossibleTime: whoever writes such a time into the database is found out, and hinders nobody.
func TestImpossibleTime(t *testing.T) {
	for _, micros := range []int64{9e18, -9e18} {
		list, head := two(t)
		list[1].At = time.UnixMicro(micros)
		if v, err := verify(write(t, auditfile.JSONLines, list, head)); err != nil || v.Flaw == nil || v.Flaw.Seq != 2 {
			t.Errorf("%d: %+v, %v; want a flaw at 2", micros, v.Flaw, err)
		}
	}
}

func two(t *testing.T) ([]store.AuditRecord, store.AuditHead) {
	return chained(t,
		store.AuditRecord{At: time.Date(2026, 11, 27, 12, 0, 0, 5000, time.UTC), Actor: "=ada", Action: "logon", Detail: "-1,\x1b[2J", Origin: store.Origin{Remote: "192.0.2.7", Mechanism: "Basic"}},
		store.AuditRecord{At: time.Unix(7, 0).UTC(), Actor: "'bob", Action: "remove", KeyPackID: 3, LicenseID: 4, Delta: -5})
}

func TestGolden(t *testing.T) {
	list, head := two(t)
	lines := write(t, auditfile.JSONLines, list, head)
	for i, want := range []string{
		`{"head":{"seq":3,"hash":"`,
		`{"seq":1,"at":"1970-01-01T00:00:01Z","actor":"","action":"old","keyPackId":0,"licenseId":0,"delta":0,"detail":"","remote":"","mechanism":"","hash":""}`,
		`{"seq":2,"at":"2026-11-27T12:00:00.000005Z","actor":"=ada","action":"logon","keyPackId":0,"licenseId":0,"delta":0,"detail":"-1,\u001b[2J","remote":"192.0.2.7","mechanism":"Basic","hash":"`,
		`{"seq":3,"at":"1970-01-01T00:00:07Z","actor":"'bob","action":"remove","keyPackId":3,"licenseId":4,"delta":-5,"detail":"","remote":"","mechanism":"","hash":"`,
	} {
		if got := strings.Split(lines, "\n")[i]; !strings.HasPrefix(got, want) {
			t.Errorf("line %d is %s; want %s", i+1, got, want)
		}
	}
	table := write(t, auditfile.CSV, list, head)
	for i, want := range []string{
		"seq,at,actor,action,keyPackId,licenseId,delta,detail,remote,mechanism,hash\r",
		"1,1970-01-01T00:00:01Z,,old,0,0,0,,,,\r",
		`2,2026-11-27T12:00:00.000005Z,'=ada,logon,0,0,0,"'-1,\u001b[2J",192.0.2.7,Basic,`,
		`3,1970-01-01T00:00:07Z,''bob,remove,3,4,-5,,,,`,
	} {
		if got := strings.Split(table, "\n")[i]; !strings.HasPrefix(got, want) {
			t.Errorf("row %d is %s; want %s", i, got, want)
		}
	}
	if err := auditfile.Write(new(bytes.Buffer), "xml", head, all(list)); err == nil {
		t.Error("xml is written")
	}
	broken := errors.New("broken")
	for _, f := range []auditfile.Format{auditfile.JSONLines, auditfile.CSV} {
		if err := auditfile.Write(new(bytes.Buffer), f, head, func(yield func(store.AuditRecord, error) bool) { yield(store.AuditRecord{}, broken) }); !errors.Is(err, broken) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestTampered changes exported lines.
func TestTampered(t *testing.T) {
	list, head := two(t)
	lines := write(t, auditfile.JSONLines, list, head)
	rows := strings.SplitAfter(lines, "\n")
	for name, c := range map[string]struct {
		text string
		line int    // of a LineError
		why  string // of a flaw
	}{
		"another actor":        {strings.Replace(lines, "=ada", "=eve", 1), 0, "does not continue"},
		"a record removed":     {rows[0] + rows[1] + rows[3], 0, "does not continue"},
		"the last one removed": {rows[0] + rows[1] + rows[2], 0, "newest were removed"},
		"only the head":        {rows[0], 0, "newest were removed"},
		"cut off":              {lines[:len(lines)-40], 4, ""},
		"without its end":      {strings.TrimSuffix(lines, "\n"), 4, ""},
		"a member twice":       {strings.Replace(lines, `"actor":"=ada"`, `"actor":"=eve","actor":"=ada"`, 1), 3, ""},
		"a member more":        {strings.Replace(lines, `"remote":"192`, `"x":1,"remote":"192`, 1), 3, ""},
		"another time zone":    {strings.Replace(lines, "1970-01-01T00:00:07Z", "1970-01-01T01:00:07+01:00", 1), 4, ""},
		"a finer time":         {strings.Replace(lines, "07Z", "07.000000001Z", 1), 4, ""},
		"other letters":        {strings.Replace(lines, `"actor":"=ada"`, `"Actor":"=ada"`, 1), 3, ""},
		"a hash of other":      {strings.Replace(lines, `"hash":""`, `"hash":"xyz"`, 1), 2, ""},
		"an empty line":        {lines + "\n", 5, ""},
		"no JSON":              {rows[0] + "x\n", 2, ""},
		"another head":         {rows[0] + rows[0], 2, ""},
	} {
		v, err := verify(c.text)
		bad, ok := errors.AsType[*auditfile.LineError](err)
		switch {
		case c.line != 0 && (!ok || bad.Line != c.line):
			t.Errorf("%s: %v; want an error in line %d", name, err, c.line)
		case c.line == 0 && (err != nil || v.Flaw == nil || !strings.Contains(v.Flaw.Why, c.why)):
			t.Errorf("%s: %+v, %v; want a flaw: %s", name, v.Flaw, err, c.why)
		}
	}
	for _, text := range []string{"", "\n", "x", rows[1], `{"head":{}}` + "\n", strings.Replace(rows[0], `"hash":"`, `"hash":"x`, 1), strings.Repeat(" ", 17<<20)} {
		if _, err := verify(text); !errors.Is(err, auditfile.ErrNoExport) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	tooLong := rows[0] + strings.Repeat(" ", 17<<20)
	if bad, ok := errors.AsType[*auditfile.LineError](func() error { _, err := verify(tooLong); return err }()); !ok || bad.Line != 2 {
		t.Error("a line that is too long is read")
	}
}

// FuzzRead: what is read is what would be written.
func FuzzRead(f *testing.F) {
	list, head := chained(f, store.AuditRecord{At: time.Unix(7, 0).UTC(), Actor: "ada", Action: "logon", Detail: "\u009b"})
	good := write(f, auditfile.JSONLines, list, head)
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, "ada", `\u0061da`, 1)))
	f.Add([]byte(strings.Replace(good, "1970-01-01T00:00:07Z", "1970-01-01T01:00:07+01:00", 1)))
	f.Add([]byte(`{"head":{"seq":1,"hash":"","unchained":0}}` + "\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		head, records, err := auditfile.Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		var list []store.AuditRecord
		for r, err := range records {
			if err != nil {
				return
			}
			list = append(list, r)
		}
		if got := write(t, auditfile.JSONLines, list, head); got != string(text) {
			t.Errorf("%q is read, and written as %q", text, got)
		}
	})
}
