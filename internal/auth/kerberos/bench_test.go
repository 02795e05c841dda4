package kerberos_test

import (
	"bytes"
	"testing"

	"calkeeper/internal/auth/kerberos"
)

func BenchmarkAccept(b *testing.B) {
	w := newWorld(b, kerberos.Options{})
	for b.Loop() {
		b.StopTimer()
		token := w.offer(aes256).token(b)
		b.StartTimer()
		if _, _, err := w.accept(token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMessages opens a request and seals an answer, of some kilobytes.
func BenchmarkMessages(b *testing.B) {
	for name, size := range map[string]int{"2KB": 2 << 10, "100KB": 100 << 10} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, kerberos.Options{})
			i, c := w.establish(w.offer(aes256))
			message := bytes.Repeat([]byte("x"), size)
			b.SetBytes(int64(2 * size))
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				sealed := i.seal(message)
				b.StartTimer()
				if _, err := c.Unwrap(sealed[:60], sealed[60:]); err != nil {
					b.Fatal(err)
				}
				if _, _, err := c.Wrap(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
