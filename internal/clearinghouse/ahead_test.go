package clearinghouse_test

import (
	"testing"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// A ledger restored from an older copy would give the number of a notice twice: the source would take the second for applied,
// and the CALs would exist twice.
func TestLedgerRestoredFromAnOlderCopy(t *testing.T) {
	o := newOffice(t)
	a, b := o.enrol(o.own, "a"), o.enrol(o.own, "b")
	s := o.sell(licensing.Agreement, 20)
	o.do(a, o.install(s, 10))
	for range 2 { // it asks again and again
		_, err := o.Poll(t.Context(), a.productID, 3, 0)
		wantKind(t, err, licensing.Invalid)
	}
	if v := o.registered(a); !v.Ahead() || v.AckedSeq != 3 {
		t.Fatalf("the license server that has applied notice 3 is recorded with %d of %d", v.AckedSeq, v.NoticeSeq)
	}
	_, err := o.Perform(t.Context(), b.productID, o.importOf(s, 1, a))
	wantKind(t, err, licensing.Limited)
	o.wantBalance(s, licensing.PerDevice, a, "", 10)
	o.wantBalance(s, licensing.PerDevice, b, "", 0)
	o.wantBalance(s, licensing.PerDevice, nil, clearinghouse.Pool, 10)

	// With a new database it has applied nothing, and is ahead no more.
	notices := o.poll(a, 0)
	if v := o.registered(a); len(notices) != 0 || v.Ahead() {
		t.Fatalf("it starts again with %d notices, at %d of %d", len(notices), v.AckedSeq, v.NoticeSeq)
	}
	o.do(b, o.importOf(s, 1, a))
	o.wantBalance(s, licensing.PerDevice, b, "", 1)
}
