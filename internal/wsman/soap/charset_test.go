package soap_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"calkeeper/internal/wsman/soap"
)

func TestDecode(t *testing.T) {
	const (
		le   = "<\x00\xe4\x00\x3d\xd8\x00\xde" // <ä😀
		be   = "\x00<\x00\xe4\xd8\x3d\xde\x00"
		text = "<ä😀"
	)
	tests := []struct {
		name, contentType, body, want string
		charset                       soap.Charset
	}{
		{"UTF-8", "application/soap+xml;charset=UTF-8", text, text, soap.UTF8},
		{"UTF-8 with mark", "application/soap+xml;charset=UTF-8", "\ufeff" + text, text, soap.UTF8},
		{"no charset", "application/soap+xml", text, text, soap.UTF8},
		{"no content type", "", text, text, soap.UTF8},
		{"empty", "application/soap+xml;charset=utf-8", "", "", soap.UTF8},
		{"quoted", `application/soap+xml; action="a;charset=x"; Charset="utf-16"`, le, text, soap.UTF16LE},
		{"parameter without value", `application/soap+xml; x; charset=utf-16`, be, text, soap.UTF16BE},
		{"space", `application/soap+xml ; charset=UTF-16 ;`, be, text, soap.UTF16BE},
		{"little-endian with mark", "application/soap+xml;charset=UTF-16", "\xff\xfe" + le, text, soap.UTF16LE},
		{"big-endian with mark", "application/soap+xml;charset=UTF-16", "\xfe\xff" + be, text, soap.UTF16BE},
		{"mark without charset", "application/soap+xml", "\xfe\xff" + be, text, soap.UTF16BE},
		{"mark against charset", "application/soap+xml;charset=utf-8", "\xff\xfe" + le, text, soap.UTF16LE},
		{"UTF-8 mark against charset", "application/soap+xml;charset=utf-16", "\ufeff" + text, text, soap.UTF8},
		{"mark against byte order", "application/soap+xml;charset=utf-16le", "\xfe\xff" + be, text, soap.UTF16BE},
		{"first character without charset", "application/soap+xml", le, text, soap.UTF16LE},
		{"declared little-endian", "application/soap+xml;charset=utf-16le", le, text, soap.UTF16LE},
		{"declared big-endian", "application/soap+xml;charset=UTF-16BE", be, text, soap.UTF16BE},
		{"mark only", "application/soap+xml;charset=utf-16", "\xfe\xff", "", soap.UTF16BE},
		{"empty UTF-16", "application/soap+xml;charset=utf-16", "", "", soap.UTF16LE},
		{"second mark is a character", "application/soap+xml", "\xff\xfe\xff\xfe<\x00", "\ufeff<", soap.UTF16LE},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, charset, err := soap.Decode(tt.contentType, []byte(tt.body))
			if err != nil || string(got) != tt.want || charset != tt.charset {
				t.Errorf("got %q, %v, %v; want %q, %v", got, charset, err, tt.want, tt.charset)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct{ name, contentType, body, want string }{
		{"other charset", "text/xml;charset=iso-8859-1", "<a/>", `"iso-8859-1"`},
		{"long charset", "text/xml;charset=" + strings.Repeat("x", 99), "<a/>", strings.Repeat("x", 32) + `"...`},
		{"odd", "text/xml;charset=utf-16", "<\x00/", "3 bytes"},
		{"odd behind the mark", "text/xml", "\xff\xfe<", "1 bytes"},
		{"high surrogate last", "text/xml;charset=utf-16", "<\x00\x3d\xd8", "unpaired UTF-16 surrogate at byte 2"},
		{"high surrogate alone", "text/xml;charset=utf-16", "<\x00\x3d\xd8<\x00", "unpaired"},
		{"low surrogate alone", "text/xml;charset=utf-16be", "\x00<\xde\x00\x00<", "unpaired"},
		{"surrogates exchanged", "text/xml;charset=utf-16be", "\x00<\xde\x00\xd8\x3d", "unpaired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := soap.Decode(tt.contentType, []byte(tt.body))
			if !errors.Is(err, soap.ErrCharset) || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Errorf("got %q, %v; want ErrCharset with %q", got, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), strings.Repeat("x", 33)) {
				t.Errorf("the error repeats too much: %v", err)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	tests := []struct {
		charset                 soap.Charset
		want, name, contentType string
	}{
		{soap.UTF8, "aä😀", "UTF-8", "application/soap+xml;charset=UTF-8"},
		{soap.UTF16LE, "\xff\xfea\x00\xe4\x00\x3d\xd8\x00\xde", "UTF-16LE", "application/soap+xml;charset=UTF-16"},
		{soap.UTF16BE, "\xfe\xff\x00a\x00\xe4\xd8\x3d\xde\x00", "UTF-16BE", "application/soap+xml;charset=UTF-16"},
	}
	for _, tt := range tests {
		if got := tt.charset.Encode([]byte("x"), []byte("aä😀")); string(got) != "x"+tt.want {
			t.Errorf("%v: got %q", tt.charset, got)
		}
		if got := tt.charset.String(); got != tt.name {
			t.Errorf("String = %q, want %q", got, tt.name)
		}
		if got := tt.charset.ContentType(); got != tt.contentType {
			t.Errorf("ContentType = %q, want %q", got, tt.contentType)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, label := range []string{"", "utf-8", "UTF-16", "utf-16le", "utf-16be", `"utf-16`, "x;charset=utf-16"} {
		f.Add("application/soap+xml;charset="+label, []byte("\xff\xfe<\x00a\x00\x3d\xd8\x00\xde"))
		f.Add("application/soap+xml;charset="+label, []byte("\x00<\x00a\xd8\x3d\xde\x00"))
	}
	f.Add(`a;;=;"=";charset`, []byte("<a/>"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		text, charset, err := soap.Decode(contentType, body)
		if err != nil {
			if !errors.Is(err, soap.ErrCharset) {
				t.Fatalf("error %v is not ErrCharset", err)
			}
			return
		}
		if charset != soap.UTF8 && !utf8.Valid(text) {
			t.Fatalf("%v became invalid UTF-8: %q", charset, text)
		}
		encoded := charset.Encode(nil, text)
		// Encode writes a mark, except in UTF-8; the body may have had one or not.
		marked := [...]string{soap.UTF8: "\ufeff", soap.UTF16LE: "\xff\xfe", soap.UTF16BE: "\xfe\xff"}[charset]
		if plain := bytes.TrimPrefix(body, []byte(marked)); !bytes.Equal(bytes.TrimPrefix(encoded, []byte(marked)), plain) && !bytes.HasPrefix(plain, []byte(marked)) {
			t.Fatalf("%q in %v became %q", body, charset, encoded)
		}
		again, charsetAgain, err := soap.Decode(charset.ContentType(), encoded)
		if err != nil || charset != soap.UTF8 && (charsetAgain != charset || !bytes.Equal(again, text)) {
			t.Fatalf("%q: decoded again as %q in %v, %v", encoded, again, charsetAgain, err)
		}
	})
}
