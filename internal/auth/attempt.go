package auth

import (
	"errors"
	"time"
)

// ErrCredentials means that user or password is wrong, or whatever else was shown, without saying which.
var ErrCredentials = errors.New("user or password is wrong")

// ErrUnencrypted means that a password came unencrypted from another machine.
var ErrUnencrypted = errors.New("a password is taken over TLS, or from this machine, only")

// ErrBusy means that the license server checks too many passwords already to take another one.
var ErrBusy = errors.New("too many passwords are being checked; try again later")

// LockedError means that there were too many failures from an address, or for an account: nothing is checked for a while.
type LockedError struct {
	Wait time.Duration // until it is worth trying again
}

// Error says how long to wait.
func (e *LockedError) Error() string {
	return "there were too many failed authentications; try again in " + e.Wait.Round(time.Second).String()
}

// Attempt is one authentication, as the transport sees it.
type Attempt struct {
	Remote    string // IP address of the caller
	Mechanism string // "Basic", "NTLM", "Kerberos" or "Certificate"
	// First means that nobody was authenticated like this on the connection before: a success is recorded. What only repeats
	// it, as Basic does with each request, is not.
	First bool
	// Unasked means that the client did not say that it authenticates so: a certificate may be shown to any server. It is no failure
	// if there is no account for it.
	Unasked bool
}
