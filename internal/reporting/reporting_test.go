package reporting_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/licensing"
	"calkeeper/internal/reporting"
	archive "calkeeper/internal/reporting/sqlite"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// place is a license server's store with its reports.
type place struct {
	dir   string
	store *sqlite.Store
	*reporting.Service
	now time.Time
}

func newPlace(t testing.TB, dir string) *place {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(dir, "calkeeper.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	p := &place{dir: dir, store: st, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	p.Service = p.service(st, archive.New(filepath.Join(dir, "reports")), 0)
	if err := p.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// service returns another service of the place.
func (p *place) service(st store.Store, a reporting.Archive, most int) *reporting.Service {
	return reporting.New(st, a, reporting.Options{Now: func() time.Time { return p.now }, Logger: slog.New(slog.DiscardHandler), Most: most})
}

func (p *place) update(t testing.TB, f func(store.Tx) error) {
	t.Helper()
	err := p.store.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(f(tx), tx.Audit(store.AuditRecord{At: p.now, Action: "test"}))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pack installs a key pack and issues CALs of it to these holders, whose names are those of users or devices.
func (p *place) pack(t testing.TB, k licensing.KeyPack, status licensing.LicenseStatus, holders ...string) {
	t.Helper()
	p.update(t, func(tx store.Tx) error {
		k.Issued = uint32(len(holders))
		id, err := tx.InsertKeyPack(k)
		if err != nil {
			return err
		}
		for _, holder := range holders {
			c := licensing.CAL{
				KeyPackID: id, ProductVersion: k.ProductVersion, ProductType: k.ProductType, Status: status, Issued: p.now, Expires: p.now.Add(time.Hour),
			}
			var err error
			if k.ProductType == licensing.PerUser {
				c.User = holder
				c.Holder, err = licensing.UserKey(holder)
			} else {
				c.Device = licensing.Device{ID: holder, Name: "PC-" + holder}
				c.Holder, err = licensing.DeviceKey(c.Device)
			}
			if err != nil {
				return err
			}
			if _, err := tx.InsertCAL(c); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *place) deny(t testing.TB, of licensing.ProductType, v licensing.ProductVersion, users ...string) {
	t.Helper()
	p.update(t, func(tx store.Tx) error {
		for _, user := range users {
			if err := tx.InsertDenial(licensing.Denial{At: p.now, User: user, ProductType: of, ProductVersion: v, Reason: licensing.NoFreeCAL}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *place) generate(t testing.TB) licensing.Report {
	t.Helper()
	r, err := p.Generate(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// content is all that a report lists.
type content struct {
	Summary []reporting.SummaryEntry
	Users   []reporting.UserEntry
	Devices []reporting.DeviceEntry
	Failed  []reporting.FailedUserEntry
	Domains []reporting.FailedDomainEntry
}

func (p *place) read(t testing.TB, fileName string) (c content) {
	t.Helper()
	all := reporting.Portion{}
	var errs [5]error
	c.Summary, errs[0] = p.Summary(t.Context(), fileName, all)
	c.Users, errs[1] = p.Users(t.Context(), fileName, all)
	c.Devices, errs[2] = p.Devices(t.Context(), fileName, all)
	c.Failed, errs[3] = p.FailedUsers(t.Context(), fileName, all)
	c.Domains, errs[4] = p.FailedDomains(t.Context(), fileName, all)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return c
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%+v\nwant\n%+v", what, got, want)
	}
}

// TestGenerate makes a report of a farm and changes the farm: the report stays.
func TestGenerate(t *testing.T) {
	p := newPlace(t, t.TempDir())
	v22, v19 := licensing.WindowsServer2022, licensing.WindowsServer2019
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackOpen, ProductVersion: v22, ProductType: licensing.PerUser, Total: 10}, licensing.StatusActive, `FARM\ada`, "bob@farm.example")
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackVolume, ProductVersion: v22, ProductType: licensing.PerUser, Total: 5}, licensing.StatusActive, "carol")
	p.pack(t, licensing.OverUsedKeyPack(v19, p.now), licensing.StatusActive, `FARM\dave`)
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackRetail, ProductVersion: v19, ProductType: licensing.PerDevice, Total: 3}, licensing.StatusActive, "hw1")
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackRetail, ProductVersion: v19, ProductType: licensing.PerDevice, Total: 3}, licensing.StatusRevoked, "hw2")
	p.pack(t, licensing.TemporaryKeyPack(v22, p.now), licensing.StatusTemporary, "hw3")
	p.update(t, func(tx store.Tx) error { // a revoked CAL counts in no key pack
		k, err := tx.KeyPack(7)
		k.Issued = 0
		return errors.Join(err, tx.UpdateKeyPack(k))
	})
	p.deny(t, licensing.PerUser, v19, `OTHER\eve`, `FARM\ada`, "frank@farm.example", "")
	p.deny(t, licensing.PerDevice, v19, `FARM\grace`)
	p.now = p.now.Add(time.Minute)
	p.deny(t, licensing.PerUser, v22, `other\Eve`)

	report := p.generate(t)
	want := content{
		Summary: []reporting.SummaryEntry{
			{ProductVersion: v19, ProductType: licensing.PerDevice, Installed: 6, Issued: 1},
			{ProductVersion: v19, ProductType: licensing.PerUser, Installed: 0, Issued: 1},
			{ProductVersion: v22, ProductType: licensing.PerUser, Installed: 15, Issued: 3},
		},
		Users: []reporting.UserEntry{
			{User: `FARM\ada`, ProductVersion: v22, Expires: p.now.Add(59 * time.Minute)}, {User: `FARM\bob`, ProductVersion: v22, Expires: p.now.Add(59 * time.Minute)},
			{User: `.\carol`, ProductVersion: v22, Expires: p.now.Add(59 * time.Minute)}, {User: `FARM\dave`, ProductVersion: v19, Expires: p.now.Add(59 * time.Minute)},
		},
		Devices: []reporting.DeviceEntry{{Device: licensing.Device{ID: "hw1", Name: "PC-hw1"}, ProductVersion: v19, Expires: p.now.Add(59 * time.Minute)}},
		Failed: []reporting.FailedUserEntry{
			{User: `OTHER\Eve`, ProductVersion: v22, Tried: p.now}, {User: `FARM\frank`, ProductVersion: v19, Tried: p.now.Add(-time.Minute)},
		},
		Domains: []reporting.FailedDomainEntry{{Domain: "FARM", Failed: 1}, {Domain: "OTHER", Failed: 1}},
	}
	equal(t, "the report", p.read(t, report.FileName), want)
	equal(t, "its head", report, licensing.Report{FileName: "LicenseReport-20260301T120100.000000Z", Generated: p.now, Installed: 15, Issued: 4})

	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackOpen, ProductVersion: v22, ProductType: licensing.PerUser, Total: 100}, licensing.StatusActive, "zoe")
	p.update(t, func(tx store.Tx) error { return tx.DeleteCAL(1) })
	equal(t, "the report after changes", p.read(t, report.FileName), want)
	second := p.generate(t)
	if second.FileName == report.FileName {
		t.Fatalf("two reports of one instant have the name %s", second.FileName)
	}
	if users := p.read(t, second.FileName).Users; len(users) != 4 || users[3].User != `.\zoe` {
		t.Errorf("the second report has the users %+v", users)
	}
	all, err := p.Reports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the reports", all, []licensing.Report{report, second})
	if err := p.Delete(t.Context(), "ada", report.FileName); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"Delete": p.Delete(t.Context(), "ada", report.FileName), "Users": errorOf(p.Users(t.Context(), report.FileName, reporting.Portion{})),
		"Report": errorOf(p.Report(t.Context(), report.FileName)), "Summary of a path": errorOf(p.Summary(t.Context(), "../reports/"+second.FileName, reporting.Portion{})),
	} {
		if licensing.KindOf(err) != licensing.NotFound {
			t.Errorf("%s of a report that is not there: %v", what, err)
		}
	}
	audited(t, p, "generate report", "generate report", "delete report")
}

func errorOf[T any](_ T, err error) error { return err }

// audited checks what the audit log says about reports.
func audited(t *testing.T, p *place, want ...string) {
	t.Helper()
	var actions []string
	err := p.store.View(t.Context(), func(r store.Reader) error {
		all, err := r.AuditRecords(0, 1000)
		for _, a := range all {
			if a.Action != "test" {
				actions = append(actions, a.Action)
			}
		}
		return err
	})
	if err != nil || !slices.Equal(actions, want) {
		t.Errorf("audited: %q, %v; want %q", actions, err, want)
	}
}

// TestPortions reads a list in portions of every size.
func TestPortions(t *testing.T) {
	p := newPlace(t, t.TempDir())
	var users []string
	for i := range 7 {
		users = append(users, fmt.Sprintf(`FARM\user%d`, i))
	}
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackOpen, ProductVersion: 7, ProductType: licensing.PerUser, Total: 10}, licensing.StatusActive, users...)
	report := p.generate(t)
	for size := uint32(1); size < 10; size++ {
		var got []string
		for {
			portion, err := p.Users(t.Context(), report.FileName, reporting.Portion{Start: uint32(len(got)), Count: size})
			if err != nil {
				t.Fatal(err)
			}
			if len(portion) == 0 {
				break
			}
			for _, e := range portion {
				got = append(got, e.User)
			}
		}
		if !slices.Equal(got, users) {
			t.Errorf("in portions of %d: %q", size, got)
		}
	}
	for _, start := range []uint32{7, 8, 4294967295} {
		if rest, err := p.Users(t.Context(), report.FileName, reporting.Portion{Start: start}); err != nil || len(rest) != 0 {
			t.Errorf("from %d on: %+v, %v; want none", start, rest, err)
		}
	}
}

// TestTooManyAtOnce asks for all entries of a long list.
func TestTooManyAtOnce(t *testing.T) {
	p := newPlace(t, t.TempDir())
	users := make([]string, reporting.MaxPortion+1)
	for i := range users {
		users[i] = fmt.Sprintf("user%d", i)
	}
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackOpen, ProductVersion: 7, ProductType: licensing.PerUser, Total: 10}, licensing.StatusActive, users...)
	name := p.generate(t).FileName
	for _, test := range []struct {
		portion reporting.Portion
		want    int
		kind    licensing.Kind
	}{
		{reporting.Portion{}, 0, licensing.OutOfRange},
		{reporting.Portion{Start: 1}, reporting.MaxPortion, 0},
		{reporting.Portion{Count: 4294967295}, reporting.MaxPortion, 0},
		{reporting.Portion{Start: reporting.MaxPortion, Count: 4294967295}, 1, 0},
	} {
		got, err := p.Users(t.Context(), name, test.portion)
		if len(got) != test.want || (err != nil) != (test.kind != 0) || err != nil && licensing.KindOf(err) != test.kind {
			t.Errorf("%+v: %d entries, %v; want %d, %s", test.portion, len(got), err, test.want, test.kind)
		}
	}
}

// TestRecover: whatever the end of a process, or the loss of files, left: reports are whole or not there, and none is thrown away.
func TestRecover(t *testing.T) {
	dir := t.TempDir()
	p := newPlace(t, dir)
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackOpen, ProductVersion: 7, ProductType: licensing.PerUser, Total: 10}, licensing.StatusActive, "ada")
	kept, lost := p.generate(t), p.generate(t)
	reports := filepath.Join(dir, "reports")
	const broken, foreign = "LicenseReport-20260301T130000.000000Z.db", "other.db"
	for _, err := range []error{
		os.Remove(filepath.Join(reports, lost.FileName+".db")),
		os.WriteFile(filepath.Join(reports, ".draft-7"), []byte("half"), 0o600),
		os.WriteFile(filepath.Join(reports, broken), []byte("no database"), 0o600),
		os.WriteFile(filepath.Join(reports, foreign), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := p.read(t, kept.FileName)
	check := func(when string, audits ...string) {
		t.Helper()
		all, err := p.Reports(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, when+", the reports", all, []licensing.Report{kept})
		equal(t, when+", what it lists", p.read(t, kept.FileName), want)
		audited(t, p, audits...)
		found, err := os.ReadDir(reports)
		if err != nil || len(found) != 3 {
			t.Errorf("%s, the directory has %v, %v; want three files", when, found, err)
		}
	}
	reopen := func(move ...string) {
		t.Helper()
		if err := p.store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range move {
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".away")); err != nil {
				t.Fatal(err)
			}
		}
		p = newPlace(t, dir)
	}
	reopen()
	check("after a crash", "generate report", "generate report", "delete report")
	reopen("calkeeper.db")
	check("with a new database", "recover report")
	reopen()
	check("the next time", "recover report")
}

// hooked is an archive whose drafts do something before each entry.
type hooked struct {
	reporting.Archive
	before func()
}

type hookedDraft struct {
	reporting.Draft
	before func()
}

func (h hooked) Create(fileName string) (reporting.Draft, error) {
	d, err := h.Archive.Create(fileName)
	return hookedDraft{d, h.before}, err
}

func (d hookedDraft) AddUser(e reporting.UserEntry) error {
	d.before()
	return d.Draft.AddUser(e)
}

// readOnly is a store that takes no changes.
type readOnly struct{ store.Store }

var errReadOnly = errors.New("read-only")

func (readOnly) Update(context.Context, func(store.Tx) error) error { return errReadOnly }

// TestGenerateFails: a report that cannot be finished leaves nothing, and the next one can be made.
func TestGenerateFails(t *testing.T) {
	p := newPlace(t, t.TempDir())
	p.pack(t, licensing.KeyPack{Type: licensing.KeyPackOpen, ProductVersion: 7, ProductType: licensing.PerUser, Total: 10}, licensing.StatusActive, "ada", "bob")
	dir := filepath.Join(p.dir, "reports")
	reports := archive.New(dir)
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := p.service(p.store, hooked{reports, cancel}, 0)
	for what, test := range map[string]struct {
		ctx  context.Context
		s    *reporting.Service
		want error
	}{
		"who does not wait":         {ctx, interrupted, context.Canceled},
		"a head that is not stored": {t.Context(), p.service(readOnly{p.store}, reports, 0), errReadOnly},
	} {
		if _, err := test.s.Generate(test.ctx, "ada"); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", what, err, test.want)
		}
		found, err := os.ReadDir(dir)
		if err != nil || len(found) != 0 {
			t.Errorf("%s: the directory has %v, %v", what, found, err)
		}
	}
	if _, err := interrupted.Generate(t.Context(), "ada"); err != nil {
		t.Errorf("after an interrupted one: %v", err)
	}
	full := p.service(p.store, reports, 2)
	p.now = p.now.Add(time.Second)
	if _, err := full.Generate(t.Context(), "ada"); err != nil {
		t.Error(err)
	}
	if _, err := full.Generate(t.Context(), "ada"); licensing.KindOf(err) != licensing.Limited {
		t.Errorf("beyond the bound: %v, want Limited", err)
	}
}

// TestFailuresGrowOld: a denial of long ago says nothing about now.
func TestFailuresGrowOld(t *testing.T) {
	p := newPlace(t, t.TempDir())
	p.deny(t, licensing.PerUser, 7, `FARM\eve`)
	for _, test := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {licensing.PerUserTerm, 1}, {time.Microsecond, 0}} {
		p.now = p.now.Add(test.after)
		if failed := p.read(t, p.generate(t).FileName).Failed; len(failed) != test.want {
			t.Errorf("on %s there are %d failed users, want %d", p.now, len(failed), test.want)
		}
	}
}

// TestCountsAgree: whatever is issued, the summary counts what the lists have, and each failed user is in one domain.
func TestCountsAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlace(t, t.TempDir())
		defer p.store.Close()
		for i := range rapid.IntRange(0, 5).Draw(rt, "packs") {
			k := licensing.KeyPack{
				Type:           rapid.SampledFrom([]licensing.KeyPackType{licensing.KeyPackOpen, licensing.KeyPackOverUsed, licensing.KeyPackTemporary}).Draw(rt, "type"),
				ProductVersion: licensing.ProductVersion(rapid.IntRange(7, 8).Draw(rt, "version")),
				ProductType:    licensing.ProductType(rapid.IntRange(0, 1).Draw(rt, "product type")),
				Total:          rapid.Uint32().Draw(rt, "total"),
			}
			status := licensing.StatusActive
			if k.Type == licensing.KeyPackTemporary {
				status = licensing.StatusTemporary
			}
			var holders []string
			for n := range rapid.IntRange(0, 3).Draw(rt, "holders") {
				holders = append(holders, fmt.Sprintf("%d-%d@domain%d", i, n, n%2))
			}
			p.pack(t, k, status, holders...)
		}
		p.deny(t, licensing.PerUser, 8, rapid.SliceOfN(rapid.SampledFrom([]string{"0-0@domain0", "1-0@domain0", `DOMAIN1\eve`, "eve@domain1", "eve", "ada"}), 0, 6).Draw(rt, "denied")...)
		c := p.read(t, p.generate(t).FileName)
		issued := map[licensing.ProductType]uint32{}
		for _, e := range c.Summary {
			issued[e.ProductType] += e.Issued
		}
		if issued[licensing.PerUser] != uint32(len(c.Users)) || issued[licensing.PerDevice] != uint32(len(c.Devices)) {
			rt.Errorf("the summary counts %v; there are %d users and %d devices", issued, len(c.Users), len(c.Devices))
		}
		var failed uint32
		for _, e := range c.Domains {
			failed += e.Failed
		}
		if failed != uint32(len(c.Failed)) {
			rt.Errorf("the domains count %d failed users; there are %d", failed, len(c.Failed))
		}
		holding := map[string]bool{}
		for _, e := range c.Users {
			holding[licensing.Fold(e.User)] = true
		}
		for _, e := range c.Failed {
			if holding[licensing.Fold(e.User)] {
				rt.Errorf("%s has a CAL and is listed as failed", e.User)
			}
		}
	})
}
