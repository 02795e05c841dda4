package storetest

import (
	"errors"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// testKeyPacksBreak leaves loops early, in every way there is, more often than a store has connections.
func testKeyPacksBreak(t *testing.T, h Harness) {
	s := h.open(t)
	packs := insert(t, s, keyPack(1), keyPack(2), keyPack(3))
	first := func(r store.Reader) error {
		for k, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			return differ("the first key pack", k, packs[0])
		}
		return errors.New("KeyPacks: nothing")
	}
	for range 20 {
		view(t, s, func(r store.Reader) error {
			sequence := r.KeyPacks()
			for k, err := range sequence {
				if err != nil {
					return err
				}
				if k.ID == packs[1].ID {
					break
				}
			}
			n := 0
			for _, err := range sequence { // begins again
				if err != nil {
					return err
				}
				n++
			}
			return errors.Join(differ("key packs in the second loop", n, len(packs)), first(r), first(r))
		})
		update(t, s, func(tx store.Tx) error { return errors.Join(first(tx), tx.PutServer(server()), first(tx)) })
		recovered(func() {
			_ = s.View(t.Context(), func(r store.Reader) error {
				for range r.KeyPacks() {
					panic("in the body of a loop")
				}
				return nil
			})
		})
	}
	if err := differ("KeyPacks", contentOf(t, s).KeyPacks, packs); err != nil {
		t.Fatal(err)
	}
}

// recovered runs fn and ignores its panic.
func recovered(fn func()) {
	defer func() { _ = recover() }()
	fn()
}

// testKeyPacksBodyReads does everything that a Reader can in the body of a loop.
func testKeyPacksBodyReads(t *testing.T, h Harness) {
	s := h.open(t)
	packs := insert(t, s, keyPack(1), keyPack(2), keyPack(3), keyPack(4))
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertDocument(document(packs[0].ID, "grant")), tx.InsertOperation(operation("one")))
	})
	body := func(r store.Reader) error {
		var outer, inner, innermost []licensing.KeyPack
		for a, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			if outer = append(outer, a); len(outer) > len(packs) {
				return differ("outer loop", outer, packs) // an inner loop restarted it
			}
			if _, err := readContent(r); err != nil { // has a loop of its own
				return err
			}
			inner = nil
			for b, err := range r.KeyPacks() {
				if err != nil {
					return err
				}
				if inner = append(inner, b); len(inner) > len(packs) {
					return differ("inner loop", inner, packs)
				}
				innermost = nil
				for c, err := range r.KeyPacks() {
					if err != nil {
						return err
					}
					innermost = append(innermost, c)
				}
			}
			for range r.KeyPacks() {
				break
			}
		}
		return errors.Join(differ("outer loop", outer, packs), differ("inner loop", inner, packs), differ("innermost loop", innermost, packs))
	}
	view(t, s, body)
	update(t, s, func(tx store.Tx) error { return body(tx) })
	snapshot(t, s, body)
	view(t, s, body)
}

// testKeyPacksBodyWrites changes key packs in the body of a loop over them.
func testKeyPacksBodyWrites(t *testing.T, h Harness) {
	s := h.open(t)
	packs := insert(t, s, keyPack(0), keyPack(1), keyPack(2), keyPack(3), keyPack(4), keyPack(5))
	var want []licensing.KeyPack
	update(t, s, func(tx store.Tx) error {
		var seen, added []licensing.KeyPack
		for k, err := range tx.KeyPacks() {
			if err != nil {
				return err
			}
			seen = append(seen, k)
			if len(seen) > len(packs) {
				break
			}
			switch k.Total % 3 {
			case 0:
				err = tx.DeleteKeyPack(k.ID)
			case 1:
				k.Total += 100
				err = tx.UpdateKeyPack(k)
				want = append(want, k)
			case 2:
				want = append(want, k)
			}
			more := keyPack(1000)
			id, insertErr := tx.InsertKeyPack(more)
			if err := errors.Join(err, insertErr); err != nil {
				return err
			}
			more.ID = id
			added = append(added, more)
		}
		want = append(want, added...)
		return differ("key packs that the loop reached", seen, packs)
	})
	if err := differ("KeyPacks", contentOf(t, s).KeyPacks, want); err != nil {
		t.Fatal(err)
	}
}
