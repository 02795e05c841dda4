package clearinghouse

import (
	"context"
	"slices"

	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// ActivateRequest is what a license server says of itself to be activated.
type ActivateRequest struct {
	EnrolmentKey string            `json:"enrolmentKey,omitempty"` // of the organization; without it an operator must approve
	Name         string            `json:"name"`                   // host name or FQDN
	Names        []string          `json:"names,omitempty"`        // further names and addresses
	Contact      licensing.Contact `json:"contact"`
}

// ReactivateRequest asks for a new license server ID for the same account.
type ReactivateRequest struct {
	ActivateRequest
	Reason licensing.ReactivationReason `json:"reason"`
}

// Activate gives the license server its ID. One that is active already gets the ID it has: the answer may have been lost.
// Faults: Invalid, Denied (wrong enrolment key), NotActivated (waiting for approval).
func (s *Service) Activate(ctx context.Context, productID string, r ActivateRequest) (Signed, error) {
	if err := r.Contact.CheckComplete(); err != nil {
		return Signed{}, err
	}
	var signed Signed
	waiting := false
	err := s.store.Update(ctx, func(tx Tx) error {
		server, err := tx.ServerByProductID(productID)
		known := err == nil
		if err != nil && licensing.KindOf(err) != licensing.NotFound {
			return err
		}
		if !known {
			server = Server{ProductID: productID, State: ServerWaiting}
		}
		if err := register(&server, r); err != nil {
			return err
		}
		if r.EnrolmentKey != "" {
			organization, err := enrolment(tx, r.EnrolmentKey)
			if err != nil {
				return err
			}
			if server.Organization != "" && server.Organization != organization.ID {
				return licensing.Faultf(licensing.Denied, "this license server belongs to another organization than the enrolment key")
			}
			server.Organization = organization.ID
			if server.State == ServerWaiting {
				server.State = ServerApproved
			}
		}
		if !known {
			if server.State == ServerWaiting {
				if err := mayWait(tx); err != nil {
					return err
				}
			}
			if server.ID, err = tx.InsertServer(server); err != nil {
				return err
			}
		}
		switch server.State {
		case ServerWaiting:
			waiting = true // and commit: the operator shall see it
			return tx.UpdateServer(server)
		case ServerActive:
			if err := tx.UpdateServer(server); err != nil {
				return err
			}
		default:
			if err := s.assignID(tx, &server); err != nil {
				return err
			}
		}
		signed, err = s.signActivation(server)
		return err
	})
	if err == nil && waiting {
		err = licensing.Faultf(licensing.NotActivated, "the clearinghouse's operator must approve this license server first; or set the organization's enrolment key and try again")
	}
	return signed, err
}

// maxWaiting bounds how many license servers wait for approval: anybody who reaches the clearinghouse can ask for it.
const maxWaiting = 256

func mayWait(tx Tx) error {
	servers, err := tx.Servers("")
	if err != nil {
		return err
	}
	waiting := 0
	for _, v := range servers {
		if v.State == ServerWaiting {
			waiting++
		}
	}
	if waiting >= maxWaiting {
		return licensing.Faultf(licensing.Limited, "%d license servers wait for the operator's approval: no more can; use the organization's enrolment key", waiting)
	}
	return nil
}

// Reactivate gives the license server a new ID on the account it has. A license server that has lost its identity is found
// by its organization and the name it registered, unless the one known by that name is still in contact.
func (s *Service) Reactivate(ctx context.Context, productID string, r ReactivateRequest) (Signed, error) {
	var signed Signed
	err := s.store.Update(ctx, func(tx Tx) error {
		server, err := tx.ServerByProductID(productID)
		if licensing.KindOf(err) == licensing.NotFound && err != nil {
			server, err = s.successor(tx, productID, r)
		}
		if err != nil {
			return err
		}
		if server.LicenseServerID == "" {
			return licensing.Faultf(licensing.NotActivated, "this license server was never activated: activate it first")
		}
		if r.Contact.FirstName == "" {
			r.Contact = server.Contact
		}
		if err := register(&server, r.ActivateRequest); err != nil {
			return err
		}
		if err := s.assignID(tx, &server); err != nil {
			return err
		}
		signed, err = s.signActivation(server)
		return err
	})
	return signed, err
}

// successor returns the account of the license server that lost its identity and asks again under another product ID.
func (s *Service) successor(tx Tx, productID string, r ReactivateRequest) (Server, error) {
	if r.EnrolmentKey == "" {
		return Server{}, licensing.Faultf(licensing.Denied, "the clearinghouse does not know this license server; with the organization's enrolment key it can take the place of one that had its name")
	}
	organization, err := enrolment(tx, r.EnrolmentKey)
	if err != nil {
		return Server{}, err
	}
	name, err := licensing.ParseServerName(r.Name)
	if err != nil {
		return Server{}, err
	}
	servers, err := tx.Servers(organization.ID)
	if err != nil {
		return Server{}, err
	}
	servers = slices.DeleteFunc(servers, func(v Server) bool { return v.Name != name || v.LicenseServerID == "" })
	switch {
	case len(servers) == 0:
		return Server{}, licensing.Faultf(licensing.NotFound, "no license server named %s was activated before: activate this one", name)
	case len(servers) > 1:
		return Server{}, licensing.Faultf(licensing.Invalid, "%d license servers were activated as %s: the clearinghouse's operator must make the new license server ID", len(servers), name)
	case s.hub.reachable(servers[0].ID) || s.now().Sub(servers[0].LastContact) < 2*lastContactInterval:
		return Server{}, licensing.Faultf(licensing.AlreadyExists, "the license server %s was in contact with the clearinghouse just now: two cannot have its account. If it is gone, try again in two minutes", name)
	}
	servers[0].ProductID = productID
	return servers[0], nil
}

// Deactivate retires the license server's ID. Its CALs stay on its account, from where they can be imported.
func (s *Service) Deactivate(ctx context.Context, productID string) error {
	return s.store.Update(ctx, func(tx Tx) error {
		server, err := activeServer(tx, productID)
		if err != nil {
			return err
		}
		server.State = ServerDeactivated
		server.LastContact = s.now()
		return tx.UpdateServer(server)
	})
}

// register takes over what a license server says of itself.
func register(server *Server, r ActivateRequest) error {
	name, err := licensing.ParseServerName(r.Name)
	if err != nil {
		return err
	}
	if len(r.Names) > 64 {
		return licensing.Faultf(licensing.Invalid, "a license server has at most 64 names and addresses")
	}
	server.Name, server.Names, server.Contact = name, []string{name}, r.Contact
	for _, n := range r.Names {
		n, err := licensing.ParseServerName(n)
		if err != nil {
			return err
		}
		if !slices.Contains(server.Names, n) {
			server.Names = append(server.Names, n)
		}
	}
	return nil
}

// assignID makes a new license server ID and stores the server as active.
func (s *Service) assignID(tx Tx, server *Server) error {
	secret, err := s.Secret(server.ProductID)
	if err != nil {
		return err
	}
	serial, err := tx.NextSerial()
	if err != nil {
		return err
	}
	id, err := keycode.Code{Kind: keycode.LicenseServerID, Serial: serial}.Seal(secret, keycode.Binding{})
	if err != nil {
		return err
	}
	server.LicenseServerID, server.State, server.LastContact = id, ServerActive, s.now()
	return tx.UpdateServer(*server)
}

func (s *Service) signActivation(server Server) (Signed, error) {
	return Sign(s.keys.Signing, PurposeActivation, Activation{
		LicenseServerID: server.LicenseServerID, ProductID: server.ProductID, Organization: server.Organization,
		At: s.now().UTC(),
	})
}

func enrolment(tx Tx, key string) (Organization, error) {
	organization, err := tx.OrganizationByEnrolment(hash(key))
	if err != nil && licensing.KindOf(err) == licensing.NotFound {
		return organization, licensing.Faultf(licensing.Denied, "the enrolment key is not one of this clearinghouse's")
	}
	return organization, err
}

// activeServer returns the license server that asks; one that is not active must activate itself first.
func activeServer(r Reader, productID string) (Server, error) {
	server, err := r.ServerByProductID(productID)
	if err != nil && licensing.KindOf(err) != licensing.NotFound {
		return server, err
	}
	if err != nil || server.State != ServerActive {
		return server, licensing.Faultf(licensing.NotActivated, "the clearinghouse has no active license server with this product ID: activate it first")
	}
	return server, nil
}
