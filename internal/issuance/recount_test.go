package issuance_test

import (
	"context"
	"maps"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// content is everything that the counters are compared with.
type content struct {
	packs   map[uint32]licensing.KeyPack
	cals    map[uint32]licensing.CAL
	leases  []licensing.Lease
	hosts   map[string]licensing.Host
	denials []licensing.Denial // since the last recount
	counts  []store.DenialCount
	audit   []store.AuditRecord // since the last recount
}

func (f *farm) content() content {
	f.t.Helper()
	c := content{packs: map[uint32]licensing.KeyPack{}, cals: map[uint32]licensing.CAL{}, hosts: map[string]licensing.Host{}}
	f.must(f.store.View(context.Background(), func(r store.Reader) (err error) {
		for pack, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			c.packs[pack.ID] = pack
		}
		for cal, err := range r.CALs(store.CALFilter{}) {
			if err != nil {
				return err
			}
			c.cals[cal.ID] = cal
		}
		if c.leases, err = r.Leases(store.LeaseFilter{}); err != nil {
			return err
		}
		hosts, err := r.Hosts()
		if err != nil {
			return err
		}
		for _, h := range hosts {
			c.hosts[h.Name] = h
		}
		if c.denials, err = r.Denials(f.lastDenial, 1<<30); err != nil {
			return err
		}
		if c.counts, err = r.DenialCounts(); err != nil {
			return err
		}
		c.audit, err = r.AuditRecords(f.audited, 1<<30)
		return err
	}))
	return c
}

// recount compares every counter with the rows that it counts, and holds the rows to what must always be true.
func (f *farm) recount() content {
	f.t.Helper()
	c := f.content()
	f.recountPacks(&c)
	f.recountCALs(&c)
	f.recountLeases(&c)
	f.recountDenials(&c)
	f.recountAudit(&c)
	f.recountCounters(&c)
	return c
}

func (f *farm) recountPacks(c *content) {
	f.t.Helper()
	issued := map[uint32]uint32{}
	for _, cal := range c.cals {
		if cal.Counted() {
			issued[cal.KeyPackID]++
		}
	}
	for id, pack := range c.packs {
		if pack.Issued != issued[id] {
			f.t.Errorf("key pack %d counts %d issued CALs; there are %d", id, pack.Issued, issued[id])
		}
		if pack.OnDemand() {
			if pack.Type == licensing.KeyPackOverUsed && pack.Issued == 0 {
				f.t.Errorf("key pack %d of over-used CALs is there, and counts none", id)
			}
			continue
		}
		if pack.OverIssued() && !f.shrunk[id] {
			f.t.Errorf("%d CALs of key pack %d are issued, which has %d", pack.Issued, id, pack.Total)
		}
		if !f.shrunk[id] && pack.Available()+pack.Issued+pack.Held != pack.Total {
			f.t.Errorf("key pack %d: %d available + %d issued + %d held are not %d", id, pack.Available(), pack.Issued, pack.Held, pack.Total)
		}
	}
	for _, cal := range c.cals {
		if _, ok := c.packs[cal.KeyPackID]; !ok && cal.Counted() {
			f.t.Errorf("CAL %d counts in key pack %d, which is not there", cal.ID, cal.KeyPackID)
		}
	}
}

func (f *farm) recountCALs(c *content) {
	f.t.Helper()
	type place struct {
		holder string
		of     licensing.ProductType
		slot   int
	}
	holders := map[place]uint32{}
	for _, cal := range c.cals {
		pack := c.packs[cal.KeyPackID]
		if cal.Counted() {
			p := place{cal.Holder, cal.ProductType, cal.Slot()}
			if other := holders[p]; other != 0 {
				f.t.Errorf("%s has two CALs of one kind: %d and %d", cal.Holder, cal.ID, other)
			}
			holders[p] = cal.ID
			if pack.ProductType != cal.ProductType || pack.ProductVersion != cal.ProductVersion {
				f.t.Errorf("CAL %+v is counted in %s", cal, &pack)
			}
			if cal.Expires.After(pack.Expires) {
				f.t.Errorf("CAL %+v outlives %+v", cal, pack)
			}
			if temporary := pack.Type == licensing.KeyPackTemporary; temporary != (cal.Status == licensing.StatusTemporary) {
				f.t.Errorf("CAL %d is %s, and counted in a key pack of type %d", cal.ID, cal.Status, pack.Type)
			}
		}
		f.recountHolder(cal)
	}
}

// recountHolder checks that a CAL says of its holder what it is held by.
func (f *farm) recountHolder(cal licensing.CAL) {
	f.t.Helper()
	var key string
	var err error
	switch cal.ProductType {
	case licensing.PerUser:
		key, err = licensing.UserKey(cal.User)
	default:
		key, err = licensing.DeviceKey(cal.Device)
	}
	if err != nil || key != cal.Holder {
		f.t.Errorf("CAL %d is held by %q, but names %q, %v", cal.ID, cal.Holder, key, err)
	}
	if !cal.Expires.After(cal.Issued) {
		f.t.Errorf("CAL %d is issued on %s until %s", cal.ID, cal.Issued, cal.Expires)
	}
}

func (f *farm) recountLeases(c *content) {
	f.t.Helper()
	uses := map[uint32]int{}
	for _, l := range c.leases {
		cal, ok := c.cals[l.CAL]
		if !ok {
			f.t.Errorf("lease %d uses CAL %d, which is not there", l.ID, l.CAL)
		}
		uses[l.CAL]++
		if !cal.Full() {
			f.t.Errorf("lease %d uses CAL %d, which is %s", l.ID, cal.ID, cal.Status)
		}
		if host, ok := c.hosts[l.Host]; !ok || !host.Concurrent {
			f.t.Errorf("lease %d is of the session host %s, which counts no sessions", l.ID, l.Host)
		}
		if cal.ProductType == licensing.PerUser && cal.Holder != l.UserKey || cal.ProductType == licensing.PerDevice && cal.Holder != l.DeviceKey {
			f.t.Errorf("lease %d of %q on %q uses the CAL of %q", l.ID, l.UserKey, l.DeviceKey, cal.Holder)
		}
		if cal.Status == licensing.StatusConcurrent && cal.Expires.Before(l.Expires) && !cal.Expires.Equal(c.packs[cal.KeyPackID].Expires) {
			f.t.Errorf("CAL %d ends on %s, while lease %d uses it until %s", cal.ID, cal.Expires, l.ID, l.Expires)
		}
		if l.Session == "" && !l.Provisional && l.User == "" && l.DeviceKey == "" {
			f.t.Errorf("lease %d is of nobody", l.ID)
		}
	}
	for id, cal := range c.cals {
		if cal.Status == licensing.StatusConcurrent && uses[id] == 0 {
			f.t.Errorf("CAL %d is concurrent, and no session uses it", id)
		}
	}
}

// recountDenials counts the denials since the last time; old ones are forgotten, but their counts stay.
func (f *farm) recountDenials(c *content) {
	f.t.Helper()
	for _, d := range c.denials {
		f.denied[store.DenialCount{ProductVersion: d.ProductVersion, ProductType: d.ProductType, Reason: d.Reason}]++
		f.lastDenial = d.Seq
	}
	counted := map[store.DenialCount]uint64{}
	for _, count := range c.counts {
		kind := count
		kind.Count = 0
		counted[kind] = count.Count
	}
	if !maps.Equal(counted, f.denied) {
		f.t.Errorf("the denials are counted as %v; they are %v", counted, f.denied)
	}
}

// recountAudit reads what was recorded since the last time.
func (f *farm) recountAudit(c *content) {
	f.t.Helper()
	for _, a := range c.audit {
		if a.Seq != f.audited+1 {
			f.t.Fatalf("audit record %d follows %d", a.Seq, f.audited)
		}
		f.audited = a.Seq
		if a.Action == "issue" {
			if f.born[a.LicenseID] {
				f.t.Errorf("CAL %d was issued twice", a.LicenseID)
			}
			f.born[a.LicenseID] = true
		}
	}
	for id := range c.cals {
		if !f.born[id] {
			f.t.Errorf("no audit record says that CAL %d was issued", id)
		}
	}
}

func (f *farm) recountCounters(c *content) {
	f.t.Helper()
	counters, err := f.service.Counters(context.Background())
	f.must(err)
	for _, counter := range counters {
		var temporary, overUsed, issued uint64
		for _, cal := range c.cals {
			if !cal.Counted() || cal.ProductVersion != counter.ProductVersion || cal.ProductType != counter.ProductType {
				continue
			}
			switch c.packs[cal.KeyPackID].Type {
			case licensing.KeyPackTemporary:
				temporary++
			case licensing.KeyPackOverUsed:
				overUsed++
			default:
				issued++
			}
		}
		if counter.Temporary != temporary || counter.OverUsed != overUsed || counter.Issued != issued {
			f.t.Errorf("counted are %+v; there are %d temporary, %d over-used and %d issued CALs", counter, temporary, overUsed, issued)
		}
	}
}

// nothingExpired holds after a sweep.
func (f *farm) nothingExpired() {
	f.t.Helper()
	c := f.content()
	for _, cal := range c.cals {
		if cal.Expired(f.now) {
			f.t.Errorf("CAL %d has ended on %s, and is still there: %s", cal.ID, cal.Expires, cal.Status)
		}
	}
	for _, l := range c.leases {
		if !l.Expires.After(f.now) {
			f.t.Errorf("lease %d has ended on %s, and is still there", l.ID, l.Expires)
		}
	}
}
