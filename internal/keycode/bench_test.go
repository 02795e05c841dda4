package keycode_test

import (
	"crypto/ecdh"
	"testing"

	"calkeeper/internal/keycode"
)

func benchmarkOpen(b *testing.B, text string, kind keycode.Kind, binding keycode.Binding, opens bool) {
	secret := testSecret(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keycode.Open(text, kind, secret, binding); (err == nil) != opens {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenRight(b *testing.B) {
	benchmarkOpen(b, goldenInstall, keycode.Install, forTarget, true)
}

func BenchmarkOpenRightImport(b *testing.B) {
	benchmarkOpen(b, goldenImport, keycode.Import, forImport, true)
}

// The same data bits; only the MAC is wrong, in group 5 or in group 7.
func BenchmarkOpenWrongMAC(b *testing.B) {
	b.Run("first", func(b *testing.B) {
		benchmarkOpen(b, otherGroup(goldenInstall, 4), keycode.Install, forTarget, false)
	})
	b.Run("last", func(b *testing.B) {
		benchmarkOpen(b, otherGroup(goldenInstall, 6), keycode.Install, forTarget, false)
	})
}

func BenchmarkOpenWrongCheck(b *testing.B) {
	benchmarkOpen(b, goldenInstall[:34]+"0", keycode.Install, forTarget, false)
}

func BenchmarkSeal(b *testing.B) {
	secret := testSecret(b)
	code := goldenCodes()[2].code
	b.ReportAllocs()
	for b.Loop() {
		if _, err := code.Seal(secret, forTarget); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keycode.Check(goldenInstall); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAgree(b *testing.B) {
	server, house := mustKey(b, serverPrivate), mustKey(b, clearinghousePrivate)
	for b.Loop() {
		if _, err := keycode.Agree(server, server.PublicKey(), house.PublicKey()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseProductID(b *testing.B) {
	var key *ecdh.PublicKey
	b.ReportAllocs()
	for b.Loop() {
		pub, err := keycode.ParseProductID(goldenProductID)
		if err != nil {
			b.Fatal(err)
		}
		key = pub
	}
	if key == nil {
		b.Fatal("no key")
	}
}
