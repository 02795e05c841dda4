package kerberos_test

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/test/testdata"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
)

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// buffer is one of a PAC.
type buffer struct {
	kind uint32
	data []byte
}

// makePAC makes a PAC (MS-PAC 2.3) whose buffers of type 6 get signed with the key.
func makePAC(t testing.TB, k types.EncryptionKey, buffers ...buffer) []byte {
	t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(buffers)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	offset := 8 + 16*len(buffers)
	for _, buffer := range buffers {
		b = binary.LittleEndian.AppendUint32(b, buffer.kind)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(buffer.data)))
		b = binary.LittleEndian.AppendUint64(b, uint64(offset))
		offset += (len(buffer.data) + 7) &^ 7
	}
	at := 0
	for _, buffer := range buffers {
		if buffer.kind == 6 {
			at = len(b) + 4
		}
		b = append(b, buffer.data...)
		b = append(b, make([]byte, -len(buffer.data)&7)...)
	}
	if at != 0 {
		e, err := crypto.GetEtype(k.KeyType)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := e.GetChecksumHash(k.KeyValue, b, 17)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[at:], sum)
	}
	return b
}

// signature is a PAC_SIGNATURE_DATA of zeros.
func signature(kind uint32, checksum int32, length int) buffer {
	return buffer{kind, append(binary.LittleEndian.AppendUint32(nil, uint32(checksum)), make([]byte, length)...)}
}

// authorization puts a PAC where a ticket has it.
func authorization(t testing.TB, pacs ...[]byte) types.AuthorizationData {
	t.Helper()
	inner := types.AuthorizationData{{ADType: 141, ADData: []byte("another")}}
	for _, p := range pacs {
		inner = append(inner, types.AuthorizationDataEntry{ADType: 128, ADData: p})
	}
	b, err := asn1.Marshal(inner)
	if err != nil {
		t.Fatal(err)
	}
	return types.AuthorizationData{{ADType: 1, ADData: []byte{0x30, 0}}, {ADType: 1, ADData: b}}
}

// TestPAC puts logon information of Windows' domain controllers (of gokrb5's tests) into tickets.
func TestPAC(t *testing.T) {
	const domain, resource = "S-1-5-21-2284869408-3503417140-1141177250-", "S-1-5-21-3062750306-1230139592-1973306805-"
	trust := []string{domain + "1106", domain + "1110", domain + "513", domain + "1109", "S-1-18-1", resource + "1107", resource + "1108"}
	logon := buffer{1, decode(t, testdata.MarshaledPAC_Kerb_Validation_Info_Trust)}
	for id, signatures := range map[int32][]buffer{
		aes128:     {signature(6, 15, 12), signature(7, 16, 12)},
		aes256:     {signature(6, 16, 12), signature(7, -138, 16)},
		aes128SHA2: {signature(6, 19, 16), signature(7, 20, 24)},
		aes256SHA2: {signature(6, 20, 24), signature(7, 20, 24)},
		rc4:        {signature(6, -138, 16), signature(7, -138, 16)},
	} {
		w := newWorld(t, kerberos.Options{AllowRC4: true})
		o := w.offer(aes256)
		o.serverKey = serverKey(2, id)
		o.ticket.AuthorizationData = authorization(t, makePAC(t, o.serverKey, append(signatures, logon)...))
		_, c := w.establish(o)
		if got := c.Initiator().SIDs; !slices.Equal(got, trust) {
			t.Errorf("encryption type %d: the SIDs are %q, want %q", id, got, trust)
		}
		// MIT's KDC makes one without logon information.
		o.ticket.AuthorizationData = authorization(t, makePAC(t, o.serverKey, signatures...))
		_, c = w.establish(o)
		if got := c.Initiator().SIDs; got != nil {
			t.Errorf("encryption type %d: the SIDs are %q, want none", id, got)
		}
	}
}

// TestWindowsPAC verifies what a Windows domain controller has signed.
func TestWindowsPAC(t *testing.T) {
	kt := keytab.New()
	if err := kt.Unmarshal(decode(t, testdata.KEYTAB_SYSHTTP_TEST_GOKRB5)); err != nil {
		t.Fatal(err)
	}
	k, _, err := kt.GetEncryptionKey(types.NewPrincipalName(1, "sysHTTP"), "TEST.GOKRB5", 2, aes256)
	if err != nil {
		t.Fatal(err)
	}
	data := decode(t, testdata.MarshaledPAC_AD_WIN2K_PAC)
	const domain = "S-1-5-21-3167651404-3865080224-2280184895-"
	want := []string{domain + "1105", domain + "513", domain + "1108", domain + "1109", domain + "1115", domain + "1116", domain + "1114", domain + "1111"}
	if got, err := kerberos.ReadSIDs(authorization(t, data), k); err != nil || !slices.Equal(got, want) {
		t.Errorf("the SIDs are %q, want %q: %v", got, want, err)
	}
	accepted := 0
	for n := range data {
		changed := slices.Clone(data)
		changed[n] ^= 0x80
		if _, err := kerberos.ReadSIDs(authorization(t, changed), k); err == nil {
			accepted++
		}
	}
	if accepted != 16 { // the KDC's signature itself, which only the KDC can check
		t.Errorf("of %d changed PACs, %d are taken, want 16", len(data), accepted)
	}
}

func TestPACRefused(t *testing.T) {
	const id = aes256
	k := serverKey(2, id)
	logon := buffer{1, decode(t, testdata.MarshaledPAC_Kerb_Validation_Info_Trust)}
	server, kdc := signature(6, 16, 12), signature(7, 16, 12)
	change := func(p []byte, at int, with ...byte) []byte {
		copy(p[at:], with)
		return p
	}
	good := func() []byte { return makePAC(t, k, logon, server, kdc) }
	for name, test := range map[string]struct {
		pacs   [][]byte
		status error
		detail string
	}{
		"another key":           {[][]byte{makePAC(t, serverKey(3, id), logon, server, kdc)}, gss.ErrDefectiveCred, "signature is wrong"},
		"a changed group":       {[][]byte{change(good(), 300, 0xff)}, gss.ErrDefectiveCred, "signature is wrong"},
		"no signature":          {[][]byte{makePAC(t, k, logon, kdc)}, gss.ErrDefectiveCred, "no server signature"},
		"another checksum":      {[][]byte{makePAC(t, k, logon, signature(6, 15, 12), kdc)}, gss.ErrDefectiveCred, "signature is wrong"},
		"an unknown checksum":   {[][]byte{makePAC(t, k, logon, signature(6, 7, 12), kdc)}, gss.ErrDefectiveToken, "malformed"},
		"a short signature":     {[][]byte{makePAC(t, k, logon, kdc, signature(6, 16, 11))}, gss.ErrDefectiveToken, "malformed"},
		"no signature's type":   {[][]byte{makePAC(t, k, logon, server, buffer{7, nil})}, gss.ErrDefectiveToken, "malformed"},
		"two logon buffers":     {[][]byte{makePAC(t, k, logon, logon, server, kdc)}, gss.ErrDefectiveToken, "malformed"},
		"two signatures":        {[][]byte{makePAC(t, k, logon, server, server)}, gss.ErrDefectiveToken, "malformed"},
		"two":                   {[][]byte{good(), good()}, gss.ErrDefectiveToken, "more than one"},
		"nothing":               {[][]byte{{}}, gss.ErrDefectiveToken, "malformed"},
		"many buffers":          {[][]byte{change(good(), 0, 0xff, 0xff, 0xff, 0xff)}, gss.ErrDefectiveToken, "malformed"},
		"another version":       {[][]byte{change(good(), 4, 1)}, gss.ErrDefectiveToken, "malformed"},
		"a large buffer":        {[][]byte{change(good(), 12, 0xff, 0xff, 0xff, 0xff)}, gss.ErrDefectiveToken, "malformed"},
		"a far buffer":          {[][]byte{change(good(), 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)}, gss.ErrDefectiveToken, "malformed"},
		"cut":                   {[][]byte{good()[:100]}, gss.ErrDefectiveToken, "malformed"},
		"logon information cut": {[][]byte{makePAC(t, k, buffer{1, logon.data[:200]}, server, kdc)}, gss.ErrDefectiveToken, "malformed"},
		"no logon information":  {[][]byte{makePAC(t, k, buffer{1, nil}, server, kdc)}, gss.ErrDefectiveToken, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{})
			o := w.offer(id)
			o.ticket.AuthorizationData = authorization(t, test.pacs...)
			if e := w.refused(o.token(t), test.status); !strings.Contains(e.Detail, test.detail) || e.Name != "alice@"+realm {
				t.Errorf("refused %q with %q", e.Name, e.Detail)
			}
		})
	}
}

// TestDisabledGroup: a group that is not enabled for the user is not his.
func TestDisabledGroup(t *testing.T) {
	data := decode(t, testdata.MarshaledPAC_Kerb_Validation_Info_Trust)
	membership := []byte{0x01, 0x02, 0, 0, 7, 0, 0, 0} // 513
	at := strings.Index(string(data), string(membership))
	if at < 0 {
		t.Fatal("there is no group 513")
	}
	data[at+4] = 0x10 // SE_GROUP_USE_FOR_DENY_ONLY
	w := newWorld(t, kerberos.Options{})
	o := w.offer(aes256)
	o.ticket.AuthorizationData = authorization(t, makePAC(t, o.serverKey, buffer{1, data}, signature(6, 16, 12), signature(7, 16, 12)))
	_, c := w.establish(o)
	if got := c.Initiator().SIDs; len(got) != 6 || slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "-513") }) {
		t.Errorf("the SIDs are %q", got)
	}
}
