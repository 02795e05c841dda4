package store

import "time"

// Account is somebody who may use this license server, apart from session hosts: a local account, or a principal of a Kerberos realm.
type Account struct {
	// Name is unique without case. One with an @ is a Kerberos principal, which has no password.
	Name     string
	Role     string // of package auth
	Password string // hash, in PHC string format; empty: none
	// NTHash is the NT hash of the password, encrypted, for accounts that opted in to NTLM; else nil.
	NTHash []byte
	// Certificate is the SHA-256 of a client certificate that stands for the account, or nil.
	Certificate []byte
	Changed     time.Time
}

// AccountReader reads accounts.
type AccountReader interface {
	// Account returns the account of that name, compared without case; a Fault of kind NotFound tells that there is none.
	Account(name string) (Account, error)
	// AccountByCertificate returns the account that has the client certificate with that SHA-256.
	AccountByCertificate(sha256 []byte) (Account, error)
	// Accounts returns all accounts, by name.
	Accounts() ([]Account, error)
}

// AccountWriter writes accounts.
type AccountWriter interface {
	// PutAccount adds an account, or replaces that of the same name. A certificate that another account has is AlreadyExists.
	PutAccount(Account) error
	// DeleteAccount removes an account; one that is not there is NotFound.
	DeleteAccount(name string) error
}
