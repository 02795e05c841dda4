package sqlite_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// BenchmarkPost is one durable transaction that moves a CAL from the pool to one of 100 license servers.
func BenchmarkPost(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			store := openNew(b)
			err := store.Update(b.Context(), func(tx clearinghouse.Tx) error {
				return errors.Join(
					tx.InsertOrganization(clearinghouse.Organization{ID: "org"}),
					tx.InsertEntitlement(clearinghouse.Entitlement{ID: "bought", Organization: "org", Program: licensing.Agreement, Number: "1234567"}),
					tx.Post(clearinghouse.Entry{Kind: "sale", Postings: clearinghouse.Move("bought", licensing.PerUser, clearinghouse.Sold, clearinghouse.Pool, 1<<40)}),
				)
			})
			if err != nil {
				b.Fatal(err)
			}
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var posted atomic.Uint32
			post := func() {
				target := clearinghouse.ServerHolder(1 + posted.Add(1)%100)
				err := store.Update(b.Context(), func(tx clearinghouse.Tx) error {
					return tx.Post(clearinghouse.Entry{
						At: at, Kind: "install", Key: "0123456789ABCDEF", Actor: "ABCDE",
						Postings: clearinghouse.Move("bought", licensing.PerUser, clearinghouse.Pool, target, 1),
					})
				})
				if err != nil {
					b.Error(err)
				}
			}
			if callers == 1 {
				for b.Loop() {
					post()
				}
			} else {
				b.SetParallelism((callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						post()
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
		})
	}
}

// BenchmarkNotices reads the next notices of a license server, as each import and each poll does.
func BenchmarkNotices(b *testing.B) {
	store := openNew(b)
	err := store.Update(b.Context(), func(tx clearinghouse.Tx) error {
		id, err := tx.InsertServer(clearinghouse.Server{ProductID: "product", Name: "ls1.example", State: clearinghouse.ServerActive})
		for seq := range uint64(200) {
			err = errors.Join(err, tx.InsertNotice(clearinghouse.QueuedNotice{
				Server: id, Seq: seq + 1, Signed: clearinghouse.Signed{Payload: make([]byte, 300), Signature: make([]byte, 64)},
			}))
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []uint64{0, 1, 64} {
		b.Run(fmt.Sprintf("notices=%d", n), func(b *testing.B) {
			err := store.View(b.Context(), func(r clearinghouse.Reader) error {
				for b.Loop() {
					if notices, err := r.Notices(1, 200-n, 64); err != nil || uint64(len(notices)) != n {
						return fmt.Errorf("%d notices, %w", len(notices), err)
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
