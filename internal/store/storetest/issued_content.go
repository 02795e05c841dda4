package storetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// issued is all that can be read of the CALs and what belongs to them.
type issued struct {
	CALs    []licensing.CAL
	Spent   []spent // as far as readIssued asks
	Leases  []licensing.Lease
	Hosts   []licensing.Host
	Denials []licensing.Denial
	Counts  []store.DenialCount
	Answers []store.Answer // as far as readIssued asks
}

// spent is what SpendTemporary was called with.
type spent struct {
	Holder  string
	Version licensing.ProductVersion
}

// What readIssued asks for by name. Tests that compare content use no other names for answers and spent temporary CALs.
const askedNames = 4

func holderName(i int) string { return fmt.Sprintf("id:device %d", i) }
func hostName(i int) string   { return fmt.Sprintf("rdsh%d.example.com", i) }
func answerKey(i int) string  { return fmt.Sprintf("answer %d", i) }

// readIssued reads everything, and checks what must hold in any state: the order of IDs and Seqs, and that every way to read
// a thing agrees with the list of all. Empty bytes are returned as nil.
func readIssued(r store.Reader) (issued, error) {
	var c issued
	var err error
	for k, err := range r.CALs(store.CALFilter{}) {
		if err != nil {
			return c, err
		}
		c.CALs = append(c.CALs, k)
	}
	var summaries []licensing.CALSummary
	for s, err := range r.CALSummaries() {
		if err != nil {
			return c, err
		}
		summaries = append(summaries, s)
	}
	var want []licensing.CALSummary
	for _, k := range c.CALs {
		want = append(want, k.Summary())
	}
	if err := differ("CALSummaries", summaries, want); err != nil {
		return c, err
	}
	if err := checkCALs(r, c.CALs); err != nil {
		return c, err
	}
	for i := range askedNames {
		for _, v := range versions() {
			yes, err := r.TemporarySpent(holderName(i), v)
			if err != nil {
				return c, err
			}
			if yes {
				c.Spent = append(c.Spent, spent{holderName(i), v})
			}
		}
	}
	if c.Leases, err = r.Leases(store.LeaseFilter{}); err != nil {
		return c, err
	}
	if err := checkLeases(r, c.Leases); err != nil {
		return c, err
	}
	if err := c.readHosts(r); err != nil {
		return c, err
	}
	if err := c.readDenials(r); err != nil {
		return c, err
	}
	for h := range askedNames {
		for k := range askedNames {
			a, err := r.Answer(hostName(h), answerKey(k))
			if licensing.KindOf(err) == licensing.NotFound {
				continue
			}
			if err != nil {
				return c, err
			}
			a.Fingerprint, a.Body = nilIfEmpty(a.Fingerprint), nilIfEmpty(a.Body)
			c.Answers = append(c.Answers, a)
		}
	}
	return c, nil
}

func versions() []licensing.ProductVersion {
	return []licensing.ProductVersion{licensing.WindowsServer2008, licensing.WindowsServer2022, licensing.WindowsServer2025}
}

// endOfTime is after every instant that can be stored.
func endOfTime() time.Time { return time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC) }

// checkCALs compares every other way to read CALs with the list of all.
func checkCALs(r store.Reader, all []licensing.CAL) error {
	last := uint32(0)
	for _, k := range all {
		if k.ID <= last {
			return fmt.Errorf("in CALs ID %d comes after %d", k.ID, last)
		}
		last = k.ID
		one, err := r.CAL(k.ID)
		if err := errors.Join(err, differ("CAL of what CALs listed", one, k)); err != nil {
			return err
		}
		of, err := r.CALsOf(k.Holder, k.ProductType)
		want := only(all, func(o *licensing.CAL) bool {
			return o.Holder == k.Holder && o.ProductType == k.ProductType && o.Slot() >= 0
		})
		slices.SortFunc(want, func(a, b licensing.CAL) int { return cmp.Compare(a.Slot(), b.Slot()) })
		if err := errors.Join(err, differ("CALsOf "+k.Holder, of, want)); err != nil {
			return err
		}
		for i := 1; i < len(of); i++ {
			if of[i-1].Slot() == of[i].Slot() {
				return fmt.Errorf("a holder has two CALs in Slot %d", of[i].Slot())
			}
		}
		if err := checkRevoked(r, all, k.ProductVersion, k.ProductType); err != nil {
			return err
		}
	}
	expired, err := r.ExpiredCALs(endOfTime(), math.MaxInt)
	if !slices.IsSortedFunc(expired, func(a, b licensing.CAL) int { return a.Expires.Compare(b.Expires) }) {
		return fmt.Errorf("ExpiredCALs are not in order: %+v", expired)
	}
	slices.SortFunc(expired, func(a, b licensing.CAL) int { return cmp.Compare(a.ID, b.ID) })
	return errors.Join(err, differ("ExpiredCALs at the end of time", expired, nilIfNone(slices.Clone(all))))
}

// checkRevoked compares CountRevoked with the list of all CALs, at the beginning of time and at noon.
func checkRevoked(r store.Reader, all []licensing.CAL, v licensing.ProductVersion, t licensing.ProductType) error {
	for _, now := range []time.Time{{}, noon()} {
		ends := []time.Time{}
		for _, k := range all {
			if k.ProductVersion == v && k.ProductType == t && k.Status == licensing.StatusRevoked && k.Expires.After(now) {
				ends = append(ends, k.Expires)
			}
		}
		slices.SortFunc(ends, time.Time.Compare)
		for skip, end := range append(ends, time.Time{}) {
			n, next, err := r.CountRevoked(v, t, now, uint32(skip))
			if err := errors.Join(err, differ("CountRevoked", n, uint32(len(ends))), differ("next of CountRevoked", next, end)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLeases compares every other way to read leases with the list of all.
func checkLeases(r store.Reader, all []licensing.Lease) error {
	last := uint64(0)
	for _, l := range all {
		if l.ID <= last {
			return fmt.Errorf("in Leases ID %d comes after %d", l.ID, last)
		}
		last = l.ID
		one, err := r.Lease(l.ID)
		of, errOf := r.LeaseOf(l.Host, l.Session, l.UserKey, l.DeviceKey)
		_, errCAL := r.CAL(l.CAL)
		if err := errors.Join(err, errOf, errCAL, differ("Lease of what Leases listed", one, l), differ("LeaseOf", of, l)); err != nil {
			return err
		}
		for _, f := range []store.LeaseFilter{
			{CAL: l.CAL}, {UserKey: l.UserKey}, {Host: l.Host}, {Host: l.Host, UserKey: l.UserKey},
			{Host: l.Host, UserKey: l.UserKey, CAL: l.CAL}, {After: l.ID}, {After: l.ID - 1, Host: l.Host, Limit: 1},
		} {
			got, err := r.Leases(f)
			if err := errors.Join(err, differ(fmt.Sprintf("Leases(%+v)", f), got, selectLeases(all, f))); err != nil {
				return err
			}
		}
	}
	expired, err := r.ExpiredLeases(endOfTime(), math.MaxInt)
	if !slices.IsSortedFunc(expired, func(a, b licensing.Lease) int { return a.Expires.Compare(b.Expires) }) {
		return fmt.Errorf("ExpiredLeases are not in order: %+v", expired)
	}
	slices.SortFunc(expired, func(a, b licensing.Lease) int { return cmp.Compare(a.ID, b.ID) })
	return errors.Join(err, differ("ExpiredLeases at the end of time", expired, all))
}

// selectLeases is what Leases should return.
func selectLeases(all []licensing.Lease, f store.LeaseFilter) []licensing.Lease {
	matching := only(all, func(l *licensing.Lease) bool {
		return l.ID > f.After && (f.CAL == 0 || l.CAL == f.CAL) && (f.Host == "" || l.Host == f.Host) &&
			(f.UserKey == "" || l.UserKey == f.UserKey)
	})
	if f.Limit > 0 && len(matching) > f.Limit {
		return matching[:f.Limit]
	}
	return matching
}

func (c *issued) readHosts(r store.Reader) error {
	all, err := r.Hosts()
	if err != nil {
		return err
	}
	last := ""
	for _, h := range all {
		if h.Name <= last {
			return fmt.Errorf("in Hosts %q comes after %q", h.Name, last)
		}
		last = h.Name
		one, err := r.Host(h.Name)
		if err := errors.Join(err, differ("Host of what Hosts listed", one, h)); err != nil {
			return err
		}
		for _, credential := range [][]byte{h.TokenHash, h.Certificate} {
			if len(credential) == 0 {
				continue
			}
			of, err := r.HostByCredential(bytes.Clone(credential))
			if err := errors.Join(err, differ("HostByCredential", of, h)); err != nil {
				return err
			}
		}
		h.TokenHash, h.Certificate = nilIfEmpty(h.TokenHash), nilIfEmpty(h.Certificate)
		c.Hosts = append(c.Hosts, h)
	}
	return nil
}

func (c *issued) readDenials(r store.Reader) (err error) {
	if c.Denials, err = r.Denials(0, math.MaxInt); err != nil {
		return err
	}
	seq := uint64(0)
	for _, d := range c.Denials {
		if d.Seq <= seq {
			return fmt.Errorf("in Denials Seq %d comes after %d", d.Seq, seq)
		}
		seq = d.Seq
	}
	if c.Counts, err = r.DenialCounts(); err != nil {
		return err
	}
	slices.SortFunc(c.Counts, compareCounts)
	return nil
}

func compareCounts(a, b store.DenialCount) int {
	return cmp.Or(cmp.Compare(a.ProductVersion, b.ProductVersion), cmp.Compare(a.ProductType, b.ProductType),
		cmp.Compare(a.Reason, b.Reason))
}

// only returns those that match, nil if none does.
func only[T any](all []T, match func(*T) bool) (some []T) {
	for i := range all {
		if match(&all[i]) {
			some = append(some, all[i])
		}
	}
	return some
}
