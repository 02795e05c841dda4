package accounts

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"calkeeper/internal/auth"
	"calkeeper/internal/store"
)

// maxClaimed is how much of a name is recorded that nobody has proved, and maxDetail how much a mechanism says, in characters.
const (
	maxClaimed = 64
	maxDetail  = 300
)

// attempt is one authentication.
type attempt struct {
	auth.Attempt
	name string // who the caller claims to be, or is
}

func (a attempt) network() string { return auth.NetworkOf(a.Remote) }

// named tells whether there can be an account of that name. Failures are not counted for others, which could be as long as a request.
func (a attempt) named() bool { return checkName(a.name) == nil }

// here is the account as it is used from the caller's network.
func (a attempt) here() string { return a.network() + " " + folded(a.name) }

// counter is the key of the failures for the account. Where it was used already, failures from elsewhere do not count: nobody can lock
// its owner out of the machine that he works at. A success resets nothing, or who guesses would begin anew with each logon of the owner.
func (s *Service) counter(a attempt) string {
	if key := a.here(); s.remembered.knows(key) {
		return key
	}
	return folded(a.name)
}

// held returns how long nothing is checked, and for whose failures.
func (s *Service) held(a attempt) (by *lockout, key string, wait time.Duration) {
	now := s.Now()
	by, key = s.addresses, a.network()
	wait = by.wait(key, now)
	if !a.named() {
		return by, key, wait
	}
	counter := s.counter(a)
	if w := s.names.wait(counter, now); w > wait {
		return s.names, counter, w
	}
	return by, key, wait
}

// holdBack refuses the attempt while nothing is to be checked: the error is an *auth.LockedError then. Only the first of a time is recorded.
func (s *Service) holdBack(ctx context.Context, a attempt) error {
	by, key, wait := s.held(a)
	if wait == 0 {
		return nil
	}
	if by.refuse(key) {
		s.recordRefusal(ctx, a, "locked for "+seconds(wait))
	}
	return &auth.LockedError{Wait: wait}
}

// fail counts a failure and records it. Its account counts as far as it is known.
func (s *Service) fail(a attempt, detail string) string {
	now := s.Now()
	wait := s.addresses.fail(a.network(), now)
	if a.named() {
		wait = max(wait, s.names.fail(s.counter(a), now))
	}
	if wait > 0 {
		detail += "; locked for " + seconds(wait)
	}
	return detail
}

func seconds(d time.Duration) string { return (d + time.Second - 1).Truncate(time.Second).String() }

// recordRefusal records an attempt that did not succeed, also if the caller has gone. That it cannot be recorded is logged: it is
// refused in any case.
func (s *Service) recordRefusal(ctx context.Context, a attempt, detail string) {
	if err := s.record(context.WithoutCancel(ctx), a, "logon refused", detail); err != nil {
		s.Logger.Error("accounts: a refused logon could not be recorded", "account", printable(a.name), "remote", a.Remote, "error", err)
	}
}

func (s *Service) record(ctx context.Context, a attempt, action, detail string) error {
	r := s.logon(a, action, detail)
	return s.store.Update(ctx, func(tx store.Tx) error { return tx.Audit(r) })
}

// logon returns the record of an outcome.
func (s *Service) logon(a attempt, action, detail string) store.AuditRecord {
	said := make([]string, 0, 3)
	if detail != "" {
		said = append(said, detail)
	}
	unrecorded := s.addresses.takeUnrecorded(a.network())
	if a.named() {
		unrecorded += s.names.takeUnrecorded(s.counter(a))
	}
	if unrecorded > 0 {
		said = append(said, fmt.Sprintf("%d refusals before were not recorded", unrecorded))
	}
	if n := s.turnedAway.Swap(0); n > 0 {
		said = append(said, fmt.Sprintf("%d attempts, of anybody, had found too many under way", n))
	}
	actor := printable(a.name)
	if actor == "" {
		actor = "unknown"
	}
	return store.AuditRecord{
		At: s.Now(), Actor: actor, Action: action, Detail: strings.Join(said, "; "), Origin: store.Origin{Remote: a.Remote, Mechanism: a.Mechanism},
	}
}

func (s *Service) auditChange(ctx context.Context, tx store.Tx, actor, action, detail string) error {
	return tx.Audit(store.AuditRecord{At: s.Now(), Actor: actor, Action: action, Detail: detail, Origin: store.OriginOf(ctx)})
}

// printable returns a name that somebody has claimed as it may be shown.
func printable(name string) string { return plain(name, maxClaimed) }

// plain replaces what is no text, and cuts the rest.
func plain(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return utf8.RuneError
		}
		return c
	}, text)
	n := 0
	for i := range text {
		if n++; n > most {
			return text[:i] + "…"
		}
	}
	return text
}
