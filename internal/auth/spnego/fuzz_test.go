package spnego_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/spnego"
)

// prover is NTLM that establishes a context with the token authenticate alone.
type prover struct{ proved *bool }

func (p prover) Accept(_ context.Context, token []byte) ([]byte, gss.Context, error) {
	if string(token) == authenticate {
		*p.proved = true
		return nil, &fakeNTLMContext{}, nil
	}
	return []byte(challenge), nil, nil
}

func FuzzAccept(f *testing.F) {
	list := mechTypeList(negoEx, spnego.Kerberos, spnego.NTLM)
	f.Add([]byte(negotiate), []byte(authenticate), []byte{})
	f.Add([]byte(apReq), []byte{}, []byte{})
	f.Add(initToken(mechTypeList(spnego.NTLM), octets(2, []byte(negotiate))), respToken(octets(2, []byte(authenticate))), []byte{})
	f.Add(initToken(mechTypeList(spnego.NTLM)), respToken(octets(2, []byte(negotiate))), respToken(octets(2, []byte(authenticate))))
	f.Add(initToken(list, tlv(0xa1, tlv(3, []byte("\x01\x62"))), octets(2, []byte("of NegoEx")), tlv(0xa3, tlv(0x30)), octets(4, nil)),
		respToken(state(1), tlv(0xa1, oid(spnego.NTLM)), octets(2, []byte(negotiate))),
		respToken(octets(2, []byte(authenticate)), octets(3, mic("initiator", list)), tlv(0xa4, tlv(5))))
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		var proved bool
		a := spnego.NewAcceptor(spnego.Mechanism{OIDs: []spnego.OID{spnego.NTLM}, New: func() gss.Acceptor { return prover{&proved} }})
		over := false
		for _, token := range [][]byte{first, second, third} {
			reply, established, err := a.Accept(t.Context(), token)
			if err != nil {
				refusal, ok := errors.AsType[*gss.Error](err)
				if !ok || reply != nil || established != nil || len(refusal.Detail) > 600 {
					t.Fatalf("%x: %v beside %x, %v", token, err, reply, established)
				}
			}
			if over && err == nil {
				t.Fatalf("%x is taken after the end", token)
			}
			if established != nil && !proved {
				t.Fatalf("%x proves nothing", token)
			}
			if len(reply) > 0 && string(reply) != challenge && !bytes.HasPrefix(reply, []byte{0xa1}) {
				t.Fatalf("%x: the reply is %x", token, reply)
			}
			over = over || err != nil || established != nil
		}
	})
}
