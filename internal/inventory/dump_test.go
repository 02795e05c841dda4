package inventory_test

import (
	"context"
	"fmt"
	"strings"

	"calkeeper/internal/store"
)

// dump returns the whole history: the ledger's entries, and each license server's audit records.
func (w *world) dump() string {
	var b strings.Builder
	entries, err := w.house.service.Ledger(context.Background(), 0, 10000)
	w.must(err)
	for _, e := range entries {
		fmt.Fprintf(&b, "ledger %d: %s %.6s", e.Seq, e.Kind, e.Key)
		for _, p := range e.Postings {
			fmt.Fprintf(&b, "; %s type %d %s %+d", p.Entitlement, p.ProductType, p.Holder, p.Delta)
		}
		b.WriteByte('\n')
	}
	for _, m := range w.members {
		w.must(m.store.View(context.Background(), func(r store.Reader) error {
			records, err := r.AuditRecords(0, 10000)
			for _, a := range records {
				fmt.Fprintf(&b, "%s: %s, %s, key pack %d, %+d: %s\n", m.name, a.Actor, a.Action, a.KeyPackID, a.Delta, a.Detail)
			}
			return err
		}))
	}
	return b.String()
}
