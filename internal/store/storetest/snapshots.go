package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// listing is somebody who takes the CALs of a Snapshot one after the other, whenever he likes.
type listing struct {
	next func() (licensing.CAL, error, bool)
	stop func()
}

func startListing(ctx context.Context, s store.Store) listing {
	next, stop := iter.Pull2(func(yield func(licensing.CAL, error) bool) {
		err := s.Snapshot(ctx, func(r store.Reader) error {
			for c, err := range r.CALs(store.CALFilter{}) {
				if err != nil || !yield(c, nil) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			yield(licensing.CAL{}, err)
		}
	})
	return listing{next, stop}
}

// take returns the next n CALs, or all that there are.
func (l listing) take(n int) (cals []licensing.CAL, err error) {
	for range n {
		c, err, ok := l.next()
		if !ok || err != nil {
			return cals, err
		}
		cals = append(cals, c)
	}
	return cals, nil
}

// testSnapshotsWait reads lists bit by bit, more of them than a store has connections for Views, while CALs are issued, changed
// and deleted, and while Views read.
func testSnapshotsWait(t *testing.T, h Harness) {
	const lists = 8
	s := h.open(t)
	id := insert(t, s, keyPack(1))[0].ID
	update(t, s, func(tx store.Tx) error { return fillIssued(tx, id, 3) })
	insertCALs(t, s, loopCALs(2*lists)...)
	var open []listing
	var want, got [][]licensing.CAL
	for i := range lists {
		l := startListing(t.Context(), s)
		defer l.stop()
		first, err := l.take(1 + i)
		if err != nil {
			t.Fatal(err)
		}
		open, got = append(open, l), append(got, first)
		want = append(want, contentOf(t, s).Issued.CALs)
		changed := loopCALs(1)[0]
		changed.ID, changed.User = want[i][len(want[i])-2].ID, fmt.Sprint("changed after list ", i)
		update(t, s, func(tx store.Tx) error {
			_, err := tx.InsertCAL(loopCALs(1)[0])
			return errors.Join(err, tx.UpdateCAL(changed), tx.DeleteCAL(want[i][0].ID))
		})
	}
	for i, l := range open {
		rest, err := l.take(1000)
		if err := errors.Join(err, differ(fmt.Sprint("list ", i), append(got[i], rest...), want[i])); err != nil {
			t.Fatal(err)
		}
	}
	// Whatever is read of a snapshot is of the same moment.
	before := contentOf(t, s)
	err := s.Snapshot(t.Context(), func(r store.Reader) error {
		if _, err := r.Server(); err != nil {
			return err
		}
		if err := tryUpdate(t.Context(), s, func(tx store.Tx) error {
			_, err := fill(tx, 7)
			return err
		}); err != nil {
			return err
		}
		content, err := readContent(r)
		return errors.Join(err, differ("content of the snapshot", content, before))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testSnapshotEnds ends snapshots in every way, more often than there can be open ones.
func testSnapshotEnds(t *testing.T, h Harness) {
	s := h.open(t)
	all := insertCALs(t, s, loopCALs(3)...)
	for range 50 {
		l := startListing(t.Context(), s)
		if _, err := l.take(1); err != nil {
			t.Fatal(err)
		}
		l.stop()

		ctx, cancel := context.WithCancel(t.Context())
		l = startListing(ctx, s)
		if _, err := l.take(1); err != nil {
			t.Fatal(err)
		}
		cancel()
		if cals, err := l.take(2); !errors.Is(err, context.Canceled) {
			t.Fatalf("after the end of the context: %d CALs, %v", len(cals), err)
		}
		l.stop()

		var kept store.Reader
		if err := s.Snapshot(t.Context(), func(r store.Reader) error {
			kept = r
			_, err := r.Hosts()
			return errors.Join(err, errRefused)
		}); !errors.Is(err, errRefused) {
			t.Fatalf("Snapshot whose function failed: %v", err)
		}
		if _, err := kept.Server(); err == nil {
			t.Fatal("a Reader that was kept can be read")
		}
		recovered(func() {
			_ = s.Snapshot(t.Context(), func(r store.Reader) error {
				for range r.CALs(store.CALFilter{}) {
					panic("in the body of a loop")
				}
				return nil
			})
		})
	}
	l := startListing(t.Context(), s)
	cals, err := l.take(1000)
	if err := errors.Join(err, differ("CALs", cals, all)); err != nil {
		t.Fatal(err)
	}
}

// testTooManySnapshots opens as many as the store lets, and then makes room.
func testTooManySnapshots(t *testing.T, h Harness) {
	s := h.open(t)
	insertCALs(t, s, loopCALs(2)...)
	var open []listing
	defer func() {
		for _, l := range open {
			l.stop()
		}
	}()
	for {
		l := startListing(t.Context(), s)
		if _, err := l.take(1); err != nil {
			if err := fault(fmt.Sprintf("snapshot %d", len(open)+1), err, licensing.Limited); err != nil {
				t.Fatal(err)
			}
			break
		}
		if open = append(open, l); len(open) > 10_000 {
			t.Fatal("there is no limit")
		}
	}
	if len(open) < 8 {
		t.Errorf("only %d snapshots can be open", len(open))
	}
	contentOf(t, s) // Views go on
	open[0].stop()
	l := startListing(t.Context(), s)
	if _, err := l.take(1); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	open = append(open, l)
}

// testSnapshotClosed closes a store while somebody is in the middle of a list.
func testSnapshotClosed(t *testing.T, h Harness) {
	s := h.open(t)
	insertCALs(t, s, loopCALs(3)...)
	l := startListing(t.Context(), s)
	defer l.stop()
	if _, err := l.take(1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if cals, err := l.take(1); err == nil {
		t.Errorf("after Close: %d CALs and no error", len(cals))
	}
	again := closing(t, h.Reopen(t, s))
	if n := len(contentOf(t, again).Issued.CALs); n != 3 {
		t.Errorf("%d CALs after Close", n)
	}
}
