package issuance_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// TestTokens: a token is shown once, kept as its SHA-256, and is as good as the registration.
func TestTokens(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	ctx := context.Background()
	token, err := f.service.AddHost(ctx, "admin", licensing.Host{
		Name: "RDSH.example.net", ProductVersion: licensing.WindowsServer2008R2, Mode: perUser, TokenHash: []byte("not read"), Added: f.now.Add(-day),
	})
	f.must(err)
	if !regexp.MustCompile(`^ckh_[a-z2-7]{52}$`).MatchString(token) {
		t.Errorf("the token is %q", token)
	}
	h, err := f.service.AuthenticateToken(ctx, token)
	f.must(err)
	if h.Name != "rdsh.example.net" || h.ProductVersion != ws2008 || h.Concurrent || h.LeaseTTL != 0 || !h.Added.Equal(f.now) {
		t.Errorf("the host is %+v", h)
	}
	if want := sha256.Sum256([]byte(token)); !bytes.Equal(h.TokenHash, want[:]) {
		t.Errorf("the token is kept as %x", h.TokenHash)
	}
	for _, wrong := range []string{"", "ckh_", token[:len(token)-1], token + "a", strings.ToUpper(token), " " + token, string(h.TokenHash)} {
		_, err := f.service.AuthenticateToken(ctx, wrong)
		f.fails(err, licensing.Denied)
		if err != nil && len(wrong) > 10 && strings.Contains(err.Error(), wrong[5:]) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
	second, err := f.service.NewToken(ctx, "admin", "rdsh.EXAMPLE.net")
	f.must(err)
	_, err = f.service.AuthenticateToken(ctx, token)
	f.fails(err, licensing.Denied)
	if h, err = f.service.AuthenticateToken(ctx, second); err != nil || h.Name != "rdsh.example.net" {
		t.Errorf("the new token: %+v, %v", h, err)
	}
	f.must(f.service.RemoveHost(ctx, "admin", "rdsh.example.net"))
	_, err = f.service.AuthenticateToken(ctx, second)
	f.fails(err, licensing.Denied)
	f.fails(f.service.RemoveHost(ctx, "admin", "rdsh.example.net"), licensing.NotFound)
	_, err = f.service.NewToken(ctx, "admin", "rdsh.example.net")
	f.fails(err, licensing.NotFound)
	if strings.Contains(f.auditText(), token[4:]) || strings.Contains(f.auditText(), second[4:]) {
		t.Error("the audit log has a token")
	}
}

func (f *farm) auditText() string {
	var text strings.Builder
	for _, a := range f.content().audit {
		text.WriteString(a.Actor + " " + a.Action + " " + a.Detail + "\n")
	}
	return text.String()
}

// TestCertificates: a host with a certificate has no token, and its certificate, which is no secret, is none either.
func TestCertificates(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	ctx := context.Background()
	certificate := []byte("0\x82\x01\x0a a certificate in DER: everybody may see it")
	sum := sha256.Sum256(certificate)
	token, err := f.service.AddHost(ctx, "admin", licensing.Host{Name: "a.example.net", ProductVersion: ws2022, Certificate: sum[:]})
	f.must(err)
	if token != "" {
		t.Errorf("the host with a certificate gets the token %q", token)
	}
	if h, err := f.service.AuthenticateCertificate(ctx, sum[:]); err != nil || h.Name != "a.example.net" {
		t.Errorf("the certificate is of %+v, %v", h, err)
	}
	_, err = f.service.AuthenticateToken(ctx, string(certificate))
	f.fails(err, licensing.Denied)
	for _, wrong := range [][]byte{nil, {}, sum[:31], certificate} {
		_, err := f.service.AuthenticateCertificate(ctx, wrong)
		f.fails(err, licensing.Denied)
	}

	second, err := f.service.AddHost(ctx, "admin", licensing.Host{Name: "b.example.net", ProductVersion: ws2022, Certificate: sum[:]})
	f.fails(err, licensing.AlreadyExists)
	if second != "" {
		t.Errorf("a registration that failed gives the token %q", second)
	}
	if token, err = f.service.NewToken(ctx, "admin", "a.example.net"); err != nil || token == "" {
		t.Errorf("in place of the certificate: %q, %v", token, err)
	}
	_, err = f.service.AuthenticateCertificate(ctx, sum[:])
	f.fails(err, licensing.Denied)
	tokenSum := sha256.Sum256([]byte(token))
	_, err = f.service.AuthenticateCertificate(ctx, tokenSum[:])
	f.fails(err, licensing.Denied)
}

// TestAddHost refuses what is no session host, and gives no token for it.
func TestAddHost(t *testing.T) {
	good := licensing.Host{Name: "rdsh.example.net", ProductVersion: ws2022, Mode: perUser}
	f := newFarm(t, issuance.Policies{})
	f.register(good)
	for name, c := range map[string]struct {
		edit func(*licensing.Host)
		kind licensing.Kind
	}{
		"no name":            {func(h *licensing.Host) { h.Name = "" }, licensing.Invalid},
		"bad name":           {func(h *licensing.Host) { h.Name = "rd sh" }, licensing.Invalid},
		"version 0":          {func(h *licensing.Host) { h.ProductVersion = 0 }, licensing.NotSupported},
		"version 9":          {func(h *licensing.Host) { h.ProductVersion = 9 }, licensing.OutOfRange},
		"mode 2":             {func(h *licensing.Host) { h.Mode = 2 }, licensing.Invalid},
		"built-in":           {func(h *licensing.Host) { h.Mode = licensing.BuiltIn }, licensing.Invalid},
		"short certificate":  {func(h *licensing.Host) { h.Certificate = []byte{1} }, licensing.Invalid},
		"TTL without leases": {func(h *licensing.Host) { h.LeaseTTL = time.Hour }, licensing.Invalid},
		"TTL too short":      {func(h *licensing.Host) { h.Concurrent, h.LeaseTTL = true, time.Second }, licensing.Invalid},
		"TTL negative":       {func(h *licensing.Host) { h.Concurrent, h.LeaseTTL = true, -time.Hour }, licensing.Invalid},
		"TTL too long":       {func(h *licensing.Host) { h.Concurrent, h.LeaseTTL = true, 31*day }, licensing.Invalid},
		"twice":              {func(h *licensing.Host) { h.Name = "RDSH.example.net" }, licensing.AlreadyExists},
	} {
		t.Run(name, func(t *testing.T) {
			h := good
			h.Name = "other.example.net"
			c.edit(&h)
			token, err := f.service.AddHost(context.Background(), "admin", h)
			f.fails(err, c.kind)
			if token != "" {
				t.Errorf("it gets the token %q", token)
			}
		})
	}
	hosts, err := f.service.Hosts(context.Background())
	f.must(err)
	if len(hosts) != 1 || hosts[0].Name != good.Name {
		t.Errorf("the hosts are %+v", hosts)
	}
}

// TestNewTokenKeepsSessions: a new token changes nothing else.
func TestNewTokenKeepsSessions(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.concurrent("xrdp.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 1)
	a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
	_, err := f.service.NewToken(context.Background(), "admin", host.Name)
	f.must(err)
	if _, err := f.service.RenewLease(context.Background(), host, a.Lease.ID); err != nil {
		t.Error(err)
	}
	h, err := f.service.Host(context.Background(), host.Name)
	f.must(err)
	if h.LeaseTTL != time.Hour || !h.Concurrent || h.Mode != perUser || !h.Added.Equal(host.Added) {
		t.Errorf("the host is %+v", h)
	}
}

// TestChangeHost changes what a session host counts by, and which license servers it is set to ask; both are audited, and only if
// something changes.
func TestChangeHost(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	ctx := context.Background()
	token, err := f.service.AddHost(ctx, "admin", licensing.Host{Name: "rdsh.example.net", ProductVersion: ws2022, Mode: perUser})
	f.must(err)
	set := func(servers ...string) error {
		return f.service.ChangeLicenseServers(ctx, "ops", "RDSH.example.net", func([]string) ([]string, error) { return servers, nil })
	}
	before := f.auditText()
	f.must(f.service.ChangeMode(ctx, "ops", "RDSH.example.net", perDevice))
	f.must(f.service.ChangeMode(ctx, "ops", "rdsh.example.net", perDevice)) // nothing changes
	f.must(set(" LS2.example.net ", "192.0.2.1", "ls2.example.net"))
	f.must(set("ls2.example.net", "192.0.2.1"))
	f.must(f.service.ChangeLicenseServers(ctx, "ops", "rdsh.example.net", func(servers []string) ([]string, error) {
		return append(servers, "ls3"), nil
	}))
	want := "ops change mode rdsh.example.net, per device\n" +
		"ops set license servers rdsh.example.net, ls2.example.net 192.0.2.1\n" +
		"ops set license servers rdsh.example.net, ls2.example.net 192.0.2.1 ls3\n"
	if got := strings.TrimPrefix(f.auditText(), before); got != want {
		t.Errorf("audited is\n%swant\n%s", got, want)
	}
	h, err := f.service.AuthenticateToken(ctx, token)
	f.must(err)
	if h.Mode != perDevice || !slices.Equal(h.LicenseServers, []string{"ls2.example.net", "192.0.2.1", "ls3"}) || h.ProductVersion != ws2022 {
		t.Errorf("the host is %+v", h)
	}
	second, err := f.service.NewToken(ctx, "admin", h.Name)
	f.must(err)
	f.must(set())
	if h, err = f.service.AuthenticateToken(ctx, second); err != nil || h.LicenseServers != nil || h.Mode != perDevice {
		t.Errorf("the host is %+v, %v", h, err)
	}
	if !strings.HasSuffix(f.auditText(), "rdsh.example.net, this one alone\n") {
		t.Error(f.auditText())
	}

	before = f.auditText()
	refusal := licensing.Faultf(licensing.NotFound, "it is not in the list")
	f.fails(set("a b"), licensing.Invalid)
	f.fails(set(make([]string, 1)...), licensing.Invalid)
	f.fails(set(strings.Fields(strings.Repeat("x", 1)+" "+manyNames(licensing.MaxLicenseServers))...), licensing.OutOfRange)
	f.fails(f.service.ChangeLicenseServers(ctx, "ops", "rdsh.example.net", func([]string) ([]string, error) { return []string{"lost"}, refusal }), licensing.NotFound)
	f.fails(f.service.ChangeMode(ctx, "ops", "rdsh.example.net", 3), licensing.Invalid)
	f.fails(f.service.ChangeMode(ctx, "ops", "other.example.net", perUser), licensing.NotFound)
	f.fails(f.service.ChangeMode(ctx, "ops", "no host!", perUser), licensing.Invalid)
	f.fails(f.service.ChangeLicenseServers(ctx, "ops", "other.example.net", func([]string) ([]string, error) { return nil, nil }), licensing.NotFound)
	_, err = f.service.AddHost(ctx, "admin", licensing.Host{Name: "b", ProductVersion: ws2022, Mode: perUser, LicenseServers: []string{"a b"}})
	f.fails(err, licensing.Invalid)
	if after, err := f.service.Host(ctx, "rdsh.example.net"); err != nil || !reflect.DeepEqual(after, h) || f.auditText() != before {
		t.Errorf("refusals changed the host: %+v, %v", after, err)
	}
}

func manyNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("ls%d", i))
	}
	return strings.Join(names, " ")
}

// TestChangedModeHolds: the next request is decided by the new mode, and what was issued stays.
func TestChangedModeHolds(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	f.install(ws2022, perDevice, 5)
	f.install(ws2022, perUser, 5)
	host := f.host("rdsh.example.net", ws2022, perUser)
	first := f.request(host, on("ada", "d1", ""), issuance.Issued)
	f.must(f.service.ChangeMode(context.Background(), "ops", host.Name, perDevice))
	changed, err := f.service.Host(context.Background(), host.Name)
	f.must(err)
	second := f.request(changed, on("ada", "d1", ""), issuance.Issued)
	if first.CAL.ProductType != perUser || second.CAL.ProductType != perDevice || first.CAL.ID == second.CAL.ID {
		t.Errorf("issued were %+v and %+v", first.CAL, second.CAL)
	}
	if kept := f.content().cals; len(kept) != 2 {
		t.Errorf("the CALs are %+v", kept)
	}
}

// TestLicenseServerSecurityGroup: hosts that are not registered are answered only while it is off, and count no sessions.
func TestLicenseServerSecurityGroup(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	_, err := f.service.UnregisteredHost("192.0.2.7", ws2022, perUser)
	f.fails(err, licensing.Denied)

	f.service = issuance.New(f.store, issuance.Options{
		Policies: issuance.Policies{AnyHost: true}, Now: f.options.Now, Random: f.random, Logger: f.options.Logger,
	})
	h, err := f.service.UnregisteredHost("192.0.2.7", licensing.WindowsServer2008R2, perUser)
	f.must(err)
	if h.Name != "192.0.2.7" || h.ProductVersion != ws2008 || h.Mode != perUser || h.Concurrent {
		t.Errorf("the host is %+v", h)
	}
	f.install(ws2022, perUser, 1)
	f.request(h, user("ada"), issuance.Issued)
	for _, c := range []struct {
		name string
		v    licensing.ProductVersion
		mode licensing.ProductType
		kind licensing.Kind
	}{
		{"", ws2022, perUser, licensing.Invalid}, {"a b", ws2022, perUser, licensing.Invalid},
		{"192.0.2.7", 1, perUser, licensing.NotSupported}, {"192.0.2.7", 99, perUser, licensing.OutOfRange},
		{"192.0.2.7", ws2022, licensing.BuiltIn, licensing.Invalid},
	} {
		_, err := f.service.UnregisteredHost(c.name, c.v, c.mode)
		f.fails(err, c.kind)
	}
}

// TestChangeModeWithSessions changes the mode while sessions live: their CALs stay what they are, go to no device, and last as long
// as the sessions say that they live, or to the end of their term.
func TestChangeModeWithSessions(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	users, devices := f.install(ws2022, perUser, 5), f.install(ws2022, perDevice, 5)
	host := f.concurrent("rdsh.example.net", ws2022, perUser)
	f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
	bob := f.validate(host, on("bob", "d3", ":11"), issuance.Issued)
	f.request(f.host("rdsh2.example.net", ws2022, perUser), on("carol", "d4", ""), issuance.Issued) // with a term
	carol := f.validate(host, on("carol", "d4", ":12"), issuance.Validated)
	f.issued(users, 3)
	ctx := context.Background()
	f.must(f.service.ChangeMode(ctx, "ops", host.Name, perDevice))
	host, err := f.service.Host(ctx, host.Name)
	f.must(err)
	// Ada takes her session to another device. It now needs the CAL of a device, and hers is free.
	if a := f.request(host, on("ada", "d2", ""), issuance.Issued); a.CAL.ProductType != perDevice || a.CAL.Device.ID != "d2" {
		t.Errorf("on another device she has %+v", a.CAL)
	}
	f.issued(users, 2)
	f.issued(devices, 1)
	for range 110 { // 55 days: carol's CAL is due
		f.pass(12 * time.Hour)
		for _, l := range []*licensing.Lease{bob.Lease, carol.Lease} {
			if _, err := f.service.RenewLease(ctx, host, l.ID); err != nil {
				t.Fatalf("on %s: %v", f.now, err)
			}
		}
	}
	for _, id := range []uint32{bob.CAL.ID, carol.CAL.ID} {
		if c := f.cal(id); c.ProductType != perUser {
			t.Errorf("CAL %d is %+v", id, c)
		}
	}
}
