package clearinghouse

import (
	"context"
	"time"

	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// NewOrganization is an organization with its enrolment key, which is shown this once.
type NewOrganization struct {
	Organization
	EnrolmentKey string
}

// CreateOrganization adds an organization.
func (s *Service) CreateOrganization(ctx context.Context, name string) (NewOrganization, error) {
	if name == "" || len(name) > 200 {
		return NewOrganization{}, licensing.Faultf(licensing.Invalid, "the organization's name must have 1 to 200 characters")
	}
	var o NewOrganization
	var err error
	if o.ID, err = s.randomText(8); err != nil {
		return o, err
	}
	if o.EnrolmentKey, err = s.randomText(26); err != nil {
		return o, err
	}
	o.Name, o.EnrolmentHash, o.Created = name, hash(o.EnrolmentKey), s.now().UTC()
	return o, s.store.Update(ctx, func(tx Tx) error { return tx.InsertOrganization(o.Organization) })
}

// SellRequest is what the operator sells. Numbers that are left empty are made.
type SellRequest struct {
	Organization   string                `json:"organization"` // ID; may be empty if there is only one
	Credentials    licensing.Credentials `json:"credentials"`
	ProductVersion uint32                `json:"productVersion"`
	ProductType    uint32                `json:"productType"`
	Count          uint32                `json:"count"`
	Expires        time.Time             `json:"expires,omitzero"` // cut to the end of its month; zero for perpetual CALs
}

// Sale is what was sold: the credentials are shown this once.
type Sale struct {
	Entitlement    string                `json:"entitlement"`
	Organization   string                `json:"organization"`
	Credentials    licensing.Credentials `json:"credentials"`
	ProductVersion uint32                `json:"productVersion"`
	ProductType    uint32                `json:"productType"`
	Count          uint32                `json:"count"`
}

// Sell adds CALs to the pool of an entitlement, which is made if there is none of that number and version yet.
func (s *Service) Sell(ctx context.Context, r SellRequest) (Sale, error) {
	version, err := licensing.ParseProductVersion(r.ProductVersion)
	if err != nil {
		return Sale{}, err
	}
	t, err := licensing.ParseProductType(r.ProductType)
	if err != nil {
		return Sale{}, err
	}
	if r.Count == 0 || r.Count > keycode.MaxQuantity {
		return Sale{}, licensing.Faultf(licensing.Invalid, "the count is %d; 1 to %d can be sold at once", r.Count, keycode.MaxQuantity)
	}
	month, err := keycode.ExpiryMonth(r.Expires)
	if err != nil {
		return Sale{}, licensing.Faultf(licensing.Invalid, "the expiry: %v", err)
	}
	match := Entitlement{ProductVersion: version, Expires: keycode.Code{ExpiryMonth: month}.Expires(), Created: s.now().UTC()}
	if match.ID, err = s.randomText(8); err != nil {
		return Sale{}, err
	}
	credentials, err := s.complete(r.Credentials, &match)
	if err != nil {
		return Sale{}, err
	}
	var sold Entitlement
	err = s.store.Update(ctx, func(tx Tx) error {
		organization, err := chooseOrganization(tx, r.Organization)
		if err != nil {
			return err
		}
		match.Organization = organization
		if sold, err = sameOrNew(tx, match); err != nil {
			return err
		}
		return tx.Post(Entry{At: s.now(), Kind: "sale", Actor: "operator", Postings: Move(sold.ID, t, Sold, Pool, int64(r.Count))})
	})
	return Sale{sold.ID, sold.Organization, credentials, uint32(version), r.ProductType, r.Count}, err
}

// complete checks the credentials of a sale, makes those that are missing, and sets them in e.
func (s *Service) complete(c licensing.Credentials, e *Entitlement) (licensing.Credentials, error) {
	var err error
	switch c.Program {
	case licensing.Open:
		if c.LicenseNumber == "" {
			if c.LicenseNumber, err = s.randomDigits(licensing.LicenseNumberLength); err != nil {
				return c, err
			}
		}
		if c.AuthorizationNumber == "" {
			if c.AuthorizationNumber, err = s.randomText(licensing.AuthorizationNumberLength); err != nil {
				return c, err
			}
		}
		if c, err = licensing.OpenCredentials(c.LicenseNumber, c.AuthorizationNumber); err != nil {
			return c, err
		}
		e.Number, e.SecretHash = c.LicenseNumber, hash(c.AuthorizationNumber)
	case licensing.Agreement:
		if c.AgreementNumber == "" {
			if c.AgreementNumber, err = s.randomDigits(licensing.AgreementNumberLength); err != nil {
				return c, err
			}
		}
		if c, err = licensing.AgreementCredentials(uint32(c.AgreementType), c.AgreementNumber); err != nil {
			return c, err
		}
		e.Number, e.AgreementType = c.AgreementNumber, c.AgreementType
	case licensing.Retail:
		if c.LicenseCode != "" {
			return c, licensing.Faultf(licensing.Invalid, "a retail license code is made by the clearinghouse: leave it empty")
		}
		if c.LicenseCode, err = keycode.NewRetail(s.random); err != nil {
			return c, err
		}
		fingerprint := keycode.Fingerprint(c.LicenseCode)
		e.Number, e.SecretHash = c.LicenseCode[:5], fingerprint[:]
	default:
		return c, licensing.Faultf(licensing.Invalid, "there is no license program %q: retail, open and agreement are", c.Program)
	}
	e.Program = c.Program
	return c, nil
}

// sameOrNew returns the entitlement that a further sale adds to, or inserts e.
func sameOrNew(tx Tx, e Entitlement) (Entitlement, error) {
	found, err := tx.FindEntitlements(e.Organization, e)
	if err != nil {
		return e, err
	}
	for _, f := range found {
		if string(f.SecretHash) != string(e.SecretHash) {
			return e, licensing.Faultf(licensing.AlreadyExists, "license number %s was sold with another authorization number", e.Number)
		}
		if f.ProductVersion != e.ProductVersion {
			continue
		}
		if !f.Expires.Equal(e.Expires) {
			return e, licensing.Faultf(licensing.AlreadyExists, "%s %s was sold with another expiry", e.Program, e.Number)
		}
		return f, nil
	}
	return e, tx.InsertEntitlement(e)
}

func chooseOrganization(r Reader, id string) (string, error) {
	if id != "" {
		o, err := r.Organization(id)
		return o.ID, err
	}
	all, err := r.Organizations()
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", licensing.Faultf(licensing.Invalid, "there are %d organizations: say which one", len(all))
	}
	return all[0].ID, nil
}

// Approve lets a license server that has no enrolment key be activated, as one of the organization. One that is not known
// yet, because it has no network, becomes known.
func (s *Service) Approve(ctx context.Context, productID, organization, name string) (Server, error) {
	var server Server
	err := s.store.Update(ctx, func(tx Tx) error {
		var err error
		server, err = s.approve(tx, productID, organization, name)
		return err
	})
	return server, err
}

func (s *Service) approve(tx Tx, productID, organization, name string) (Server, error) {
	productID, err := typedProductID(productID)
	if err != nil {
		return Server{}, err
	}
	if organization, err = chooseOrganization(tx, organization); err != nil {
		return Server{}, err
	}
	server, err := tx.ServerByProductID(productID)
	if err != nil {
		if licensing.KindOf(err) != licensing.NotFound {
			return Server{}, err
		}
		server = Server{ProductID: productID, Organization: organization, State: ServerApproved}
		if err := register(&server, ActivateRequest{Name: name}); err != nil {
			return Server{}, err
		}
		server.ID, err = tx.InsertServer(server)
		return server, err
	}
	if server.Organization != "" && server.Organization != organization {
		return Server{}, licensing.Faultf(licensing.AlreadyExists, "the license server belongs to organization %s", server.Organization)
	}
	server.Organization = organization
	if server.State == ServerWaiting {
		server.State = ServerApproved
	}
	return server, tx.UpdateServer(server)
}

// ActivationCode makes a new license server ID for a license server without network, to be typed in for ActivateServer or
// ReactivateServer.
func (s *Service) ActivationCode(ctx context.Context, productID, organization, name string) (string, error) {
	var server Server
	err := s.store.Update(ctx, func(tx Tx) error {
		var err error
		if server, err = s.approve(tx, productID, organization, name); err != nil {
			return err
		}
		return s.assignID(tx, &server)
	})
	return server.LicenseServerID, err
}

// DeactivationCode retires a license server and makes the confirmation code to be typed in for DeactivateServer.
func (s *Service) DeactivationCode(ctx context.Context, licenseServerID string) (string, error) {
	var code string
	err := s.store.Update(ctx, func(tx Tx) error {
		server, err := serverByID(tx, licenseServerID)
		if err != nil {
			return err
		}
		secret, err := s.Secret(server.ProductID)
		if err != nil {
			return err
		}
		serial, err := tx.NextSerial()
		if err != nil {
			return err
		}
		code, err = keycode.Code{Kind: keycode.Confirmation, Serial: serial}.Seal(secret, keycode.Binding{Target: server.LicenseServerID})
		if err != nil {
			return err
		}
		server.State = ServerDeactivated
		return tx.UpdateServer(server)
	})
	return code, err
}

// serverByID returns the license server with an ID as people type it, hyphens and all.
func serverByID(r Reader, id string) (Server, error) {
	canonical, err := keycode.CheckLicenseServerID(keycode.Ungroup(id))
	if err != nil {
		return Server{}, licensing.Faultf(licensing.Invalid, "the license server ID: %v", err)
	}
	return r.ServerByLicenseServerID(canonical)
}
