package issuance_test

import (
	"context"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// everything is the filter that leaves out nothing.
var everything = store.CALFilter{}

// licensedDevice takes a new device through both steps, and returns its CAL.
func (f *farm) licensedDevice(h licensing.Host, name string) licensing.CAL {
	f.t.Helper()
	f.validate(h, device(name), issuance.Validated)
	return f.request(h, device(name), issuance.Upgraded).CAL
}

// keepAlive moves the end of all CALs of a key pack away, so that a test is about those of another.
func (f *farm) keepAlive(pack uint32) {
	f.t.Helper()
	for _, c := range f.cals(store.CALFilter{KeyPackID: pack}) {
		f.update("keep alive", func(tx store.Tx) error {
			c.Expires = f.now.Add(day)
			return tx.UpdateCAL(c)
		})
	}
}

// sweepBut sweeps, but leaves the CALs of a key pack.
func (f *farm) sweepBut(pack uint32) {
	f.t.Helper()
	f.keepAlive(pack)
	f.sweep()
}

// revoke revokes a CAL, which must be possible.
func (f *farm) revoke(id uint32) issuance.Revocation {
	f.t.Helper()
	rest, err := f.service.Revoke(context.Background(), "admin", id)
	f.must(err)
	return rest
}
