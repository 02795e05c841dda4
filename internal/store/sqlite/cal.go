package sqlite

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

const (
	calColumns = `key_pack_id, product_version, product_type, status, slot, holder, user, device_id, device_name, host,
		validated, issued, expires`

	selectCAL    = `SELECT id, ` + calColumns + ` FROM cal WHERE id = ?`
	selectCALsOf = `SELECT id, ` + calColumns + ` FROM cal WHERE holder = ? AND product_type = ? AND slot >= 0 ORDER BY slot`

	// The filters of CALs: ?1 After, ?2 KeyPackID, ?3 Holder, ?4 Status. The bound, taken once, ends an iteration whose body
	// inserts CALs. The few CALs of a holder are sorted; the others come in the order of an index.
	selectCALs          = `SELECT id, ` + calColumns + ` FROM cal WHERE ` + calsAhead
	selectCALsOfKeyPack = `SELECT id, ` + calColumns + ` FROM cal WHERE key_pack_id = ?2 AND ` + calsAhead
	selectCALsOfHolder  = `SELECT id, ` + calColumns + ` FROM cal WHERE holder = ?3 AND (?2 = 0 OR key_pack_id = ?2) AND ` + calsAhead
	calsAhead           = `id > ?1 AND id <= (SELECT max(id) FROM cal) AND (?4 = 0 OR status = ?4) ORDER BY id`

	selectCALSummaries = `SELECT id, key_pack_id, status, user, device_id, device_name, issued, expires FROM cal
		WHERE id <= (SELECT max(id) FROM cal) ORDER BY id`

	selectExpiredCALs = `SELECT id, ` + calColumns + ` FROM cal WHERE expires <= ? ORDER BY expires, id LIMIT CAST(? AS INTEGER)`
	countRevoked      = `SELECT count(*) FROM cal ` + whereRevoked
	selectRevoked     = `SELECT expires FROM cal ` + whereRevoked + ` ORDER BY expires LIMIT 1 OFFSET ?4`
	whereRevoked      = `WHERE product_version = ?1 AND product_type = ?2 AND slot IS NULL AND expires > ?3`
	selectSpent       = `SELECT 1 FROM temporary_spent WHERE holder = ? AND product_version = ?`

	insertCAL = `INSERT INTO cal (` + calColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateCAL = `UPDATE cal SET (` + calColumns + `) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`
	// A renewal leaves alone what the indexes but that of the ends hold; to write it again would cost a page of each.
	renewCAL = `UPDATE cal SET (product_version, status, user, device_id, device_name, host, validated, issued, expires)
		= (?2, ?4, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
		WHERE id = ?14 AND key_pack_id = ?1 AND product_type = ?3 AND slot IS ?5 AND holder = ?6`
	deleteCAL = `DELETE FROM cal WHERE id = ?`
	addIssued = `UPDATE key_pack SET issued = issued + ?1 WHERE id = ?2 AND issued + ?1 BETWEEN 0 AND 4294967295`

	spendTemporary = `INSERT INTO temporary_spent (holder, product_version, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
)

// CAL returns one CAL, or a Fault of kind NotFound.
func (r *reader) CAL(id uint32) (licensing.CAL, error) {
	all, err := r.cals(selectCAL, func(p *parameters) { p.integer(int64(id)) })
	if err != nil {
		return licensing.CAL{}, fmt.Errorf("read CAL %d: %w", id, err)
	}
	if len(all) == 0 {
		return licensing.CAL{}, noCAL(id)
	}
	return all[0], nil
}

func noCAL(id uint32) error {
	return licensing.Faultf(licensing.NotFound, "there is no CAL %d", id)
}

// CALsOf returns the CALs of a holder that are not revoked, by ascending Slot; none is no error.
func (r *reader) CALsOf(holder string, t licensing.ProductType) ([]licensing.CAL, error) {
	all, err := r.cals(selectCALsOf, func(p *parameters) {
		p.text("Holder", holder)
		p.integer(int64(t))
	})
	if err != nil {
		return nil, fmt.Errorf("read the CALs of a holder: %w", err)
	}
	return all, nil
}

// ExpiredCALs returns at most limit CALs whose term has ended, first the oldest; none for a limit below 1.
func (r *reader) ExpiredCALs(now time.Time, limit int) ([]licensing.CAL, error) {
	all, err := r.cals(selectExpiredCALs, func(p *parameters) {
		p.integer(now.UnixMicro())
		p.integer(int64(max(limit, 0)))
	})
	if err != nil {
		return nil, fmt.Errorf("read the expired CALs: %w", err)
	}
	return all, nil
}

func (r *reader) cals(query string, bind func(*parameters)) (all []licensing.CAL, err error) {
	err = r.rows(query, bind, func(c *columns) { all = append(all, readCAL(c)) })
	return all, err
}

func readCAL(c *columns) licensing.CAL {
	k := licensing.CAL{
		ID: c.uint32(), KeyPackID: c.uint32(),
		ProductVersion: licensing.ProductVersion(c.uint32()), ProductType: licensing.ProductType(c.uint32()),
		Status: licensing.LicenseStatus(c.uint32()),
	}
	c.integer() // slot, which follows from the rest
	k.Holder, k.User, k.Device.ID, k.Device.Name, k.Host = c.text(), c.text(), c.text(), c.text(), c.text()
	k.Validated, k.Issued, k.Expires = c.boolean(), c.instant(), c.instant()
	return k
}

// CALs returns the CALs that match by ascending ID, read one by one as the loop asks for them. The loop may read and write
// what it likes, and may nest; CALs that it inserts are not part of it. An error is the last element.
func (r *reader) CALs(f store.CALFilter) iter.Seq2[licensing.CAL, error] {
	query := selectCALs
	switch {
	case f.Holder != "":
		query = selectCALsOfHolder
	case f.KeyPackID != 0:
		query = selectCALsOfKeyPack
	}
	search := licensing.Fold(f.Search)
	return func(yield func(licensing.CAL, error) bool) {
		err := iterate(r, query, func(p *parameters) {
			p.integer(int64(f.After))
			p.integer(int64(f.KeyPackID))
			p.text("Holder", f.Holder)
			p.integer(int64(f.Status))
		}, readCAL, func(k licensing.CAL, _ error) bool {
			return f.Host != "" && k.Host != f.Host || search != "" && !mentions(&k, search) || yield(k, nil)
		})
		if err != nil {
			yield(licensing.CAL{}, fmt.Errorf("read the CALs: %w", err))
		}
	}
}

// CALSummaries returns what lists show of the CALs by ascending ID, as CALs does.
func (r *reader) CALSummaries() iter.Seq2[licensing.CALSummary, error] {
	return func(yield func(licensing.CALSummary, error) bool) {
		if err := iterate(r, selectCALSummaries, nil, readCALSummary, yield); err != nil {
			yield(licensing.CALSummary{}, fmt.Errorf("read the CALs: %w", err))
		}
	}
}

func readCALSummary(c *columns) licensing.CALSummary {
	return licensing.CALSummary{
		ID: c.uint32(), KeyPackID: c.uint32(), Status: licensing.LicenseStatus(c.uint32()), User: c.text(),
		Device: licensing.Device{ID: c.text(), Name: c.text()}, Issued: c.instant(), Expires: c.instant(),
	}
}

// mentions tells whether the user's or device's name or ID has a part that is the folded text. SQLite cannot tell: its
// LIKE folds ASCII only.
func mentions(c *licensing.CAL, folded string) bool {
	for _, s := range [...]string{c.User, c.Device.ID, c.Device.Name} {
		if strings.Contains(licensing.Fold(s), folded) {
			return true
		}
	}
	return false
}

// CountRevoked returns how many revoked CALs of a version and type end after now, and when the first after so many to skip does.
func (r *reader) CountRevoked(v licensing.ProductVersion, t licensing.ProductType, now time.Time, skip uint32) (n uint32, next time.Time, err error) {
	bind := func(p *parameters) {
		p.integer(int64(v))
		p.integer(int64(t))
		p.integer(now.UnixMicro())
	}
	err = r.rows(countRevoked, bind, func(c *columns) { n = c.uint32() })
	if err == nil {
		err = r.rows(selectRevoked, func(p *parameters) {
			bind(p)
			p.integer(int64(skip))
		}, func(c *columns) { next = c.instant() })
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count the revoked CALs: %w", err)
	}
	return n, next, nil
}

// TemporarySpent tells whether SpendTemporary was called for the holder and version.
func (r *reader) TemporarySpent(holder string, v licensing.ProductVersion) (bool, error) {
	spent := false
	err := r.rows(selectSpent, func(p *parameters) {
		p.text("Holder", holder)
		p.integer(int64(v))
	}, func(*columns) { spent = true })
	if err != nil {
		return false, fmt.Errorf("read the spent temporary CALs: %w", err)
	}
	return spent, nil
}

// InsertCAL stores a new CAL and returns the ID that it got; c.ID is not read.
func (t *tx) InsertCAL(c licensing.CAL) (uint32, error) {
	if _, err := t.change("insert a CAL", insertCAL, func(p *parameters) { bindCAL(p, &c) }); err != nil {
		return 0, t.refused(err, sqlite.ResultConstraintUnique, secondCAL)
	}
	return uint32(t.conn.LastInsertRowID()), nil
}

// UpdateCAL replaces the CAL with c's ID. Faults: NotFound; AlreadyExists if the holder has another one in its Slot.
func (t *tx) UpdateCAL(c licensing.CAL) error {
	for _, query := range [...]string{renewCAL, updateCAL} {
		n, err := t.change("update a CAL", query, func(p *parameters) {
			bindCAL(p, &c)
			p.integer(int64(c.ID))
		})
		if err != nil || n > 0 {
			return t.refused(err, sqlite.ResultConstraintUnique, secondCAL)
		}
	}
	return noCAL(c.ID)
}

func secondCAL() error {
	return licensing.Faultf(licensing.AlreadyExists, "the holder has a CAL of this type already; only one full and one temporary of each version can be issued")
}

// bindCAL binds calColumns.
func bindCAL(p *parameters, c *licensing.CAL) {
	p.integer(int64(c.KeyPackID))
	p.integer(int64(c.ProductVersion))
	p.integer(int64(c.ProductType))
	p.integer(int64(c.Status))
	p.slot(c.Slot())
	p.text("Holder", c.Holder)
	p.text("User", c.User)
	p.text("the device's ID", c.Device.ID)
	p.text("the device's name", c.Device.Name)
	p.text("Host", c.Host)
	p.boolean(c.Validated)
	p.instant("Issued", c.Issued)
	p.required("Expires", c.Expires)
}

// DeleteCAL removes a CAL, and with it its leases; one that is not there is a Fault of kind NotFound.
func (t *tx) DeleteCAL(id uint32) error {
	n, err := t.change("delete a CAL", deleteCAL, func(p *parameters) { p.integer(int64(id)) })
	if err == nil && n == 0 {
		return noCAL(id)
	}
	return err
}

// AddIssued changes how many CALs of a key pack are issued. Faults: NotFound; OutOfRange below 0 or beyond 32 bits.
func (t *tx) AddIssued(keyPackID uint32, delta int) error {
	n, err := t.change("count an issued CAL", addIssued, func(p *parameters) {
		p.integer(int64(delta))
		p.integer(int64(keyPackID))
	})
	if err != nil || n > 0 {
		return err
	}
	k, err := t.KeyPack(keyPackID)
	if err != nil {
		return err
	}
	return licensing.Faultf(licensing.OutOfRange, "%d CALs of key pack %d are issued; %+d of them is not possible", k.Issued, keyPackID, delta)
}

// SpendTemporary records that a holder has used up its temporary CAL of a version; a second time changes nothing.
func (t *tx) SpendTemporary(holder string, v licensing.ProductVersion, at time.Time) error {
	_, err := t.change("spend a temporary CAL", spendTemporary, func(p *parameters) {
		p.text("Holder", holder)
		p.integer(int64(v))
		p.instant("At", at)
	})
	return err
}
