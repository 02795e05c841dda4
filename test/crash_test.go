package test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/wsman/client"
)

// What each crash test sells, has on the source, and moves to the target.
const (
	sold  = 20
	held  = 10
	moved = 4
)

// steps are where the power can fail during an import, and whose.
var steps = []struct {
	name  string
	owner func(*cluster) *process
}{
	{"target.intent", (*cluster).theTarget},
	{"clearinghouse.asked", (*cluster).theClearinghouse},
	{"clearinghouse.posted", (*cluster).theClearinghouse},
	{"source.notified", (*cluster).theSource},
	{"source.released", (*cluster).theSource},
	{"clearinghouse.answering", (*cluster).theClearinghouse},
	{"target.granted", (*cluster).theTarget},
	{"target.installed", (*cluster).theTarget},
}

func (c *cluster) theTarget() *process        { return c.target }
func (c *cluster) theSource() *process        { return c.source }
func (c *cluster) theClearinghouse() *process { return c.clearinghouse }

// TestEveryStepIsCrashed holds the table above against the code.
func TestEveryStepIsCrashed(t *testing.T) {
	called := regexp.MustCompile(`\.[sS]tep\("([a-z]+\.[a-z]+)"\)`)
	found := map[string]bool{}
	for _, pattern := range []string{"../internal/inventory/*.go", "../internal/clearinghouse/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range called.FindAllStringSubmatch(string(text), -1) {
				found[match[1]] = true
			}
		}
	}
	var names []string
	for _, s := range steps {
		names = append(names, s.name)
	}
	slices.Sort(names)
	if inCode := slices.Sorted(maps.Keys(found)); !slices.Equal(names, inCode) {
		t.Errorf("the tests crash at %v, the code has %v", names, inCode)
	}
}

// lot is what one crash test moves.
type lot struct {
	clearinghouse.Sale
	code string
	// The key packs before the import.
	source, target map[string]pack
	sourcePack     string // ID of the pack that shrinks
}

// prepare sells CALs, installs some on the source and makes a code that moves some of these.
func (c *cluster) prepare(t *testing.T) *lot {
	t.Helper()
	l := &lot{}
	c.ask(t, &l.Sale, "sell", "--program", "open", "--product-version", "7", "--product-type", "user", "--count", fmt.Sprint(sold))
	c.secrets = append(c.secrets, l.Credentials.AuthorizationNumber)
	l.sourcePack = c.source.want(t, done, keyPackClass, "InstallOpenLicenseKeyPack", nil, openArguments(l.Sale, held)...).Values.Text("KeyPackId")
	l.source, l.target = c.source.packs(t), c.target.packs(t)
	return l
}

func (c *cluster) makeCode(t *testing.T, l *lot) {
	t.Helper()
	var issued struct{ Code string }
	c.ask(t, &issued, "code", "import", "--entitlement", l.Entitlement, "--product-type", "user", "--count", fmt.Sprint(moved),
		"--target", c.targetID, "--source", c.sourceID)
	l.code = issued.Code
	c.secrets = append(c.secrets, l.code)
}

// method returns the import method and its arguments, by credentials or by code.
func (c *cluster) method(l *lot) (string, []client.Value) {
	source := []client.Value{client.Text("sSourceLSName", "source.farm.example"), client.Text("sSourceLSProductId", c.sourceID)}
	if l.code != "" {
		return "ImportLicenseKeyPackOffline", append([]client.Value{client.Text("sLicenseKeyPackId", l.code)}, source...)
	}
	return "ImportOpenPurchaseLicenseKeyPack", append(openArguments(l.Sale, moved), source...)
}

func (c *cluster) awaitReachable(t *testing.T, p *process, id string, want bool) {
	t.Helper()
	await(t, fmt.Sprintf("the clearinghouse sees %s: %v", p.name, want), func() bool {
		var servers []struct {
			LicenseServerID string
			Reachable       bool
		}
		c.ask(t, &servers, "servers")
		for _, s := range servers {
			if s.LicenseServerID == id {
				return s.Reachable == want
			}
		}
		return false
	})
}

// transfer returns the state of the only transfer of an entitlement, empty if there is none.
func (c *cluster) transfer(t *testing.T, l *lot) string {
	t.Helper()
	var transfers []struct{ Entitlement, State string }
	c.ask(t, &transfers, "transfers")
	state := ""
	for _, v := range transfers {
		if v.Entitlement == l.Entitlement {
			if state != "" {
				t.Fatalf("the import was posted twice: %v", transfers)
			}
			state = v.State
		}
	}
	return state
}

// awaitMoved waits until all is settled, and fails the test unless the CALs have moved exactly once.
func (c *cluster) awaitMoved(t *testing.T, l *lot) {
	t.Helper()
	state := ""
	await(t, "the transfer is done", func() bool {
		state = c.transfer(t, l)
		return state == "done" || t.Failed()
	})
	c.checkMoved(t, l)
}

func (c *cluster) checkMoved(t *testing.T, l *lot) {
	t.Helper()
	want := maps.Clone(l.source)
	want[l.sourcePack] = pack{"7", "1", fmt.Sprint(held - moved)}
	if got := c.source.packs(t); !maps.Equal(got, want) {
		t.Errorf("the source has %v, want %v", got, want)
	}
	c.checkArrived(t, l)
	c.checkLedger(t, l, map[string]int64{"1": held - moved, "2": moved}, sold-held)
}

// checkArrived fails the test unless the target has one key pack more, that with the CALs.
func (c *cluster) checkArrived(t *testing.T, l *lot) {
	t.Helper()
	after := c.target.packs(t)
	var arrived []pack
	for id, p := range after {
		if before, ok := l.target[id]; !ok {
			arrived = append(arrived, p)
		} else if before != p {
			t.Errorf("key pack %s of the target was %v and is %v", id, before, p)
		}
	}
	if want := []pack{{"7", "1", fmt.Sprint(moved)}}; !slices.Equal(arrived, want) || len(after) != len(l.target)+1 {
		t.Errorf("the target has the new key packs %v, want %v", arrived, want)
	}
}

// checkLedger holds the ledger's per user accounts of the entitlement against what they should have, and recounts it.
func (c *cluster) checkLedger(t *testing.T, l *lot, servers map[string]int64, pool int64) {
	t.Helper()
	var entitlements []struct {
		ID       string
		Accounts []struct {
			ProductType    uint32
			Sold, Pool     int64
			Servers, Codes map[string]int64
		}
	}
	c.ask(t, &entitlements, "entitlements")
	found := false
	for _, e := range entitlements {
		for _, a := range e.Accounts {
			if e.ID != l.Entitlement || a.ProductType != 1 {
				continue
			}
			found = true
			if a.Sold != sold || a.Pool != pool || !maps.Equal(a.Servers, servers) || len(a.Codes) > 0 {
				t.Errorf("the ledger has %+v, want %d in the pool and %v on the license servers", a, pool, servers)
			}
		}
	}
	if !found {
		t.Error("the ledger has no such entitlement")
	}
	c.recount(t)
}

func (c *cluster) recount(t *testing.T) {
	t.Helper()
	if out, code := c.run(t, "clearinghouse", "ledger", "--check", "--dir", filepath.Join(c.dir, "clearinghouse")); code != 0 {
		t.Errorf("the check of the ledger: exit code %d\n%s", code, out)
	}
}

// finish stops everything and verifies the evidence of both license servers.
func (c *cluster) finish(t *testing.T) {
	t.Helper()
	for _, p := range []*process{c.source, c.target, c.clearinghouse} {
		p.stop(t)
		c.checkLog(t, p)
	}
	for _, p := range []*process{c.source, c.target} {
		out, code := c.run(t, "verify", "--dir", filepath.Join(c.dir, p.name), "--authority", filepath.Join(c.dir, "clearinghouse", "authority.json"))
		if code != 0 {
			t.Errorf("verify of %s: exit code %d\n%s", p.name, code, out)
		}
	}
	c.recount(t)
}

// TestCrashDuringImport kills each process at each step of both imports, starts it again, and counts.
func TestCrashDuringImport(t *testing.T) {
	for _, by := range []string{"credentials", "code"} {
		t.Run(by, func(t *testing.T) {
			c := newCluster(t)
			for _, step := range steps {
				c.crash(t, step.name, step.owner(c), by == "code")
				if t.Failed() {
					t.Fatalf("this was at %s", step.name)
				}
			}
			c.finish(t)
		})
	}
}

func (c *cluster) crash(t *testing.T, step string, owner *process, byCode bool) {
	t.Helper()
	l := c.prepare(t)
	if byCode {
		c.makeCode(t, l)
	}
	owner.stop(t)
	owner.start(t, step)
	c.awaitReachable(t, c.source, c.sourceID, true)
	method, args := c.method(l)
	out, err := c.target.client(t).Invoke(t.Context(), keyPackClass, method, nil, args)
	owner.awaitCrash(t)
	c.checkLog(t, owner)
	switch {
	case owner == c.target:
		if err == nil {
			t.Errorf("at %s the license server died and answered 0x%08X", step, out.ReturnValue)
		}
	case err != nil:
		t.Fatalf("at %s the target gave %v", step, err)
	case owner == c.clearinghouse && !byCode:
		checkOutput(t, method, out, notAvailable)
	default: // the source is not needed for an answer, nor is, with a code, the clearinghouse
		checkOutput(t, method, out, done)
		c.checkArrived(t, l)
	}
	if owner == c.source && c.transfer(t, l) == "done" {
		t.Errorf("at %s the source has died, and its release is not pending", step)
	}
	if owner == c.clearinghouse {
		// Nor does it matter that the caller asks again, in vain, and that the power fails at the target as well.
		again := uint32(notAvailable)
		if byCode {
			again = alreadyExists
		}
		c.target.want(t, again, keyPackClass, method, nil, args...)
		c.target.kill(t)
		c.target.start(t, "")
	}
	owner.start(t, "")
	c.awaitMoved(t, l)
}

// TestSourceAway imports while the source is not there at all.
func TestSourceAway(t *testing.T) {
	c := newCluster(t)
	byCredentials := c.prepare(t)
	byCode := c.prepare(t)
	c.makeCode(t, byCode)
	c.source.kill(t)
	c.awaitReachable(t, c.source, c.sourceID, false)
	var ids []string
	for _, l := range []*lot{byCredentials, byCode} {
		l.target = c.target.packs(t)
		method, args := c.method(l)
		ids = append(ids, c.target.want(t, done, keyPackClass, method, nil, args...).Values.Text("KeyPackId"))
		c.checkArrived(t, l)
		if state := c.transfer(t, l); state != "release pending" {
			t.Errorf("the transfer is %q, want release pending", state)
		}
	}
	c.target.kill(t) // what it has, it has
	c.target.start(t, "")
	c.source.start(t, "")
	for _, l := range []*lot{byCredentials, byCode} {
		await(t, "the source has released", func() bool { return c.transfer(t, l) == "done" })
		c.checkLedger(t, l, map[string]int64{"1": held - moved, "2": moved}, sold-held)
	}
	want := pack{"7", "1", fmt.Sprint(held - moved)}
	if got := c.source.packs(t); len(got) != 2 || got[byCredentials.sourcePack] != want || got[byCode.sourcePack] != want {
		t.Errorf("the source has %v", got)
	}
	if got := c.target.packs(t); len(got) != 2 || got[ids[0]].total != fmt.Sprint(moved) || got[ids[1]].total != fmt.Sprint(moved) {
		t.Errorf("the target has %v", got)
	}
	c.finish(t)
}

// TestClearinghouseAway imports, converts and removes while the clearinghouse is not there at all.
func TestClearinghouseAway(t *testing.T) {
	c := newCluster(t)
	byCredentials, byCode := c.prepare(t), c.prepare(t)
	c.makeCode(t, byCode)
	c.clearinghouse.kill(t)

	before := c.target.packs(t)
	method, args := c.method(byCredentials)
	c.target.want(t, notAvailable, keyPackClass, method, nil, args...)
	if after := c.target.packs(t); !maps.Equal(after, before) {
		t.Errorf("an import that was not possible has left %v", after)
	}
	byCode.target = before
	method, args = c.method(byCode)
	c.target.want(t, done, keyPackClass, method, nil, args...)
	c.checkArrived(t, byCode)
	c.target.want(t, alreadyExists, keyPackClass, method, nil, args...)
	key := []client.Value{client.Text("KeyPackId", byCredentials.sourcePack)}
	c.source.want(t, notAvailable, keyPackClass, "ConvertLicenses", key, client.Uint32("Count", 3))
	c.source.want(t, done, keyPackClass, "RemoveLicensesWithIdCount", nil, client.Text("KeyPackId", byCredentials.sourcePack), client.Uint32("LicenseCount", 3))
	want := maps.Clone(byCredentials.source)
	want[byCredentials.sourcePack] = pack{"7", "1", fmt.Sprint(held - 3)}
	want[byCode.sourcePack] = pack{"7", "1", fmt.Sprint(held)}
	if got := c.source.packs(t); !maps.Equal(got, want) {
		t.Errorf("the source has %v, want %v", got, want)
	}
	for _, p := range []*process{c.source, c.target} { // what is open outlives them
		p.kill(t)
		p.start(t, "")
	}
	c.clearinghouse.start(t, "")
	byCode.source = want
	c.awaitMoved(t, byCode)
	c.awaitPool(t, byCredentials, sold-held+3)
	c.checkLedger(t, byCredentials, map[string]int64{"1": held - 3}, sold-held+3)
	if state := c.transfer(t, byCredentials); state != "" {
		t.Errorf("the import that was refused is %s now", state)
	}
	c.finish(t)
}

// awaitPool waits until what was removed is in the pool again.
func (c *cluster) awaitPool(t *testing.T, l *lot, pool int64) {
	t.Helper()
	await(t, fmt.Sprintf("%d CALs are in the pool", pool), func() bool {
		var entitlements []struct {
			ID       string
			Accounts []struct {
				ProductType uint32
				Pool        int64
			}
		}
		c.ask(t, &entitlements, "entitlements")
		for _, e := range entitlements {
			for _, a := range e.Accounts {
				if e.ID == l.Entitlement && a.ProductType == 1 && a.Pool == pool {
					return true
				}
			}
		}
		return false
	})
}
