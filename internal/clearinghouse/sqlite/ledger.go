package sqlite

import (
	"errors"
	"fmt"
	"slices"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

func scanAccount(r *row) clearinghouse.Account {
	return clearinghouse.Account{
		Entitlement: r.text(), ProductType: licensing.ProductType(r.uint32()), Holder: clearinghouse.Holder(r.text()),
	}
}

func scanBalance(r *row) clearinghouse.Balance {
	return clearinghouse.Balance{Account: scanAccount(r), Quantity: r.int64()}
}

// balance tells also whether the account was ever posted to.
func (r reader) balance(op string, a clearinghouse.Account) (quantity int64, known bool, err error) {
	found, err := all(r, op, `SELECT quantity FROM balances WHERE entitlement = ? AND product_type = ? AND holder = ?`,
		(*row).int64, a.Entitlement, a.ProductType, a.Holder)
	if err != nil || len(found) == 0 {
		return 0, false, err
	}
	return found[0], true, nil
}

func (r reader) Balance(a clearinghouse.Account) (int64, error) {
	quantity, _, err := r.balance("balance", a)
	return quantity, err
}

func (r reader) Balances(entitlement string) ([]clearinghouse.Balance, error) {
	return all(r, "balances", `SELECT entitlement, product_type, holder, quantity FROM balances WHERE entitlement = ?
		ORDER BY product_type, holder`, scanBalance, entitlement)
}

// Holdings come ordered by entitlement and product type.
func (r reader) Holdings(h clearinghouse.Holder) ([]clearinghouse.Balance, error) {
	return all(r, "holdings", `SELECT entitlement, product_type, holder, quantity FROM balances
		WHERE holder = ? AND quantity <> 0 ORDER BY entitlement, product_type`, scanBalance, h)
}

// Entries returns the first entries after that sequence number, at most limit; none if limit is not positive.
func (r reader) Entries(after uint64, limit int) ([]clearinghouse.Entry, error) {
	var entries []clearinghouse.Entry
	_, err := all(r, "entries", `SELECT e.seq, e.at, e.kind, e.key, e.actor, p.line, p.entitlement, p.product_type, p.holder, p.delta
		FROM (SELECT seq, at, kind, key, actor FROM entries WHERE seq > ? ORDER BY seq LIMIT `+limited+`) AS e
		LEFT JOIN postings AS p ON p.entry = e.seq ORDER BY e.seq, p.line`,
		func(r *row) struct{} {
			e := clearinghouse.Entry{Seq: r.uint64(), At: r.time(), Kind: r.text(), Key: r.text(), Actor: r.text()}
			if n := len(entries); n == 0 || entries[n-1].Seq != e.Seq {
				entries = append(entries, e)
			}
			if r.int64() > 0 {
				last := &entries[len(entries)-1]
				last.Postings = append(last.Postings, clearinghouse.Posting{Account: scanAccount(r), Delta: r.int64()})
			}
			return struct{}{}
		}, bound(after), max(limit, 0))
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// Post looks at what the entry does to each account as a whole: the order of its postings does not matter. A refused entry
// leaves no trace, even if the transaction goes on.
func (t tx) Post(e clearinghouse.Entry) error {
	changes, err := accountChanges(e.Postings)
	if err != nil {
		return err
	}
	for i := range changes {
		if err := t.apply(&changes[i]); err != nil {
			return err
		}
	}
	if err := t.savepoint("SAVEPOINT post"); err != nil {
		return err
	}
	if err := t.write(e, changes); err != nil {
		return errors.Join(err, t.savepoint("ROLLBACK TO post"), t.savepoint("RELEASE post"))
	}
	return t.savepoint("RELEASE post")
}

// change is what an entry does to one account.
type change struct {
	clearinghouse.Account
	delta    int64
	quantity int64 // afterwards
	known    bool  // the account was posted to before
}

// accountChanges sums the postings for each account, and checks that they sum to zero for each entitlement.
func accountChanges(postings []clearinghouse.Posting) ([]change, error) {
	refuse := func(entitlement, why string) ([]change, error) {
		return nil, &licensing.Fault{Kind: licensing.Internal, Op: "post", Msg: fmt.Sprintf("the postings to the entitlement %q %s", entitlement, why)}
	}
	var changes []change
	sums := map[string]int64{}
	for _, p := range postings {
		sum, ok := add(sums[p.Entitlement], p.Delta)
		if !ok {
			return refuse(p.Entitlement, "are larger than can be counted")
		}
		sums[p.Entitlement] = sum
		i := slices.IndexFunc(changes, func(c change) bool { return c.Account == p.Account })
		if i < 0 {
			changes = append(changes, change{Account: p.Account, delta: p.Delta})
			continue
		}
		if changes[i].delta, ok = add(changes[i].delta, p.Delta); !ok {
			return refuse(p.Entitlement, "are larger than can be counted")
		}
	}
	for _, c := range changes {
		if sum := sums[c.Entitlement]; sum != 0 {
			return refuse(c.Entitlement, fmt.Sprintf("sum to %+d; they must sum to zero", sum))
		}
	}
	return changes, nil
}

func add(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

// apply works out what the account holds after the change, and refuses what it cannot hold.
func (t tx) apply(c *change) error {
	held, known, err := t.balance("post", c.Account)
	if err != nil {
		return err
	}
	after, ok := add(held, c.delta)
	switch {
	case !ok:
		return &licensing.Fault{Kind: licensing.OutOfRange, Op: "post", Msg: describe(c.Account) + " would hold more than can be counted"}
	case after < 0 && c.Holder != clearinghouse.Sold:
		return &licensing.Fault{Kind: licensing.OutOfRange, Op: "post", Msg: fmt.Sprintf("%s holds %d CALs, %d fewer than are to be taken from it",
			describe(c.Account), held, -after)}
	}
	c.quantity, c.known = after, known
	return nil
}

func describe(a clearinghouse.Account) string {
	return fmt.Sprintf("the account %s of the entitlement %q, %s,", a.Holder, a.Entitlement, a.ProductType)
}

func (t tx) savepoint(statement string) error {
	if err := t.exec(statement); err != nil {
		return internal("post", err)
	}
	return nil
}

func (t tx) write(e clearinghouse.Entry, changes []change) error {
	err := t.exec(`INSERT INTO entries (at, kind, key, actor) VALUES (?, ?, ?, ?)`, instant(e.At), e.Kind, e.Key, e.Actor)
	if err != nil {
		return writeFault("post", "the entry", err)
	}
	seq := t.conn.LastInsertRowID()
	for i, p := range e.Postings {
		err := t.exec(`INSERT INTO postings (entry, line, entitlement, product_type, holder, delta) VALUES (?, ?, ?, ?, ?, ?)`,
			seq, i+1, p.Entitlement, p.ProductType, p.Holder, p.Delta)
		if err != nil {
			return writeFault("post", "the posting to "+describe(p.Account), err)
		}
	}
	for _, c := range changes {
		query := `INSERT INTO balances (quantity, entitlement, product_type, holder) VALUES (?, ?, ?, ?)`
		if c.known {
			query = `UPDATE balances SET quantity = ? WHERE entitlement = ? AND product_type = ? AND holder = ?`
		}
		if err := t.exec(query, c.quantity, c.Entitlement, c.ProductType, c.Holder); err != nil {
			return writeFault("post", describe(c.Account), err)
		}
	}
	return nil
}
