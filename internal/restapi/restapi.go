// Package restapi is the REST API of a license server, for session hosts and automation. docs/api.md describes it; huma makes the
// OpenAPI document, and checks requests by it.
//
// Handlers decode, call one use-case, and encode. What comes from outside is bounded and checked before: see serve. The package must
// not know SQL, nor WMI.
package restapi

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auditing"
	"calkeeper/internal/auth"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Issuance is what the API asks of the use-cases: *issuance.Service.
type Issuance interface {
	Licenses
	Leases
	Hosts
	Statistics
}

// Licenses issues CALs, lists them, and takes them back.
type Licenses interface {
	Request(context.Context, issuance.Request) (issuance.Answer, error)
	Validate(context.Context, issuance.Request) (issuance.Answer, error)
	Renew(context.Context, issuance.Request) (issuance.Answer, error)
	Release(context.Context, issuance.Request) (issuance.Ended, error)
	CAL(ctx context.Context, id uint32) (licensing.CAL, error)
	CALPage(ctx context.Context, f store.CALFilter, limit int) ([]licensing.CAL, error)
	ReleaseCAL(ctx context.Context, actor string, id uint32) error
	Revoke(ctx context.Context, actor string, id uint32) (issuance.Revocation, error)
}

// Leases tells of sessions that use CALs.
type Leases interface {
	Leases(context.Context, store.LeaseFilter) ([]licensing.Lease, error)
	RenewLease(ctx context.Context, host licensing.Host, id uint64) (licensing.Lease, error)
	EndLease(ctx context.Context, actor, host string, id uint64) (issuance.Ended, error)
}

// Hosts knows session hosts.
type Hosts interface {
	AuthenticateToken(ctx context.Context, token string) (licensing.Host, error)
	AuthenticateCertificate(ctx context.Context, sha256 []byte) (licensing.Host, error)
	UnregisteredHost(address string, v licensing.ProductVersion, mode licensing.ProductType) (licensing.Host, error)
	AddHost(ctx context.Context, actor string, h licensing.Host) (token string, err error)
	NewToken(ctx context.Context, actor, name string) (token string, err error)
	RemoveHost(ctx context.Context, actor, name string) error
	Hosts(context.Context) ([]licensing.Host, error)
	Host(ctx context.Context, name string) (licensing.Host, error)
}

// Statistics counts CALs, and tells what has happened.
type Statistics interface {
	Denials(ctx context.Context, after uint64, limit int) ([]licensing.Denial, error)
	DenialCounts(context.Context) ([]store.DenialCount, error)
	Counters(context.Context) ([]issuance.Counter, error)
	KeyPacks(context.Context) ([]licensing.KeyPack, error)
	SetOverUse(ctx context.Context, actor string, keyPackID uint32, o licensing.OverUse) error
	WaitEvents(ctx context.Context, after uint64, limit int, wait time.Duration) (events []store.AuditRecord, last uint64, err error)
	LastEvent(context.Context) (uint64, error)
}

// Accounts knows who may use the license server, apart from session hosts: *accounts.Service.
type Accounts interface {
	auth.Accounts
	List(context.Context) ([]accounts.Account, error)
	Account(ctx context.Context, name string) (accounts.Account, error)
	Set(ctx context.Context, actor string, c accounts.Change) error
	Remove(ctx context.Context, actor, name string) error
}

// Audit is the audit log: *auditing.Log.
type Audit interface {
	Page(ctx context.Context, after uint64, limit int) (auditing.Page, error)
}

// Limits bounds what one client, and what all of them, can cost. A field that is zero has the default given with it.
type Limits struct {
	Rate         float64       // requests of one session host or account in a second: 200
	Burst        int           // of these at once: 400
	FailureRate  float64       // failed authentications from one address, or one IPv6 /64, in a second: 10
	FailureBurst int           // of these at once: 20
	Clients      int           // how many clients, and how many addresses, are remembered: 10,000
	Waiting      int           // polls and streams of one client that wait at the same time: 16
	Heartbeat    time.Duration // after which a stream without events shows that it lives: 15 seconds
	ReceiptTTL   time.Duration // how long a receipt may stand for an answer, if its license does not end before: 7 days
}

func (l Limits) withDefaults() Limits {
	l.Rate = positive(l.Rate, 200)
	l.Burst = positive(l.Burst, 400)
	l.FailureRate = positive(l.FailureRate, 10)
	l.FailureBurst = positive(l.FailureBurst, 20)
	l.Clients = positive(l.Clients, 10_000)
	l.Waiting = positive(l.Waiting, 16)
	l.Heartbeat = positive(l.Heartbeat, 15*time.Second)
	l.ReceiptTTL = positive(l.ReceiptTTL, 7*24*time.Hour)
	return l
}

func positive[N int | float64 | time.Duration](n, preset N) N {
	if n <= 0 {
		return preset
	}
	return n
}

// Options are what the API is made of. Issuance, Accounts, Audit, Activated and ReceiptKey are needed.
type Options struct {
	Issuance            Issuance
	Accounts            Accounts
	Audit               Audit
	Activated           func(context.Context) (bool, error)
	ReceiptKey          ed25519.PrivateKey
	ServerName, Version string
	AllowUnencrypted    bool             // tokens and passwords over plain HTTP also from other machines
	Metrics             http.Handler     // answers GET /metrics; nil: nothing does
	Logger              *slog.Logger     // nothing is logged if nil
	Now                 func() time.Time // time.Now if nil
	Random              io.Reader        // of the IDs of requests and receipts, safe for concurrent use; crypto/rand if nil
	Limits              Limits
}

type server struct {
	Options
	accounts auth.HTTP
	api      huma.API
	mux      *http.ServeMux
	routes   map[string]route // by the mux's pattern
	members  map[string]bool  // every name that a member of a request can have
	document []byte           // OpenAPI

	clients, failures *limiter
	origins           *http.CrossOriginProtection

	mu      sync.Mutex
	waiting map[string]int // how many requests of a client wait for events
}

// New returns the handler of the API: of the paths below /v1/, of /openapi.json and /metrics. All other paths are not found.
func New(o Options) http.Handler { return newServer(o) }

func newServer(o Options) *server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	o.Limits = o.Limits.withDefaults()
	s := &server{
		Options:  o,
		accounts: auth.HTTP{Accounts: o.Accounts, Realm: realm, AllowUnencrypted: o.AllowUnencrypted, Now: o.Now},
		mux:      http.NewServeMux(),
		routes:   map[string]route{},
		clients:  newLimiter(o.Limits.Rate, o.Limits.Burst, o.Limits.Clients),
		failures: newLimiter(o.Limits.FailureRate, o.Limits.FailureBurst, o.Limits.Clients),
		origins:  http.NewCrossOriginProtection(),
		waiting:  map[string]int{},
	}
	s.openAPI()
	s.licenseRoutes()
	s.leaseRoutes()
	s.hostRoutes()
	s.accountRoutes()
	s.auditRoutes()
	s.statisticsRoutes()
	s.eventRoutes()
	s.serverRoutes()
	s.describe()
	return s
}
