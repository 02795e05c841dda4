package kerberos

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
)

// serviceClasses are the first components of the names that a ticket may be for: those under which clients ask for WS-Management.
// The name stands outside of what the ticket's encryption protects: a client can change it to another one of the same account.
var serviceClasses = []string{"HTTP", "WSMAN", "HOST"}

// The flags of an authenticator's checksum (RFC 4121, section 4.1.1.1; MS-KILE 3.2.1).
const (
	flagMutual   = 0x2
	flagDCEStyle = 0x1000
)

// request is a KRB_AP_REQ that was verified.
type request struct {
	initiator     gss.Initiator
	sessionKey    types.EncryptionKey
	authenticator types.Authenticator
	mutual        bool
}

// verify checks all of a KRB_AP_REQ (RFC 4120, section 3.2.3) but what only the later messages show.
func (a *Acceptor) verify(message []byte) (*request, error) {
	var m messages.APReq
	if err := m.Unmarshal(message); err != nil {
		return nil, refuse(gss.ErrDefectiveToken, "the KRB_AP_REQ is malformed")
	}
	service := principal(m.Ticket.SName.NameString, m.Ticket.Realm)
	switch class := m.Ticket.SName.NameString; {
	case m.PVNO != iana.PVNO || m.Ticket.TktVNO != iana.PVNO:
		return nil, refuse(gss.ErrDefectiveToken, "the message is of another version of Kerberos than 5")
	case m.APOptions.At(flags.APOptionUseSessionKey) != 0:
		return nil, refuse(gss.ErrDefectiveToken, "user-to-user authentication is not for a server with a keytab")
	case len(class) < 2 || !slices.ContainsFunc(serviceClasses, func(c string) bool { return strings.EqualFold(c, class[0]) }):
		return nil, refuse(gss.ErrDefectiveCred, "wrong SPN: the ticket is for %s, not for one of %s", service, strings.Join(serviceClasses, ", "))
	case m.Ticket.EncPart.EType == etypeID.RC4_HMAC && !a.service.allowRC4:
		return nil, refuse(gss.ErrDefectiveCred, "the ticket for %s is encrypted with RC4, which is not allowed: mark the account for AES "+
			"(msDS-SupportedEncryptionTypes 24) and make its keytab again", service)
	}
	ticketKey, err := a.decryptTicket(&m.Ticket, service)
	if err != nil {
		return nil, err
	}
	ticket := &m.Ticket.DecryptedEncPart
	a.claimed = principal(ticket.CName.NameString, ticket.CRealm)
	now := a.service.now()
	if err := a.service.checkTicket(ticket, now); err != nil {
		return nil, err
	}

	plain, err := decrypt(ticket.Key, m.EncryptedAuthenticator.Cipher, keyusage.AP_REQ_AUTHENTICATOR)
	if err != nil {
		return nil, refuse(gss.ErrDefectiveCred, "the authenticator is not of the ticket's session")
	}
	r := &request{sessionKey: ticket.Key}
	if err := r.authenticator.Unmarshal(plain); err != nil {
		return nil, refuse(gss.ErrDefectiveToken, "the authenticator is malformed")
	}
	if err := a.service.checkAuthenticator(&r.authenticator, ticket, now); err != nil {
		return nil, err
	}
	sum, err := parseChecksum(r.authenticator.Cksum)
	if err != nil {
		return nil, err
	}
	r.mutual = sum.flags&flagMutual != 0 || m.APOptions.At(flags.APOptionMutualRequired) != 0
	if err := a.bindings.Check(sum.bindings); err != nil {
		return nil, refuse(gss.ErrBadBindings, "%s", strings.TrimPrefix(err.Error(), gss.ErrBadBindings.Error()+": "))
	}
	r.initiator = gss.Initiator{Mechanism: mechanism, Name: a.claimed, Realm: ticket.CRealm, Expires: ticket.EndTime.Add(a.service.skew)}
	if r.initiator.SIDs, err = readSIDs(ticket.AuthorizationData, ticketKey); err != nil {
		return nil, err
	}
	if err := a.service.replays.enter(m.EncryptedAuthenticator.Cipher, now, 2*a.service.skew); err != nil {
		return nil, err
	}
	return r, nil
}

// decryptTicket fills the ticket's DecryptedEncPart, and returns the key of this server that it was encrypted with.
func (a *Acceptor) decryptTicket(ticket *messages.Ticket, service string) (types.EncryptionKey, error) {
	keys, stale := a.service.keys()
	found := candidates(keys, ticket)
	for _, key := range found {
		plain, err := decrypt(key, ticket.EncPart.Cipher, keyusage.KDC_REP_TICKET)
		if err != nil {
			continue
		}
		if ticket.DecryptedEncPart.Unmarshal(plain) != nil || len(ticket.DecryptedEncPart.CName.NameString) == 0 {
			return types.EncryptionKey{}, refuse(gss.ErrDefectiveToken, "what is encrypted in the ticket is malformed")
		}
		return key, nil
	}
	reread := ""
	if stale != nil {
		reread = "; it could not be read again: " + stale.Error()
	}
	encryption, kvno := encryptionName(ticket.EncPart.EType), ticket.EncPart.KVNO
	if len(found) == 0 {
		return types.EncryptionKey{}, refuse(gss.ErrDefectiveCred, "the ticket is for %s kvno %d %s, and there is no such key; the keytab has %s%s",
			service, kvno, encryption, list(keys), reread)
	}
	return types.EncryptionKey{}, refuse(gss.ErrDefectiveCred, "the ticket for %s kvno %d %s is encrypted with another key than the keytab's%s",
		service, kvno, encryption, reread)
}

// checkTicket checks what the domain controller says in a ticket.
func (s *Service) checkTicket(ticket *messages.EncTicketPart, now time.Time) error {
	from := ticket.StartTime
	if from.IsZero() {
		from = ticket.AuthTime
	}
	switch {
	case ticket.Flags.At(flags.Invalid) != 0:
		return refuse(gss.ErrCredentialsStale, "the ticket is postdated, and was not validated yet")
	case from.Sub(now) > s.skew:
		return refuse(gss.ErrCredentialsStale, "the ticket is valid in %v", from.Sub(now).Round(time.Second))
	case now.Sub(ticket.EndTime) > s.skew:
		return refuse(gss.ErrCredentialsStale, "the ticket has expired %v ago", now.Sub(ticket.EndTime).Round(time.Second))
	case len(ticket.Transited.Contents) > 0 && ticket.Flags.At(flags.TransitedPolicyChecked) == 0:
		// RFC 4120, section 2.7: else each server had to know which realms may vouch for which.
		return refuse(gss.ErrDefectiveCred, "the ticket came through other realms, which the KDC has not checked")
	case !isAES(ticket.Key):
		return refuse(gss.ErrDefectiveCred, "the key of the session is for %s; only AES is taken", encryptionName(ticket.Key.KeyType))
	}
	return nil
}

// checkAuthenticator checks that who sends the ticket has made the authenticator, and now.
func (s *Service) checkAuthenticator(authenticator *types.Authenticator, ticket *messages.EncTicketPart, now time.Time) error {
	made := authenticator.CTime.Add(time.Duration(authenticator.Cusec) * time.Microsecond)
	ahead := made.Sub(now)
	switch {
	case authenticator.AVNO != iana.PVNO || authenticator.Cusec < 0 || authenticator.Cusec > 999_999:
		return refuse(gss.ErrDefectiveToken, "the authenticator is malformed")
	case authenticator.CRealm != ticket.CRealm || !authenticator.CName.Equal(ticket.CName):
		return refuse(gss.ErrDefectiveCred, "the authenticator is of %s", principal(authenticator.CName.NameString, authenticator.CRealm))
	case ahead > s.skew:
		return refuse(gss.ErrCredentialsStale, "the client's clock is %v ahead of this one, %v is allowed", ahead.Round(time.Second), s.skew)
	case -ahead > s.skew:
		return refuse(gss.ErrCredentialsStale, "the client's clock is %v behind this one, %v is allowed", (-ahead).Round(time.Second), s.skew)
	case made.Before(s.started):
		// RFC 4120, section 3.2.3: it may be one that was used before the restart.
		return refuse(gss.ErrCredentialsStale, "the authenticator is older than this process, which cannot know whether it was used already")
	case len(authenticator.SubKey.KeyValue) != 0 && !isAES(authenticator.SubKey):
		return refuse(gss.ErrDefectiveCred, "the subkey is for %s; only AES is taken", encryptionName(authenticator.SubKey.KeyType))
	}
	return nil
}

// checksum is that of an authenticator, which is none, but has what GSS-API wants to tell.
type checksum struct {
	bindings []byte // MD5 of the channel bindings
	flags    uint32
}

// parseChecksum takes a checksum of type 0x8003 (RFC 4121, section 4.1.1). Credentials delegated in it are not looked at.
func parseChecksum(sum types.Checksum) (checksum, error) {
	const bindings = 16 // length of the MD5, and where it ends without the 4 bytes before
	if sum.CksumType == 0 && len(sum.Checksum) == 0 {
		return checksum{}, nil
	}
	if sum.CksumType != chksumtype.GSSAPI {
		return checksum{}, refuse(gss.ErrDefectiveToken, "the authenticator's checksum is of type %d, not of GSS-API", sum.CksumType)
	}
	b := sum.Checksum
	if len(b) < 4+bindings+4 || binary.LittleEndian.Uint32(b) != bindings {
		return checksum{}, refuse(gss.ErrDefectiveToken, "the authenticator's checksum is malformed")
	}
	c := checksum{bindings: b[4 : 4+bindings], flags: binary.LittleEndian.Uint32(b[4+bindings:])}
	if c.flags&flagDCEStyle != 0 {
		return checksum{}, refuse(gss.ErrDefectiveToken, "DCE style, with a third message, is not supported")
	}
	return c, nil
}

var errCiphertext = errors.New("does not decrypt")

// decrypt checks the lengths of key and ciphertext before it decrypts, which the crypto package does not.
func decrypt(key types.EncryptionKey, ciphertext []byte, usage uint32) ([]byte, error) {
	e, err := crypto.GetEtype(key.KeyType)
	if err != nil || len(key.KeyValue) != keyLength(key.KeyType) || len(ciphertext) < e.GetConfounderByteSize()+e.GetHMACBitLength()/8 {
		return nil, errCiphertext
	}
	return e.DecryptMessage(key.KeyValue, ciphertext, usage)
}

// keyLength returns how many bytes a key has, -1 for an encryption type that is not supported.
func keyLength(encryptionType int32) int {
	switch encryptionType {
	case etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA384_192:
		return 32
	case etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.RC4_HMAC:
		return 16
	}
	return -1
}

// isAES tells whether messages can be protected with the key.
func isAES(key types.EncryptionKey) bool {
	return key.KeyType != etypeID.RC4_HMAC && len(key.KeyValue) == keyLength(key.KeyType)
}
