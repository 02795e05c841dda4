// Package store is the port through which the use-cases of a license server keep their state: what the server knows about
// itself, its key packs with the signed documents beside them, the operations that the clearinghouse has not settled yet,
// the CALs that are issued and to whom, the heads of the reports, and the audit records. storetest is the suite that every implementation passes.
//
// The package must not know a database, nor what the operations mean.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"calkeeper/internal/licensing"
)

// ErrSnapshotEnded is in the chain of the Fault of kind Limited with which the reads of a Snapshot fail that the store had to
// end. Who reads may begin anew.
var ErrSnapshotEnded = errors.New("the snapshot was ended")

// Store is one license server's state.
type Store interface {
	// View runs fn on a consistent snapshot. fn must not keep the Reader, and wait for nobody.
	View(ctx context.Context, fn func(Reader) error) error
	// Snapshot is a View for reads that wait for somebody in between, such as a client that reads a list in portions: it may
	// stay open for long, and Views do not wait for it. It ends, and with it what it holds, when fn returns, when ctx ends,
	// when the store is closed, and when it has kept the store from tidying up for too long: reads then fail, the latter with
	// an error that wraps ErrSnapshotEnded. Fault: Limited while too many are open. fn runs on the caller's goroutine and must
	// not keep the Reader.
	Snapshot(ctx context.Context, fn func(Reader) error) error
	// Update runs fn in a transaction of its own and returns once the commit is durable. An error of fn undoes all that
	// it did. A transaction that changed something without an audit record in it is refused. fn must neither keep the Tx
	// nor call Update.
	Update(ctx context.Context, fn func(Tx) error) error
	// Backup writes a consistent copy to a new file; one that exists is not overwritten.
	Backup(ctx context.Context, path string) error
	// Path names the database for people: Win32_TSLicenseServer.DatabasePath.
	Path() string
	Close() error
}

// Stream returns what rows yields, read in one Snapshot: the whole of it is as the store was when the loop began. What the loop
// does in between takes as long as it likes. An error is the last element.
func Stream[T any](ctx context.Context, s Store, rows func(Reader) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := s.Snapshot(ctx, func(r Reader) error {
			for v, err := range rows(r) {
				if err != nil || !yield(v, nil) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			var zero T
			yield(zero, err)
		}
	}
}

// Reader reads. Faults of kind NotFound tell what is not there.
type Reader interface {
	// Server returns what the license server knows about itself; the zero value before the first PutServer.
	Server() (licensing.Server, error)
	KeyPack(id uint32) (licensing.KeyPack, error)
	// KeyPacks returns the installed key packs by ascending ID. The built-in one is not stored.
	KeyPacks() iter.Seq2[licensing.KeyPack, error]
	// Operations returns the open operations, oldest first.
	Operations() ([]Operation, error)
	// Documents returns what was signed about a key pack, oldest first.
	Documents(keyPackID uint32) ([]Document, error)
	// SerialUsed tells whether UseSerial was called for the serial.
	SerialUsed(serial uint32) (bool, error)
	// AuditRecords returns at most limit records whose Seq is greater than after.
	AuditRecords(after uint64, limit int) ([]AuditRecord, error)
	// LastAudit returns the Seq of the newest audit record, 0 if there is none.
	LastAudit() (uint64, error)
	// AuditHead returns the end of the audit log's hash chain.
	AuditHead() (AuditHead, error)
	AccountReader
	LicenseReader
	ReportReader
}

// Tx reads and writes.
type Tx interface {
	Reader
	PutServer(licensing.Server) error
	// InsertKeyPack stores a new key pack and returns its ID: at least licensing.FirstKeyPackID, and never one that was
	// used before.
	InsertKeyPack(licensing.KeyPack) (uint32, error)
	UpdateKeyPack(licensing.KeyPack) error
	// DeleteKeyPack removes a key pack; its documents and audit records stay.
	DeleteKeyPack(id uint32) error
	// InsertOperation opens an operation; its Seq is assigned. One whose Key is in use is a Fault of kind AlreadyExists.
	InsertOperation(Operation) error
	// DeleteOperation closes an operation; one that is not open is NotFound.
	DeleteOperation(key string) error
	InsertDocument(Document) error
	// UseSerial records that the offline code with this serial was used here; a second time is AlreadyExists.
	UseSerial(serial uint32) error
	// Audit appends a record; its Seq and Hash are assigned. One without an Origin gets that of the context of Update.
	Audit(AuditRecord) error
	AccountWriter
	LicenseWriter
	ReportWriter
}

// Operation is something that this license server asked of the clearinghouse, or must still tell it: the intent of a
// transfer as well as a removal made without network. It is open until the clearinghouse has answered.
type Operation struct {
	Seq       uint64
	Key       string // the idempotency key
	Kind      string
	Request   []byte // as it is sent, again and again the same
	KeyPackID uint32 // the key pack concerned, or 0
	Created   time.Time
}

// Document is a signed statement of the clearinghouse about a key pack.
type Document struct {
	KeyPackID uint32
	Kind      string
	Payload   []byte
	Signature []byte
	Received  time.Time
}
