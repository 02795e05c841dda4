package keycode

import (
	"fmt"
	"time"
)

const (
	expiryEpoch = 2020 // ExpiryMonth counts from January of this year
	maxExpiry   = 1<<expiryBits - 1
)

// Expires returns the instant at which the CALs of the code expire: midnight UTC at
// the beginning of the month after ExpiryMonth, so that they are valid through the
// whole of that month. It returns the zero time for perpetual CALs.
func (c Code) Expires() time.Time {
	if c.ExpiryMonth == 0 {
		return time.Time{}
	}
	return time.Date(expiryEpoch, time.January+time.Month(c.ExpiryMonth)+1, 1, 0, 0, 0, 0, time.UTC)
}

// ExpiryMonth returns the value for Code.ExpiryMonth that makes CALs expire at the
// given instant or, as codes know months only, as soon after it as possible. It is
// the inverse of Code.Expires: the zero time gives 0, which is perpetual. It is an
// error unless the instant lies after 2020-02-01T00:00:00Z and not after
// 2190-09-01T00:00:00Z: the months of a code go from February 2020 to August 2190.
func ExpiryMonth(expires time.Time) (uint16, error) {
	if expires.IsZero() {
		return 0, nil
	}
	// The month that holds the last instant of validity.
	last := expires.UTC().Add(-time.Nanosecond)
	month := (last.Year()-expiryEpoch)*12 + int(last.Month()-time.January)
	if month < 1 || month > maxExpiry {
		return 0, fmt.Errorf("expiry %s is out of range: a code holds an expiry in the months from 2020-02 to 2190-08, or none",
			expires.UTC().Format(time.RFC3339))
	}
	return uint16(month), nil
}
