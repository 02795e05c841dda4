package simulation_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/simulation"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// farms draws farms that are small, and long enough for terms to end.
func farms(t *rapid.T) simulation.Farm {
	f := simulation.Default()
	f.Devices, f.Users = rapid.IntRange(0, 6).Draw(t, "devices"), rapid.IntRange(1, 6).Draw(t, "users")
	f.DeviceCALs, f.UserCALs = rapid.Uint32Range(0, 4).Draw(t, "device CALs"), rapid.Uint32Range(0, 4).Draw(t, "user CALs")
	f.Seed = rapid.Uint64().Draw(t, "seed")
	f.Logon, f.Weekend = rapid.SampledFrom([]float64{0.02, 0.1, 0.5, 1}).Draw(t, "logon"), rapid.SampledFrom([]float64{0, 1}).Draw(t, "weekend")
	f.Broken = rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "broken")
	f.Join, f.Leave = rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "join"), rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "leave")
	f.Version = rapid.SampledFrom([]licensing.ProductVersion{licensing.WindowsServer2008R2, licensing.WindowsServer2022}).Draw(t, "version")
	f.Days = rapid.IntRange(1, 250).Draw(t, "days")
	if f.Concurrent = rapid.Bool().Draw(t, "concurrent"); f.Concurrent {
		f.Days = min(f.Days, 40) // every session writes
		f.Session = rapid.SampledFrom([]time.Duration{time.Minute, 3 * time.Hour, 40 * time.Hour}).Draw(t, "session")
	}
	f.OverUse = rapid.SampledFrom([]licensing.OverUse{
		{}, {Policy: licensing.AllowOverUse, WarnAt: 80}, {Policy: licensing.DenyOverUse, DenyBeyond: 100}, {Policy: licensing.DenyOverUse, DenyBeyond: 150},
	}).Draw(t, "over-use")
	return f
}

// TestModel replays farms against the license server and the model of its rules: every answer, every counter and, after every
// day, the rows are the same.
func TestModel(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		f := farms(t)
		st, err := sqlite.Open(context.Background(), filepath.Join(dir, strconv.Itoa(n)+".db"), sqlite.Options{Synchronous: sqlitedb.SynchronousOff})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		year, month, day := f.Start.Date()
		now := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		service, err := simulation.OpenService(context.Background(), st, f, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		m := &model{service: service, farm: f, now: &now, spent: map[string]bool{}}
		err = simulation.Replay(context.Background(), m, f, &now, func(d simulation.Day) error {
			logons, denied := [2]int{d.PerDevice.Logons, d.PerUser.Logons}, [2]int{d.PerDevice.Denied, d.PerUser.Denied}
			if logons != m.logons || denied != m.denied {
				return fmt.Errorf("%v logons and %v denials are reported; want %v and %v", logons, denied, m.logons, m.denied)
			}
			m.logons, m.denied = [2]int{}, [2]int{}
			return recount(m)
		})
		if err != nil {
			t.Fatal(err)
		}
		checkDenials(t, st)
	})
}

// recount compares the key packs' counters with the CALs that are stored.
func recount(m *model) error {
	packs, err := m.service.KeyPacks(context.Background())
	if err != nil {
		return err
	}
	stored := map[uint32]uint32{}
	kinds := map[licensing.LicenseStatus]int{}
	for c, err := range m.service.CALSummaries(context.Background()) {
		if err != nil {
			return err
		}
		stored[c.KeyPackID]++
		kinds[c.Status]++
	}
	for _, p := range packs {
		if p.Issued != stored[p.ID] {
			return fmt.Errorf("%s: %d are issued; %d are stored", p.String(), p.Issued, stored[p.ID])
		}
		if !p.OnDemand() && p.Issued > p.Total {
			return fmt.Errorf("%s: %d are issued", p.String(), p.Issued)
		}
		delete(stored, p.ID)
	}
	if len(stored) > 0 {
		return fmt.Errorf("CALs of key packs that are not there: %v", stored)
	}
	for _, s := range m.seats {
		kinds[s.status]--
	}
	for status, n := range kinds {
		if n != 0 {
			return fmt.Errorf("%d more CALs are stored that are %s than the model has", n, status)
		}
	}
	return nil
}

// checkDenials compares the counts of denials with their rows.
func checkDenials(t *rapid.T, st store.Store) {
	err := st.View(context.Background(), func(r store.Reader) error {
		counts, err := r.DenialCounts()
		if err != nil {
			return err
		}
		all := map[licensing.DenialReason]uint64{}
		for _, c := range counts {
			all[c.Reason] += c.Count
		}
		for after := uint64(0); ; {
			denials, err := r.Denials(after, 100)
			if err != nil {
				return err
			}
			for _, d := range denials {
				all[d.Reason]--
				after = d.Seq
			}
			if len(denials) == 0 {
				break
			}
		}
		for reason, n := range all {
			if n != 0 {
				return fmt.Errorf("%d denials are counted as %s beyond those that are stored", int64(n), reason)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// small is a farm that is quick to simulate.
func small() simulation.Farm {
	f := simulation.Default()
	f.Devices, f.Users, f.DeviceCALs, f.UserCALs, f.Days = 12, 10, 8, 7, 120
	return f
}

func run(t *testing.T, f simulation.Farm) simulation.Result {
	t.Helper()
	r, err := simulation.Run(t.Context(), f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRun checks what a year of a farm must look like whatever the dice say.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	days := 0
	r, err := simulation.Run(t.Context(), small(), func(day, of int) {
		if days++; day != days || of != 120 {
			t.Errorf("progress %d of %d; want %d of 120", day, of, days)
		}
	})
	if err != nil || days != 120 || len(r.Days) != 120 {
		t.Fatalf("%d days, %d calls of progress, %v", len(r.Days), days, err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	last := r.Days[119]
	if c := last.PerDevice; c.Installed != 8 || c.Issued != 8 || c.Available != 0 || c.OverUsed != 0 || c.Denied == 0 {
		t.Errorf("12 devices with 8 CALs after 120 days: %+v; want all issued, and denials since the temporary CALs have expired", c)
	}
	if c := last.PerUser; c.Installed != 7 || c.Issued != 7 || c.Available != 0 || c.OverUsed == 0 || c.Denied != 0 {
		t.Errorf("10 users with 7 CALs after 120 days: %+v; want all issued, over-use, and no denial", c)
	}
	for i, d := range r.Days {
		if want := small().Start.AddDate(0, 0, i); !d.Date.Equal(want) {
			t.Fatalf("day %d is %s; want %s", i, d.Date, want)
		}
	}
	if first := r.Days[0].PerDevice; first.Issued != 0 || first.Temporary == 0 {
		t.Errorf("on the first day devices have %+v; want temporary CALs only", first)
	}
}

// TestSameSeed checks that a farm has the same days again, and others with another seed.
func TestSameSeed(t *testing.T) {
	f := small()
	f.Days = 15
	f.Concurrent = true
	first := run(t, f)
	if !reflect.DeepEqual(first, run(t, f)) {
		t.Error("the same farm has other days the second time")
	}
	f.Seed++
	if reflect.DeepEqual(first.Days, run(t, f).Days) {
		t.Error("another seed makes no difference")
	}
}

// TestConcurrent checks that sessions share CALs: users who come one after the other need fewer than those who have one each.
func TestConcurrent(t *testing.T) {
	f := simulation.Default()
	f.Devices, f.Users, f.UserCALs, f.Days, f.Logon, f.Weekend, f.Broken, f.Join = 0, 20, 20, 5, 1, 1, 0, 0
	f.Concurrent, f.Session = true, 30*time.Minute
	for _, d := range run(t, f).Days {
		if c := d.PerUser; c.Logons != c.Members || c.Issued == 0 || c.Issued > 15 || c.Denied != 0 {
			t.Errorf("20 users with sessions of half an hour: %+v", c)
		}
	}
}

// TestCanceled checks that the days until then are there, and the database is gone.
func TestCanceled(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	r, err := simulation.Run(ctx, small(), func(day, _ int) {
		if day == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(r.Days) != 3 {
		t.Errorf("%d days, %v", len(r.Days), err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCheck(t *testing.T) {
	if err := simulation.Default().Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*simulation.Farm){
		"at least one of either":  func(f *simulation.Farm) { f.Devices, f.Users = 0, 0 },
		"-1 devices":              func(f *simulation.Farm) { f.Devices = -1 },
		"0 days":                  func(f *simulation.Farm) { f.Days = 0 },
		"1 to 3650":               func(f *simulation.Farm) { f.Days = 3651 },
		"CALs per user":           func(f *simulation.Farm) { f.UserCALs = licensing.Unlimited },
		"version: ProductVersion": func(f *simulation.Farm) { f.Version = 9 },
		"in the year 1":           func(f *simulation.Farm) { f.Start = time.Time{} },
		"logon is 1.1":            func(f *simulation.Farm) { f.Logon = 1.1 },
		"join is NaN":             func(f *simulation.Farm) { f.Join = nan() },
		"at most 100000":          func(f *simulation.Farm) { f.Users = 50_000; f.Join = 1 },
		"one minute to seven":     func(f *simulation.Farm) { f.Concurrent, f.Session = true, time.Second },
		"no policy of over-use":   func(f *simulation.Farm) { f.OverUse.Policy = "perhaps" },
	} {
		f := simulation.Default()
		change(&f)
		if _, err := simulation.Run(t.Context(), f, nil); licensing.KindOf(err) != licensing.Invalid || !strings.Contains(licensing.Message(err), want) {
			t.Errorf("%v; want a fault that says %q", err, want)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestSparkline(t *testing.T) {
	for _, test := range []struct {
		values []uint64
		width  int
		want   string
	}{
		{nil, 10, ""},
		{[]uint64{0, 0}, 10, "  "},
		{[]uint64{0, 1, 2, 3, 4, 5, 6, 7}, 10, " ▂▃▄▅▆▇█"},
		{[]uint64{1, 1_000_000}, 10, "▁█"},
		{[]uint64{9, 0, 0, 0, 0, 9}, 3, "█ █"},
		{[]uint64{1, 2, 3}, 0, "█"},
		{[]uint64{^uint64(0), 1}, 2, "█▁"},
	} {
		if got := simulation.Sparkline(test.values, test.width); got != test.want {
			t.Errorf("%v in %d: %q; want %q", test.values, test.width, got, test.want)
		}
	}
}

// TestReports checks that both reports have every day, that lines keep to the width, and that no cell of the CSV is a formula.
func TestReports(t *testing.T) {
	r := run(t, small())
	for _, width := range []int{0, 40, 60, 120} {
		var summary bytes.Buffer
		if err := r.WriteSummary(&summary, width); err != nil {
			t.Fatal(err)
		}
		most := width
		if width == 0 {
			most = 80
		}
		for line := range strings.Lines(summary.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsAny(line, "▁▂▃▄▅▆▇█") && utf8.RuneCountInString(line) > most {
				t.Errorf("width %d: %q has %d characters", width, line, utf8.RuneCountInString(line))
			}
		}
		for _, want := range []string{"per device: 8 CALs; 12 devices", "per user: 7 CALs; 10 users", "over-used", "denied", "most in use: "} {
			if !strings.Contains(summary.String(), want) {
				t.Errorf("width %d: %q is missing in\n%s", width, want, summary.String())
			}
		}
	}
	var table, lines bytes.Buffer
	if err := errors.Join(r.WriteTable(&table, 80), r.WriteCSV(&lines)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table.String(), "\n2026-"); n != 240 {
		t.Errorf("the table has %d days and types; want 240:\n%s", n, table.String())
	}
	records, err := csv.NewReader(&lines).ReadAll()
	if err != nil || len(records) != 241 {
		t.Fatalf("%d lines of CSV, %v", len(records), err)
	}
	for _, record := range records {
		for _, cell := range record {
			if cell == "" || strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a cell is %q", cell)
			}
		}
	}
	c := r.Days[119].PerUser
	want := fmt.Sprint([]string{
		"2026-05-04", "per-user", fmt.Sprint(c.Members), fmt.Sprint(c.Logons), fmt.Sprint(c.Denied), fmt.Sprint(c.Installed), fmt.Sprint(c.Issued),
		fmt.Sprint(c.Available), fmt.Sprint(c.OverUsed), fmt.Sprint(c.Temporary),
	})
	if got := fmt.Sprint(records[240]); got != want {
		t.Errorf("the last line is %s; want %s", got, want)
	}
}

// TestReportsOfNothing checks that a simulation that ended at once can be shown.
func TestReportsOfNothing(t *testing.T) {
	var out bytes.Buffer
	r := simulation.Result{Farm: simulation.Default()}
	if err := errors.Join(r.WriteTable(&out, 0), r.WriteCSV(&out)); err != nil || !strings.Contains(out.String(), "no day has passed") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

var _ simulation.Licenses = (*issuance.Service)(nil)
