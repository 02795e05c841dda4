package keycode_test

import (
	"errors"
	"strings"
	"testing"

	"calkeeper/internal/keycode"
)

// seedTexts are valid texts of each sort and texts that are wrong in one way each.
func seedTexts() []string {
	seeds := []string{
		"", "0", goldenTarget, goldenSource, goldenInstall, goldenImport, goldenConfirmation, goldenRetail, goldenProductID,
		strings.ToLower(goldenInstall), keycode.Groups(goldenInstall), keycode.Groups(goldenRetail), keycode.Groups(goldenProductID),
		strings.Repeat("0", 25), strings.Repeat("0", 35), strings.Repeat("0", 65), strings.Repeat("é", 35), strings.Repeat("\xff", 35),
	}
	for _, valid := range []string{goldenInstall, goldenRetail, goldenProductID} {
		seeds = append(seeds, valid[1:], valid+"0", "O"+valid[1:], valid[5:10]+valid[:5]+valid[10:])
	}
	return seeds
}

// checkFormError holds for the error of every sort of text.
func checkFormError(t *testing.T, text string, want int, err error) {
	t.Helper()
	var form *keycode.FormatError
	if !errors.As(err, &form) {
		if len(text) != want {
			t.Fatalf("%d bytes passed the check of the length: %v", len(text), err)
		}
		return
	}
	if form.Length != len(text) || form.Want != want {
		t.Fatalf("length %d of %d: the error says %d of %d", len(text), want, form.Length, form.Want)
	}
	if (len(text) != want) != (form.Reason == keycode.ReasonLength) {
		t.Fatalf("length %d of %d: reason %d", len(text), want, form.Reason)
	}
	if form.Group < 0 || form.Group > want/5 || form.Position < 0 || form.Position > want {
		t.Fatalf("the error names group %d, position %d", form.Group, form.Position)
	}
	if form.Error() == "" || len(form.Error()) > 300 {
		t.Fatalf("a message of %d bytes", len(form.Error()))
	}
}

func FuzzOpen(f *testing.F) {
	secret := testSecret(f)
	for _, seed := range seedTexts() {
		for kind := range byte(6) {
			f.Add(seed, kind)
		}
	}
	f.Fuzz(func(t *testing.T, text string, kind byte) {
		want := keycode.Kind(kind)
		binding := bindingFor(want)
		code, err := keycode.Open(text, want, secret, binding)
		canonical, checkErr := keycode.Check(text)
		checkFormError(t, text, 35, checkErr)
		if err == nil {
			again, sealErr := code.Seal(secret, binding)
			if sealErr != nil || again != canonical || again != strings.ToUpper(text) {
				t.Fatalf("%+v opens but seals as %q, %v", code, again, sealErr)
			}
			return
		}
		if code != (keycode.Code{}) {
			t.Fatalf("fields beside the error %v", err)
		}
		if want < keycode.LicenseServerID || want > keycode.Confirmation {
			if !errors.Is(err, keycode.ErrKind) {
				t.Fatalf("kind %d: %v", kind, err)
			}
			return
		}
		var form *keycode.FormatError
		if errors.As(err, &form) != (checkErr != nil) {
			t.Fatalf("Open says %v, Check says %v", err, checkErr)
		}
		if checkErr == nil && !errors.Is(err, keycode.ErrMAC) && !errors.Is(err, keycode.ErrKind) {
			t.Fatalf("an unexpected error: %v", err)
		}
		id, idErr := keycode.CheckLicenseServerID(text)
		checkFormError(t, text, 35, idErr)
		if idErr == nil && id != canonical {
			t.Fatalf("CheckLicenseServerID gives %q, Check %q", id, canonical)
		}
	})
}

func FuzzCheckRetail(f *testing.F) {
	for _, seed := range seedTexts() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		canonical, err := keycode.CheckRetail(text)
		checkFormError(t, text, 25, err)
		if err != nil {
			if canonical != "" {
				t.Fatalf("a code beside the error %v", err)
			}
			return
		}
		if canonical != strings.ToUpper(text) || canonical[0] != 'R' {
			t.Fatalf("%q comes back as %q", text, canonical)
		}
		if keycode.Fingerprint(text) != keycode.Fingerprint(canonical) {
			t.Fatalf("%q and %q have two fingerprints", text, canonical)
		}
	})
}

func FuzzParseProductID(f *testing.F) {
	for _, seed := range seedTexts() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pub, err := keycode.ParseProductID(text)
		checkFormError(t, text, 65, err)
		if err != nil {
			if pub != nil {
				t.Fatalf("a key beside the error %v", err)
			}
			return
		}
		if id := keycode.ProductID(pub); id != strings.ToUpper(text) {
			t.Fatalf("%q comes back as %q", text, id)
		}
	})
}

func FuzzUngroup(f *testing.F) {
	for _, seed := range seedTexts() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bare := keycode.Ungroup(text)
		if len(text) <= 256 && (strings.ContainsAny(bare, "- \t\r\n") || keycode.Ungroup(bare) != bare) {
			t.Fatalf("Ungroup(%q) = %q", text, bare)
		}
		if group := keycode.FirstGroup(text); len(group) > len("ABCDE-…") {
			t.Fatalf("FirstGroup(%q) = %q", text, group)
		}
	})
}
