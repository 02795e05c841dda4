package keycode_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"calkeeper/internal/keycode"
	"pgregory.net/rapid"
)

func TestProductIDGolden(t *testing.T) {
	pub := mustKey(t, serverPrivate).PublicKey()
	if id := keycode.ProductID(pub); id != goldenProductID {
		t.Errorf("ProductID = %q, want %q", id, goldenProductID)
	}
	for _, typed := range []string{goldenProductID, strings.ToLower(goldenProductID)} {
		if back, err := keycode.ParseProductID(typed); err != nil || !back.Equal(pub) {
			t.Errorf("ParseProductID(%q) = %v, %v", typed, back, err)
		}
	}
}

func TestProductIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		private, err := ecdh.X25519().NewPrivateKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		id := keycode.ProductID(private.PublicKey())
		bits := ""
		for _, b := range private.PublicKey().Bytes() {
			bits += fmt.Sprintf("%08b", b)
		}
		if want := refRender(bits + "0000"); id != want {
			t.Fatalf("ProductID = %q, reference %q", id, want)
		}
		if back, err := keycode.ParseProductID(id); err != nil || !back.Equal(private.PublicKey()) {
			t.Fatalf("ParseProductID = %v, %v", back, err)
		}
	})
}

func TestProductIDOfNoKey(t *testing.T) {
	if id := keycode.ProductID(nil); id != "" {
		t.Errorf("of nil: %q", id)
	}
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if id := keycode.ProductID(p256.PublicKey()); id != "" {
		t.Errorf("of a P-256 key: %q", id)
	}
}

func TestProductIDHasOneForm(t *testing.T) {
	key := func(first, middle, last byte) string {
		bits := fmt.Sprintf("%08b", first) + strings.Repeat(fmt.Sprintf("%08b", middle), 30) + fmt.Sprintf("%08b", last)
		return refRender(bits + "0000")
	}
	for _, tc := range []struct {
		name string
		text string
		want keycode.Reason // 0: accepted
	}{
		{"2^255-20, the greatest", key(0xec, 0xff, 0x7f), 0},
		{"2^255-19, which is 0 again", key(0xed, 0xff, 0x7f), keycode.ReasonKey},
		{"2^255-1", key(0xff, 0xff, 0x7f), keycode.ReasonKey},
		{"2^255", key(0, 0, 0x80), keycode.ReasonKey},
		{"9, the base point, with the unused bit set", key(9, 0, 0x80), keycode.ReasonKey},
		{"9, the base point", key(9, 0, 0), 0},
		{"great last byte, smaller middle", key(0xff, 0xfe, 0x7f), 0},
	} {
		pub, err := keycode.ParseProductID(tc.text)
		var form *keycode.FormatError
		if tc.want == 0 {
			if err != nil || keycode.ProductID(pub) != tc.text {
				t.Errorf("%s: %v", tc.name, err)
			}
		} else if pub != nil || !errors.As(err, &form) || form.Reason != tc.want || !strings.Contains(err.Error(), "RFC 7748") {
			t.Errorf("%s: %v, %v; want reason %d", tc.name, pub, err, tc.want)
		}
	}
	for padding := 1; padding < 16; padding++ {
		pub, err := keycode.ParseProductID(refRender(strings.Repeat("0", 256) + fmt.Sprintf("%04b", padding)))
		var form *keycode.FormatError
		if pub != nil || !errors.As(err, &form) || form.Reason != keycode.ReasonPadding || form.Group != 13 ||
			!strings.Contains(err.Error(), "group 13: the last four bits") {
			t.Errorf("padding %04b: %v, %v; want an error of the padding", padding, pub, err)
		}
	}
}

func TestAgreeOverProductID(t *testing.T) {
	server, house := keyFrom(t, 7), keyFrom(t, 8)
	heard, err := keycode.ParseProductID(keycode.ProductID(server.PublicKey()))
	if err != nil {
		t.Fatal(err)
	}
	atHouse, err := keycode.Agree(house, heard, house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	atServer, err := keycode.Agree(server, server.PublicKey(), house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	want := keycode.Code{Kind: keycode.LicenseServerID, Serial: 77}
	id, err := want.Seal(atHouse, keycode.Binding{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keycode.Open(id, keycode.LicenseServerID, atServer, keycode.Binding{}); err != nil || got != want {
		t.Errorf("the license server reads %+v, %v; want %+v", got, err, want)
	}
}
