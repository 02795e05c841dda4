package spnego_test

import (
	"bytes"
	"context"
	"testing"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/spnego"

	"github.com/jcmturner/gofork/encoding/asn1"
	peer "github.com/jcmturner/gokrb5/v8/spnego"
	"pgregory.net/rapid"
)

// parrot is a mechanism that answers with the token, and establishes a context with the last.
type parrot struct{ leg, last int }

func (p *parrot) Accept(_ context.Context, token []byte) ([]byte, gss.Context, error) {
	p.leg++
	if p.leg == p.last {
		return nil, &fakeContext{}, nil
	}
	return bytes.Clone(token), nil, nil
}

// TestAgainstGokrb5 has another implementation write the initiator's first token and read the replies.
func TestAgainstGokrb5(t *testing.T) {
	oids := map[spnego.OID]asn1.ObjectIdentifier{
		spnego.Kerberos:   {1, 2, 840, 113554, 1, 2, 2},
		spnego.MSKerberos: {1, 2, 840, 48018, 1, 2, 2},
		spnego.NTLM:       {1, 3, 6, 1, 4, 1, 311, 2, 2, 10},
		negoEx:            {1, 3, 6, 1, 4, 1, 311, 2, 2, 30},
	}
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation([]spnego.OID{spnego.Kerberos, spnego.MSKerberos, spnego.NTLM, negoEx}).Draw(t, "order")
		order = order[:rapid.IntRange(1, len(order)).Draw(t, "listed")]
		token := rapid.SliceOfN(rapid.Byte(), 1, 40_000).Draw(t, "token")
		last := rapid.IntRange(1, 3).Draw(t, "legs")

		init := peer.SPNEGOToken{Init: true, NegTokenInit: peer.NegTokenInit{MechTokenBytes: token}}
		var chosen spnego.OID
		for _, o := range order {
			init.NegTokenInit.MechTypes = append(init.NegTokenInit.MechTypes, oids[o])
			if chosen == "" && o != negoEx {
				chosen = o
			}
		}
		first, err := init.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if want := initToken(mechTypeList(order...), octets(2, token)); !bytes.Equal(first, want) {
			t.Fatalf("the peer sends\n%x, not\n%x", first, want)
		}
		a := spnego.NewAcceptor(
			spnego.Mechanism{OIDs: []spnego.OID{spnego.NTLM}, New: func() gss.Acceptor { return &parrot{last: last} }},
			spnego.Mechanism{OIDs: []spnego.OID{spnego.Kerberos, spnego.MSKerberos}, New: func() gss.Acceptor { return &parrot{last: last} }},
		)
		reply, established, err := a.Accept(t.Context(), first)
		if chosen == "" {
			if err == nil {
				t.Fatal("there was no mechanism in common")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		want := peer.NegTokenResp{NegState: asn1.Enumerated(peer.NegStateAcceptIncomplete), SupportedMech: oids[chosen], ResponseToken: token}
		switch {
		case chosen != order[0]:
			want.NegState, want.ResponseToken = asn1.Enumerated(peer.NegStateRequestMIC), nil
		case last == 1:
			want.NegState, want.ResponseToken = asn1.Enumerated(peer.NegStateAcceptCompleted), nil
		}
		if (established != nil) != (chosen == order[0] && last == 1) {
			t.Fatalf("established: %v", established)
		}
		var got peer.NegTokenResp
		if err := got.Unmarshal(reply); err != nil {
			t.Fatalf("%x: %v", reply, err)
		}
		if got.NegState != want.NegState || !got.SupportedMech.Equal(want.SupportedMech) || !bytes.Equal(got.ResponseToken, want.ResponseToken) || len(got.MechListMIC) > 0 {
			t.Fatalf("the peer reads %+v, not %+v", got, want)
		}
	})
}
