package licensing_test

import (
	"testing"

	"calkeeper/internal/licensing"
)

func TestOverUseCheck(t *testing.T) {
	const (
		allow = licensing.AllowOverUse
		deny  = licensing.DenyOverUse
	)
	for _, c := range []struct {
		o              licensing.OverUse
		users, devices bool // whether it is right for them
	}{
		{licensing.OverUse{}, true, true},
		{licensing.OverUse{WarnAt: 90}, true, true},
		{licensing.OverUse{WarnAt: 100_000}, true, true},
		{licensing.OverUse{WarnAt: 100_001}, false, false},
		{licensing.OverUse{DenyBeyond: 100}, false, false},
		{licensing.OverUse{Policy: allow}, true, false},
		{licensing.OverUse{Policy: allow, WarnAt: 90}, true, false},
		{licensing.OverUse{Policy: allow, DenyBeyond: 100}, false, false},
		{licensing.OverUse{Policy: deny}, false, false},
		{licensing.OverUse{Policy: deny, DenyBeyond: 99}, false, false},
		{licensing.OverUse{Policy: deny, DenyBeyond: 100}, true, true},
		{licensing.OverUse{Policy: deny, DenyBeyond: 101}, true, false},
		{licensing.OverUse{Policy: deny, DenyBeyond: 100_000}, true, false},
		{licensing.OverUse{Policy: deny, DenyBeyond: 100_001}, false, false},
		{licensing.OverUse{Policy: "Allow"}, false, false},
	} {
		for mode, right := range map[licensing.ProductType]bool{licensing.PerUser: c.users, licensing.PerDevice: c.devices} {
			err := c.o.Check(mode)
			if right != (err == nil) || !right && licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%+v for %s: %v", c.o, mode, err)
			}
		}
	}
}
