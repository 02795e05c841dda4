package issuance

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// expiredBatch is how many expired CALs are reclaimed when no other is free.
const expiredBatch = 100

// loadPacks reads the key packs of the host's mode, first those that are to be used first: the oldest version, so that newer
// CALs are left for newer session hosts, then the oldest pack.
func (d *decision) loadPacks() error {
	d.packs = d.packs[:0]
	for pack, err := range d.tx.KeyPacks() {
		if err != nil {
			return err
		}
		if pack.ProductType == d.r.Host.Mode {
			d.packs = append(d.packs, pack)
		}
	}
	slices.SortStableFunc(d.packs, func(x, y licensing.KeyPack) int { return cmp.Compare(x.ProductVersion, y.ProductVersion) })
	return nil
}

// serves tells whether CALs of the pack may be issued where one of that version is needed.
func (d *decision) serves(p *licensing.KeyPack, version licensing.ProductVersion) bool {
	if p.ProductVersion > version && d.s.PreventUpgrade {
		return false
	}
	return inForce(p, d.now) && p.ProductVersion >= version
}

// inForce tells whether CALs may be issued from a pack: an installed one that the clearinghouse stands behind.
func inForce(p *licensing.KeyPack, now time.Time) bool {
	return !p.OnDemand() && p.Flag == "" && p.End().After(now)
}

// free returns the first pack that has a free CAL of at least that version and ends after that instant, nil if there is none.
// CALs that have expired are reclaimed before that is said.
func (d *decision) free(version licensing.ProductVersion, end time.Time) (*licensing.KeyPack, error) {
	for {
		if err := d.loadPacks(); err != nil {
			return nil, err
		}
		for i := range d.packs {
			if p := &d.packs[i]; d.serves(p, version) && p.Available() > 0 && p.End().After(end) {
				return p, nil
			}
		}
		n, err := d.s.reclaimExpired(d.tx, d.now, expiredBatch)
		if n == 0 || err != nil {
			return nil, err
		}
	}
}

// assign gives the holder a CAL of the pack, in place of what it has.
func (d *decision) assign(pack licensing.KeyPack) error {
	c := licensing.CAL{ProductType: d.r.Host.Mode, Holder: d.holder}
	if before := d.replaced(pack.ProductVersion); before != nil {
		c = *before
	}
	d.answer.Outcome = Upgraded
	if c.ID == 0 {
		d.answer.Outcome = Issued
	}
	from := c.KeyPackID
	c.KeyPackID, c.ProductVersion, c.Issued = pack.ID, pack.ProductVersion, d.now
	d.describe(&c)
	d.packEnd = pack.End()
	if err := d.begin(&c, pack); err != nil {
		return err
	}
	if err := d.tx.AddIssued(pack.ID, 1); err != nil {
		return err
	}
	if err := d.spendTemporary(&c); err != nil {
		return err
	}
	if err := d.store(&c, from); err != nil {
		return err
	}
	pack.Issued++
	d.answer.OverUsed = pack.Type == licensing.KeyPackOverUsed
	d.warn(pack)
	if err := d.warnOnce(&c, &pack); err != nil {
		return err
	}
	return d.done(c)
}

// replaced returns what a new CAL of a version takes the place of: the full CAL that is too old, else a temporary one that it
// covers; nil for nothing.
func (d *decision) replaced(version licensing.ProductVersion) *licensing.CAL {
	if d.full != nil {
		return d.full
	}
	for i := range d.temporary {
		if t := &d.temporary[i]; t.Validated && t.ProductType == d.r.Host.Mode && t.ProductVersion <= version {
			return t
		}
	}
	return nil
}

// begin sets status and end of a CAL that is issued now.
func (d *decision) begin(c *licensing.CAL, pack licensing.KeyPack) (err error) {
	switch {
	case d.r.Host.Concurrent && c.Status != licensing.StatusActive: // one with a term keeps it: the session only uses it
		end := d.leaseEnd(d.r.Provisional)
		if c.Status == licensing.StatusConcurrent && c.Expires.After(end) { // other sessions use it longer
			end = earlier(c.Expires, pack.End())
		}
		c.Status, c.Expires = licensing.StatusConcurrent, end
		c.Validated = c.Validated || !d.r.Provisional
	case d.r.Provisional && c.Status == licensing.StatusConcurrent: // this logon may fail: its sessions go on
		c.Expires = earlier(c.Expires, pack.End())
	case d.r.Provisional && (c.Status == licensing.StatusPending || c.ID == 0 && d.r.Host.Mode == licensing.PerUser):
		c.Status, c.Expires = licensing.StatusPending, earlier(d.now.Add(d.s.ProvisionalTTL), pack.End())
	default:
		c.Status, c.Validated = licensing.StatusActive, true
		c.Expires, err = d.term(pack)
	}
	return err
}

// spendTemporary ends the temporary CALs that the full one covers, and remembers that the device had them. One whose device has
// not authenticated anybody stays: nobody has proved that it is that device.
func (d *decision) spendTemporary(c *licensing.CAL) error {
	for _, t := range d.temporary {
		if !t.Validated || t.ProductType != c.ProductType || t.ProductVersion > c.ProductVersion {
			continue
		}
		if err := d.tx.SpendTemporary(t.Holder, t.ProductVersion, d.now); err != nil {
			return err
		}
		if t.ID == c.ID {
			continue // it becomes the full one
		}
		if err := d.s.remove(d.tx, d.now, d.r.Host.Name, "release", t); err != nil {
			return err
		}
	}
	return nil
}

// store inserts a CAL, or replaces the one that it was made of and that another pack counted.
func (d *decision) store(c *licensing.CAL, from uint32) error {
	if c.ID == 0 {
		id, err := d.tx.InsertCAL(*c)
		if err != nil {
			return err
		}
		c.ID = id
		return d.audit("issue", c, "")
	}
	if err := d.tx.UpdateCAL(*c); err != nil {
		return err
	}
	if err := uncount(d.tx, from); err != nil {
		return err
	}
	return d.audit("upgrade", c, "")
}

// describe writes what the request says of user, device and host to a CAL.
func (d *decision) describe(c *licensing.CAL) {
	if d.r.User != "" {
		c.User = d.r.User
	}
	if !d.r.Device.IsZero() {
		c.Device = d.r.Device
	}
	c.Host = d.r.Host.Name
}

// done makes c the holder's CAL.
func (d *decision) done(c licensing.CAL) error {
	d.full, d.answer.CAL = &c, c
	return nil
}

// term returns when a CAL ends that is issued or renewed now: never after its key pack.
func (d *decision) term(pack licensing.KeyPack) (time.Time, error) {
	term := licensing.PerUserTerm
	if d.r.Host.Mode == licensing.PerDevice {
		days, err := randomBelow(d.s.Random, int((licensing.LongestTerm-licensing.ShortestTerm)/(24*time.Hour))+1)
		if err != nil {
			return time.Time{}, err
		}
		term = licensing.ShortestTerm + time.Duration(days)*24*time.Hour
	}
	return earlier(d.now.Add(term), pack.End()), nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// randomBelow returns a number from 0 to n-1, each as likely; n is at most 256.
func randomBelow(random io.Reader, n int) (int, error) {
	var b [1]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, fmt.Errorf("random bytes: %w", err)
		}
		if int(b[0]) < 256-256%n {
			return int(b[0]) % n, nil
		}
	}
}

// warn says so when a pack is about used up.
func (d *decision) warn(pack licensing.KeyPack) {
	switch {
	case d.answer.OverUsed:
		d.answer.Warning = fmt.Sprintf("more per user CALs of %s are issued than are installed", pack.ProductVersion)
	case d.s.aboutUsedUp(&pack, pack.Issued):
		d.answer.Warning = fmt.Sprintf("%d of %d CALs of key pack %d are issued", pack.Issued, pack.Total, pack.ID)
	}
}

// aboutUsedUp tells whether so many issued CALs of a pack are worth a warning.
func (s *Service) aboutUsedUp(pack *licensing.KeyPack, issued uint32) bool {
	percent := pack.OverUse.WarnAt
	if percent == 0 {
		percent = s.OverUse.WarnAt
	}
	return percent != 0 && issued > 0 && uint64(issued)*100 >= uint64(pack.Total)*uint64(percent)
}

// warnOnce makes an event of the CAL with which warnings begin.
func (d *decision) warnOnce(c *licensing.CAL, pack *licensing.KeyPack) error {
	begins := d.s.aboutUsedUp(pack, pack.Issued) && !d.s.aboutUsedUp(pack, pack.Issued-1)
	if d.answer.OverUsed {
		begins = pack.Issued == 1
	}
	if !begins {
		return nil
	}
	return d.audit("warn", c, d.answer.Warning)
}

// issueTemporary lets the device keep its temporary CAL, or gives it the one that it gets once.
func (d *decision) issueTemporary() error {
	version := d.r.Host.ProductVersion
	for _, c := range d.temporary {
		if c.ProductVersion >= version {
			d.answer.Outcome = Held
			return d.touch(c)
		}
	}
	if d.deviceKey == "" {
		return d.deny(licensing.ServerInactive)
	}
	if spent, err := d.tx.TemporarySpent(d.deviceKey, version); err != nil {
		return err
	} else if spent {
		return d.deny(licensing.TemporaryExpired)
	}
	pack, err := onDemand(d.tx, licensing.TemporaryKeyPack(version, d.now))
	if err != nil {
		return err
	}
	c := licensing.CAL{
		KeyPackID: pack.ID, ProductVersion: version, ProductType: licensing.PerDevice, Status: licensing.StatusTemporary,
		Holder: d.deviceKey, Issued: d.now, Expires: d.now.Add(licensing.TemporaryTerm),
	}
	d.describe(&c)
	if err := d.tx.AddIssued(pack.ID, 1); err != nil {
		return err
	}
	d.answer.Outcome = Issued
	if err := d.store(&c, 0); err != nil {
		return err
	}
	d.answer.CAL = c
	return nil
}

// touch makes c the answer, and remembers the session host if it is another one.
func (d *decision) touch(c licensing.CAL) error {
	before := c
	d.describe(&c)
	if d.answer.CAL = c; c.Full() {
		d.full = &c
	}
	if c.Host == before.Host && c.User == before.User && c.Device == before.Device {
		return nil
	}
	if err := d.tx.UpdateCAL(c); err != nil {
		return err
	}
	return d.audit("use", &c, "")
}

// onDemand returns the pack of this type and version that the license server makes itself; it is made at its first use.
func onDemand(tx store.Tx, pack licensing.KeyPack) (licensing.KeyPack, error) {
	for p, err := range tx.KeyPacks() {
		if err != nil {
			return licensing.KeyPack{}, err
		}
		if p.Type == pack.Type && p.ProductVersion == pack.ProductVersion {
			return p, nil
		}
	}
	var err error
	pack.ID, err = tx.InsertKeyPack(pack)
	return pack, err
}

// uncount takes an issued CAL off a key pack. A pack of over-used CALs that has none left is gone, and so is one that was
// emptied while its last CALs were issued.
func uncount(tx store.Tx, keyPackID uint32) error {
	if err := tx.AddIssued(keyPackID, -1); err != nil {
		return err
	}
	pack, err := tx.KeyPack(keyPackID)
	if err == nil && pack.Total == 0 && pack.Issued == 0 && pack.Held == 0 {
		err = tx.DeleteKeyPack(keyPackID)
	}
	return err
}
