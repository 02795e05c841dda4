package inventory_test

import (
	"context"
	"fmt"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// prediction is what an action must end with if nothing goes wrong; the zero value says nothing.
type prediction struct {
	known  bool
	kind   licensing.Kind
	change int64 // of the CALs installed on the license server
}

// success is no kind of fault.
const success licensing.Kind = 255

func done(change int64) prediction { return prediction{true, success, change} }

func refusedAs(kind licensing.Kind) prediction { return prediction{true, kind, 0} }

func (p prediction) String() string {
	if p.kind == success {
		return fmt.Sprintf("success, and %d CALs more", p.change)
	}
	return p.kind.String()
}

// calm tells whether nothing is under way between a license server and the clearinghouse, so that what it asks for can be
// predicted.
func (w *world) calm(m *member) bool {
	if !w.house.up || !m.up || !m.online || len(m.operations()) > 0 {
		return false
	}
	s, known := m.registered()
	local := m.local()
	return known && s.State == clearinghouse.ServerActive && s.LicenseServerID == local.LicenseServerID && s.NoticeSeq == local.NoticeSeq
}

func (w *world) predictInstall(s *sale, productType, n uint32) prediction {
	if !w.house.up {
		return prediction{}
	}
	if s.Credentials.Program == licensing.Retail {
		for _, t := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
			if pool := w.balance(s.Entitlement, t, clearinghouse.Pool); pool > 0 {
				return done(pool)
			}
		}
		return refusedAs(licensing.AlreadyExists)
	}
	t := licensing.ProductType(productType)
	if !w.everBought(s, t) {
		return refusedAs(licensing.NotFound)
	}
	if int64(n) > w.balance(s.Entitlement, t, clearinghouse.Pool) {
		return refusedAs(licensing.OutOfRange)
	}
	return done(int64(n))
}

// everBought tells whether the entitlement has accounts of a product type.
func (w *world) everBought(s *sale, t licensing.ProductType) (bought bool) {
	w.must(w.house.store.View(context.Background(), func(r clearinghouse.Reader) error {
		balances, err := r.Balances(s.Entitlement)
		for _, b := range balances {
			bought = bought || b.ProductType == t
		}
		return err
	}))
	return bought
}

func (w *world) predictImport(m, source *member, s *sale, productType, n uint32) prediction {
	if !w.house.up || source.id() == "" {
		return prediction{}
	}
	if source == m {
		return refusedAs(licensing.Invalid)
	}
	registered, ok := source.registered()
	if !ok || registered.LicenseServerID != source.id() {
		return refusedAs(licensing.NotFound)
	}
	t, retail := licensing.ProductType(productType), s.Credentials.Program == licensing.Retail
	if retail {
		t = licensing.PerDevice
		if w.balance(s.Entitlement, t, clearinghouse.ServerHolder(registered.ID)) == 0 {
			t = licensing.PerUser
		}
	} else if !w.everBought(s, t) {
		return refusedAs(licensing.NotFound)
	}
	held := w.balance(s.Entitlement, t, clearinghouse.ServerHolder(registered.ID))
	if retail {
		if held == 0 {
			return refusedAs(licensing.NotFound)
		}
		n = uint32(held)
	}
	if int64(n) > held-w.promised(registered.ID, s, t) {
		return refusedAs(licensing.OutOfRange)
	}
	return done(int64(n))
}

// promised returns how many CALs of a license server are kept for import codes.
func (w *world) promised(server uint32, s *sale, t licensing.ProductType) (n int64) {
	w.must(w.house.store.View(context.Background(), func(r clearinghouse.Reader) error {
		codes, err := r.OpenCodes(server, s.Entitlement, t)
		for _, c := range codes {
			kept, err := r.Balance(clearinghouse.Account{Entitlement: s.Entitlement, ProductType: t, Holder: clearinghouse.CodeHolder(c.Serial)})
			if err != nil {
				return err
			}
			n += int64(c.Count) - kept
		}
		return err
	}))
	return n
}

func (w *world) predictConvert(m *member, pack licensing.KeyPack, n uint32) prediction {
	if !w.house.up || pack.Flag != "" || pack.Entitlement == "" {
		return prediction{}
	}
	server, ok := m.registered()
	if !ok {
		return prediction{}
	}
	for _, s := range w.sales {
		if s.Entitlement != pack.Entitlement {
			continue
		}
		free := w.balance(s.Entitlement, pack.ProductType, clearinghouse.ServerHolder(server.ID)) - w.promised(server.ID, s, pack.ProductType)
		if n > pack.Available() || int64(n) > free {
			return refusedAs(licensing.OutOfRange)
		}
		return done(0)
	}
	return prediction{}
}

// activateAgain does what an administrator does whose license server is not activated, or shall get a new ID.
func (m *member) activateAgain() error {
	if !m.stranger {
		return m.activate()
	}
	err := m.call(func(ctx context.Context) error { return m.activation.ReactivateAutomatic(ctx, "admin", 0) })
	if err == nil {
		m.stranger = false
	}
	return err
}

// activateByPhone gives a license server a new ID without network.
func (w *world) activateByPhone(m *member) error {
	var id string
	err := w.operate(func(ctx context.Context, house *clearinghouse.Service) (err error) {
		id, err = house.ActivationCode(ctx, keycode.Groups(m.productID()), "", m.name)
		return err
	})
	if err != nil {
		return err
	}
	return m.call(func(ctx context.Context) error { return m.activation.Reactivate(ctx, "admin", id) })
}

func (m *member) productID() string { return keycode.ProductID(m.identity.PublicKey()) }

// deactivateByPhone retires a license server without network.
func (w *world) deactivateByPhone(m *member) error {
	var code string
	err := w.operate(func(ctx context.Context, house *clearinghouse.Service) (err error) {
		code, err = house.DeactivationCode(ctx, m.id())
		return err
	})
	if err != nil {
		return err
	}
	return m.call(func(ctx context.Context) error { return m.activation.Deactivate(ctx, "admin", code) })
}
