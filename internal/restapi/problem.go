package restapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

// problem is an error as it is answered (RFC 9457). huma takes status, headers and media type from it.
type problem struct {
	wire.Problem
	header http.Header
}

// Error returns what is said to the caller.
func (p *problem) Error() string { return p.Detail }

// GetStatus returns the status of the answer.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders returns headers of the answer.
func (p *problem) GetHeaders() http.Header { return p.header }

// ContentType returns the media type of problems.
func (p *problem) ContentType(string) string { return wire.ProblemJSON }

// statusOf is the table of what is answered to faults. A Denied of one who is not authenticated is 401, and so is not made here.
func statusOf(k licensing.Kind) int {
	switch k {
	case licensing.Invalid, licensing.OutOfRange, licensing.NotSupported:
		return http.StatusUnprocessableEntity
	case licensing.NotFound:
		return http.StatusNotFound
	case licensing.AlreadyExists, licensing.NotActivated, licensing.Unlicensed:
		return http.StatusConflict
	case licensing.Denied:
		return http.StatusForbidden
	case licensing.Limited:
		return http.StatusTooManyRequests
	case licensing.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// problemOf returns what is answered to an error.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	kind := licensing.KindOf(err)
	if kind == licensing.Internal && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		// The caller has gone, and reads nothing of this; or the license server stops.
		kind, err = licensing.Unavailable, licensing.Faultf(licensing.Unavailable, "the request was given up: the license server stops")
	}
	p := &problem{Problem: wire.Problem{
		Type: wire.ProblemTypePrefix + strings.ReplaceAll(kind.String(), " ", "-"), Title: kind.String(), Status: statusOf(kind),
		Detail: licensing.Message(err),
	}, header: http.Header{}}
	if reason, ok := errors.AsType[licensing.DenialReason](err); ok && kind == licensing.Unlicensed {
		p.Reason = string(reason)
	}
	if kind == licensing.Limited {
		p.header.Set("Retry-After", "1")
	}
	return p
}

// statusProblem is a problem that HTTP has a status for, and that says nothing of licenses.
func statusProblem(status int, detail string) *problem {
	return &problem{Problem: wire.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail,
	}, header: http.Header{}}
}

// malformed is a request that cannot be read.
func malformed(detail string) *problem {
	p := problemOf(licensing.Faultf(licensing.Invalid, "%s", detail))
	p.Status = http.StatusBadRequest
	return p
}

// limited asks to come back later.
func limited(wait time.Duration, detail string) *problem {
	p := problemOf(licensing.Faultf(licensing.Limited, "%s", detail))
	p.header.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	return p
}

// unauthenticated asks who is there (RFC 9110, section 11.6.1).
func (s *server) unauthenticated(detail string) *problem {
	p := problemOf(licensing.Faultf(licensing.Denied, "%s", detail))
	p.Status = http.StatusUnauthorized
	for _, c := range append(s.accounts.Challenges(), `Bearer realm="`+realm+`"`) {
		p.header.Add("WWW-Authenticate", c)
	}
	return p
}

// refuse notes an error for the log, and returns what is answered to it.
func (x *exchange) refuse(err error) *problem {
	x.err = err
	p := problemOf(err)
	p.Instance = "urn:calkeeper:request:" + x.id
	return p
}

// write answers with the problem where huma does not.
func (p *problem) write(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", wire.ProblemJSON)
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// maxDetails bounds how many mistakes of one request are told, and maxDetail how long their text is, in characters.
const (
	maxDetails = 5
	maxDetail  = 600
)

// transform makes problems like the others of what huma finds wrong with a request. What was sent is not repeated.
func transform(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	x := exchangeOf(ctx.Context())
	if m.Status >= http.StatusInternalServerError {
		return x.refuse(errors.New("huma: " + m.Detail)), nil
	}
	var text strings.Builder
	text.WriteString("the request is not valid: ")
	for i, e := range m.Errors[:min(len(m.Errors), maxDetails)] {
		if i > 0 {
			text.WriteString("; ")
		}
		if e.Location != "" {
			text.WriteString(e.Location + ": ")
		}
		text.WriteString(e.Message)
	}
	if len(m.Errors) == 0 {
		text.WriteString(m.Detail)
	}
	p := problemOf(licensing.Faultf(licensing.Invalid, "%s", shorten(text.String(), maxDetail)))
	p.Status = m.Status
	return x.refuse(p), nil
}

// shorten cuts a text after so many characters.
func shorten(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
