package licensing

import (
	"errors"
	"fmt"
)

// Kind sorts faults by what the caller can do about them. Each protocol has one table from kinds to its own codes.
type Kind uint8

// The kinds of faults.
const (
	Internal      Kind = iota // anything unforeseen: the text is for the log, not for the caller
	Invalid                   // an argument can never be right
	NotSupported              // known, and not offered
	OutOfRange                // more than there is, or a version that is not known
	NotFound                  // no such agreement, license, code, key pack or server
	AlreadyExists             // a code already used, a key pack already installed
	NotActivated              // this license server must be activated first
	Unavailable               // the clearinghouse or the directory cannot be reached now, or there is none
	Denied                    // the caller may not do this
	Limited                   // too many failed attempts
	Unlicensed                // there is no CAL for the device or user; the cause is a DenialReason
)

var kindNames = [...]string{
	"internal", "invalid", "not supported", "out of range", "not found", "already exists", "not activated", "unavailable", "denied", "limited",
	"unlicensed",
}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseKind returns the kind that String wrote, and Internal for any other text.
func ParseKind(s string) Kind {
	for k, name := range kindNames {
		if s == name {
			return Kind(k)
		}
	}
	return Internal
}

// Fault is the one error type of the domain: what went wrong, in which operation, said for a person.
type Fault struct {
	Kind Kind
	Op   string // the operation, for example "import"
	Msg  string // what was wrong, where, and what would be right; it never holds a whole license code
	Err  error  // the cause, for the log
}

// Error returns operation, message and cause.
func (f *Fault) Error() string {
	s := f.Msg
	if f.Op != "" {
		s = f.Op + ": " + s
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Faultf returns a Fault of the kind with a formatted message.
func Faultf(kind Kind, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Fault in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return Internal
}

// Message returns what a caller may read of err: the message of its Fault, and nothing of an internal one.
func Message(err error) string {
	var f *Fault
	if errors.As(err, &f) && f.Kind != Internal {
		return f.Msg
	}
	return "internal error; the log has the details"
}
