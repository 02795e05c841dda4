package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// change does something with every method that writes.
func (w world) change(tx clearinghouse.Tx, id string) error {
	serial, err := tx.NextSerial()
	if err != nil {
		return err
	}
	s, err := tx.Server(w.first)
	if err != nil {
		return err
	}
	s.Name = "renamed by " + id
	_, insertErr := tx.InsertServer(server("south", "server of "+id))
	code := w.code(serial)
	redeemed := code
	redeemed.State = clearinghouse.CodeRedeemed
	transfer := w.transfer("transfer of " + id)
	acknowledged := transfer
	acknowledged.Acknowledged = start
	return errors.Join(
		insertErr,
		tx.InsertOrganization(organization("organization of "+id)),
		tx.UpdateServer(s),
		tx.InsertEntitlement(retail("retail of "+id, "south")),
		tx.Post(move("sale", clearinghouse.Sold, clearinghouse.Pool, 10)),
		tx.InsertTransfer(transfer),
		tx.UpdateTransfer(acknowledged),
		tx.ReleaseTransfers(w.first, 1, start),
		tx.InsertNotice(clearinghouse.QueuedNotice{Server: w.first, Seq: uint64(serial)}),
		tx.InsertCode(code),
		tx.UpdateCode(redeemed),
		tx.InsertSettled(clearinghouse.Settled{Server: w.first, Key: "settled"}),
	)
}

func testRollback(t *testing.T, h Harness) {
	w := newWorld(t, h)
	before := w.content("settled")
	stop := errors.New("stop")
	var within clearinghouse.Organization
	err := w.store.Update(t.Context(), func(tx clearinghouse.Tx) error {
		if err := w.change(tx, "a"); err != nil {
			return err
		}
		var err error
		if within, err = tx.Organization("organization of a"); err != nil { // its own writes are seen
			return err
		}
		return fmt.Errorf("enough: %w", stop)
	})
	if !errors.Is(err, stop) {
		t.Fatalf("Update returned %v", err)
	}
	equal(t, "what the transaction saw of its own", within, organization("organization of a"))
	equalContent(t, "content after the rollback", w.content("settled"), before)
	w.store = h.Reopen(t, w.store)
	equalContent(t, "content after the rollback and a restart", w.content("settled"), before)
	// Nothing is in the way of doing it again.
	w.update(func(tx clearinghouse.Tx) error { return w.change(tx, "a") })
	equal(t, "Check", w.check(), nil)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = w.store.Update(ended, func(clearinghouse.Tx) error {
		t.Error("Update ran a function though its context had ended")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update with a context that has ended returned %v", err)
	}
	err = w.store.View(ended, func(clearinghouse.Reader) error {
		t.Error("View ran a function though its context had ended")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("View with a context that has ended returned %v", err)
	}
	err = w.store.View(t.Context(), func(clearinghouse.Reader) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("View returned %v", err)
	}
}

func testSnapshot(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.post(move("sale", clearinghouse.Sold, clearinghouse.Pool, 10))
	look := func(r clearinghouse.Reader) (string, error) {
		pool, err := r.Balance(account(clearinghouse.Pool))
		if err != nil {
			return "", err
		}
		entries, err := r.Entries(0, 100)
		if err != nil {
			return "", err
		}
		servers, err := r.Servers("")
		return fmt.Sprintf("%d in the pool, %d entries, %d servers", pool, len(entries), len(servers)), err
	}
	const before, after = "10 in the pool, 1 entries, 2 servers", "20 in the pool, 2 entries, 3 servers"
	// Whatever commits while a View runs, it goes on seeing what it began with.
	err := w.store.View(t.Context(), func(r clearinghouse.Reader) error {
		first, err := look(r)
		if err != nil {
			return err
		}
		var uncommitted string
		err = w.store.Update(t.Context(), func(tx clearinghouse.Tx) error {
			if err := w.change(tx, "a"); err != nil {
				return err
			}
			return w.store.View(t.Context(), func(r clearinghouse.Reader) (err error) {
				uncommitted, err = look(r)
				return err
			})
		})
		if err != nil {
			return err
		}
		second, err := look(r)
		equal(t, "at the beginning", first, before)
		equal(t, "before the commit, in another View", uncommitted, before)
		equal(t, "after the commit, in the View that began before it", second, before)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "after the commit, in a new View", read(w.fixture, look), after)
}

func testConcurrency(t *testing.T, h Harness) {
	const callers, moves, stock = 64, 16, 500
	w := newWorld(t, h)
	w.post(move("sale", clearinghouse.Sold, clearinghouse.Pool, stock))
	holders := []clearinghouse.Holder{clearinghouse.Pool, clearinghouse.ServerHolder(w.first), clearinghouse.ServerHolder(w.second), clearinghouse.CodeHolder(1)}

	var done atomic.Bool
	var watcher, group sync.WaitGroup
	watcher.Go(func() {
		for !done.Load() {
			if err := watch(t, w.store, stock); err != nil {
				t.Errorf("watch: %v", err)
				return
			}
		}
	})
	var moved, refused atomic.Int64
	for i := range callers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range moves {
				from, to := holders[random.IntN(len(holders))], holders[random.IntN(len(holders))]
				n := 1 + random.Int64N(stock/2) // often more than there is
				err := w.store.Update(t.Context(), func(tx clearinghouse.Tx) error {
					if _, err := tx.NextSerial(); err != nil {
						return err
					}
					return tx.Post(move("move", from, to, n))
				})
				switch {
				case err == nil:
					moved.Add(1)
				case licensing.KindOf(err) == licensing.OutOfRange:
					refused.Add(1)
				default:
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	group.Wait()
	done.Store(true)
	watcher.Wait()

	if moved.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d moves were made and %d refused; the test wants both", moved.Load(), refused.Load())
	}
	equal(t, "number of entries", int64(len(w.content().entries)), 1+moved.Load())
	equal(t, "Check", w.check(), nil)
	if err := watch(t, w.store, stock); err != nil {
		t.Error(err)
	}
	var serial uint32
	w.update(func(tx clearinghouse.Tx) (err error) {
		serial, err = tx.NextSerial()
		return err
	})
	if int64(serial) <= moved.Load() {
		t.Errorf("the serial %d was given out after %d others", serial, moved.Load())
	}
}

// watch looks at one snapshot: nothing is negative, and what is held is what was sold.
func watch(t *testing.T, s clearinghouse.Store, stock int64) error {
	return s.View(t.Context(), func(r clearinghouse.Reader) error {
		balances, err := r.Balances(enterprise)
		if err != nil {
			return err
		}
		held := int64(0)
		for _, b := range balances {
			if b.Holder == clearinghouse.Sold {
				continue
			}
			if b.Quantity < 0 {
				t.Errorf("%s holds %d", b.Holder, b.Quantity)
			}
			held += b.Quantity
		}
		if held != stock {
			t.Errorf("%d CALs are held, %d were sold", held, stock)
		}
		return nil
	})
}

func testDurability(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.update(func(tx clearinghouse.Tx) error { return w.change(tx, "a") })
	before := w.content("settled")
	w.store = h.Reopen(t, w.store)
	equalContent(t, "content after a restart", w.content("settled"), before)
	equal(t, "Check", w.check(), nil)
	w.post(move("install", clearinghouse.Pool, clearinghouse.ServerHolder(w.first), 3))
	w.store = h.Reopen(t, w.store)
	after := w.content()
	equal(t, "entries of before", after.entries[:len(before.entries)], before.entries)
	equal(t, "number of entries", len(after.entries), len(before.entries)+1)
}

func testBackup(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.update(func(tx clearinghouse.Tx) error { return w.change(tx, "a") })
	want := w.content("settled")
	path := filepath.Join(t.TempDir(), "backup")
	if err := w.store.Backup(t.Context(), path); err != nil {
		t.Fatalf("Backup: %v", err)
	}
	if err := w.store.Backup(t.Context(), path); err == nil {
		t.Error("Backup wrote over a backup")
	}
	w.post(move("sale", clearinghouse.Sold, clearinghouse.Pool, 1)) // and the store goes on
	last := serials(w.fixture)

	copied := w
	copied.store = h.OpenBackup(t, path)
	equalContent(t, "content of the backup", copied.content("settled"), want)
	equal(t, "Check of the backup", copied.check(), nil)
	equal(t, "the next serial of the backup", serials(copied.fixture), last)
	copied.post(move("install", clearinghouse.Pool, clearinghouse.ServerHolder(w.first), 4))
	equal(t, "entries of the store after one was posted to the backup", len(w.content().entries), len(want.entries)+1)

	// While others write, a backup is still one snapshot.
	var writers sync.WaitGroup
	var done atomic.Bool
	for range 4 {
		writers.Go(func() {
			for !done.Load() {
				err := w.store.Update(t.Context(), func(tx clearinghouse.Tx) error {
					return tx.Post(move("sale", clearinghouse.Sold, clearinghouse.Pool, 1))
				})
				if err != nil {
					t.Errorf("Update: %v", err)
					return
				}
			}
		})
	}
	path += " of a busy store"
	err := w.store.Backup(t.Context(), path)
	done.Store(true)
	writers.Wait()
	if err != nil {
		t.Fatalf("Backup: %v", err)
	}
	busy := w
	busy.store = h.OpenBackup(t, path)
	equal(t, "Check of the backup of a busy store", busy.check(), nil)
}

func serials(f fixture) (serial uint32) {
	f.t.Helper()
	f.update(func(tx clearinghouse.Tx) (err error) {
		serial, err = tx.NextSerial()
		return err
	})
	return serial
}

func testClosed(t *testing.T, h Harness) {
	w := newWorld(t, h)
	for range 2 {
		if err := w.store.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for what, err := range map[string]error{
		"View":   w.store.View(ctx, func(clearinghouse.Reader) error { t.Error("View ran a function"); return nil }),
		"Update": w.store.Update(ctx, func(clearinghouse.Tx) error { t.Error("Update ran a function"); return nil }),
		"Backup": w.store.Backup(ctx, filepath.Join(t.TempDir(), "backup")),
	} {
		if err == nil || ctx.Err() != nil {
			t.Errorf("%s of a closed store returned %v", what, err)
		}
	}
}
