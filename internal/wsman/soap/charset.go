package soap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Charset is an encoding of a message on the wire. Inside of the server everything is UTF-8.
type Charset uint8

// The charsets that WS-Management clients send, and want the answer in.
const (
	UTF8    Charset = iota // UTF-8; the zero Charset
	UTF16LE                // UTF-16, little-endian
	UTF16BE                // UTF-16, big-endian
)

// String returns the name of the charset.
func (c Charset) String() string {
	switch c {
	case UTF16LE:
		return "UTF-16LE"
	case UTF16BE:
		return "UTF-16BE"
	}
	return "UTF-8"
}

// ContentType returns the value of the HTTP field Content-Type for a message in this charset. UTF-16 is
// announced without its byte order, which the byte order mark tells.
func (c Charset) ContentType() string {
	if c == UTF8 {
		return "application/soap+xml;charset=UTF-8"
	}
	return "application/soap+xml;charset=UTF-16"
}

// isLabel reports whether an encoding declared within a document fits the charset.
func (c Charset) isLabel(label string) bool {
	if strings.EqualFold(label, "utf-16") {
		return c != UTF8
	}
	return strings.EqualFold(label, c.String())
}

// Byte order marks.
var (
	markUTF8    = []byte{0xEF, 0xBB, 0xBF}
	markUTF16LE = []byte{0xFF, 0xFE}
	markUTF16BE = []byte{0xFE, 0xFF}
)

// Decode returns a message body in UTF-8, without a byte order mark, and the charset it came in, which is
// that of the answer. A byte order mark decides (RFC 7303, section 3); without one, the charset parameter
// of the content type does; without that, or for "utf-16" of unknown byte order, the zero byte beside the
// first character. A UTF-8 body is not checked, as [Parse] does that, and is not copied. Errors wrap
// [ErrCharset]: another charset, an odd number of bytes, an unpaired surrogate.
func Decode(contentType string, body []byte) (text []byte, charset Charset, err error) {
	label := charsetParameter(contentType)
	switch {
	case label == "" || strings.EqualFold(label, "utf-8"):
		if label == "" {
			charset = guess(body, UTF8)
		}
	case strings.EqualFold(label, "utf-16"):
		charset = guess(body, UTF16LE)
	case strings.EqualFold(label, "utf-16le"):
		charset = UTF16LE
	case strings.EqualFold(label, "utf-16be"):
		charset = UTF16BE
	default:
		return nil, UTF8, fmt.Errorf("%w: charset %s; only utf-8 and utf-16 are", ErrCharset, quoted([]byte(label), 32))
	}
	switch {
	case bytes.HasPrefix(body, markUTF8):
		return body[len(markUTF8):], UTF8, nil
	case bytes.HasPrefix(body, markUTF16LE):
		charset, body = UTF16LE, body[len(markUTF16LE):]
	case bytes.HasPrefix(body, markUTF16BE):
		charset, body = UTF16BE, body[len(markUTF16BE):]
	}
	if charset == UTF8 {
		return body, UTF8, nil
	}
	text, err = decodeUTF16(body, charset)
	return text, charset, err
}

// guess tells the byte order of a document from its first character, which is ASCII: < or white space.
func guess(body []byte, otherwise Charset) Charset {
	if len(body) >= 2 {
		switch {
		case body[0] != 0 && body[1] == 0:
			return UTF16LE
		case body[0] == 0 && body[1] != 0:
			return UTF16BE
		}
	}
	return otherwise
}

// order returns the byte order of a UTF-16 charset.
func (c Charset) order() binary.ByteOrder {
	if c == UTF16BE {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// decodeUTF16 converts UTF-16 to UTF-8.
func decodeUTF16(body []byte, charset Charset) ([]byte, error) {
	if len(body)%2 != 0 {
		return nil, fmt.Errorf("%w: %d bytes are no whole number of UTF-16 units", ErrCharset, len(body))
	}
	order := charset.order()
	text := make([]byte, 0, len(body)/2)
	for i := 0; i < len(body); i += 2 {
		r := rune(order.Uint16(body[i:]))
		if utf16.IsSurrogate(r) {
			first := r
			r = utf8.RuneError
			if i+2 < len(body) {
				r = utf16.DecodeRune(first, rune(order.Uint16(body[i+2:])))
			}
			if r == utf8.RuneError {
				return nil, fmt.Errorf("%w: unpaired UTF-16 surrogate at byte %d", ErrCharset, i)
			}
			i += 2
		}
		text = utf8.AppendRune(text, r)
	}
	return text, nil
}

// Encode appends a UTF-8 text to dst in the charset, UTF-16 with a byte order mark in front, and returns the
// extended slice.
func (c Charset) Encode(dst, text []byte) []byte {
	if c == UTF8 {
		return append(dst, text...)
	}
	put := binary.AppendByteOrder(binary.LittleEndian)
	if c == UTF16BE {
		put = binary.BigEndian
	}
	dst = put.AppendUint16(dst, 0xFEFF)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		if r < 0x10000 {
			dst = put.AppendUint16(dst, uint16(r))
			continue
		}
		high, low := utf16.EncodeRune(r)
		dst = put.AppendUint16(put.AppendUint16(dst, uint16(high)), uint16(low))
	}
	return dst
}

// charsetParameter returns the charset parameter of a content type (RFC 9110, section 8.3), or "".
func charsetParameter(contentType string) string {
	_, rest, _ := strings.Cut(contentType, ";")
	for rest != "" {
		name, value := rest, ""
		name, value, _ = strings.Cut(rest, "=")
		// A parameter without a value ends before the next = sign.
		if i := strings.LastIndexByte(name, ';'); i >= 0 {
			name = name[i+1:]
		}
		if strings.HasPrefix(value, `"`) {
			value, rest, _ = strings.Cut(value[1:], `"`)
			_, rest, _ = strings.Cut(rest, ";")
		} else {
			value, rest, _ = strings.Cut(value, ";")
		}
		if strings.EqualFold(strings.TrimSpace(name), "charset") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
