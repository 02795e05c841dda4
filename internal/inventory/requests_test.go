package inventory_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
)

// TestRequestsRefused are wrong whatever the clearinghouse says, which is therefore not asked.
func TestRequestsRefused(t *testing.T) {
	w, a, b, s := newPair(t)
	ctx := t.Context()
	good := inventory.Purchase{ProductVersion: 7, Count: 1}
	number := s.Credentials.AgreementNumber
	agreement := func(number string, p inventory.Purchase, source *inventory.Source) error {
		kind := clearinghouse.Install
		if source != nil {
			kind = clearinghouse.Import
		}
		_, err := a.inventory.Agreement(ctx, "admin", kind, 0, number, p, source)
		return err
	}
	open := func(license, authorization string) error {
		_, err := a.inventory.Open(ctx, "admin", clearinghouse.Install, license, authorization, good, nil)
		return err
	}
	retail := func(code string) error {
		_, err := a.inventory.Retail(ctx, "admin", clearinghouse.Install, code, nil)
		return err
	}
	convert := func(pack, count uint32) error {
		_, err := a.inventory.Convert(ctx, "admin", pack, count)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want licensing.Kind
	}{
		"no CALs":                          {agreement(number, inventory.Purchase{ProductVersion: 7}, nil), licensing.Invalid},
		"version 0":                        {agreement(number, inventory.Purchase{ProductVersion: 0, Count: 1}, nil), licensing.NotSupported},
		"version 1":                        {agreement(number, inventory.Purchase{ProductVersion: 1, Count: 1}, nil), licensing.NotSupported},
		"version 9":                        {agreement(number, inventory.Purchase{ProductVersion: 9, Count: 1}, nil), licensing.OutOfRange},
		"type 2":                           {agreement(number, inventory.Purchase{ProductVersion: 7, ProductType: 2, Count: 1}, nil), licensing.Invalid},
		"the built-in type":                {agreement(number, inventory.Purchase{ProductVersion: 7, ProductType: 3, Count: 1}, nil), licensing.Invalid},
		"a short agreement number":         {agreement(number[1:], good, nil), licensing.Invalid},
		"an agreement number of letters":   {agreement("ABCDEFG", good, nil), licensing.Invalid},
		"an agreement number with hyphen":  {agreement("123-456", good, nil), licensing.Invalid},
		"a short license number":           {open("1234567", strings.Repeat("A", 15)), licensing.Invalid},
		"a long authorization number":      {open("12345678", strings.Repeat("A", 16)), licensing.Invalid},
		"an authorization number with é":   {open("12345678", strings.Repeat("A", 13)+"é"), licensing.Invalid},
		"a short retail code":              {retail("R"), licensing.Invalid},
		"no retail code":                   {retail(strings.Repeat("0", 25)), licensing.Invalid},
		"no source name":                   {agreement(number, good, &inventory.Source{ID: b.id()}), licensing.Invalid},
		"a source name with a space":       {agreement(number, good, &inventory.Source{Name: "a b", ID: b.id()}), licensing.Invalid},
		"a number as source name":          {agreement(number, good, &inventory.Source{Name: "1.2.3", ID: b.id()}), licensing.Invalid},
		"no source ID":                     {agreement(number, good, &inventory.Source{Name: b.name}), licensing.Invalid},
		"a mistyped source ID":             {agreement(number, good, &inventory.Source{Name: b.name, ID: "0" + b.id()[1:]}), licensing.Invalid},
		"oneself as source":                {agreement(number, good, a.sourceOf()), licensing.Invalid},
		"a conversion of no CALs":          {convert(3, 0), licensing.Invalid},
		"a conversion of the built-in":     {convert(2, 1), licensing.NotSupported},
		"a conversion of nothing":          {convert(3, 1), licensing.NotFound},
		"a removal of no CALs":             {a.remove(3, 0), licensing.Invalid},
		"a removal of the built-in":        {a.remove(2, 1), licensing.NotSupported},
		"a removal of nothing":             {a.remove(3, 1), licensing.NotFound},
		"a removal of all of the built-in": {a.inventory.RemoveAll(ctx, "admin", 2), licensing.NotSupported},
		"a removal of all of nothing":      {a.inventory.RemoveAll(ctx, "admin", 3), licensing.NotFound},
		"a removal of a kind not here":     {a.inventory.RemoveKind(ctx, "admin", good), licensing.NotFound},
		"a removal of a kind of version 1": {a.inventory.RemoveKind(ctx, "admin", inventory.Purchase{ProductVersion: 1, Count: 1}), licensing.NotSupported},
		"a removal of a kind of type 2":    {a.inventory.RemoveKind(ctx, "admin", inventory.Purchase{ProductVersion: 7, ProductType: 2, Count: 1}), licensing.Invalid},
		"a removal of no CALs of a kind":   {a.inventory.RemoveKind(ctx, "admin", inventory.Purchase{ProductVersion: 7}), licensing.Invalid},
	} {
		if c.err == nil || licensing.KindOf(c.err) != c.want {
			t.Errorf("%s: got %v; want a fault that is %s", name, c.err, c.want)
		}
	}
	if len(w.granting) > 0 {
		t.Errorf("the clearinghouse was asked for %d operations", len(w.granting))
	}
}

// TestNotActivated: a license server without ID asks for nothing.
func TestNotActivated(t *testing.T) {
	w := newWorld(t, t.TempDir(), 1, 1)
	t.Cleanup(w.close)
	a, s := w.members[0], w.sell(nil, licensing.Agreement, 7, 0, 10)
	_, err := a.request(clearinghouse.Install, s, 0, 1, nil)
	w.wantKind(licensing.NotActivated, err)
	_, err = a.convert(3, 1)
	w.wantKind(licensing.NotActivated, err)
	w.wantKind(licensing.NotActivated, a.poll())
	w.must(a.activate())
	w.done(a.request(clearinghouse.Install, s, 0, 1, nil))
}

// TestInstall looks at the key packs of each program.
func TestInstall(t *testing.T) {
	w, a, _, s := newPair(t)
	open := w.sell(nil, licensing.Open, 3, 1, 10)
	retail := w.sell(nil, licensing.Retail, 8, 0, 5)
	w.done(a.request(clearinghouse.Install, s, 0, 2, nil))
	w.done(a.request(clearinghouse.Install, open, 1, 3, nil))
	w.done(a.request(clearinghouse.Install, retail, 0, 0, nil))
	installed := w.now.Truncate(time.Second)
	want := []licensing.KeyPack{
		licensing.BuiltInKeyPack(),
		{ID: 3, Type: licensing.KeyPackVolume, ProductVersion: 7, Total: 2, Entitlement: s.Entitlement},
		{ID: 4, Type: licensing.KeyPackOpen, ProductVersion: 2, ProductType: 1, Total: 3, Entitlement: open.Entitlement},
		{ID: 5, Type: licensing.KeyPackRetail, ProductVersion: 8, Total: 5, Entitlement: retail.Entitlement},
	}
	got, err := collect(a.inventory.KeyPacks(t.Context()))
	w.must(err)
	for i := range want {
		if i > 0 {
			want[i].Installed, want[i].Expires = installed, licensing.PerpetualExpiry(installed)
		}
		one, err := a.inventory.KeyPack(t.Context(), want[i].ID)
		w.must(err)
		if i >= len(got) || got[i] != want[i] || one != want[i] {
			t.Errorf("key pack %d: got %+v; want %+v", want[i].ID, one, want[i])
		}
	}
	if a.inventory.DatabasePath() != a.path() {
		t.Errorf("the database is said to be %s", a.inventory.DatabasePath())
	}
	w.settleAll()
}

// TestExpiringCALs keeps the expiry that was sold.
func TestExpiringCALs(t *testing.T) {
	w, a, _, _ := newPair(t)
	sold, err := w.house.service.Sell(t.Context(), clearinghouse.SellRequest{
		Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: 7, Count: 10, Expires: w.now.AddDate(0, 1, 0),
	})
	w.must(err)
	s := &sale{Sale: sold, sold: 10}
	w.sales = append(w.sales, s)
	w.done(a.request(clearinghouse.Install, s, 0, 2, nil))
	end := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	if got := a.packs()[0].Expires; !got.Equal(end) {
		t.Errorf("the key pack expires at %s; want %s", got, end)
	}
	code, err := w.issue(s, 0, 2, a, nil)
	w.must(err)
	w.now = end
	_, err = a.useCode(clearinghouse.Install, code)
	w.wantKind(licensing.NotFound, err)
	_, err = a.request(clearinghouse.Install, s, 0, 2, nil)
	w.wantKind(licensing.NotFound, err)
	w.settleAll()
}

// TestSameAgain: an administrator whose call got no answer makes it again, and it is done once.
func TestSameAgain(t *testing.T) {
	for _, lost := range []fault{requestLost, replyLost, replyGarbled} {
		w, a, b, s := newPair(t)
		pack := w.done(a.request(clearinghouse.Install, s, 0, 20, nil))
		w.done(b.request(clearinghouse.Install, s, 0, 20, nil))
		for name, c := range map[string]struct {
			call   func() (uint32, error)
			change int64
		}{
			"install": {func() (uint32, error) { return a.request(clearinghouse.Install, s, 0, 10, nil) }, 10},
			"import":  {func() (uint32, error) { return a.request(clearinghouse.Import, s, 0, 10, b.sourceOf()) }, 10},
			"convert": {func() (uint32, error) { return a.convert(pack, 10) }, 0},
		} {
			before := a.total()
			w.plan = plan{faults: []fault{lost}}
			_, err := c.call()
			w.wantKind(licensing.Unavailable, err)
			if a.total() != before {
				t.Errorf("%s: without an answer %d CALs are installed", name, a.total())
			}
			w.done(c.call())
			if a.total() != before+c.change {
				t.Errorf("%s, %s: %d CALs are installed; want %d", name, lost, a.total(), before+c.change)
			}
		}
		w.settleAll()
	}
}

// TestRefusedAfterAll: an operation whose answer was lost turns out to be refused. It leaves nothing behind.
func TestRefusedAfterAll(t *testing.T) {
	w, a, b, s := newPair(t)
	pack := w.done(a.request(clearinghouse.Install, s, 0, 20, nil))
	w.plan = plan{faults: []fault{requestLost}}
	_, err := a.convert(pack, 20)
	w.wantKind(licensing.Unavailable, err)
	w.wantKind(licensing.OutOfRange, a.remove(pack, 1)) // it is held
	w.done(b.request(clearinghouse.Import, s, 0, 20, a.sourceOf()))
	w.must(a.settle())
	w.settleAll()
	if len(a.packs()) != 0 {
		t.Errorf("the key packs are %+v", a.packs())
	}
}

// TestRemove takes CALs away and gives them back to the pool.
func TestRemove(t *testing.T) {
	w, a, _, s := newPair(t)
	first := w.done(a.request(clearinghouse.Install, s, 0, 5, nil))
	second := w.done(a.request(clearinghouse.Install, s, 0, 5, nil))
	w.wantKind(licensing.OutOfRange, a.remove(first, 6))
	w.must(a.remove(first, 2))
	kind := func(count uint32) error {
		return a.call(func(ctx context.Context) error {
			return a.inventory.RemoveKind(ctx, "admin", inventory.Purchase{ProductVersion: 7, Count: count})
		})
	}
	w.wantKind(licensing.OutOfRange, kind(9))
	w.must(kind(4)) // 3 of the first, which is gone then, and 1 of the second
	if packs := a.packs(); len(packs) != 1 || packs[0].ID != second || packs[0].Total != 4 {
		t.Errorf("the key packs are %+v", packs)
	}
	w.must(a.call(func(ctx context.Context) error { return a.inventory.RemoveAll(ctx, "admin", second) }))
	w.settleAll()
	if pool := w.balance(s.Entitlement, licensing.PerDevice, clearinghouse.Pool); pool != 100 || len(a.packs()) != 0 {
		t.Errorf("the pool has %d CALs; the key packs are %+v", pool, a.packs())
	}
	third := w.done(a.request(clearinghouse.Install, s, 0, 1, nil))
	if third <= second {
		t.Errorf("key pack ID %d was given out again", third)
	}
}

// TestConvert turns CALs into the other type and back.
func TestConvert(t *testing.T) {
	w, a, _, s := newPair(t)
	device := w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	user := w.done(a.convert(device, 4))
	w.done(a.convert(user, 4))
	w.wantKind(licensing.NotFound, func() error { _, err := a.convert(user, 1); return err }())
	_, err := a.convert(device, 7)
	w.wantKind(licensing.OutOfRange, err)
	w.settleAll()
	if n := a.installed(s.Entitlement, licensing.PerDevice); n != 10 {
		t.Errorf("%d per device CALs are installed; want 10", n)
	}
}
