package issuance_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// TestListing: CALs by ascending ID, whole or in pages, and only those that are asked for.
func TestListing(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh", ws2022, perDevice)
	const many = 2500
	requests := make([]issuance.Request, many)
	for i := range requests {
		requests[i] = device(fmt.Sprint("d", i))
		requests[i].Host = host
	}
	f.authenticate(requests)
	all := f.cals(everything)
	if len(all) != many || !slices.IsSortedFunc(all, func(a, b licensing.CAL) int { return int(a.ID) - int(b.ID) }) {
		t.Fatalf("%d CALs are listed, of %d", len(all), many)
	}
	seen := 0
	for c, err := range f.service.CALSummaries(context.Background()) {
		f.must(err)
		if c != all[seen].Summary() {
			t.Fatalf("CAL %d of the list is %+v; want %+v", seen, c, all[seen])
		}
		if seen++; seen == 1500 {
			break
		}
	}
	if seen != 1500 {
		t.Errorf("of a list that was left after 1500, %d CALs were read", seen)
	}
	for _, c := range []struct {
		limit int
		f     store.CALFilter
		want  []licensing.CAL
	}{
		{-1, everything, nil}, {0, everything, nil}, {1, everything, all[:1]}, {3, everything, all[:3]}, {5000, everything, all},
		{2, store.CALFilter{After: all[9].ID}, all[10:12]}, {2, store.CALFilter{After: all[many-1].ID}, nil},
		{5, store.CALFilter{Search: "D1234"}, all[1234:1235]}, {5, store.CALFilter{Holder: "id:d7"}, all[7:8]},
		{5, store.CALFilter{Status: licensing.StatusActive}, nil},
	} {
		got, err := f.service.CALPage(context.Background(), c.f, c.limit)
		f.must(err)
		if !slices.Equal(got, c.want) {
			t.Errorf("at most %d of %+v: %d CALs; want %d", c.limit, c.f, len(got), len(c.want))
		}
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	errs := 0
	for _, err := range f.service.CALSummaries(canceled) {
		if err != nil {
			errs++
		}
	}
	if errs != 1 {
		t.Errorf("a list that cannot be read ends with %d errors", errs)
	}
}
