package keycode_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"calkeeper/internal/keycode"
	"pgregory.net/rapid"
)

// checked is one of the sorts of text with its check function and valid examples.
type checked struct {
	object keycode.Object
	check  func(string) error
	valid  []string
}

func sorts(t testing.TB) []checked {
	t.Helper()
	secret := testSecret(t)
	open := func(s string) error {
		_, err := keycode.Open(s, keycode.Install, secret, forTarget)
		return err
	}
	return []checked{
		{keycode.ObjectCode, open, []string{goldenInstall, refSeal(t, 1, keycode.Code{Kind: keycode.Install}, goldenTarget)}},
		{keycode.ObjectCode, func(s string) error { _, err := keycode.Check(s); return err },
			[]string{goldenImport, goldenConfirmation, refRender(strings.Repeat("0", 140)), refRender(strings.Repeat("1", 140))}},
		{keycode.ObjectLicenseServerID, func(s string) error { _, err := keycode.CheckLicenseServerID(s); return err },
			[]string{goldenTarget, goldenSource}},
		{keycode.ObjectRetailCode, func(s string) error { _, err := keycode.CheckRetail(s); return err }, []string{goldenRetail}},
		{keycode.ObjectProductID, func(s string) error { _, err := keycode.ParseProductID(s); return err },
			[]string{goldenProductID, keycode.ProductID(keyFrom(t, 3).PublicKey())}},
	}
}

// wantGroup demands a FormatError of the check character that names the group.
func wantGroup(t *testing.T, s checked, text, what string, group int) {
	t.Helper()
	var form *keycode.FormatError
	err := s.check(text)
	if !errors.As(err, &form) || form.Reason != keycode.ReasonCheck || form.Group != group || form.Object != s.object {
		t.Fatalf("%s: %s: %v; want group %d named", s.object, what, err, group)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("group %d ", group)) {
		t.Fatalf("%s: %s: the message does not name group %d: %v", s.object, what, group, err)
	}
}

func TestEverySubstitutionIsNamed(t *testing.T) {
	for _, s := range sorts(t) {
		for _, valid := range s.valid {
			if err := s.check(valid); err != nil {
				t.Fatalf("%s: a valid text is refused: %v", s.object, err)
			}
			for i := range len(valid) {
				for _, other := range refAlphabet {
					if byte(other) == valid[i] {
						continue
					}
					wantGroup(t, s, valid[:i]+string(other)+valid[i+1:], fmt.Sprintf("character %d as %c", i+1, other), i/5+1)
				}
			}
		}
	}
}

// Two exchanged characters of a group, neighbors or not, and neighbors on both
// sides of a hyphen, where two groups are wrong and the first is named.
func TestEverySwapOfCharactersIsNamed(t *testing.T) {
	for _, s := range sorts(t) {
		for _, valid := range s.valid {
			for i := range len(valid) {
				for j := i + 1; j < len(valid) && (j/5 == i/5 || j == i+1); j++ {
					if valid[i] == valid[j] {
						continue
					}
					text := []byte(valid)
					text[i], text[j] = text[j], text[i]
					wantGroup(t, s, string(text), fmt.Sprintf("characters %d and %d exchanged", i+1, j+1), i/5+1)
				}
			}
		}
	}
}

func TestEveryTwinErrorIsNamed(t *testing.T) {
	for _, s := range sorts(t) {
		for _, valid := range s.valid {
			for i := range len(valid) - 1 {
				if valid[i] != valid[i+1] || (i+1)%5 == 0 {
					continue
				}
				for _, other := range refAlphabet {
					if byte(other) != valid[i] {
						wantGroup(t, s, valid[:i]+string(other)+string(other)+valid[i+2:], fmt.Sprintf("twins at %d as %c", i+1, other), i/5+1)
					}
				}
			}
		}
	}
}

func TestEverySwapOfGroupsIsNamed(t *testing.T) {
	for _, s := range sorts(t) {
		for _, valid := range s.valid {
			for i := 0; i < len(valid); i += 5 {
				for j := i + 5; j < len(valid); j += 5 {
					text := valid[:i] + valid[j:j+5] + valid[i+5:j] + valid[i:i+5] + valid[j+5:]
					wantGroup(t, s, text, fmt.Sprintf("groups %d and %d exchanged", i/5+1, j/5+1), i/5+1)
				}
			}
		}
	}
}

// The rule itself: over every group of every place, no group holds for two places,
// and no group is five times the same character.
func TestCheckRule(t *testing.T) {
	for place := range 13 {
		for c := range 32 {
			if refCheck([4]int{c, c, c, c}, place) == c {
				t.Errorf("five times %c is a group at place %d", refAlphabet[c], place+1)
			}
		}
	}
	zeros := strings.Repeat("0", 260)
	seen := map[byte]int{}
	for place := range 13 {
		sum := refRender(zeros)[5*place+4]
		if before, dup := seen[sum]; dup {
			t.Errorf("places %d and %d have the same term", before+1, place+1)
		}
		seen[sum] = place
	}
}

// Several wrong groups: the first is named, whatever is wrong with it.
func TestFirstWrongGroupIsNamed(t *testing.T) {
	s := sorts(t)[1]
	rapid.Check(t, func(t *rapid.T) {
		groups := []byte(goldenImport)
		first := 0
		for place := range 7 {
			if rapid.Bool().Draw(t, "spoil") {
				i := 5*place + rapid.IntRange(0, 4).Draw(t, "character")
				groups[i] = refAlphabet[(strings.IndexByte(refAlphabet, groups[i])+rapid.IntRange(1, 31).Draw(t, "by"))%32]
				if first == 0 {
					first = place + 1
				}
			}
		}
		var form *keycode.FormatError
		err := s.check(string(groups))
		if first == 0 {
			if err != nil {
				t.Fatalf("nothing is wrong, but: %v", err)
			}
		} else if !errors.As(err, &form) || form.Group != first {
			t.Fatalf("%v; want group %d", err, first)
		}
	})
}

func TestForeignCharacters(t *testing.T) {
	hints := map[string]string{
		"O": "the letter O is not used; 0 (zero) is meant?", "o": "0 (zero)", "I": "the letter I is not used; 1 (one) is meant?",
		"i": "1 (one)", "L": "the letter L is not used; 1 (one) is meant?", "l": "1 (one)", "U": "the letter U is not used; V is meant?",
		"u": "V is meant", "-": "leave out hyphens", " ": "leave out hyphens", "\x00": "only 0-9 and A-Z", "\n": "only 0-9 and A-Z",
		"*": "only 0-9 and A-Z", "\xff": "only 0-9 and A-Z", "@": "only 0-9", "[": "only 0-9", "`": "only 0-9", "{": "only 0-9", "/": "only 0-9", ":": "only 0-9",
	}
	for _, s := range sorts(t) {
		valid := s.valid[0]
		for i := range len(valid) {
			for char, hint := range hints {
				err := s.check(valid[:i] + char + valid[i+1:])
				var form *keycode.FormatError
				if !errors.As(err, &form) || form.Reason != keycode.ReasonCharacter || form.Group != i/5+1 || form.Position != i+1 {
					t.Fatalf("%s with %q at %d: %v; want group %d, position %d", s.object, char, i+1, err, i/5+1, i+1)
				}
				where := fmt.Sprintf("group %d, character %d: ", i/5+1, i%5+1)
				if !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), hint) {
					t.Fatalf("%s with %q at %d: %v; want %q and %q", s.object, char, i+1, err, where, hint)
				}
			}
		}
	}
}

func TestExactlyTheAlphabet(t *testing.T) {
	for b := range 256 {
		text := []byte(goldenInstall)
		text[7] = byte(b)
		_, err := keycode.Check(string(text))
		var form *keycode.FormatError
		foreign := errors.As(err, &form) && form.Reason == keycode.ReasonCharacter
		inside := b < 0x80 && strings.ContainsRune(refAlphabet+strings.ToLower(refAlphabet), rune(b))
		if foreign == inside {
			t.Errorf("byte %#x: %v; in the alphabet: %v", b, err, inside)
		}
	}
}

// The alphabet is checked in all groups before a check character is.
func TestAlphabetBeforeCheckCharacters(t *testing.T) {
	text := "9" + goldenInstall[1:34] + "*"
	var form *keycode.FormatError
	if _, err := keycode.Check(text); !errors.As(err, &form) || form.Reason != keycode.ReasonCharacter || form.Group != 7 {
		t.Errorf("%v; want the character of group 7", err)
	}
}

func TestLengths(t *testing.T) {
	for _, s := range sorts(t) {
		valid := s.valid[0]
		long := strings.Repeat(valid, 1_000_000/len(valid)+1)
		for _, n := range []int{0, 1, 24, 25, 26, 34, 35, 36, 41, 64, 65, 66, 70, 77, 1_000_000} {
			if n == len(valid) {
				continue
			}
			var form *keycode.FormatError
			err := s.check(long[:n])
			if !errors.As(err, &form) || form.Reason != keycode.ReasonLength || form.Length != n || form.Want != len(valid) || form.Group != 0 || form.Position != 0 {
				t.Fatalf("%s of %d characters: %v; want a length error", s.object, n, err)
			}
			if want := fmt.Sprintf("is %d bytes long; %d characters are right", n, len(valid)); !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %d characters: %v; want %q", s.object, n, err, want)
			}
		}
		if err := s.check(keycode.Groups(valid)); err == nil || !strings.Contains(err.Error(), "leave out hyphens and spaces") {
			t.Errorf("%s with hyphens: %v; want the hint", s.object, err)
		}
	}
	for text, want := range map[string]string{
		goldenRetail:                       "25 is the length of a retail code",
		goldenProductID:                    "65 is the length of a product ID",
		"é" + goldenInstall[1:]:            "only 0-9 and A-Z",
		strings.Repeat("é", 35):            "only 0-9 and A-Z",
		strings.Repeat("\u2011", 1_000_00): "35 characters are right",
	} {
		if _, err := keycode.Check(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v; want %q", len(text), err, want)
		}
	}
	if _, err := keycode.CheckRetail(goldenInstall); err == nil || !strings.Contains(err.Error(), "35 is the length of a license server ID") {
		t.Errorf("an install code as retail code: %v", err)
	}
}

func TestFormatErrorWithoutReason(t *testing.T) {
	if got := (&keycode.FormatError{Object: keycode.ObjectCode}).Error(); got != "code: malformed" {
		t.Errorf("Error = %q", got)
	}
}

// No error shows more of a code than one character that is no part of any.
func TestErrorsDoNotShowTheCode(t *testing.T) {
	for _, s := range sorts(t) {
		valid := s.valid[0]
		for _, text := range []string{valid[:len(valid)-1], "?" + valid[1:], "Z" + valid[1:], keycode.Groups(valid), valid + valid} {
			err := s.check(text)
			if err == nil {
				t.Fatalf("%s: an invalid text passes", s.object)
			}
			for i := 0; i+5 <= len(valid); i++ {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), valid[i:i+5]) {
					t.Fatalf("%s: the error shows a part of the code: %v", s.object, err)
				}
			}
		}
	}
}
