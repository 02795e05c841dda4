package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// issuedSteps are the methods that applyIssued knows.
func issuedSteps() []string {
	return []string{
		"InsertCAL", "InsertCAL", "InsertCAL", "UpdateCAL", "DeleteCAL", "AddIssued", "SpendTemporary", "InsertLease", "InsertLease",
		"UpdateLease", "ExtendLease", "DeleteLease", "PutHost", "DeleteHost", "InsertDenial", "PutAnswer", "Forget",
	}
}

// issuedStep is what the methods need beyond the fields of step.
type issuedStep struct {
	Status  licensing.LicenseStatus
	Version licensing.ProductVersion
	Type    licensing.ProductType
	Name    int // below askedNames
	Other   int // below askedNames
	Flag    bool
	Expires time.Time // of few different ones
}

func drawIssuedStep(t *rapid.T) issuedStep {
	return issuedStep{
		Status: rapid.SampledFrom([]licensing.LicenseStatus{
			licensing.StatusTemporary, licensing.StatusActive, licensing.StatusRevoked, licensing.StatusPending, licensing.StatusConcurrent,
		}).Draw(t, "status"),
		Version: rapid.SampledFrom(versions()).Draw(t, "version"),
		Type:    licensing.ProductType(rapid.IntRange(0, 1).Draw(t, "type")),
		Name:    rapid.IntRange(0, askedNames-1).Draw(t, "name"),
		Other:   rapid.IntRange(0, askedNames-1).Draw(t, "other"),
		Flag:    rapid.Bool().Draw(t, "flag"),
		Expires: noon().Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "expires")) * time.Hour),
	}
}

func (s step) cal() licensing.CAL {
	return licensing.CAL{
		KeyPackID: licensing.FirstKeyPackID + s.Small, ProductVersion: s.Issued.Version, ProductType: s.Issued.Type, Status: s.Issued.Status,
		Holder: holderName(s.Issued.Name), User: s.Text, Device: licensing.Device{ID: s.Text, Name: s.key()}, Host: s.Text,
		Validated: s.Issued.Flag, Issued: s.Instant, Expires: s.Issued.Expires,
	}
}

// lease returns a lease of a session, or if Flag is set of a logon.
func (s step) lease(cal uint32) licensing.Lease {
	l := licensing.Lease{
		CAL: cal, Host: hostName(s.Issued.Name), User: s.Text, UserKey: fmt.Sprint("user ", s.Small%3),
		Device: licensing.Device{Name: s.Text}, DeviceKey: fmt.Sprint("device ", s.Issued.Other%2), Session: fmt.Sprint(":", s.Issued.Other),
		Provisional: s.Issued.Flag, Opened: s.Instant, Expires: s.Issued.Expires,
	}
	if s.Issued.Flag {
		l.Session = ""
	}
	return l
}

func (s step) host() licensing.Host {
	h := licensing.Host{
		Name: hostName(s.Issued.Name), ProductVersion: s.Issued.Version, Mode: s.Issued.Type, Concurrent: s.Issued.Flag,
		LeaseTTL: time.Duration(s.Number), Added: s.Instant,
	}
	switch s.Small {
	case 0, 1, 2:
		h.TokenHash = credential(s.Issued.Other)
	case 3, 4:
		h.Certificate = credential(s.Issued.Other)
	}
	return h
}

func (s step) denial() licensing.Denial {
	return licensing.Denial{
		At: s.Issued.Expires, Host: s.Text, User: s.Text, Device: licensing.Device{ID: s.Text}, ProductVersion: s.Issued.Version,
		ProductType: s.Issued.Type, Reason: licensing.DenialReasons()[s.Issued.Name], Detail: s.Text,
	}
}

func (s step) answer() store.Answer {
	a := answer(s.Issued.Name, s.Issued.Other, s.Text)
	a.Body, a.At = nilIfEmpty(a.Body), s.Issued.Expires
	return a
}

func (c *issued) clone() issued {
	return issued{
		CALs: slices.Clone(c.CALs), Spent: slices.Clone(c.Spent), Leases: slices.Clone(c.Leases), Hosts: slices.Clone(c.Hosts),
		Denials: slices.Clone(c.Denials), Counts: slices.Clone(c.Counts), Answers: slices.Clone(c.Answers),
	}
}

// applyIssued is apply for the methods of store.LicenseWriter. What needs no audit record counts as no change.
func (m *model) applyIssued(tx store.Tx, s step) (changed bool, wrong error) {
	c := &m.Issued
	switch s.Method {
	case "InsertCAL", "UpdateCAL", "DeleteCAL":
		return m.changeCAL(tx, s)
	case "AddIssued":
		delta := []int{1, 1, -1, 5, math.MaxUint32, -math.MaxUint32}[s.Small]
		if s.Pick >= len(m.KeyPacks) {
			return false, fault(s.Method, tx.AddIssued(m.lastKeyPackID+1, delta), licensing.NotFound)
		}
		k := &m.KeyPacks[s.Pick]
		if sum := int64(k.Issued) + int64(delta); sum < 0 || sum > math.MaxUint32 {
			return false, fault(s.Method, tx.AddIssued(k.ID, delta), licensing.OutOfRange)
		}
		k.Issued = uint32(int64(k.Issued) + int64(delta))
		return true, tx.AddIssued(k.ID, delta)
	case "SpendTemporary":
		this := spent{holderName(s.Issued.Name), s.Issued.Version}
		known := slices.Contains(c.Spent, this)
		if !known {
			c.Spent = append(c.Spent, this)
			slices.SortFunc(c.Spent, func(a, b spent) int {
				return cmp.Or(cmp.Compare(a.Holder, b.Holder), cmp.Compare(a.Version, b.Version))
			})
		}
		return !known, tx.SpendTemporary(this.Holder, this.Version, s.Instant)
	case "InsertLease", "UpdateLease", "ExtendLease", "DeleteLease":
		return m.changeLease(tx, s)
	case "PutHost", "DeleteHost":
		return m.changeHost(tx, s)
	case "InsertDenial":
		return true, m.insertDenial(tx, s.denial())
	case "PutAnswer":
		a := s.answer()
		c.Answers = slices.DeleteFunc(c.Answers, func(o store.Answer) bool { return o.Host == a.Host && o.Key == a.Key })
		c.Answers = append(c.Answers, a)
		slices.SortFunc(c.Answers, func(a, b store.Answer) int { return cmp.Compare(a.Host+a.Key, b.Host+b.Key) })
		return true, tx.PutAnswer(a)
	case "Forget":
		other := s.Issued.Expires.Add(time.Duration(s.Issued.Name-1) * time.Hour)
		before := len(c.Answers) + len(c.Denials)
		c.Answers = nilIfNone(slices.DeleteFunc(c.Answers, func(a store.Answer) bool { return a.At.Before(s.Issued.Expires) }))
		c.Denials = nilIfNone(slices.DeleteFunc(c.Denials, func(d licensing.Denial) bool { return d.At.Before(other) }))
		n, err := tx.Forget(s.Issued.Expires, other, math.MaxInt)
		return false, errors.Join(err, differ("Forget", n, before-len(c.Answers)-len(c.Denials)))
	}
	return false, fmt.Errorf("the suite has no method %q", s.Method)
}

func (m *model) changeCAL(tx store.Tx, s step) (changed bool, wrong error) {
	c, k := &m.Issued, s.cal()
	at := len(c.CALs) - 1 - s.Pick // the newest most often
	if s.Method != "InsertCAL" {
		if at < 0 {
			k.ID = m.lastCAL + 1
			return false, errors.Join(fault("UpdateCAL", tx.UpdateCAL(k), licensing.NotFound), fault("DeleteCAL", tx.DeleteCAL(k.ID), licensing.NotFound))
		}
		k.ID = c.CALs[at].ID
	}
	if s.Method == "DeleteCAL" {
		c.CALs = nilIfNone(slices.Delete(c.CALs, at, at+1))
		c.Leases = nilIfNone(slices.DeleteFunc(c.Leases, func(l licensing.Lease) bool { return l.CAL == k.ID }))
		return true, tx.DeleteCAL(k.ID)
	}
	taken := slices.ContainsFunc(c.CALs, func(o licensing.CAL) bool {
		return o.ID != k.ID && o.Holder == k.Holder && o.ProductType == k.ProductType && o.Slot() == k.Slot() && k.Slot() >= 0
	})
	if s.Method == "UpdateCAL" {
		if taken {
			return false, fault(s.Method, tx.UpdateCAL(k), licensing.AlreadyExists)
		}
		c.CALs[at] = k
		return true, tx.UpdateCAL(k)
	}
	id, err := tx.InsertCAL(k)
	if taken {
		return false, fault(s.Method, err, licensing.AlreadyExists)
	}
	if err == nil && id <= m.lastCAL {
		err = fmt.Errorf("the CAL got ID %d, and %d was used before", id, m.lastCAL)
	}
	k.ID, m.lastCAL = id, id
	c.CALs = append(c.CALs, k)
	return true, err
}

func (m *model) changeLease(tx store.Tx, s step) (changed bool, wrong error) {
	c := &m.Issued
	at := len(c.Leases) - 1 - s.Pick
	if s.Method != "InsertLease" && at < 0 {
		none := m.lastLease + 1
		return false, errors.Join(fault("ExtendLease", tx.ExtendLease(none, s.Issued.Expires), licensing.NotFound),
			fault("DeleteLease", tx.DeleteLease(none), licensing.NotFound))
	}
	switch s.Method {
	case "DeleteLease":
		id := c.Leases[at].ID
		c.Leases = nilIfNone(slices.Delete(c.Leases, at, at+1))
		return true, tx.DeleteLease(id)
	case "ExtendLease":
		l := &c.Leases[at]
		l.Expires = s.Issued.Expires
		k := &c.CALs[slices.IndexFunc(c.CALs, func(k licensing.CAL) bool { return k.ID == l.CAL })]
		if k.Status == licensing.StatusConcurrent && k.Expires.Before(l.Expires) {
			k.Expires = l.Expires
		}
		return false, tx.ExtendLease(l.ID, l.Expires)
	}
	if len(c.CALs) == 0 {
		_, err := tx.PutLease(s.lease(m.lastCAL + 1))
		return false, fault("PutLease without its CAL", err, licensing.NotFound)
	}
	l := s.lease(c.CALs[s.Pick%len(c.CALs)].ID)
	if s.Method == "UpdateLease" {
		l.ID = c.Leases[at].ID
	}
	taken := slices.ContainsFunc(c.Leases, func(o licensing.Lease) bool {
		return o.ID != l.ID && o.Host == l.Host && o.Session == l.Session &&
			(l.Session != "" || o.UserKey == l.UserKey && o.DeviceKey == l.DeviceKey)
	})
	id, err := tx.PutLease(l)
	switch {
	case taken:
		return false, fault(s.Method, err, licensing.AlreadyExists)
	case s.Method == "UpdateLease":
		c.Leases[at] = l
		return true, errors.Join(err, differ("ID of PutLease", id, l.ID))
	case err == nil && id <= m.lastLease:
		return true, fmt.Errorf("the lease got ID %d, and %d was used before", id, m.lastLease)
	}
	l.ID, m.lastLease = id, id
	c.Leases = append(c.Leases, l)
	return true, err
}

func (m *model) changeHost(tx store.Tx, s step) (changed bool, wrong error) {
	c, h := &m.Issued, s.host()
	at, known := slices.BinarySearchFunc(c.Hosts, h.Name, func(o licensing.Host, name string) int { return cmp.Compare(o.Name, name) })
	if s.Method == "DeleteHost" {
		if !known {
			return false, fault(s.Method, tx.DeleteHost(h.Name), licensing.NotFound)
		}
		c.Hosts = nilIfNone(slices.Delete(c.Hosts, at, at+1))
		c.Leases = nilIfNone(slices.DeleteFunc(c.Leases, func(l licensing.Lease) bool { return l.Host == h.Name }))
		return true, tx.DeleteHost(h.Name)
	}
	own := string(h.TokenHash) + string(h.Certificate) // it has one of them
	if own != "" && slices.ContainsFunc(c.Hosts, func(o licensing.Host) bool {
		return o.Name != h.Name && string(o.TokenHash)+string(o.Certificate) == own
	}) {
		return false, fault(s.Method, tx.PutHost(h), licensing.AlreadyExists)
	}
	if known {
		c.Hosts[at] = h
	} else {
		c.Hosts = slices.Insert(c.Hosts, at, h)
	}
	return true, tx.PutHost(h)
}

func (m *model) insertDenial(tx store.Tx, d licensing.Denial) error {
	if err := tx.InsertDenial(d); err != nil {
		return err
	}
	added, err := tx.Denials(m.lastDenial, math.MaxInt)
	if err != nil || len(added) != 1 {
		return fmt.Errorf("after InsertDenial there are %d new denials (%w)", len(added), err)
	}
	d.Seq = added[0].Seq
	m.lastDenial = d.Seq
	c := &m.Issued
	c.Denials = append(c.Denials, d)
	count := store.DenialCount{ProductVersion: d.ProductVersion, ProductType: d.ProductType, Reason: d.Reason}
	at, known := slices.BinarySearchFunc(c.Counts, count, compareCounts)
	if !known {
		c.Counts = slices.Insert(c.Counts, at, count)
	}
	c.Counts[at].Count++
	return nil
}
