package inventory_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"testing"

	"pgregory.net/rapid"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// TestSimulation lets three license servers and a clearinghouse do at random what they can do, while everything fails at
// random that can fail, and now and then compares the ledger with what is installed.
func TestSimulation(t *testing.T) {
	t.Run("transfers", func(t *testing.T) { simulate(t, "transfers") })
	t.Run("codes", func(t *testing.T) { simulate(t, "transfers", "codes") })
	t.Run("identities", func(t *testing.T) { simulate(t, "transfers", "identities") })
	t.Run("everything", func(t *testing.T) { simulate(t, "transfers", "codes", "identities") })
}

func simulate(t *testing.T, themes ...string) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(scratch(), "calkeeper-simulation-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newWorld(t, dir, rapid.Uint64().Draw(t, "seed"), 3)
		defer w.close()
		for _, m := range w.members {
			w.must(m.activate())
		}
		w.sell(nil, licensing.Agreement, 7, 0, 40)
		s := &simulation{w}
		actions := map[string]func(*rapid.T){"": s.invariant}
		for _, theme := range themes {
			maps.Copy(actions, s.actions(theme))
		}
		t.Repeat(actions)
		w.settleAll()
	})
}

type simulation struct{ *world }

func (s *simulation) actions(theme string) map[string]func(*rapid.T) {
	switch theme {
	case "codes":
		return map[string]func(*rapid.T){
			"issue a code": s.issueCode, "issue a code, too": s.issueCode, "cancel a code": s.cancelCode,
			"use a code": s.useCode, "use a code, too": s.useCode, "use a code, again": s.useCode,
		}
	case "identities":
		return map[string]func(*rapid.T){
			"lose a database": s.loseDatabase, "reinstall": s.reinstall, "activate": s.activate, "activate, too": s.activate,
			"deactivate": s.deactivate,
		}
	}
	return map[string]func(*rapid.T){
		"sell": s.sell, "install": s.install, "install, too": s.install, "import": s.importFrom, "import, too": s.importFrom,
		"import, again": s.importFrom, "convert": s.convert, "convert, too": s.convert, "remove": s.remove, "remove, too": s.remove,
		"settle": s.settle, "poll": s.poll, "cut or mend a line": s.line, "restart": s.restart,
		"stop the clearinghouse": s.restartHouse, "clock": s.clock, "late copies": func(*rapid.T) { s.arriveIfUp() }, "rest": s.rest,
	}
}

// scratch returns where databases are made: in memory, if the system has files there, because the syncs of a disk would take
// most of the time. What they are good for is tested with the databases.
func scratch() string {
	const memory = "/dev/shm"
	if s, err := os.Stat(memory); err == nil && s.IsDir() {
		return memory
	}
	return ""
}

// invariant holds at every moment.
func (s *simulation) invariant(*rapid.T) {
	s.plan = plan{}
	if s.house.up {
		s.checkLedger()
	}
}

func (w *world) arriveIfUp() {
	if w.house.up {
		w.arrive()
	}
}

// drawAgain makes rapid choose another action, because this one cannot be done now. No test is left out by it.
func drawAgain(t *rapid.T, why string) { t.Skip(why) }

// anyOf draws one of a list by its index, which reads better in a failure than what it is.
func anyOf[T any](t *rapid.T, label string, list []T) T {
	return list[rapid.IntRange(0, len(list)-1).Draw(t, label)]
}

// aMember draws a license server whose process runs.
func (s *simulation) aMember(t *rapid.T) *member {
	m := anyOf(t, "license server", s.members)
	if !m.up {
		drawAgain(t, "it does not run")
	}
	return m
}

// another draws a license server that is seldom the same.
func (s *simulation) another(t *rapid.T, m *member) *member {
	return s.members[(m.index+rapid.SampledFrom([]int{1, 2, 1, 2, 1, 2, 0}).Draw(t, "and another"))%len(s.members)]
}

func (s *simulation) aSale(t *rapid.T) *sale {
	if len(s.sales) == 0 {
		drawAgain(t, "nothing was sold")
	}
	return anyOf(t, "sale", s.sales)
}

func count(t *rapid.T) uint32 { return rapid.Uint32Range(1, 12).Draw(t, "count") }

func productType(t *rapid.T) uint32 {
	return rapid.SampledFrom([]uint32{0, 0, 0, 1}).Draw(t, "product type")
}

// something draws a sale, a product type and a number of CALs: mostly such that the holder has them.
func (s *simulation) something(t *rapid.T, holder func(*sale) clearinghouse.Holder) (*sale, uint32, uint32) {
	bought, pt, n := s.aSale(t), productType(t), count(t)
	if !s.house.up || rapid.IntRange(0, 4).Draw(t, "nonsense?") == 4 {
		return bought, pt, n
	}
	type stock struct {
		*sale
		productType uint32
		n           int64
	}
	var list []stock
	for _, v := range s.sales {
		for _, pt := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
			if n := s.balance(v.Entitlement, pt, holder(v)); n > 0 {
				list = append(list, stock{v, uint32(pt), n})
			}
		}
	}
	if len(list) == 0 {
		return bought, pt, n
	}
	found := anyOf(t, "stock", list)
	if rapid.IntRange(0, 3).Draw(t, "all?") == 3 {
		n = uint32(found.n)
	}
	return found.sale, found.productType, uint32(min(int64(n), found.n))
}

func pool(*sale) clearinghouse.Holder { return clearinghouse.Pool }

// of returns the account of a license server, which is empty if the clearinghouse cannot be asked.
func (s *simulation) of(m *member) func(*sale) clearinghouse.Holder {
	return func(*sale) clearinghouse.Holder {
		holder, _ := m.holder()
		return holder
	}
}

// aPlan draws what goes wrong during the action.
func (s *simulation) aPlan(t *rapid.T) {
	s.plan = plan{}
	if rapid.IntRange(0, 2).Draw(t, "repaired?") < 2 {
		if !s.house.up {
			s.house.open()
		}
		for _, m := range s.members {
			m.online = true
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "faults?") == 2 {
		s.faults = rapid.SliceOfN(rapid.SampledFrom([]fault{
			fine, refused, requestLost, replyLost, replyLost, replyGarbled, doubled, copied,
		}), 1, 4).Draw(t, "faults")
	}
	if rapid.IntRange(0, 3).Draw(t, "crash?") == 3 {
		s.crashWho = rapid.IntRange(-1, len(s.members)-1).Draw(t, "who")
		s.crashAfter = rapid.IntRange(1, 10).Draw(t, "crash after")
	}
	if rapid.IntRange(0, 2).Draw(t, "meanwhile?") == 2 {
		s.meanAfter = rapid.IntRange(1, 14).Draw(t, "meanwhile after")
		s.meanwhile = s.somethingElse(t)
	}
}

// somethingElse draws what another one does in the middle of an action. It may also be done on the same license server, if it
// is something that does not wait for the action's end.
func (s *simulation) somethingElse(t *rapid.T) func() {
	m, other := anyOf(t, "m", s.members), anyOf(t, "other", s.members)
	what := rapid.SampledFrom([]string{"poll", "poll", "remove", "remove", "import", "import", "install", "settle", "restart house"}).Draw(t, "what")
	bought, pt, n := s.something(t, s.of(other))
	return func() {
		if !m.up || m.busy > 0 && what != "poll" && what != "remove" {
			return
		}
		t.Logf("    meanwhile %s: %s", m.name, what)
		switch what {
		case "poll":
			s.outcome(m, m.poll())
		case "remove":
			for _, pack := range m.packs() {
				if pack.Available() > 0 {
					s.outcome(m, m.remove(pack.ID, min(n, pack.Available())))
					break
				}
			}
		case "import":
			_, err := m.request(clearinghouse.Import, bought, pt, n, other.sourceOf())
			s.outcome(m, err)
		case "install":
			_, err := m.request(clearinghouse.Install, bought, pt, n, nil)
			s.outcome(m, err)
		case "settle":
			s.outcome(m, m.settle())
		case "restart house":
			s.house.stop()
			s.house.open()
		}
	}
}

// outcome refuses faults that nobody can do anything about.
func (s *simulation) outcome(m *member, err error) {
	if err == nil || isCrash(err) || !m.up || !s.house.up || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	if licensing.KindOf(err) == licensing.Internal {
		s.t.Errorf("%s: internal error: %v\n%s", m.name, err, s.log.String())
	}
}

// granted does one granting action and checks its outcome: success is exactly one grant, posted at most once, with its evidence
// beside the key pack; anything else leaves as many CALs as there were.
func (s *simulation) granted(t *rapid.T, m *member, want prediction, f func() (uint32, error)) {
	if s.plan.crashAfter > 0 || s.meanwhile != nil || len(s.faults) > 0 || !s.calm(m) {
		want = prediction{}
	}
	before := m.total()
	for _, o := range m.operations() {
		s.granting[o.Key] = true // an intent of before
	}
	s.asked = 0
	planned := s.plan
	id, err := f()
	t.Logf("    → key pack %d, %v", id, err)
	s.outcome(m, err)
	if planned.meanwhile == nil && s.asked > 1 {
		t.Errorf("%d granting operations were asked for in one call", s.asked)
	}
	if want.known {
		switch {
		case err == nil && want.kind != success:
			t.Errorf("done; it should have been refused: %s", want.kind)
		case err != nil && licensing.KindOf(err) != want.kind:
			t.Errorf("got %v; want %s", err, want)
		case m.total() != before+want.change:
			t.Errorf("%d CALs were installed and %d are; want a change of %d", before, m.total(), want.change)
		}
	}
	if err == nil && planned.meanwhile == nil && m.up {
		s.hasEvidence(t, m, id)
	}
}

// hasEvidence checks that a new key pack is what one grant, or one code, says.
func (s *simulation) hasEvidence(t *rapid.T, m *member, id uint32) {
	verdicts, err := m.inventory.Verify(context.Background())
	s.must(err)
	for _, v := range verdicts {
		if v.KeyPack.ID != id {
			continue
		}
		if len(v.Wrong) > 0 || v.Granted != v.KeyPack.Total || v.Removed != 0 {
			t.Errorf("the new %s: %+v", &v.KeyPack, v)
		}
		return
	}
	t.Errorf("there is no key pack %d", id)
}
