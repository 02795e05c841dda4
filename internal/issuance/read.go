package issuance

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// CAL returns one CAL. Fault: NotFound.
func (s *Service) CAL(ctx context.Context, id uint32) (c licensing.CAL, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		c, err = r.CAL(id)
		return err
	})
	return c, err
}

// CALPage returns by ascending ID at most limit CALs that match.
func (s *Service) CALPage(ctx context.Context, f store.CALFilter, limit int) ([]licensing.CAL, error) {
	var cals []licensing.CAL
	if limit < 1 {
		return nil, nil
	}
	err := s.store.View(ctx, func(r store.Reader) error {
		for c, err := range r.CALs(f) {
			if err != nil {
				return err
			}
			if cals = append(cals, c); len(cals) == limit {
				break
			}
		}
		return nil
	})
	return cals, err
}

// CALSummaries returns what lists show of all CALs by ascending ID, all as they were when the loop began, and read as the loop asks for them: it
// may wait for a client in between (store.Snapshot). An error is the last element.
func (s *Service) CALSummaries(ctx context.Context) iter.Seq2[licensing.CALSummary, error] {
	return store.Stream(ctx, s.store, store.Reader.CALSummaries)
}

// Denials returns at most limit denials whose Seq is greater than after, oldest first.
func (s *Service) Denials(ctx context.Context, after uint64, limit int) (denials []licensing.Denial, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		denials, err = r.Denials(after, limit)
		return err
	})
	return denials, err
}

// DenialCounts returns how often was refused what, since ever.
func (s *Service) DenialCounts(ctx context.Context) (counts []store.DenialCount, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		counts, err = r.DenialCounts()
		return err
	})
	return counts, err
}

// KeyPacks returns the key packs that count CALs, by ascending ID: the installed ones and those that the license server made.
func (s *Service) KeyPacks(ctx context.Context) ([]licensing.KeyPack, error) {
	var packs []licensing.KeyPack
	err := s.store.View(ctx, func(r store.Reader) error {
		for pack, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			packs = append(packs, pack)
		}
		return nil
	})
	return packs, err
}

// Counters returns a counter for each version and type of which there is a key pack or was a denial, by version and type.
func (s *Service) Counters(ctx context.Context) ([]Counter, error) {
	type kind struct {
		version licensing.ProductVersion
		of      licensing.ProductType
	}
	counters := map[kind]*Counter{}
	counter := func(v licensing.ProductVersion, t licensing.ProductType) *Counter {
		c := counters[kind{v, t}]
		if c == nil {
			c = &Counter{ProductVersion: v, ProductType: t}
			counters[kind{v, t}] = c
		}
		return c
	}
	err := s.store.View(ctx, func(r store.Reader) error {
		for pack, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			c := counter(pack.ProductVersion, pack.ProductType)
			switch pack.Type {
			case licensing.KeyPackTemporary:
				c.Temporary += uint64(pack.Issued)
			case licensing.KeyPackOverUsed:
				c.OverUsed += uint64(pack.Issued)
			default:
				c.Installed += uint64(pack.Total)
				c.Issued += uint64(pack.Issued)
				c.Available += uint64(pack.Available())
			}
		}
		denials, err := r.DenialCounts()
		for _, d := range denials {
			counter(d.ProductVersion, d.ProductType).Denied += d.Count
		}
		return err
	})
	var list []Counter
	for _, c := range counters {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Counter) int {
		return cmp.Or(cmp.Compare(a.ProductVersion, b.ProductVersion), cmp.Compare(a.ProductType, b.ProductType))
	})
	return list, err
}
