package app

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
	"calkeeper/internal/auth/ntlm"
	"calkeeper/internal/auth/spnego"
	"calkeeper/internal/store"
	"calkeeper/internal/wsman"
)

// authenticator lets WS-Management use auth, and has audit records say where a request came from.
type authenticator struct{ *auth.HTTP }

// Authenticate is that of wsman.Authenticator.
func (a authenticator) Authenticate(ctx context.Context, r *http.Request, reply http.Header) (context.Context, error) {
	remote := auth.AddressOf(r.RemoteAddr)
	ctx, err := a.HTTP.Authenticate(store.WithOrigin(ctx, store.Origin{Remote: remote}), r, reply)
	if err != nil {
		return ctx, err
	}
	return store.WithOrigin(ctx, store.Origin{Remote: remote, Mechanism: auth.FromContext(ctx).Mechanism}), nil
}

// Protection is that of wsman.Authenticator.
func (a authenticator) Protection(ctx context.Context) wsman.Protection {
	security, required := a.Security(ctx)
	if security == nil {
		return wsman.Protection{}
	}
	return wsman.Protection{Sealer: security, Required: required}
}

// authenticator returns how WS-Management authenticates: local accounts with Basic and NTLM, principals with Kerberos if there is a keytab.
func (l *LicenseServer) authenticator() wsman.Authenticator {
	h := &auth.HTTP{
		Accounts: l.Accounts, Realm: "WSMAN", AllowUnencrypted: l.options.AllowUnencrypted, Bindings: l.options.ChannelBindings, Now: time.Now,
		Schemes: []string{"Negotiate"},
	}
	if l.kerberos != nil {
		h.Schemes = append(h.Schemes, "Kerberos")
	}
	h.Acceptor = func(b gss.ChannelBindings) gss.Acceptor {
		mechanisms := []spnego.Mechanism{{OIDs: []spnego.OID{spnego.NTLM}, New: func() gss.Acceptor { return l.ntlmAcceptor(b) }}}
		if l.kerberos != nil {
			mechanisms = append(mechanisms, spnego.Mechanism{
				OIDs: []spnego.OID{spnego.Kerberos, spnego.MSKerberos}, New: func() gss.Acceptor { return l.kerberos.NewAcceptor(b) },
			})
		}
		return spnego.NewAcceptor(mechanisms...)
	}
	return authenticator{h}
}

// ntlmAcceptor answers for this machine, which is its own domain: that is where local accounts are.
func (l *LicenseServer) ntlmAcceptor(b gss.ChannelBindings) gss.Acceptor {
	host, domain, _ := strings.Cut(l.options.Name, ".")
	if net.ParseIP(l.options.Name) != nil {
		host, domain = "calkeeper", ""
	}
	name := strings.ToUpper(host[:min(len(host), 15)]) // as long as a NetBIOS name can be
	return ntlm.NewAcceptor(ntlm.Options{
		Accounts: l.Accounts, NetBIOSComputer: name, NetBIOSDomain: name, DNSComputer: l.options.Name, DNSDomain: domain, Bindings: b,
	})
}

// openKerberos reads the keytab, if there is one.
func openKerberos(o LicenseServerOptions) (*kerberos.Service, error) {
	if o.Keytab == "" {
		return nil, nil
	}
	return kerberos.New(kerberos.Options{Keytab: o.Keytab, AllowRC4: o.AllowRC4})
}

// realm returns the realm of the keytab, empty without one.
func (l *LicenseServer) realm() string {
	if l.kerberos == nil {
		return ""
	}
	return l.kerberos.Realm()
}
