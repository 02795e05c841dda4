// Package activation is how a license server gets, renews and gives up its license server ID, and keeps the contact data
// that activation needs. It must not know WMI, HTTP or SQL.
package activation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Clearinghouse is what activation asks of it.
type Clearinghouse interface {
	Activate(context.Context, clearinghouse.ActivateRequest) (clearinghouse.Activation, error)
	Reactivate(context.Context, clearinghouse.ReactivateRequest) (clearinghouse.Activation, error)
	Deactivate(context.Context) error
	// Secret is what the IDs and confirmation codes for this license server are bound to.
	Secret() keycode.Secret
}

// Options say who this license server is.
type Options struct {
	ProductID    string
	Name         string   // host name or FQDN
	Names        []string // further names and addresses
	EnrolmentKey string   // of the organization; may be empty
	Now          func() time.Time
}

// Service activates one license server.
type Service struct {
	store         store.Store
	clearinghouse Clearinghouse
	Options
}

// New returns a Service. A database that belongs to another identity is refused.
func New(ctx context.Context, st store.Store, c Clearinghouse, o Options) (*Service, error) {
	s := &Service{st, c, o}
	return s, st.Update(ctx, func(tx store.Tx) error {
		server, err := tx.Server()
		if err != nil {
			return err
		}
		if server.ProductID == o.ProductID {
			return nil
		}
		if server.ProductID != "" {
			return fmt.Errorf("the database %s belongs to the license server %s, the identity file to %s: restore the file that fits, or start with an empty database",
				st.Path(), keycode.FirstGroup(server.ProductID), keycode.FirstGroup(o.ProductID))
		}
		server.ProductID = o.ProductID
		return s.put(tx, server, "calkeeper", "initialize", "new database")
	})
}

func (s *Service) put(tx store.Tx, server licensing.Server, actor, action, detail string) error {
	if err := tx.PutServer(server); err != nil {
		return err
	}
	return tx.Audit(store.AuditRecord{At: s.Now(), Actor: actor, Action: action, Detail: detail})
}

// Server returns what this license server knows about itself.
func (s *Service) Server(ctx context.Context) (server licensing.Server, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		server, err = r.Server()
		return err
	})
	return server, err
}

// change writes what f makes of the server.
func (s *Service) change(ctx context.Context, actor, action string, f func(*licensing.Server) (detail string, err error)) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		server, err := tx.Server()
		if err != nil {
			return err
		}
		before := server
		detail, err := f(&server)
		if err != nil || server == before {
			return err
		}
		return s.put(tx, server, actor, action, detail)
	})
}

// SetContact changes the contact data; f gets the present ones.
func (s *Service) SetContact(ctx context.Context, actor string, f func(*licensing.Contact)) error {
	return s.change(ctx, actor, "set contact", func(v *licensing.Server) (string, error) {
		f(&v.Contact)
		return "", nil
	})
}

// Activate takes a license server ID that the clearinghouse's operator gave by phone or web: 35 characters, made for this
// license server. Faults: Invalid, AlreadyExists if another ID is in use, Unavailable if no clearinghouse is configured.
func (s *Service) Activate(ctx context.Context, actor, licenseServerID string) error {
	id, err := s.checkID(licenseServerID)
	if err != nil {
		return err
	}
	return s.change(ctx, actor, "activate", func(v *licensing.Server) (string, error) {
		if v.Activated() && v.LicenseServerID != id {
			return "", licensing.Faultf(licensing.AlreadyExists, "this license server is activated with another ID: reactivate it to use a new one")
		}
		return s.takeID(v, id), nil
	})
}

// Reactivate takes a new license server ID that the clearinghouse's operator gave.
func (s *Service) Reactivate(ctx context.Context, actor, newLicenseServerID string) error {
	id, err := s.checkID(newLicenseServerID)
	if err != nil {
		return err
	}
	return s.change(ctx, actor, "reactivate", func(v *licensing.Server) (string, error) {
		return s.takeID(v, id), nil
	})
}

func (s *Service) checkID(id string) (string, error) {
	return s.checkCode("license server ID", id, keycode.LicenseServerID, keycode.Binding{})
}

// checkCode verifies a code that was typed in. Without a clearinghouse only its form can be checked. Faults: Invalid, Unavailable.
func (s *Service) checkCode(what, code string, kind keycode.Kind, b keycode.Binding) (canonical string, err error) {
	canonical, err = keycode.Check(code)
	if err == nil {
		_, err = keycode.Open(canonical, kind, s.clearinghouse.Secret(), b)
	}
	if errors.Is(err, keycode.ErrNoSecret) {
		return "", licensing.Faultf(licensing.Unavailable,
			"the %s cannot be verified: this license server has no clearinghouse configured; give its authority document", what)
	}
	if err != nil {
		return "", licensing.Faultf(licensing.Invalid, "the %s: %v", what, err)
	}
	return canonical, nil
}

func (s *Service) takeID(v *licensing.Server, id string) (detail string) {
	if v.LicenseServerID == id {
		return ""
	}
	v.LicenseServerID, v.ActivatedAt = id, s.Now().UTC().Truncate(time.Second)
	return "license server ID " + keycode.FirstGroup(id)
}

// ActivateAutomatic asks the clearinghouse for the ID. It needs FirstName, LastName, Company and CountryRegion. One that is
// activated stays as it is. Faults: Invalid, Denied, NotActivated (waits for the operator's approval), Unavailable.
func (s *Service) ActivateAutomatic(ctx context.Context, actor string) error {
	server, err := s.Server(ctx)
	if err != nil {
		return err
	}
	if err := server.Contact.CheckComplete(); err != nil {
		return err
	}
	if server.Activated() {
		return nil
	}
	answer, err := s.clearinghouse.Activate(ctx, s.request(server))
	if err != nil {
		return err
	}
	return s.take(ctx, actor, "activate", answer)
}

// ReactivateAutomatic asks the clearinghouse for a new ID. It needs FirstName and LastName. It serves also a license server
// whose database, or whose identity, is lost.
func (s *Service) ReactivateAutomatic(ctx context.Context, actor string, reason uint32) error {
	r, err := licensing.ParseReactivationReason(reason)
	if err != nil {
		return err
	}
	server, err := s.named(ctx)
	if err != nil {
		return err
	}
	answer, err := s.clearinghouse.Reactivate(ctx, clearinghouse.ReactivateRequest{ActivateRequest: s.request(server), Reason: r})
	if err != nil {
		return err
	}
	return s.take(ctx, actor, "reactivate", answer)
}

func (s *Service) named(ctx context.Context) (licensing.Server, error) {
	server, err := s.Server(ctx)
	if err == nil && (server.Contact.FirstName == "" || server.Contact.LastName == "") {
		err = licensing.Faultf(licensing.Invalid, "FirstName or LastName is empty: set them first")
	}
	return server, err
}

func (s *Service) request(server licensing.Server) clearinghouse.ActivateRequest {
	return clearinghouse.ActivateRequest{EnrolmentKey: s.EnrolmentKey, Name: s.Name, Names: s.Names, Contact: server.Contact}
}

func (s *Service) take(ctx context.Context, actor, action string, a clearinghouse.Activation) error {
	id, err := s.checkID(a.LicenseServerID)
	if err != nil {
		return err
	}
	return s.change(ctx, actor, action, func(v *licensing.Server) (string, error) {
		return s.takeID(v, id), nil
	})
}

// Deactivate gives up the ID with a confirmation code that the clearinghouse's operator gave. Faults: NotActivated, Invalid,
// Unavailable if no clearinghouse is configured.
func (s *Service) Deactivate(ctx context.Context, actor, confirmationCode string) error {
	server, err := s.activated(ctx)
	if err != nil {
		return err
	}
	if _, err := s.checkCode("confirmation code", confirmationCode, keycode.Confirmation, keycode.Binding{Target: server.LicenseServerID}); err != nil {
		return err
	}
	return s.giveUp(ctx, actor)
}

// DeactivateAutomatic gives up the ID and tells the clearinghouse. It needs FirstName and LastName.
func (s *Service) DeactivateAutomatic(ctx context.Context, actor string) error {
	if _, err := s.activated(ctx); err != nil {
		return err
	}
	if _, err := s.named(ctx); err != nil {
		return err
	}
	if err := s.clearinghouse.Deactivate(ctx); err != nil && licensing.KindOf(err) != licensing.NotActivated {
		return err
	}
	return s.giveUp(ctx, actor)
}

func (s *Service) activated(ctx context.Context) (licensing.Server, error) {
	server, err := s.Server(ctx)
	if err == nil && !server.Activated() {
		err = licensing.Faultf(licensing.NotActivated, "this license server is not activated")
	}
	return server, err
}

func (s *Service) giveUp(ctx context.Context, actor string) error {
	return s.change(ctx, actor, "deactivate", func(v *licensing.Server) (string, error) {
		v.LicenseServerID, v.ActivatedAt = "", time.Time{}
		return "", nil
	})
}

// LicenseServerID returns the ID. Fault: NotActivated.
func (s *Service) LicenseServerID(ctx context.Context) (string, error) {
	server, err := s.activated(ctx)
	return server.LicenseServerID, err
}
