package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/receipt"
)

// Types of CALs as the REST API writes them.
const (
	perUser   = "per-user"
	perDevice = "per-device"
)

// clockSkew is how far clocks may differ, and be set back by those who keep them right.
const clockSkew = 5 * time.Minute

var errNotAllowed = errors.New("logons without it are not allowed (offline = \"deny\")")

// verify checks that a record holds a good answer for its user and device, and one that is not too old.
func (a *Agent) verify(r *receiptRecord, now time.Time) error {
	if a.config.Offline == 0 {
		return errNotAllowed
	}
	claims, err := receipt.Verify(a.config.ServerKey, r.Receipt, now)
	if err != nil {
		return errors.New(licensing.Message(err))
	}
	switch age := now.Sub(claims.Issued); {
	case r.Type != perUser && r.Type != perDevice:
		return errors.New("it does not say of which type the license is")
	case claims.User != userKey(r.User):
		return errors.New("the receipt is another user's")
	case r.Type == perDevice && (claims.Device == "" || claims.Device != deviceKey(r.Device)):
		return errors.New("the receipt is another device's")
	case age > a.config.Offline:
		return fmt.Errorf("the last answer is from %s, more than %d hours ago", claims.Issued.Format(time.RFC3339), int(a.config.Offline.Hours()))
	}
	return nil
}

// offline tells why a logon is not allowed without the license server; nil if it is.
func (a *Agent) offline(user string, d licensing.Device, now time.Time) error {
	if a.config.Offline == 0 {
		return errNotAllowed // whatever is on the disk
	}
	seen, err := a.state.lastSeen()
	if err != nil {
		return err
	}
	if now.Before(seen.Add(-clockSkew)) {
		return fmt.Errorf("it is %s by this machine's clock, and it was %s already: the clock was set back",
			now.UTC().Format(time.RFC3339), seen.UTC().Format(time.RFC3339))
	}
	refusal := errors.New("there is no earlier answer for this user")
	for _, licenseType := range []string{perUser, perDevice} {
		r, err := get[receiptRecord](a.state, receiptsRoom, receiptName(licenseType, user, d))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && (r.Type != licenseType || userKey(r.User) != userKey(user) || r.Type == perDevice && deviceKey(r.Device) != deviceKey(d)) {
			err = errRecord
		}
		if err == nil {
			err = a.verify(&r, now)
		}
		if err == nil {
			return nil
		}
		refusal = err
	}
	return refusal
}
