package inventory_test

import (
	"strings"
	"testing"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// issued returns an offline code of 10 CALs.
func (w *world) issued(s *sale, target, source *member) *offlineCode {
	w.t.Helper()
	code, err := w.issue(s, 0, 10, target, source)
	w.must(err)
	return code
}

// TestOfflineCode installs and imports by codes, in contact and without.
func TestOfflineCode(t *testing.T) {
	for _, online := range []bool{true, false} {
		w, a, b, s := newPair(t)
		w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
		install, imports := w.issued(s, a, nil), w.issued(s, b, a)
		a.online, b.online = online, online
		w.done(a.useCode(clearinghouse.Install, install))
		w.done(b.useCode(clearinghouse.Import, imports))
		if a.total() != 20 || b.total() != 10 {
			t.Errorf("a has %d CALs and b %d", a.total(), b.total())
		}
		for _, use := range []struct {
			m    *member
			code *offlineCode
			kind clearinghouse.OperationKind
		}{{a, install, clearinghouse.Install}, {a, install, clearinghouse.Reinstall}, {b, imports, clearinghouse.Import}} {
			_, err := use.m.useCode(use.kind, use.code)
			w.wantKind(licensing.AlreadyExists, err)
		}
		w.settleAll()
		if a.total() != 10 || b.total() != 10 {
			t.Errorf("in the end a has %d CALs and b %d", a.total(), b.total())
		}
	}
}

// TestOfflineCodeRefuses what no code is, or not one for this license server, whether the clearinghouse is in reach or not.
func TestOfflineCodeRefuses(t *testing.T) {
	w, a, b, s := newPair(t)
	w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	install, imports := w.issued(s, a, nil), w.issued(s, b, a)
	spoilt := *install
	spoilt.Code = install.Code[:34] + "0"
	if spoilt.Code == install.Code {
		spoilt.Code = install.Code[:34] + "1"
	}
	hyphens := *install
	hyphens.Code = keycode.Groups(install.Code)
	asImport := *install
	asImport.source, asImport.sourceID = b, b.id()
	asInstall := *imports
	asInstall.source = nil
	self := *imports
	self.source, self.sourceID = b, b.id()
	for _, online := range []bool{true, false} {
		a.online, b.online = online, online
		for name, c := range map[string]struct {
			m    *member
			kind clearinghouse.OperationKind
			code *offlineCode
		}{
			"a mistyped code":                  {a, clearinghouse.Install, &spoilt},
			"a code with hyphens":              {a, clearinghouse.Install, &hyphens},
			"another license server's code":    {b, clearinghouse.Install, install},
			"an install code for an import":    {a, clearinghouse.Import, &asImport},
			"an import code for installation":  {b, clearinghouse.Install, &asInstall},
			"an import code with other source": {b, clearinghouse.Import, &self},
		} {
			if _, err := c.m.useCode(c.kind, c.code); licensing.KindOf(err) != licensing.Invalid || err == nil {
				t.Errorf("%s, online %v: %v", name, online, err)
			}
		}
	}
	w.settleAll()
	if a.total() != 10 || b.total() != 0 {
		t.Errorf("something was installed: a has %d CALs and b %d", a.total(), b.total())
	}
}

// unconfigured is a clearinghouse that the configuration has lost.
type unconfigured struct{ inventory.Clearinghouse }

func (unconfigured) Secret() keycode.Secret { return keycode.Secret{} }

// TestOfflineCodeWithoutClearinghouse: the configuration of an activated license server has lost its clearinghouse. That makes no
// code wrong, but for one that is mistyped.
func TestOfflineCodeWithoutClearinghouse(t *testing.T) {
	w, a, b, s := newPair(t)
	w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	install, imports := w.issued(s, a, nil), w.issued(s, b, a)
	withSecret := b.inventory
	b.inventory = inventory.New(b.store, unconfigured{b.client}, inventory.Options{Now: w.clock, Random: w.random, Logger: w.logger()})
	for _, kind := range []clearinghouse.OperationKind{clearinghouse.Install, clearinghouse.Import, clearinghouse.Reinstall} {
		code := install
		if kind == clearinghouse.Import {
			code = imports
		}
		_, err := b.useCode(kind, code)
		w.wantKind(licensing.Unavailable, err)
		if !strings.Contains(err.Error(), "this license server has no clearinghouse configured") {
			t.Errorf("%s: the fault does not say what is missing: %v", kind, err)
		}
		mistyped := *code
		mistyped.Code = keycode.Groups(code.Code)
		_, err = b.useCode(kind, &mistyped)
		w.wantKind(licensing.Invalid, err)
	}
	b.inventory = withSecret
	w.done(b.useCode(clearinghouse.Import, imports)) // the code is as good as before
	w.settleAll()
}

// TestCodeWhoseSourceGaveAllBack: the CALs of an import code were removed from its source before the code is seen again.
func TestCodeWhoseSourceGaveAllBack(t *testing.T) {
	w, a, b, s := newPair(t)
	pack := w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	code := w.issued(s, b, a)
	b.online = false
	w.done(b.useCode(clearinghouse.Import, code))
	w.must(a.remove(pack, 10))
	w.must(a.settle())
	w.settleAll()
	w.done(b.request(clearinghouse.Install, s, 0, 1, nil)) // nothing blocks it
	if b.total() != 11 {
		t.Errorf("%d CALs are installed; want 11", b.total())
	}
}

// TestCodesAfterDatabaseLoss: two used codes are used again, when the ledger has the CALs of one of them only.
func TestCodesAfterDatabaseLoss(t *testing.T) {
	w, a, b, s := newPair(t)
	first, second := w.issued(s, a, nil), w.issued(s, a, nil)
	w.done(a.useCode(clearinghouse.Install, first))
	w.done(a.useCode(clearinghouse.Install, second))
	w.done(b.request(clearinghouse.Import, s, 0, 10, a.sourceOf()))
	id := a.id()
	a.loseDatabase()
	w.must(a.activation.Activate(t.Context(), "admin", id))
	a.online = false
	w.done(a.useCode(clearinghouse.Install, first))
	w.done(a.useCode(clearinghouse.Reinstall, second))
	w.settleAll()
	if good := a.installed(s.Entitlement, licensing.PerDevice); good != 10 {
		t.Errorf("%d CALs are installed in good key packs; the ledger has 10", good)
	}
}

// TestRemovalDuringReinstall: CALs are removed while a reinstallation is asked for; they are not missing.
func TestRemovalDuringReinstall(t *testing.T) {
	for after := 1; after < 10; after++ {
		w, a, _, s := newPair(t)
		pack := w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
		w.plan = plan{meanAfter: after, meanwhile: func() { w.must(a.remove(pack, 5)) }}
		_, err := a.request(clearinghouse.Reinstall, s, 0, 5, nil)
		w.wantKind(licensing.AlreadyExists, err)
		w.settleAll()
	}
}

// TestCodeTypedInTwice: the answer to an installation by code is lost with the process; then the same code is used again,
// in another way and without contact.
func TestCodeTypedInTwice(t *testing.T) {
	for _, step := range []int{1, 2, 3, 4, 5, 6, 7} {
		w, a, b, s := newPair(t)
		w.done(b.request(clearinghouse.Install, s, 0, 10, nil))
		code := w.issued(s, a, b)
		w.plan = plan{crashWho: a.index, crashAfter: step}
		if _, err := a.useCode(clearinghouse.Import, code); !isCrash(err) {
			t.Fatalf("step %d: %v", step, err)
		}
		a.open()
		a.online = false
		again := *code
		source := *b // the same license server by its short name
		source.name = "ls1"
		again.source = &source
		if _, err := a.useCode(clearinghouse.Import, &again); err != nil && licensing.KindOf(err) != licensing.AlreadyExists {
			t.Errorf("step %d: %v", step, err)
		}
		w.settleAll()
		w.done(a.request(clearinghouse.Install, s, 0, 1, nil)) // nothing blocks it
		if a.total() != 11 || b.total() != 0 {
			t.Errorf("step %d: a has %d CALs and b %d", step, a.total(), b.total())
		}
	}
}

// TestReactivationBeforeRedemption: a license server gets a new ID between the use of a code and the next contact.
func TestReactivationBeforeRedemption(t *testing.T) {
	w, a, b, s := newPair(t)
	w.done(b.request(clearinghouse.Install, s, 0, 10, nil))
	install, imports := w.issued(s, a, nil), w.issued(s, a, b)
	a.online = false
	w.done(a.useCode(clearinghouse.Install, install))
	w.done(a.useCode(clearinghouse.Import, imports))
	a.online = true
	w.must(a.activate())
	w.must(b.activate())
	w.settleAll()
	if good := a.installed(s.Entitlement, licensing.PerDevice); good != 20 {
		t.Errorf("%d CALs are installed in good key packs; want 20", good)
	}
}

// TestRemovalBeforeRedemption: CALs of a code are removed before the clearinghouse has seen the code.
func TestRemovalBeforeRedemption(t *testing.T) {
	w, a, _, s := newPair(t)
	part, whole := w.issued(s, a, nil), w.issued(s, a, nil)
	a.online = false
	w.must(a.remove(w.done(a.useCode(clearinghouse.Install, part)), 3))
	w.must(a.remove(w.done(a.useCode(clearinghouse.Install, whole)), 10))
	w.settleAll()
	if pool := w.balance(s.Entitlement, licensing.PerDevice, clearinghouse.Pool); a.total() != 7 || pool != 93 {
		t.Errorf("%d CALs are installed and %d in the pool; want 7 and 93", a.total(), pool)
	}
}

// TestRemovalDuringAttempt: the clearinghouse posts a code whose answer is lost, CALs are removed that an import has taken, and
// then the code is used without the clearinghouse. Its CALs must not pay for the removed ones.
func TestRemovalDuringAttempt(t *testing.T) {
	for after := 1; after < 9; after++ {
		w, a, b, s := newPair(t)
		pack := w.done(a.request(clearinghouse.Install, s, 0, 7, nil))
		code := w.issued(s, a, nil)
		w.done(b.request(clearinghouse.Import, s, 0, 7, a.sourceOf()))
		w.plan = plan{meanAfter: after, meanwhile: func() { w.must(a.remove(pack, 2)) }, faults: []fault{replyLost, replyLost}}
		w.done(a.useCode(clearinghouse.Install, code))
		w.settleAll()
		if n := a.total(); n != 10 {
			t.Errorf("%d CALs are installed; want those 10 of the code", n)
		}
	}
}

// TestCanceledCode flags the key pack of a code that was canceled after its use.
func TestCanceledCode(t *testing.T) {
	w, a, _, s := newPair(t)
	code := w.issued(s, a, nil)
	a.online = false
	pack := w.done(a.useCode(clearinghouse.Install, code))
	_, err := w.house.service.CancelCode(t.Context(), code.Serial)
	w.must(err)
	code.canceled = true
	w.must(a.remove(pack, 3)) // before anybody knows
	w.settleAll()
	if packs := a.packs(); len(packs) != 1 || packs[0].Flag == "" || packs[0].Total != 7 {
		t.Errorf("the key packs are %+v", packs)
	}
	_, err = a.convert(pack, 1)
	w.wantKind(licensing.NotSupported, err)
	w.must(a.remove(pack, 7))
	w.settleAll()
	if len(a.packs()) > 0 {
		t.Error("a flagged key pack cannot be removed")
	}
}

// TestForgedCode: the owner of a license server makes a code of his own. It is flagged at the next contact.
func TestForgedCode(t *testing.T) {
	w, a, _, s := newPair(t)
	code := w.issued(s, a, nil)
	for name, forged := range map[string]keycode.Code{
		"more CALs":          {Kind: keycode.Install, ProductVersion: 7, Quantity: 1000, Serial: code.Serial},
		"an invented serial": {Kind: keycode.Install, ProductVersion: 7, Quantity: 1000, Serial: 99999},
	} {
		text, err := forged.Seal(a.client.Secret(), keycode.Binding{Target: a.id()})
		w.must(err)
		a.online = false
		pack := w.done(a.useCode(clearinghouse.Install, &offlineCode{IssuedCode: clearinghouse.IssuedCode{Code: text}}))
		a.online = true
		w.must(a.settle())
		got, err := a.inventory.KeyPack(t.Context(), pack)
		if err != nil || got.Flag == "" {
			t.Errorf("%s: the key pack is %+v, %v", name, got, err)
		}
		verdicts, err := a.inventory.Verify(t.Context())
		if w.must(err); len(verdicts) != 1 || len(verdicts[0].Wrong) == 0 {
			t.Errorf("%s: verified as %+v", name, verdicts)
		}
		w.must(a.remove(pack, 1000))
	}
	w.settleAll()
}

// TestReinstallRetail brings back both halves of a retail code's CALs of which some were converted.
func TestReinstallRetail(t *testing.T) {
	w, a, _, _ := newPair(t)
	retail := w.sell(nil, licensing.Retail, 7, 0, 10)
	pack := w.done(a.request(clearinghouse.Install, retail, 0, 0, nil))
	w.done(a.convert(pack, 4))
	a.loseDatabase()
	w.must(a.activate())
	w.done(a.request(clearinghouse.Reinstall, retail, 0, 0, nil))
	w.done(a.request(clearinghouse.Reinstall, retail, 0, 0, nil))
	_, err := a.request(clearinghouse.Reinstall, retail, 0, 0, nil)
	w.wantKind(licensing.AlreadyExists, err)
	w.settleAll()
}
