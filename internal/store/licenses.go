package store

import (
	"iter"
	"time"

	"calkeeper/internal/licensing"
)

// LicenseReader reads the CALs that are issued, the sessions that use them, the session hosts, and what was refused.
type LicenseReader interface {
	CAL(id uint32) (licensing.CAL, error)
	// CALsOf returns what a holder has, by ascending Slot; the revoked ones are left out.
	CALsOf(holder string, t licensing.ProductType) ([]licensing.CAL, error)
	// CALs returns the CALs that match, by ascending ID. Like KeyPacks it reads one by one as the loop asks for them.
	CALs(CALFilter) iter.Seq2[licensing.CAL, error]
	// CALSummaries returns what lists show of all CALs, in the same way.
	CALSummaries() iter.Seq2[licensing.CALSummary, error]
	// ExpiredCALs returns at most limit CALs, revoked ones too, whose term has ended at that instant, first the oldest.
	ExpiredCALs(now time.Time, limit int) ([]licensing.CAL, error)
	// CountRevoked returns how many revoked CALs of a version and type are remembered whose term ends after that instant, and
	// when the first of them after so many to skip ends; the zero time if there is none.
	CountRevoked(v licensing.ProductVersion, t licensing.ProductType, now time.Time, skip uint32) (n uint32, next time.Time, err error)
	// TemporarySpent tells whether SpendTemporary was called for a holder and version.
	TemporarySpent(holder string, v licensing.ProductVersion) (bool, error)

	Lease(id uint64) (licensing.Lease, error)
	// LeaseOf returns the lease of a session; without a session, the one that a user has on a device while the session is
	// not known.
	LeaseOf(host, session, userKey, deviceKey string) (licensing.Lease, error)
	// Leases returns the leases that match, by ascending ID.
	Leases(LeaseFilter) ([]licensing.Lease, error)
	// ExpiredLeases returns at most limit leases whose time has ended at that instant, first the oldest.
	ExpiredLeases(now time.Time, limit int) ([]licensing.Lease, error)

	Host(name string) (licensing.Host, error)
	// HostByCredential returns the host whose token or client certificate has this SHA-256.
	HostByCredential(hash []byte) (licensing.Host, error)
	// Hosts returns all of them by name.
	Hosts() ([]licensing.Host, error)

	// Denials returns at most limit denials whose Seq is greater than after, oldest first.
	Denials(after uint64, limit int) ([]licensing.Denial, error)
	// DenialCounts returns how often was refused what, since ever.
	DenialCounts() ([]DenialCount, error)
	// Answer returns what was answered under a session host's idempotency key.
	Answer(host, key string) (Answer, error)
}

// LicenseWriter writes them. By their instants Expires and At, CALs, leases, denials and answers are swept: these may not be
// zero, which is a Fault of kind Invalid.
type LicenseWriter interface {
	// InsertCAL stores a new CAL and returns its ID, which was never used before. A second CAL in the same Slot of a holder
	// is a Fault of kind AlreadyExists.
	InsertCAL(licensing.CAL) (uint32, error)
	// UpdateCAL replaces a CAL; its leases stay. Faults: NotFound; AlreadyExists as InsertCAL.
	UpdateCAL(licensing.CAL) error
	// DeleteCAL removes a CAL and its leases.
	DeleteCAL(id uint32) error
	// AddIssued changes how many CALs of a key pack are issued. Faults: NotFound; OutOfRange below 0 and beyond 32 bits.
	AddIssued(keyPackID uint32, delta int) error

	// SpendTemporary records that a holder has used up its temporary CAL of a version; a second time changes nothing.
	SpendTemporary(holder string, v licensing.ProductVersion, at time.Time) error

	// PutLease stores a lease: a new one if its ID is 0, which then gets one, else in place of the one with its ID. It returns
	// the ID. There is one lease for a host and session, and while the session is not known one for a host, user and device:
	// AlreadyExists. NotFound is another ID, and a CAL, that is not there. The host need not be.
	PutLease(licensing.Lease) (uint64, error)
	// ExtendLease moves the end of a lease, and with it that of its CAL if this is concurrent and ends earlier. It needs no
	// audit record: sessions that live say so every minute.
	ExtendLease(id uint64, expires time.Time) error
	DeleteLease(id uint64) error

	// PutHost stores a session host in place of the one of that name, whose leases stay. A credential that another host has,
	// be it as token or as certificate, is AlreadyExists.
	PutHost(licensing.Host) error
	// DeleteHost removes a session host and its leases.
	DeleteHost(name string) error

	// InsertDenial stores a denial, whose Seq is assigned, and counts it.
	InsertDenial(licensing.Denial) error
	// PutAnswer keeps what was answered under a session host's idempotency key, in place of what was before.
	PutAnswer(Answer) error
	// Forget removes the answers that were given, and the denials, before these instants, at most limit of each, first the
	// oldest. It returns how many it removed; the counts of denials stay. It needs no audit record.
	Forget(answers, denials time.Time, limit int) (int, error)
}

// CALFilter says which CALs are asked for; its zero value means all.
type CALFilter struct {
	After     uint32                  // only those with a greater ID
	KeyPackID uint32                  // 0: of any key pack
	Holder    string                  // empty: of anybody; else compared with licensing.CAL.Holder
	Status    licensing.LicenseStatus // 0: any
	Host      string                  // empty: any; else the session host that asked last
	Search    string                  // a part of the user's name, or of the device's ID or name, in any case; empty: any
}

// LeaseFilter says which leases are asked for; its zero value means all.
type LeaseFilter struct {
	Host    string
	UserKey string
	CAL     uint32
	After   uint64 // only those with a greater ID
	Limit   int    // 0: no limit
}

// DenialCount is how often CALs of one kind were refused to session hosts of one version, for one reason.
type DenialCount struct {
	ProductVersion licensing.ProductVersion
	ProductType    licensing.ProductType
	Reason         licensing.DenialReason
	Count          uint64
}

// Answer is what a session host was answered under an idempotency key.
type Answer struct {
	Host        string
	Key         string
	Fingerprint []byte // of the request: another request under the same key is a mistake
	Body        []byte
	At          time.Time
}
