package issuance_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// FuzzRequest sends what a hostile session host may say. It is never an internal error, and what is refused as invalid leaves
// nothing behind.
func FuzzRequest(f *testing.F) {
	f.Add("ada", "d1", "desk", ":10", "k1", byte(0))
	f.Add(`EXAMPLE\ada`, "", "desk", "", "", byte(1))
	f.Add("ada@example.com", "ip:192.0.2.7", "", ":1", "", byte(2))
	f.Add("\xff", "\x00", "a\nb", "\u202e", "\x7f", byte(3))
	f.Add(" ", strings.Repeat("d", 129), "", strings.Repeat("s", 129), strings.Repeat("k", 256), byte(4))
	f.Add(`a\b\c`, "' OR 1=1 --", "%_", `":10"`, `{"x":1}`, byte(5))
	f.Add("@", "", "", "", "", byte(255))
	dir, err := os.MkdirTemp(scratch(), "calkeeper-issuance-")
	if err != nil {
		f.Fatal(err)
	}
	farm := openFarm(f, dir, 1, issuance.Policies{OverUse: deny})
	f.Cleanup(func() {
		farm.close()
		if err := os.RemoveAll(dir); err != nil {
			f.Error(err)
		}
	})
	var hosts []licensing.Host
	for i, mode := range []licensing.ProductType{perDevice, perUser} {
		farm.install(ws2022, mode, 5)
		hosts = append(hosts, farm.host("terms"+string(rune('0'+i)), ws2022, mode), farm.concurrent("counts"+string(rune('0'+i)), ws2022, mode))
	}
	operations := []action{(*issuance.Service).Request, (*issuance.Service).Validate, (*issuance.Service).Renew, release}
	f.Fuzz(func(t *testing.T, user, id, name, session, key string, choice byte) {
		farm.t = t
		r := issuance.Request{
			Host: hosts[choice&3], User: user, Device: licensing.Device{ID: id, Name: name}, Session: session, IdempotencyKey: key,
			Provisional: choice&4 != 0,
		}
		before, err := farm.service.LastEvent(context.Background())
		farm.must(err)
		answer, err := operations[choice>>3&3](farm.service, context.Background(), r)
		after, lastErr := farm.service.LastEvent(context.Background())
		farm.must(lastErr)
		switch kind := licensing.KindOf(err); {
		case err == nil:
		case kind == licensing.Invalid || kind == licensing.AlreadyExists || kind == licensing.NotFound:
			if after != before {
				t.Errorf("%+v is refused, and recorded: %v", r, err)
			}
		case kind != licensing.Unlicensed:
			t.Errorf("%+v: %v", r, err)
		}
		if err != nil && (answer.CAL.ID != 0 || answer.Lease != nil) {
			t.Errorf("beside %v there is the answer %+v", err, answer)
		}
		farm.recountHolders()
		if choice&64 != 0 { // so that it does not grow
			farm.pass(100 * day)
			farm.sweep()
		}
	})
}

// release is Release as an action.
func release(s *issuance.Service, ctx context.Context, r issuance.Request) (issuance.Answer, error) {
	_, err := s.Release(ctx, r)
	return issuance.Answer{}, err
}

// recountHolders checks that each CAL names its holder.
func (f *farm) recountHolders() {
	f.t.Helper()
	for _, c := range f.cals(everything) {
		f.recountHolder(c)
	}
}

// FuzzToken: what was not given out is nobody's.
func FuzzToken(f *testing.F) {
	dir, err := os.MkdirTemp(scratch(), "calkeeper-issuance-")
	if err != nil {
		f.Fatal(err)
	}
	farm := openFarm(f, dir, 1, issuance.Policies{})
	f.Cleanup(func() {
		farm.close()
		if err := os.RemoveAll(dir); err != nil {
			f.Error(err)
		}
	})
	token, err := farm.service.AddHost(context.Background(), "admin", licensing.Host{Name: "rdsh", ProductVersion: ws2022})
	farm.must(err)
	farm.register(licensing.Host{Name: "xrdp", ProductVersion: ws2022, Certificate: make([]byte, 32), Concurrent: true, LeaseTTL: time.Hour})
	for _, seed := range []string{"", "ckh_", token, token[4:], strings.ToUpper(token), strings.Repeat("\x00", 32), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, shown string) {
		h, err := farm.service.AuthenticateToken(context.Background(), shown)
		if shown == token && (err != nil || h.Name != "rdsh") || shown != token && licensing.KindOf(err) != licensing.Denied {
			t.Errorf("%q is the token of %q, %v", shown, h.Name, err)
		}
		_, err = farm.service.AuthenticateCertificate(context.Background(), []byte(shown))
		if len(shown) != 32 && licensing.KindOf(err) != licensing.Denied {
			t.Errorf("%q is a certificate: %v", shown, err)
		}
	})
}
