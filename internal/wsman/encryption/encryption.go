// Package encryption reads and writes the frame of a sealed WS-Management message: multipart/encrypted (MS-WSMV 2.2.9.1). It is no
// MIME: no empty line ends the headers of a part, and the sealed part may contain anything, also the boundary.
//
// The package must not know how a message is sealed, nor HTTP.
package encryption

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The protocols of Message. That of CredSSP is not supported.
const (
	SPNEGO   = "application/HTTP-SPNEGO-session-encrypted"
	Kerberos = "application/HTTP-Kerberos-session-encrypted"

	credSSP = "application/HTTP-CredSSP-session-encrypted"
)

const (
	one  = "multipart/encrypted"         // one sealed message
	many = "multipart/x-multi-encrypted" // one in several sealed parts, which only CredSSP needs

	octetStream = "application/octet-stream"
	boundary    = "Encrypted Boundary" // the one that we write
	maxBoundary = 70                   // bytes (RFC 2046, section 5.1.1)
	maxLine     = 512                  // bytes of a header, with its end
	maxContent  = 256                  // bytes of type and charset
)

// Message is one sealed message.
type Message struct {
	Protocol        string // SPNEGO or Kerberos
	OriginalContent string // type and charset of the message, such as "application/soap+xml;charset=UTF-8"
	Signature       []byte // what stands before the sealed bytes, at least one byte
	Sealed          []byte // as many bytes as the message has
}

// Is tells whether a Content-Type is that of a sealed message. Parse may still refuse it.
func Is(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.Trim(media, " \t")
	return strings.EqualFold(media, one) || strings.EqualFold(media, many)
}

// ContentType returns the Content-Type that goes with Append.
func (m Message) ContentType() string {
	return one + `;protocol="` + m.Protocol + `";boundary="` + boundary + `"`
}

// Append appends the message in its frame.
func (m Message) Append(to []byte) []byte {
	to = append(to, "--"+boundary+"\r\n\tContent-Type: "+m.Protocol+"\r\n\tOriginalContent: type="+m.OriginalContent+";Length="...)
	to = strconv.AppendInt(to, int64(len(m.Sealed)), 10)
	to = append(to, "\r\n--"+boundary+"\r\n\tContent-Type: "+octetStream+"\r\n"...)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(m.Signature)))
	to = append(append(to, m.Signature...), m.Sealed...)
	return append(to, "--"+boundary+"--\r\n"...)
}

// Parse reads a message in its frame, which must be all of the body. Signature and Sealed are parts of the body. The error says what is
// wrong, and in which line; it has nothing of the sealed bytes.
func Parse(contentType string, body []byte) (Message, error) {
	protocol, boundary, err := parameters(contentType)
	if err != nil {
		return Message{}, fmt.Errorf("Content-Type of a sealed message: %w", err)
	}
	r := reader{rest: body}
	m, err := r.message(protocol, "--"+boundary)
	if err != nil {
		return Message{}, fmt.Errorf("sealed message, line %d: %w", r.line, err)
	}
	return m, nil
}

// reader takes a frame apart. Each of its methods reads on; line counts from 1.
type reader struct {
	rest []byte
	line int
}

func (r *reader) message(protocol, delimiter string) (Message, error) {
	m := Message{Protocol: protocol}
	if line, err := r.next(); err != nil || line != delimiter {
		return m, errors.New("it is not the boundary that Content-Type announces")
	}
	length, err := r.first(&m, delimiter)
	if err != nil {
		return m, err
	}
	line, err := r.next()
	if err != nil {
		return m, err
	}
	if name, value := header(line); !strings.EqualFold(name, "Content-Type") || !strings.EqualFold(value, octetStream) {
		return m, fmt.Errorf("after the second boundary must come Content-Type: %s", octetStream)
	}

	r.line++
	blob, closed := bytes.CutSuffix(bytes.TrimSuffix(r.rest, []byte("\r\n")), []byte(delimiter+"--"))
	switch {
	case !closed:
		return m, errors.New("the body does not end with the closing boundary")
	case len(blob) < 4:
		return m, errors.New("there is no length of a signature")
	}
	signature := binary.LittleEndian.Uint32(blob)
	blob = blob[4:]
	switch {
	case signature == 0:
		return m, errors.New("the signature is empty")
	case uint64(signature) > uint64(len(blob)):
		return m, fmt.Errorf("the signature has %d bytes, and %d are left", signature, len(blob))
	}
	m.Signature, m.Sealed = blob[:signature:signature], blob[signature:len(blob):len(blob)]
	// NTLM and Kerberos seal without filling up, so anything else is beside the sealed message.
	if len(m.Sealed) != length {
		return m, fmt.Errorf("there are %d sealed bytes, and OriginalContent says %d", len(m.Sealed), length)
	}
	return m, nil
}

// first reads the headers of the first part, and the boundary after them. It returns the length of the message.
func (r *reader) first(m *Message, delimiter string) (length int, err error) {
	var protocol string
	for {
		line, err := r.next()
		if err != nil {
			return 0, err
		}
		name, value := header(line)
		switch {
		case line == delimiter && protocol == "":
			return 0, errors.New("the first part has no Content-Type")
		case line == delimiter && m.OriginalContent == "":
			return 0, errors.New("the first part has no OriginalContent")
		case line == delimiter:
			return length, nil
		case strings.EqualFold(name, "Content-Type") && protocol == "":
			if !strings.EqualFold(value, m.Protocol) {
				return 0, errors.New("Content-Type of the first part is not the protocol that the message announces")
			}
			protocol = value
		case strings.EqualFold(name, "OriginalContent") && m.OriginalContent == "":
			if m.OriginalContent, length, err = originalContent(value); err != nil {
				return 0, err
			}
		default:
			return 0, errors.New("the first part has to consist of Content-Type and OriginalContent, each once")
		}
	}
}

// next returns a line without its end.
func (r *reader) next() (string, error) {
	r.line++
	end := bytes.Index(r.rest[:min(maxLine, len(r.rest))], []byte("\r\n"))
	switch {
	case end < 0 && len(r.rest) > maxLine:
		return "", fmt.Errorf("it is longer than %d bytes", maxLine)
	case end < 0:
		return "", errors.New("it has no end")
	}
	line := string(r.rest[:end])
	r.rest = r.rest[end+len("\r\n"):]
	return line, nil
}

// header takes a line apart. The name is empty if it is not a header.
func header(line string) (name, value string) {
	name, value, found := strings.Cut(strings.TrimLeft(line, " \t"), ":")
	if !found {
		return "", ""
	}
	return name, strings.Trim(value, " \t")
}

// originalContent reads the value of OriginalContent: "type=application/soap+xml;charset=UTF-8;Length=1083".
func originalContent(value string) (content string, length int, err error) {
	semicolon := strings.LastIndexByte(value, ';')
	name, digits, _ := strings.Cut(strings.TrimLeft(value[semicolon+1:], " "), "=")
	if semicolon < 0 || !strings.EqualFold(name, "Length") {
		return "", 0, errors.New("OriginalContent does not end with Length=")
	}
	if !plainDecimal(digits) {
		return "", 0, errors.New("the length in OriginalContent is no plain number of up to 9 digits")
	}
	length, err = strconv.Atoi(digits)
	if err != nil {
		return "", 0, err
	}
	name, content, _ = strings.Cut(value[:semicolon], "=")
	switch {
	case len(content) > maxContent:
		return "", 0, fmt.Errorf("the type of OriginalContent is longer than %d bytes", maxContent)
	case !strings.EqualFold(name, "type") || content == "" || strings.Trim(content, " \t;") != content || !printable(content):
		return "", 0, errors.New("OriginalContent does not begin with type= and a type")
	case strings.Contains(strings.ToLower(content), "length="):
		return "", 0, errors.New("OriginalContent has two lengths")
	}
	return content, length, nil
}

// plainDecimal tells whether a text is a number as we would write it.
func plainDecimal(text string) bool {
	return len(text) <= 9 && strings.Trim(text, "0123456789") == "" && text != "" && (text[0] != '0' || text == "0")
}

// printable tells whether a text is of printable ASCII.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// parameters reads what Content-Type announces. Values come in quotes and without.
func parameters(contentType string) (protocol, boundary string, err error) {
	media, rest, _ := strings.Cut(contentType, ";")
	media = strings.Trim(media, " \t")
	switch {
	case strings.EqualFold(media, many):
		return "", "", fmt.Errorf("a message in several sealed parts (%s) is not supported", many)
	case !strings.EqualFold(media, one):
		return "", "", fmt.Errorf("it is not %s", one)
	}
	for rest = strings.Trim(rest, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		var name, value string
		if name, value, rest, err = parameter(rest); err != nil {
			return "", "", err
		}
		switch {
		case strings.EqualFold(name, "protocol") && protocol == "":
			protocol = value
		case strings.EqualFold(name, "boundary") && boundary == "":
			boundary = value
		case strings.EqualFold(name, "protocol") || strings.EqualFold(name, "boundary"):
			return "", "", errors.New("protocol and boundary may be there only once")
		}
	}
	switch {
	case strings.EqualFold(protocol, SPNEGO):
		protocol = SPNEGO
	case strings.EqualFold(protocol, Kerberos):
		protocol = Kerberos
	case strings.EqualFold(protocol, credSSP):
		return "", "", errors.New("the protocol CredSSP is not supported")
	default:
		return "", "", fmt.Errorf("the protocol must be %s or %s", SPNEGO, Kerberos)
	}
	if boundary == "" || len(boundary) > maxBoundary || !printable(boundary) || strings.HasSuffix(boundary, " ") {
		return "", "", fmt.Errorf("the boundary must be 1 to %d printable characters, the last not a space", maxBoundary)
	}
	return protocol, boundary, nil
}

// parameter reads the first parameter of a list.
func parameter(list string) (name, value, rest string, err error) {
	name, after, found := strings.Cut(list, "=")
	name = strings.Trim(name, " \t")
	if !found || name == "" || strings.ContainsAny(name, ";\"") {
		return "", "", "", errors.New("a parameter has no name or no value")
	}
	after = strings.TrimLeft(after, " \t")
	quoted, isQuoted := strings.CutPrefix(after, `"`)
	if !isQuoted {
		value, rest, _ = strings.Cut(after, ";")
		return name, strings.TrimRight(value, " \t"), rest, nil
	}
	value, after, closed := strings.Cut(quoted, `"`)
	after = strings.TrimLeft(after, " \t")
	rest, more := strings.CutPrefix(after, ";")
	if !closed || strings.Contains(value, `\`) || after != "" && !more {
		return "", "", "", errors.New("the quotes of a parameter are wrong")
	}
	return name, value, rest, nil
}
