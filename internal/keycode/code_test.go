package keycode_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"calkeeper/internal/keycode"
	"pgregory.net/rapid"
)

// Golden values; an implementation in another language gave the same.
const (
	goldenTarget       = "280000000200003100FSEWG4B58AGRP04SR"
	goldenSource       = "2FZZBZZZZXZZZZWZZZP313ZZWV4ZVBGDR9N"
	goldenInstall      = "4BM0H0Z80V000ZQ919QK3NQVSQWWC7EWCP7"
	goldenImport       = "6C00R0500P000ZQA002EXAX8K3ZD7W62Y6F"
	goldenConfirmation = "8800M00002000ZQB002C7RSCW6YPK6HV7WV"
	goldenProductID    = "GMGFN02C9X62KNP8X4BCFQEBM8FQQ5B86VCYEGDS4RW1TNX7B5MJMR9XAMV29SN0D"
	goldenRetail       = "R08200C207A1G7F104G8M2RCG"
)

var (
	forTarget = keycode.Binding{Target: goldenTarget}
	forImport = keycode.Binding{Target: goldenTarget, Source: goldenSource}
)

type sealed struct {
	name    string
	text    string
	code    keycode.Code
	binding keycode.Binding
}

func goldenCodes() []sealed {
	return []sealed{
		{"license server ID", goldenTarget, keycode.Code{Kind: keycode.LicenseServerID, Serial: 1}, keycode.Binding{}},
		{"all bits set", goldenSource, keycode.Code{Kind: keycode.LicenseServerID, ProductVersion: 15, ProductType: 3,
			Quantity: 1<<20 - 1, Serial: 1<<32 - 1, ExpiryMonth: 2047}, keycode.Binding{}},
		{"install", goldenInstall, keycode.Code{Kind: keycode.Install, ProductVersion: 7, ProductType: 1,
			Quantity: 250, Serial: 1001, ExpiryMonth: 83}, forTarget},
		{"import", goldenImport, keycode.Code{Kind: keycode.Import, ProductVersion: 8, Quantity: 40, Serial: 1002}, forImport},
		{"confirmation", goldenConfirmation, keycode.Code{Kind: keycode.Confirmation, Serial: 1003}, forTarget},
	}
}

func TestGolden(t *testing.T) {
	secret := testSecret(t)
	for _, g := range goldenCodes() {
		t.Run(g.name, func(t *testing.T) {
			text, err := g.code.Seal(secret, g.binding)
			if err != nil || text != g.text {
				t.Errorf("Seal = %q, %v; want %q", text, err, g.text)
			}
			if ref := refSeal(t, 1, g.code, g.binding.Target+g.binding.Source); ref != g.text {
				t.Errorf("reference implementation gives %q, want %q", ref, g.text)
			}
			for _, typed := range []string{g.text, strings.ToLower(g.text)} {
				code, err := keycode.Open(typed, g.code.Kind, secret, g.binding)
				if err != nil || code != g.code {
					t.Errorf("Open(%q) = %+v, %v; want %+v", typed, code, err, g.code)
				}
				if canonical, err := keycode.Check(typed); err != nil || canonical != g.text {
					t.Errorf("Check(%q) = %q, %v; want %q", typed, canonical, err, g.text)
				}
			}
		})
	}
}

func TestBothSidesAgree(t *testing.T) {
	server, house := mustKey(t, serverPrivate), mustKey(t, clearinghousePrivate)
	atHouse, err := keycode.Agree(house, server.PublicKey(), house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range goldenCodes() {
		if text, err := g.code.Seal(atHouse, g.binding); err != nil || text != g.text {
			t.Errorf("%s: the clearinghouse seals %q, %v; want %q", g.name, text, err, g.text)
		}
	}
}

func drawCode(t *rapid.T) keycode.Code {
	return keycode.Code{
		Kind:           keycode.Kind(rapid.Uint8Range(1, 4).Draw(t, "kind")),
		ProductVersion: rapid.Uint8Range(0, 15).Draw(t, "product version"),
		ProductType:    rapid.Uint8Range(0, 3).Draw(t, "product type"),
		Quantity:       rapid.Uint32Range(0, 1<<20-1).Draw(t, "quantity"),
		Serial:         rapid.Uint32().Draw(t, "serial"),
		ExpiryMonth:    rapid.Uint16Range(0, 2047).Draw(t, "expiry month"),
	}
}

func bindingFor(kind keycode.Kind) keycode.Binding {
	switch kind {
	case keycode.Import:
		return forImport
	case keycode.LicenseServerID:
		return keycode.Binding{}
	}
	return forTarget
}

func TestRoundTrip(t *testing.T) {
	secret := testSecret(t)
	rapid.Check(t, func(t *rapid.T) {
		code := drawCode(t)
		binding := bindingFor(code.Kind)
		text, err := code.Seal(secret, binding)
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		back, err := keycode.Open(text, code.Kind, secret, binding)
		if err != nil || back != code {
			t.Fatalf("Open = %+v, %v; want %+v", back, err, code)
		}
	})
}

func TestMatchesReference(t *testing.T) {
	secret := testSecret(t)
	rapid.Check(t, func(rt *rapid.T) {
		code := drawCode(rt)
		binding := bindingFor(code.Kind)
		text, err := code.Seal(secret, binding)
		if want := refSeal(t, 1, code, binding.Target+binding.Source); err != nil || text != want {
			rt.Fatalf("Seal = %q, %v; reference %q", text, err, want)
		}
	})
}

func TestSealRefusesWhatDoesNotFit(t *testing.T) {
	secret := testSecret(t)
	for _, tc := range []struct {
		name string
		code keycode.Code
		want string
	}{
		{"kind 0", keycode.Code{}, "0 is none of LicenseServerID (1), Install (2), Import (3) and Confirmation (4)"},
		{"kind 5", keycode.Code{Kind: 5}, "5 is none of"},
		{"kind 17, which is 1 in four bits", keycode.Code{Kind: 17}, "17 is none of"},
		{"product version", keycode.Code{Kind: keycode.Install, ProductVersion: 16}, "product version 16 does not fit into a code: 0 to 15 do"},
		{"product type", keycode.Code{Kind: keycode.Install, ProductType: 4}, "product type 4 does not fit into a code: 0 to 3 do"},
		{"quantity", keycode.Code{Kind: keycode.Install, Quantity: 1 << 20}, "quantity 1048576 does not fit into a code: 0 to 1048575 do"},
		{"expiry month", keycode.Code{Kind: keycode.Install, ExpiryMonth: 2048}, "expiry month 2048 does not fit into a code: 0 to 2047 do"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, err := tc.code.Seal(secret, forTarget)
			if text != "" || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Seal = %q, %v; want an error with %q", text, err, tc.want)
			}
		})
	}
}

func TestBindingMustFitTheKind(t *testing.T) {
	secret := testSecret(t)
	lower := strings.ToLower(goldenTarget)
	mistyped := goldenTarget[:1] + "9" + goldenTarget[2:]
	for _, tc := range []struct {
		name    string
		kind    keycode.Kind
		binding keycode.Binding
		want    string
	}{
		{"ID with target", keycode.LicenseServerID, forTarget, "has no target"},
		{"ID with source", keycode.LicenseServerID, keycode.Binding{Source: goldenSource}, "has no source"},
		{"install without target", keycode.Install, keycode.Binding{}, "needs a target"},
		{"install with source", keycode.Install, forImport, "has no source"},
		{"confirmation without target", keycode.Confirmation, keycode.Binding{}, "needs a target"},
		{"import without source", keycode.Import, forTarget, "needs a source"},
		{"import without target", keycode.Import, keycode.Binding{Source: goldenSource}, "needs a target"},
		{"import from itself", keycode.Import, keycode.Binding{Target: goldenTarget, Source: goldenTarget}, "the same license server"},
		{"lower case", keycode.Install, keycode.Binding{Target: lower}, "upper case"},
		{"mistyped target", keycode.Install, keycode.Binding{Target: mistyped}, "group 1"},
		{"short source", keycode.Import, keycode.Binding{Target: goldenTarget, Source: "2"}, "35 characters are right"},
		{"an install code as target", keycode.Install, keycode.Binding{Target: goldenInstall}, "install code instead of license server ID"},
		{"unknown kind", 9, forTarget, "9 is none of"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if text, err := (keycode.Code{Kind: tc.kind}).Seal(secret, tc.binding); text != "" || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Seal = %q, %v; want an error with %q", text, err, tc.want)
			}
			if code, err := keycode.Open(goldenInstall, tc.kind, secret, tc.binding); code != (keycode.Code{}) || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Open = %+v, %v; want an error with %q", code, err, tc.want)
			}
		})
	}
}

func TestOpenElsewhere(t *testing.T) {
	secret := testSecret(t)
	server, house := mustKey(t, serverPrivate), mustKey(t, clearinghousePrivate)
	otherServer, otherHouse := keyFrom(t, 1), keyFrom(t, 2)
	secretOfOtherServer, err := keycode.Agree(house, otherServer.PublicKey(), house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	secretOfOtherHouse, err := keycode.Agree(server, server.PublicKey(), otherHouse.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	rolesExchanged, err := keycode.Agree(server, house.PublicKey(), server.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	third, err := keycode.Code{Kind: keycode.LicenseServerID, Serial: 3}.Seal(secretOfOtherServer, keycode.Binding{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		text    string
		want    keycode.Kind
		secret  keycode.Secret
		binding keycode.Binding
		err     error
	}{
		{"install on another target", goldenInstall, keycode.Install, secret, keycode.Binding{Target: third}, keycode.ErrMAC},
		{"confirmation on another target", goldenConfirmation, keycode.Confirmation, secret, keycode.Binding{Target: third}, keycode.ErrMAC},
		{"import on another target", goldenImport, keycode.Import, secret, keycode.Binding{Target: third, Source: goldenSource}, keycode.ErrMAC},
		{"import from another source", goldenImport, keycode.Import, secret, keycode.Binding{Target: goldenTarget, Source: third}, keycode.ErrMAC},
		{"source and target exchanged", goldenImport, keycode.Import, secret, keycode.Binding{Target: goldenSource, Source: goldenTarget}, keycode.ErrMAC},
		{"import as install", goldenImport, keycode.Install, secret, forTarget, keycode.ErrMAC},
		{"install as import", goldenInstall, keycode.Import, secret, forImport, keycode.ErrMAC},
		{"install as license server ID", goldenInstall, keycode.LicenseServerID, secret, keycode.Binding{}, keycode.ErrMAC},
		{"license server ID as install", goldenTarget, keycode.Install, secret, forTarget, keycode.ErrMAC},
		{"install as confirmation", goldenInstall, keycode.Confirmation, secret, forTarget, keycode.ErrKind},
		{"confirmation as install", goldenConfirmation, keycode.Install, secret, forTarget, keycode.ErrKind},
		{"secret of another server", goldenInstall, keycode.Install, secretOfOtherServer, forTarget, keycode.ErrMAC},
		{"secret of another clearinghouse", goldenInstall, keycode.Install, secretOfOtherHouse, forTarget, keycode.ErrMAC},
		{"same pairs, roles exchanged", goldenInstall, keycode.Install, rolesExchanged, forTarget, keycode.ErrMAC},
		{"license server ID of another server", goldenTarget, keycode.LicenseServerID, secretOfOtherServer, keycode.Binding{}, keycode.ErrMAC},
		{"zero secret", goldenInstall, keycode.Install, keycode.Secret{}, forTarget, keycode.ErrNoSecret},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, err := keycode.Open(tc.text, tc.want, tc.secret, tc.binding)
			if !errors.Is(err, tc.err) || code != (keycode.Code{}) {
				t.Errorf("Open = %+v, %v; want no fields and %q", code, err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), tc.text[5:10]) {
				t.Errorf("the error shows the code: %v", err)
			}
		})
	}
	if _, err := (keycode.Code{Kind: keycode.Install}).Seal(keycode.Secret{}, forTarget); !errors.Is(err, keycode.ErrNoSecret) {
		t.Errorf("Seal with the zero Secret: %v, want ErrNoSecret", err)
	}
}

// Unknown kinds and format versions are named only when the MAC is right.
func TestUnknownKindAndFormatVersion(t *testing.T) {
	secret := testSecret(t)
	for format := range 8 {
		for kind := range keycode.Kind(16) {
			text := refSeal(t, format, keycode.Code{Kind: kind, Quantity: 5}, goldenTarget)
			_, err := keycode.Open(text, keycode.Install, secret, forTarget)
			switch {
			case format != 1:
				if !errors.Is(err, keycode.ErrFormatVersion) {
					t.Errorf("format version %d, kind %d: %v, want ErrFormatVersion", format, kind, err)
				}
			case kind == keycode.Install:
				if err != nil {
					t.Errorf("format version 1, kind Install: %v", err)
				}
			default:
				if !errors.Is(err, keycode.ErrKind) || !strings.Contains(err.Error(), kind.String()) {
					t.Errorf("kind %d: %v, want ErrKind with its name", kind, err)
				}
			}
			if _, err := keycode.Open(otherGroup(text, 6), keycode.Install, secret, forTarget); !errors.Is(err, keycode.ErrMAC) {
				t.Errorf("format version %d, kind %d, wrong MAC: %v, want ErrMAC", format, kind, err)
			}
		}
	}
}

func TestCheckLicenseServerID(t *testing.T) {
	if id, err := keycode.CheckLicenseServerID(strings.ToLower(goldenTarget)); err != nil || id != goldenTarget {
		t.Errorf("lower case: %q, %v; want %q", id, err, goldenTarget)
	}
	for _, text := range []string{goldenInstall, goldenImport, goldenConfirmation} {
		if id, err := keycode.CheckLicenseServerID(text); id != "" || !errors.Is(err, keycode.ErrKind) {
			t.Errorf("a code of kind %c: %q, %v; want ErrKind", text[0], id, err)
		}
	}
	future := refSeal(t, 2, keycode.Code{Kind: keycode.LicenseServerID}, "")
	if id, err := keycode.CheckLicenseServerID(future); id != "" || !errors.Is(err, keycode.ErrFormatVersion) {
		t.Errorf("format version 2: %q, %v; want ErrFormatVersion", id, err)
	}
	var form *keycode.FormatError
	if _, err := keycode.CheckLicenseServerID("2"); !errors.As(err, &form) || form.Object != keycode.ObjectLicenseServerID {
		t.Errorf("one character: %v, want a FormatError about a license server ID", err)
	}
}

// A million texts over the alphabet, and a million more with right check
// characters, of which none may open.
func TestRandomCodesNeverOpen(t *testing.T) {
	secret := testSecret(t)
	rng := rand.New(rand.NewPCG(1, 35))
	const tries = 1_000_000
	var buf [35]byte
	passed := 0
	for range tries {
		for i := range buf {
			buf[i] = refAlphabet[rng.IntN(32)]
		}
		_, err := keycode.Open(string(buf[:]), keycode.Install, secret, forTarget)
		if err == nil {
			t.Fatalf("the random text %s opened", buf[:])
		}
		if errors.Is(err, keycode.ErrMAC) {
			passed++
		}
	}
	if passed > 0 { // expected: 10^6 / 32^7 = 0.00003
		t.Errorf("%d of %d random texts had seven right check characters", passed, tries)
	}
	var check [32][32][32][32]byte
	for c := range 1 << 20 {
		a, b, d, e := c>>15, c>>10&31, c>>5&31, c&31
		check[a][b][d][e] = byte(refCheck([4]int{a, b, d, e}, 0) ^ 1)
	}
	for range tries {
		for g := range 7 {
			a, b, d, e := rng.IntN(32), rng.IntN(32), rng.IntN(32), rng.IntN(32)
			sum := check[a][b][d][e] ^ byte(g+1)
			copy(buf[5*g:], []byte{refAlphabet[a], refAlphabet[b], refAlphabet[d], refAlphabet[e], refAlphabet[sum]})
		}
		if _, err := keycode.Open(string(buf[:]), keycode.Install, secret, forTarget); !errors.Is(err, keycode.ErrMAC) {
			t.Fatalf("random text %s with right check characters: %v, want ErrMAC", buf[:], err)
		}
	}
}
