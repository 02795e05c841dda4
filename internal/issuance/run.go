package issuance

import (
	"context"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// How often and in what portions Run does its work; other transactions come between the portions.
const (
	sweepEvery = time.Minute
	sweepBatch = 500
)

// How long it is remembered what was answered under an idempotency key, and who was refused what.
const (
	answersKept = 24 * time.Hour
	denialsKept = 400 * 24 * time.Hour
)

// Run sweeps until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Error("sweeping issued licenses failed; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sweep ends leases that have expired, takes back CALs whose term has ended, forgets revoked ones, moves over-used CALs to
// installed key packs that have free ones, and forgets old answers and denials. It returns how many of these it found.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	total := 0
	for _, step := range []func(store.Tx, time.Time) (int, error){s.endLeases, s.reclaimBatch, s.settleOverUse, s.forget} {
		for {
			n := 0
			err := s.store.Update(ctx, func(tx store.Tx) (err error) {
				n, err = step(tx, s.now())
				return err
			})
			if err != nil {
				return total, err
			}
			if n == 0 {
				break
			}
			total += n
			s.notify()
		}
	}
	return total, nil
}

func (s *Service) endLeases(tx store.Tx, now time.Time) (int, error) {
	leases, err := tx.ExpiredLeases(now, sweepBatch)
	if err != nil {
		return 0, err
	}
	for _, l := range leases {
		if _, err := s.end(tx, now, l.Host, "lease expired", l); err != nil {
			return 0, err
		}
	}
	return len(leases), nil
}

func (s *Service) reclaimBatch(tx store.Tx, now time.Time) (int, error) {
	return s.reclaimExpired(tx, now, sweepBatch)
}

// reclaimExpired takes back at most limit CALs whose term has ended; it returns how many.
func (s *Service) reclaimExpired(tx store.Tx, now time.Time, limit int) (int, error) {
	cals, err := tx.ExpiredCALs(now, limit)
	if err != nil {
		return 0, err
	}
	for _, c := range cals {
		if err := s.reclaim(tx, now, c); err != nil {
			return 0, err
		}
	}
	return len(cals), nil
}

// reclaim takes back a CAL whose term has ended. That a device has used up its temporary CAL is remembered.
func (s *Service) reclaim(tx store.Tx, now time.Time, c licensing.CAL) error {
	if c.Status == licensing.StatusTemporary && c.Validated {
		if err := tx.SpendTemporary(c.Holder, c.ProductVersion, now); err != nil {
			return err
		}
	}
	return s.remove(tx, now, "calkeeper", "reclaim", c)
}

// remove deletes a CAL and takes it off its key pack.
func (s *Service) remove(tx store.Tx, now time.Time, actor, action string, c licensing.CAL) error {
	if err := tx.DeleteCAL(c.ID); err != nil {
		return err
	}
	if c.Counted() {
		if err := uncount(tx, c.KeyPackID); err != nil {
			return err
		}
	}
	return audit(tx, now, actor, action, &c, "")
}

// settleOverUse moves over-used CALs to installed packs with free ones.
func (s *Service) settleOverUse(tx store.Tx, now time.Time) (int, error) {
	server, err := tx.Server()
	if err != nil || !server.Activated() {
		return 0, err
	}
	var overUsed []licensing.KeyPack
	for pack, err := range tx.KeyPacks() {
		if err != nil {
			return 0, err
		}
		if pack.Type == licensing.KeyPackOverUsed && pack.Issued > 0 {
			overUsed = append(overUsed, pack)
		}
	}
	moved := 0
	for _, pack := range overUsed {
		n, err := s.settle(tx, now, pack, sweepBatch-moved)
		if moved += n; err != nil || moved == sweepBatch {
			return moved, err
		}
	}
	return moved, nil
}

// settle moves at most limit CALs of one over-used pack.
func (s *Service) settle(tx store.Tx, now time.Time, overUsed licensing.KeyPack, limit int) (int, error) {
	d := &decision{s: s, tx: tx, now: now, r: Request{Host: licensing.Host{
		Name: "calkeeper", Mode: licensing.PerUser, ProductVersion: overUsed.ProductVersion,
	}}}
	free, err := d.free(overUsed.ProductVersion, now)
	if err != nil || free == nil {
		return 0, err
	}
	var cals []licensing.CAL
	for c, err := range tx.CALs(store.CALFilter{KeyPackID: overUsed.ID}) {
		if err != nil {
			return 0, err
		}
		if cals = append(cals, c); len(cals) == limit || len(cals) == int(free.Available()) {
			break
		}
	}
	for i := range cals {
		if err := d.move(&cals[i], *free); err != nil {
			return 0, err
		}
	}
	return len(cals), nil
}

func (s *Service) forget(tx store.Tx, now time.Time) (int, error) {
	return tx.Forget(now.Add(-answersKept), now.Add(-denialsKept), sweepBatch)
}
