package clearinghouse_test

import (
	"bytes"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// TestPerformIsIdempotent asks everything twice: the answer is the same to the byte, and the ledger has moved once.
func TestPerformIsIdempotent(t *testing.T) {
	s := newScene(t)
	code := s.issue(s.agreement, 2, s.b, nil)
	reinstall := s.office.install(s.agreement, 4)
	reinstall.Kind = clearinghouse.Reinstall
	redeem := s.ask(clearinghouse.Operation{Kind: clearinghouse.Redeem, Code: code.Code, TargetID: s.b.id})
	imported := s.importOf(s.agreement, 1, s.a)
	for _, c := range []struct {
		who *server
		op  clearinghouse.Operation
	}{
		{s.b, s.office.install(s.agreement, 3)},
		{s.b, imported},
		{s.a, s.office.convert(s.agreement, 2)},
		{s.a, s.giveBack(s.agreement, 1)},
		{s.a, reinstall},
		{s.b, redeem},
		{s.b, s.ask(clearinghouse.Operation{Kind: clearinghouse.Acknowledge, Grant: imported.Key})},
	} {
		t.Run(string(c.op.Kind), func(t *testing.T) {
			first, err := s.Perform(t.Context(), c.who.productID, c.op)
			if err != nil {
				t.Fatal(err)
			}
			after := s.state()
			s.clock.advance(time.Hour)
			c.op.Installed = []clearinghouse.Holding{{Entitlement: s.agreement.Entitlement, Count: 4}} // it may be installed by now
			second, err := s.Perform(t.Context(), c.who.productID, c.op)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Payload, second.Payload) || !bytes.Equal(first.Signature, second.Signature) {
				t.Errorf("first %s\nthen  %s", first.Payload, second.Payload)
			}
			if s.state() != after {
				t.Error("the second asking has changed something")
			}
			c.op.Count++
			_, err = s.Perform(t.Context(), c.who.productID, c.op)
			wantKind(t, err, licensing.Invalid)
			if s.state() != after {
				t.Error("the same key with another request has changed something")
			}
		})
	}
}

// TestRefusalIsFinal: a copy of a refused operation that arrives late is not decided anew when the cause is gone. The license server
// has closed it: nobody would install what it is granted.
func TestRefusalIsFinal(t *testing.T) {
	for name, c := range map[string]struct {
		refused func(*scene) clearinghouse.Operation
		cure    func(*scene, clearinghouse.Operation)
		want    licensing.Kind
	}{
		"too few CALs in the pool": {func(s *scene) clearinghouse.Operation { return s.office.install(s.agreement, 11) },
			func(s *scene, _ clearinghouse.Operation) { s.do(s.a, s.giveBack(s.agreement, 10)) }, licensing.OutOfRange},
		"too few CALs at the source": {func(s *scene) clearinghouse.Operation { return s.importOf(s.agreement, 11, s.a) },
			func(s *scene, _ clearinghouse.Operation) { s.do(s.a, s.office.install(s.agreement, 5)) }, licensing.OutOfRange},
		"an agreement not sold yet": {func(s *scene) clearinghouse.Operation {
			op := s.office.install(s.agreement, 1)
			op.Credentials.AgreementNumber = other(op.Credentials.AgreementNumber)
			return op
		}, func(s *scene, op clearinghouse.Operation) {
			s.sellAs(clearinghouse.SellRequest{Organization: s.own.ID, Credentials: op.Credentials, ProductVersion: 7, Count: 5})
		}, licensing.NotFound},
		"an entitlement that is nowhere": {func(s *scene) clearinghouse.Operation {
			op := s.office.convert(s.agreement, 1)
			op.Entitlement = "NONE"
			return op
		}, func(*scene, clearinghouse.Operation) {}, licensing.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			op := c.refused(s)
			_, first := s.Perform(t.Context(), s.b.productID, op)
			wantKind(t, first, c.want)
			c.cure(s, op)
			after := s.state()
			_, second := s.Perform(t.Context(), s.b.productID, op)
			wantKind(t, second, c.want)
			if licensing.Message(second) != licensing.Message(first) {
				t.Errorf("refused first because %s, then because %s", licensing.Message(first), licensing.Message(second))
			}
			if s.state() != after {
				t.Error("the late copy has changed something")
			}
			op.Count++
			_, err := s.Perform(t.Context(), s.b.productID, op)
			wantKind(t, err, licensing.Invalid) // the key of another operation
			if op.Count--; op.Entitlement == "" {
				s.do(s.b, s.ask(op)) // a new wish
			}
		})
	}
}

// TestRefusedForNow: the license server keeps what was refused for a time only, and asks again with the same key.
func TestRefusedForNow(t *testing.T) {
	s := newScene(t)
	op := s.office.install(s.agreement, 1)
	if err := s.Deactivate(t.Context(), s.b.productID); err != nil {
		t.Fatal(err)
	}
	_, err := s.Perform(t.Context(), s.b.productID, op)
	wantKind(t, err, licensing.NotActivated)
	s.activation(s.b)(s.Activate(t.Context(), s.b.productID, s.b.request(s.own.EnrolmentKey)))
	for range 100 {
		wrong := s.office.install(s.agreement, 1)
		wrong.Credentials.AgreementNumber = other(wrong.Credentials.AgreementNumber)
		_, err := s.Perform(t.Context(), s.b.productID, wrong)
		wantKind(t, err, licensing.NotFound)
	}
	_, err = s.Perform(t.Context(), s.b.productID, op)
	wantKind(t, err, licensing.Limited)
	s.clock.advance(time.Hour)
	s.do(s.b, op)
	s.wantBalance(s.agreement, licensing.PerDevice, s.b, "", 1)
}

// TestKeysBelongToOneServer: what one license server chose as key means nothing for another.
func TestKeysBelongToOneServer(t *testing.T) {
	s := newScene(t)
	op := s.office.install(s.agreement, 1)
	s.do(s.a, op)
	if g := s.do(s.b, op); g.LicenseServerID != s.b.id {
		t.Errorf("b was given the grant of %s", g.LicenseServerID)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, s.b, "", 1)
	imported := s.importOf(s.agreement, 1, s.a)
	s.do(s.b, imported)
	_, err := s.Perform(t.Context(), s.a.productID, s.ask(clearinghouse.Operation{Kind: clearinghouse.Acknowledge, Grant: imported.Key}))
	wantKind(t, err, licensing.NotFound)
}

// TestAcknowledge says that a transfer is complete; of what was no transfer there is nothing to say.
func TestAcknowledge(t *testing.T) {
	s := newScene(t)
	op := s.importOf(s.agreement, 1, s.a)
	s.do(s.b, op)
	s.clock.advance(time.Minute)
	s.do(s.b, s.ask(clearinghouse.Operation{Kind: clearinghouse.Acknowledge, Grant: op.Key}))
	s.do(s.b, s.ask(clearinghouse.Operation{Kind: clearinghouse.Acknowledge, Grant: "no transfer"}))
	transfers, err := s.Transfers(t.Context())
	if err != nil || len(transfers) != 1 || !transfers[0].Acknowledged.Equal(s.clock.Now()) {
		t.Errorf("the transfers are %+v, %v", transfers, err)
	}
}

func TestWrongNumbersAreLimited(t *testing.T) {
	s := newScene(t)
	wrong := func(v *server) error {
		op := s.office.install(s.agreement, 1)
		op.Credentials.AgreementNumber = other(op.Credentials.AgreementNumber)
		_, err := s.Perform(t.Context(), v.productID, op)
		return err
	}
	for range 100 {
		if err := wrong(s.b); licensing.KindOf(err) != licensing.NotFound {
			t.Fatal(err)
		}
	}
	wantKind(t, wrong(s.b), licensing.Limited)
	_, err := s.Perform(t.Context(), s.b.productID, s.office.install(s.agreement, 1))
	wantKind(t, err, licensing.Limited) // nobody learns whether the number was right
	s.do(s.a, s.office.install(s.agreement, 1))

	s.clock.advance(6 * time.Second)
	wantKind(t, wrong(s.b), licensing.NotFound)
	wantKind(t, wrong(s.b), licensing.Limited)
	s.clock.advance(6 * time.Second)
	for range 5 {
		s.do(s.b, s.office.install(s.agreement, 1)) // right ones are not counted
	}
	s.clock.advance(time.Hour)
	for range 100 {
		if err := wrong(s.b); licensing.KindOf(err) != licensing.NotFound {
			t.Fatal(err)
		}
	}
	wantKind(t, wrong(s.b), licensing.Limited)
}

// TestGuessesThatCount lists what is counted against a license server and what is not.
func TestGuessesThatCount(t *testing.T) {
	for name, c := range map[string]struct {
		guess func(*scene) clearinghouse.Operation
		want  licensing.Kind
	}{
		"a wrong authorization number": {func(s *scene) clearinghouse.Operation {
			op := s.office.install(s.open, 1)
			op.Credentials.AuthorizationNumber = other(op.Credentials.AuthorizationNumber)
			return op
		}, licensing.Limited},
		"another organization's number": {func(s *scene) clearinghouse.Operation { return s.office.install(s.theirs, 1) }, licensing.Limited},
		"a wrong source": {func(s *scene) clearinghouse.Operation {
			return s.importOf(s.agreement, 1, s.stranger)
		}, licensing.Limited},
		"too many CALs": {func(s *scene) clearinghouse.Operation { return s.office.install(s.agreement, 1000) }, licensing.OutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			for range 100 {
				if _, err := s.Perform(t.Context(), s.b.productID, c.guess(s)); err == nil {
					t.Fatal("it was right")
				}
			}
			right := s.office.install(s.agreement, 1)
			if c.want != licensing.Limited {
				s.do(s.b, right)
				return
			}
			_, err := s.Perform(t.Context(), s.b.productID, right)
			wantKind(t, err, c.want)
		})
	}
}

// TestPromisedCALsStay: what an import code will need cannot be imported, converted or removed away from its source.
func TestPromisedCALsStay(t *testing.T) {
	s := newScene(t)
	c := s.enrol(s.own, "c")
	code := s.issue(s.agreement, 6, c, s.a) // of 10
	refuse := func(op clearinghouse.Operation, v *server) {
		t.Helper()
		_, err := s.Perform(t.Context(), v.productID, op)
		wantKind(t, err, licensing.OutOfRange)
	}
	refuse(s.importOf(s.agreement, 5, s.a), s.b)
	refuse(s.office.convert(s.agreement, 5), s.a)
	_, err := s.IssueCode(t.Context(), clearinghouse.CodeRequest{Entitlement: s.agreement.Entitlement, Count: 5, Target: s.b.id, Source: s.a.id})
	wantKind(t, err, licensing.OutOfRange)

	s.do(s.b, s.importOf(s.agreement, 1, s.a))
	s.do(s.a, s.office.convert(s.agreement, 1))
	// 8 are left. All that is free goes to the pool, and what is promised is kept for the code.
	if g := s.do(s.a, s.giveBack(s.agreement, 5)); g.Count != 5 {
		t.Errorf("%d of 5 were given back", g.Count)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, s.a, "", 3)
	s.wantBalance(s.agreement, licensing.PerDevice, nil, clearinghouse.CodeHolder(code.Serial), 3)
	refuse(s.importOf(s.agreement, 1, s.a), s.b)
	if g := s.do(s.a, s.giveBack(s.agreement, 100)); g.Count != 3 {
		t.Errorf("%d of 3 were given back", g.Count)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, nil, clearinghouse.CodeHolder(code.Serial), 6)
	if g := s.do(s.a, s.giveBack(s.agreement, 1)); g.Count != 0 {
		t.Errorf("%d of none were given back", g.Count)
	}
	before := len(s.poll(s.a, 0))
	if g := s.do(c, s.useCode(code.Code, s.a)); g.Count != 6 || g.SourceID != s.a.id || g.Serial != code.Serial {
		t.Errorf("the code was granted as %+v", g)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, c, "", 6)
	if after := len(s.poll(s.a, 0)); after != before {
		t.Error("the source was told to release CALs that it had given back")
	}
}

// TestPartlyPromised: the source gives back a part of what a code needs, and releases the rest.
func TestPartlyPromised(t *testing.T) {
	s := newScene(t)
	code := s.issue(s.agreement, 6, s.b, s.a)
	s.do(s.a, s.giveBack(s.agreement, 8))
	s.do(s.b, s.useCode(code.Code, s.a))
	notices := s.poll(s.a, 0)
	if len(notices) != 1 || notices[0].Count != 2 {
		t.Errorf("the notices are %+v; want one of 2 CALs", notices)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, s.a, "", 0)
	s.wantBalance(s.agreement, licensing.PerDevice, s.b, "", 6)
}

// TestRedeem settles codes that were used while the clearinghouse was out of reach.
func TestRedeem(t *testing.T) {
	s := newScene(t)
	redeem := func(code clearinghouse.IssuedCode, attempt string, installed ...clearinghouse.Holding) clearinghouse.Operation {
		return s.ask(clearinghouse.Operation{Kind: clearinghouse.Redeem, Code: code.Code, TargetID: s.b.id, Grant: attempt, Installed: installed})
	}
	has := func(n uint32) clearinghouse.Holding {
		return clearinghouse.Holding{Entitlement: s.agreement.Entitlement, Count: n}
	}
	code := s.issue(s.agreement, 3, s.b, nil)
	attempt := s.useCode(code.Code, nil)
	s.do(s.b, attempt)
	if g := s.do(s.b, redeem(code, attempt.Key)); g.Count != 3 || g.Kind != clearinghouse.Redeem {
		t.Errorf("the attempt that was posted is confirmed as %+v", g)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, s.b, "", 3)
	if g := s.do(s.b, redeem(code, "")); g.Count != 3 {
		t.Errorf("a license server with a new database gets %+v", g)
	}
	_, err := s.Perform(t.Context(), s.b.productID, redeem(code, "", has(3)))
	wantKind(t, err, licensing.AlreadyExists)
	_, err = s.Perform(t.Context(), s.b.productID, redeem(code, "", has(1)))
	wantKind(t, err, licensing.AlreadyExists)
	s.wantBalance(s.agreement, licensing.PerDevice, s.b, "", 3)

	second := s.issue(s.agreement, 2, s.b, nil)
	s.do(s.b, redeem(second, "an attempt that never arrived", has(3)))
	s.wantBalance(s.agreement, licensing.PerDevice, s.b, "", 5)

	// The license server has got a new ID since it used the code.
	third := s.issue(s.agreement, 1, s.b, nil)
	late := redeem(third, "")
	s.activation(s.b)(s.Reactivate(t.Context(), s.b.productID, clearinghouse.ReactivateRequest{ActivateRequest: s.b.request(s.own.EnrolmentKey)}))
	s.do(s.b, late)
	s.wantBalance(s.agreement, licensing.PerDevice, s.b, "", 6)
	_, err = s.Perform(t.Context(), s.a.productID, s.ask(late))
	wantKind(t, err, licensing.Invalid)
}

// success is no kind of fault.
const success licensing.Kind = 255

// TestForgedCodes: the owner of a license server can make codes with a right MAC, but they must say what the ledger knows.
func TestForgedCodes(t *testing.T) {
	s := newScene(t)
	code, imports, theirs := s.issue(s.agreement, 1, s.b, nil), s.issue(s.agreement, 1, s.b, s.a), s.issue(s.agreement, 1, s.a, nil)
	secret, err := s.keys.Authority().Secret(s.b.identity)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(c keycode.Code, b keycode.Binding) string {
		text, err := c.Seal(secret, b)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	mine := keycode.Binding{Target: s.b.id}
	say := func(kind keycode.Kind, quantity, serial uint32, change func(*keycode.Code)) keycode.Code {
		c := keycode.Code{Kind: kind, ProductVersion: 7, Quantity: quantity, Serial: serial}
		if change != nil {
			change(&c)
		}
		return c
	}
	fromA := keycode.Binding{Target: s.b.id, Source: s.a.id}
	for name, c := range map[string]struct {
		code    keycode.Code
		binding keycode.Binding
		want    licensing.Kind
	}{
		"an unknown serial":               {say(keycode.Install, 1, 99999, nil), mine, licensing.NotFound},
		"a license server ID's serial":    {say(keycode.Install, 1, 1, nil), mine, licensing.NotFound},
		"an install code's in an import":  {say(keycode.Import, 1, code.Serial, nil), fromA, licensing.Invalid},
		"an import code's in an install":  {say(keycode.Install, 1, imports.Serial, nil), mine, licensing.Invalid},
		"another license server's serial": {say(keycode.Install, 1, theirs.Serial, nil), mine, licensing.Invalid},
		"more CALs than were given out":   {say(keycode.Install, 1000, code.Serial, nil), mine, licensing.Invalid},
		"a newer version":                 {say(keycode.Install, 1, code.Serial, func(c *keycode.Code) { c.ProductVersion = 8 }), mine, licensing.Invalid},
		"another type":                    {say(keycode.Install, 1, code.Serial, func(c *keycode.Code) { c.ProductType = 1 }), mine, licensing.Invalid},
		"an expiry":                       {say(keycode.Install, 1, code.Serial, func(c *keycode.Code) { c.ExpiryMonth = 99 }), mine, licensing.Invalid},
		"nothing but what was given out":  {say(keycode.Install, 1, code.Serial, nil), mine, success},
	} {
		for _, kind := range []clearinghouse.OperationKind{clearinghouse.Install, clearinghouse.Redeem} {
			if c.want == success && kind == clearinghouse.Redeem {
				continue
			}
			t.Run(name+" "+string(kind), func(t *testing.T) {
				op := s.ask(clearinghouse.Operation{Kind: kind, Code: forge(c.code, c.binding), SourceID: c.binding.Source, SourceName: s.a.name, TargetID: s.b.id})
				_, err := s.Perform(t.Context(), s.b.productID, op)
				if c.want != success {
					wantKind(t, err, c.want)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestCancelCode(t *testing.T) {
	s := newScene(t)
	install, imports := s.issue(s.agreement, 4, s.b, nil), s.issue(s.agreement, 6, s.b, s.a)
	s.do(s.a, s.giveBack(s.agreement, 7))
	for _, code := range []clearinghouse.IssuedCode{install, imports} {
		canceled, err := s.CancelCode(t.Context(), code.Serial)
		if err != nil || canceled.State != clearinghouse.CodeCanceled {
			t.Errorf("canceled as %+v, %v", canceled, err)
		}
		s.wantBalance(s.agreement, licensing.PerDevice, nil, clearinghouse.CodeHolder(code.Serial), 0)
		_, err = s.CancelCode(t.Context(), code.Serial)
		wantKind(t, err, licensing.AlreadyExists)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, nil, clearinghouse.Pool, 16)
	_, err := s.CancelCode(t.Context(), 424242)
	wantKind(t, err, licensing.NotFound)
	s.do(s.b, s.importOf(s.agreement, 3, s.a)) // no longer promised
	used := s.issue(s.agreement, 1, s.b, nil)
	s.do(s.b, s.useCode(used.Code, nil))
	_, err = s.CancelCode(t.Context(), used.Serial)
	wantKind(t, err, licensing.AlreadyExists)
}
