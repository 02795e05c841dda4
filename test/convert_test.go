package test

import (
	"fmt"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
)

// TestCrashDuringConvertAndRemove kills at each step that a conversion and a removal take.
func TestCrashDuringConvertAndRemove(t *testing.T) {
	c := newCluster(t)
	for _, step := range steps {
		if strings.HasPrefix(step.name, "source.") || step.name == "clearinghouse.posted" || step.name == "clearinghouse.answering" {
			continue // of imports only
		}
		owner := c.clearinghouse
		if strings.HasPrefix(step.name, "target.") {
			owner = c.source // it is the one that asks
		}
		c.crashConvert(t, step.name, owner)
		if step.name != "target.intent" { // a removal is done when it is written
			c.crashRemove(t, step.name, owner)
		}
		if t.Failed() {
			t.Fatalf("this was at %s", step.name)
		}
	}
	c.finish(t)
}

func (c *cluster) crashConvert(t *testing.T, step string, owner *process) {
	t.Helper()
	l := c.prepare(t)
	owner.stop(t)
	owner.start(t, step)
	out, err := c.source.client(t).Invoke(t.Context(), keyPackClass, "ConvertLicenses", []client.Value{client.Text("KeyPackId", l.sourcePack)},
		[]client.Value{client.Uint32("Count", moved)})
	owner.awaitCrash(t)
	if owner == c.clearinghouse && err == nil {
		checkOutput(t, "ConvertLicenses", out, notAvailable)
	} else if err == nil || owner == c.clearinghouse {
		t.Errorf("at %s the conversion gave 0x%08X, %v", step, out.ReturnValue, err)
	}
	owner.start(t, "")
	// Nobody asks again: the license server finishes by itself what it has begun.
	var converted map[string]pack
	await(t, "the conversion is finished", func() bool {
		converted = c.source.packs(t)
		return len(converted) > len(l.source)
	})
	for id, p := range converted {
		want, known := l.source[id]
		switch {
		case !known:
			want = pack{"7", "0", fmt.Sprint(moved)}
		case id == l.sourcePack:
			want.total = fmt.Sprint(held - moved)
		}
		if p != want {
			t.Errorf("at %s key pack %s is %v, want %v", step, id, p, want)
		}
	}
	if len(converted) != len(l.source)+1 {
		t.Errorf("at %s the source has %v", step, converted)
	}
	c.awaitReachable(t, c.source, c.sourceID, true)
	c.recount(t)
}

func (c *cluster) crashRemove(t *testing.T, step string, owner *process) {
	t.Helper()
	l := c.prepare(t)
	owner.stop(t)
	owner.start(t, step)
	// A license server that dies while it tells the clearinghouse may die before its caller has the answer.
	out, err := c.source.client(t).Invoke(t.Context(), keyPackClass, "RemoveLicensesWithIdCount", nil,
		[]client.Value{client.Text("KeyPackId", l.sourcePack), client.Uint32("LicenseCount", moved)})
	if err == nil {
		checkOutput(t, "RemoveLicensesWithIdCount", out, done)
	} else if owner != c.source {
		t.Errorf("at %s the removal gave %v", step, err)
	}
	owner.awaitCrash(t)
	owner.start(t, "")
	c.awaitPool(t, l, sold-held+moved)
	c.checkLedger(t, l, map[string]int64{"1": held - moved}, sold-held+moved)
	if got := c.source.packs(t)[l.sourcePack]; got.total != fmt.Sprint(held-moved) {
		t.Errorf("at %s the key pack has %s CALs, want %d", step, got.total, held-moved)
	}
}
