package clearinghouse_test

import (
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

func TestSellRefuses(t *testing.T) {
	o := newOffice(t)
	t.Cleanup(o.close)
	sold := o.sell(licensing.Open, 1)
	good := func() clearinghouse.SellRequest {
		return clearinghouse.SellRequest{
			Organization: o.own.ID, Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: 7, Count: 1,
		}
	}
	for name, c := range map[string]struct {
		change func(*clearinghouse.SellRequest)
		want   licensing.Kind
	}{
		"no CALs":                    {func(r *clearinghouse.SellRequest) { r.Count = 0 }, licensing.Invalid},
		"too many CALs":              {func(r *clearinghouse.SellRequest) { r.Count = keycode.MaxQuantity + 1 }, licensing.Invalid},
		"version 1":                  {func(r *clearinghouse.SellRequest) { r.ProductVersion = 1 }, licensing.NotSupported},
		"version 9":                  {func(r *clearinghouse.SellRequest) { r.ProductVersion = 9 }, licensing.OutOfRange},
		"type 2":                     {func(r *clearinghouse.SellRequest) { r.ProductType = 2 }, licensing.Invalid},
		"no program":                 {func(r *clearinghouse.SellRequest) { r.Credentials.Program = "" }, licensing.Invalid},
		"no organization of two":     {func(r *clearinghouse.SellRequest) { r.Organization = "" }, licensing.Invalid},
		"an unknown organization":    {func(r *clearinghouse.SellRequest) { r.Organization = "none" }, licensing.NotFound},
		"an expiry in the past":      {func(r *clearinghouse.SellRequest) { r.Expires = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) }, licensing.Invalid},
		"an expiry too far":          {func(r *clearinghouse.SellRequest) { r.Expires = time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC) }, licensing.Invalid},
		"an agreement of type 6":     {func(r *clearinghouse.SellRequest) { r.Credentials.AgreementType = 6 }, licensing.Invalid},
		"an agreement of six digits": {func(r *clearinghouse.SellRequest) { r.Credentials.AgreementNumber = "123456" }, licensing.Invalid},
		"a retail code of one's own": {func(r *clearinghouse.SellRequest) {
			r.Credentials = licensing.Credentials{Program: licensing.Retail, LicenseCode: strings.Repeat("R", 25)}
		}, licensing.Invalid},
		"an open license with hyphens": {func(r *clearinghouse.SellRequest) {
			r.Credentials = licensing.Credentials{Program: licensing.Open, LicenseNumber: "1234-678"}
		}, licensing.Invalid},
		"an open license with another authorization number": {func(r *clearinghouse.SellRequest) {
			r.Credentials = sold.Credentials
			r.Credentials.AuthorizationNumber = other(r.Credentials.AuthorizationNumber)
		}, licensing.AlreadyExists},
		"more of something with another expiry": {func(r *clearinghouse.SellRequest) {
			r.Credentials, r.Expires = sold.Credentials, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		}, licensing.AlreadyExists},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			c.change(&r)
			before := o.state()
			_, err := o.Sell(t.Context(), r)
			wantKind(t, err, c.want)
			if o.state() != before {
				t.Error("the ledger has changed")
			}
		})
	}
}

// TestSellMore adds to what was sold before, by the same numbers.
func TestSellMore(t *testing.T) {
	o := newOffice(t)
	t.Cleanup(o.close)
	for _, program := range []licensing.Program{licensing.Open, licensing.Agreement} {
		first := o.sell(program, 10)
		request := clearinghouse.SellRequest{
			Organization: o.own.ID, Credentials: first.Credentials, ProductVersion: 7, ProductType: 1, Count: 5,
		}
		request.Credentials.AuthorizationNumber = strings.ToLower(request.Credentials.AuthorizationNumber)
		more := o.sellAs(request)
		if more.Entitlement != first.Entitlement {
			t.Errorf("%s: the second sale made an entitlement of its own", program)
		}
		o.wantBalance(first, licensing.PerDevice, nil, clearinghouse.Pool, 10)
		o.wantBalance(first, licensing.PerUser, nil, clearinghouse.Pool, 5)
		request.ProductVersion = 3
		newer := o.sellAs(request)
		if newer.Entitlement == first.Entitlement || newer.ProductVersion != 2 {
			t.Errorf("%s: version 3 was sold as %+v", program, newer)
		}
		// The numbers of another organization are its own affair.
		request.Organization = o.other.ID
		if theirs := o.sellAs(request); theirs.Entitlement == newer.Entitlement {
			t.Errorf("%s: two organizations share an entitlement", program)
		}
	}
	a := o.sell(licensing.Retail, 3)
	b := o.sell(licensing.Retail, 3)
	if a.Entitlement == b.Entitlement || a.Credentials.LicenseCode == b.Credentials.LicenseCode {
		t.Error("two retail codes are one")
	}
	if _, err := keycode.CheckRetail(a.Credentials.LicenseCode); err != nil {
		t.Error(err)
	}
	wrong, err := o.Check(t.Context())
	if err != nil || len(wrong) > 0 {
		t.Errorf("the ledger: %q, %v", wrong, err)
	}
}

func TestIssueCodeRefuses(t *testing.T) {
	s := newScene(t)
	for name, c := range map[string]struct {
		change func(*clearinghouse.CodeRequest)
		want   licensing.Kind
	}{
		"no CALs":                    {func(r *clearinghouse.CodeRequest) { r.Count = 0 }, licensing.Invalid},
		"more than the pool has":     {func(r *clearinghouse.CodeRequest) { r.Count = 10 }, licensing.OutOfRange},
		"more than a code carries":   {func(r *clearinghouse.CodeRequest) { r.Count = keycode.MaxQuantity + 1 }, licensing.Invalid},
		"type 2":                     {func(r *clearinghouse.CodeRequest) { r.ProductType = 2 }, licensing.Invalid},
		"a type that was not bought": {func(r *clearinghouse.CodeRequest) { r.ProductType = 1 }, licensing.OutOfRange},
		"an unknown entitlement":     {func(r *clearinghouse.CodeRequest) { r.Entitlement = "none" }, licensing.NotFound},
		"another's entitlement":      {func(r *clearinghouse.CodeRequest) { r.Entitlement = s.theirs.Entitlement }, licensing.Denied},
		"a malformed target":         {func(r *clearinghouse.CodeRequest) { r.Target = other(r.Target) }, licensing.Invalid},
		"no target":                  {func(r *clearinghouse.CodeRequest) { r.Target = "" }, licensing.Invalid},
		"an unknown target":          {func(r *clearinghouse.CodeRequest) { r.Target = newScene(t).b.id }, licensing.NotFound},
		"a malformed source":         {func(r *clearinghouse.CodeRequest) { r.Source = "none" }, licensing.Invalid},
		"an unknown source":          {func(r *clearinghouse.CodeRequest) { r.Source = newScene(t).a.id }, licensing.NotFound},
		"the target as source":       {func(r *clearinghouse.CodeRequest) { r.Source = r.Target }, licensing.Invalid},
		"another's source":           {func(r *clearinghouse.CodeRequest) { r.Source = s.stranger.id }, licensing.Invalid},
		"more than the source has":   {func(r *clearinghouse.CodeRequest) { r.Source, r.Count = s.a.id, 11 }, licensing.OutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			r := clearinghouse.CodeRequest{Entitlement: s.agreement.Entitlement, Count: 1, Target: s.b.id}
			c.change(&r)
			before := s.state()
			_, err := s.IssueCode(t.Context(), r)
			wantKind(t, err, c.want)
			if s.state() != before {
				t.Error("something has changed")
			}
		})
	}
}

// TestIssueCode makes codes for people to type.
func TestIssueCode(t *testing.T) {
	s := newScene(t)
	code, err := s.IssueCode(t.Context(), clearinghouse.CodeRequest{
		Entitlement: s.agreement.Entitlement, Count: 2, Target: strings.ToLower(keycode.Groups(s.b.id)), Source: keycode.Groups(s.a.id),
	})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.keys.Authority().Secret(s.b.identity)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := keycode.Open(code.Code, keycode.Import, secret, keycode.Binding{Target: s.b.id, Source: s.a.id})
	if want := (keycode.Code{Kind: keycode.Import, ProductVersion: 7, Quantity: 2, Serial: code.Serial}); err != nil || opened != want {
		t.Errorf("the code says %+v, %v; want %+v", opened, err, want)
	}
	codes, err := s.Codes(t.Context())
	if err != nil || len(codes) != 1 || codes[0].FirstGroup != code.Code[:5] || !codes[0].Import || codes[0].State != clearinghouse.CodeIssued {
		t.Errorf("the codes are %+v, %v", codes, err)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, s.a, "", 10) // until it is seen again
	s.do(s.b, s.useCode(code.Code, s.a))
	s.wantBalance(s.agreement, licensing.PerDevice, s.a, "", 8)
}

func TestOrganizations(t *testing.T) {
	o := newOffice(t)
	t.Cleanup(o.close)
	for _, name := range []string{"", strings.Repeat("x", 201)} {
		_, err := o.CreateOrganization(t.Context(), name)
		wantKind(t, err, licensing.Invalid)
	}
	list, err := o.Organizations(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("the organizations are %+v, %v", list, err)
	}
	for _, limit := range []int{0, -1, 10001} {
		_, err := o.Ledger(t.Context(), 0, limit)
		wantKind(t, err, licensing.Invalid)
	}
	theirs := o.sellAs(clearinghouse.SellRequest{
		Organization: o.other.ID, Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: 7, Count: 20,
	})
	views, err := o.Entitlements(t.Context(), o.other.ID)
	if err != nil || len(views) != 1 || views[0].ID != theirs.Entitlement || len(views[0].Balances) != 2 {
		t.Errorf("the entitlements are %+v, %v", views, err)
	}
	if views, err = o.Entitlements(t.Context(), o.own.ID); err != nil || len(views) != 0 {
		t.Errorf("the own entitlements are %+v, %v", views, err)
	}
}
