package inventory_test

import (
	"context"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
)

// settleAll ends all faults and lets everybody come to rest, and then checks everything.
func (w *world) settleAll() {
	w.t.Helper()
	w.plan = plan{}
	if !w.house.up {
		w.house.open()
	}
	w.arrive()
	for _, m := range w.members {
		m.online = true
		if !m.up {
			m.open()
		}
		w.agree(m)
	}
	w.rest()
	for _, m := range w.members {
		if m.lost {
			w.reinstall(m)
		}
	}
	w.rest()
	w.check()
}

// agree activates a license server of which the two sides do not know the same.
func (w *world) agree(m *member) {
	s, known := m.registered()
	local := m.local()
	if known && local.Activated() && s.State == clearinghouse.ServerActive && s.LicenseServerID == local.LicenseServerID {
		return
	}
	if !known && !local.Activated() {
		return // never was active
	}
	w.now = w.now.Add(5 * time.Minute) // so that one with a new identity is believed
	w.must(m.call(func(ctx context.Context) error { return m.activation.ReactivateAutomatic(ctx, "admin", 0) }))
	m.stranger = false
}

// rest settles and polls until nothing changes any more.
func (w *world) rest() {
	w.t.Helper()
	for range 100 {
		quiet := true
		for _, m := range w.members {
			local := m.local()
			if !local.Activated() {
				continue
			}
			before, open := local.NoticeSeq, len(m.operations())
			if err := m.settle(); err != nil {
				w.t.Fatalf("%s does not settle: %v\n%s", m.name, err, w.log.String())
			}
			if err := m.poll(); err != nil {
				w.t.Fatalf("%s does not poll: %v\n%s", m.name, err, w.log.String())
			}
			quiet = quiet && m.local().NoticeSeq == before && open == 0 && len(m.operations()) == 0
		}
		if quiet {
			return
		}
	}
	w.t.Fatalf("no rest after 100 rounds")
}

// reinstall brings back what the ledger says a license server with a new database holds.
func (w *world) reinstall(m *member) {
	holder, ok := m.holder()
	if !ok {
		return
	}
	for _, s := range w.sales {
		for _, t := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
			missing := w.balance(s.Entitlement, t, holder) - m.installed(s.Entitlement, t)
			if missing <= 0 {
				continue
			}
			if _, err := m.request(clearinghouse.Reinstall, s, uint32(t), uint32(missing), nil); err != nil {
				w.t.Fatalf("%s cannot reinstall %d %s CALs of %s %s: %v\n%s", m.name, missing, t, s.Credentials.Program, s.Entitlement, err, w.log.String())
			}
		}
	}
	m.lost = false
}

// check compares the ledger with what was sold and with what is installed.
func (w *world) check() {
	w.t.Helper()
	w.checkLedger()
	for _, m := range w.members {
		w.checkMember(m)
	}
	transfers, err := w.house.service.Transfers(context.Background())
	w.must(err)
	for _, v := range transfers {
		if v.Released.IsZero() {
			w.t.Errorf("transfer %s of %d CALs from %d to %d was not released", v.Key, v.Count, v.Source, v.Target)
		}
	}
}

// checkLedger needs nothing but a clearinghouse that runs.
func (w *world) checkLedger() {
	w.t.Helper()
	ctx := context.Background()
	wrong, err := w.house.service.Check(ctx)
	w.must(err)
	for _, text := range wrong {
		w.t.Errorf("ledger: %s", text)
	}
	for _, s := range w.sales {
		var sum int64
		w.must(w.house.store.View(ctx, func(r clearinghouse.Reader) error {
			balances, err := r.Balances(s.Entitlement)
			for _, b := range balances {
				if b.Holder != clearinghouse.Sold {
					sum += b.Quantity
				}
			}
			return err
		}))
		if sum != s.sold {
			w.t.Errorf("entitlement %s: %d sold, all holders together have %d", s.Entitlement, s.sold, sum)
		}
	}
	keys := map[string]int{}
	entries, err := w.house.service.Ledger(ctx, 0, 10000)
	w.must(err)
	for _, e := range entries {
		if e.Key == "" {
			continue
		}
		if keys[e.Key]++; keys[e.Key] > 1 {
			w.t.Errorf("operation %s has %d entries", e.Key, keys[e.Key])
		}
	}
}

func (w *world) checkMember(m *member) {
	w.t.Helper()
	verdicts, err := m.inventory.Verify(context.Background())
	w.must(err)
	for _, v := range verdicts {
		if v.KeyPack.Flag != "" && m.mayFlag(v) {
			continue
		}
		for _, text := range v.Wrong {
			w.t.Errorf("%s %s: %s", m.name, &v.KeyPack, text)
		}
		if v.KeyPack.Total == 0 && v.KeyPack.Issued == 0 {
			w.t.Errorf("%s %s is empty and still there", m.name, &v.KeyPack)
		}
		if v.KeyPack.Held != 0 {
			w.t.Errorf("%s %s holds %d CALs for no conversion", m.name, &v.KeyPack, v.KeyPack.Held)
		}
	}
	holder, ok := m.holder()
	for _, s := range w.sales {
		for _, t := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
			var held int64
			if ok {
				held = w.balance(s.Entitlement, t, holder)
			}
			if have := m.installed(s.Entitlement, t); have != held {
				w.t.Errorf("%s: %d %s CALs of %s are installed, the ledger has %d\n%s", m.name, have, t, s.Entitlement, held, w.dump())
			}
		}
	}
	for _, pack := range m.packs() {
		if pack.Entitlement == "" && pack.Flag == "" {
			w.t.Errorf("%s %s was installed by a code and is not settled", m.name, &pack)
		}
	}
}

// mayFlag tells whether the clearinghouse may doubt a key pack although every code of this test is genuine: if the code was
// canceled, or used a second time, with a new database.
func (m *member) mayFlag(v inventory.Verdict) bool {
	for _, c := range m.w.codes {
		if c.Code == v.KeyPack.Code {
			return m.everLost || c.canceled
		}
	}
	return false
}
