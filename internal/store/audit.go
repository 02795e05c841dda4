package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// AuditRecord is one line of the audit log.
type AuditRecord struct {
	Seq       uint64
	At        time.Time
	Actor     string // who asked: an account, "clearinghouse", or "calkeeper"
	Action    string
	KeyPackID uint32 // 0 if no key pack is concerned
	LicenseID uint32 // 0 if no CAL is concerned
	Delta     int64  // by how many CALs Total of the key pack changed
	Detail    string // for people; never a whole license code
	Origin           // where the request came from; empty for what the license server does on its own
	Hash      []byte // chains the record to all before it: see Chain; empty for one from before there was a chain
}

// AuditHead is the end of the hash chain of the audit log.
type AuditHead struct {
	Seq  uint64 // of the newest record
	Hash []byte // of the newest record; AuditGenesis if none is chained
	// Unchained is the Seq up to which records are from before there was a chain, 0 for a log that had one from its beginning.
	Unchained uint64
}

// String returns the head as ParseAuditHead reads it: SEQ:HASH.
func (h AuditHead) String() string {
	return strconv.FormatUint(h.Seq, 10) + ":" + hex.EncodeToString(h.Hash)
}

// ParseAuditHead reads SEQ:HASH.
func ParseAuditHead(text string) (AuditHead, error) {
	seq, sum, _ := strings.Cut(text, ":")
	n, errSeq := strconv.ParseUint(seq, 10, 63)
	hash, errHash := hex.DecodeString(sum)
	if errSeq != nil || errHash != nil || len(hash) != sha256.Size {
		return AuditHead{}, fmt.Errorf("%.100q is no head of an audit chain: it is the number of a record, a colon and %d hexadecimal digits", text, 2*sha256.Size)
	}
	return AuditHead{Seq: n, Hash: hash}, nil
}

// AuditGenesis is what the first record is chained to: the SHA-256 of "calkeeper audit 1", a NUL, and Unchained as 8 bytes, big-endian.
func AuditGenesis(unchained uint64) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("calkeeper audit 1\x00"), unchained))
	return sum[:]
}

// Chain returns the Hash of a record after one with that Hash: the SHA-256 of the previous hash and the record. Numbers are big-endian:
// Seq (8 bytes), At in microseconds since 1970 (8), KeyPackID (4), LicenseID (4), Delta (8); then Actor, Action, Detail, Remote and
// Mechanism, each as its length in bytes (4) and UTF-8.
func (r *AuditRecord) Chain(previous []byte) []byte {
	b := make([]byte, 0, 128+len(r.Actor)+len(r.Action)+len(r.Detail)+len(r.Remote)+len(r.Mechanism))
	b = append(b, previous...)
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMicro()))
	b = binary.BigEndian.AppendUint32(b, r.KeyPackID)
	b = binary.BigEndian.AppendUint32(b, r.LicenseID)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Delta))
	for _, text := range []string{r.Actor, r.Action, r.Detail, r.Remote, r.Mechanism} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// AuditFlaw is where an audit log is not what was recorded.
type AuditFlaw struct {
	Seq uint64 // of the record at which it shows
	Why string
}

// AuditVerification is what VerifyAudit found.
type AuditVerification struct {
	Records   uint64 // how many were read
	Unchained uint64 // how many of them are from before there was a chain, and cannot be verified
	Head      AuditHead
	Flaw      *AuditFlaw // nil: the log is what was recorded
}

// VerifyAudit holds all records, oldest first, against the chain, its head, and an earlier head that was noted elsewhere; the zero AuditHead
// is none. It reads to the first flaw. The error is that of records.
func VerifyAudit(records iter.Seq2[AuditRecord, error], head, noted AuditHead) (AuditVerification, error) {
	v := AuditVerification{Head: head}
	seq, hash := head.Unchained, AuditGenesis(head.Unchained)
	before := uint64(0)
	flaw := func(seq uint64, why string) (AuditVerification, error) {
		v.Flaw = &AuditFlaw{seq, why}
		return v, nil
	}
	found := noted.Hash == nil
	if !found && noted.Seq == seq { // nothing was chained yet
		if !bytes.Equal(noted.Hash, hash) {
			return flaw(seq, "the chain began otherwise when its head was noted: it was written anew")
		}
		found = true
	}
	for r, err := range records {
		if err != nil {
			return v, err
		}
		v.Records++
		switch {
		case r.Seq <= before:
			return flaw(r.Seq, fmt.Sprintf("it comes after record %d", before))
		case r.Seq <= head.Unchained && len(r.Hash) > 0:
			return flaw(r.Seq, "it is chained, although it is said to be from before there was a chain")
		case r.Seq <= head.Unchained:
			v.Unchained++
			before = r.Seq
			continue
		case !bytes.Equal(r.Hash, r.Chain(hash)):
			return flaw(r.Seq, fmt.Sprintf("it does not continue the chain after record %d: it was changed, or one before it was changed, removed or added", seq))
		}
		seq, hash, before = r.Seq, r.Hash, r.Seq
		if r.Seq == noted.Seq {
			if !bytes.Equal(r.Hash, noted.Hash) {
				return flaw(r.Seq, "its hash is not the one that was noted: the log up to it was written anew")
			}
			found = true
		}
	}
	switch {
	case seq < head.Seq:
		return flaw(seq, fmt.Sprintf("it is the last one, but the chain ends with record %d: the newest were removed", head.Seq))
	case seq > head.Seq || !bytes.Equal(hash, head.Hash):
		return flaw(seq, fmt.Sprintf("it is the last one, but the chain is said to end with record %d and another hash: its head was changed", head.Seq))
	case !found && noted.Seq > seq:
		return flaw(seq, fmt.Sprintf("it is the last one, but record %d was there once: the newest were removed", noted.Seq))
	case !found:
		return flaw(noted.Seq, "it was noted, and is not there any more")
	}
	return v, nil
}

// auditPage is how many records AllAudit reads at once.
const auditPage = 1000

// AllAudit returns all audit records of a reader, oldest first.
func AllAudit(r Reader) iter.Seq2[AuditRecord, error] {
	return func(yield func(AuditRecord, error) bool) {
		for after := uint64(0); ; {
			page, err := r.AuditRecords(after, auditPage)
			if err != nil {
				yield(AuditRecord{}, err)
				return
			}
			for _, record := range page {
				if !yield(record, nil) {
					return
				}
				after = record.Seq
			}
			if len(page) < auditPage {
				return
			}
		}
	}
}

// errAuditHead is a head that no chain has.
var errAuditHead = errors.New("the head of the audit log is damaged")

// Next returns the record, numbered and chained, that follows a head; last is the greatest Seq that is in use, should it be beyond the head.
func (h AuditHead) Next(r AuditRecord, last uint64) (AuditRecord, error) {
	if len(h.Hash) != sha256.Size {
		return r, errAuditHead
	}
	r.Seq = max(h.Seq, last) + 1
	r.Hash = r.Chain(h.Hash)
	return r, nil
}
