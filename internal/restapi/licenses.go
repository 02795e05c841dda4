package restapi

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/receipt"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

const licenseTag = "licenses"

type (
	licenseInput struct {
		Key  string `header:"Idempotency-Key" doc:"At most 255 printable ASCII characters, in double quotes or not. The same request under the same key gets the same answer."`
		Body wire.Request
	}
	licenseOutput struct {
		Status   int
		Location string `header:"Location" hidden:"true"`
		Body     wire.Answer
	}
	endedOutput struct{ Body wire.Ended }
	licenseID   struct {
		ID uint64 `path:"id" maximum:"4294967295"`
	}
	licensesInput struct {
		After   uint64 `query:"after" maximum:"4294967295" doc:"Only those with a greater ID."`
		Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		KeyPack uint64 `query:"keyPack" maximum:"4294967295" doc:"Only of this key pack."`
		Status  string `query:"status" enum:"temporary,active,revoked,pending,concurrent"`
		Search  string `query:"search" maxLength:"256" doc:"A part of the user's name, or of the device's ID or name, in any case."`
	}
	licensesOutput struct {
		Link string `header:"Link" hidden:"true"`
		Body wire.LicensePage
	}
	oneLicenseOutput struct{ Body wire.License }
	revokeOutput     struct{ Body wire.Revocation }
	nothing          struct{}
)

func (s *server) licenseRoutes() {
	for _, d := range []struct {
		id, path, summary, description string
		f                              func(context.Context, issuance.Request) (issuance.Answer, error)
	}{
		{"request-license", "/v1/licenses", "Request a license", "A device or user that has one keeps it. A refusal is recorded, and is a problem of " +
			"the type unlicensed with a reason.", s.Issuance.Request},
		{"validate-license", "/v1/licenses/validate", "Say that a logon is complete", "What was issued provisionally becomes final; one who " +
			"holds no license is treated as in a request for one.", s.Issuance.Validate},
		{"renew-license", "/v1/licenses/renew", "Renew a license", "Extends the term of a license that is near its end, and a lease.", s.Issuance.Renew},
	} {
		register(s, operation{
			id: d.id, method: http.MethodPost, path: d.path, tag: licenseTag, summary: d.summary, description: d.description,
			access: strangers | hosts, success: []int{http.StatusOK, http.StatusCreated}, answer: reflect.TypeFor[wire.Answer](),
			refusals: []int{http.StatusNotFound, http.StatusConflict}, header: map[string]string{"Location": "The license, if it is new."},
		}, func(ctx context.Context, x *exchange, in *licenseInput) (*licenseOutput, error) {
			return s.ask(ctx, x, in, d.f)
		})
	}
	register(s, operation{
		id: "release-license", method: http.MethodPost, path: "/v1/licenses/release", tag: licenseTag, access: strangers | hosts,
		summary:     "Say that a session has ended, or a logon has failed",
		description: "Frees what lasts as long as the session, or is provisional. A license with a term stays with its holder.",
		success:     []int{http.StatusOK},
	}, s.release)
	register(s, operation{
		id: "list-licenses", method: http.MethodGet, path: "/v1/licenses", tag: licenseTag, access: anyone, summary: "List issued licenses",
		description: "By ascending ID; a session host gets those that it asked for last.",
		success:     []int{http.StatusOK}, header: linkHeader(),
	}, s.licenses)
	register(s, operation{
		id: "get-license", method: http.MethodGet, path: "/v1/licenses/{id}", tag: licenseTag, access: anyone, summary: "Get a license",
		success: []int{http.StatusOK}, refusals: []int{http.StatusNotFound},
	}, s.license)
	register(s, operation{
		id: "revoke-license", method: http.MethodPost, path: "/v1/licenses/{id}/revoke", tag: licenseTag, access: operating,
		summary:     "Revoke a per device license",
		description: "At any time at most 20 percent of the per device licenses of a version are revoked. A refusal has the member revocation too.",
		success:     []int{http.StatusOK}, refusals: []int{http.StatusNotFound},
	}, s.revoke)
	register(s, operation{
		id: "delete-license", method: http.MethodDelete, path: "/v1/licenses/{id}", tag: licenseTag, access: operating,
		summary:     "Take a license back from a user or device that needs it no more",
		description: "A per device license with a term is revoked instead.",
		success:     []int{http.StatusNoContent}, refusals: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *licenseID) (*nothing, error) {
		return &nothing{}, s.Issuance.ReleaseCAL(ctx, x.caller.name, uint32(in.ID))
	})
}

// ask runs one of the use-cases that answer a session host.
func (s *server) ask(ctx context.Context, x *exchange, in *licenseInput, f func(context.Context, issuance.Request) (issuance.Answer, error)) (*licenseOutput, error) {
	r, err := s.request(x, in.Body)
	if err != nil {
		return nil, err
	}
	if r.IdempotencyKey, err = idempotencyKey(in.Key); err != nil {
		return nil, err
	}
	answer, err := f(ctx, r)
	if licensing.KindOf(err) == licensing.AlreadyExists && err != nil {
		p := problemOf(err)
		p.Status = http.StatusUnprocessableEntity // as the draft about the header has it
		return nil, p
	}
	if err != nil {
		return nil, err
	}
	out := &licenseOutput{Status: http.StatusOK, Body: encodeAnswer(answer)}
	if answer.Outcome == issuance.Issued || answer.Outcome == issuance.Upgraded {
		out.Status = http.StatusCreated
		out.Location = "/v1/licenses/" + strconv.FormatUint(uint64(answer.CAL.ID), 10)
	}
	if in.Body.Receipt {
		out.Body.Receipt, err = s.receipt(r, answer)
	}
	return out, err
}

// request decodes what a session host asks.
func (s *server) request(x *exchange, body wire.Request) (issuance.Request, error) {
	r := issuance.Request{Host: x.caller.host, User: body.User, Session: body.Session, Provisional: body.Provisional}
	if body.Device != nil {
		r.Device = licensing.Device{ID: body.Device.ID, Name: body.Device.Name}
	}
	said := body.SessionHost
	if x.caller.is == hosts {
		if said != nil {
			return r, licensing.Faultf(licensing.Invalid, "body.sessionHost is for session hosts that are not registered: leave it out, %s is registered as %s, %s",
				r.Host.Name, r.Host.ProductVersion.ShortName(), r.Host.Mode.ModeName())
		}
		return r, nil
	}
	if said == nil {
		return r, licensing.Faultf(licensing.Invalid, "body.sessionHost is missing: a session host that is not registered says its version and mode")
	}
	version, err := licensing.ParseVersionName(said.Version)
	if err != nil {
		return r, err
	}
	mode, err := licensing.ParseMode(said.Mode)
	if err != nil {
		return r, err
	}
	r.Host, err = s.Issuance.UnregisteredHost(x.address, version, mode)
	return r, err
}

// idempotencyKey reads the header: a string of structured fields (RFC 9651, section 3.3.3), as the draft has it, or the same
// without its quotes.
func idempotencyKey(given string) (string, error) {
	quoted, ok := strings.CutPrefix(given, `"`)
	if !ok {
		return given, nil
	}
	var key strings.Builder
	for i := 0; i < len(quoted); i++ {
		switch c := quoted[i]; {
		case c == '\\' && i+1 < len(quoted) && (quoted[i+1] == '"' || quoted[i+1] == '\\'):
			i++
			key.WriteByte(quoted[i])
		case c == '"' && i == len(quoted)-1 && i > 0:
			return key.String(), nil
		case c == '"' || c == '\\':
			i = len(quoted)
		default:
			key.WriteByte(c)
		}
	}
	return "", licensing.Faultf(licensing.Invalid, `the header %s must be a text in double quotes, such as "8e03978e-40d5-43dd-bc93-6894a57f9324"`, wire.IdempotencyKeyHeader)
}

// receipt signs that the license server has allowed what the session host asked.
func (s *server) receipt(r issuance.Request, a issuance.Answer) (string, error) {
	now := s.Now().UTC()
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.Random, id); err != nil {
		return "", fmt.Errorf("random bytes: %w", err)
	}
	c := receipt.Claims{
		Issuer: s.ServerName, Host: r.Host.Name, ID: hex.EncodeToString(id), LicenseID: a.CAL.ID, Issued: now, Expires: now.Add(s.Limits.ReceiptTTL),
	}
	if a.Lease != nil { // when a session begins, its host may not say any more whose it is, or from where
		c.User, c.Device = a.Lease.UserKey, a.Lease.DeviceKey
	}
	var err error
	if r.User != "" {
		if c.User, err = licensing.UserKey(r.User); err != nil {
			return "", err
		}
	}
	if !r.Device.IsZero() {
		if c.Device, err = licensing.DeviceKey(r.Device); err != nil {
			return "", err
		}
	}
	// One that lasts as long as its session would end the receipt too soon: that the session lives, nobody can tell the license
	// server while it is out of reach.
	term := a.CAL.Status == licensing.StatusActive || a.CAL.Status == licensing.StatusTemporary
	if term && a.CAL.Expires.Before(c.Expires) {
		c.Expires = a.CAL.Expires
	}
	return receipt.Sign(s.ReceiptKey, c), nil
}

func (s *server) release(ctx context.Context, x *exchange, in *struct{ Body wire.Request }) (*endedOutput, error) {
	r, err := s.request(x, in.Body)
	if err != nil {
		return nil, err
	}
	ended, err := s.Issuance.Release(ctx, r)
	return &endedOutput{encodeEnded(ended)}, err
}

func (s *server) licenses(ctx context.Context, x *exchange, in *licensesInput) (*licensesOutput, error) {
	f := store.CALFilter{After: uint32(in.After), KeyPackID: uint32(in.KeyPack), Search: in.Search}
	if in.Status != "" {
		var err error
		if f.Status, err = licensing.ParseLicenseStatus(in.Status); err != nil {
			return nil, err
		}
	}
	if x.caller.is == hosts {
		f.Host = x.caller.name
	}
	cals, err := s.Issuance.CALPage(ctx, f, in.Limit+1)
	if err != nil {
		return nil, err
	}
	var next uint32
	if len(cals) > in.Limit {
		cals = cals[:in.Limit]
		next = cals[in.Limit-1].ID
	}
	return &licensesOutput{x.link("/v1/licenses", uint64(next)), wire.LicensePage{Licenses: each(cals, encodeLicense), Next: next}}, nil
}

func (s *server) license(ctx context.Context, x *exchange, in *licenseID) (*oneLicenseOutput, error) {
	c, err := s.Issuance.CAL(ctx, uint32(in.ID))
	if err == nil && x.caller.is == hosts && c.Host != x.caller.name {
		err = licensing.Faultf(licensing.NotFound, "there is no CAL %d", in.ID)
	}
	return &oneLicenseOutput{encodeLicense(c)}, err
}

func (s *server) revoke(ctx context.Context, x *exchange, in *licenseID) (*revokeOutput, error) {
	rest, err := s.Issuance.Revoke(ctx, x.caller.name, uint32(in.ID))
	out := &revokeOutput{encodeRevocation(rest)}
	if k := licensing.KindOf(err); err != nil && (k == licensing.OutOfRange || k == licensing.NotSupported) {
		p := problemOf(err)
		p.Revocation = &out.Body
		return nil, p
	}
	return out, err
}
