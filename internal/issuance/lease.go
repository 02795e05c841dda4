package issuance

import (
	"context"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// leaseEnd returns until when a lease lives that is not renewed: not longer than the key pack of its CAL.
func (d *decision) leaseEnd(provisional bool) time.Time {
	if provisional {
		return earlier(d.now.Add(d.s.ProvisionalTTL), d.packEnd)
	}
	return earlier(d.now.Add(d.r.Host.LeaseTTL), d.packEnd)
}

// session returns the latest session of the user on the host that has begun; nil if there is none.
func (d *decision) session() (*licensing.Lease, error) {
	if d.userKey == "" {
		return nil, nil
	}
	leases, err := d.tx.Leases(store.LeaseFilter{Host: d.r.Host.Name, UserKey: d.userKey})
	var latest *licensing.Lease
	for i := range leases {
		l := &leases[i]
		if l.Session != "" && l.Expires.After(d.now) && (latest == nil || !l.Opened.Before(latest.Opened)) {
			latest = l
		}
	}
	return latest, err
}

// takeOver hands the CAL of the device that a user leaves to the one that he comes to: a session host connects him to the session
// that he has, and asks for a CAL only. The CAL must be used by this session alone, and have no term.
func (d *decision) takeOver() error {
	host := d.r.Host
	if !host.Concurrent || host.Mode != licensing.PerDevice || d.r.Session != "" || d.full != nil {
		return nil
	}
	l, err := d.session()
	if err != nil || l == nil || l.DeviceKey == d.deviceKey {
		return err
	}
	c, err := d.tx.CAL(l.CAL)
	if err != nil || c.Status != licensing.StatusConcurrent || c.ProductType != host.Mode { // the mode may have changed meanwhile
		return err
	}
	users, err := d.tx.Leases(store.LeaseFilter{CAL: c.ID, Limit: 2})
	if err != nil || len(users) > 1 {
		return err
	}
	c.Holder = d.deviceKey
	d.describe(&c)
	if err := d.tx.UpdateCAL(c); err != nil {
		return err
	}
	d.full = &c
	return d.audit("take over", &c, "from "+l.Device.String())
}

// lease records that a session uses the holder's CAL, where the host counts sessions.
func (d *decision) lease() error {
	if !d.r.Host.Concurrent || !d.answer.CAL.Full() {
		return nil
	}
	known, over, err := d.findLease()
	if err != nil {
		return err
	}
	host := d.r.Host.Name
	for _, l := range over { // before the new one, which may have their session's name
		if err := d.s.drop(d.tx, d.now, host, "session ended", l); err != nil {
			return err
		}
	}
	before := licensing.Lease{Host: host, Opened: d.now, Provisional: true}
	if known != nil {
		before = *known
	}
	l := before
	l.CAL = d.answer.CAL.ID
	if d.userKey != "" {
		l.User, l.UserKey = d.r.User, d.userKey
	}
	if d.deviceKey != "" {
		l.Device, l.DeviceKey = d.r.Device, d.deviceKey
	}
	if d.r.Session != "" {
		l.Session = d.r.Session
	}
	// What has begun is not provisional again when its user comes back.
	l.Provisional = l.Provisional && d.r.Provisional
	if end := d.leaseEnd(l.Provisional); end.After(l.Expires) {
		l.Expires = end
	}
	l.Expires = earlier(l.Expires, d.packEnd)
	if l.ID, err = d.tx.PutLease(l); err != nil {
		return err
	}
	d.answer.Lease = &l
	if err := d.extendConcurrent(l); err != nil {
		return err
	}
	if err := d.tell(before, l); err != nil {
		return err
	}
	if before.ID != 0 {
		over = append(over, before)
	}
	for _, l := range over { // after the new one, which may use their CAL
		if _, err := d.s.unused(d.tx, d.now, host, l.CAL); err != nil {
			return err
		}
	}
	return nil
}

// findLease returns the lease that the request is about: of its session, else of the session that the user has here, else of
// the logon that is under way; nil if there is none. It also returns the leases that are over thereby: a session of that name
// which another user has had, and a logon that has led to a session which is known already.
func (d *decision) findLease() (known *licensing.Lease, over []licensing.Lease, err error) {
	host := d.r.Host.Name
	logon, err := d.found(d.tx.LeaseOf(host, "", d.userKey, d.deviceKey))
	if err != nil {
		return nil, nil, err
	}
	if d.r.Session == "" {
		known, err = d.session()
	} else {
		known, err = d.found(d.tx.LeaseOf(host, d.r.Session, "", ""))
	}
	switch {
	case err != nil:
		return nil, nil, err
	case known == nil:
		return logon, nil, nil
	case d.userKey != "" && known.UserKey != "" && known.UserKey != d.userKey:
		return logon, []licensing.Lease{*known}, nil
	case logon != nil && d.r.Session != "":
		over = append(over, *logon)
	}
	return known, over, nil
}

func (d *decision) found(l licensing.Lease, err error) (*licensing.Lease, error) {
	if err != nil && licensing.KindOf(err) == licensing.NotFound {
		return nil, nil
	}
	return &l, err
}

// extendConcurrent lets the CAL live as long as its last session, though not longer than its key pack, and remembers that a
// session has begun.
func (d *decision) extendConcurrent(l licensing.Lease) error {
	c := d.answer.CAL
	end := earlier(l.Expires, d.packEnd)
	if c.Status != licensing.StatusConcurrent || !end.After(c.Expires) && (c.Validated || l.Provisional) {
		return nil
	}
	if end.After(c.Expires) {
		c.Expires = end
	}
	c.Validated = c.Validated || !l.Provisional
	d.answer.CAL = c
	return d.tx.UpdateCAL(c)
}

// tell writes what has become of a lease to the audit log.
func (d *decision) tell(before, now licensing.Lease) error {
	moved := before.DeviceKey != "" && before.DeviceKey != now.DeviceKey
	if moved && d.answer.Outcome != Issued {
		d.answer.Outcome = TakenOver
	}
	action := "use"
	switch {
	case before.ID == 0 || before.Session != now.Session || before.Provisional != now.Provisional:
		action = "session"
	case moved:
		action = "take over"
	}
	return d.audit(action, &d.answer.CAL, now.Session)
}

// Release says that a session has ended, or a logon has failed: the one of the Session, else the one of user and device that has
// not begun. CALs without a term that no other session uses are free again; one with a term stays with its holder. That there
// is no such session is no error.
func (s *Service) Release(ctx context.Context, r Request) (Ended, error) {
	var ended Ended
	err := s.update(ctx, func(tx store.Tx) error {
		ended = Ended{}
		d := &decision{s: s, tx: tx, r: r, now: s.now()}
		if err := d.parse(); err != nil {
			return err
		}
		if r.Host.Concurrent {
			l, err := d.found(tx.LeaseOf(r.Host.Name, r.Session, d.userKey, d.deviceKey))
			if err != nil || l == nil {
				return err
			}
			if r.Session != "" && d.userKey != "" && l.UserKey != "" && l.UserKey != d.userKey {
				return nil // the session of that name is somebody else's by now
			}
			ended, err = s.end(tx, d.now, r.Host.Name, "session ended", *l)
			return err
		}
		if r.Host.Mode != licensing.PerUser || d.userKey == "" {
			return nil // only CALs of users are pending
		}
		return d.releasePending(&ended)
	})
	return ended, err
}

// releasePending takes back a CAL whose logon has failed.
func (d *decision) releasePending(ended *Ended) error {
	cals, err := d.tx.CALsOf(d.userKey, licensing.PerUser)
	if err != nil {
		return err
	}
	for _, c := range cals {
		if c.Status == licensing.StatusPending && c.Host == d.r.Host.Name {
			ended.CALs++
			if err := d.s.remove(d.tx, d.now, d.r.Host.Name, "release", c); err != nil {
				return err
			}
		}
	}
	return nil
}

// end ends a lease, and frees its CAL if that is over with it.
func (s *Service) end(tx store.Tx, now time.Time, actor, action string, l licensing.Lease) (Ended, error) {
	if err := s.drop(tx, now, actor, action, l); err != nil {
		return Ended{}, err
	}
	freed, err := s.unused(tx, now, actor, l.CAL)
	return Ended{Leases: 1, CALs: freed}, err
}

// drop deletes a lease, and leaves its CAL.
func (s *Service) drop(tx store.Tx, now time.Time, actor, action string, l licensing.Lease) error {
	if err := tx.DeleteLease(l.ID); err != nil {
		return err
	}
	c, err := tx.CAL(l.CAL)
	if err != nil {
		return err
	}
	return audit(tx, now, actor, action, &c, l.Session)
}

// unused frees a CAL that lasts as long as its sessions, if there is none; it returns how many it freed.
func (s *Service) unused(tx store.Tx, now time.Time, actor string, id uint32) (int, error) {
	c, err := tx.CAL(id)
	if err != nil && licensing.KindOf(err) == licensing.NotFound {
		return 0, nil // it was freed with another lease
	}
	if err != nil || c.Status != licensing.StatusConcurrent {
		return 0, err
	}
	users, err := tx.Leases(store.LeaseFilter{CAL: id, Limit: 1})
	if err != nil || len(users) > 0 {
		return 0, err
	}
	return 1, s.remove(tx, now, actor, "release", c)
}

// RenewLease says that a session of the host lives. Its lease ends with the key pack all the same; a CAL with a term is renewed when
// it is due, if the host still counts by what the CAL is counted by. Fault: NotFound, also for a lease of another host.
func (s *Service) RenewLease(ctx context.Context, host licensing.Host, id uint64) (l licensing.Lease, err error) {
	err = s.store.Update(ctx, func(tx store.Tx) error {
		if l, err = tx.Lease(id); err == nil && l.Host != host.Name {
			err = licensing.Faultf(licensing.NotFound, "there is no lease %d", id)
		}
		if err != nil {
			return err
		}
		c, err := tx.CAL(l.CAL)
		if err != nil {
			return err
		}
		d := &decision{s: s, tx: tx, r: Request{Host: host, User: l.User, Device: l.Device, Session: l.Session}, now: s.now()}
		if d.due(&c) && !c.Expired(d.now) && l.Session != "" && c.ProductType == host.Mode {
			if err := d.identify(); err != nil {
				return err
			}
			if err := d.renew(); err != nil {
				return err
			}
			l = *d.answer.Lease
			return nil
		}
		pack, err := tx.KeyPack(c.KeyPackID)
		if err != nil {
			return err
		}
		d.packEnd = pack.End()
		if end := d.leaseEnd(l.Provisional); end.After(l.Expires) {
			l.Expires = end
		}
		l.Expires = earlier(l.Expires, d.packEnd)
		return tx.ExtendLease(id, l.Expires)
	})
	return l, err
}

// EndLease ends a session that is over. host is the session host whose lease it must be, empty for an administrator. Fault:
// NotFound.
func (s *Service) EndLease(ctx context.Context, actor, host string, id uint64) (ended Ended, err error) {
	err = s.update(ctx, func(tx store.Tx) error {
		l, err := tx.Lease(id)
		if err == nil && host != "" && l.Host != host {
			err = licensing.Faultf(licensing.NotFound, "there is no lease %d", id)
		}
		if err != nil {
			return err
		}
		ended, err = s.end(tx, s.now(), actor, "session ended", l)
		return err
	})
	return ended, err
}

// Leases returns the sessions that use CALs, by ascending ID.
func (s *Service) Leases(ctx context.Context, f store.LeaseFilter) (leases []licensing.Lease, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		leases, err = r.Leases(f)
		return err
	})
	return leases, err
}
