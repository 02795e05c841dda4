package ntlm_test

import (
	"bytes"
	"testing"

	"calkeeper/internal/auth/ntlm"
)

// BenchmarkHandshake is the acceptor's part of a handshake. The test's accounts hash the password each time, which is within it.
func BenchmarkHandshake(b *testing.B) {
	i := initiator{user: "alice", password: password, domain: "SRV"}
	_, challenge := challenged(b, options(), i.negotiate())
	token, err := i.authenticate(challenge)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a := ntlm.NewAcceptor(options())
		if _, _, err := a.Accept(b.Context(), i.negotiation); err != nil {
			b.Fatal(err)
		}
		if _, _, err := a.Accept(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrap1KiB(b *testing.B)   { benchmarkWrap(b, 1<<10) }
func BenchmarkWrap64KiB(b *testing.B)  { benchmarkWrap(b, 64<<10) }
func BenchmarkUnwrap1KiB(b *testing.B) { benchmarkUnwrap(b, 1<<10) }

func BenchmarkUnwrap64KiB(b *testing.B) { benchmarkUnwrap(b, 64<<10) }

func benchmarkWrap(b *testing.B, size int) {
	c, _ := conversation(true)
	message := bytes.Repeat([]byte("a"), size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.Wrap(message); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkUnwrap has within it that the client seals, which costs about as much.
func benchmarkUnwrap(b *testing.B, size int) {
	c, p := conversation(true)
	message := bytes.Repeat([]byte("a"), size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Unwrap(p.wrap(message)); err != nil {
			b.Fatal(err)
		}
	}
}
