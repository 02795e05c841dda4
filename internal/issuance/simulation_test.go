package issuance_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// TestSimulation lets session hosts, an administrator, the inventory and time do at random what they can do, and after each step
// recounts every row and holds what has changed to the rules.
func TestSimulation(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	f.close()
	empty, err := os.ReadFile(f.path) // opening a copy is quicker than making a database
	f.open()
	f.must(err)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(scratch(), "calkeeper-issuance-")
		if err == nil {
			err = os.WriteFile(databaseIn(dir), empty, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		policies := issuance.Policies{
			PreventUpgrade: rapid.IntRange(0, 3).Draw(t, "prevent upgrade?") == 3,
			OverUse:        rapid.SampledFrom([]licensing.OverUse{byNature, deny, deny150}).Draw(t, "over-use"),
		}
		s := &simulation{
			farm: openFarm(t, dir, rapid.Uint64().Draw(t, "seed"), policies), authenticated: map[string]bool{},
			temporary: map[temporary]licensing.CAL{}, answers: map[string]answered{},
			modes: rapid.SampledFrom([][]licensing.ProductType{{perDevice, perUser}, {perDevice}, {perUser}}).Draw(t, "modes"),
		}
		defer func() { s.close() }()
		for i := range 4 {
			s.addHost(t, fmt.Sprint("h", i))
		}
		s.installPack(t)
		s.installPack(t)
		s.before = s.recount()
		t.Repeat(map[string]func(*rapid.T){
			"":    s.invariant,
			"ask": s.ask, "ask, too": s.ask, "ask, again": s.ask, "ask, once more": s.ask, "validate": s.validateOne, "log on": s.logOn,
			"log on, too": s.logOn, "repeat": s.repeat, "release": s.releaseSession, "renew lease": s.renewLease, "end lease": s.endLease,
			"clock": s.clock, "clock, too": s.toTheEnd, "sweep": s.sweepAll, "revoke": s.revokeOne, "release CAL": s.releaseOne,
			"install": s.installPack, "resize": s.resizePack, "trouble": s.troublePack, "policy": s.setPolicy,
			"activation": s.activation, "host": s.changeHost, "restart": s.restart,
		})
	})
}

// simulation is a farm, and what the rules say must be remembered about it.
type simulation struct {
	*farm
	modes         []licensing.ProductType // of session hosts and key packs
	hosts         []licensing.Host
	before        content                     // as it was after the last step
	step          step                        // what is being done
	authenticated map[string]bool             // the devices on which a user has logged on
	temporary     map[temporary]licensing.CAL // the last temporary CAL of each device and version
	answers       map[string]answered         // under idempotency keys of session hosts
}

type temporary struct {
	device  string
	version licensing.ProductVersion
}

type answered struct {
	op     string
	r      issuance.Request
	answer issuance.Answer
	at     time.Time
}

// step says what was done, as far as it explains what is gone.
type step struct {
	what    string
	host    string
	session string
	userKey string
	cal     uint32
}

// drawAgain makes rapid choose another action, because this one cannot be done now. No test is left out by it.
func drawAgain(t *rapid.T, why string) { t.Skip(why) }

func anyOf[T any](t *rapid.T, label string, list []T) T {
	if len(list) == 0 {
		drawAgain(t, "there is none")
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(t, label)]
}

func (s *simulation) aMode(t *rapid.T) licensing.ProductType { return anyOf(t, "mode", s.modes) }

func aVersion(t *rapid.T) licensing.ProductVersion {
	return rapid.SampledFrom([]licensing.ProductVersion{ws2019, ws2022, ws2022, ws2025}).Draw(t, "version")
}

// logonRequest draws who is where, under one of his names.
func logonRequest(t *rapid.T) issuance.Request {
	name := anyOf(t, "user", []string{"", "ada", "ADA", `x\bob`, "bob@x.example", `.\ada`, "carol"})
	id := anyOf(t, "device", []string{"", "d1", "d1", "D1", "d2", "d2", "d3"})
	return issuance.Request{
		User: name, Device: licensing.Device{ID: id, Name: anyOf(t, "label", []string{"", "desk"})},
		Session: anyOf(t, "session", []string{"", "", "", ":1", ":2", ":3"}), Provisional: rapid.Bool().Draw(t, "provisional?"),
	}
}

func (s *simulation) ask(t *rapid.T) {
	r := logonRequest(t)
	r.Host = anyOf(t, "host", s.hosts)
	op := anyOf(t, "operation", []string{"request", "request", "request", "validate", "renew"})
	if rapid.IntRange(0, 3).Draw(t, "key?") == 3 {
		r.IdempotencyKey = s.aKey(t, r.Host)
	}
	s.decide(t, op, r)
}

// aKey draws an idempotency key that was never used, or in the last 24 hours.
func (s *simulation) aKey(t *rapid.T, h licensing.Host) string {
	key := fmt.Sprint("k", rapid.IntRange(0, 2).Draw(t, "key"))
	for {
		last, used := s.answers[h.Name+" "+key]
		if !used || s.now.Sub(last.at) < day {
			return key
		}
		key += "+"
	}
}

// repeat sends a request again, or another one under its key.
func (s *simulation) repeat(t *rapid.T) {
	name := anyOf(t, "answer", slices.Sorted(maps.Keys(s.answers)))
	first := s.answers[name]
	if s.now.Sub(first.at) >= day {
		drawAgain(t, "it may be forgotten")
	}
	r := first.r
	if rapid.IntRange(0, 3).Draw(t, "provisional?") == 3 {
		r.Provisional = !r.Provisional
	}
	s.decide(t, anyOf(t, "operation", []string{first.op, first.op, "request", "validate", "renew"}), r)
}

// validateOne completes a logon that is under way, on whatever session host.
func (s *simulation) validateOne(t *rapid.T) {
	r := logonRequest(t)
	r.Host, r.Provisional = anyOf(t, "host", s.hosts), false
	s.decide(t, "validate", r)
}

// logOn is what a session host does: a request, then the session.
func (s *simulation) logOn(t *rapid.T) {
	r := logonRequest(t)
	session := r.Session
	r.Host, r.Session = anyOf(t, "host", s.hosts), ""
	s.decide(t, "request", r)
	s.invariant(t)
	r.Session, r.Provisional = session, false
	if rapid.Bool().Draw(t, "device forgotten?") && r.User != "" {
		r.Device = licensing.Device{}
	}
	s.decide(t, "validate", r)
}

func (s *simulation) releaseSession(t *rapid.T) {
	r := logonRequest(t)
	r.Host = anyOf(t, "host", s.hosts)
	s.step = step{what: "release", host: r.Host.Name, session: r.Session}
	_, err := s.service.Release(context.Background(), r)
	s.must(err)
}

func (s *simulation) renewLease(t *rapid.T) {
	l := anyOf(t, "lease", s.leases())
	for _, h := range s.hosts {
		l2, err := s.service.RenewLease(context.Background(), h, l.ID)
		if own := h.Name == l.Host; own != (err == nil) {
			s.t.Errorf("%s renews a lease of %s: %v", h.Name, l.Host, err)
		} else if own && l2.Expires.Before(l.Expires) && !l2.Expires.Equal(s.pack(s.cal(l.CAL).KeyPackID).Expires) {
			s.t.Errorf("the lease is renewed from %s to %s", l.Expires, l2.Expires)
		}
	}
}

func (s *simulation) endLease(t *rapid.T) {
	l := anyOf(t, "lease", s.leases())
	s.step = step{what: "end lease"}
	host := anyOf(t, "by", []string{"", l.Host, "h9"})
	_, err := s.service.EndLease(context.Background(), "admin", host, l.ID)
	if (host == "h9") != (err != nil) {
		s.t.Errorf("%q ends a lease of %s: %v", host, l.Host, err)
	}
}

func (s *simulation) clock(t *rapid.T) {
	s.pass(anyOf(t, "step", []time.Duration{
		time.Microsecond, time.Second, time.Minute, 3 * time.Minute, time.Hour, 2 * time.Hour, day, 3 * day, 7 * day, 30 * day, 55 * day, 90 * day,
	}))
}

// toTheEnd moves the clock to where a CAL is due, or ends.
func (s *simulation) toTheEnd(t *rapid.T) {
	c := anyOf(t, "CAL", s.cals(everything))
	end := c.Expires.Add(-anyOf(t, "before", []time.Duration{8 * day, 7 * day, day, day, time.Minute, 0}))
	if end.Before(s.now) {
		drawAgain(t, "that is over")
	}
	s.now = end
}

func (s *simulation) sweepAll(t *rapid.T) {
	s.step = step{what: "sweep"}
	s.sweep()
	s.nothingExpired()
	s.overUseIsSettled()
}

func (s *simulation) revokeOne(t *rapid.T) {
	c := anyOf(t, "CAL", s.cals(everything))
	s.step = step{what: "revoke", cal: c.ID}
	rest, err := s.service.Revoke(context.Background(), "admin", c.ID)
	s.revoked(c, rest, err)
}

func (s *simulation) releaseOne(t *rapid.T) {
	c := anyOf(t, "CAL", s.cals(everything))
	s.step = step{what: "release CAL", cal: c.ID}
	err := s.service.ReleaseCAL(context.Background(), "admin", c.ID)
	refused := c.Status == licensing.StatusRevoked || c.Status == licensing.StatusActive && c.ProductType == perDevice
	if refused != (err != nil) || refused && licensing.KindOf(err) != licensing.NotSupported {
		s.t.Errorf("releasing %+v: %v", c, err)
	}
}

func (s *simulation) installPack(t *rapid.T) {
	v, mode, total := aVersion(t), s.aMode(t), rapid.Uint32Range(1, 6).Draw(t, "total")
	if rapid.IntRange(0, 3).Draw(t, "expires?") == 3 {
		s.installUntil(v, mode, total, s.now.Add(anyOf(t, "expires in", []time.Duration{time.Hour, 90 * time.Minute, 3 * day, 30 * day, 100 * day})))
		return
	}
	s.install(v, mode, total)
}

// aPack draws an installed key pack.
func (s *simulation) aPack(t *rapid.T) licensing.KeyPack {
	var list []licensing.KeyPack
	for _, pack := range s.packs() {
		if !pack.OnDemand() {
			list = append(list, pack)
		}
	}
	return anyOf(t, "key pack", list)
}

func (s *simulation) resizePack(t *rapid.T) {
	pack, total := s.aPack(t), rapid.Uint32Range(0, 8).Draw(t, "total")
	s.change(pack.ID, func(k *licensing.KeyPack) { k.Total, k.Held = total, 0 })
}

// troublePack is what else can happen to a key pack.
func (s *simulation) troublePack(t *rapid.T) {
	pack := s.aPack(t)
	switch anyOf(t, "trouble", []string{"flag", "hold"}) {
	case "flag":
		s.change(pack.ID, func(k *licensing.KeyPack) {
			if k.Flag != "" {
				k.Flag = ""
			} else {
				k.Flag = "refused"
			}
		})
	case "hold":
		s.change(pack.ID, func(k *licensing.KeyPack) { k.Held = k.Available() / 2 })
	}
}

func (s *simulation) setPolicy(t *rapid.T) {
	pack := s.aPack(t)
	o := anyOf(t, "policy", []licensing.OverUse{byNature, allow, deny, deny150})
	err := s.service.SetOverUse(context.Background(), "admin", pack.ID, o)
	if wrong := o.Check(pack.ProductType) != nil; wrong != (err != nil) {
		s.t.Errorf("the policy %+v for %s: %v", o, &pack, err)
	}
}

func (s *simulation) activation(t *rapid.T) {
	s.activate(rapid.IntRange(0, 2).Draw(t, "activated?") > 0)
}

func (s *simulation) addHost(t *rapid.T, name string) {
	v, mode := aVersion(t), s.aMode(t)
	if rapid.IntRange(0, 2).Draw(t, "concurrent?") > 0 {
		s.hosts = append(s.hosts, s.concurrent(name, v, mode))
	} else {
		s.hosts = append(s.hosts, s.host(name, v, mode))
	}
}

// changeHost removes a session host, and registers another of its name.
func (s *simulation) changeHost(t *rapid.T) {
	i := rapid.IntRange(0, len(s.hosts)-1).Draw(t, "host")
	name := s.hosts[i].Name
	s.step = step{what: "remove host", host: name}
	s.must(s.service.RemoveHost(context.Background(), "admin", name))
	s.hosts = append(s.hosts[:i], s.hosts[i+1:]...)
	s.addHost(t, name)
}

func (s *simulation) restart(*rapid.T) { s.reopen() }
