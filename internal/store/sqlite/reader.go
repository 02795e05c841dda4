package sqlite

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
)

const (
	serverColumns = `product_id, license_server_id, activated_at, first_name, last_name, company, country_region, e_mail,
		org_unit, address, city, state, postal_code, role, notice_seq`
	keyPackColumns = `type, product_version, product_type, total, issued, held, installed, expires, entitlement, code, flag,
		over_use, warn_at, deny_beyond`

	selectServer  = `SELECT ` + serverColumns + ` FROM server`
	selectKeyPack = `SELECT id, ` + keyPackColumns + ` FROM key_pack WHERE id = ?`
	// The bound, taken once, ends an iteration whose body inserts key packs.
	selectKeyPacks = `SELECT id, ` + keyPackColumns + ` FROM key_pack WHERE id <= (SELECT max(id) FROM key_pack) ORDER BY id`

	selectOperations   = `SELECT seq, key, kind, request, key_pack_id, created FROM operation ORDER BY seq`
	selectDocuments    = `SELECT key_pack_id, kind, payload, signature, received FROM document WHERE key_pack_id = ? ORDER BY seq`
	selectSerial       = `SELECT serial FROM used_serial WHERE serial = ?`
	selectAuditRecords = `SELECT seq, at, actor, action, key_pack_id, license_id, delta, detail, remote, mechanism, hash FROM audit_record WHERE seq > ? ORDER BY seq LIMIT CAST(? AS INTEGER)`
	selectLastAudit    = `SELECT max(seq) FROM audit_record`
	selectAuditHead    = `SELECT seq, hash, unchained, (SELECT max(seq) FROM audit_record) FROM audit_head`
)

// errEnded is what a reader returns that was kept beyond its transaction.
var errEnded = errors.New("the transaction has ended; neither its Reader nor an iterator of it can be kept")

// reader implements store.Reader for one transaction: that of a connection, or a snapshot. Both are nil once it has ended.
type reader struct {
	conn      *sqlite.Conn
	snapshot  *sqlitedb.Snapshot
	iterating []string // the statements of the loops under way
}

func (r *reader) end() { r.conn, r.snapshot = nil, nil }

// read runs fn with the connection.
func (r *reader) read(fn func(*sqlite.Conn) error) error {
	switch {
	case r.snapshot != nil:
		return ended(r.snapshot.Read(fn))
	case r.conn != nil:
		return fn(r.conn)
	}
	return errEnded
}

// rows calls row for each row of the query and resets the statement. bind may be nil.
func (r *reader) rows(query string, bind func(*parameters), row func(*columns)) error {
	return r.read(func(conn *sqlite.Conn) error {
		stmt, err := conn.Prepare(query)
		if err != nil {
			return err
		}
		defer stmt.Reset()
		if bind != nil {
			bind(&parameters{stmt: stmt})
		}
		for {
			more, err := stmt.Step()
			if err != nil || !more {
				return err
			}
			row(&columns{stmt: stmt})
		}
	})
}

// Server returns what the license server knows about itself, the zero value before the first PutServer.
func (r *reader) Server() (licensing.Server, error) {
	var s licensing.Server
	err := r.rows(selectServer, nil, func(c *columns) {
		s = licensing.Server{
			ProductID: c.text(), LicenseServerID: c.text(), ActivatedAt: c.instant(),
			Contact: licensing.Contact{
				FirstName: c.text(), LastName: c.text(), Company: c.text(), CountryRegion: c.text(), EMail: c.text(),
				OrgUnit: c.text(), Address: c.text(), City: c.text(), State: c.text(), PostalCode: c.text(),
			},
			Role: licensing.ServerRole(c.uint32()), NoticeSeq: uint64(c.integer()),
		}
	})
	if err != nil {
		return licensing.Server{}, fmt.Errorf("read the license server: %w", err)
	}
	return s, nil
}

// KeyPack returns one key pack, or a Fault of kind NotFound.
func (r *reader) KeyPack(id uint32) (licensing.KeyPack, error) {
	var k licensing.KeyPack
	found := false
	err := r.rows(selectKeyPack, func(p *parameters) { p.integer(int64(id)) }, func(c *columns) {
		k, found = readKeyPack(c), true
	})
	if err != nil {
		return licensing.KeyPack{}, fmt.Errorf("read key pack %d: %w", id, err)
	}
	if !found {
		return licensing.KeyPack{}, noKeyPack(id)
	}
	return k, nil
}

func noKeyPack(id uint32) error {
	return licensing.Faultf(licensing.NotFound, "there is no key pack %d", id)
}

func readKeyPack(c *columns) licensing.KeyPack {
	return licensing.KeyPack{
		ID: c.uint32(), Type: licensing.KeyPackType(c.uint32()),
		ProductVersion: licensing.ProductVersion(c.uint32()), ProductType: licensing.ProductType(c.uint32()),
		Total: c.uint32(), Issued: c.uint32(), Held: c.uint32(),
		Installed: c.instant(), Expires: c.instant(),
		Entitlement: c.text(), Code: c.text(), Flag: c.text(),
		OverUse: licensing.OverUse{Policy: licensing.OverUsePolicy(c.text()), WarnAt: c.uint32(), DenyBeyond: c.uint32()},
	}
}

// KeyPacks returns the key packs by ascending ID, read one by one as the loop asks for them. The loop may read and write
// what it likes, and may nest; key packs that it inserts are not part of it. An error is the last element.
func (r *reader) KeyPacks() iter.Seq2[licensing.KeyPack, error] {
	return func(yield func(licensing.KeyPack, error) bool) {
		err := iterate(r, selectKeyPacks, nil, readKeyPack, yield)
		if err != nil {
			yield(licensing.KeyPack{}, fmt.Errorf("read the key packs: %w", err))
		}
	}
}

// iterate yields what value reads of each row of the query, with a nil error, until yield returns false. yield may run any code.
// bind may be nil.
func iterate[T any](r *reader, query string, bind func(*parameters), value func(*columns) T, yield func(T, error) bool) error {
	// A nested loop over the same query has a statement of its own: that of the outer one would begin anew. It is another one
	// for the cache of the connection if its text is another one.
	for slices.Contains(r.iterating, query) {
		query += " "
	}
	var stmt *sqlite.Stmt
	err := r.read(func(conn *sqlite.Conn) (err error) {
		if stmt, err = conn.Prepare(query); err == nil && bind != nil {
			bind(&parameters{stmt: stmt})
		}
		return err
	})
	if err != nil {
		return err
	}
	r.iterating = append(r.iterating, query)
	defer func() {
		r.iterating = slices.DeleteFunc(r.iterating, func(q string) bool { return q == query })
		// Once the transaction has ended, the connection is somebody else's, and this does nothing.
		_ = r.read(func(*sqlite.Conn) error { return stmt.Reset() })
	}()
	var v T
	more, row := true, columns{stmt: stmt}
	step := func(*sqlite.Conn) (err error) {
		if more, err = stmt.Step(); more {
			row.n = 0
			v = value(&row)
		}
		return err
	}
	for {
		if err := r.read(step); err != nil || !more {
			return err
		}
		if !yield(v, nil) {
			return nil
		}
	}
}

// Operations returns the open operations, oldest first.
func (r *reader) Operations() ([]store.Operation, error) {
	var all []store.Operation
	err := r.rows(selectOperations, nil, func(c *columns) {
		all = append(all, store.Operation{
			Seq: uint64(c.integer()), Key: c.text(), Kind: c.text(), Request: c.blob(), KeyPackID: c.uint32(), Created: c.instant(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the operations: %w", err)
	}
	return all, nil
}

// Documents returns the documents about a key pack, oldest first; none is no error.
func (r *reader) Documents(keyPackID uint32) ([]store.Document, error) {
	var all []store.Document
	err := r.rows(selectDocuments, func(p *parameters) { p.integer(int64(keyPackID)) }, func(c *columns) {
		all = append(all, store.Document{
			KeyPackID: c.uint32(), Kind: c.text(), Payload: c.blob(), Signature: c.blob(), Received: c.instant(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the documents about key pack %d: %w", keyPackID, err)
	}
	return all, nil
}

// SerialUsed tells whether UseSerial was called for the serial.
func (r *reader) SerialUsed(serial uint32) (bool, error) {
	used := false
	err := r.rows(selectSerial, func(p *parameters) { p.integer(int64(serial)) }, func(*columns) { used = true })
	if err != nil {
		return false, fmt.Errorf("read the used serials: %w", err)
	}
	return used, nil
}

// AuditRecords returns by ascending Seq at most limit records whose Seq is greater than after, none for a limit below 1.
func (r *reader) AuditRecords(after uint64, limit int) ([]store.AuditRecord, error) {
	if limit < 1 || after > math.MaxInt64 {
		return nil, nil
	}
	var all []store.AuditRecord
	err := r.rows(selectAuditRecords, func(p *parameters) {
		p.integer(int64(after))
		p.integer(int64(limit))
	}, func(c *columns) {
		all = append(all, store.AuditRecord{
			Seq: uint64(c.integer()), At: c.instant(), Actor: c.text(), Action: c.text(), KeyPackID: c.uint32(), LicenseID: c.uint32(),
			Delta: c.integer(), Detail: c.text(), Origin: store.Origin{Remote: c.text(), Mechanism: c.text()}, Hash: c.blob(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit records: %w", err)
	}
	return all, nil
}

// LastAudit returns the Seq of the newest audit record, 0 if there is none.
func (r *reader) LastAudit() (uint64, error) {
	var last uint64
	err := r.rows(selectLastAudit, nil, func(c *columns) { last = uint64(c.integer()) })
	if err != nil {
		return 0, fmt.Errorf("read the newest audit record: %w", err)
	}
	return last, nil
}

// AuditHead returns the end of the audit log's hash chain.
func (r *reader) AuditHead() (store.AuditHead, error) {
	h, _, err := r.auditHead()
	return h, err
}

// auditHead returns also the greatest Seq that a record has, which can be another one only if somebody wrote past the chain.
func (r *reader) auditHead() (h store.AuditHead, last uint64, err error) {
	err = r.rows(selectAuditHead, nil, func(c *columns) {
		h = store.AuditHead{Seq: uint64(c.integer()), Hash: c.blob(), Unchained: uint64(c.integer())}
		last = uint64(c.integer())
	})
	if err != nil {
		return h, 0, fmt.Errorf("read the head of the audit log: %w", err)
	}
	if h.Hash == nil {
		h.Hash = store.AuditGenesis(h.Unchained)
	}
	return h, last, nil
}
