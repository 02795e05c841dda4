package issuance_test

import (
	"context"
	"strings"
	"testing"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

func keyed(r issuance.Request, key string) issuance.Request {
	r.IdempotencyKey = key
	return r
}

// sameAnswer compares two answers to one question.
func (f *farm) sameAnswer(got, want issuance.Answer) {
	f.t.Helper()
	if got.Outcome != want.Outcome || got.CAL != want.CAL || got.OverUsed != want.OverUsed || got.Warning != want.Warning {
		f.t.Errorf("the answer is %+v; it was %+v", got, want)
	}
	switch {
	case (got.Lease == nil) != (want.Lease == nil):
		f.t.Errorf("the lease is %+v; it was %+v", got.Lease, want.Lease)
	case got.Lease != nil && *got.Lease != *want.Lease:
		f.t.Errorf("the lease is %+v; it was %+v", *got.Lease, *want.Lease)
	}
}

// TestIdempotencyKey: a host that has lost the answer gets it again, whatever has become of the CAL, for 24 hours.
func TestIdempotencyKey(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{WarnAt: 1}})
	host := f.concurrent("xrdp.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 2)
	r := keyed(on("ada", "d1", ":10"), "k1")
	first := f.request(host, r, issuance.Issued)
	if first.Warning == "" {
		t.Error("the answer warns of nothing")
	}
	f.sameAnswer(f.request(host, r, issuance.Issued), first)
	f.release(host, on("", "", ":10"), one)
	f.pass(23 * 3600e9)
	f.sweep()
	f.reopen()
	f.sameAnswer(f.request(host, r, issuance.Issued), first)
	if left := f.cals(everything); len(left) != 0 {
		t.Errorf("the repetition has issued %+v", left)
	}
	f.pass(3601e9)
	f.sweep()
	if again := f.request(host, r, issuance.Issued); again.CAL.ID == first.CAL.ID {
		t.Errorf("after 24 hours the request is still answered with %+v", again.CAL)
	}
}

// TestIdempotencyKeyOfAnotherRequest is refused: whoever sent it would take another's answer for his own.
func TestIdempotencyKeyOfAnotherRequest(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, other := f.host("a.example.net", ws2022, perUser), f.host("b.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 9)
	f.request(host, keyed(on("ada", "d1", ""), "k1"), issuance.Issued)
	for _, r := range []issuance.Request{
		on("bob", "d1", ""), on("ada", "d2", ""), on("ada", "d1", ":1"), provisional(on("ada", "d1", "")), user("ada"),
	} {
		r.Host, r.IdempotencyKey = host, "k1"
		_, err := f.service.Request(context.Background(), r)
		f.fails(err, licensing.AlreadyExists)
	}
	f.request(other, keyed(on("bob", "d1", ""), "k1"), issuance.Issued) // keys are a host's own
	f.request(host, keyed(on("carol", "d1", ""), "K1"), issuance.Issued)
}

// TestIdempotencyKeyOfAnotherOperation: a key that was used for a request validates nothing.
func TestIdempotencyKeyOfAnotherOperation(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perDevice)
	a := f.request(host, keyed(device("d1"), "k1"), issuance.Issued)
	answer, err := f.service.Validate(context.Background(), issuance.Request{Host: host, Device: licensing.Device{ID: "d1"}, IdempotencyKey: "k1"})
	if err == nil && !f.cal(a.CAL.ID).Validated {
		t.Errorf("validate answers %s, and has not validated the CAL", answer.Outcome)
	}
	if err != nil {
		f.fails(err, licensing.AlreadyExists)
	}
}

// TestDenialIsDecidedAnew: what was refused is not remembered under the key.
func TestDenialIsDecidedAnew(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
	host := f.host("rdsh.example.net", ws2022, perUser)
	f.refuse(host, keyed(user("ada"), "k1"), licensing.NoKeyPack)
	f.refuse(host, keyed(user("ada"), "k1"), licensing.NoKeyPack)
	f.install(ws2022, perUser, 1)
	f.request(host, keyed(user("ada"), "k1"), issuance.Issued)
}

// TestIdempotencyKeys that are none.
func TestIdempotencyKeys(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 1)
	for _, key := range []string{strings.Repeat("k", 256), "a\nb", "schlüssel", "\xff", "\x00", "\x7f"} {
		_, err := f.service.Request(context.Background(), issuance.Request{Host: host, User: "ada", IdempotencyKey: key})
		f.fails(err, licensing.Invalid)
	}
	f.request(host, keyed(user("ada"), strings.Repeat("k", 255)), issuance.Issued)
	f.request(host, keyed(user("ada"), " ~"), issuance.Held)
}
