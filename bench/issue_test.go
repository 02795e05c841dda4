//go:build linux

package bench_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// hotPack is the only key pack, with more CALs than a benchmark issues.
const hotPack = licensing.FirstKeyPackID

// fillLicenses makes the database of an activated license server in a directory, with the one key pack, and CALs of so many
// users.
func fillLicenses(b *testing.B, dir string, users int) {
	b.Helper()
	s, err := sqlite.Open(b.Context(), filepath.Join(dir, database), sqlite.Options{Logger: quiet(), Synchronous: sqlitedb.SynchronousOff})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().UTC()
	pack := licensing.KeyPack{
		Type: licensing.KeyPackOpen, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser,
		Total: 1_000_000_000, Issued: uint32(users), Installed: now, Expires: licensing.PerpetualExpiry(now),
	}
	err = s.Update(b.Context(), func(tx store.Tx) error {
		if err := tx.PutServer(licensing.Server{LicenseServerID: fmt.Sprintf("%035d", 1), ActivatedAt: now}); err != nil {
			return err
		}
		if _, err := tx.InsertKeyPack(pack); err != nil {
			return err
		}
		return tx.Audit(store.AuditRecord{At: now, Actor: "bench", Action: "install"})
	})
	const batch = 10_000
	for first := 0; first < users && err == nil; first += batch {
		err = s.Update(b.Context(), func(tx store.Tx) error {
			for i := first; i < min(first+batch, users); i++ {
				if err := insertIssued(tx, i, now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// insertIssued inserts what issuing a CAL to a user leaves behind, a month ago or later, so that none of them is due.
func insertIssued(tx store.Tx, i int, now time.Time) error {
	user := holderName(i)
	holder, err := licensing.UserKey(user)
	if err != nil {
		return err
	}
	issued := now.Add(-time.Duration(i%(30*24*60)) * time.Minute)
	id, err := tx.InsertCAL(licensing.CAL{
		KeyPackID: hotPack, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser, Status: licensing.StatusActive,
		Holder: holder, User: user, Host: sessionHost, Issued: issued, Expires: issued.Add(licensing.PerUserTerm),
	})
	if err != nil {
		return err
	}
	return tx.Audit(store.AuditRecord{At: issued, Actor: sessionHost, Action: "issue", KeyPackID: hotPack, LicenseID: id, Detail: user})
}

// holderName returns the name of a user whose CAL fillLicenses has issued.
func holderName(i int) string { return fmt.Sprintf(`EXAMPLE\holder%d`, i) }

const sessionHost = "rds1.farm.example"

// perUserHost is the session host that asks.
func perUserHost() licensing.Host {
	return licensing.Host{Name: sessionHost, ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerUser}
}

// openIssuance opens the use-cases of the license server of a directory.
func openIssuance(b *testing.B, dir string) *issuance.Service {
	b.Helper()
	s := openStore(b, dir)
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return newIssuance(s)
}

func newIssuance(s *sqlite.Store) *issuance.Service {
	return issuance.New(s, issuance.Options{Now: time.Now, Random: rand.Reader, Logger: quiet()})
}

// issueTo returns what asks for the CAL of a new user.
func issueTo(b *testing.B, s *issuance.Service) func(int, string) error {
	return func(_ int, user string) error {
		a, err := s.Request(b.Context(), issuance.Request{Host: perUserHost(), User: user})
		if err == nil && (a.Outcome != issuance.Issued || a.CAL.KeyPackID != hotPack) {
			err = fmt.Errorf("the CAL of %s is %s, of key pack %d", user, a.Outcome, a.CAL.KeyPackID)
		}
		return err
	}
}

// issuer is one of those that are compared: something that issues a CAL to a user.
type issuer struct {
	issue  func(caller int, user string) error
	user   func(n int64) string // the n-th user; nil: a new one
	users  atomic.Int64
	rounds series
	cpu    series            // how long they kept processors busy
	each   [][]time.Duration // how long each issue took, by caller
}

// round has so many callers issue so many CALs each, all at once.
func (s *issuer) round(b *testing.B, callers, issues int) {
	if s.each == nil {
		s.each = make([][]time.Duration, callers)
	}
	var wg sync.WaitGroup
	began, busy := time.Now(), processCPU(b)
	for i := range callers {
		wg.Go(func() {
			for range issues {
				n := s.users.Add(1)
				user := fmt.Sprintf(`EXAMPLE\user%d`, n)
				if s.user != nil {
					user = s.user(n)
				}
				asked := time.Now()
				if err := s.issue(i, user); err != nil {
					b.Error(err)
					return
				}
				s.each[i] = append(s.each[i], time.Since(asked))
			}
		})
	}
	wg.Wait()
	s.rounds = append(s.rounds, time.Since(began))
	s.cpu = append(s.cpu, processCPU(b)-busy)
}

// forget forgets the rounds until now, which were there to warm up.
func (s *issuer) forget() { s.rounds, s.cpu, s.each = nil, nil, nil }

// cpuEach returns how many microseconds of processor time an issue took, if there were n in a round.
func (s *issuer) cpuEach(n int) float64 { return float64(s.cpu.median().Microseconds()) / float64(n) }

func (s *issuer) latency() series {
	var all series
	for _, each := range s.each {
		all = append(all, each...)
	}
	return all
}

// timesFaster returns the median of how many times longer the rounds of the others took than those of ours that went before them.
func timesFaster(ours, others series) float64 {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = others[i].Seconds() / ours[i].Seconds()
	}
	slices.Sort(ratios)
	return (ratios[(len(ratios)-1)/2] + ratios[len(ratios)/2]) / 2
}

// issuesPerCaller is how many CALs a caller asks for in a round: together they last some hundredths of a second.
func issuesPerCaller(callers int) int { return max(16, 128/callers) }

// BenchmarkIssue issues CALs of one key pack to new users through the use-case, on a real file with synchronous=FULL. Beside
// it, the same statements run in plain loops: one that commits all that wait together, and one that commits each by itself;
// and 4 KB are appended to a file and flushed.
func BenchmarkIssue(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			dir := b.TempDir()
			fillLicenses(b, dir, 1000)
			ours := &issuer{issue: issueTo(b, openIssuance(b, dir))}
			group := &issuer{issue: startPlainGroup(b, plainDatabase(b))}
			single := &issuer{issue: plainSingle(plainDatabase(b))}
			disk, err := os.Create(filepath.Join(b.TempDir(), "append"))
			if err != nil {
				b.Fatal(err)
			}
			defer disk.Close()
			issues := issuesPerCaller(callers)
			for _, s := range []*issuer{ours, group, single} {
				s.round(b, callers, issues)
				s.forget()
			}
			const appends = 64
			var bare series
			for b.Loop() {
				ours.round(b, callers, issues)
				group.round(b, callers, issues)
				single.round(b, callers, issues)
				began := time.Now()
				for range appends {
					appendBlock(b, disk)
				}
				bare = append(bare, time.Since(began))
			}
			n := callers * issues
			rate := ours.rounds.perSecond(n)
			b.ReportMetric(0, "ns/op") // of all
			b.ReportMetric(rate, "issues/s")
			b.ReportMetric(group.rounds.perSecond(n), "group-issues/s")
			b.ReportMetric(single.rounds.perSecond(n), "single-issues/s")
			b.ReportMetric(bare.perSecond(appends), "appends/s")
			b.ReportMetric(timesFaster(ours.rounds, group.rounds), "ratio-group")
			b.ReportMetric(timesFaster(ours.rounds, single.rounds), "ratio-single")
			b.ReportMetric(timesFaster(ours.rounds, bare)*float64(n)/appends, "ratio-append")
			b.ReportMetric(ours.cpuEach(n), "cpu-µs/issue")
			b.ReportMetric(group.cpuEach(n), "group-cpu-µs/issue")
			b.ReportMetric(ours.latency().at(0.50).Seconds()*1000, "p50-ms")
			b.ReportMetric(ours.latency().at(0.99).Seconds()*1000, "p99-ms")
		})
	}
}
