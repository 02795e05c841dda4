package keycode_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"calkeeper/internal/keycode"
	"pgregory.net/rapid"
)

func TestRetailGolden(t *testing.T) {
	source := bytes.NewReader([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
	code, err := keycode.NewRetail(source)
	if err != nil || code != goldenRetail {
		t.Errorf("NewRetail = %q, %v; want %q", code, err, goldenRetail)
	}
	if source.Len() != 1 {
		t.Errorf("NewRetail left %d bytes, want 1", source.Len())
	}
	const want = "8d2c3c98563712fa30cf1ff36191d434b5d2dde5eaac73d9ea5cece4b03716c4"
	for _, typed := range []string{goldenRetail, strings.ToLower(goldenRetail)} {
		if canonical, err := keycode.CheckRetail(typed); err != nil || canonical != goldenRetail {
			t.Errorf("CheckRetail(%q) = %q, %v", typed, canonical, err)
		}
		if sum := keycode.Fingerprint(typed); hex.EncodeToString(sum[:]) != want {
			t.Errorf("Fingerprint(%q) = %x, want %s", typed, sum, want)
		}
	}
}

func TestRetailHoldsAll95Bits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "random")
		code, err := keycode.NewRetail(bytes.NewReader(random))
		if err != nil {
			t.Fatal(err)
		}
		bits := ""
		for _, b := range random {
			bits += fmt.Sprintf("%08b", b)
		}
		if want := refRender("11000" + bits[1:]); code != want {
			t.Fatalf("NewRetail = %q, reference %q", code, want)
		}
		if code[0] != 'R' || len(code) != 25 {
			t.Fatalf("%q is not 25 characters that begin with R", code)
		}
		if canonical, err := keycode.CheckRetail(code); err != nil || canonical != code {
			t.Fatalf("CheckRetail = %q, %v; want %q", canonical, err, code)
		}
	})
}

func TestRetailNeedsRandomness(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		source io.Reader
		want   error
	}{
		"error": {iotest.ErrReader(broken), broken},
		"short": {bytes.NewReader(make([]byte, 11)), io.ErrUnexpectedEOF},
		"empty": {bytes.NewReader(nil), io.EOF},
	} {
		if code, err := keycode.NewRetail(tc.source); code != "" || !errors.Is(err, tc.want) {
			t.Errorf("%s: %q, %v; want %v", name, code, err, tc.want)
		}
	}
	if code, err := keycode.NewRetail(nil); code != "" || err == nil {
		t.Errorf("nil: %q, %v; want an error", code, err)
	}
	if code, err := keycode.NewRetail(iotest.OneByteReader(rand.Reader)); err != nil || len(code) != 25 {
		t.Errorf("one byte at a time: %d characters, %v", len(code), err)
	}
}

func TestRetailTag(t *testing.T) {
	for tag := range 32 {
		text := refRender(fmt.Sprintf("%05b%095b", tag, 1))
		_, err := keycode.CheckRetail(text)
		var form *keycode.FormatError
		switch {
		case tag == 24:
			if err != nil {
				t.Errorf("tag R: %v", err)
			}
		case !errors.As(err, &form) || form.Reason != keycode.ReasonTag || form.Group != 1 || form.Position != 1 ||
			!strings.Contains(err.Error(), "begins with R"):
			t.Errorf("tag %c: %v; want an error of the tag", refAlphabet[tag], err)
		}
	}
}

func TestFingerprintOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("AZaz09-éO")), 0, 200, -1).Draw(t, "text")
		folded := strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' {
				return r - 'a' + 'A'
			}
			return r
		}, text)
		want := sha256.Sum256([]byte("calkeeper retail code v1\x00" + folded))
		if got := keycode.Fingerprint(text); got != want {
			t.Fatalf("Fingerprint(%q) = %x, want %x", text, got, want)
		}
	})
}
