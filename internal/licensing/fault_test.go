package licensing_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"calkeeper/internal/licensing"
)

func TestKindRoundTrip(t *testing.T) {
	seen := map[string]bool{}
	for k := licensing.Internal; k <= licensing.Unlicensed; k++ {
		s := k.String()
		if s == "" || seen[s] || strings.HasPrefix(s, "kind ") {
			t.Errorf("kind %d has the text %q", uint8(k), s)
		}
		seen[s] = true
		if got := licensing.ParseKind(s); got != k {
			t.Errorf("%q is read as %q", s, got)
		}
	}
	beyond := licensing.Unlicensed + 1
	if got, want := beyond.String(), "kind 11"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	for _, s := range []string{"", "Invalid", "kind 11", "no such kind"} {
		if got := licensing.ParseKind(s); got != licensing.Internal {
			t.Errorf("%q is read as %q; want internal: an unknown kind tells the caller nothing", s, got)
		}
	}
}

func TestFault(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	for _, test := range []struct {
		name    string
		err     error
		kind    licensing.Kind
		text    string
		message string
	}{
		{"of the domain", licensing.Faultf(licensing.NotFound, "there is no key pack %d", 7),
			licensing.NotFound, "there is no key pack 7", "there is no key pack 7"},
		{"with all", &licensing.Fault{Kind: licensing.Unavailable, Op: "import", Msg: "no answer", Err: cause},
			licensing.Unavailable, "import: no answer: unexpected EOF", "no answer"},
		{"wrapped", fmt.Errorf("key pack 3: %w", licensing.Faultf(licensing.Denied, "no")),
			licensing.Denied, "key pack 3: no", "no"},
		{"joined", errors.Join(cause, licensing.Faultf(licensing.Limited, "too often")),
			licensing.Limited, "unexpected EOF\ntoo often", "too often"},
		{"internal", licensing.Faultf(licensing.Internal, "table key_pack is gone"),
			licensing.Internal, "table key_pack is gone", "internal error; the log has the details"},
		{"internal around another", &licensing.Fault{Msg: "outer", Err: licensing.Faultf(licensing.Invalid, "inner")},
			licensing.Internal, "outer: inner", "internal error; the log has the details"},
		{"of elsewhere", cause, licensing.Internal, "unexpected EOF", "internal error; the log has the details"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := licensing.KindOf(test.err); got != test.kind {
				t.Errorf("kind %q; want %q", got, test.kind)
			}
			if got := test.err.Error(); got != test.text {
				t.Errorf("text %q; want %q", got, test.text)
			}
			if got := licensing.Message(test.err); got != test.message {
				t.Errorf("message %q; want %q", got, test.message)
			}
		})
	}
	if f := (&licensing.Fault{Msg: "x", Err: cause}); !errors.Is(f, cause) {
		t.Error("the cause is not in the chain")
	}
	if licensing.KindOf(nil) != licensing.Internal {
		t.Error("nil has a kind")
	}
}
