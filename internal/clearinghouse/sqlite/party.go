package sqlite

import (
	"encoding/json"
	"strconv"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

const selectOrganization = `SELECT id, name, enrolment_hash, created FROM organizations `

func scanOrganization(r *row) clearinghouse.Organization {
	return clearinghouse.Organization{ID: r.text(), Name: r.text(), EnrolmentHash: r.bytes(), Created: r.time()}
}

func (r reader) Organization(id string) (clearinghouse.Organization, error) {
	missing := licensing.Faultf(licensing.NotFound, "the organization %q is not known", id)
	return one(r, "organization", missing, selectOrganization+`WHERE id = ?`, scanOrganization, id)
}

func (r reader) OrganizationByEnrolment(hash []byte) (clearinghouse.Organization, error) {
	missing := licensing.Faultf(licensing.NotFound, "no organization has this enrolment key")
	return one(r, "organization by enrolment", missing, selectOrganization+`WHERE enrolment_hash = ?`, scanOrganization, optionalBytes(hash))
}

func (r reader) Organizations() ([]clearinghouse.Organization, error) {
	return all(r, "organizations", selectOrganization+`ORDER BY id`, scanOrganization)
}

func (t tx) InsertOrganization(o clearinghouse.Organization) error {
	return t.insert("insert organization", "the organization "+strconv.Quote(o.ID),
		`INSERT INTO organizations (id, name, enrolment_hash, created) VALUES (?, ?, ?, ?)`,
		o.ID, o.Name, optionalBytes(o.EnrolmentHash), instant(o.Created))
}

const selectServer = `SELECT id, product_id, license_server_id, organization, name, names, contact, state, notice_seq,
	acked_seq, last_contact FROM servers `

func scanServer(r *row) clearinghouse.Server {
	s := clearinghouse.Server{
		ID: r.uint32(), ProductID: r.text(), LicenseServerID: r.text(), Organization: r.text(), Name: r.text(),
	}
	r.json(&s.Names)
	r.json(&s.Contact)
	s.State, s.NoticeSeq, s.AckedSeq, s.LastContact = clearinghouse.ServerState(r.text()), r.uint64(), r.uint64(), r.time()
	if len(s.Names) == 0 {
		s.Names = nil
	}
	return s
}

func (r *row) json(v any) {
	if err := json.Unmarshal([]byte(r.text()), v); err != nil && r.err == nil {
		r.err = err
	}
}

func (r reader) Server(id uint32) (clearinghouse.Server, error) {
	missing := licensing.Faultf(licensing.NotFound, "license server %d is not known", id)
	return one(r, "server", missing, selectServer+`WHERE id = ?`, scanServer, id)
}

func (r reader) ServerByProductID(productID string) (clearinghouse.Server, error) {
	missing := licensing.Faultf(licensing.NotFound, "no license server with this product ID is known")
	return one(r, "server by product ID", missing, selectServer+`WHERE product_id = ?`, scanServer, productID)
}

func (r reader) ServerByLicenseServerID(id string) (clearinghouse.Server, error) {
	missing := licensing.Faultf(licensing.NotFound, "no license server with this license server ID is known")
	return one(r, "server by license server ID", missing, selectServer+`WHERE license_server_id = ?`, scanServer, optional(id))
}

func (r reader) Servers(organization string) ([]clearinghouse.Server, error) {
	if organization == "" {
		return all(r, "servers", selectServer+`ORDER BY id`, scanServer)
	}
	return all(r, "servers", selectServer+`WHERE organization = ? ORDER BY id`, scanServer, organization)
}

// serverColumns returns all columns of a server but its ID.
func serverColumns(s clearinghouse.Server) ([]any, error) {
	names, err := json.Marshal(append([]string{}, s.Names...)) // never null
	if err != nil {
		return nil, err
	}
	contact, err := json.Marshal(s.Contact)
	if err != nil {
		return nil, err
	}
	return []any{
		s.ProductID, optional(s.LicenseServerID), optional(s.Organization), s.Name, string(names), string(contact),
		s.State, s.NoticeSeq, s.AckedSeq, instant(s.LastContact),
	}, nil
}

// InsertServer assigns the ID; the one in s does not matter.
func (t tx) InsertServer(s clearinghouse.Server) (uint32, error) {
	columns, err := serverColumns(s)
	if err != nil {
		return 0, internal("insert server", err)
	}
	err = t.insert("insert server", "the license server "+strconv.Quote(s.Name),
		`INSERT INTO servers (product_id, license_server_id, organization, name, names, contact, state, notice_seq, acked_seq,
			last_contact) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, columns...)
	if err != nil {
		return 0, err
	}
	return uint32(t.conn.LastInsertRowID()), nil
}

func (t tx) UpdateServer(s clearinghouse.Server) error {
	columns, err := serverColumns(s)
	if err != nil {
		return internal("update server", err)
	}
	return t.update("update server", "the license server "+strconv.Quote(s.Name),
		`UPDATE servers SET product_id = ?, license_server_id = ?, organization = ?, name = ?, names = ?, contact = ?, state = ?,
			notice_seq = ?, acked_seq = ?, last_contact = ? WHERE id = ?`, append(columns, s.ID)...)
}

const selectEntitlement = `SELECT id, organization, program, agreement_type, number, secret_hash, product_version, expires,
	created FROM entitlements `

func scanEntitlement(r *row) clearinghouse.Entitlement {
	return clearinghouse.Entitlement{
		ID: r.text(), Organization: r.text(), Program: licensing.Program(r.text()),
		AgreementType: licensing.AgreementType(r.uint32()), Number: r.text(), SecretHash: r.bytes(),
		ProductVersion: licensing.ProductVersion(r.uint32()), Expires: r.time(), Created: r.time(),
	}
}

func (r reader) Entitlement(id string) (clearinghouse.Entitlement, error) {
	missing := licensing.Faultf(licensing.NotFound, "the entitlement %q is not known", id)
	return one(r, "entitlement", missing, selectEntitlement+`WHERE id = ?`, scanEntitlement, id)
}

func (r reader) FindEntitlements(organization string, match clearinghouse.Entitlement) ([]clearinghouse.Entitlement, error) {
	if match.Program == licensing.Retail {
		return all(r, "find entitlements",
			selectEntitlement+`WHERE program = 'retail' AND secret_hash = ? AND organization = ?`,
			scanEntitlement, optionalBytes(match.SecretHash), organization)
	}
	// The first condition is the one of the index entitlements_by_number.
	return all(r, "find entitlements", selectEntitlement+`WHERE program <> 'retail' AND organization = ? AND program = ?
		AND number = ? AND (agreement_type = ? OR program <> 'agreement') ORDER BY product_version`,
		scanEntitlement, organization, match.Program, match.Number, match.AgreementType)
}

func (r reader) Entitlements(organization string) ([]clearinghouse.Entitlement, error) {
	if organization == "" {
		return all(r, "entitlements", selectEntitlement+`ORDER BY created, id`, scanEntitlement)
	}
	return all(r, "entitlements", selectEntitlement+`WHERE organization = ? ORDER BY created, id`, scanEntitlement, organization)
}

func (t tx) InsertEntitlement(e clearinghouse.Entitlement) error {
	return t.insert("insert entitlement", "the entitlement "+strconv.Quote(e.ID),
		`INSERT INTO entitlements (id, organization, program, agreement_type, number, secret_hash, product_version, expires,
			created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.Organization, e.Program, e.AgreementType, e.Number, optionalBytes(e.SecretHash), e.ProductVersion,
		instant(e.Expires), instant(e.Created))
}
