package ntlm

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"

	"calkeeper/internal/auth/gss"
)

// signatureSize is that of NTLMSSP_MESSAGE_SIGNATURE, in bytes (MS-NLMP 2.2.2.9.2).
const signatureSize = 16

// Context protects messages with extended session security and keys of 128 bits (section 3.4). It implements gss.Context.
type Context struct {
	initiator     gss.Initiator
	agreed        flags
	send, receive *direction
	broken        error // what the first error of Unwrap or VerifyMIC was
}

// direction is what protects the messages of one side.
type direction struct {
	mac       hash.Hash // HMAC-MD5 under the SigningKey
	sealKey   []byte
	cipher    *rc4.Cipher
	encrypted bool // the checksum: with key exchange
	sequence  uint32
}

func newDirection(exported []byte, signing, sealing string, agreed flags) *direction {
	sealKey := deriveKey(exported, sealing)
	return &direction{
		mac: hmac.New(md5.New, deriveKey(exported, signing)), sealKey: sealKey, cipher: newRC4(sealKey), encrypted: agreed&flagKeyExchange != 0,
	}
}

func newContext(initiator gss.Initiator, agreed flags, exported []byte) *Context {
	return &Context{
		initiator: initiator, agreed: agreed,
		send:    newDirection(exported, serverSigning, serverSealing, agreed),
		receive: newDirection(exported, clientSigning, clientSealing, agreed),
	}
}

// sign is MAC with extended session security (section 3.4.4.2): the signature of the direction's next message.
func (d *direction) sign(message []byte) []byte {
	sequence := binary.LittleEndian.AppendUint32(nil, d.sequence)
	d.mac.Reset()
	d.mac.Write(sequence)
	d.mac.Write(message)
	signature := make([]byte, 4, 4+md5.Size)
	signature[0] = 1 // Version
	signature = d.mac.Sum(signature)[:12]
	if d.encrypted {
		d.cipher.XORKeyStream(signature[4:], signature[4:])
	}
	d.sequence++
	return append(signature, sequence...)
}

// verify checks the signature of the direction's next message.
func (d *direction) verify(message, signature []byte) *gss.Error {
	want := d.sequence
	if len(signature) != signatureSize {
		return &gss.Error{Status: gss.ErrDefectiveToken, Detail: fmt.Sprintf("message %d has a signature of %d bytes", want, len(signature))}
	}
	if got := binary.LittleEndian.Uint32(signature[12:]); got != want {
		return &gss.Error{Status: gss.ErrSequence, Detail: fmt.Sprintf("the signature's SeqNum is %d in place of %d", got, want)}
	}
	if subtle.ConstantTimeCompare(d.sign(message), signature) != 1 {
		return &gss.Error{Status: gss.ErrBadMIC, Detail: fmt.Sprintf("message %d was altered, or is not the initiator's", want)}
	}
	return nil
}

// Initiator tells whose context it is.
func (c *Context) Initiator() gss.Initiator { return c.initiator }

// Wrap seals a message (section 3.4.6).
func (c *Context) Wrap(message []byte) (signature, sealed []byte, err error) {
	if err := c.usable(flagSeal); err != nil {
		return nil, nil, err
	}
	sealed = make([]byte, len(message))
	c.send.cipher.XORKeyStream(sealed, message)
	return c.send.sign(message), sealed, nil
}

// Unwrap opens a message (section 3.4.7). After an error the context is of no use any more, neither way.
func (c *Context) Unwrap(signature, sealed []byte) (message []byte, err error) {
	if err := c.usable(flagSeal); err != nil {
		return nil, err
	}
	message = make([]byte, len(sealed))
	c.receive.cipher.XORKeyStream(message, sealed)
	if refusal := c.receive.verify(message, signature); refusal != nil {
		return nil, c.fail(refusal)
	}
	return message, nil
}

// MIC signs a message (section 3.4.8).
func (c *Context) MIC(message []byte) ([]byte, error) {
	if err := c.usable(flagSign); err != nil {
		return nil, err
	}
	return c.send.sign(message), nil
}

// VerifyMIC checks a signature (section 3.4.9). After an error the context is of no use any more, neither way.
func (c *Context) VerifyMIC(message, mic []byte) error {
	if err := c.usable(flagSign); err != nil {
		return err
	}
	if refusal := c.receive.verify(message, mic); refusal != nil {
		return c.fail(refusal)
	}
	return nil
}

// ResetHandles puts the RC4 state of both directions back to where it began, and not the sequence numbers. SPNEGO wants it after the
// mechListMICs and before the first message: "the RC4 key state [is] the same for the mechListMIC and for the first message signed by
// the application" (MS-SPNG 3.3.5.1), which has the sequence number 1.
func (c *Context) ResetHandles() {
	for _, d := range []*direction{c.send, c.receive} {
		d.cipher = newRC4(d.sealKey)
	}
}

// usable tells whether the flag was agreed on, and nothing has failed yet.
func (c *Context) usable(wanted flags) error {
	switch {
	case c.broken != nil:
		return c.broken
	case c.agreed&wanted == 0:
		return &gss.Error{
			Status: gss.ErrDefectiveToken, Mechanism: mechanism, Name: c.initiator.Name, Detail: fmt.Sprintf("%s was not negotiated", wanted),
		}
	}
	return nil
}

// fail makes the context unusable.
func (c *Context) fail(refusal *gss.Error) error {
	refusal.Mechanism, refusal.Name = mechanism, c.initiator.Name
	c.broken = refusal
	return refusal
}
