package kerberos_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/test/testdata"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
)

// orderly fails if something else than a context or a refusal comes of a token.
func orderly(t *testing.T, reply []byte, c gss.Context, err error) {
	if _, ok := errors.AsType[*gss.Error](err); err != nil && (!ok || reply != nil || c != nil) || err == nil && c == nil {
		t.Fatalf("%x, %v, %v", reply, c, err)
	}
}

// FuzzAccept is of tokens of someone who has others' tickets, but no keys: none is accepted.
func FuzzAccept(f *testing.F) {
	w := newWorld(f, kerberos.Options{AllowRC4: true})
	for _, id := range []int32{aes128, aes256, aes256SHA2} {
		o := w.offer(id)
		o.sessionKey = key(id)
		f.Add(o.token(f))
	}
	f.Add(token(f, krb5, 0x0100, decode(f, testdata.MarshaledKRB5ap_req)))
	f.Fuzz(func(t *testing.T, token []byte) {
		reply, c, err := w.service.NewAcceptor(gss.ChannelBindings{}).Accept(context.Background(), token)
		orderly(t, reply, c, err)
		if err == nil {
			t.Error("forged")
		}
	})
}

// FuzzDecrypted is of what a domain controller, or a client with a ticket, may have encrypted.
func FuzzDecrypted(f *testing.F) {
	w := newWorld(f, kerberos.Options{})
	marshal := func(value any, tag int) []byte {
		b, err := asn1.Marshal(value)
		if err != nil {
			f.Fatal(err)
		}
		return asn1tools.AddASNAppTag(b, tag)
	}
	o := w.offer(aes128)
	session := o.sessionKey
	o.ticket.AuthorizationData = authorization(f, makePAC(f, o.serverKey, buffer{1, decode(f, testdata.MarshaledPAC_Kerb_Validation_Info_Trust)},
		signature(6, 15, 12), signature(7, 16, 12)))
	f.Add(marshal(o.ticket, 3), marshal(o.authenticator, 2))
	o = w.offer(aes128)
	o.ticket.Key, o.authenticator.SubKey, o.authenticator.Cksum = session, types.EncryptionKey{}, types.Checksum{}
	f.Add(marshal(o.ticket, 3), marshal(o.authenticator, 2))
	f.Fuzz(func(t *testing.T, ticket, authenticator []byte) {
		encrypt := func(plain []byte, key types.EncryptionKey, usage uint32, kvno int) types.EncryptedData {
			data, err := crypto.GetEncryptedData(plain, key, usage, kvno)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		m := messages.APReq{
			PVNO: 5, MsgType: 14, APOptions: types.NewKrbFlags(), EncryptedAuthenticator: encrypt(authenticator, session, 11, 0),
			Ticket: messages.Ticket{TktVNO: 5, Realm: realm, SName: types.NewPrincipalName(2, "HTTP/ls1"), EncPart: encrypt(ticket, o.serverKey, 2, 2)},
		}
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		reply, c, err := w.service.NewAcceptor(gss.ChannelBindings{}).Accept(context.Background(), token(t, krb5, 0x0100, b))
		orderly(t, reply, c, err)
		if err == nil {
			if _, _, err := c.Wrap([]byte("message")); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzPAC is of PACs that are signed, whatever is in them.
func FuzzPAC(f *testing.F) {
	k := serverKey(2, aes256)
	for _, logon := range []string{testdata.MarshaledPAC_Kerb_Validation_Info_Trust, testdata.MarshaledPAC_Kerb_Validation_Info_MS} {
		f.Add(makePAC(f, k, buffer{1, decode(f, logon)}, signature(6, 16, 12), signature(7, 16, 12)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		signed := resign(t, k, data)
		before := slices.Clone(signed)
		sids, err := kerberos.ReadSIDs(authorization(t, signed), k)
		if !slices.Equal(signed, before) {
			t.Error("the PAC itself was changed")
		}
		if err != nil && sids != nil || slices.Contains(sids, "") {
			t.Errorf("%q, %v", sids, err)
		}
	})
}

// resign signs the first server signature of a PAC, if it has a place for it.
func resign(t testing.TB, k types.EncryptionKey, data []byte) []byte {
	data = slices.Clone(data)
	places := map[uint32]uint64{}
	for n := 8; n+16 <= len(data) && n < 8+16*10; n += 16 {
		offset := binary.LittleEndian.Uint64(data[n+8:])
		if kind := binary.LittleEndian.Uint32(data[n:]); (kind == 6 || kind == 7) && offset < uint64(len(data)) && uint64(len(data))-offset >= 16 {
			places[kind] = offset + 4
			clear(data[offset+4 : offset+16])
		}
	}
	if at, ok := places[6]; ok {
		e, err := crypto.GetEtype(k.KeyType)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := e.GetChecksumHash(k.KeyValue, data, 17)
		if err != nil {
			t.Fatal(err)
		}
		copy(data[at:at+12], sum)
	}
	return data
}
