package accounts_test

import (
	"strings"
	"testing"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
)

// TestHash makes and checks one real hash.
func TestHash(t *testing.T) {
	s := accounts.New(openStore(t), accounts.Options{})
	hash := s.Hash("pässword")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", hash)
	}
	if again := s.Hash("pässword"); again == hash {
		t.Error("two hashes have the same salt")
	}
	for password, want := range map[string]bool{"pässword": true, "password": false, "": false} {
		if got, err := s.Fits(hash, password); got != want || err != nil {
			t.Errorf("%q fits: %v, %v", password, got, err)
		}
	}
}

func TestGeneratedPassword(t *testing.T) {
	h := newHouse(t)
	seen := map[string]bool{}
	var previous string
	for range 3 {
		password, err := h.Generate(t.Context(), "test", accounts.Change{Name: "ada", Role: auth.Auditor})
		must(t, err)
		// 26 characters of 32 letters and digits are 130 bits.
		if len(password) < 26 || strings.Trim(password, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || seen[password] {
			t.Errorf("%d characters, made before: %v", len(password), seen[password])
		}
		seen[password] = true
		h.accepted(basic(here), "ada", password, identity("ada", auth.Auditor))
		h.refused(basic(here), "ada", strings.ToLower(password))
		if previous != "" {
			h.refused(basic(there), "ada", previous)
		}
		previous = password
	}
}

func FuzzParseHash(f *testing.F) {
	const salt, sum = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, text := range []string{
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=65536,t=8,p=4$" + salt + "$" + sum, "$argon2id$v=19$m=4294967295,t=4294967295,p=255$" + salt + "$" + sum,
		"$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=0,t=0,p=0$$", "$2b$12$", "", "$$$$$", "$argon2id$v=19$m=+64,t=01,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=19456,t=2,p=1$" + salt[:21] + "B$" + sum,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		again, memory, time, err := accounts.ParseHash(text)
		if err == nil && (again != text || memory > 64*1024 || memory < 8 || time > 8 || time < 1) {
			t.Errorf("%q is read as %q", text, again)
		}
	})
}

// TestParseHash: what is beyond the bounds, or written in another way, is refused.
func TestParseHash(t *testing.T) {
	const salt, sum = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for text, want := range map[string]bool{
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum:                true,
		"$argon2id$v=19$m=65536,t=8,p=4$" + salt + "$" + sum:                true,
		"$argon2id$v=19$m=65537,t=2,p=1$" + salt + "$" + sum:                false,
		"$argon2id$v=19$m=19456,t=9,p=1$" + salt + "$" + sum:                false,
		"$argon2id$v=19$m=19456,t=2,p=5$" + salt + "$" + sum:                false,
		"$argon2id$v=19$m=31,t=2,p=4$" + salt + "$" + sum:                   false,
		"$argon2id$v=19$m=4294986752,t=2,p=1$" + salt + "$" + sum:           false,
		"$argon2id$v=19$m=19456,t=2,p=257$" + salt + "$" + sum:              false,
		"$argon2id$v=19$m=019456,t=2,p=1$" + salt + "$" + sum:               false,
		"$argon2id$v=19$m=19456,t=2,p=1,x=1$" + salt + "$" + sum:            false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt[:20] + "$" + sum:           false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum[:42]:           false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt[:21] + "B$" + sum:          false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum[:40] + "\nAAA": false,
		"$argon2d$v=19$m=19456,t=2,p=1$" + salt + "$" + sum:                 false,
		"": false,
	} {
		if _, _, _, err := accounts.ParseHash(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
