package clearinghouse

import (
	"fmt"
	"time"

	"calkeeper/internal/licensing"
)

// Organization owns entitlements and license servers. Credentials count only inside it.
type Organization struct {
	ID            string
	Name          string
	EnrolmentHash []byte // SHA-256 of the enrolment key
	Created       time.Time
}

// ServerState tells what became of a license server.
type ServerState string

// The states of a license server.
const (
	ServerWaiting     ServerState = "waiting"     // asked to be activated without an enrolment key; an operator approves it
	ServerApproved    ServerState = "approved"    // may be activated
	ServerActive      ServerState = "active"      // has its license server ID
	ServerDeactivated ServerState = "deactivated" // its CALs stay on its account
)

// Server is a license server as the clearinghouse knows it. Its ID names its accounts and outlives its keys.
type Server struct {
	ID              uint32
	ProductID       string // carries its public key; changes when its identity is lost
	LicenseServerID string // the last one given; empty before the first activation
	Organization    string
	Name            string   // as it registered: normalized by licensing.ParseServerName
	Names           []string // all names and addresses it registered, Name among them, normalized
	Contact         licensing.Contact
	State           ServerState
	NoticeSeq       uint64 // of the newest notice queued for it
	AckedSeq        uint64 // of the newest notice it has applied; see Ahead
	LastContact     time.Time
}

// Ahead tells whether the license server has applied notices that the ledger does not have.
func (s *Server) Ahead() bool { return s.AckedSeq > s.NoticeSeq }

// Entitlement is what a customer bought under one number and product version.
type Entitlement struct {
	ID             string
	Organization   string
	Program        licensing.Program
	AgreementType  licensing.AgreementType
	Number         string // license number or agreement number; first group of a retail code
	SecretHash     []byte // SHA-256 of the authorization number, or the fingerprint of the retail code; nil for agreements
	ProductVersion licensing.ProductVersion
	Expires        time.Time // zero for perpetual CALs
	Created        time.Time
}

// Holder is who holds CALs of an entitlement.
type Holder string

// The holders that are no license server: Sold is the contra account, Pool what no one has installed.
const (
	Sold Holder = "sold"
	Pool Holder = "pool"
)

// ServerHolder returns the holder that is a license server.
func ServerHolder(id uint32) Holder { return Holder(fmt.Sprintf("server/%d", id)) }

// CodeHolder returns the holder that is an offline code not yet seen again.
func CodeHolder(serial uint32) Holder { return Holder(fmt.Sprintf("code/%d", serial)) }

// Account holds CALs of one entitlement and one product type.
type Account struct {
	Entitlement string
	ProductType licensing.ProductType
	Holder      Holder
}

// Balance is what an account holds: never negative but for Sold.
type Balance struct {
	Account
	Quantity int64
}

// Posting adds Delta CALs to an account.
type Posting struct {
	Account
	Delta int64
}

// Entry is a set of postings that sum to zero, for one reason.
type Entry struct {
	Seq      uint64 // assigned by the store
	At       time.Time
	Kind     string // "sale", "install", "import", "convert", "return", "code", "redeem"
	Key      string // the idempotency key of the operation that caused it, or empty
	Actor    string // product ID's first group, or "operator"
	Postings []Posting
}

// Move returns the two postings that move n CALs between holders of one entitlement and type.
func Move(entitlement string, t licensing.ProductType, from, to Holder, n int64) []Posting {
	return []Posting{
		{Account{entitlement, t, from}, -n},
		{Account{entitlement, t, to}, n},
	}
}

// Transfer is an import: an allocation that moved from a source to a target.
type Transfer struct {
	Key          string // the target's idempotency key
	Entitlement  string
	ProductType  licensing.ProductType
	Count        uint32
	Source       uint32 // Server.ID
	Target       uint32
	At           time.Time
	NoticeSeq    uint64    // of the source's release notice
	Released     time.Time // when the source acknowledged its release; zero while the release is pending
	Acknowledged time.Time // when the target said that the key pack is installed; zero before
}

// CodeState tells what became of an offline code.
type CodeState string

// The states of a code.
const (
	CodeIssued   CodeState = "issued"
	CodeRedeemed CodeState = "redeemed"
	CodeCanceled CodeState = "canceled"
)

// Code is an offline code that was given out. The code itself is not kept.
type Code struct {
	Serial      uint32
	Import      bool // it moves CALs from Source, else it installs CALs from the pool
	FirstGroup  string
	Entitlement string
	ProductType licensing.ProductType
	Count       uint32
	Target      uint32 // Server.ID
	Source      uint32 // Server.ID, 0 for an install code
	State       CodeState
	RedeemKey   string // the idempotency key of the operation that redeemed it
	Issued      time.Time
}

// QueuedNotice is a notice for a license server, signed.
type QueuedNotice struct {
	Server uint32
	Seq    uint64
	Signed Signed
}

// Settled is an operation that was answered: asked again with the same key, the answer is the same.
type Settled struct {
	Server      uint32
	Key         string
	RequestHash []byte // SHA-256: the same key with another request is refused
	Response    Signed // a Grant, or why it was refused
	At          time.Time
}
