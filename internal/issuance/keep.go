package issuance

import (
	"fmt"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// keep lets the holder keep its CAL, and renews it if it is due.
func (d *decision) keep() error {
	c := *d.full
	pack, err := d.tx.KeyPack(c.KeyPackID)
	if err != nil {
		return err
	}
	d.answer.Outcome = Held
	if pack.Type == licensing.KeyPackOverUsed && d.activated {
		// As soon as a CAL of an installed pack is free it takes the place of the over-used one.
		free, err := d.free(max(c.ProductVersion, d.r.Host.ProductVersion), d.now)
		if err != nil {
			return err
		}
		if free != nil {
			if err := d.move(&c, *free); err != nil {
				return err
			}
			pack = *free
		}
	}
	d.answer.OverUsed, d.packEnd = pack.Type == licensing.KeyPackOverUsed, pack.End()
	d.warn(pack)
	switch {
	case c.Status == licensing.StatusPending && d.r.Host.Concurrent:
		c.Status = licensing.StatusConcurrent
		return d.change("use", c)
	case c.Status == licensing.StatusPending && d.r.Provisional:
		c.Expires = earlier(d.now.Add(d.s.ProvisionalTTL), pack.End())
		return d.change("use", c)
	case d.becomesFinal(&c):
		if !d.activated || !inForce(&pack, d.now) && pack.Type != licensing.KeyPackOverUsed {
			d.notExtended(&c)
			return d.touch(c)
		}
		if c.Expires, err = d.term(pack); err != nil {
			return err
		}
		c.Status, c.Validated = licensing.StatusActive, true
		return d.change("activate", c)
	case d.due(&c):
		return d.extend(c, pack)
	}
	return d.touch(c)
}

// due tells whether a CAL with a term is so near its end that it is renewed.
func (d *decision) due(c *licensing.CAL) bool {
	return c.Status == licensing.StatusActive && !c.Expires.After(d.now.Add(licensing.RenewalWindow))
}

// becomesFinal tells whether a CAL without a term gets one now: the logon of a user is complete, or a session host that is not
// concurrent asks for a device that has authenticated a user before.
func (d *decision) becomesFinal(c *licensing.CAL) bool {
	switch {
	case d.r.Host.Concurrent || d.r.Provisional:
		return false
	case c.Status == licensing.StatusPending:
		return true
	}
	return c.Status == licensing.StatusConcurrent && (c.Validated || c.ProductType == licensing.PerUser)
}

// notExtended warns that a CAL ends when it ends.
func (d *decision) notExtended(c *licensing.CAL) {
	why := fmt.Sprintf("key pack %d has none for it any more", c.KeyPackID)
	if !d.activated {
		why = "the license server is not activated"
	}
	d.answer.Warning = fmt.Sprintf("the CAL is not renewed, because %s; it ends on %s", why, c.Expires.Format("2006-01-02"))
}

// extend gives a CAL another term, if its pack still has it: not if it holds fewer CALs than are issued. Else it moves to a pack
// that has a free one.
func (d *decision) extend(c licensing.CAL, pack licensing.KeyPack) error {
	renewable := d.renewable(&c, &pack)
	end, err := d.term(pack)
	if err != nil {
		return err
	}
	if d.activated && (!renewable || !end.After(c.Expires)) {
		free, err := d.free(c.ProductVersion, c.Expires)
		if err != nil {
			return err
		}
		if free != nil {
			if err := d.move(&c, *free); err != nil {
				return err
			}
			if end, err = d.term(*free); err != nil {
				return err
			}
			renewable = true
		}
	}
	if !renewable || !end.After(c.Expires) {
		d.notExtended(&c)
		return d.touch(c)
	}
	c.Expires = end
	d.answer.Outcome = Renewed
	return d.change("renew", c)
}

// renewable tells whether the pack of a CAL has it for another term.
func (d *decision) renewable(c *licensing.CAL, pack *licensing.KeyPack) bool {
	switch {
	case !d.activated:
		return false
	case pack.Type == licensing.KeyPackOverUsed:
		return d.overUseDenied(c.ProductVersion, 0) == ""
	}
	return inForce(pack, d.now) && !pack.OverIssued()
}

// change stores what has become of the holder's CAL.
func (d *decision) change(action string, c licensing.CAL) error {
	d.describe(&c)
	if err := d.tx.UpdateCAL(c); err != nil {
		return err
	}
	if err := d.audit(action, &c, ""); err != nil {
		return err
	}
	return d.done(c)
}

// move takes a CAL from its key pack to another.
func (d *decision) move(c *licensing.CAL, to licensing.KeyPack) error {
	if err := move(d.tx, c, to); err != nil {
		return err
	}
	d.packEnd = to.End()
	return d.audit("settle", c, fmt.Sprintf("from another key pack to %d", to.ID))
}

func move(tx store.Tx, c *licensing.CAL, to licensing.KeyPack) error {
	from := c.KeyPackID
	c.KeyPackID, c.ProductVersion, c.Expires = to.ID, to.ProductVersion, earlier(c.Expires, to.End())
	if err := tx.UpdateCAL(*c); err != nil {
		return err
	}
	if err := tx.AddIssued(to.ID, 1); err != nil {
		return err
	}
	return uncount(tx, from)
}
