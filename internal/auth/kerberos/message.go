package kerberos

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/jcmturner/gokrb5/v8/crypto/etype"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"

	"calkeeper/internal/auth/gss"
)

// headerLength is that of the header of a message's token (RFC 4121, sections 4.2.6.1 and 4.2.6.2).
const headerLength = 16

// The identifiers and flags of messages' tokens (RFC 4121, section 4.2.2).
const (
	tokenMIC  = 0x0404
	tokenWrap = 0x0504

	sentByAcceptor = 0x01
	sealed         = 0x02
	acceptorSubkey = 0x04
)

// securityContext protects the messages of one session with a key of AES.
type securityContext struct {
	initiator      gss.Initiator
	etype          etype.EType
	key            []byte
	acceptorSubkey bool   // the key was made by this side
	send, receive  uint64 // the next sequence numbers
	broken         error
}

func (c *securityContext) Initiator() gss.Initiator { return c.initiator }

// Wrap seals a message, rotated so that the message stands last (RFC 4121, section 4.2.5).
func (c *securityContext) Wrap(message []byte) (signature, ciphertext []byte, err error) {
	if c.broken != nil {
		return nil, nil, c.broken
	}
	header := c.header(tokenWrap, sealed, c.send)
	plain := append(slices.Clip(message), header...)
	_, encrypted, err := c.etype.EncryptMessage(c.key, plain, keyusage.GSSAPI_ACCEPTOR_SEAL)
	if err != nil {
		return nil, nil, c.fail(gss.ErrDefectiveToken, "the message cannot be sealed: %v", err)
	}
	c.send++
	// Encrypted are confounder, message, header, HMAC, each as long as in clear.
	rotation := headerLength + c.macLength()
	end := len(encrypted) - rotation
	binary.BigEndian.PutUint16(header[6:], uint16(rotation))
	start := c.etype.GetConfounderByteSize()
	signature = slices.Concat(header, encrypted[end:], encrypted[:start])
	return signature, encrypted[start:end], nil
}

// Unwrap opens a sealed message of any rotation, and with any filler (EC).
func (c *securityContext) Unwrap(signature, ciphertext []byte) (message []byte, err error) {
	if c.broken != nil {
		return nil, c.broken
	}
	token := slices.Concat(signature, ciphertext)
	if err := c.checkHeader(token, tokenWrap, sealed); err != nil {
		return nil, err
	}
	header, body := token[:headerLength], token[headerLength:]
	extra, rotation := int(binary.BigEndian.Uint16(header[4:])), int(binary.BigEndian.Uint16(header[6:]))
	if len(body) < c.etype.GetConfounderByteSize()+headerLength+extra+c.macLength() {
		return nil, c.fail(gss.ErrDefectiveToken, "the sealed message is too short")
	}
	rotation %= len(body)
	plain, err := c.etype.DecryptMessage(c.key, slices.Concat(body[rotation:], body[:rotation]), keyusage.GSSAPI_INITIATOR_SEAL)
	if err != nil {
		return nil, c.fail(gss.ErrBadMIC, "the sealed message was changed, or is of another session")
	}
	// What is encrypted last is the header, before the rotation was known.
	binary.BigEndian.PutUint16(header[6:], 0)
	end := len(plain) - headerLength
	if !slices.Equal(plain[end:], header) {
		return nil, c.fail(gss.ErrBadMIC, "the sealed message's header was changed")
	}
	if err := c.next(header); err != nil {
		return nil, err
	}
	return plain[:end-extra], nil
}

// MIC signs a message (RFC 4121, section 4.2.6.1).
func (c *securityContext) MIC(message []byte) ([]byte, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	header := c.header(tokenMIC, 0, c.send)
	sum, err := c.etype.GetChecksumHash(c.key, slices.Concat(message, header), keyusage.GSSAPI_ACCEPTOR_SIGN)
	if err != nil {
		return nil, c.fail(gss.ErrDefectiveToken, "the message cannot be signed: %v", err)
	}
	c.send++
	return append(header, sum...), nil
}

// VerifyMIC checks the initiator's signature of a message.
func (c *securityContext) VerifyMIC(message, mic []byte) error {
	if c.broken != nil {
		return c.broken
	}
	if err := c.checkHeader(mic, tokenMIC, 0); err != nil {
		return err
	}
	header, sum := mic[:headerLength], mic[headerLength:]
	if !c.etype.VerifyChecksum(c.key, slices.Concat(message, header), sum, keyusage.GSSAPI_INITIATOR_SIGN) {
		return c.fail(gss.ErrBadMIC, "the message was changed, or is of another session")
	}
	return c.next(header)
}

// header makes a token's header with no extra count and no rotation.
func (c *securityContext) header(id uint16, flags byte, number uint64) []byte {
	flags |= sentByAcceptor
	if c.acceptorSubkey {
		flags |= acceptorSubkey
	}
	b := binary.BigEndian.AppendUint16(make([]byte, 0, headerLength), id)
	if id == tokenWrap {
		b = append(b, flags, 0xff, 0, 0, 0, 0)
	} else {
		b = append(b, flags, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	return binary.BigEndian.AppendUint64(b, number)
}

// checkHeader checks all of a header that does not depend on the message.
func (c *securityContext) checkHeader(token []byte, id uint16, flags byte) error {
	if len(token) < headerLength {
		return c.fail(gss.ErrDefectiveToken, "the token has %d bytes, its header alone has %d", len(token), headerLength)
	}
	if c.acceptorSubkey {
		flags |= acceptorSubkey
	}
	want := c.header(id, flags, 0)
	switch {
	case binary.BigEndian.Uint16(token) != id:
		return c.fail(gss.ErrDefectiveToken, "token %x came where %04x is wanted", token[:2], id)
	case token[2]&sentByAcceptor != 0:
		return c.fail(gss.ErrDefectiveToken, "the token was made by this side")
	case token[2] != flags:
		return c.fail(gss.ErrDefectiveToken, "the token has flags %02x, wanted are %02x", token[2], flags)
	case token[3] != 0xff || id == tokenMIC && !slices.Equal(token[3:8], want[3:8]):
		return c.fail(gss.ErrDefectiveToken, "the token's filler is wrong")
	}
	return nil
}

// next holds a token's number against the one that has to come, and counts.
func (c *securityContext) next(header []byte) error {
	if number := binary.BigEndian.Uint64(header[8:]); number != c.receive {
		return c.fail(gss.ErrSequence, "message %d came where %d is wanted", number, c.receive)
	}
	c.receive++
	return nil
}

func (c *securityContext) macLength() int { return c.etype.GetHMACBitLength() / 8 }

// fail refuses a message, and all after it: what follows cannot be in order.
func (c *securityContext) fail(status error, format string, args ...any) error {
	c.broken = &gss.Error{Status: status, Mechanism: mechanism, Name: c.initiator.Name, Detail: fmt.Sprintf(format, args...)}
	return c.broken
}
