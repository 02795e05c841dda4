package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// fillRows makes n CALs, whose holders and ends are in no order.
const fillRows = `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
	INSERT INTO cal (key_pack_id, product_version, product_type, status, slot, holder, user, device_id, device_name, host, validated, issued, expires)
	SELECT 3, 7, 0, 2, 0, printf('id:%%08x', i * 2654435761 %% 4294967296), '', printf('%%08X', i * 2654435761 %% 4294967296), 'LAPTOP-' || i,
		'rdsh1.example.com', 1, 1772366400000000 + i, 1772366400000000 + i * 40503 %% 1000003 * 3196800 FROM n`

// openFilled opens a store with a key pack and n CALs.
func openFilled(b *testing.B, n int) *Store {
	b.Helper()
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "licenses.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := s.db.Update(b.Context(), func(conn *sqlite.Conn) error {
		t := &tx{reader: reader{conn: conn}}
		if _, err := t.InsertKeyPack(licensing.KeyPack{ProductVersion: licensing.WindowsServer2022, Total: licensing.Unlimited}); err != nil {
			return err
		}
		return sqlitex.ExecuteTransient(conn, fmt.Sprintf(fillRows, n), nil)
	}); err != nil {
		b.Fatal(err)
	}
	return s
}

// issue is what issuing the i-th CAL to a new device reads and writes.
func issue(tx store.Tx, i uint64) error {
	now := time.UnixMicro(1772366400000000)
	id := fmt.Sprintf("%016x", i*0x9E3779B97F4A7C15) // holders come in no order
	c := licensing.CAL{
		ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerDevice, Status: licensing.StatusActive,
		Holder: "id:" + id, Device: licensing.Device{ID: id, Name: "LAPTOP"}, Host: "rdsh1.example.com", Issued: now,
		Expires: now.Add(licensing.ShortestTerm + time.Duration(i*7919%37)*24*time.Hour),
	}
	have, err := tx.CALsOf(c.Holder, c.ProductType)
	if err != nil || len(have) > 0 {
		return fmt.Errorf("the device has %d CALs (%w)", len(have), err)
	}
	for k, err := range tx.KeyPacks() {
		if err != nil {
			return err
		}
		if k.Available() > 0 {
			c.KeyPackID = k.ID
		}
	}
	if c.ID, err = tx.InsertCAL(c); err != nil {
		return err
	}
	if err := tx.AddIssued(c.KeyPackID, 1); err != nil {
		return err
	}
	return tx.Audit(store.AuditRecord{At: now, Actor: c.Host, Action: "issue", KeyPackID: c.KeyPackID, LicenseID: c.ID, Detail: id})
}

// latencies collects how long calls took.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) measure(fn func() error) error {
	start := time.Now()
	err := fn()
	took := time.Since(start)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, took)
	return err
}

func (l *latencies) report(b *testing.B) {
	slices.Sort(l.all)
	b.ReportMetric(float64(l.all[len(l.all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(len(l.all))/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkCALs issues and renews durably, beside few and many CALs, from 1 and from 64 goroutines. What the 64 are measured
// against is bare: the same SQL, 64 times in one commit, no goroutine between.
func BenchmarkCALs(b *testing.B) {
	for _, rows := range []int{1_000, 1_000_000} {
		s := openFilled(b, rows)
		var next atomic.Uint64
		for name, fn := range map[string]func(store.Tx) error{
			"issue": func(tx store.Tx) error { return issue(tx, next.Add(1)) },
			"renew": func(tx store.Tx) error { return renew(tx, uint32(next.Add(1)*0x9E3779B97F4A7C15%uint64(rows))+1) },
		} {
			b.Run(fmt.Sprintf("rows=%d/%s/callers=1", rows, name), func(b *testing.B) { benchmarkCallers(b, s, 1, fn) })
			b.Run(fmt.Sprintf("rows=%d/%s/callers=64", rows, name), func(b *testing.B) { benchmarkCallers(b, s, 64, fn) })
			b.Run(fmt.Sprintf("rows=%d/%s/bare", rows, name), func(b *testing.B) { benchmarkBare(b, s, fn) })
		}
	}
}

// renew moves the end of a CAL, as a logon in its last week does.
func renew(tx store.Tx, id uint32) error {
	c, err := tx.CAL(id)
	if err != nil {
		return err
	}
	c.Expires = c.Expires.Add(licensing.ShortestTerm)
	if err := tx.UpdateCAL(c); err != nil {
		return err
	}
	return tx.Audit(store.AuditRecord{At: c.Issued, Actor: c.Host, Action: "renew", KeyPackID: c.KeyPackID, LicenseID: id})
}

func benchmarkCallers(b *testing.B, s *Store, callers int, fn func(store.Tx) error) {
	var l latencies
	one := func() error { return l.measure(func() error { return s.Update(context.Background(), fn) }) }
	b.ReportAllocs()
	if callers == 1 {
		for b.Loop() {
			if err := one(); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := one(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	l.report(b)
}

func benchmarkBare(b *testing.B, s *Store, fn func(store.Tx) error) {
	const group = 64
	b.ReportAllocs()
	for b.Loop() {
		if err := s.db.Update(context.Background(), func(conn *sqlite.Conn) error {
			t := &tx{reader: reader{conn: conn}}
			for range group {
				if err := fn(t); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*group)/b.Elapsed().Seconds(), "calls/s")
}
