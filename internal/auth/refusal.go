package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calkeeper/internal/auth/gss"
)

// Refusal is why a request is not (or not yet) authenticated, and how it is answered.
type Refusal struct {
	err        error // nil: the handshake goes on
	challenges []string
}

// Error tells why, for the log.
func (r *Refusal) Error() string {
	if r.err == nil {
		return "the handshake goes on"
	}
	return r.err.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.err }

// StatusCode is 401; 503 for who could not be checked in time, and 500 for what is the license server's own failure.
func (r *Refusal) StatusCode() int {
	_, locked := errors.AsType[*LockedError](r.err)
	switch {
	case r.err == nil, locked, gss.StatusOf(r.err) != nil, errors.Is(r.err, ErrCredentials), errors.Is(r.err, ErrUnencrypted),
		errors.Is(r.err, errNothingShown), errors.Is(r.err, errAmbiguous), errors.Is(r.err, errProxy), errors.Is(r.err, errExpired):
		return http.StatusUnauthorized
	case errors.Is(r.err, ErrBusy), errors.Is(r.err, context.Canceled), errors.Is(r.err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Challenges returns the next step of a handshake, nil if there is none.
func (r *Refusal) Challenges() []string { return r.challenges }

// RetryAfter returns how long to wait before the next try.
func (r *Refusal) RetryAfter() time.Duration {
	if locked, ok := errors.AsType[*LockedError](r.err); ok {
		return locked.Wait
	}
	if errors.Is(r.err, ErrBusy) {
		return time.Second
	}
	return 0
}

// Explanation tells the caller what he can do about it, and nothing of what was compared.
func (r *Refusal) Explanation() string {
	for _, err := range []error{ErrUnencrypted, ErrBusy, errAmbiguous, errProxy, errExpired} {
		if errors.Is(r.err, err) {
			return err.Error()
		}
	}
	if locked, ok := errors.AsType[*LockedError](r.err); ok {
		return locked.Error()
	}
	if status := gss.StatusOf(r.err); status != nil {
		return status.Error()
	}
	return ""
}
