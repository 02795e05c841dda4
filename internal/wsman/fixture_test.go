package wsman_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman"
)

// The classes of the test: a key pack with every type of property, a singleton, and a class that occurs only embedded.
type (
	kind uint32

	pack struct {
		PackID      uint32       `cim:"PackId,key"`
		Description string       `cim:"Description,write"`
		Kind        kind         `cim:"Kind"`
		Perpetual   bool         `cim:"Perpetual"`
		Expires     cim.Datetime `cim:"Expires,write"`
		Tags        []string     `cim:"Tags,write"`
		Total       uint32       `cim:"Total"`
	}

	site struct {
		Name    string `cim:"Name"`
		Company string `cim:"Company,write"`
	}

	pair struct {
		Zone  string `cim:"Zone,key"`
		Index uint32 `cim:"Index,key"`
	}

	entry struct {
		User string       `cim:"User"`
		CALs uint32       `cim:"CALs"`
		When cim.Datetime `cim:"When"`
	}

	nothing struct{}
)

func (kind) CIMValues() cim.ValueTable {
	return cim.ValueTable{Entries: []cim.ValueEntry{{Map: "0", Name: "Unknown"}, {Map: "1", Name: "Retail"}}}
}

func (entry) CIMClassName() string { return "Test_Entry" }

// Keys of packs that do not exist but do something when they are read.
const (
	packPanics      = 900
	packDenied      = 901
	packBroken      = 902
	packUnavailable = 903
	packSlow        = 904
	packInvalid     = 905
	packExists      = 906
	packFails       = 907
)

const secret = "the password is Secret1!"

// world is what the providers of the test serve.
type world struct {
	mu    sync.Mutex
	packs []pack
	site  site

	started, ended atomic.Int64  // sequences of instances
	blocked        chan struct{} // a sequence waits for it before its second instance, if not nil
	breakAt        int           // the sequence fails before this instance, if not 0
	panicAt        int           // the sequence panics before this instance, if not 0
	panicAtEnd     bool          // the sequence panics when it is ended early
}

func newWorld(n int) *world {
	w := &world{site: site{Name: "LICENSES", Company: "Example & Sons"}}
	for i := range n {
		p := pack{PackID: uint32(i + 2), Description: fmt.Sprintf("Pack <%d>", i+2), Kind: 1, Total: 4294967295}
		if i%2 == 0 {
			p.Expires = cim.NewDatetime(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC))
			p.Tags = []string{"A", "B & C"}
			p.Perpetual = true
		}
		w.packs = append(w.packs, p)
	}
	return w
}

func (w *world) getPack(ctx context.Context, key pack) (pack, error) {
	switch key.PackID {
	case packPanics:
		panic(secret)
	case packDenied:
		return pack{}, cim.Errorf(cim.StatusAccessDenied, "only administrators may read packs")
	case packBroken:
		return pack{}, errors.New(secret)
	case packUnavailable:
		return pack{}, cim.Errorf(cim.StatusNotAvailable, "the store is being restored")
	case packInvalid:
		return pack{}, cim.Errorf(cim.StatusInvalidOperation, "not now")
	case packFails:
		return pack{}, cim.Errorf(cim.StatusFailed, "it did not work out")
	case packExists:
		return pack{}, cim.Errorf(cim.StatusAlreadyExists, "it is there already")
	case packSlow:
		<-ctx.Done()
		return pack{}, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.packs {
		if p.PackID == key.PackID {
			return p, nil
		}
	}
	return pack{}, cim.Errorf(cim.StatusNotFound, "there is no pack %d", key.PackID)
}

func (w *world) allPacks(ctx context.Context) iter.Seq2[pack, error] {
	return func(yield func(pack, error) bool) {
		w.started.Add(1)
		defer w.ended.Add(1)
		w.mu.Lock()
		packs := append([]pack(nil), w.packs...)
		w.mu.Unlock()
		for i, p := range packs {
			if w.breakAt > 0 && i == w.breakAt {
				yield(pack{}, errors.New(secret))
				return
			}
			if w.panicAt > 0 && i == w.panicAt {
				panic(secret)
			}
			if i == 1 && w.blocked != nil {
				select {
				case <-w.blocked:
				case <-ctx.Done():
					yield(pack{}, ctx.Err())
					return
				}
			}
			if !yield(p, nil) {
				if w.panicAtEnd {
					panic(secret)
				}
				return
			}
		}
	}
}

func (w *world) putPack(_ context.Context, p pack, _ []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.packs {
		if w.packs[i].PackID == p.PackID {
			w.packs[i] = p
		}
	}
	return nil
}

type installIn struct {
	AgreementType uint32 `cim:"AgreementType"`
	Number        string `cim:"sNumber"`
	LicenseCount  uint32 `cim:"LicenseCount"`
}

type installOut struct {
	PackID    uint32       `cim:"KeyPackId"`
	Installed cim.Datetime `cim:"Installed"`
}

type flavorIn struct {
	When cim.Datetime `cim:"When"`
	List []string     `cim:"List"`
	Yes  bool         `cim:"Yes"`
}

type flavorOut struct {
	When cim.Datetime `cim:"When"`
	List []string     `cim:"List"`
	Yes  bool         `cim:"Yes"`
}

type entriesOut struct {
	Entries []entry `cim:"Entries"`
	First   entry   `cim:"First"`
}

func (w *world) namespace(tb testing.TB) *cim.Namespace {
	tb.Helper()
	returnValue := func(_ context.Context, _ string, err error) uint32 {
		if err != nil {
			return uint32(cim.StatusInvalidParameter)
		}
		return 0
	}
	when := cim.NewDatetime(time.Date(2026, 11, 22, 1, 2, 3, 450_000_000, time.UTC))
	packs, err := cim.Define[pack]("Test_Pack",
		cim.Provided("TestProv"),
		cim.Gets(w.getPack),
		cim.Enumerates(w.allPacks),
		cim.Puts(w.putPack),
		cim.ReturnValues(returnValue),
		cim.StaticMethod("Install", func(_ context.Context, in installIn) (installOut, error) {
			if in.LicenseCount == 0 {
				return installOut{}, errors.New(secret)
			}
			return installOut{PackID: in.LicenseCount + 12, Installed: when}, nil
		}),
		cim.StaticMethod("Flavors", func(_ context.Context, in flavorIn) (flavorOut, error) { return flavorOut(in), nil }),
		cim.InstanceMethod("Entries", func(_ context.Context, p pack, _ nothing) (entriesOut, error) {
			e := []entry{{User: `CORP\ann`, CALs: p.PackID, When: when}, {User: ""}}
			return entriesOut{Entries: e, First: e[0]}, nil
		}),
		cim.StaticMethod("Wait", func(ctx context.Context, _ nothing) (nothing, error) {
			<-ctx.Done()
			return nothing{}, ctx.Err()
		}),
		cim.StaticMethod("Big", func(context.Context, nothing) (struct {
			Text string `cim:"Text"`
		}, error) {
			return struct {
				Text string `cim:"Text"`
			}{strings.Repeat("x", 20_000)}, nil
		}),
		cim.StaticMethod("Refuse", func(context.Context, nothing) (nothing, error) {
			return nothing{}, cim.Errorf(cim.StatusNotSupported, "not since 2012")
		}),
	)
	must(tb, err)
	sites, err := cim.Define[site]("Test_Site", cim.Singleton(), cim.Provided("TestProv"),
		cim.Gets(func(context.Context, site) (site, error) { return w.site, nil }),
		cim.Enumerates(func(context.Context) iter.Seq2[site, error] {
			return func(yield func(site, error) bool) { yield(w.site, nil) }
		}),
		cim.Puts(func(_ context.Context, s site, _ []string) error { w.site = s; return nil }),
		cim.ReturnValues(returnValue),
		cim.InstanceMethod("Activate", func(context.Context, site, nothing) (nothing, error) { return nothing{}, nil }),
	)
	must(tb, err)
	pairs, err := cim.Define[pair]("Test_Pair",
		cim.Enumerates(func(context.Context) iter.Seq2[pair, error] {
			return func(yield func(pair, error) bool) {
				_ = yield(pair{`C:\`, 1}, nil) && yield(pair{"b<", 2}, nil)
			}
		}))
	must(tb, err)
	entries, err := cim.Define[entry]("Test_Entry")
	must(tb, err)
	ns, err := cim.NewNamespace(`root\cimv2`, packs, sites, pairs, entries)
	must(tb, err)
	return ns
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// basic accepts any user whose password is Secret1!.
type basic struct{}

type identityKey struct{}

func (basic) Authenticate(ctx context.Context, r *http.Request, reply http.Header) (context.Context, error) {
	user, password, _ := r.BasicAuth()
	switch {
	case user == "type1":
		return nil, nextStep{}
	case user == "busy":
		return nil, fmt.Errorf("wrapped: %w", putOff{})
	case user == "panic":
		panic(secret)
	case password != "Secret1!":
		return nil, errors.New("no such user")
	}
	if user == "last leg" {
		reply.Set("WWW-Authenticate", "Negotiate ZG9uZQ==")
	}
	return context.WithValue(ctx, identityKey{}, user), nil
}

func (basic) Protection(context.Context) wsman.Protection { return wsman.Protection{} }

func (basic) Challenges() []string { return []string{"Negotiate", `Basic realm="WSMAN"`} }

func (basic) Identity(ctx context.Context) string {
	user, _ := ctx.Value(identityKey{}).(string)
	return user
}

// nextStep is a step of a handshake.
type nextStep struct{}

func (nextStep) Error() string             { return "more to come" }
func (nextStep) Challenges() []string      { return []string{"Negotiate dHlwZTI="} }
func (nextStep) StatusCode() int           { return http.StatusUnauthorized }
func (nextStep) RetryAfter() time.Duration { return 0 }
func (nextStep) Explanation() string       { return "" }

// putOff is the refusal of a server that is too busy.
type putOff struct{ nextStep }

func (putOff) Challenges() []string      { return nil }
func (putOff) StatusCode() int           { return http.StatusServiceUnavailable }
func (putOff) RetryAfter() time.Duration { return 1500 * time.Millisecond }
func (putOff) Explanation() string       { return "come back later" }

// counting is a source of bytes that makes predictable IDs.
type counting struct {
	mu sync.Mutex
	n  byte
}

func (c *counting) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	for i := range p {
		p[i] = c.n
	}
	return len(p), nil
}

// server returns one over a world; change may alter its options.
func server(tb testing.TB, w *world, change func(*wsman.Options)) *wsman.Server {
	tb.Helper()
	options := wsman.Options{
		Namespaces:    []*cim.Namespace{w.namespace(tb)},
		Authenticator: basic{},
		Product:       wsman.Product{Vendor: "calkeeper", Version: "OS: Linux SP: 0.0 Stack: 1.2"},
		ServerName:    "ls1.example.com",
	}
	if change != nil {
		change(&options)
	}
	s := wsman.NewServer(options)
	tb.Cleanup(s.Close)
	return s
}

// logTo keeps the log of a server in b.
func logTo(b *bytes.Buffer) func(*wsman.Options) {
	return func(o *wsman.Options) {
		o.Logger = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}
