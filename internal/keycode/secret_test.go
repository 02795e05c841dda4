package keycode_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"calkeeper/internal/keycode"
)

func TestAgreeRefuses(t *testing.T) {
	server, house, stranger := keyFrom(t, 1), keyFrom(t, 2), keyFrom(t, 3)
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	lowOrder, err := ecdh.X25519().NewPublicKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name          string
		own           *ecdh.PrivateKey
		server, house *ecdh.PublicKey
		want          string
	}{
		{"no private key", nil, server.PublicKey(), house.PublicKey(), "three keys are needed"},
		{"no server key", server, nil, house.PublicKey(), "three keys are needed"},
		{"no clearinghouse key", server, server.PublicKey(), nil, "three keys are needed"},
		{"private key of another curve", p256, server.PublicKey(), house.PublicKey(), "must be X25519"},
		{"server key of another curve", server, p256.PublicKey(), house.PublicKey(), "must be X25519"},
		{"clearinghouse key of another curve", server, server.PublicKey(), p256.PublicKey(), "must be X25519"},
		{"stranger", stranger, server.PublicKey(), house.PublicKey(), "belongs neither"},
		{"same key twice", server, server.PublicKey(), server.PublicKey(), "same public key"},
		{"low order", server, server.PublicKey(), lowOrder, "key agreement: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			secret, err := keycode.Agree(tc.own, tc.server, tc.house)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Agree: %v; want an error with %q", err, tc.want)
			}
			if secret != (keycode.Secret{}) {
				t.Error("Agree gave a secret with its error")
			}
		})
	}
}

func TestDerive(t *testing.T) {
	secret := testSecret(t)
	got := secret.Derive("https request")
	if want := "3d9fe70bd40bcdcf372e67c22b279457d1fb0734de9e3a31ec1ce4ee43d6c9a6"; hex.EncodeToString(got[:]) != want {
		t.Errorf("Derive = %x, want %s", got, want)
	}
	if ref := refDerive(t, "calkeeper derive v1"+refParties(t)+"https request"); !bytes.Equal(got[:], ref) {
		t.Errorf("Derive = %x, reference %x", got, ref)
	}
	seen := map[[32]byte]string{[32]byte(refDerive(t, "calkeeper code v1"+refParties(t))): "the key of the codes"}
	for _, info := range []string{"", "a", "b", "calkeeper code v1", "calkeeper code v1" + refParties(t)} {
		key := secret.Derive(info)
		if before, dup := seen[key]; dup {
			t.Errorf("Derive(%q) is the same key as %q", info, before)
		}
		seen[key] = info
	}
	house := mustKey(t, clearinghousePrivate)
	other, err := keycode.Agree(house, keyFrom(t, 1).PublicKey(), house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if other.Derive("a") == secret.Derive("a") {
		t.Error("two license servers derive the same key")
	}
	defer func() {
		if recover() == nil {
			t.Error("Derive of the zero Secret gave a key")
		}
	}()
	keycode.Secret{}.Derive("a")
}

func TestSecretIsRedacted(t *testing.T) {
	secret := testSecret(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, secret); got != "redacted" {
			t.Errorf("%s shows %q", verb, got)
		}
	}
	server, house := mustKey(t, serverPrivate), mustKey(t, clearinghousePrivate)
	shared, err := server.ECDH(house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	prk := refHMAC(make([]byte, 32), shared)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret)
	if !strings.Contains(log.String(), `"secret":"redacted"`) {
		t.Errorf("slog shows %s", log.String())
	}
	encoded, err := json.Marshal(map[string]any{"secret": secret})
	if err != nil {
		t.Fatal(err)
	}
	holder := struct{ inner keycode.Secret }{secret}
	shown := fmt.Sprintf("%x %X %q %+v %v", secret, secret, secret, holder, holder) + string(encoded)
	for _, leak := range []string{hex.EncodeToString(prk[:4]), fmt.Sprintf("%X", prk[:4]), fmt.Sprint(prk[0], prk[1], prk[2])} {
		if strings.Contains(shown, leak) {
			t.Errorf("the key shows: %s", shown)
		}
	}
}

func TestSecretServesManyGoroutines(t *testing.T) {
	secret := testSecret(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				for _, g := range goldenCodes() {
					if text, err := g.code.Seal(secret, g.binding); err != nil || text != g.text {
						t.Errorf("%s: Seal = %q, %v", g.name, text, err)
						return
					}
					if code, err := keycode.Open(g.text, g.code.Kind, secret, g.binding); err != nil || code != g.code {
						t.Errorf("%s: Open = %+v, %v", g.name, code, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
