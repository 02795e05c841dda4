package clearinghouse_test

import (
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// scene is an office with license servers and sales, to be asked for what it must refuse.
type scene struct {
	*office
	a, b, stranger, retired         *server
	agreement, open, retail, theirs clearinghouse.Sale
}

// newScene sells 20 CALs under each program and installs 10 of the agreement and the retail code on a.
func newScene(t *testing.T) *scene {
	t.Helper()
	o := newOffice(t)
	t.Cleanup(o.close)
	s := &scene{office: o}
	s.a = o.enrol(o.own, "a.example.net", "a-alias.example.net", "192.0.2.1", "2001:db8::1")
	s.b = o.enrol(o.own, "b")
	s.retired = o.enrol(o.own, "retired.example.net")
	s.stranger = o.enrol(o.other, "stranger.example.net")
	s.agreement, s.open, s.retail = o.sell(licensing.Agreement, 20), o.sell(licensing.Open, 20), o.sell(licensing.Retail, 20)
	s.theirs = o.sellAs(clearinghouse.SellRequest{
		Organization: o.other.ID, Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: 7, Count: 20,
	})
	o.do(s.a, o.install(s.agreement, 10))
	o.do(s.a, o.install(s.retail, 0))
	o.do(s.retired, o.install(s.agreement, 1))
	if err := o.Deactivate(t.Context(), s.retired.productID); err != nil {
		t.Fatal(err)
	}
	return s
}

// other returns a number that differs in its last digit.
func other(number string) string {
	last := byte('0')
	if number[len(number)-1] == '0' {
		last = '1'
	}
	return number[:len(number)-1] + string(last)
}

func TestPerformRefuses(t *testing.T) {
	s := newScene(t)
	installCode := s.issue(s.agreement, 2, s.b, nil)
	importCode := s.issue(s.agreement, 2, s.b, s.a)
	canceled := s.issue(s.agreement, 1, s.b, nil)
	if _, err := s.CancelCode(t.Context(), canceled.Serial); err != nil {
		t.Fatal(err)
	}
	used := s.issue(s.agreement, 1, s.b, nil)
	s.do(s.b, s.useCode(used.Code, nil))
	expired := s.sellAs(clearinghouse.SellRequest{
		Organization: s.own.ID, Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: 7, Count: 9,
		Expires: s.clock.Now().Add(time.Hour),
	})
	s.clock.advance(60 * 24 * time.Hour)

	edit := func(op clearinghouse.Operation, f func(*clearinghouse.Operation)) clearinghouse.Operation {
		f(&op)
		return op
	}
	install := func(f func(*clearinghouse.Operation)) clearinghouse.Operation {
		return edit(s.office.install(s.agreement, 1), f)
	}
	imports := func(f func(*clearinghouse.Operation)) clearinghouse.Operation {
		return edit(s.importOf(s.agreement, 1, s.a), f)
	}
	reinstall := func(count uint32, installed ...clearinghouse.Holding) clearinghouse.Operation {
		return edit(s.office.install(s.agreement, count), func(op *clearinghouse.Operation) {
			op.Kind, op.Installed = clearinghouse.Reinstall, installed
		})
	}
	for _, c := range []struct {
		name string
		who  *server
		op   clearinghouse.Operation
		want licensing.Kind
	}{
		{"a wrong agreement number", s.b, install(func(op *clearinghouse.Operation) {
			op.Credentials.AgreementNumber = other(op.Credentials.AgreementNumber)
		}), licensing.NotFound},
		{"the right number of another agreement type", s.b, install(func(op *clearinghouse.Operation) {
			op.Credentials.AgreementType = licensing.Campus
		}), licensing.NotFound},
		{"a wrong license number", s.b, edit(s.office.install(s.open, 1), func(op *clearinghouse.Operation) {
			op.Credentials.LicenseNumber = other(op.Credentials.LicenseNumber)
		}), licensing.NotFound},
		{"a wrong authorization number", s.b, edit(s.office.install(s.open, 1), func(op *clearinghouse.Operation) {
			op.Credentials.AuthorizationNumber = other(op.Credentials.AuthorizationNumber)
		}), licensing.NotFound},
		{"no authorization number", s.b, edit(s.office.install(s.open, 1), func(op *clearinghouse.Operation) {
			op.Credentials.AuthorizationNumber = ""
		}), licensing.NotFound},
		{"an open license as an agreement", s.b, edit(s.office.install(s.open, 1), func(op *clearinghouse.Operation) {
			op.Credentials.Program, op.Credentials.AgreementNumber = licensing.Agreement, op.Credentials.LicenseNumber
		}), licensing.NotFound},
		{"another organization's agreement", s.b, s.office.install(s.theirs, 1), licensing.NotFound},
		{"an own agreement from another organization", s.stranger, s.office.install(s.agreement, 1), licensing.NotFound},
		{"a version that was never bought", s.b, install(func(op *clearinghouse.Operation) { op.ProductVersion = 8 }), licensing.NotFound},
		{"a type that was never bought", s.b, install(func(op *clearinghouse.Operation) { op.ProductType = licensing.PerUser }), licensing.NotFound},
		{"a type that there is not", s.b, install(func(op *clearinghouse.Operation) { op.ProductType = 77 }), licensing.NotFound},
		{"a program that there is not", s.b, install(func(op *clearinghouse.Operation) { op.Credentials.Program = "gift" }), licensing.Invalid},
		{"no credentials", s.b, install(func(op *clearinghouse.Operation) { op.Credentials = licensing.Credentials{} }), licensing.Invalid},
		{"more than the pool has", s.b, install(func(op *clearinghouse.Operation) { op.Count = 7 }), licensing.OutOfRange},
		{"far more than the pool has", s.b, install(func(op *clearinghouse.Operation) { op.Count = 1<<32 - 1 }), licensing.OutOfRange},
		{"no CALs", s.b, install(func(op *clearinghouse.Operation) { op.Count = 0 }), licensing.Invalid},
		{"CALs that have expired", s.b, s.office.install(expired, 1), licensing.NotFound},
		{"a retail code that was used", s.b, s.office.install(s.retail, 0), licensing.AlreadyExists},
		{"a retail code that was never sold", s.b, edit(s.office.install(s.retail, 0), func(op *clearinghouse.Operation) {
			op.Credentials.LicenseCode = strings.Repeat("R", 25)
		}), licensing.NotFound},
		{"a retail code from another organization", s.stranger, s.office.install(s.retail, 0), licensing.NotFound},

		{"an import of more than the source holds", s.b, imports(func(op *clearinghouse.Operation) { op.Count = 11 }), licensing.OutOfRange},
		{"an import of more than the source may give", s.b, imports(func(op *clearinghouse.Operation) { op.Count = 9 }), licensing.OutOfRange},
		{"an import of no CALs", s.b, imports(func(op *clearinghouse.Operation) { op.Count = 0 }), licensing.Invalid},
		{"an import from a source that is not known", s.b, imports(func(op *clearinghouse.Operation) {
			op.SourceID = newScene(t).a.id
		}), licensing.NotFound},
		{"an import from another organization's license server", s.b, imports(func(op *clearinghouse.Operation) {
			op.SourceID, op.SourceName = s.stranger.id, s.stranger.name
		}), licensing.NotFound},
		{"an import from oneself", s.a, s.importOf(s.agreement, 1, s.a), licensing.Invalid},
		{"a malformed source ID", s.b, imports(func(op *clearinghouse.Operation) { op.SourceID = op.SourceID[:34] }), licensing.Invalid},
		{"a product ID as source ID", s.b, imports(func(op *clearinghouse.Operation) { op.SourceID = s.a.productID }), licensing.Invalid},
		{"no source ID", s.b, imports(func(op *clearinghouse.Operation) { op.SourceID = "" }), licensing.Invalid},
		{"no source name", s.b, imports(func(op *clearinghouse.Operation) { op.SourceName = "" }), licensing.Invalid},
		{"a malformed source name", s.b, imports(func(op *clearinghouse.Operation) { op.SourceName = "a..example.net" }), licensing.Invalid},
		{"a source name of another host", s.b, imports(func(op *clearinghouse.Operation) { op.SourceName = "c.example.net" }), licensing.NotFound},
		{"a source name in another domain", s.b, imports(func(op *clearinghouse.Operation) { op.SourceName = "a.example.org" }), licensing.NotFound},
		{"a source address of another host", s.b, imports(func(op *clearinghouse.Operation) { op.SourceName = "192.0.2.2" }), licensing.NotFound},
		{"a retail code that the source does not hold", s.a, s.importOf(s.retail, 0, s.b), licensing.NotFound},

		{"a code that was used", s.b, s.useCode(used.Code, nil), licensing.AlreadyExists},
		{"a code that was canceled", s.b, s.useCode(canceled.Code, nil), licensing.NotFound},
		{"a code with a wrong group", s.b, s.useCode(other(installCode.Code), nil), licensing.Invalid},
		{"a code in groups", s.b, s.useCode(keycode.Groups(installCode.Code), nil), licensing.Invalid},
		{"an import code as an install code", s.b, s.useCode(importCode.Code, nil), licensing.Invalid},
		{"an install code as an import code", s.b, s.useCode(installCode.Code, s.a), licensing.Invalid},
		{"a license server ID as an install code", s.b, s.useCode(s.b.id, nil), licensing.Invalid},
		{"another license server's install code", s.a, s.useCode(installCode.Code, nil), licensing.Invalid},
		{"another license server's import code", s.a, s.useCode(importCode.Code, s.b), licensing.Invalid},
		{"an import code with another source", s.b, s.useCode(importCode.Code, s.retired), licensing.Invalid},
		{"an import code with a wrong source name", s.b, edit(s.useCode(importCode.Code, s.a), func(op *clearinghouse.Operation) {
			op.SourceName = "c.example.net"
		}), licensing.NotFound},

		{"a reinstallation of more than is missing", s.a, reinstall(4, clearinghouse.Holding{Entitlement: s.agreement.Entitlement, Count: 7}), licensing.OutOfRange},
		{"a reinstallation of what is installed", s.a, reinstall(1, clearinghouse.Holding{Entitlement: s.agreement.Entitlement, Count: 10}), licensing.AlreadyExists},
		{"a reinstallation of what was never installed", s.b, edit(s.office.install(s.open, 1), func(op *clearinghouse.Operation) {
			op.Kind = clearinghouse.Reinstall
		}), licensing.NotFound},
		{"a reinstallation by a code that was not used", s.b, edit(s.useCode(installCode.Code, nil), func(op *clearinghouse.Operation) {
			op.Kind = clearinghouse.Reinstall
		}), licensing.NotFound},
		{"a reinstallation of no CALs", s.a, reinstall(0), licensing.Invalid},

		{"a conversion of more than is held", s.a, s.office.convert(s.agreement, 11), licensing.OutOfRange},
		{"a conversion of CALs that are promised", s.a, s.office.convert(s.agreement, 9), licensing.OutOfRange},
		{"a conversion of no CALs", s.a, s.office.convert(s.agreement, 0), licensing.Invalid},
		{"a conversion of a type that there is not", s.a, edit(s.office.convert(s.agreement, 1), func(op *clearinghouse.Operation) { op.ProductType = 9 }), licensing.OutOfRange},
		{"a conversion of an entitlement that there is not", s.a, edit(s.office.convert(s.agreement, 1), func(op *clearinghouse.Operation) { op.Entitlement = "none" }), licensing.NotFound},
		{"a conversion of another organization's entitlement", s.a, s.office.convert(s.theirs, 1), licensing.NotFound},
		{"a return of another organization's entitlement", s.a, s.giveBack(s.theirs, 1), licensing.NotFound},
		{"a return of no CALs", s.a, s.giveBack(s.agreement, 0), licensing.Invalid},

		{"a license server that is deactivated", s.retired, s.office.install(s.agreement, 1), licensing.NotActivated},
		{"a license server that is not known", newServer(t, "unknown"), s.office.install(s.agreement, 1), licensing.NotActivated},
		{"a kind that there is not", s.b, install(func(op *clearinghouse.Operation) { op.Kind = "steal" }), licensing.Invalid},
		{"a key that is too short", s.b, install(func(op *clearinghouse.Operation) { op.Key = "123456789012345" }), licensing.Invalid},
		{"a key that is too long", s.b, install(func(op *clearinghouse.Operation) { op.Key = strings.Repeat("1", 65) }), licensing.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.state()
			_, err := s.Perform(t.Context(), c.who.productID, c.op)
			wantKind(t, err, c.want)
			if after := s.state(); after != before {
				t.Errorf("a refused operation changed\n%s\nto\n%s", before, after)
			}
			for _, secret := range []string{c.op.Code, c.op.Credentials.LicenseCode, c.op.Credentials.AuthorizationNumber} {
				if len(secret) > 5 && err != nil && strings.Contains(err.Error(), secret[:len(secret)-1]) {
					t.Errorf("the fault tells a secret: %v", err)
				}
			}
		})
	}
}

// TestSourceNames lists names that do not contradict what the source registered.
func TestSourceNames(t *testing.T) {
	s := newScene(t)
	s.do(s.b, s.office.install(s.agreement, 3))
	for _, name := range []string{
		"a.example.net", "A.Example.NET", "a.example.net.", "a", "A", "a-alias.example.net", "a-alias",
		"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:0DB8:0:0::1", "[2001:db8::1]",
	} {
		op := s.importOf(s.agreement, 1, s.a)
		op.Count, op.SourceName = 1, name
		if _, err := s.Perform(t.Context(), s.b.productID, op); err != nil && licensing.KindOf(err) != licensing.OutOfRange {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"b", "b.example.net", "b.anything"} {
		op := s.importOf(s.agreement, 1, s.b)
		op.SourceName = name
		if _, err := s.Perform(t.Context(), s.a.productID, op); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRetailOfBothTypes converts a part of a retail code's CALs, and reinstalls and imports all of them.
func TestRetailOfBothTypes(t *testing.T) {
	s := newScene(t)
	g := s.do(s.a, s.office.convert(s.retail, 8))
	if g.Count != 8 || g.ProductType != licensing.PerUser || g.Entitlement != s.retail.Entitlement {
		t.Errorf("the conversion was granted as %+v", g)
	}
	reinstall := s.office.install(s.retail, 0)
	reinstall.Kind = clearinghouse.Reinstall
	first := s.do(s.a, reinstall)
	reinstall = s.ask(reinstall)
	reinstall.Installed = []clearinghouse.Holding{{Entitlement: s.retail.Entitlement, ProductType: first.ProductType, Count: first.Count}}
	second := s.do(s.a, reinstall)
	if first.Count+second.Count != 20 || first.ProductType == second.ProductType {
		t.Errorf("reinstalled %d %s and %d %s CALs; want 12 per device and 8 per user", first.Count, first.ProductType, second.Count, second.ProductType)
	}
	s.do(s.b, s.importOf(s.retail, 0, s.a))
	s.do(s.b, s.importOf(s.retail, 0, s.a))
	s.wantBalance(s.retail, licensing.PerDevice, s.b, "", 12)
	s.wantBalance(s.retail, licensing.PerUser, s.b, "", 8)
}

func TestGrants(t *testing.T) {
	s := newScene(t)
	op := s.office.install(s.open, 4)
	g := s.do(s.b, op)
	want := clearinghouse.Grant{
		Key: op.Key, Kind: clearinghouse.Install, LicenseServerID: s.b.id, Entitlement: s.open.Entitlement, Program: licensing.Open,
		ProductVersion: 7, Count: 4, At: s.clock.Now(),
	}
	if g != want {
		t.Errorf("got %+v\nwant %+v", g, want)
	}
	op = s.importOf(s.agreement, 3, s.a)
	g = s.do(s.b, op)
	want = clearinghouse.Grant{
		Key: op.Key, Kind: clearinghouse.Import, LicenseServerID: s.b.id, SourceID: s.a.id, Entitlement: s.agreement.Entitlement,
		Program: licensing.Agreement, ProductVersion: 7, Count: 3, At: s.clock.Now(),
	}
	if g != want {
		t.Errorf("got %+v\nwant %+v", g, want)
	}
	g = s.do(s.a, s.office.install(s.agreement, 1))
	if g.NoticeSeq != 1 {
		t.Errorf("a grant after the release names notice %d; want 1", g.NoticeSeq)
	}
	n := s.poll(s.a, 0)
	if len(n) != 1 || n[0] != (clearinghouse.Notice{
		Seq: 1, LicenseServerID: s.a.id, Entitlement: s.agreement.Entitlement, ProductVersion: 7, Count: 3, TargetID: s.b.id,
		Transfer: op.Key, At: s.clock.Now(),
	}) {
		t.Errorf("the notice is %+v", n)
	}
}
