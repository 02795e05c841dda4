package licensing_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"calkeeper/internal/licensing"
)

func TestUserKey(t *testing.T) {
	for _, same := range [][]string{
		{`EXAMPLE\ada`, `example\Ada`, `Example.com\ADA`, "ada@example", "ADA@Example.com", "ada@example.co.uk", "ada@example."},
		{"ada", "Ada", `.\ada`, `.\ADA`},
		{`OTHER\ada`, "ada@other.example.com"},
		{"ada lovelace", `.\Ada Lovelace`},
		{`x\a@b`, "a@b@x", "A@B@X.example"},
		{"жанна@пример", `ПРИМЕР\Жанна`},
		{"kelvin@\u212a", "KELVIN@k"}, // the Kelvin sign is a K
		{"σίσυφος", "ΣΊΣΥΦΟΣ", "Σίσυφοσ"},
		{"groß", "GROẞ"},
		{"1000", `.\1000`},
	} {
		want, err := licensing.UserKey(same[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range same[1:] {
			if key, err := licensing.UserKey(name); err != nil || key != want {
				t.Errorf("%q has the key %q, %v; %q has %q", name, key, err, same[0], want)
			}
		}
	}
	keys := map[string]string{}
	for _, name := range []string{"ada", `EXAMPLE\ada`, `OTHER\ada`, "adam@example", "ada@exampl", "a@da", "straße", "strasse", "ada@ada"} {
		key, err := licensing.UserKey(name)
		if err != nil {
			t.Fatal(err)
		}
		if other := keys[key]; other != "" {
			t.Errorf("%q and %q are one", name, other)
		}
		keys[key] = name
	}
}

func TestUserKeyRefuses(t *testing.T) {
	for _, name := range []string{
		"", " ", " ada", "ada ", `\ada`, `EXAMPLE\`, `\`, `a\b\c`, "@", "ada@", "@example", "ada@.example", "ada@.", "a\x00b", "a\nb",
		"a\u202eb", "a\u200bb", "\xff", "ada\u00a0lovelace", strings.Repeat("a", 257),
	} {
		if key, err := licensing.UserKey(name); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q has the key %q, %v; want a fault of kind invalid", name, key, err)
		} else if strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q is refused with an error that cannot be printed: %q", name, err)
		}
	}
	if _, err := licensing.UserKey(strings.Repeat("ä", 256)); err != nil {
		t.Errorf("256 characters: %v", err)
	}
}

func TestDeviceKey(t *testing.T) {
	d := func(id, name string) licensing.Device { return licensing.Device{ID: id, Name: name} }
	for _, c := range []struct {
		a, b licensing.Device
		same bool
	}{
		{d("A1", ""), d("a1", ""), true},
		{d("a1", "desk"), d("a1", "laptop"), true},
		{d("", "Desk"), d("", "desk"), true},
		{d("desk", ""), d("", "desk"), false},
		{d("a1", ""), d("a2", ""), false},
		{d("name:x", ""), d("", "x"), false},
		{d("", "id:x"), d("x", ""), false},
	} {
		a, errA := licensing.DeviceKey(c.a)
		b, errB := licensing.DeviceKey(c.b)
		if errA != nil || errB != nil || (a == b) != c.same {
			t.Errorf("%+v has %q, %v; %+v has %q, %v", c.a, a, errA, c.b, b, errB)
		}
	}
	for _, bad := range []licensing.Device{
		{}, d(" ", ""), d("a ", ""), d("a", " b"), d("a\x00", ""), d("", "\xff"), d("a", "\u202e"), d(strings.Repeat("a", 129), ""),
		d("a", strings.Repeat("a", 129)),
	} {
		if key, err := licensing.DeviceKey(bad); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%+v has the key %q, %v; want a fault of kind invalid", bad, key, err)
		}
	}
}

func TestDeviceString(t *testing.T) {
	for want, d := range map[string]licensing.Device{
		"desk": {ID: "a1", Name: "desk"}, "a1": {ID: "a1"}, "": {},
	} {
		if got := d.String(); got != want || d.IsZero() != (want == "") {
			t.Errorf("%+v is called %q", d, got)
		}
	}
}

func TestCheckSession(t *testing.T) {
	for _, good := range []string{"", ":10", "seat0 #2", strings.Repeat("s", 128)} {
		if err := licensing.CheckSession(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{" ", "a\tb", "\x7f", "\xff", strings.Repeat("s", 129)} {
		if err := licensing.CheckSession(bad); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q: %v; want a fault of kind invalid", bad, err)
		}
	}
}

// TestFold: texts that differ in case only are one, and folding twice is folding once.
func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		folded := licensing.Fold(s)
		if again := licensing.Fold(folded); again != folded {
			t.Fatalf("%q folds to %q, and that to %q", s, folded, again)
		}
		if !strings.EqualFold(s, folded) {
			t.Fatalf("%q folds to %q, which is another text", s, folded)
		}
		runes := []rune(s)
		for i, r := range runes {
			if rapid.Bool().Draw(t, "change case?") {
				runes[i] = unicode.SimpleFold(r)
			}
		}
		if other := licensing.Fold(string(runes)); other != folded {
			t.Fatalf("%q folds to %q, %q to %q", s, folded, string(runes), other)
		}
	})
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "Ada", "ß", "İ", "ſ", "\u212a", "\xff", "a\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded := licensing.Fold(s)
		if licensing.Fold(folded) != folded {
			t.Errorf("%q folds to %q, and on", s, folded)
		}
		if utf8.ValidString(s) && utf8.RuneCountInString(folded) != utf8.RuneCountInString(s) {
			t.Errorf("%q folds to %q", s, folded)
		}
	})
}

func FuzzUserKey(f *testing.F) {
	for _, s := range []string{"ada", `EXAMPLE\ada`, "ada@example.com", `.\ada`, "a@b@c.d", `\`, "@", "\xff", "ada@."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, err := licensing.UserKey(name)
		if err != nil {
			if licensing.KindOf(err) != licensing.Invalid || key != "" {
				t.Errorf("%q: %q, %v", name, key, err)
			}
			return
		}
		user, domain := key[:strings.LastIndexByte(key, '@')], key[strings.LastIndexByte(key, '@')+1:]
		other := `.\` + user
		if domain != "" {
			other = domain + `\` + user
		}
		if strings.Contains(user, `\`) {
			t.Fatalf("%q has the key %q", name, key)
		}
		// Some are no names once the rest is cut off, such as "a @b"; the others have the same key under the other form.
		if again, err := licensing.UserKey(other); err == nil && again != key {
			t.Errorf("%q has the key %q, but %q has %q", name, key, other, again)
		}
		if upper, err := licensing.UserKey(strings.ToUpper(name)); err == nil && licensing.Fold(strings.ToUpper(name)) == licensing.Fold(name) && upper != key {
			t.Errorf("%q has the key %q; in capitals %q", name, key, upper)
		}
	})
}

func FuzzDeviceKey(f *testing.F) {
	f.Add("a1", "desk")
	f.Add("", "desk")
	f.Add("ip:192.0.2.7", "")
	f.Add("\xff", "\x00")
	f.Fuzz(func(t *testing.T, id, name string) {
		key, err := licensing.DeviceKey(licensing.Device{ID: id, Name: name})
		switch {
		case err != nil && (licensing.KindOf(err) != licensing.Invalid || key != ""):
			t.Errorf("%q, %q: %q, %v", id, name, key, err)
		case err == nil && strings.HasPrefix(key, "id:") != (id != ""):
			t.Errorf("%q, %q has the key %q", id, name, key)
		case err == nil && !utf8.ValidString(key):
			t.Errorf("%q, %q has the key %q, which is not UTF-8", id, name, key)
		}
	})
}

func TestDownLevelLogonName(t *testing.T) {
	for name, want := range map[string]string{
		`FARM\ada`:              `FARM\ada`,
		`farm\Ada`:              `FARM\Ada`,
		`farm.example\ada`:      `FARM\ada`,
		"ada@farm.example":      `FARM\ada`,
		"ada@home@farm.example": `FARM\ada@home`,
		"ada":                   `.\ada`,
		`.\ada`:                 `.\ada`,
		"":                      `.\`,
		`\ada`:                  `.\\ada`,
		"straße@köln.example":   `KÖLN\straße`,
	} {
		domain, user := licensing.DownLevelLogonName(name)
		if got := domain + `\` + user; got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestDownLevelLogonNameNamesTheSameUser: whoever reads a report finds the user again.
func TestDownLevelLogonNameNamesTheSameUser(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`([A-Za-zé]{1,4}(\.[a-z]{1,3})?\\)?[A-Za-zß.@]{1,6}(@[a-zé]{1,3}(\.[a-z]{1,3})?)?`).Draw(rt, "name")
		key, err := licensing.UserKey(name)
		if err != nil {
			return
		}
		domain, user := licensing.DownLevelLogonName(name)
		again, err := licensing.UserKey(domain + `\` + user)
		if err != nil || again != key {
			rt.Errorf("%q has the key %q, %q has %q, %v", name, key, domain+`\`+user, again, err)
		}
	})
}
