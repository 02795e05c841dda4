package reporting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// failuresKept is for how long a user who was denied counts as one without a CAL: as long as a per user CAL lasts.
const failuresKept = licensing.PerUserTerm

// denialsRead is how many denials are read at a time.
const denialsRead = 1000

// Generate makes a report of what is there now, and returns its head. Everything in it is of the same instant. Faults: Limited
// if there are too many reports, or too many others read lists.
func (s *Service) Generate(ctx context.Context, actor string) (licensing.Report, error) {
	select {
	case <-s.making:
		defer func() { s.making <- struct{}{} }()
	case <-ctx.Done():
		return licensing.Report{}, ctx.Err()
	}
	report, err := s.newReport(ctx)
	if err != nil {
		return licensing.Report{}, err
	}
	if err := s.write(ctx, &report); err != nil {
		return licensing.Report{}, err
	}
	if err := s.keep(ctx, actor, "generate report", report); err != nil {
		return licensing.Report{}, errors.Join(err, s.archive.Delete(report.FileName))
	}
	return report, nil
}

// keep stores the head of a report.
func (s *Service) keep(ctx context.Context, actor, action string, report licensing.Report) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		return errors.Join(tx.InsertReport(report), tx.Audit(store.AuditRecord{At: s.now(), Actor: actor, Action: action, Detail: report.FileName}))
	})
}

// newReport names a report by the present. A clock that was set back may give a name that is in use: the next free one follows.
func (s *Service) newReport(ctx context.Context) (report licensing.Report, err error) {
	report.Generated = s.now()
	err = s.store.View(ctx, func(r store.Reader) error {
		all, err := r.Reports()
		if err != nil {
			return err
		}
		if len(all) >= s.Most {
			return licensing.Faultf(licensing.Limited, "there are %d reports: no more are made until some are deleted", len(all))
		}
		at := report.Generated
		report.FileName = at.Format(fileNameLayout)
		for slices.ContainsFunc(all, func(o licensing.Report) bool { return o.FileName == report.FileName }) {
			at = at.Add(time.Microsecond)
			report.FileName = at.Format(fileNameLayout)
		}
		return nil
	})
	return report, err
}

// fileNameLayout makes of an instant in UTC a name that sorts by time and can be part of a path anywhere.
const fileNameLayout = "LicenseReport-20060102T150405.000000Z"

// write writes the entries of a report, and the totals into its head.
func (s *Service) write(ctx context.Context, report *licensing.Report) (err error) {
	draft, err := s.archive.Create(report.FileName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, draft.Close()) }()
	err = s.store.Snapshot(ctx, func(r store.Reader) error {
		summary, err := summarize(r)
		if err != nil {
			return err
		}
		total(report, summary)
		for _, e := range summary {
			if err := draft.AddSummary(e); err != nil {
				return err
			}
		}
		if err := writeCALs(r, draft); err != nil {
			return err
		}
		return writeFailed(r, draft, report.Generated.Add(-failuresKept))
	})
	if err != nil {
		return err
	}
	return draft.Commit()
}

// summarize counts by version and type what key packs hold. Temporary CALs are nobody's property and count nowhere.
func summarize(r store.Reader) ([]SummaryEntry, error) {
	var all []SummaryEntry
	for pack, err := range r.KeyPacks() {
		if err != nil {
			return nil, err
		}
		if pack.Type == licensing.KeyPackTemporary {
			continue
		}
		at, found := slices.BinarySearchFunc(all, pack, func(e SummaryEntry, k licensing.KeyPack) int {
			return cmp.Or(cmp.Compare(e.ProductVersion, k.ProductVersion), cmp.Compare(e.ProductType, k.ProductType))
		})
		if !found {
			if pack.OnDemand() && pack.Issued == 0 {
				continue
			}
			all = slices.Insert(all, at, SummaryEntry{ProductVersion: pack.ProductVersion, ProductType: pack.ProductType})
		}
		all[at].Installed, all[at].Issued = add(all[at].Installed, pack.Total), add(all[at].Issued, pack.Issued)
	}
	return all, nil
}

// total puts the sums of the per user CALs into the head of a report.
func total(report *licensing.Report, summary []SummaryEntry) {
	for _, e := range summary {
		if e.ProductType == licensing.PerUser {
			report.Installed, report.Issued = add(report.Installed, e.Installed), add(report.Issued, e.Issued)
		}
	}
}

// add adds two numbers of CALs; beyond 32 bits the sum is the largest number.
func add(a, b uint32) uint32 { return uint32(min(uint64(a)+uint64(b), math.MaxUint32)) }

func writeCALs(r store.Reader, draft Draft) error {
	for c, err := range r.CALs(store.CALFilter{}) {
		if err != nil {
			return err
		}
		if !c.Full() {
			continue
		}
		if c.ProductType == licensing.PerUser {
			err = draft.AddUser(UserEntry{User: downLevel(c.User), ProductVersion: c.ProductVersion, Expires: c.Expires})
		} else {
			err = draft.AddDevice(DeviceEntry{Device: c.Device, ProductVersion: c.ProductVersion, Expires: c.Expires})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func downLevel(user string) string {
	domain, name := licensing.DownLevelLogonName(user)
	return domain + `\` + name
}

// writeFailed writes who asked in vain for a per user CAL since then and has none now.
func writeFailed(r store.Reader, draft Draft, since time.Time) error {
	for after := uint64(0); ; {
		denials, err := r.Denials(after, denialsRead)
		if err != nil {
			return err
		}
		for _, d := range denials {
			after = d.Seq
			if d.At.Before(since) {
				continue
			}
			if err := putFailed(r, draft, d); err != nil {
				return fmt.Errorf("denial %d: %w", d.Seq, err)
			}
		}
		if len(denials) < denialsRead {
			return nil
		}
	}
}

func putFailed(r store.Reader, draft Draft, d licensing.Denial) error {
	if d.ProductType != licensing.PerUser {
		return nil
	}
	key, err := licensing.UserKey(d.User)
	if err != nil {
		return nil // a session host that named nobody
	}
	cals, err := r.CALsOf(key, licensing.PerUser)
	if err != nil || len(cals) > 0 {
		return err
	}
	domain, _ := licensing.DownLevelLogonName(d.User)
	return draft.PutFailedUser(key, domain, FailedUserEntry{User: downLevel(d.User), ProductVersion: d.ProductVersion, Tried: d.At})
}
