package clearinghouse_test

import (
	"fmt"
	"testing"

	"calkeeper/internal/licensing"
)

// Whoever reaches the clearinghouse can ask to be activated: that must not fill its database.
func TestFewWaitForApproval(t *testing.T) {
	o := newOffice(t)
	last := newServer(t, "last")
	for i := range 256 {
		v := newServer(t, fmt.Sprintf("ls%d", i))
		_, err := o.Activate(t.Context(), v.productID, v.request(""))
		wantKind(t, err, licensing.NotActivated)
	}
	_, err := o.Activate(t.Context(), last.productID, last.request(""))
	wantKind(t, err, licensing.Limited)
	if _, err := o.Activate(t.Context(), last.productID, last.request(o.own.EnrolmentKey)); err != nil {
		t.Errorf("with an enrolment key: %v", err)
	}
}
