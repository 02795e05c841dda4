package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// BenchmarkUpdate reads and writes one key pack and appends an audit record, durably, from 1 and from 64 goroutines.
func BenchmarkUpdate(b *testing.B) {
	add := func(s store.Store, id uint32) error {
		return s.Update(context.Background(), func(tx store.Tx) error {
			k, err := tx.KeyPack(id)
			if err != nil {
				return err
			}
			k.Issued++
			if err := tx.UpdateKeyPack(k); err != nil {
				return err
			}
			return tx.Audit(store.AuditRecord{At: k.Installed, Actor: "DOMAIN\\ada", Action: "issue", KeyPackID: id, Delta: 1})
		})
	}
	b.Run("callers=1", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "licenses.db"))
		id := install(b, s, 1)
		b.ReportAllocs()
		for b.Loop() {
			if err := add(s, id); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("callers=64", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "licenses.db"))
		id := install(b, s, 1)
		b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := add(s, id); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkKeyPacks10000 iterates over 10,000 key packs in one View.
func BenchmarkKeyPacks10000(b *testing.B) {
	const n = 10_000
	s := open(b, filepath.Join(b.TempDir(), "licenses.db"))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if err := s.Update(b.Context(), func(tx store.Tx) error {
		k := pack(100)
		k.Installed, k.Expires, k.Entitlement = now, licensing.PerpetualExpiry(now), "01JNA8V6ZQ4T5W0X9Y2M3K7B8C"
		for range n {
			if _, err := tx.InsertKeyPack(k); err != nil {
				return err
			}
		}
		return tx.Audit(store.AuditRecord{Action: "install"})
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.View(context.Background(), func(r store.Reader) error {
			seen := 0
			for _, err := range r.KeyPacks() {
				if err != nil {
					return err
				}
				seen++
			}
			if seen != n {
				return fmt.Errorf("%d key packs; want %d", seen, n)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/pack")
}
