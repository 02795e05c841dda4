package issuance

import (
	"context"
	"fmt"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// overUse issues a per user CAL beyond what is installed, if the policy lets it.
func (d *decision) overUse() error {
	more, err := d.moreOverUse()
	if err != nil {
		return err
	}
	if reason := d.overUseDenied(d.r.Host.ProductVersion, more); reason != "" {
		return d.deny(reason)
	}
	pack, err := onDemand(d.tx, licensing.OverUsedKeyPack(d.r.Host.ProductVersion, d.now))
	if err != nil {
		return err
	}
	return d.assign(pack)
}

// moreOverUse returns by how many an over-used CAL for the host raises the over-use: by none if the holder's CAL, which it takes the
// place of, is counted already.
func (d *decision) moreOverUse() (uint64, error) {
	if d.full == nil {
		return 1, nil
	}
	pack, err := d.tx.KeyPack(d.full.KeyPackID)
	if err != nil || pack.Type != licensing.KeyPackOverUsed {
		return 1, err
	}
	before, ok := d.governing(pack.ProductVersion)
	now, _ := d.governing(d.r.Host.ProductVersion)
	if ok && before == now {
		return 0, nil
	}
	return 1, nil
}

// overUseDenied returns why there may not be so many more over-used CALs of a version; the empty reason if there may. It is asked
// only when free has found none, and so has read the packs.
//
// The key packs that would serve a session host of that version and are of the oldest version decide: all their policies together, one that
// allows being enough. Where there is no such pack the default of the license server decides, of which a percentage is none.
func (d *decision) overUseDenied(version licensing.ProductVersion, more uint64) licensing.DenialReason {
	governing, found := d.governing(version)
	if !found {
		if d.s.OverUse.Policy == licensing.DenyOverUse {
			return licensing.NoKeyPack
		}
		return ""
	}
	var allowance, used uint64
	for i := range d.packs {
		p := &d.packs[i]
		if p.Type == licensing.KeyPackOverUsed {
			if v, ok := d.governing(p.ProductVersion); ok && v == governing {
				used += uint64(p.Issued)
			}
		}
		if p.ProductVersion != governing || !inForce(p, d.now) {
			continue
		}
		policy := p.OverUse
		if policy.Policy == licensing.DefaultOverUse {
			policy = d.s.OverUse
		}
		if policy.Policy != licensing.DenyOverUse {
			return ""
		}
		allowance += uint64(p.Total) * uint64(policy.DenyBeyond-100) / 100
	}
	switch {
	case used+more <= allowance:
		return ""
	case allowance == 0:
		return licensing.NoFreeCAL
	}
	return licensing.OverUseLimit
}

// governing returns the version of the key packs that would serve a session host of a version.
func (d *decision) governing(host licensing.ProductVersion) (licensing.ProductVersion, bool) {
	for i := range d.packs { // by version
		p := &d.packs[i]
		if d.serves(p, host) {
			return p.ProductVersion, true
		}
	}
	return 0, false
}

// SetOverUse sets what happens when more CALs of a key pack are asked for than there are. Faults: Invalid; NotFound;
// NotSupported for packs that were not installed.
func (s *Service) SetOverUse(ctx context.Context, actor string, keyPackID uint32, o licensing.OverUse) error {
	return s.update(ctx, func(tx store.Tx) error {
		if keyPackID == licensing.BuiltInKeyPackID {
			return licensing.Faultf(licensing.NotSupported, "the built-in key pack has no policy")
		}
		pack, err := tx.KeyPack(keyPackID)
		if err != nil {
			return err
		}
		if pack.OnDemand() {
			return licensing.Faultf(licensing.NotSupported, "key pack %d is none that was installed: the installed ones have policies", keyPackID)
		}
		if err := o.Check(pack.ProductType); err != nil {
			return err
		}
		pack.OverUse = o
		if err := tx.UpdateKeyPack(pack); err != nil {
			return err
		}
		return tx.Audit(store.AuditRecord{
			At: s.now(), Actor: actor, Action: "policy", KeyPackID: keyPackID,
			Detail: fmt.Sprintf("over-use %s, warn at %d %%, deny beyond %d %%", o.Policy, o.WarnAt, o.DenyBeyond),
		})
	})
}
