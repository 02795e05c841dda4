package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"calkeeper/internal/restapi/wire"
)

// Request asks for a license for a device or user. Sent again under the same key it gets the same answer; an empty key is none.
// Faults: Invalid; Unlicensed; AlreadyExists if the key was used for another request.
func (c *Client) Request(ctx context.Context, r wire.Request, key string) (wire.Answer, error) {
	return c.answer(ctx, "/licenses", r, key)
}

// Validate says that a logon is complete. Faults: as Request.
func (c *Client) Validate(ctx context.Context, r wire.Request, key string) (wire.Answer, error) {
	return c.answer(ctx, "/licenses/validate", r, key)
}

// Renew extends the license, and the lease, of one who has it. Faults: Invalid; NotFound.
func (c *Client) Renew(ctx context.Context, r wire.Request, key string) (wire.Answer, error) {
	return c.answer(ctx, "/licenses/renew", r, key)
}

// Release says that a session has ended, or a logon has failed.
func (c *Client) Release(ctx context.Context, r wire.Request) (ended wire.Ended, err error) {
	return ended, c.do(ctx, http.MethodPost, "/licenses/release", nil, r, &ended)
}

func (c *Client) answer(ctx context.Context, path string, r wire.Request, key string) (a wire.Answer, err error) {
	header := http.Header{}
	if key != "" {
		header.Set(wire.IdempotencyKeyHeader, quoted(key))
	}
	return a, c.do(ctx, http.MethodPost, path, header, r, &a)
}

// LicenseQuery says which licenses are asked for; its zero value means the first page of all.
type LicenseQuery struct {
	After   uint32 // only those with a greater ID
	Limit   int    // 0: 100; at most 1000
	KeyPack uint32 // 0: any
	Status  string // empty: any
	Search  string // a part of the user's name, or of the device's ID or name
}

// Licenses returns a page of the issued licenses, by ascending ID; a session host gets its own.
func (c *Client) Licenses(ctx context.Context, q LicenseQuery) (page wire.LicensePage, err error) {
	path := query("/licenses", "after", number(q.After), "limit", number(q.Limit), "keyPack", number(q.KeyPack), "status", q.Status, "search", q.Search)
	return page, c.do(ctx, http.MethodGet, path, nil, nil, &page)
}

// License returns one license. Fault: NotFound.
func (c *Client) License(ctx context.Context, id uint32) (l wire.License, err error) {
	return l, c.do(ctx, http.MethodGet, "/licenses/"+number(id), nil, nil, &l)
}

// Revoke takes a per device license back. Faults: NotFound; NotSupported; OutOfRange at the limit, whose message says when the
// next can be revoked.
func (c *Client) Revoke(ctx context.Context, id uint32) (rest wire.Revocation, err error) {
	return rest, c.do(ctx, http.MethodPost, "/licenses/"+number(id)+"/revoke", nil, nil, &rest)
}

// ReleaseLicense takes a license back that is not per device with a term. Faults: NotFound; NotSupported.
func (c *Client) ReleaseLicense(ctx context.Context, id uint32) error {
	return c.do(ctx, http.MethodDelete, "/licenses/"+number(id), nil, nil, nil)
}

// LeaseQuery says which leases are asked for; its zero value means the first page of all.
type LeaseQuery struct {
	After uint64 // only those with a greater ID
	Limit int    // 0: 100; at most 1000
	Host  string // empty: any
	User  string // in any of its spellings; empty: any
}

// Leases returns a page of the sessions that use licenses, by ascending ID; a session host gets its own.
func (c *Client) Leases(ctx context.Context, q LeaseQuery) (page wire.LeasePage, err error) {
	path := query("/leases", "after", number(q.After), "limit", number(q.Limit), "host", q.Host, "user", q.User)
	return page, c.do(ctx, http.MethodGet, path, nil, nil, &page)
}

// RenewLease says that a session of this session host lives. Fault: NotFound.
func (c *Client) RenewLease(ctx context.Context, id uint64) (l wire.Lease, err error) {
	return l, c.do(ctx, http.MethodPost, "/leases/"+number(id)+"/renew", nil, nil, &l)
}

// EndLease ends a session that is over. Fault: NotFound.
func (c *Client) EndLease(ctx context.Context, id uint64) (ended wire.Ended, err error) {
	return ended, c.do(ctx, http.MethodDelete, "/leases/"+number(id), nil, nil, &ended)
}

// Denials returns a page of the refused requests after one, oldest first. A limit of 0 means 100.
func (c *Client) Denials(ctx context.Context, after uint64, limit int) (page wire.DenialPage, err error) {
	return page, c.do(ctx, http.MethodGet, query("/denials", "after", number(after), "limit", number(limit)), nil, nil, &page)
}

// Counters returns the counters by version and type, and the denials by reason.
func (c *Client) Counters(ctx context.Context) (counters wire.Counters, err error) {
	return counters, c.do(ctx, http.MethodGet, "/counters", nil, nil, &counters)
}

// KeyPacks returns the key packs that licenses are counted in.
func (c *Client) KeyPacks(ctx context.Context) ([]wire.KeyPack, error) {
	var packs wire.KeyPacks
	err := c.do(ctx, http.MethodGet, "/keypacks", nil, nil, &packs)
	return packs.KeyPacks, err
}

// SetOverUse changes what happens when more of a key pack is asked for than there is. Faults: NotFound; Invalid.
func (c *Client) SetOverUse(ctx context.Context, keyPackID uint32, o wire.OverUse) error {
	return c.do(ctx, http.MethodPut, "/keypacks/"+number(keyPackID)+"/over-use", nil, o, nil)
}

// Hosts returns the registered session hosts by name.
func (c *Client) Hosts(ctx context.Context) ([]wire.Host, error) {
	var hosts wire.Hosts
	err := c.do(ctx, http.MethodGet, "/hosts", nil, nil, &hosts)
	return hosts.Hosts, err
}

// AddHost registers a session host. Faults: Invalid; AlreadyExists.
func (c *Client) AddHost(ctx context.Context, h wire.NewHost) (added wire.AddedHost, err error) {
	return added, c.do(ctx, http.MethodPost, "/hosts", nil, h, &added)
}

// NewToken gives a session host a new token, in place of its token or certificate. Fault: NotFound.
func (c *Client) NewToken(ctx context.Context, name string) (string, error) {
	var token wire.Token
	err := c.do(ctx, http.MethodPost, "/hosts/"+url.PathEscape(name)+"/token", nil, nil, &token)
	return token.Token, err
}

// RemoveHost takes a session host's registration back. Fault: NotFound.
func (c *Client) RemoveHost(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/hosts/"+url.PathEscape(name), nil, nil, nil)
}

// Accounts returns all accounts, by name.
func (c *Client) Accounts(ctx context.Context) ([]wire.Account, error) {
	var accounts wire.Accounts
	err := c.do(ctx, http.MethodGet, "/accounts", nil, nil, &accounts)
	return accounts.Accounts, err
}

// Account returns one account. Fault: NotFound.
func (c *Client) Account(ctx context.Context, name string) (a wire.Account, err error) {
	return a, c.do(ctx, http.MethodGet, "/accounts/"+url.PathEscape(name), nil, nil, &a)
}

// SetAccount adds an account, or changes it, and returns it. Faults: Invalid; AlreadyExists if another one has the certificate; NotSupported if
// there would be no Administrator any more.
func (c *Client) SetAccount(ctx context.Context, name string, change wire.AccountChange) (a wire.Account, err error) {
	return a, c.do(ctx, http.MethodPut, "/accounts/"+url.PathEscape(name), nil, change, &a)
}

// RemoveAccount removes an account. Faults: NotFound; NotSupported for the last Administrator.
func (c *Client) RemoveAccount(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/accounts/"+url.PathEscape(name), nil, nil, nil)
}

// Events returns at most limit events after one, and waits so long for the first: at most 60 seconds, of which fractions are
// lost. A limit of 0 means 100. A session host gets its own.
func (c *Client) Events(ctx context.Context, after uint64, limit int, wait time.Duration) (page wire.EventPage, err error) {
	wait = min(max(wait, 0), wire.MaxWait*time.Second).Truncate(time.Second)
	path := query("/events", "after", number(after), "limit", number(limit), "wait", number(int(wait.Seconds())))
	return page, c.within(ctx, c.options.Timeout+wait, http.MethodGet, path, nil, nil, &page)
}

// Audit returns a page of the audit records after one, oldest first, and the end of their hash chain at the same moment. A limit of 0 means 100.
func (c *Client) Audit(ctx context.Context, after uint64, limit int) (page wire.AuditPage, err error) {
	return page, c.do(ctx, http.MethodGet, query("/audit", "after", number(after), "limit", number(limit)), nil, nil, &page)
}

// Server returns what the license server says of itself.
func (c *Client) Server(ctx context.Context) (s wire.Server, err error) {
	return s, c.do(ctx, http.MethodGet, "/server", nil, nil, &s)
}
