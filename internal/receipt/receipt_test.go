package receipt_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/licensing"
	"calkeeper/internal/receipt"
)

var now = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func claims() receipt.Claims {
	return receipt.Claims{
		Issuer: "ls1.example.com", Host: "rds1.example.com", ID: "K7Q2", User: "ada@example", Device: "id:ip:192.0.2.7", LicenseID: 42,
		Issued: now, Expires: now.Add(time.Hour),
	}
}

// sign makes a token of any header and payload, rightly signed.
func sign(k ed25519.PrivateKey, header, payload string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(ed25519.Sign(k, []byte(signed)))
}

// TestFormat holds a receipt to what docs/api.md says, with another reader than the package's own.
func TestFormat(t *testing.T) {
	parts := strings.Split(receipt.Sign(key(1), claims()), ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	for i, want := range []string{
		`{"alg":"EdDSA","typ":"calkeeper-receipt+jwt"}`,
		`{"iss":"ls1.example.com","sub":"rds1.example.com","jti":"K7Q2","iat":1795327200,"exp":1795330800,"user":"ada@example",` +
			`"device":"id:ip:192.0.2.7","licenseId":42,"allowed":true}`,
	} {
		got, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || string(got) != want {
			t.Errorf("part %d is %s, %v; want %s", i, got, err, want)
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !ed25519.Verify(public(key(1)), []byte(parts[0]+"."+parts[1]), signature) {
		t.Errorf("the signature is wrong: %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 256, -1)
		c := receipt.Claims{
			Issuer: text.Draw(t, "issuer"), Host: text.Draw(t, "host"), ID: text.Draw(t, "id"), User: text.Draw(t, "user"), Device: text.Draw(t, "device"),
			LicenseID: rapid.Uint32().Draw(t, "license"), Issued: now.Add(-time.Duration(rapid.IntRange(0, 1e6).Draw(t, "age")) * time.Second),
			Expires: now.Add(time.Duration(rapid.IntRange(1, 1e6).Draw(t, "rest")) * time.Second),
		}
		got, err := receipt.Verify(public(key(1)), receipt.Sign(key(1), c), now)
		if err != nil || got != c {
			t.Fatalf("got %+v, %v; want %+v", got, err, c)
		}
	})
}

func TestRefused(t *testing.T) {
	const header = `{"alg":"EdDSA","typ":"calkeeper-receipt+jwt"}`
	const payload = `{"iss":"a","sub":"b","jti":"c","iat":1795327200,"exp":1795330800,"licenseId":42,"allowed":true}`
	good := sign(key(1), header, payload)
	if _, err := receipt.Verify(public(key(1)), good, now); err != nil {
		t.Fatalf("what the cases are made of is refused: %v", err)
	}
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct {
		token string
		says  string
	}{
		"empty":               {"", "begins otherwise"},
		"one part":            {parts[0], "not signed"},
		"two parts":           {parts[0] + "." + parts[1], "not signed"},
		"four parts":          {good + ".x", "not signed"},
		"padded":              {good + "=", "not signed"},
		"line break":          {good + "\n", "not signed"},
		"another key":         {sign(key(2), header, payload), "not signed"},
		"no algorithm":        {sign(key(1), `{"alg":"none"}`, payload), "begins otherwise"},
		"another type":        {sign(key(1), `{"alg":"EdDSA","typ":"JWT"}`, payload), "begins otherwise"},
		"unsigned":            {parts[0] + "." + parts[1] + ".", "not signed"},
		"another payload":     {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload, "42", "43", 1))) + "." + parts[2], "not signed"},
		"not allowed":         {sign(key(1), header, strings.Replace(payload, "true", "false", 1)), "allows nothing"},
		"unknown claim":       {sign(key(1), header, strings.Replace(payload, `"sub"`, `"crit":1,"sub"`, 1)), "does not understand"},
		"no JSON":             {sign(key(1), header, "x"), "does not understand"},
		"two values":          {sign(key(1), header, payload+"{}"), "does not understand"},
		"a time not a number": {sign(key(1), header, strings.Replace(payload, "1795330800", `"x"`, 1)), "does not understand"},
		"of the future":       {sign(key(1), header, strings.Replace(payload, "1795327200", "1795327501", 1)), "of the future"},
		"expired":             {sign(key(1), header, strings.Replace(payload, "1795330800", "1795327200", 1)), "has expired"},
		"too long":            {good + strings.Repeat("A", 9000), "at most 8192"},
	} {
		got, err := receipt.Verify(public(key(1)), c.token, now)
		if licensing.KindOf(err) != licensing.Invalid || !strings.Contains(err.Error(), c.says) || got != (receipt.Claims{}) {
			t.Errorf("%s: %+v, %v; want one that says %q", name, got, err, c.says)
		}
	}
	if _, err := receipt.Verify(public(key(1))[:31], good, now); licensing.KindOf(err) != licensing.Invalid {
		t.Errorf("with half a key: %v", err)
	}
}

// TestLongest holds the bound to what license servers can be asked to sign.
func TestLongest(t *testing.T) {
	wide := strings.Repeat("\u2028", licensing.MaxUserLength) // escaped as \u2028: the widest that JSON makes of a character
	c := claims()
	c.Issuer, c.Host, c.User, c.Device = strings.Repeat("h", 253), strings.Repeat("h", 253), wide+"@"+wide, wide[:3*licensing.MaxDeviceLength]
	if _, err := receipt.Verify(public(key(1)), receipt.Sign(key(1), c), now); err != nil {
		t.Error(err)
	}
}

// FuzzVerify: of whatever text, only what the key has signed is taken, and it says one thing.
func FuzzVerify(f *testing.F) {
	good := receipt.Sign(key(1), claims())
	f.Add(good)
	f.Add(receipt.Sign(key(2), claims()))
	f.Add(good[:len(good)-1])
	f.Add(good + "A")
	f.Add("...")
	f.Add(sign(key(1), `{"alg":"none"}`, `{}`))
	f.Fuzz(func(t *testing.T, token string) {
		got, err := receipt.Verify(public(key(1)), token, now)
		if err == nil && (token != good || got != claims()) {
			t.Errorf("%q is taken: %+v", token, got)
		}
		if err != nil && licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q: %v", token, err)
		}
	})
}

// FuzzSigned sends payloads that are rightly signed: a license server of another version may write what it likes.
func FuzzSigned(f *testing.F) {
	f.Add(`{"iss":"a","sub":"b","jti":"c","iat":1795327200,"exp":1795330800,"licenseId":42,"allowed":true}`)
	f.Add(`{"exp":9223372036854775807,"iat":-9223372036854775808,"allowed":true}`)
	f.Add(`[[[[`)
	f.Fuzz(func(t *testing.T, payload string) {
		token := sign(key(1), `{"alg":"EdDSA","typ":"calkeeper-receipt+jwt"}`, payload)
		c, err := receipt.Verify(public(key(1)), token, now)
		if err == nil && (!json.Valid([]byte(payload)) || !c.Expires.After(now) || c.Issued.After(now.Add(5*time.Minute))) {
			t.Errorf("%q is taken: %+v", payload, c)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	k, c := key(1), claims()
	for b.Loop() {
		receipt.Sign(k, c)
	}
}

func BenchmarkVerify(b *testing.B) {
	k, token := public(key(1)), receipt.Sign(key(1), claims())
	for b.Loop() {
		if _, err := receipt.Verify(k, token, now); err != nil {
			b.Fatal(err)
		}
	}
}
