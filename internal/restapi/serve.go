package restapi

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"calkeeper/internal/auth"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

// Bounds of a request. The greatest real body, every name at its greatest length and escaped, has 10 KB.
const (
	maxBody  = 64 << 10
	bodyTime = 10 * time.Second
)

// exchange is what is known of one request while it is answered.
type exchange struct {
	id      string
	address string // the caller's IP address
	caller  caller
	query   url.Values
	head    bool // HEAD: nobody waits for the body of the answer
	stream  bool // the caller accepts an event stream
	err     error
}

type exchangeKey struct{}

// exchangeOf returns the exchange that a handler answers.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// ServeHTTP answers one request. Its steps are in this order, so that a stranger costs little: who asks, whether he may, how
// often he did, and only then what he sends.
func (s *server) ServeHTTP(writer http.ResponseWriter, r *http.Request) {
	began := time.Now()
	x := &exchange{id: s.randomID(), address: auth.AddressOf(r.RemoteAddr), head: r.Method == http.MethodHead}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	w := &response{ResponseWriter: writer}
	w.Header().Set(wire.RequestIDHeader, x.id)
	w.Header().Set("Cache-Control", "no-store") // tokens are among the answers
	w.Header().Set("X-Content-Type-Options", "nosniff")
	pattern := ""
	defer func() {
		if v := recover(); v != nil {
			s.Logger.Error("rest: panic", "request", x.id, "panic", v, "stack", string(debug.Stack()))
			if w.status == 0 {
				x.refuse(errors.New("panic")).write(w)
			}
		}
		s.log(r, x, pattern, w.status, time.Since(began))
	}()
	var err error
	if pattern, err = s.prepare(w, r, x); err != nil {
		x.refuse(err).write(w)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// log writes one line about a request. The pattern stands for the path, in which somebody may have put a token.
func (s *server) log(r *http.Request, x *exchange, pattern string, status int, took time.Duration) {
	level, message := slog.LevelDebug, "rest: answered"
	switch {
	case x.err != nil && status >= http.StatusInternalServerError && r.Context().Err() == nil:
		level, message = slog.LevelError, "rest: request failed"
	case x.err != nil:
		level, message = slog.LevelInfo, "rest: request refused"
	}
	if !s.Logger.Enabled(r.Context(), level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("request", x.id), slog.String("method", r.Method), slog.String("route", pattern), slog.Int("status", status),
		slog.String("caller", x.caller.name), slog.String("remote", x.address), slog.Duration("took", took),
	}
	if x.err != nil {
		attributes = append(attributes, slog.String("error", x.err.Error()))
	}
	s.Logger.LogAttrs(r.Context(), level, message, attributes...)
}

// prepare checks a request in all that does not depend on what it asks. r, a copy, is changed to what huma is to read of it.
func (s *server) prepare(w *response, r *http.Request, x *exchange) (pattern string, err error) {
	if err := s.authenticate(r, x); err != nil {
		return "", err
	}
	*r = *r.WithContext(store.WithOrigin(r.Context(), store.Origin{Remote: x.address, Mechanism: x.caller.mechanism}))
	if wait := s.clients.take(x.caller.key(), s.Now()); wait > 0 {
		return "", limited(wait, "too many requests came from "+x.caller.name)
	}
	if r.URL.Path != path.Clean(r.URL.Path) || !utf8.ValidString(r.URL.Path) {
		return "", statusProblem(http.StatusNotFound, "")
	}
	handler, pattern := s.mux.Handler(r)
	to, ok := s.routes[pattern]
	if !ok {
		return "", notRouted(handler, r)
	}
	if err := s.origins.Check(r); err != nil {
		return pattern, licensing.Faultf(licensing.Denied, "a page of another site has made this request, with credentials that the browser keeps")
	}
	if err := s.admit(&x.caller, to.access); err != nil {
		return pattern, err
	}
	if err := x.readQuery(r); err != nil {
		return pattern, err
	}
	if err := s.readBody(w, r, to); err != nil {
		return pattern, err
	}
	return pattern, x.readHeader(r)
}

// notRouted is what the mux says of a request that it has no route for.
func notRouted(mux http.Handler, r *http.Request) *problem {
	w := &response{ResponseWriter: discard{http.Header{}}}
	mux.ServeHTTP(w, r)
	if w.status != http.StatusMethodNotAllowed {
		return statusProblem(http.StatusNotFound, "")
	}
	p := statusProblem(w.status, "")
	p.header.Set("Allow", w.Header().Get("Allow"))
	return p
}

// readQuery refuses what would be read in two ways, or left out silently.
func (x *exchange) readQuery(r *http.Request) (err error) {
	if x.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return malformed("the query of the URL cannot be read: write it as name=value&name=value, escaped")
	}
	for name, values := range x.query {
		if len(values) > 1 {
			return licensing.Faultf(licensing.Invalid, "the parameter %q is given %d times", shorten(name, 32), len(values))
		}
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return malformed("the query of the URL is not UTF-8")
		}
		if strings.ContainsFunc(values[0], func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return licensing.Faultf(licensing.Invalid, "the parameter %q has a control character", shorten(name, 32))
		}
	}
	return nil
}

// readBody reads the body at once: huma would read JSON that means two things, and call its end too soon a failure of the server.
func (s *server) readBody(w *response, r *http.Request, to route) error {
	var body []byte
	if to.body {
		mediaType, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		charset, given := parameters["charset"]
		if err != nil || mediaType != wire.JSON || given && !strings.EqualFold(charset, "utf-8") {
			return statusProblem(http.StatusUnsupportedMediaType, "the body must be JSON, with the header Content-Type: application/json")
		}
		// Until the end of the body: then net/http takes the deadline away. An error means that the connection is none of net/http.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var timeout net.Error
		switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
		case tooLarge:
			return statusProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", maxBody))
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
			return statusProblem(http.StatusRequestTimeout, "the body did not come in time")
		case err != nil:
			return malformed("the body could not be read to its end")
		}
		if err := s.checkJSON(body); err != nil {
			return err
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// readHeader takes from the header what counts, and leaves huma only that: it would choose other formats than JSON by the rest.
func (x *exchange) readHeader(r *http.Request) error {
	kept := http.Header{}
	if r.Header.Get("Content-Type") != "" {
		kept.Set("Content-Type", wire.JSON)
	}
	for _, accepted := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(accepted, ",") {
			mediaType, _, err := mime.ParseMediaType(part)
			x.stream = x.stream || err == nil && mediaType == wire.EventStream
		}
	}
	for _, name := range []string{wire.IdempotencyKeyHeader, "Last-Event-ID"} {
		switch values := r.Header.Values(name); len(values) {
		case 0:
		case 1:
			if values[0] == "" && name == wire.IdempotencyKeyHeader {
				return licensing.Faultf(licensing.Invalid, "the header %s is empty", name)
			}
			kept.Set(name, values[0])
		default:
			return licensing.Faultf(licensing.Invalid, "the header %s is given %d times", name, len(values))
		}
	}
	r.Header = kept
	return nil
}

// randomID returns an ID of 16 characters. Without randomness it is of zeros: an ID only leads to the log.
func (s *server) randomID() string {
	var b [8]byte
	_, _ = io.ReadFull(s.Random, b[:])
	return hex.EncodeToString(b[:])
}

// response knows the status that was answered.
type response struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the status, the first time.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write sends a part of the body.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what the connection can do.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// discard keeps the header only.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
