package clearinghouse

import (
	"crypto/subtle"
	"errors"
	"slices"

	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// errWrongCredentials marks faults that a guesser would cause: they are counted.
var errWrongCredentials = errors.New("wrong credentials")

func wrongCredentials(format string, args ...any) error {
	f := licensing.Faultf(licensing.NotFound, format, args...)
	f.Err = errWrongCredentials
	return f
}

// purchase is what credentials lead to.
type purchase struct {
	Entitlement
	balances []Balance
}

func (p *purchase) balance(t licensing.ProductType, h Holder) int64 {
	for _, b := range p.balances {
		if b.ProductType == t && b.Holder == h {
			return b.Quantity
		}
	}
	return 0
}

func (p *purchase) has(t licensing.ProductType) bool {
	return slices.ContainsFunc(p.balances, func(b Balance) bool { return b.ProductType == t })
}

// onlyType returns the product type of which the holder has CALs; a retail code does not say it.
func (p *purchase) onlyType(h Holder) (licensing.ProductType, int64) {
	for _, b := range p.balances {
		if b.Holder == h && b.Quantity > 0 {
			return b.ProductType, b.Quantity
		}
	}
	return 0, 0
}

// purchased finds what the operation's credentials stand for, in the organization of the license server that asks.
func (d *decision) purchased() (*purchase, error) {
	if err := d.service.checkFailures(d.server.ID); err != nil {
		return nil, err
	}
	c := d.op.Credentials
	match := Entitlement{Program: c.Program}
	switch c.Program {
	case licensing.Open:
		match.Number, match.SecretHash = c.LicenseNumber, hash(c.AuthorizationNumber)
	case licensing.Agreement:
		match.Number, match.AgreementType = c.AgreementNumber, c.AgreementType
	case licensing.Retail:
		fingerprint := keycode.Fingerprint(c.LicenseCode)
		match.SecretHash = fingerprint[:]
	default:
		return nil, licensing.Faultf(licensing.Invalid, "there is no license program %q", c.Program)
	}
	found, err := d.FindEntitlements(d.server.Organization, match)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(e Entitlement) bool {
		return match.SecretHash != nil && subtle.ConstantTimeCompare(e.SecretHash, match.SecretHash) != 1
	})
	if len(found) == 0 {
		return nil, wrongCredentials("the clearinghouse knows no such %s of your organization", purchaseName(c.Program))
	}
	if c.Program != licensing.Retail {
		found = slices.DeleteFunc(found, func(e Entitlement) bool { return e.ProductVersion != d.op.ProductVersion })
		if len(found) == 0 {
			return nil, licensing.Faultf(licensing.NotFound, "nothing of product version %d was bought under this %s", d.op.ProductVersion, purchaseName(c.Program))
		}
	}
	p := &purchase{Entitlement: found[0]}
	if p.balances, err = d.Balances(p.ID); err != nil {
		return nil, err
	}
	if c.Program != licensing.Retail && !p.has(d.op.ProductType) {
		return nil, licensing.Faultf(licensing.NotFound, "no %s CALs of %s were bought under this %s", d.op.ProductType, p.ProductVersion, purchaseName(c.Program))
	}
	if !p.Expires.IsZero() && !p.Expires.After(d.service.now()) {
		return nil, licensing.Faultf(licensing.NotFound, "this %s has expired on %s", purchaseName(c.Program), p.Expires.Format("2006-01-02"))
	}
	return p, nil
}

func purchaseName(p licensing.Program) string {
	switch p {
	case licensing.Open:
		return "open license"
	case licensing.Retail:
		return "retail license code"
	}
	return "agreement"
}

func (d *decision) install() (Grant, error) {
	if d.op.Code != "" {
		return d.useCode()
	}
	p, err := d.purchased()
	if err != nil {
		return Grant{}, err
	}
	t, count := d.op.ProductType, int64(d.op.Count)
	if p.Program == licensing.Retail {
		if t, count = p.onlyType(Pool); count == 0 {
			return Grant{}, licensing.Faultf(licensing.AlreadyExists, "this license code was used already; to move its CALs here, import them from the license server that holds them")
		}
	} else if free := p.balance(t, Pool); count > free {
		return Grant{}, licensing.Faultf(licensing.OutOfRange, "%d CALs were asked for, %d of this %s are not installed yet", count, free, purchaseName(p.Program))
	}
	return d.grant(p.Entitlement, t, uint32(count)), d.post(Move(p.ID, t, Pool, d.own(), count)...)
}

func (d *decision) importFrom() (Grant, error) {
	if d.op.Code != "" {
		return d.useCode()
	}
	source, err := d.source()
	if err != nil {
		return Grant{}, err
	}
	p, err := d.purchased()
	if err != nil {
		return Grant{}, err
	}
	t, count := d.op.ProductType, int64(d.op.Count)
	if p.Program == licensing.Retail {
		if t, count = p.onlyType(ServerHolder(source.ID)); count == 0 {
			return Grant{}, licensing.Faultf(licensing.NotFound, "the license server %s holds no CALs of this license code", source.Name)
		}
	}
	free, err := d.free(source.ID, p.ID, t)
	if err != nil {
		return Grant{}, err
	}
	if count > free || free == 0 {
		return Grant{}, licensing.Faultf(licensing.OutOfRange, "%d CALs were asked for, the license server %s holds %d", count, source.Name, free)
	}
	grant := d.grant(p.Entitlement, t, uint32(count))
	grant.SourceID = source.LicenseServerID
	if err := d.post(Move(p.ID, t, ServerHolder(source.ID), d.own(), count)...); err != nil {
		return Grant{}, err
	}
	return grant, d.release(source, p.Entitlement, t, uint32(count))
}

// source returns the license server that the CALs shall come from. Its ID decides; a name that contradicts what it
// registered is refused.
func (d *decision) source() (Server, error) {
	id, err := keycode.CheckLicenseServerID(d.op.SourceID)
	if err != nil {
		return Server{}, licensing.Faultf(licensing.Invalid, "the source's license server ID: %v", err)
	}
	name, err := licensing.ParseServerName(d.op.SourceName)
	if err != nil {
		return Server{}, err
	}
	source, err := d.ServerByLicenseServerID(id)
	if err != nil && licensing.KindOf(err) != licensing.NotFound {
		return Server{}, err
	}
	if err != nil || source.Organization != d.server.Organization {
		return Server{}, wrongCredentials("the clearinghouse knows no license server with the source's ID in your organization")
	}
	if source.ID == d.server.ID {
		return Server{}, licensing.Faultf(licensing.Invalid, "the source is this license server itself")
	}
	return source, source.mustAnswerTo(name)
}

// mustAnswerTo refuses a name that is none that the server registered. A host name and a fully qualified name that begins
// with it do not contradict each other.
func (s *Server) mustAnswerTo(name string) error {
	if licensing.AnswersTo(s.Names, name) {
		return nil
	}
	return licensing.Faultf(licensing.NotFound, "the license server with the source's ID is not registered as %s", name)
}

// release queues the notice that tells the source to give up CALs, and records the transfer.
func (d *decision) release(source Server, e Entitlement, t licensing.ProductType, count uint32) error {
	if source.Ahead() {
		return licensing.Faultf(licensing.Limited, "the ledger is older than what license server %s has done: restore a newer copy of it", source.Name)
	}
	now := d.service.now().UTC()
	source.NoticeSeq++
	signed, err := Sign(d.service.keys.Signing, PurposeNotice, Notice{
		Seq: source.NoticeSeq, LicenseServerID: source.LicenseServerID, Entitlement: e.ID, ProductVersion: e.ProductVersion,
		ProductType: t, Count: count, TargetID: d.server.LicenseServerID, Transfer: d.op.Key, At: now,
	})
	if err != nil {
		return err
	}
	if err := d.UpdateServer(source); err != nil {
		return err
	}
	if err := d.InsertNotice(QueuedNotice{Server: source.ID, Seq: source.NoticeSeq, Signed: signed}); err != nil {
		return err
	}
	transfer := Transfer{
		Key: d.op.Key, Entitlement: e.ID, ProductType: t, Count: count, Source: source.ID, Target: d.server.ID,
		At: now, NoticeSeq: source.NoticeSeq,
	}
	if d.op.Kind == Redeem {
		transfer.Acknowledged = now // the key pack was installed before
	}
	return d.InsertTransfer(transfer)
}

// free returns how many CALs of an account are not promised to import codes.
func (d *decision) free(server uint32, entitlement string, t licensing.ProductType) (int64, error) {
	held, err := d.Balance(Account{entitlement, t, ServerHolder(server)})
	if err != nil {
		return 0, err
	}
	codes, err := d.OpenCodes(server, entitlement, t)
	if err != nil {
		return 0, err
	}
	for _, c := range codes {
		promised, err := d.promised(c)
		if err != nil {
			return 0, err
		}
		held -= promised
	}
	return held, nil
}

// promised returns how many CALs an import code still needs from its source.
func (d *decision) promised(c Code) (int64, error) {
	reserved, err := d.Balance(Account{c.Entitlement, c.ProductType, CodeHolder(c.Serial)})
	return int64(c.Count) - reserved, err
}

func (d *decision) convert() (Grant, error) {
	e, err := d.ownEntitlement()
	if err != nil {
		return Grant{}, err
	}
	from, to, count := d.op.ProductType, d.op.ProductType.Other(), int64(d.op.Count)
	free, err := d.free(d.server.ID, e.ID, from)
	if err != nil {
		return Grant{}, err
	}
	if count > free {
		return Grant{}, licensing.Faultf(licensing.OutOfRange, "%d CALs were asked for, this license server holds %d that can be converted", count, free)
	}
	return d.grant(e, to, d.op.Count), d.post(
		Posting{Account{e.ID, from, d.own()}, -count},
		Posting{Account{e.ID, to, d.own()}, count},
	)
}

func (d *decision) ownEntitlement() (Entitlement, error) {
	e, err := d.Entitlement(d.op.Entitlement)
	if err == nil && e.Organization != d.server.Organization {
		err = licensing.Faultf(licensing.NotFound, "there is no entitlement %s in your organization", d.op.Entitlement)
	}
	return e, err
}

// giveBack posts a removal. The CALs that are still on the account go back to the pool, but for those promised to an import
// code, which are kept for it; what an import has taken meanwhile is the target's. The receipt says how many were posted.
func (d *decision) giveBack() (Grant, error) {
	e, err := d.ownEntitlement()
	if err != nil {
		return Grant{}, err
	}
	t := d.op.ProductType
	held, err := d.Balance(Account{e.ID, t, d.own()})
	if err != nil {
		return Grant{}, err
	}
	free, err := d.free(d.server.ID, e.ID, t)
	if err != nil {
		return Grant{}, err
	}
	count := min(int64(d.op.Count), held)
	receipt := d.grant(e, t, uint32(count))
	if count == 0 {
		return receipt, nil
	}
	toPool := min(count, free)
	postings := []Posting{{Account{e.ID, t, d.own()}, -count}}
	if toPool > 0 {
		postings = append(postings, Posting{Account{e.ID, t, Pool}, toPool})
	}
	codes, err := d.OpenCodes(d.server.ID, e.ID, t)
	if err != nil {
		return Grant{}, err
	}
	for _, c := range codes {
		promised, err := d.promised(c)
		if err != nil {
			return Grant{}, err
		}
		if keep := min(promised, count-toPool); keep > 0 {
			postings = append(postings, Posting{Account{e.ID, t, CodeHolder(c.Serial)}, keep})
			toPool += keep
		}
	}
	return receipt, d.post(postings...)
}

// reinstall answers with what the ledger says this license server holds and its database has lost. Nothing is posted.
func (d *decision) reinstall() (Grant, error) {
	if d.op.Code != "" {
		return d.useCode()
	}
	p, err := d.purchased()
	if err != nil {
		return Grant{}, err
	}
	if p.Program == licensing.Retail {
		return d.reinstallRetail(p)
	}
	t, count := d.op.ProductType, int64(d.op.Count)
	missing, err := d.missing(p.Entitlement, t, p.balance(t, d.own()))
	if err != nil {
		return Grant{}, err
	}
	if count > missing {
		return Grant{}, licensing.Faultf(licensing.OutOfRange, "%d CALs were asked for, %d are missing here according to the ledger", count, missing)
	}
	return d.grant(p.Entitlement, t, uint32(count)), nil
}

// reinstallRetail answers with all that is missing of a retail code: of the first product type of which any is.
func (d *decision) reinstallRetail(p *purchase) (Grant, error) {
	var refused error
	for _, t := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
		missing, err := d.missing(p.Entitlement, t, p.balance(t, d.own()))
		if err == nil {
			return d.grant(p.Entitlement, t, uint32(missing)), nil
		}
		if refused == nil || licensing.KindOf(err) == licensing.AlreadyExists {
			refused = err
		}
	}
	return Grant{}, refused
}

// missing returns how many of the CALs held according to the ledger are not installed.
func (d *decision) missing(e Entitlement, t licensing.ProductType, held int64) (int64, error) {
	if held == 0 {
		return 0, licensing.Faultf(licensing.NotFound, "the ledger has no such CALs on this license server: install or import them")
	}
	for _, h := range d.op.Installed {
		if h.Entitlement == e.ID && h.ProductType == t {
			held -= int64(h.Count)
		}
	}
	if held <= 0 {
		return 0, licensing.Faultf(licensing.AlreadyExists, "the key pack is installed already: the ledger has no more such CALs on this license server")
	}
	return held, nil
}

func (d *decision) acknowledge() (Grant, error) {
	transfer, err := d.Transfer(d.op.Grant)
	if err != nil {
		if licensing.KindOf(err) == licensing.NotFound {
			return Grant{Key: d.op.Key, Kind: Acknowledge, At: d.service.now().UTC()}, nil // of a grant that was no import
		}
		return Grant{}, err
	}
	if transfer.Target != d.server.ID {
		return Grant{}, licensing.Faultf(licensing.NotFound, "there is no transfer %s to this license server", d.op.Grant)
	}
	if transfer.Acknowledged.IsZero() {
		transfer.Acknowledged = d.service.now()
		if err := d.UpdateTransfer(transfer); err != nil {
			return Grant{}, err
		}
	}
	return Grant{Key: d.op.Key, Kind: Acknowledge, LicenseServerID: d.server.LicenseServerID, At: d.service.now().UTC()}, nil
}
