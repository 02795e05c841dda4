package wsman

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"calkeeper/internal/cim"
)

// Product is what Identify says about the server (DSP0226, "Identify"). Callers who are not authenticated do not see the
// Version.
type Product struct{ Vendor, Version string }

// Limits bounds what one request, and what all of them, can cost. A field that is zero has the default given with it.
type Limits struct {
	MaxRequestBytes  int           // bytes of a request: 1 MiB
	MaxEnvelopeSize  int           // bytes of a reply other than a fault, even if the client would take more: 512,000
	MaxElements      int           // items of one reply: 32,000
	MaxEnumerations  int           // open enumerations of all callers: 50
	MaxOfOneCaller   int           // of them: 20, so that nobody keeps all the others out
	EnumerationIdle  time.Duration // after which an open enumeration expires: 4 minutes, as Windows has it
	OperationTimeout time.Duration // of an operation, even if the client would wait longer: 60 seconds
}

func (l Limits) withDefaults() Limits {
	l.MaxRequestBytes = positive(l.MaxRequestBytes, 1<<20)
	l.MaxEnvelopeSize = positive(l.MaxEnvelopeSize, 512_000)
	l.MaxElements = positive(l.MaxElements, 32_000)
	l.MaxEnumerations = positive(l.MaxEnumerations, 50)
	l.MaxOfOneCaller = positive(l.MaxOfOneCaller, 20)
	l.EnumerationIdle = positive(l.EnumerationIdle, 4*time.Minute)
	l.OperationTimeout = positive(l.OperationTimeout, time.Minute)
	return l
}

func positive[N int | time.Duration](n, preset N) N {
	if n <= 0 {
		return preset
	}
	return n
}

// Options are what a Server is made of. Namespaces and Authenticator are needed; without an Authenticator every caller is
// refused.
type Options struct {
	Namespaces    []*cim.Namespace
	Authenticator Authenticator
	Product       Product
	ServerName    string           // what __SERVER and the Machine of a fault say; "localhost" if empty
	Logger        *slog.Logger     // nothing is logged if nil
	Now           func() time.Time // time.Now if nil
	Rand          io.Reader        // of message and enumeration IDs, safe for concurrent use; crypto/rand if nil
	Limits        Limits
}

// Server answers WS-Management requests. It is an http.Handler for the paths /wsman and /wsman/, safe for concurrent use.
type Server struct {
	options      Options
	namespaces   map[string]*namespace // by normalized name
	enumerations enumerations
	exchanges    sync.Pool
}

// NewServer returns a server for the namespaces of opt.
func NewServer(opt Options) *Server {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	if opt.ServerName == "" {
		opt.ServerName = "localhost"
	}
	opt.Limits = opt.Limits.withDefaults()
	s := &Server{options: opt, namespaces: map[string]*namespace{}}
	for _, ns := range opt.Namespaces {
		s.namespaces[cim.NormalizeNamespace(ns.Name)] = newNamespace(ns)
	}
	s.enumerations = enumerations{
		open: map[string]*enumeration{}, max: opt.Limits.MaxEnumerations, maxOfOne: opt.Limits.MaxOfOneCaller, idle: opt.Limits.EnumerationIdle,
		now: opt.Now, log: opt.Logger,
	}
	s.exchanges.New = func() any { return &exchange{server: s} }
	return s
}

// Close releases all open enumerations, and lets no new one stay open. Other requests are still answered.
func (s *Server) Close() { s.enumerations.close() }

// Paths are where clients look for a WS-Management server: the second is OMI's.
const (
	path      = "/wsman"
	pathSlash = "/wsman/"
)

// maxAnonymousBytes bounds what is read of a caller who only asks who is there. Identify takes 238 bytes, 478 in UTF-16.
const maxAnonymousBytes = 8 << 10

// maxPooledBytes bounds the buffers that are kept for later requests.
const maxPooledBytes = 4 << 20

// errUnauthenticated is a request of an anonymous caller for more than Identify.
var errUnauthenticated = errors.New("not authenticated")

// ServeHTTP answers one request (DSP0226, annex C). An authenticated request without a body, which clients
// of NTLM end their handshake with, is answered 200 without a body. A sealed request (MS-WSMV 2.2.9.1) has a sealed reply.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != path && r.URL.Path != pathSlash {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	ctx, limit := r.Context(), s.options.Limits.MaxRequestBytes
	var protection Protection
	anonymous := strings.EqualFold(r.Header.Get("WSMANIDENTIFY"), "unauthenticated")
	if anonymous {
		limit = min(limit, maxAnonymousBytes)
	} else {
		var err error
		if ctx, err = s.authenticate(ctx, r, w.Header()); err != nil {
			s.challenge(w, err)
			return
		}
		protection = s.options.Authenticator.Protection(ctx)
	}
	x := s.exchanges.Get().(*exchange)
	x.begin(ctx, anonymous, protection)
	x.answer(w, http.MaxBytesReader(w, r.Body, int64(limit)), r.Header)
	x.end()
}

// authenticate refuses everybody if there is nobody to tell callers apart. A panic counts as a refusal.
func (s *Server) authenticate(ctx context.Context, r *http.Request, reply http.Header) (identified context.Context, err error) {
	if s.options.Authenticator == nil {
		return nil, errUnauthenticated
	}
	defer func() {
		if v := recover(); v != nil {
			s.options.Logger.Error("wsman: panic in authentication", "panic", v, "stack", string(debug.Stack()))
			err = errUnauthenticated
		}
	}()
	return s.options.Authenticator.Authenticate(ctx, r, reply)
}
