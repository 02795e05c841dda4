package issuance

import (
	"context"
	"fmt"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Request asks for a CAL for a device or user of a session host. One that has a CAL keeps it, and asking again changes nothing
// but the term. Faults: Invalid; Unlicensed, with a licensing.DenialReason as its cause, after the denial was recorded;
// AlreadyExists if the idempotency key was used for another request.
func (s *Service) Request(ctx context.Context, r Request) (Answer, error) {
	return s.decide(ctx, "request", r, (*decision).request)
}

// Validate says that a logon is complete: its device has authenticated a user, its session has begun. What Request has issued
// provisionally becomes final. One who holds no CAL is treated as in Request. Faults: as Request.
func (s *Service) Validate(ctx context.Context, r Request) (Answer, error) {
	r.Provisional = false
	return s.decide(ctx, "validate", r, (*decision).validate)
}

// Renew extends the term of a CAL that is near its end, and a lease. Faults: Invalid; NotFound if the device or user holds no
// CAL that would do for the session host.
func (s *Service) Renew(ctx context.Context, r Request) (Answer, error) {
	return s.decide(ctx, "renew", r, (*decision).renew)
}

// decide runs one decision in a transaction of its own. A denial commits as well: with its record.
func (s *Service) decide(ctx context.Context, operation string, r Request, f func(*decision) error) (answer Answer, err error) {
	began := s.Now()
	defer func() { s.Observe(operation, answer, err, s.Now().Sub(began)) }()
	if err := checkIdempotencyKey(r.IdempotencyKey); err != nil {
		return Answer{}, err
	}
	var denied error
	err = s.update(ctx, func(tx store.Tx) error {
		if kept, err := recall(tx, operation, r, &answer); kept || err != nil {
			return err
		}
		d := &decision{s: s, tx: tx, r: r, now: s.now()}
		err := d.identify()
		if err == nil {
			err = f(d)
		}
		if licensing.KindOf(err) == licensing.Unlicensed {
			denied = err
			return d.recordDenial(err)
		}
		if err != nil {
			return err
		}
		answer = d.answer
		return remember(tx, operation, r, answer, d.now)
	})
	if err == nil {
		err = denied
	}
	if err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// decision is what is known while one request is decided.
type decision struct {
	s   *Service
	tx  store.Tx
	r   Request
	now time.Time

	userKey, deviceKey string
	holder             string // the one of these that the host's mode counts by

	activated bool
	full      *licensing.CAL  // what the holder has
	temporary []licensing.CAL // what the device has, by version
	packs     []licensing.KeyPack
	packEnd   time.Time // when the key pack of the answer's CAL expires
	answer    Answer
}

// parse checks what is said of user, device and session.
func (d *decision) parse() (err error) {
	if d.r.User != "" {
		if d.userKey, err = licensing.UserKey(d.r.User); err != nil {
			return err
		}
	}
	if !d.r.Device.IsZero() {
		if d.deviceKey, err = licensing.DeviceKey(d.r.Device); err != nil {
			return err
		}
	}
	return licensing.CheckSession(d.r.Session)
}

// identify checks who asks for whom, and makes out the holder.
func (d *decision) identify() error {
	if err := d.parse(); err != nil {
		return err
	}
	if d.deviceKey == "" && d.r.Host.Concurrent {
		if err := d.deviceOfLogon(); err != nil {
			return err
		}
	}
	if d.r.Host.Mode == licensing.PerUser {
		d.holder = d.userKey
	} else {
		d.holder = d.deviceKey
	}
	if d.holder != "" {
		return nil
	}
	if d.r.Host.Mode == licensing.PerUser {
		_, err := licensing.UserKey("")
		return err
	}
	_, err := licensing.DeviceKey(licensing.Device{})
	return err
}

// deviceOfLogon takes the device from the logon that the user has under way, else from the session: when a session begins, a
// session host may not know any more from where. A logon without a user is meant only if nothing else can be.
func (d *decision) deviceOfLogon() error {
	if d.userKey == "" && d.r.Session == "" {
		return nil
	}
	leases, err := d.tx.Leases(store.LeaseFilter{Host: d.r.Host.Name, UserKey: d.userKey})
	if err != nil {
		return err
	}
	var from []licensing.Lease // the last one counts
	logons := 0
	for _, l := range leases {
		switch {
		case l.DeviceKey == "" || !l.Expires.After(d.now):
		case l.Session == "" && l.UserKey == d.userKey:
			from = append(from, l)
			logons++
		case l.Session != "" && l.Session == d.r.Session:
			from = append([]licensing.Lease{l}, from...)
		}
	}
	if d.userKey == "" && logons < len(from) {
		from = from[:1] // the session
	}
	if n := len(from); n > 0 && (d.userKey != "" || n == 1) {
		d.deviceKey, d.r.Device = from[n-1].DeviceKey, from[n-1].Device
	}
	return nil
}

// load reads what the holder has, and reclaims what of it has expired.
func (d *decision) load() error {
	server, err := d.tx.Server()
	if err != nil {
		return err
	}
	d.activated = server.Activated()
	if err := d.loadCALs(d.holder, d.r.Host.Mode); err != nil {
		return err
	}
	if d.r.Host.Mode == licensing.PerUser && !d.activated && d.deviceKey != "" {
		full := d.full
		err = d.loadCALs(d.deviceKey, licensing.PerDevice)
		d.full = full
	}
	return err
}

func (d *decision) loadCALs(holder string, t licensing.ProductType) error {
	cals, err := d.tx.CALsOf(holder, t)
	if err != nil {
		return err
	}
	for _, c := range cals {
		switch {
		case c.Expired(d.now):
			if err := d.s.reclaim(d.tx, d.now, c); err != nil {
				return err
			}
		case c.Full():
			d.full = &c
		default:
			d.temporary = append(d.temporary, c)
		}
	}
	return nil
}

// request decides who gets what: docs/issuance.md has the rules in words.
func (d *decision) request() error {
	if err := d.load(); err != nil {
		return err
	}
	if err := d.takeOver(); err != nil {
		return err
	}
	if err := d.license(); err != nil {
		return err
	}
	return d.lease()
}

func (d *decision) license() error {
	host := d.r.Host
	if d.full != nil && d.full.ProductVersion >= host.ProductVersion {
		return d.keep()
	}
	if !d.activated {
		return d.issueTemporary()
	}
	if host.Mode == licensing.PerDevice && !host.Concurrent {
		known, err := d.authenticatedBefore()
		if err != nil {
			return err
		}
		if !known {
			return d.issueTemporary()
		}
	}
	pack, err := d.free(host.ProductVersion, d.now)
	if err != nil {
		return err
	}
	switch {
	case pack != nil:
		return d.assign(*pack)
	case host.Mode == licensing.PerUser:
		return d.overUse()
	case host.Concurrent:
		return d.deny("")
	}
	return d.issueTemporary()
}

// authenticatedBefore tells whether the device has authenticated a user: only then it gets a CAL of the pool, so that nobody can
// empty the pool by connecting.
func (d *decision) authenticatedBefore() (bool, error) {
	if d.full != nil && d.full.Validated {
		return true, nil
	}
	for _, c := range d.temporary {
		if c.Validated {
			return true, nil
		}
	}
	return d.tx.TemporarySpent(d.holder, d.r.Host.ProductVersion)
}

// validate makes final what was provisional.
func (d *decision) validate() error {
	if err := d.request(); err != nil {
		return err
	}
	c := &d.answer.CAL
	if d.answer.Outcome == Held || c.Status == licensing.StatusTemporary && !c.Validated {
		d.answer.Outcome = Validated
	}
	if c.Validated || c.Status == licensing.StatusPending {
		return nil // a pending CAL that is none now could not become final
	}
	c.Validated = true
	if err := d.tx.UpdateCAL(*c); err != nil {
		return err
	}
	return d.audit("validate", c, "")
}

func (d *decision) renew() error {
	if err := d.load(); err != nil {
		return err
	}
	if d.full == nil || d.full.ProductVersion < d.r.Host.ProductVersion {
		return licensing.Faultf(licensing.NotFound, "%s holds no CAL that would do here: ask for one", d.name())
	}
	if err := d.keep(); err != nil {
		return err
	}
	return d.lease()
}

// deny returns the fault for a request that cannot be met. Without a reason it says what of key packs is lacking.
func (d *decision) deny(reason licensing.DenialReason) error {
	if reason == "" {
		reason = licensing.NoKeyPack
		for i := range d.packs {
			if d.serves(&d.packs[i], d.r.Host.ProductVersion) {
				reason = licensing.NoFreeCAL
			}
		}
	}
	host := d.r.Host
	kind := func(plural string) string {
		text := host.Mode.String() + " CAL" + plural + " of " + host.ProductVersion.String()
		if !d.s.PreventUpgrade {
			text += " or newer"
		}
		return text
	}
	why := map[licensing.DenialReason]string{
		licensing.NoFreeCAL:        "every " + kind("") + " is issued",
		licensing.NoKeyPack:        "there is no key pack of " + kind("s"),
		licensing.OverUseLimit:     "the over-use that is allowed of " + kind("s") + " is reached",
		licensing.TemporaryExpired: "its temporary CAL has expired, and no " + kind("") + " is free",
		licensing.ServerInactive:   "the license server is not activated, and issues temporary CALs to devices only",
	}[reason]
	if reason == licensing.TemporaryExpired && !d.activated {
		why = "its temporary CAL has expired, and the license server is not activated"
	}
	return &licensing.Fault{
		Kind: licensing.Unlicensed, Msg: fmt.Sprintf("no license for %s: %s", d.name(), why), Err: reason,
	}
}

// name returns for whom the CAL is, for people.
func (d *decision) name() string {
	if d.r.Host.Mode == licensing.PerUser {
		return d.r.User
	}
	return d.r.Device.String()
}

func (d *decision) recordDenial(denied error) error {
	fault := denied.(*licensing.Fault)
	reason := fault.Err.(licensing.DenialReason)
	host := d.r.Host
	err := d.tx.InsertDenial(licensing.Denial{
		At: d.now, Host: host.Name, User: d.r.User, Device: d.r.Device, ProductVersion: host.ProductVersion, ProductType: host.Mode,
		Reason: reason, Detail: fault.Msg,
	})
	if err != nil {
		return err
	}
	return d.tx.Audit(store.AuditRecord{At: d.now, Actor: host.Name, Action: "deny", Detail: fault.Msg})
}

// audit appends a record about a CAL.
func (d *decision) audit(action string, c *licensing.CAL, detail string) error {
	return audit(d.tx, d.now, d.r.Host.Name, action, c, detail)
}

// audit appends a record about a CAL of the one it names: its user, or its device.
func audit(tx store.Tx, now time.Time, actor, action string, c *licensing.CAL, detail string) error {
	name := c.User
	if c.ProductType == licensing.PerDevice {
		name = c.Device.String()
	}
	if detail != "" {
		name += ": " + detail
	}
	return tx.Audit(store.AuditRecord{At: now, Actor: actor, Action: action, KeyPackID: c.KeyPackID, LicenseID: c.ID, Detail: name})
}
