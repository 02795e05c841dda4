// Package auditfile writes and reads the audit log as JSON lines, from which its chain can be verified without the license server, and
// writes it as comma-separated values. A line is what the REST API has of a record. docs/audit.md describes both.
package auditfile

import (
	"encoding/hex"
	"fmt"
	"time"

	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

// Encode returns a record as the REST API has it. A time beyond the years 0 to 9999, which RFC 3339 cannot write, was not recorded by a
// license server: it becomes the zero value, and the chain does not hold any more.
func Encode(r store.AuditRecord) wire.AuditRecord {
	at := r.At.UTC()
	if at.Year() < 0 || at.Year() > 9999 {
		at = time.Time{}
	}
	return wire.AuditRecord{
		Seq: r.Seq, At: at, Actor: r.Actor, Action: r.Action, KeyPackID: r.KeyPackID, LicenseID: r.LicenseID, Delta: r.Delta, Detail: r.Detail,
		Remote: r.Remote, Mechanism: r.Mechanism, Hash: hex.EncodeToString(r.Hash),
	}
}

// Decode returns the record that Encode was given. A time is of microseconds, as finer ones are not part of the chain.
func Decode(r wire.AuditRecord) (store.AuditRecord, error) {
	hash, err := decodeHash(r.Hash)
	if err != nil {
		return store.AuditRecord{}, fmt.Errorf("the hash of record %d: %w", r.Seq, err)
	}
	return store.AuditRecord{
		Seq: r.Seq, At: r.At.UTC().Truncate(time.Microsecond), Actor: r.Actor, Action: r.Action, KeyPackID: r.KeyPackID, LicenseID: r.LicenseID,
		Delta: r.Delta, Detail: r.Detail, Origin: store.Origin{Remote: r.Remote, Mechanism: r.Mechanism}, Hash: hash,
	}, nil
}

// EncodeHead returns a head as the REST API has it.
func EncodeHead(h store.AuditHead) wire.AuditHead {
	return wire.AuditHead{Seq: h.Seq, Hash: hex.EncodeToString(h.Hash), Unchained: h.Unchained}
}

// DecodeHead returns the head that EncodeHead was given.
func DecodeHead(h wire.AuditHead) (store.AuditHead, error) {
	hash, err := decodeHash(h.Hash)
	if err != nil {
		return store.AuditHead{}, fmt.Errorf("the hash of the head: %w", err)
	}
	return store.AuditHead{Seq: h.Seq, Hash: hash, Unchained: h.Unchained}, nil
}

// decodeHash returns nil for the empty text.
func decodeHash(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	return hex.DecodeString(text)
}
