package inventory_test

import (
	"testing"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// newPair returns two active license servers and a sale of 100 per device CALs.
func newPair(t *testing.T) (w *world, a, b *member, s *sale) {
	w = newWorld(t, t.TempDir(), 1, 2)
	t.Cleanup(w.close)
	a, b = w.members[0], w.members[1]
	w.must(a.activate())
	w.must(b.activate())
	return w, a, b, w.sell(nil, licensing.Agreement, 7, 0, 100)
}

func (w *world) done(id uint32, err error) uint32 {
	w.t.Helper()
	w.must(err)
	return id
}

func (w *world) wantKind(want licensing.Kind, err error) {
	w.t.Helper()
	if err == nil || licensing.KindOf(err) != want {
		w.t.Fatalf("got %v, want a fault that is %s", err, want)
	}
}

// TestIntentSurvivesAnUnreachableClearinghouse: an operation whose answer was lost stays open while the clearinghouse is down.
func TestIntentSurvivesAnUnreachableClearinghouse(t *testing.T) {
	w, a, _, s := newPair(t)
	w.plan = plan{faults: []fault{replyLost, refused}}
	_, err := a.request(clearinghouse.Install, s, 0, 10, nil)
	w.wantKind(licensing.Unavailable, err)
	w.wantKind(licensing.Unavailable, a.settle())
	w.settleAll()
}

// TestIntentSurvivesDeactivation: the operator retires the license server between an operation and its answer.
func TestIntentSurvivesDeactivation(t *testing.T) {
	w, a, _, s := newPair(t)
	w.plan = plan{faults: []fault{replyLost}}
	_, err := a.request(clearinghouse.Install, s, 0, 10, nil)
	w.wantKind(licensing.Unavailable, err)
	_, err = w.house.service.DeactivationCode(t.Context(), a.id())
	w.must(err)
	w.wantKind(licensing.NotActivated, a.settle())
	w.settleAll()
}

// TestNoticeOvertakesGrant: CALs that were granted but are not installed yet are imported by another license server, and
// their notice comes first.
func TestNoticeOvertakesGrant(t *testing.T) {
	w, a, b, s := newPair(t)
	w.plan = plan{faults: []fault{replyLost}}
	_, err := a.request(clearinghouse.Install, s, 0, 10, nil)
	w.wantKind(licensing.Unavailable, err)
	w.done(b.request(clearinghouse.Import, s, 0, 10, a.sourceOf()))
	w.must(a.poll())
	w.settleAll()
}

// TestNoticeOvertakesRedemption is the same with an offline code.
func TestNoticeOvertakesRedemption(t *testing.T) {
	w, a, b, s := newPair(t)
	code, err := w.issue(s, 0, 10, a, nil)
	w.must(err)
	a.online = false
	w.done(a.useCode(clearinghouse.Install, code))
	a.online = true
	w.plan = plan{faults: []fault{replyLost}}
	w.wantKind(licensing.Unavailable, a.settle())
	w.done(b.request(clearinghouse.Import, s, 0, 10, a.sourceOf()))
	w.must(a.poll())
	w.settleAll()
}

// TestNoticeOvertakesConversion is the same with a conversion.
func TestNoticeOvertakesConversion(t *testing.T) {
	w, a, b, s := newPair(t)
	pack := w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	w.sell(s, "", 0, 1, 1) // so that per user CALs were bought
	w.plan = plan{faults: []fault{replyLost}}
	_, err := a.convert(pack, 6)
	w.wantKind(licensing.Unavailable, err)
	w.done(b.request(clearinghouse.Import, s, 1, 6, a.sourceOf()))
	w.must(a.poll())
	w.settleAll()
}

// TestGrantOvertakesNotice: a removal was posted only in part because an import had taken its CALs, and then CALs are
// installed before the notice of that import comes.
func TestGrantOvertakesNotice(t *testing.T) {
	w, a, b, s := newPair(t)
	pack := w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	w.must(a.remove(pack, 5))
	w.done(b.request(clearinghouse.Import, s, 0, 6, a.sourceOf()))
	w.done(a.request(clearinghouse.Install, s, 0, 3, nil))
	w.settleAll()
}

// TestActivationSkipsNoNotice: CALs are imported from a license server that is deactivated, and then it is activated again.
func TestActivationSkipsNoNotice(t *testing.T) {
	w, a, b, s := newPair(t)
	w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	source := a.sourceOf()
	w.must(a.activation.DeactivateAutomatic(t.Context(), "admin"))
	w.done(b.request(clearinghouse.Import, s, 0, 10, source))
	w.must(a.activate())
	w.settleAll()
}

// TestReactivationSkipsNoNotice is the same with a license server that is reactivated.
func TestReactivationSkipsNoNotice(t *testing.T) {
	w, a, b, s := newPair(t)
	w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	w.done(b.request(clearinghouse.Import, s, 0, 10, a.sourceOf()))
	w.must(a.activate())
	w.settleAll()
}

// TestOldNoticesSpareNewDatabase: a license server that lost its database and got its ID by phone is sent its old notices.
func TestOldNoticesSpareNewDatabase(t *testing.T) {
	w, a, b, s := newPair(t)
	w.done(a.request(clearinghouse.Install, s, 0, 10, nil))
	w.done(b.request(clearinghouse.Import, s, 0, 6, a.sourceOf()))
	w.rest()
	id := a.id()
	a.loseDatabase()
	w.must(a.activation.Activate(t.Context(), "admin", id))
	w.done(a.request(clearinghouse.Reinstall, s, 0, 4, nil))
	w.settleAll()
}

// TestRemovalOfExportedCALs: CALs are removed that an import has taken already, while an installation is under way. Its grant
// must not pay for them.
func TestRemovalOfExportedCALs(t *testing.T) {
	w, a, b, s := newPair(t)
	pack := w.done(a.request(clearinghouse.Install, s, 0, 7, nil))
	w.done(b.request(clearinghouse.Import, s, 0, 7, a.sourceOf()))
	w.plan = plan{meanAfter: 3, meanwhile: func() { w.must(a.remove(pack, 2)) }} // when the intent is written
	w.done(a.request(clearinghouse.Install, s, 0, 1, nil))
	if have := a.installed(s.Entitlement, licensing.PerDevice); have != 1 {
		t.Errorf("%d CALs are installed; want the new one", have)
	}
	w.settleAll()
}

// TestTwinWaitsItsTurn: a removal is committed between settling and the intent of an installation, whose answer is lost. When
// the same is asked for again, the removal is asked for first.
func TestTwinWaitsItsTurn(t *testing.T) {
	for after := 1; after < 4; after++ {
		w, a, b, s := newPair(t)
		pack := w.done(a.request(clearinghouse.Install, s, 0, 7, nil))
		w.done(b.request(clearinghouse.Import, s, 0, 7, a.sourceOf()))
		w.plan = plan{meanAfter: after, meanwhile: func() { w.must(a.remove(pack, 2)) }, faults: []fault{replyLost, replyLost}}
		_, err := a.request(clearinghouse.Install, s, 0, 3, nil)
		w.wantKind(licensing.Unavailable, err)
		_, err = a.request(clearinghouse.Install, s, 0, 3, nil)
		w.wantKind(licensing.Unavailable, err)
		w.done(a.request(clearinghouse.Install, s, 0, 3, nil))
		w.settleAll()
		if n := a.total(); n != 3 {
			t.Errorf("%d CALs are installed; want 3", n)
		}
	}
}
