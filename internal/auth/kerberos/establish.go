package kerberos

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
)

// encAPRepPart is EncAPRepPart (RFC 4120, section 5.5.2). That of gokrb5 leaves a sequence number of 0 out.
type encAPRepPart struct {
	CTime          time.Time           `asn1:"generalized,explicit,tag:0"`
	Cusec          int                 `asn1:"explicit,tag:1"`
	Subkey         types.EncryptionKey `asn1:"explicit,tag:2"`
	SequenceNumber int64               `asn1:"explicit,tag:3"`
}

// establish returns the context, and the answer that proves this server to the initiator, if it asks for that.
func (r *request) establish() (reply []byte, established gss.Context, err error) {
	key := r.sessionKey
	if len(r.authenticator.SubKey.KeyValue) != 0 {
		key = r.authenticator.SubKey
	}
	// Some send the number as a signed one. Without an answer, both directions count from it.
	first := uint64(uint32(r.authenticator.SeqNumber))
	c := &securityContext{initiator: r.initiator, receive: first, send: first}
	if r.mutual {
		key = types.EncryptionKey{KeyType: key.KeyType, KeyValue: make([]byte, keyLength(key.KeyType))}
		rand.Read(key.KeyValue)
		var number [4]byte
		rand.Read(number[:])
		c.send = uint64(binary.BigEndian.Uint32(number[:]) >> 2) // RFC 4121 has 30 bits in mind: some take it for signed
		c.acceptorSubkey = true
		if reply, err = r.reply(key, int64(c.send)); err != nil {
			return nil, nil, refuse(gss.ErrDefectiveToken, "the KRB_AP_REP cannot be made: %v", err)
		}
	}
	if c.etype, err = crypto.GetEtype(key.KeyType); err != nil {
		return nil, nil, refuse(gss.ErrDefectiveCred, "%v", err)
	}
	c.key = key.KeyValue
	return reply, c, nil
}

// reply makes the token with the KRB_AP_REP.
func (r *request) reply(subkey types.EncryptionKey, number int64) ([]byte, error) {
	part, err := asn1.Marshal(encAPRepPart{r.authenticator.CTime.UTC(), r.authenticator.Cusec, subkey, number})
	if err != nil {
		return nil, err
	}
	part = asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart)
	encrypted, err := crypto.GetEncryptedData(part, r.sessionKey, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	message, err := asn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: encrypted})
	if err != nil {
		return nil, err
	}
	return marshalReplyToken(asn1tools.AddASNAppTag(message, asnAppTag.APREP)), nil
}
