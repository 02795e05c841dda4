package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

var errRefused = errors.New("refused by the test")

func testRollback(t *testing.T, h Harness) {
	s := h.open(t)
	id := insert(t, s, keyPack(5))[0].ID
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertOperation(operation("stays")), fillIssued(tx, id, 3))
	})
	before := contentOf(t, s)
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if _, err := fill(tx, 1); err != nil {
			return err
		}
		if err := undoneIssued(tx, id); err != nil {
			return err
		}
		if err := errors.Join(tx.UpdateKeyPack(licensing.KeyPack{ID: id, ProductVersion: licensing.WindowsServer2019}),
			tx.DeleteKeyPack(id), tx.DeleteOperation("stays")); err != nil {
			return err
		}
		return fmt.Errorf("wrapped: %w", errRefused)
	})
	if !errors.Is(err, errRefused) {
		t.Fatalf("Update returned %v; want the error of its function", err)
	}
	expect(t, s, before)
	// The serial and the key are free again, too.
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		_, err := fill(tx, 1)
		return err
	}); err != nil {
		t.Fatalf("what was undone cannot be done again: %v", err)
	}

	err = s.View(t.Context(), func(store.Reader) error { return errRefused })
	if !errors.Is(err, errRefused) {
		t.Errorf("View returned %v; want the error of its function", err)
	}
}

// testFaultIsNoEnd handles a Fault of every method that has one and goes on in the same transaction.
func testFaultIsNoEnd(t *testing.T, h Harness) {
	s := h.open(t)
	update(t, s, func(tx store.Tx) error {
		_, err := fill(tx, 1)
		return err
	})
	before := contentOf(t, s)
	faults := func(tx store.Tx) error {
		_, err := tx.KeyPack(1)
		return errors.Join(
			fault("KeyPack", err, licensing.NotFound),
			fault("UpdateKeyPack", tx.UpdateKeyPack(licensing.KeyPack{ID: 1, ProductVersion: licensing.WindowsServer2019}), licensing.NotFound),
			fault("DeleteKeyPack", tx.DeleteKeyPack(1), licensing.NotFound),
			fault("InsertOperation", tx.InsertOperation(operation("operation 1")), licensing.AlreadyExists),
			fault("DeleteOperation", tx.DeleteOperation("none"), licensing.NotFound),
			fault("UseSerial", tx.UseSerial(1), licensing.AlreadyExists),
			fault("InsertDocument", tx.InsertDocument(store.Document{Kind: "\x00"}), licensing.Invalid),
			issuedFaults(tx),
		)
	}
	// Faults change nothing, so that no audit record is asked for.
	if err := s.Update(t.Context(), faults); err != nil {
		t.Fatal(err)
	}
	expect(t, s, before)

	var id uint32
	if err := s.Update(t.Context(), func(tx store.Tx) (err error) {
		if err := faults(tx); err != nil {
			return err
		}
		if id, err = fill(tx, 2); err != nil {
			return err
		}
		return faults(tx)
	}); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r store.Reader) error {
		_, err := r.KeyPack(id)
		return err
	})
}

// testUnaudited tries every change without an audit record.
func testUnaudited(t *testing.T, h Harness) {
	s := h.open(t)
	var id uint32
	if err := s.Update(t.Context(), func(tx store.Tx) (err error) {
		id, err = fill(tx, 1)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	same := keyPack(10)
	same.ID = id
	before := contentOf(t, s)
	changes := map[string]func(store.Tx) error{
		"PutServer":       func(tx store.Tx) error { return tx.PutServer(licensing.Server{}) },
		"PutServer again": func(tx store.Tx) error { return tx.PutServer(server()) },
		"InsertKeyPack": func(tx store.Tx) error {
			_, err := tx.InsertKeyPack(keyPack(1))
			return err
		},
		"UpdateKeyPack":       func(tx store.Tx) error { return tx.UpdateKeyPack(licensing.KeyPack{ID: id, ProductVersion: 2}) },
		"UpdateKeyPack again": func(tx store.Tx) error { return tx.UpdateKeyPack(same) },
		"DeleteKeyPack":       func(tx store.Tx) error { return tx.DeleteKeyPack(id) },
		"InsertOperation":     func(tx store.Tx) error { return tx.InsertOperation(operation("new")) },
		"DeleteOperation":     func(tx store.Tx) error { return tx.DeleteOperation("operation 1") },
		"InsertDocument":      func(tx store.Tx) error { return tx.InsertDocument(document(id, "grant")) },
		"UseSerial":           func(tx store.Tx) error { return tx.UseSerial(2) },
		"Audit refused": func(tx store.Tx) error {
			return errors.Join(tx.UseSerial(2), fault("Audit", tx.Audit(store.AuditRecord{Actor: "\x00"}), licensing.Invalid))
		},
	}
	maps.Copy(changes, issuedChanges(before.Issued, id))
	for name, change := range changes {
		failed := errors.New("not called")
		err := s.Update(t.Context(), func(tx store.Tx) error {
			failed = change(tx)
			return failed
		})
		if failed != nil {
			t.Fatalf("%s: %v", name, failed)
		}
		if err := fault(name+" without an audit record", err, licensing.Internal); err != nil {
			t.Error(err)
		}
		expect(t, s, before)
	}
	if err := s.Update(t.Context(), func(store.Tx) error { return nil }); err != nil {
		t.Errorf("a transaction that changed nothing was refused: %v", err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.Audit(auditRecord("before", 0)), tx.UseSerial(2))
	}); err != nil {
		t.Errorf("a transaction whose audit record comes first was refused: %v", err)
	}
}

func testPanic(t *testing.T, h Harness) {
	s := h.open(t)
	before := contentOf(t, s)
	recovered(func() {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := fill(tx, 1)
			if err == nil {
				panic("in an update")
			}
			return err
		})
		if err == nil {
			t.Error("Update whose function panicked returned no error")
		}
	})
	recovered(func() {
		err := s.View(t.Context(), func(store.Reader) error { panic("in a view") })
		if err == nil {
			t.Error("View whose function panicked returned no error")
		}
	})
	expect(t, s, before)
	insert(t, s, keyPack(1))
}

// testOwnWrites reads in an Update what it wrote, and meanwhile in a View that nothing of it is there.
func testOwnWrites(t *testing.T, h Harness) {
	s := h.open(t)
	before := contentOf(t, s)
	want := keyPack(10)
	want.Issued++ // by fill
	update(t, s, func(tx store.Tx) (err error) {
		if want.ID, err = fill(tx, 1); err != nil {
			return err
		}
		own, err := readContent(tx)
		if err != nil {
			return err
		}
		if len(own.Operations) != 1 || len(own.Audit) != 1 {
			return fmt.Errorf("in the transaction there are %d operations and %d audit records; want 1 of each",
				len(own.Operations), len(own.Audit))
		}
		var outside content
		err = s.View(t.Context(), func(r store.Reader) (err error) {
			outside, err = readContent(r)
			return err
		})
		return errors.Join(err,
			differ("Server in the transaction", own.Server, server()),
			differ("KeyPacks in the transaction", own.KeyPacks, []licensing.KeyPack{want}),
			differ("Documents in the transaction", own.Documents[want.ID], []store.Document{document(want.ID, "grant")}),
			differ("content outside the transaction", outside, before))
	})
}

// testView reads twice in a View while other transactions commit.
func testView(t *testing.T, h Harness) {
	s := h.open(t)
	packs := insert(t, s, keyPack(1), keyPack(2), keyPack(3))
	update(t, s, func(tx store.Tx) error { return tx.InsertOperation(operation("early")) })
	before := contentOf(t, s)
	view(t, s, func(r store.Reader) error {
		if _, err := r.Server(); err != nil { // the snapshot is taken at the first read at the latest
			return err
		}
		var seen []licensing.KeyPack
		for k, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			seen = append(seen, k)
			if k.ID != packs[0].ID {
				continue
			}
			if err := tryUpdate(t.Context(), s, func(tx store.Tx) error {
				_, err := fill(tx, 1)
				return errors.Join(err, tx.DeleteKeyPack(packs[2].ID), tx.DeleteOperation("early"),
					tx.UpdateKeyPack(licensing.KeyPack{ID: packs[1].ID, ProductVersion: licensing.WindowsServer2019}))
			}); err != nil {
				return err
			}
		}
		again, err := readContent(r)
		return errors.Join(err, differ("key packs in the loop", seen, packs), differ("content at the end of the view", again, before))
	})
	if after := contentOf(t, s); after.Server != server() || len(after.KeyPacks) != 3 || len(after.Audit) != len(before.Audit)+2 {
		t.Errorf("a view that began after the commits does not see them: %+v", after)
	}
}

// testConcurrent adds to one counter from many goroutines, of which every third fails after its writes.
func testConcurrent(t *testing.T, h Harness) {
	const callers, rounds = 64, 3
	s := h.open(t)
	id := insert(t, s, keyPack(0))[0].ID
	var group sync.WaitGroup
	for caller := range callers {
		for round := range rounds {
			group.Go(func() {
				refuse := (caller+round)%3 == 0
				err := tryUpdate(t.Context(), s, func(tx store.Tx) error {
					k, err := tx.KeyPack(id)
					if err != nil {
						return err
					}
					k.Total++
					if err := tx.UpdateKeyPack(k); err != nil || !refuse {
						return err
					}
					return errors.Join(errRefused, tx.Audit(auditRecord("refused", id)))
				})
				if refuse != errors.Is(err, errRefused) || !refuse && err != nil {
					t.Errorf("caller %d: %v", caller, err)
				}
			})
		}
	}
	group.Wait()
	after := contentOf(t, s)
	const want = callers * rounds * 2 / 3
	if total := after.KeyPacks[0].Total; total != want {
		t.Errorf("Total is %d after %d additions", total, want)
	}
	if n := len(after.Audit) - 1; n != want {
		t.Errorf("there are %d audit records of %d additions", n, want)
	}
	for _, a := range after.Audit {
		if a.Action == "refused" {
			t.Fatalf("an audit record of an update that failed was kept: %+v", a)
		}
	}
}

func testContext(t *testing.T, h Harness) {
	s := h.open(t)
	insert(t, s, keyPack(1))
	before := contentOf(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	called := errors.New("the function was called")
	if err := s.View(ctx, func(store.Reader) error { return called }); !errors.Is(err, context.Canceled) {
		t.Errorf("View with a canceled context: %v", err)
	}
	if err := s.Snapshot(ctx, func(store.Reader) error { return called }); !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot with a canceled context: %v", err)
	}
	if err := s.Update(ctx, func(store.Tx) error { return called }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update with a canceled context: %v", err)
	}

	for name, read := range map[string]func(context.Context, func(store.Reader) error) error{"View": s.View, "Snapshot": s.Snapshot} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := read(ctx, func(r store.Reader) error {
			if _, err := readContent(r); err != nil {
				return err
			}
			cancel()
			_, err := r.Operations()
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s whose context was canceled before a read: %v", name, err)
		}
	}
	expect(t, s, before)
	insert(t, s, keyPack(2))
}
