package sqlite

import (
	"fmt"
	"math"
	"time"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

const (
	leaseColumns = `cal_id, host, user, user_key, device_id, device_name, device_key, session, provisional, opened, expires`

	selectLease          = `SELECT id, ` + leaseColumns + ` FROM lease WHERE id = ?`
	selectLeaseOfSession = `SELECT id, ` + leaseColumns + ` FROM lease WHERE host = ?1 AND session = ?2 AND session <> ''`
	selectLeaseOfDevice  = `SELECT id, ` + leaseColumns + ` FROM lease WHERE host = ?1 AND user_key = ?2 AND device_key = ?3 AND session = ''`

	// The filters of Leases: ?1 After, ?2 Limit, ?3 CAL, ?4 UserKey, ?5 Host.
	selectLeases       = `SELECT id, ` + leaseColumns + ` FROM lease WHERE ` + leasesAhead
	selectLeasesOfCAL  = `SELECT id, ` + leaseColumns + ` FROM lease WHERE cal_id = ?3 AND (?4 = '' OR user_key = ?4) AND (?5 = '' OR host = ?5) AND ` + leasesAhead
	selectLeasesOfUser = `SELECT id, ` + leaseColumns + ` FROM lease WHERE user_key = ?4 AND (?5 = '' OR host = ?5) AND ` + leasesAhead
	selectLeasesOfHost = `SELECT id, ` + leaseColumns + ` FROM lease WHERE host = ?5 AND ` + leasesAhead
	leasesAhead        = `id > ?1 ORDER BY id LIMIT CAST(?2 AS INTEGER)`

	selectExpiredLeases = `SELECT id, ` + leaseColumns + ` FROM lease WHERE expires <= ? ORDER BY expires, id LIMIT CAST(? AS INTEGER)`

	insertLease  = `INSERT INTO lease (` + leaseColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateLease  = `UPDATE lease SET (` + leaseColumns + `) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`
	extendLease  = `UPDATE lease SET expires = ?1 WHERE id = ?2`
	extendCAL    = `UPDATE cal SET expires = ?1 WHERE id = (SELECT cal_id FROM lease WHERE id = ?2) AND status = ?3 AND expires < ?1`
	deleteLease  = `DELETE FROM lease WHERE id = ?`
	deleteLeases = `DELETE FROM lease WHERE host = ?`
)

// Lease returns one lease, or a Fault of kind NotFound.
func (r *reader) Lease(id uint64) (licensing.Lease, error) {
	if id > math.MaxInt64 {
		return licensing.Lease{}, noLease(id)
	}
	l, found, err := r.lease(selectLease, func(p *parameters) { p.integer(int64(id)) })
	if err == nil && !found {
		return licensing.Lease{}, noLease(id)
	}
	return l, err
}

func noLease(id uint64) error {
	return licensing.Faultf(licensing.NotFound, "there is no session with the number %d", id)
}

// LeaseOf returns the lease of a session, or without a session that of a user on a device, or a Fault of kind NotFound.
func (r *reader) LeaseOf(host, session, userKey, deviceKey string) (licensing.Lease, error) {
	query := selectLeaseOfSession
	if session == "" {
		query = selectLeaseOfDevice
	}
	l, found, err := r.lease(query, func(p *parameters) {
		p.text("Host", host)
		if session != "" {
			p.text("Session", session)
			return
		}
		p.text("UserKey", userKey)
		p.text("DeviceKey", deviceKey)
	})
	switch {
	case err != nil || found:
		return l, err
	case session != "":
		return l, licensing.Faultf(licensing.NotFound, "%s has no session %q", host, session)
	}
	return l, licensing.Faultf(licensing.NotFound, "nobody of this name logs on to %s from this device", host)
}

func (r *reader) lease(query string, bind func(*parameters)) (l licensing.Lease, found bool, err error) {
	all, err := r.leases(query, bind)
	if err != nil || len(all) == 0 {
		return licensing.Lease{}, false, err
	}
	return all[0], true, nil
}

// Leases returns the leases that match by ascending ID; none is no error.
func (r *reader) Leases(f store.LeaseFilter) ([]licensing.Lease, error) {
	if f.After > math.MaxInt64 {
		return nil, nil
	}
	limit := int64(-1)
	if f.Limit > 0 {
		limit = int64(f.Limit)
	}
	query := selectLeases
	switch {
	case f.CAL != 0:
		query = selectLeasesOfCAL
	case f.UserKey != "":
		query = selectLeasesOfUser
	case f.Host != "":
		query = selectLeasesOfHost
	}
	return r.leases(query, func(p *parameters) {
		p.integer(int64(f.After))
		p.integer(limit)
		if query == selectLeases {
			return
		}
		p.integer(int64(f.CAL))
		p.text("UserKey", f.UserKey)
		p.text("Host", f.Host)
	})
}

// ExpiredLeases returns at most limit leases whose time has ended, first the oldest; none for a limit below 1.
func (r *reader) ExpiredLeases(now time.Time, limit int) ([]licensing.Lease, error) {
	return r.leases(selectExpiredLeases, func(p *parameters) {
		p.integer(now.UnixMicro())
		p.integer(int64(max(limit, 0)))
	})
}

func (r *reader) leases(query string, bind func(*parameters)) (all []licensing.Lease, err error) {
	err = r.rows(query, bind, func(c *columns) {
		all = append(all, licensing.Lease{
			ID: uint64(c.integer()), CAL: c.uint32(), Host: c.text(), User: c.text(), UserKey: c.text(),
			Device: licensing.Device{ID: c.text(), Name: c.text()}, DeviceKey: c.text(), Session: c.text(),
			Provisional: c.boolean(), Opened: c.instant(), Expires: c.instant(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	return all, nil
}

// PutLease stores a lease, a new one if its ID is 0, and returns its ID. Faults: NotFound if there is no lease of another
// ID, or not the CAL; AlreadyExists if the session, or the user on the device while there is no session, has another lease.
func (t *tx) PutLease(l licensing.Lease) (uint64, error) {
	if l.ID > math.MaxInt64 {
		return 0, noLease(l.ID)
	}
	query := updateLease
	if l.ID == 0 {
		query = insertLease
	}
	n, err := t.change("put a lease", query, func(p *parameters) {
		bindLease(p, &l)
		if l.ID != 0 {
			p.integer(int64(l.ID))
		}
	})
	switch {
	case err != nil:
		err = t.refused(err, sqlite.ResultConstraintUnique, func() error {
			return licensing.Faultf(licensing.AlreadyExists, "%s has this session, or this user on this device, already", l.Host)
		})
		return 0, t.refused(err, sqlite.ResultConstraintForeignKey, func() error { return noCAL(l.CAL) })
	case l.ID == 0:
		return uint64(t.conn.LastInsertRowID()), nil
	case n == 0:
		return 0, noLease(l.ID)
	}
	return l.ID, nil
}

// bindLease binds leaseColumns.
func bindLease(p *parameters, l *licensing.Lease) {
	p.integer(int64(l.CAL))
	p.text("Host", l.Host)
	p.text("User", l.User)
	p.text("UserKey", l.UserKey)
	p.text("the device's ID", l.Device.ID)
	p.text("the device's name", l.Device.Name)
	p.text("DeviceKey", l.DeviceKey)
	p.text("Session", l.Session)
	p.boolean(l.Provisional)
	p.instant("Opened", l.Opened)
	p.required("Expires", l.Expires)
}

// ExtendLease moves the end of a lease, and with it that of its CAL if this is concurrent and ends earlier. One that is not
// there is a Fault of kind NotFound.
func (t *tx) ExtendLease(id uint64, expires time.Time) error {
	if id > math.MaxInt64 {
		return noLease(id)
	}
	n, err := t.execute("extend a lease", extendLease, func(p *parameters) {
		p.required("Expires", expires)
		p.integer(int64(id))
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return noLease(id)
	}
	_, err = t.execute("extend the CAL of a lease", extendCAL, func(p *parameters) {
		p.required("Expires", expires)
		p.integer(int64(id))
		p.integer(int64(licensing.StatusConcurrent))
	})
	return err
}

// DeleteLease removes a lease; one that is not there is a Fault of kind NotFound.
func (t *tx) DeleteLease(id uint64) error {
	if id > math.MaxInt64 {
		return noLease(id)
	}
	n, err := t.change("delete a lease", deleteLease, func(p *parameters) { p.integer(int64(id)) })
	if err == nil && n == 0 {
		return noLease(id)
	}
	return err
}
