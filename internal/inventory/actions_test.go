package inventory_test

import (
	"context"
	"iter"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// sale is an entitlement and how much of it was sold.
type sale struct {
	clearinghouse.Sale
	sold int64
}

// offlineCode is a code that the operator gave to a license server.
type offlineCode struct {
	clearinghouse.IssuedCode
	*sale
	productType uint32
	count       uint32
	target      *member
	targetID    string
	source      *member // nil: from the pool
	sourceID    string
	canceled    bool
}

// operate runs f as the clearinghouse's operator. The clearinghouse may crash in it.
func (w *world) operate(f func(context.Context, *clearinghouse.Service) error) (err error) {
	life := w.house.life
	defer func() {
		if p := recover(); p != nil {
			if c, ok := p.(crashed); !ok || c.name != "clearinghouse" {
				panic(p)
			}
			if w.house.life == life {
				w.house.stop()
			}
			err = p.(crashed)
		}
	}()
	return f(context.Background(), w.house.service)
}

// sell sells CALs: more of old, or if that is nil, something new. A crash leaves open whether anything was sold; then the
// operator looks.
func (w *world) sell(old *sale, program licensing.Program, version, productType, count uint32) *sale {
	request := clearinghouse.SellRequest{
		Credentials: licensing.Credentials{Program: program}, ProductVersion: version, ProductType: productType, Count: count,
	}
	if old != nil {
		request.Credentials, request.ProductVersion = old.Credentials, old.ProductVersion
	}
	var sold clearinghouse.Sale
	err := w.operate(func(ctx context.Context, s *clearinghouse.Service) (err error) {
		sold, err = s.Sell(ctx, request)
		return err
	})
	switch {
	case isCrash(err) && old != nil:
		w.house.open()
		old.sold = -w.balance(old.Entitlement, licensing.PerDevice, clearinghouse.Sold) - w.balance(old.Entitlement, licensing.PerUser, clearinghouse.Sold)
		return old
	case isCrash(err):
		return nil // nobody knows the credentials
	}
	w.must(err)
	if old == nil {
		old = &sale{Sale: sold}
		w.sales = append(w.sales, old)
	}
	old.sold += int64(count)
	return old
}

// balance returns what the ledger says.
func (w *world) balance(entitlement string, t licensing.ProductType, h clearinghouse.Holder) (n int64) {
	w.must(w.house.store.View(context.Background(), func(r clearinghouse.Reader) (err error) {
		n, err = r.Balance(clearinghouse.Account{Entitlement: entitlement, ProductType: t, Holder: h})
		return err
	}))
	return n
}

// holder returns the account of a license server, and false if the clearinghouse has none under its present identity.
func (m *member) holder() (clearinghouse.Holder, bool) {
	s, ok := m.registered()
	return clearinghouse.ServerHolder(s.ID), ok
}

// registered returns what the clearinghouse knows of the license server.
func (m *member) registered() (s clearinghouse.Server, ok bool) {
	m.w.must(m.w.house.store.View(context.Background(), func(r clearinghouse.Reader) error {
		all, err := r.Servers("")
		for _, v := range all {
			if v.Name == m.name {
				s, ok = v, true
			}
		}
		return err
	}))
	return s, ok
}

// local returns what the license server knows of itself.
func (m *member) local() (s licensing.Server) {
	m.w.must(m.store.View(context.Background(), func(r store.Reader) (err error) {
		s, err = r.Server()
		return err
	}))
	return s
}

func (m *member) operations() (list []store.Operation) {
	m.w.must(m.store.View(context.Background(), func(r store.Reader) (err error) {
		list, err = r.Operations()
		return err
	}))
	return list
}

// packs returns the installed key packs without the built-in one.
func (m *member) packs() []licensing.KeyPack {
	all, err := collect(m.inventory.KeyPacks(context.Background()))
	m.w.must(err)
	return all[1:]
}

// collect returns what a sequence yields before its error.
func collect[T any](sequence iter.Seq2[T, error]) (all []T, err error) {
	for v, err := range sequence {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// total returns how many CALs are installed, flagged ones and all.
func (m *member) total() (n int64) {
	for _, pack := range m.packs() {
		n += int64(pack.Total)
	}
	return n
}

// installed returns how many CALs of an account are installed in good key packs.
func (m *member) installed(entitlement string, t licensing.ProductType) (n int64) {
	for _, pack := range m.packs() {
		if pack.Entitlement == entitlement && pack.ProductType == t && pack.Flag == "" {
			n += int64(pack.Total)
		}
	}
	return n
}

// id returns the ID under which the administrator knows the license server, and keeps it for when it is gone.
func (m *member) id() string {
	if m.up {
		if s := m.local(); s.Activated() {
			m.lastID = s.LicenseServerID
		}
	}
	return m.lastID
}

func (m *member) sourceOf() *inventory.Source {
	return &inventory.Source{Name: m.name, ID: m.id()}
}

// activate makes sure that both sides agree on an active license server.
func (m *member) activate() error {
	return m.call(func(ctx context.Context) error {
		if local := m.local(); local.Activated() {
			return m.activation.ReactivateAutomatic(ctx, "admin", 0)
		}
		return m.activation.ActivateAutomatic(ctx, "admin")
	})
}

// request asks for CALs under a sale; source is nil but for an import.
func (m *member) request(kind clearinghouse.OperationKind, s *sale, productType, count uint32, source *inventory.Source) (id uint32, err error) {
	c, p := s.Credentials, inventory.Purchase{ProductVersion: s.ProductVersion, ProductType: productType, Count: count}
	err = m.call(func(ctx context.Context) (err error) {
		switch c.Program {
		case licensing.Open:
			id, err = m.inventory.Open(ctx, "admin", kind, c.LicenseNumber, c.AuthorizationNumber, p, source)
		case licensing.Agreement:
			id, err = m.inventory.Agreement(ctx, "admin", kind, uint32(c.AgreementType), c.AgreementNumber, p, source)
		default:
			id, err = m.inventory.Retail(ctx, "admin", kind, c.LicenseCode, source)
		}
		return err
	})
	return id, err
}

// useCode types in an offline code.
func (m *member) useCode(kind clearinghouse.OperationKind, c *offlineCode) (id uint32, err error) {
	var source *inventory.Source
	if c.source != nil {
		source = &inventory.Source{Name: c.source.name, ID: c.sourceID}
	}
	err = m.call(func(ctx context.Context) (err error) {
		id, err = m.inventory.Offline(ctx, "admin", kind, c.Code, source)
		return err
	})
	return id, err
}

// issue makes an offline code for a license server.
func (w *world) issue(s *sale, productType, count uint32, target, source *member) (*offlineCode, error) {
	request := clearinghouse.CodeRequest{Entitlement: s.Entitlement, ProductType: productType, Count: count, Target: target.id()}
	c := &offlineCode{sale: s, productType: productType, count: count, target: target, targetID: request.Target, source: source}
	if source != nil {
		request.Source = source.id()
		c.sourceID = request.Source
	}
	err := w.operate(func(ctx context.Context, house *clearinghouse.Service) (err error) {
		c.IssuedCode, err = house.IssueCode(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	w.codes = append(w.codes, c)
	return c, nil
}

func (m *member) convert(pack, count uint32) (id uint32, err error) {
	err = m.call(func(ctx context.Context) (err error) {
		id, err = m.inventory.Convert(ctx, "admin", pack, count)
		return err
	})
	return id, err
}

func (m *member) remove(pack, count uint32) error {
	return m.call(func(ctx context.Context) error { return m.inventory.Remove(ctx, "admin", pack, count) })
}

func (m *member) settle() error { return m.call(m.inventory.Settle) }

func (m *member) poll() error {
	return m.call(func(ctx context.Context) error { return m.inventory.Poll(ctx, 0) })
}
