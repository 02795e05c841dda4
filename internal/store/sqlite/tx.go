package sqlite

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

const (
	putServer = `INSERT INTO server (id, ` + serverColumns + `) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
		ON CONFLICT (id) DO UPDATE SET (` + serverColumns + `) = (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)`
	insertKeyPack = `INSERT INTO key_pack (` + keyPackColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateKeyPack = `UPDATE key_pack SET (` + keyPackColumns + `) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`
	deleteKeyPack = `DELETE FROM key_pack WHERE id = ?`

	insertOperation = `INSERT INTO operation (key, kind, request, key_pack_id, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`
	deleteOperation = `DELETE FROM operation WHERE key = ?`
	insertDocument  = `INSERT INTO document (key_pack_id, kind, payload, signature, received) VALUES (?, ?, ?, ?, ?)`
	useSerial       = `INSERT INTO used_serial (serial) VALUES (?) ON CONFLICT (serial) DO NOTHING`
	audit           = `INSERT INTO audit_record (seq, at, actor, action, key_pack_id, license_id, delta, detail, remote, mechanism, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	putAuditHead    = `UPDATE audit_head SET seq = ?, hash = ?`
)

// tx implements store.Tx for one transaction.
type tx struct {
	reader
	origin  store.Origin // of audit records that have none
	changed bool         // a method other than Audit has written
	audited bool         // Audit has
	failed  error        // the first failure of a write that was not a Fault: nothing may be committed then
}

// execute runs one statement and returns how many rows it changed. A value that cannot be stored is a Fault of kind Invalid.
func (t *tx) execute(what, query string, bind func(*parameters)) (int, error) {
	if t.conn == nil {
		return 0, errEnded
	}
	stmt, err := t.conn.Prepare(query)
	if err == nil {
		p := &parameters{stmt: stmt}
		if bind(p); p.err != nil {
			return 0, p.err
		}
		if _, err = stmt.Step(); err == nil {
			err = stmt.Reset()
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
		if t.failed == nil {
			t.failed = err
		}
		return 0, err
	}
	return t.conn.Changes(), nil
}

// change is execute for everything that needs an audit record beside it.
func (t *tx) change(what, query string, bind func(*parameters)) (int, error) {
	n, err := t.execute(what, query, bind)
	if n > 0 {
		t.changed = true
	}
	return n, err
}

// refused turns err into a Fault if it is what SQLite says of a row that a constraint of that kind refuses. Such a statement
// has changed nothing, so that the transaction can go on.
func (t *tx) refused(err error, constraint sqlite.ResultCode, fault func() error) error {
	if err == nil || sqlite.ErrCode(err) != constraint {
		return err
	}
	if t.failed == err {
		t.failed = nil
	}
	return fault()
}

// PutServer replaces what the license server knows about itself.
func (t *tx) PutServer(s licensing.Server) error {
	_, err := t.change("put the license server", putServer, func(p *parameters) {
		p.text("ProductID", s.ProductID)
		p.text("LicenseServerID", s.LicenseServerID)
		p.instant("ActivatedAt", s.ActivatedAt)
		p.text("FirstName", s.Contact.FirstName)
		p.text("LastName", s.Contact.LastName)
		p.text("Company", s.Contact.Company)
		p.text("CountryRegion", s.Contact.CountryRegion)
		p.text("EMail", s.Contact.EMail)
		p.text("OrgUnit", s.Contact.OrgUnit)
		p.text("Address", s.Contact.Address)
		p.text("City", s.Contact.City)
		p.text("State", s.Contact.State)
		p.text("PostalCode", s.Contact.PostalCode)
		p.integer(int64(s.Role))
		p.sequence("NoticeSeq", s.NoticeSeq)
	})
	return err
}

// InsertKeyPack stores a new key pack and returns the ID that it got; k.ID is not read.
func (t *tx) InsertKeyPack(k licensing.KeyPack) (uint32, error) {
	if _, err := t.change("insert a key pack", insertKeyPack, func(p *parameters) { bindKeyPack(p, &k) }); err != nil {
		return 0, err
	}
	return uint32(t.conn.LastInsertRowID()), nil
}

// UpdateKeyPack replaces the key pack with k's ID; one that is not there is a Fault of kind NotFound.
func (t *tx) UpdateKeyPack(k licensing.KeyPack) error {
	n, err := t.change("update a key pack", updateKeyPack, func(p *parameters) {
		bindKeyPack(p, &k)
		p.integer(int64(k.ID))
	})
	if err == nil && n == 0 {
		return noKeyPack(k.ID)
	}
	return err
}

// bindKeyPack binds keyPackColumns.
func bindKeyPack(p *parameters, k *licensing.KeyPack) {
	p.integer(int64(k.Type))
	p.integer(int64(k.ProductVersion))
	p.integer(int64(k.ProductType))
	p.integer(int64(k.Total))
	p.integer(int64(k.Issued))
	p.integer(int64(k.Held))
	p.instant("Installed", k.Installed)
	p.instant("Expires", k.Expires)
	p.text("Entitlement", k.Entitlement)
	p.text("Code", k.Code)
	p.text("Flag", k.Flag)
	p.text("the policy of over-use", string(k.OverUse.Policy))
	p.integer(int64(k.OverUse.WarnAt))
	p.integer(int64(k.OverUse.DenyBeyond))
}

// DeleteKeyPack removes a key pack; one that is not there is a Fault of kind NotFound.
func (t *tx) DeleteKeyPack(id uint32) error {
	n, err := t.change("delete a key pack", deleteKeyPack, func(p *parameters) { p.integer(int64(id)) })
	if err == nil && n == 0 {
		return noKeyPack(id)
	}
	return err
}

// InsertOperation opens an operation; o.Seq is not read. A Key that is in use is a Fault of kind AlreadyExists.
func (t *tx) InsertOperation(o store.Operation) error {
	n, err := t.change("insert an operation", insertOperation, func(p *parameters) {
		p.text("Key", o.Key)
		p.text("Kind", o.Kind)
		p.blob(o.Request)
		p.integer(int64(o.KeyPackID))
		p.instant("Created", o.Created)
	})
	if err == nil && n == 0 {
		return licensing.Faultf(licensing.AlreadyExists, "an operation with the key %q is open already", o.Key)
	}
	return err
}

// DeleteOperation closes an operation; one that is not open is a Fault of kind NotFound.
func (t *tx) DeleteOperation(key string) error {
	n, err := t.change("delete an operation", deleteOperation, func(p *parameters) { p.text("Key", key) })
	if err == nil && n == 0 {
		return licensing.Faultf(licensing.NotFound, "no operation with the key %q is open", key)
	}
	return err
}

// InsertDocument stores a signed document about a key pack.
func (t *tx) InsertDocument(d store.Document) error {
	_, err := t.change("insert a document", insertDocument, func(p *parameters) {
		p.integer(int64(d.KeyPackID))
		p.text("Kind", d.Kind)
		p.blob(d.Payload)
		p.blob(d.Signature)
		p.instant("Received", d.Received)
	})
	return err
}

// UseSerial records the serial of an offline code; a second time is a Fault of kind AlreadyExists.
func (t *tx) UseSerial(serial uint32) error {
	n, err := t.change("use a serial", useSerial, func(p *parameters) { p.integer(int64(serial)) })
	if err == nil && n == 0 {
		return licensing.Faultf(licensing.AlreadyExists, "the code with serial %d was used on this license server already", serial)
	}
	return err
}

// Audit appends a record to the chain; r.Seq and r.Hash are not read.
func (t *tx) Audit(r store.AuditRecord) error {
	if r.Origin == (store.Origin{}) {
		r.Origin = t.origin
	}
	head, last, err := t.auditHead()
	if err == nil {
		r, err = head.Next(r, last)
	}
	if err != nil {
		if t.failed == nil {
			t.failed = err
		}
		return err
	}
	_, err = t.execute("append an audit record", audit, func(p *parameters) {
		p.sequence("Seq", r.Seq)
		p.instant("At", r.At)
		p.text("Actor", r.Actor)
		p.text("Action", r.Action)
		p.integer(int64(r.KeyPackID))
		p.integer(int64(r.LicenseID))
		p.integer(r.Delta)
		p.text("Detail", r.Detail)
		p.text("Remote", r.Remote)
		p.text("Mechanism", r.Mechanism)
		p.blob(r.Hash)
	})
	if err != nil {
		return err
	}
	n, err := t.execute("move the head of the audit log", putAuditHead, func(p *parameters) {
		p.sequence("Seq", r.Seq)
		p.blob(r.Hash)
	})
	t.audited = t.audited || n > 0
	return err
}
