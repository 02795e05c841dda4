package agent_test

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/receipt"
	"calkeeper/internal/restapi/wire"
)

const goodToken = "ckh_test"

// licenseServer is one with a number of CALs for users, or devices, on one session host.
type licenseServer struct {
	t   testing.TB
	url string
	now func() time.Time
	key ed25519.PrivateKey

	mu         sync.Mutex
	cals       int
	mode       string // per-user or per-device
	term       bool   // the host does not count sessions
	leases     []*wire.Lease
	holders    map[string]bool // with CALs that have a term
	answers    map[string]wire.Answer
	calls      []string
	next       uint64
	answering  func(w http.ResponseWriter, r *http.Request) bool // tells whether it has answered
	receiptKey ed25519.PrivateKey                                // nil: key
}

func newLicenseServer(t testing.TB, cals int, now func() time.Time) *licenseServer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &licenseServer{t: t, now: now, key: key, cals: cals, mode: "per-user", holders: map[string]bool{}, answers: map[string]wire.Answer{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/licenses", s.licenses((*licenseServer).request))
	mux.HandleFunc("POST /v1/licenses/validate", s.licenses((*licenseServer).validate))
	mux.HandleFunc("POST /v1/licenses/renew", s.licenses((*licenseServer).renew))
	mux.HandleFunc("POST /v1/licenses/release", s.release)
	mux.HandleFunc("GET /v1/leases", func(w http.ResponseWriter, _ *http.Request) {
		page := wire.LeasePage{Leases: []wire.Lease{}}
		for _, l := range s.leases {
			page.Leases = append(page.Leases, *l)
		}
		reply(w, http.StatusOK, page)
	})
	mux.HandleFunc("POST /v1/leases/{id}/renew", s.lease(func(l *wire.Lease) any { l.Expires = s.now().Add(time.Hour); return *l }))
	mux.HandleFunc("DELETE /v1/leases/{id}", s.lease(func(l *wire.Lease) any {
		s.leases = slices.DeleteFunc(s.leases, func(other *wire.Lease) bool { return other == l })
		return wire.Ended{Leases: 1, Licenses: 1}
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls = append(s.calls, r.Method+" "+r.URL.Path)
		answering := s.answering
		s.mu.Unlock()
		if answering != nil && answering(w, r) {
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+goodToken {
			problem(w, http.StatusUnauthorized, licensing.Denied, "the token is not one of a session host", "")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/v1"
	return s
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", wire.JSON)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, kind licensing.Kind, detail string, reason licensing.DenialReason) {
	w.Header().Set("Content-Type", wire.ProblemJSON)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(wire.Problem{
		Type: wire.ProblemTypePrefix + strings.ReplaceAll(kind.String(), " ", "-"), Title: kind.String(), Status: status, Detail: detail, Reason: string(reason),
	})
}

// licenses decodes a request and answers it by f, once for each idempotency key.
func (s *licenseServer) licenses(f func(*licenseServer, wire.Request) (wire.Answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request wire.Request
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			s.t.Error(err)
		}
		key := r.Header.Get(wire.IdempotencyKeyHeader)
		answer, answered := s.answers[key]
		if key == "" {
			s.t.Errorf("%s came without an idempotency key", r.URL.Path)
		}
		if !answered {
			var err error
			switch answer, err = f(s, request); licensing.KindOf(err) {
			case licensing.Unlicensed:
				problem(w, http.StatusConflict, licensing.Unlicensed, "no license for "+request.User+": all CALs are in use", licensing.NoFreeCAL)
				return
			case licensing.NotFound:
				problem(w, http.StatusNotFound, licensing.NotFound, licensing.Message(err), "")
				return
			case licensing.Invalid:
				problem(w, http.StatusBadRequest, licensing.Invalid, licensing.Message(err), "")
				return
			}
			s.answers[key] = answer
		}
		reply(w, http.StatusOK, answer)
	}
}

func keysOf(r wire.Request) (user, device string) {
	user, _ = licensing.UserKey(r.User)
	if r.Device != nil {
		device, _ = licensing.DeviceKey(licensing.Device(*r.Device))
	}
	return user, device
}

// find returns the lease that a request is about.
func (s *licenseServer) find(r wire.Request) *wire.Lease {
	user, device := keysOf(r)
	var found *wire.Lease
	for _, l := range s.leases {
		owner, at := keysOf(wire.Request{User: l.User, Device: l.Device})
		switch {
		case owner != user:
		case r.Session != "" && l.Session == r.Session:
			return l
		case r.Session == "" && l.Session != "", l.Session == "" && (at == device || device == ""):
			found = l
		}
	}
	return found
}

func (s *licenseServer) request(r wire.Request) (wire.Answer, error) {
	user, device := keysOf(r)
	holder := user
	if s.mode == "per-device" {
		holder = device
	}
	if holder == "" {
		return wire.Answer{}, licensing.Faultf(licensing.Invalid, "the device is missing: give its ID, or its name if it has none")
	}
	answer := wire.Answer{Outcome: "held", License: wire.License{ID: 7, Type: s.mode, User: r.User, Device: r.Device}}
	if r.Receipt {
		answer.Receipt = receipt.Sign(cmpKey(s.receiptKey, s.key), receipt.Claims{
			Issuer: "ls1.example", Host: "rds1.example", ID: strconv.Itoa(len(s.calls)), User: user, Device: device, LicenseID: 7,
			Issued: s.now(), Expires: s.now().Add(60 * 24 * time.Hour),
		})
	}
	if s.term {
		if !s.holders[holder] && len(s.holders) >= s.cals {
			return answer, licensing.Faultf(licensing.Unlicensed, "")
		}
		s.holders[holder] = true
		return answer, nil
	}
	l := s.find(r)
	if l == nil {
		if len(s.leases) >= s.cals {
			return answer, licensing.Faultf(licensing.Unlicensed, "")
		}
		s.next++
		l = &wire.Lease{ID: s.next, License: 7, Host: "rds1.example", Provisional: r.Provisional, Opened: s.now()}
		s.leases = append(s.leases, l)
		answer.Outcome = "issued"
	} else if r.Device != nil && l.Device != nil && *l.Device != *r.Device {
		answer.Outcome = "takenOver"
	}
	l.User, l.Session = r.User, cmp.Or(r.Session, l.Session)
	l.Device = cmp.Or(r.Device, l.Device)
	l.Provisional = l.Provisional && r.Provisional
	l.Expires = s.now().Add(time.Hour)
	copied := *l
	answer.Lease = &copied
	return answer, nil
}

func cmpKey(a, b ed25519.PrivateKey) ed25519.PrivateKey {
	if a != nil {
		return a
	}
	return b
}

func (s *licenseServer) validate(r wire.Request) (wire.Answer, error) {
	r.Provisional = false
	a, err := s.request(r)
	a.Outcome = "validated"
	return a, err
}

func (s *licenseServer) renew(r wire.Request) (wire.Answer, error) {
	user, _ := keysOf(r)
	if s.term && s.holders[user] || !s.term && s.find(r) != nil {
		return s.request(r)
	}
	return wire.Answer{}, licensing.Faultf(licensing.NotFound, "no CAL is issued to %s", r.User)
}

func (s *licenseServer) release(w http.ResponseWriter, r *http.Request) {
	var request wire.Request
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		s.t.Error(err)
	}
	ended := wire.Ended{}
	if l := s.find(request); l != nil && l.Session == request.Session {
		s.leases = slices.DeleteFunc(s.leases, func(other *wire.Lease) bool { return other == l })
		ended.Leases++
	}
	reply(w, http.StatusOK, ended)
}

func (s *licenseServer) lease(f func(*wire.Lease) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, l := range s.leases {
			if strconv.FormatUint(l.ID, 10) == r.PathValue("id") {
				reply(w, http.StatusOK, f(l))
				return
			}
		}
		problem(w, http.StatusNotFound, licensing.NotFound, "there is no such lease", "")
	}
}

// down lets the license server not answer, until it is called again with false.
func (s *licenseServer) down(down bool) {
	s.answer(nil)
	if down {
		s.answer(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	}
}

func (s *licenseServer) answer(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answering = f
}

// snapshot returns the leases as they are.
func (s *licenseServer) snapshot() []wire.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []wire.Lease
	for _, l := range s.leases {
		all = append(all, *l)
	}
	return all
}

// count returns how often a path was called.
func (s *licenseServer) count(call string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (s *licenseServer) publicKey() string {
	return base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
}
