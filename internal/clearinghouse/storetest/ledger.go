package storetest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

func (w world) post(e ...clearinghouse.Entry) {
	w.t.Helper()
	w.update(func(tx clearinghouse.Tx) error {
		for _, e := range e {
			if err := tx.Post(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w world) check() []string {
	w.t.Helper()
	return read(w.fixture, clearinghouse.Reader.Check)
}

func testPost(t *testing.T, h Harness) {
	w := newWorld(t, h)
	one := clearinghouse.ServerHolder(w.first)
	perUser := account(one)
	perUser.ProductType = licensing.PerUser
	w.post(
		move("sale", clearinghouse.Sold, clearinghouse.Pool, 100),
		move("install", clearinghouse.Pool, one, 30),
		move("code", clearinghouse.Pool, clearinghouse.CodeHolder(12), 5),
		entry("convert", clearinghouse.Posting{Account: account(one), Delta: -10}, clearinghouse.Posting{Account: perUser, Delta: 10}),
		move("redeem", clearinghouse.CodeHolder(12), one, 5),
	)
	balances := read(w.fixture, func(r clearinghouse.Reader) ([]clearinghouse.Balance, error) { return r.Balances(enterprise) })
	equal(t, "Balances", balances, []clearinghouse.Balance{
		{Account: account(clearinghouse.CodeHolder(12)), Quantity: 0}, // was posted to
		{Account: account(clearinghouse.Pool), Quantity: 65},
		{Account: account(one), Quantity: 25},
		{Account: account(clearinghouse.Sold), Quantity: -100},
		{Account: perUser, Quantity: 10},
	})
	for _, b := range append(balances, clearinghouse.Balance{Account: account(clearinghouse.ServerHolder(w.second))}) {
		equal(t, fmt.Sprintf("Balance of %+v", b.Account), read(w.fixture, func(r clearinghouse.Reader) (int64, error) { return r.Balance(b.Account) }), b.Quantity)
	}
	equal(t, "Balances of an entitlement never posted to", read(w.fixture, func(r clearinghouse.Reader) ([]clearinghouse.Balance, error) { return r.Balances(retailed) }), nil)

	holdings := func(h clearinghouse.Holder) map[clearinghouse.Account]int64 {
		m := map[clearinghouse.Account]int64{}
		for _, b := range read(w.fixture, func(r clearinghouse.Reader) ([]clearinghouse.Balance, error) { return r.Holdings(h) }) {
			m[b.Account] = b.Quantity
		}
		return m
	}
	w.post(entry("sale", clearinghouse.Move(retailed, licensing.PerUser, clearinghouse.Sold, one, 1)...))
	equal(t, "Holdings of a server", holdings(one), map[clearinghouse.Account]int64{
		account(one): 25, perUser: 10, {Entitlement: retailed, ProductType: licensing.PerUser, Holder: one}: 1,
	})
	equal(t, "Holdings of a code that was redeemed", holdings(clearinghouse.CodeHolder(12)), map[clearinghouse.Account]int64{})
	equal(t, "Check", w.check(), nil)
}

func testPostRefused(t *testing.T, h Harness) {
	w := newWorld(t, h)
	one, two := clearinghouse.ServerHolder(w.first), clearinghouse.ServerHolder(w.second)
	w.post(move("sale", clearinghouse.Sold, clearinghouse.Pool, 100), move("install", clearinghouse.Pool, one, 10))
	posting := func(h clearinghouse.Holder, delta int64) clearinghouse.Posting {
		return clearinghouse.Posting{Account: account(h), Delta: delta}
	}
	other := func(h clearinghouse.Holder, delta int64) clearinghouse.Posting {
		return clearinghouse.Posting{Account: clearinghouse.Account{Entitlement: retailed, Holder: h}, Delta: delta}
	}
	perUser := posting(one, -1)
	perUser.ProductType = licensing.PerUser
	type test struct {
		what     string
		kind     licensing.Kind
		postings []clearinghouse.Posting
	}
	for _, c := range []test{
		{"one posting", licensing.Internal, []clearinghouse.Posting{posting(clearinghouse.Pool, 1)}},
		{"a sum of -1", licensing.Internal, []clearinghouse.Posting{posting(clearinghouse.Pool, 1), posting(one, -2)}},
		{"a sum of zero over two entitlements", licensing.Internal, []clearinghouse.Posting{posting(one, -1), other(one, 1)}},
		{"a sum that overflows to zero", licensing.Internal, []clearinghouse.Posting{
			posting(clearinghouse.Sold, math.MinInt64), posting(clearinghouse.Sold, math.MinInt64)}},
		{"one CAL too many", licensing.OutOfRange, []clearinghouse.Posting{posting(one, -11), posting(two, 11)}},
		{"one CAL of an account never posted to", licensing.OutOfRange, []clearinghouse.Posting{posting(two, -1), posting(one, 1)}},
		{"CALs of the other product type", licensing.OutOfRange, []clearinghouse.Posting{perUser, posting(one, 1)}},
		{"the second account too low", licensing.OutOfRange, []clearinghouse.Posting{
			posting(one, -10), posting(clearinghouse.Pool, -91), posting(two, 101)}},
		{"one account twice", licensing.OutOfRange, []clearinghouse.Posting{
			posting(one, -6), posting(two, 6), posting(one, -6), posting(two, 6)}},
		{"the second entitlement too low", licensing.OutOfRange, []clearinghouse.Posting{
			posting(one, -1), posting(two, 1), other(one, -1), other(two, 1)}},
		{"more than can be counted", licensing.OutOfRange, []clearinghouse.Posting{
			posting(clearinghouse.Pool, math.MaxInt64), posting(clearinghouse.Sold, -math.MaxInt64)}},
		{"more sold than can be counted", licensing.OutOfRange, []clearinghouse.Posting{
			posting(clearinghouse.Sold, -math.MaxInt64), posting(two, math.MaxInt64)}},
		{"an entitlement that is not known", licensing.NotFound, clearinghouse.Move("unknown", licensing.PerDevice, clearinghouse.Sold, one, 1)},
		{"an entitlement that is not known, last", licensing.NotFound, append(
			clearinghouse.Move(enterprise, licensing.PerDevice, one, two, 1),
			clearinghouse.Move("unknown", licensing.PerDevice, clearinghouse.Sold, one, 1)...)},
		{"a holder that is none", licensing.Internal, clearinghouse.Move(enterprise, licensing.PerDevice, one, "thief", 1)},
		{"built-in CALs", licensing.Internal, clearinghouse.Move(enterprise, licensing.BuiltIn, clearinghouse.Sold, one, 1)},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := w
			w.t = t
			before := w.content()
			refused := entry("refused", c.postings...)
			w.refused(c.kind, "Post", func(tx clearinghouse.Tx) error { return tx.Post(refused) })
			equalContent(t, "content afterwards", w.content(), before)
			// A transaction that goes on commits what else it did, and nothing of the entry.
			w.update(func(tx clearinghouse.Tx) error {
				if err := tx.Post(refused); err == nil || licensing.KindOf(err) != c.kind {
					return fmt.Errorf("the entry must be refused as %s, and Post returned: %w", c.kind, err)
				}
				if err := tx.Post(move("install", clearinghouse.Pool, one, 1)); err != nil {
					return err
				}
				return tx.Post(move("return", one, clearinghouse.Pool, 1))
			})
			after := w.content()
			equal(t, "balances after the transaction went on", after.balances, before.balances)
			equal(t, "number of entries after the transaction went on", len(after.entries), len(before.entries)+2)
			equal(t, "Check", w.check(), nil)
		})
	}

	t.Run("the order of postings does not matter", func(t *testing.T) {
		w := w
		w.t = t
		w.post(entry("import", posting(two, -3), posting(one, -7), posting(two, 10)))
		equal(t, "source", read(w.fixture, func(r clearinghouse.Reader) (int64, error) { return r.Balance(account(one)) }), 3)
		equal(t, "target", read(w.fixture, func(r clearinghouse.Reader) (int64, error) { return r.Balance(account(two)) }), 7)
		equal(t, "Check", w.check(), nil)
	})
}

func testEntries(t *testing.T, h Harness) {
	w := newWorld(t, h)
	var want []clearinghouse.Entry
	for i := range int64(7) {
		e := move("sale", clearinghouse.Sold, clearinghouse.Pool, i+1)
		e.At = start.Add(time.Duration(i) * time.Microsecond)
		e.Key = fmt.Sprintf("key %d", i/2) // several entries of one operation
		want = append(want, e)
	}
	want[3].Postings = append(want[3].Postings, // kept as they came
		clearinghouse.Move(enterprise, licensing.PerUser, clearinghouse.Pool, clearinghouse.Sold, 0)...)
	want[4].Postings = append(want[4].Postings, want[4].Postings...)
	want[5].Postings = nil
	want[6].Key, want[6].Actor, want[6].At = "", "", time.Time{}
	w.post(want...)
	entries := func(after uint64, limit int) []clearinghouse.Entry {
		return read(w.fixture, func(r clearinghouse.Reader) ([]clearinghouse.Entry, error) { return r.Entries(after, limit) })
	}
	got := entries(0, 100)
	for i := range min(len(got), len(want)) {
		want[i].Seq = got[i].Seq
		if i > 0 && got[i].Seq <= got[i-1].Seq {
			t.Errorf("entry %d has the sequence number %d after %d", i, got[i].Seq, got[i-1].Seq)
		}
	}
	equal(t, "Entries", got, want)
	if t.Failed() {
		return
	}
	equal(t, "the first page", entries(0, 3), want[:3])
	equal(t, "the second page", entries(want[2].Seq, 3), want[3:6])
	equal(t, "the last page", entries(want[5].Seq, 3), want[6:])
	equal(t, "behind the last page", entries(want[6].Seq, 3), nil)
	equal(t, "after the largest number", entries(math.MaxUint64, 3), nil)
	equal(t, "a page of none", entries(0, 0), nil)
	equal(t, "a page of less than none", entries(0, -1), nil)
}
