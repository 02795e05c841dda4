package storetest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// testLedger posts at random and compares the store with a model: a map. All runs share one store, each with entitlements
// of its own.
func testLedger(t *testing.T, h Harness) {
	w := newWorld(t, h)
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		m := newMachine(t, w, runs)
		for range rapid.IntRange(1, 8).Draw(t, "updates") { // each commit waits for the disk
			m.update(t)
			m.agrees(t)
		}
	})
	equal(t, "Check", w.check(), nil)
}

// machine is the store beside the model of it.
type machine struct {
	world
	entitlements []string
	holders      []clearinghouse.Holder // Sold first
	balances     map[clearinghouse.Account]int64
	entries      []clearinghouse.Entry
	after        uint64 // the last entry of the runs before
}

func newMachine(t *rapid.T, w world, run int) *machine {
	m := &machine{world: w, balances: map[clearinghouse.Account]int64{}}
	for i := range uint32(3) {
		m.holders = append(m.holders, clearinghouse.ServerHolder(1000*uint32(run)+i))
	}
	m.holders = append([]clearinghouse.Holder{clearinghouse.Sold, clearinghouse.Pool, clearinghouse.CodeHolder(uint32(run))}, m.holders...)
	err := w.store.Update(t.Context(), func(tx clearinghouse.Tx) error {
		for i := range 2 {
			id := fmt.Sprintf("run-%d-%d", run, i)
			if err := tx.InsertEntitlement(retail(id, "north")); err != nil {
				return err
			}
			m.entitlements = append(m.entitlements, id)
		}
		entries, err := tx.Entries(0, 1<<30)
		if len(entries) > 0 {
			m.after = entries[len(entries)-1].Seq
		}
		return err
	})
	if err != nil {
		t.Fatalf("a new run: %v", err)
	}
	return m
}

// account draws one of the accounts.
func (m *machine) account() *rapid.Generator[clearinghouse.Account] {
	return rapid.Custom(func(t *rapid.T) clearinghouse.Account {
		return clearinghouse.Account{
			Entitlement: rapid.SampledFrom(m.entitlements).Draw(t, "entitlement"),
			ProductType: rapid.SampledFrom([]licensing.ProductType{licensing.PerDevice, licensing.PerUser}).Draw(t, "type"),
			Holder:      rapid.SampledFrom(m.holders).Draw(t, "holder"),
		}
	})
}

// postings draws a move, or any postings, most of which are then balanced.
func (m *machine) postings() *rapid.Generator[[]clearinghouse.Posting] {
	quantity := rapid.Int64Range(0, 30)
	return rapid.Custom(func(t *rapid.T) []clearinghouse.Posting {
		if rapid.Bool().Draw(t, "is a move") {
			from := m.account().Draw(t, "from")
			to := rapid.SampledFrom(m.holders).Draw(t, "to")
			return clearinghouse.Move(from.Entitlement, from.ProductType, from.Holder, to, quantity.Draw(t, "n"))
		}
		postings := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) clearinghouse.Posting {
			return clearinghouse.Posting{Account: m.account().Draw(t, "account"), Delta: rapid.Int64Range(-20, 20).Draw(t, "delta")}
		}), 0, 5).Draw(t, "postings")
		if rapid.IntRange(0, 9).Draw(t, "is balanced") == 0 {
			return postings
		}
		sums := map[string]int64{}
		for _, p := range postings {
			sums[p.Entitlement] += p.Delta
		}
		for _, e := range slices.Sorted(maps.Keys(sums)) {
			contra := m.account().Draw(t, "contra account")
			contra.Entitlement = e
			postings = append(postings, clearinghouse.Posting{Account: contra, Delta: -sums[e]})
		}
		return postings
	})
}

// predict changes the balances as the postings say, if the ledger must accept them; else it returns why not.
func predict(balances map[clearinghouse.Account]int64, postings []clearinghouse.Posting) (refusal licensing.Kind, accepted bool) {
	after, sums := maps.Clone(balances), map[string]int64{}
	for _, p := range postings {
		after[p.Account] += p.Delta
		sums[p.Entitlement] += p.Delta
	}
	for _, sum := range sums {
		if sum != 0 {
			return licensing.Internal, false
		}
	}
	for a, n := range after {
		if n < 0 && a.Holder != clearinghouse.Sold {
			return licensing.OutOfRange, false
		}
	}
	maps.Copy(balances, after)
	return 0, true
}

// update posts some entries in one transaction, goes on whatever the ledger refuses, and commits or not.
func (m *machine) update(t *rapid.T) {
	drawn := rapid.SliceOfN(m.postings(), 1, 12).Draw(t, "entries")
	commit := rapid.IntRange(0, 4).Draw(t, "commit") > 0
	balances, entries := maps.Clone(m.balances), slices.Clone(m.entries)
	stop := errors.New("stop")
	err := m.store.Update(t.Context(), func(tx clearinghouse.Tx) error {
		for i, postings := range drawn {
			e := entry("random")
			e.Postings = append(e.Postings, postings...) // nil if there are none
			e.Key = fmt.Sprint(len(entries))
			err := tx.Post(e)
			switch kind, accepted := predict(balances, postings); {
			case accepted && err != nil:
				return fmt.Errorf("entry %d must be accepted: %w", i, err)
			case !accepted && err == nil:
				return fmt.Errorf("entry %d must be refused as %s", i, kind)
			case !accepted && licensing.KindOf(err) != kind:
				return fmt.Errorf("entry %d must be refused as %s: %w", i, kind, err)
			case accepted:
				entries = append(entries, e)
			}
		}
		if err := compare(tx, m, balances, entries); err != nil {
			return fmt.Errorf("before the commit: %w", err)
		}
		if !commit {
			return stop
		}
		return nil
	})
	switch {
	case commit && err == nil:
		m.balances, m.entries = balances, entries
	case commit || !errors.Is(err, stop):
		t.Fatal(err)
	}
}

// agrees compares what is committed with the model.
func (m *machine) agrees(t *rapid.T) {
	err := m.store.View(t.Context(), func(r clearinghouse.Reader) error { return compare(r, m, m.balances, m.entries) })
	if err != nil {
		t.Fatal(err)
	}
}

func compare(r clearinghouse.Reader, m *machine, balances map[clearinghouse.Account]int64, entries []clearinghouse.Entry) error {
	got := map[clearinghouse.Account]int64{}
	for _, e := range m.entitlements {
		found, err := r.Balances(e)
		if err != nil {
			return err
		}
		sum := int64(0)
		for _, b := range found {
			got[b.Account] = b.Quantity
			sum += b.Quantity
		}
		if sum != 0 {
			return fmt.Errorf("the balances of %s sum to %d", e, sum)
		}
	}
	if !maps.Equal(got, balances) {
		return fmt.Errorf("the balances are %v; they must be %v", got, balances)
	}
	held := map[clearinghouse.Account]int64{}
	for _, h := range m.holders[2:] { // Sold and Pool have the holdings of other runs as well
		holdings, err := r.Holdings(h)
		if err != nil {
			return err
		}
		for _, b := range holdings {
			held[b.Account] = b.Quantity
		}
	}
	want := maps.Clone(balances)
	maps.DeleteFunc(want, func(a clearinghouse.Account, n int64) bool { return n == 0 || slices.Contains(m.holders[:2], a.Holder) })
	if !maps.Equal(held, want) {
		return fmt.Errorf("the holdings are %v; they must be %v", held, want)
	}
	posted, err := r.Entries(m.after, 1<<30)
	if err != nil {
		return err
	}
	for i := range posted {
		posted[i].Seq = 0
	}
	if len(posted)+len(entries) > 0 && !reflect.DeepEqual(posted, entries) {
		return fmt.Errorf("the entries are %v; they must be %v", posted, entries)
	}
	return nil
}
