package inventory_test

import (
	"context"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
)

func (s *simulation) sell(t *rapid.T) {
	if !s.house.up {
		drawAgain(t, "the clearinghouse does not run")
	}
	if rapid.IntRange(0, 3).Draw(t, "crash?") == 3 {
		s.crashWho, s.crashAfter = -1, rapid.IntRange(1, 2).Draw(t, "crash after")
	}
	if rapid.Bool().Draw(t, "more") {
		if old := s.aSale(t); old.Credentials.Program != licensing.Retail {
			s.world.sell(old, "", 0, productType(t), count(t))
			return
		}
	}
	program := rapid.SampledFrom([]licensing.Program{licensing.Agreement, licensing.Open, licensing.Retail}).Draw(t, "program")
	s.world.sell(nil, program, rapid.SampledFrom([]uint32{3, 7}).Draw(t, "version"), productType(t), count(t))
}

func (s *simulation) install(t *rapid.T) {
	m := s.aMember(t)
	bought, pt, n := s.something(t, pool)
	want := s.predictInstall(bought, pt, n)
	s.aPlan(t)
	s.granted(t, m, want, func() (uint32, error) { return m.request(clearinghouse.Install, bought, pt, n, nil) })
}

func (s *simulation) importFrom(t *rapid.T) {
	m := s.aMember(t)
	source := s.another(t, m)
	bought, pt, n := s.something(t, s.of(source))
	want := s.predictImport(m, source, bought, pt, n)
	s.aPlan(t)
	s.granted(t, m, want, func() (uint32, error) { return m.request(clearinghouse.Import, bought, pt, n, source.sourceOf()) })
}

func (s *simulation) reinstall(t *rapid.T) {
	m := s.aMember(t)
	bought, pt, n := s.something(t, s.of(m))
	s.aPlan(t)
	s.granted(t, m, prediction{}, func() (uint32, error) { return m.request(clearinghouse.Reinstall, bought, pt, n, nil) })
}

func (s *simulation) convert(t *rapid.T) {
	m, n := s.aMember(t), count(t)
	packs := m.packs()
	if len(packs) == 0 {
		drawAgain(t, "nothing is installed")
	}
	pack := anyOf(t, "key pack", packs)
	want := s.predictConvert(m, pack, n)
	s.aPlan(t)
	s.granted(t, m, want, func() (uint32, error) { return m.convert(pack.ID, n) })
}

func (s *simulation) issueCode(t *rapid.T) {
	target := anyOf(t, "target", s.members)
	var source *member
	holder := pool
	if rapid.Bool().Draw(t, "import") {
		source = s.another(t, target)
		holder = s.of(source)
	}
	bought, pt, n := s.something(t, holder)
	if !s.house.up || target.id() == "" || source != nil && source.id() == "" {
		drawAgain(t, "the operator cannot make it")
	}
	if rapid.IntRange(0, 3).Draw(t, "crash?") == 3 {
		s.crashWho, s.crashAfter = -1, rapid.IntRange(1, 2).Draw(t, "crash after")
	}
	if _, err := s.issue(bought, pt, n, target, source); err != nil {
		t.Logf("    → %v", err)
	}
}

func (s *simulation) cancelCode(t *rapid.T) {
	if !s.house.up || len(s.codes) == 0 {
		drawAgain(t, "there is none")
	}
	code := anyOf(t, "code", s.codes)
	err := s.operate(func(ctx context.Context, house *clearinghouse.Service) error {
		_, err := house.CancelCode(ctx, code.Serial)
		return err
	})
	if err == nil {
		code.canceled = true
	} else if licensing.KindOf(err) != licensing.AlreadyExists {
		t.Fatalf("cancel: %v", err)
	}
}

func (s *simulation) useCode(t *rapid.T) {
	if len(s.codes) == 0 {
		drawAgain(t, "there is none")
	}
	code := anyOf(t, "code", s.codes)
	m := code.target
	if !m.up {
		drawAgain(t, "it does not run")
	}
	kind := clearinghouse.Install
	if code.source != nil {
		kind = clearinghouse.Import
	}
	if rapid.IntRange(0, 4).Draw(t, "reinstall?") == 4 {
		kind = clearinghouse.Reinstall
	}
	s.aPlan(t)
	m.online = rapid.Bool().Draw(t, "in contact")
	s.granted(t, m, prediction{}, func() (uint32, error) { return m.useCode(kind, code) })
}

func (s *simulation) remove(t *rapid.T) {
	m, n := s.aMember(t), count(t)
	packs := m.packs()
	if len(packs) == 0 {
		drawAgain(t, "nothing is installed")
	}
	pack := anyOf(t, "key pack", packs)
	how := rapid.IntRange(0, 2).Draw(t, "how")
	s.aPlan(t)
	before, alone := m.total(), s.meanwhile == nil
	err := m.call(func(ctx context.Context) error {
		switch how {
		case 0:
			return m.inventory.Remove(ctx, "admin", pack.ID, n)
		case 1:
			n = pack.Total
			return m.inventory.RemoveAll(ctx, "admin", pack.ID)
		}
		return m.inventory.RemoveKind(ctx, "admin", inventory.Purchase{
			ProductVersion: uint32(pack.ProductVersion), ProductType: uint32(pack.ProductType), Count: n,
		})
	})
	t.Logf("    → %v", err)
	s.outcome(m, err)
	if !alone || !m.up {
		return
	}
	if err == nil {
		before -= int64(n)
	}
	if m.total() != before {
		t.Errorf("%d CALs are installed; want %d after %v", m.total(), before, err)
	}
}

func (s *simulation) settle(t *rapid.T) {
	m := s.aMember(t)
	s.aPlan(t)
	s.outcome(m, m.settle())
}

func (s *simulation) poll(t *rapid.T) {
	m := s.aMember(t)
	s.aPlan(t)
	s.outcome(m, m.poll())
}

// line cuts the line of a license server, or mends it.
func (s *simulation) line(t *rapid.T) {
	m := anyOf(t, "license server", s.members)
	for _, v := range s.members {
		v.online = v != m || !v.online // at most one is cut off
	}
}

func (s *simulation) restartHouse(t *rapid.T) {
	if s.house.up {
		s.house.stop()
	}
	if rapid.IntRange(0, 3).Draw(t, "stays down?") < 2 {
		s.house.open()
	}
}

// restart starts all that have crashed, or one that has not.
func (s *simulation) restart(t *rapid.T) {
	all := true
	for _, m := range s.members {
		if !m.up {
			all = false
			m.open()
		}
	}
	if all {
		anyOf(t, "license server", s.members).restart()
	}
	if !s.house.up {
		s.house.open()
	}
}

func (s *simulation) loseDatabase(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "really?") != 2 {
		drawAgain(t, "it is kept")
	}
	m := s.aMember(t)
	m.id()
	if rapid.IntRange(0, 3).Draw(t, "identity too?") == 3 {
		m.newIdentity()
		m.stranger = true
		s.now = s.now.Add(5 * time.Minute)
	}
	m.loseDatabase()
	s.aPlan(t)
	s.outcome(m, m.activateAgain())
}

func (s *simulation) activate(t *rapid.T) {
	m := s.aMember(t)
	byPhone := rapid.Bool().Draw(t, "by phone")
	s.aPlan(t)
	if byPhone && s.house.up && !m.stranger {
		s.outcome(m, s.activateByPhone(m))
		return
	}
	s.outcome(m, m.activateAgain())
}

func (s *simulation) deactivate(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "really?") != 2 {
		drawAgain(t, "it is not")
	}
	m := s.aMember(t)
	byPhone := rapid.Bool().Draw(t, "by phone")
	s.aPlan(t)
	m.id()
	if byPhone && s.house.up {
		s.outcome(m, s.deactivateByPhone(m))
		return
	}
	s.outcome(m, m.call(func(ctx context.Context) error { return m.activation.DeactivateAutomatic(ctx, "admin") }))
}

func (s *simulation) clock(t *rapid.T) {
	s.now = s.now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "seconds")) * time.Second)
}

func (s *simulation) rest(*rapid.T) { s.settleAll() }
