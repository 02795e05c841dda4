package clearinghouse

import (
	"context"
	"time"

	"calkeeper/internal/licensing"
)

// Store is the clearinghouse's state.
type Store interface {
	// View runs fn on a consistent snapshot. fn must not keep the Reader.
	View(ctx context.Context, fn func(Reader) error) error
	// Update runs fn in a transaction of its own and returns once the commit is durable; an error of fn undoes all that it
	// did. fn must neither keep the Tx nor call Update.
	Update(ctx context.Context, fn func(Tx) error) error
	Backup(ctx context.Context, path string) error
	Close() error
}

// Reader reads. One thing that is not there is a Fault of kind NotFound; a list of nothing is empty.
type Reader interface {
	Organization(id string) (Organization, error)
	OrganizationByEnrolment(hash []byte) (Organization, error)
	Organizations() ([]Organization, error)

	Server(id uint32) (Server, error)
	ServerByProductID(productID string) (Server, error)
	ServerByLicenseServerID(id string) (Server, error)
	// Servers returns the license servers of an organization by ascending ID, of all if it is empty.
	Servers(organization string) ([]Server, error)

	Entitlement(id string) (Entitlement, error)
	// FindEntitlements returns those of the organization that match program and number, and for agreements the type;
	// for retail the match is by SecretHash alone. Of any product version.
	FindEntitlements(organization string, match Entitlement) ([]Entitlement, error)
	Entitlements(organization string) ([]Entitlement, error)

	Balance(Account) (int64, error) // 0 for an account never posted to
	// Balances returns the accounts of an entitlement that were ever posted to, ordered by product type and holder.
	Balances(entitlement string) ([]Balance, error)
	// Holdings returns the accounts of a holder that are not empty.
	Holdings(Holder) ([]Balance, error)
	Entries(after uint64, limit int) ([]Entry, error)
	// Check recounts every balance from the postings and returns what does not agree, in words.
	Check() ([]string, error)

	Transfer(key string) (Transfer, error)
	Transfers() ([]Transfer, error) // oldest first
	Notices(server uint32, after uint64, limit int) ([]QueuedNotice, error)
	Code(serial uint32) (Code, error)
	// OpenCodes returns the issued, not yet redeemed import codes whose source and account these are.
	OpenCodes(source uint32, entitlement string, t licensing.ProductType) ([]Code, error)
	Codes() ([]Code, error)
	Settled(server uint32, key string) (Settled, error)
}

// Tx reads and writes.
type Tx interface {
	Reader
	InsertOrganization(Organization) error
	InsertServer(Server) (id uint32, err error)
	UpdateServer(Server) error
	InsertEntitlement(Entitlement) error
	// Post stores an entry and its effect on the balances. It refuses one that does not sum to zero for each entitlement
	// (Internal), or whose net effect would make a balance other than Sold negative (OutOfRange); then nothing of it stays,
	// even if the transaction goes on.
	Post(Entry) error
	InsertTransfer(Transfer) error
	UpdateTransfer(Transfer) error
	// ReleaseTransfers marks the transfers from source whose notices up to seq were applied.
	ReleaseTransfers(source uint32, seq uint64, at time.Time) error
	InsertNotice(QueuedNotice) error
	// NextSerial returns a serial that no committed transaction was given before, at least 1.
	NextSerial() (uint32, error)
	InsertCode(Code) error
	UpdateCode(Code) error
	InsertSettled(Settled) error
}
