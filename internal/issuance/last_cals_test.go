package issuance_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// How many ask for how many CALs.
const (
	clients  = 64
	lastCALs = 10
)

// TestLastCALs: of 64 clients that ask at the same instant for the last 10 CALs exactly 10 get one, and 54 none.
func TestLastCALs(t *testing.T) {
	for name, c := range map[string]struct {
		runs       int
		mode       licensing.ProductType
		concurrent bool
		prepare    func(f *farm, requests []issuance.Request)
		outcome    issuance.Outcome
		others     issuance.Outcome // of those that get none; empty if they are denied
	}{
		"users":                 {500, perUser, false, nil, issuance.Issued, ""},
		"sessions of devices":   {100, perDevice, true, nil, issuance.Issued, ""},
		"authenticated devices": {100, perDevice, false, (*farm).authenticate, issuance.Upgraded, issuance.Held},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: deny})
			host := f.register(licensing.Host{Name: "rdsh.example.net", ProductVersion: ws2022, Mode: c.mode, Concurrent: c.concurrent})
			pool := f.install(ws2022, c.mode, 0)
			for run := range c.runs {
				requests := make([]issuance.Request, clients)
				for i := range requests {
					requests[i] = on(fmt.Sprintf("u%d-%d", run, i), fmt.Sprintf("d%d-%d", run, i), "")
					requests[i].Host = host
				}
				if c.prepare != nil {
					c.prepare(f, requests)
				}
				f.change(pool, func(k *licensing.KeyPack) { k.Total += lastCALs })
				got, denied := f.together(requests)
				want := map[issuance.Outcome]int{c.outcome: lastCALs}
				if c.others != "" {
					want[c.others] = clients - lastCALs
				}
				if got[c.outcome] != want[c.outcome] || got[c.others] != want[c.others] || denied != clients-lastCALs-want[c.others] {
					t.Fatalf("run %d: %v, and %d are denied; want %v", run, got, denied, want)
				}
				if pack := f.pack(pool); pack.Issued != pack.Total {
					t.Fatalf("run %d: %d of %d CALs are issued", run, pack.Issued, pack.Total)
				}
			}
		})
	}
}

// together sends all requests at the same time. It returns how many had which outcome, and how many were denied because no CAL
// is free.
func (f *farm) together(requests []issuance.Request) (outcomes map[issuance.Outcome]int, denied int) {
	f.t.Helper()
	answers, errs := make([]issuance.Answer, len(requests)), make([]error, len(requests))
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range requests {
		done.Go(func() {
			start.Wait()
			answers[i], errs[i] = f.service.Request(context.Background(), requests[i])
		})
	}
	start.Done()
	done.Wait()
	outcomes = map[issuance.Outcome]int{}
	for i, err := range errs {
		switch {
		case err == nil:
			outcomes[answers[i].Outcome]++
		case reason(err) == licensing.NoFreeCAL:
			denied++
		default:
			f.t.Errorf("%s: %v", who(requests[i]), err)
		}
	}
	return outcomes, denied
}

// authenticate gives each device a temporary CAL that a user has validated.
func (f *farm) authenticate(requests []issuance.Request) {
	f.t.Helper()
	f.update("authenticate", func(tx store.Tx) error {
		pack, err := f.temporaryPack(tx)
		if err != nil {
			return err
		}
		for _, r := range requests {
			key, err := licensing.DeviceKey(r.Device)
			if err != nil {
				return err
			}
			id, err := tx.InsertCAL(licensing.CAL{
				KeyPackID: pack, ProductVersion: ws2022, ProductType: perDevice, Status: licensing.StatusTemporary, Holder: key,
				Device: r.Device, Host: r.Host.Name, Validated: true, Issued: f.now, Expires: f.now.Add(licensing.TemporaryTerm),
			})
			if err != nil {
				return err
			}
			if err := tx.Audit(store.AuditRecord{At: f.now, Actor: "test", Action: "issue", LicenseID: id}); err != nil {
				return err
			}
		}
		return tx.AddIssued(pack, len(requests))
	})
}

// temporaryPack returns the key pack of the temporary CALs of 2022, and makes it if there is none.
func (f *farm) temporaryPack(tx store.Tx) (uint32, error) {
	for pack, err := range tx.KeyPacks() {
		if err != nil || pack.Type == licensing.KeyPackTemporary {
			return pack.ID, err
		}
	}
	return tx.InsertKeyPack(licensing.TemporaryKeyPack(ws2022, f.now))
}
