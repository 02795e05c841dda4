package kerberos_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
)

func TestAccept(t *testing.T) {
	for name, change := range map[string]func(*offer){
		"as it is":                 func(*offer) {},
		"no mutual authentication": func(o *offer) { o.authenticator.Cksum = gssChecksum(nil, others) },
		"mutual by the message": func(o *offer) {
			o.authenticator.Cksum = gssChecksum(nil, others)
			o.options = []int{flags.APOptionMutualRequired}
		},
		"no subkey": func(o *offer) { o.authenticator.SubKey = types.EncryptionKey{} },
		"no subkey, not mutual": func(o *offer) {
			o.authenticator.SubKey, o.authenticator.Cksum = types.EncryptionKey{}, gssChecksum(nil, 0)
		},
		"no checksum":               func(o *offer) { o.authenticator.Cksum = types.Checksum{} },
		"no sequence number":        func(o *offer) { o.authenticator.SeqNumber = 0 },
		"a signed sequence number":  func(o *offer) { o.authenticator.SeqNumber = -5 },
		"a large sequence number":   func(o *offer) { o.authenticator.SeqNumber = 1<<32 - 1 },
		"delegation":                func(o *offer) { o.authenticator.Cksum.Checksum[20] |= 1 }, // truncated: nobody looks
		"no start time":             func(o *offer) { o.ticket.StartTime = time.Time{} },
		"a key without a version":   func(o *offer) { o.kvno = 0 },
		"a long version":            func(o *offer) { o.kvno = 0x102 },
		"HTTP in lower case":        func(o *offer) { o.service = "http/LS1" },
		"WSMAN":                     func(o *offer) { o.service = "WSMAN/ls1.example.com" },
		"HOST":                      func(o *offer) { o.service = "host/ls1" },
		"expired within the skew":   func(o *offer) { o.ticket.EndTime = start.Add(56 * time.Minute) },
		"not valid yet by the skew": func(o *offer) { o.ticket.StartTime = start.Add(64 * time.Minute) },
		"clock ahead by the skew":   func(o *offer) { o.authenticator.CTime = start.Add(64 * time.Minute) },
		"clock behind by the skew":  func(o *offer) { o.authenticator.CTime = start.Add(56 * time.Minute) },
		"transited and checked": func(o *offer) {
			o.ticket.Transited.Contents = []byte("X")
			types.SetFlag(&o.ticket.Flags, flags.TransitedPolicyChecked)
		},
		"authorization data to leave": func(o *offer) {
			o.ticket.AuthorizationData = types.AuthorizationData{{ADType: 1, ADData: []byte{0x30, 0}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{})
			o := w.offer(aes256)
			change(o)
			i, c := w.establish(o)
			if got := c.Initiator(); got.Mechanism != "Kerberos" || got.Name != "alice@"+realm || got.Realm != realm || got.SIDs != nil ||
				!got.Expires.Equal(o.ticket.EndTime.Add(5*time.Minute)) || got.Expires.Before(w.now) {
				t.Errorf("the initiator is %+v", got)
			}
			converse(t, i, c)
		})
	}
}

// converse sends messages both ways.
func converse(t testing.TB, i *initiator, c gss.Context) {
	t.Helper()
	for _, message := range [][]byte{nil, {1}, []byte("<s:Envelope/>"), bytes.Repeat([]byte("0123456789abcdef"), 10_000)} {
		original := slices.Clone(message)
		sealed := i.seal(message)
		n := len(sealed) - len(message)
		if got, err := c.Unwrap(sealed[:n], sealed[n:]); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("unwrapped %d bytes as %d: %v", len(message), len(got), err)
		}
		signature, ciphertext, err := c.Wrap(message)
		if err != nil {
			t.Fatal(err)
		}
		if len(ciphertext) != len(message) || len(signature) != 16+16+16+i.etype.GetHMACBitLength()/8 {
			t.Fatalf("%d bytes were wrapped into %d and %d", len(message), len(signature), len(ciphertext))
		}
		if got := i.open(signature, ciphertext); !bytes.Equal(got, message) {
			t.Fatalf("wrapped %x, opened as %x", message, got)
		}
		if err := c.VerifyMIC(message, i.mic(message)); err != nil {
			t.Fatal(err)
		}
		mic, err := c.MIC(message)
		if err != nil {
			t.Fatal(err)
		}
		i.verify(message, mic)
		if !bytes.Equal(message, original) {
			t.Fatal("the message itself was changed")
		}
	}
}

func TestEncryptions(t *testing.T) {
	for id, overhead := range map[int32]int{aes128: 60, aes256: 60, aes128SHA2: 64, aes256SHA2: 72} {
		w := newWorld(t, kerberos.Options{})
		i, c := w.establish(w.offer(id))
		i.rotation = overhead - 32
		converse(t, i, c)
		if signature, _, err := c.Wrap([]byte("message")); err != nil || len(signature) != overhead {
			t.Errorf("encryption type %d: a signature of %d bytes, want %d: %v", id, len(signature), overhead, err)
		}
	}
}

// TestRefuse has one thing wrong each time.
func TestRefuse(t *testing.T) {
	other := types.NewPrincipalName(1, "bob")
	for name, test := range map[string]struct {
		change func(*offer)
		status error
		detail string
		named  bool // who he claims to be is known
	}{
		"a ticket of another key": {func(o *offer) { o.serverKey = key(aes256) }, gss.ErrDefectiveCred, "another key", false},
		"a version without a key": {func(o *offer) { o.kvno = 3 }, gss.ErrDefectiveCred,
			"HTTP/ls1.example.com@EXAMPLE.COM kvno 3 aes256-cts-hmac-sha1-96, and there is no such key; the keytab has LS1$@EXAMPLE.COM kvno 2 aes128", false},
		"another realm":      {func(o *offer) { o.realm = "ELSEWHERE" }, gss.ErrDefectiveCred, "@ELSEWHERE", false},
		"cifs":               {func(o *offer) { o.service = "cifs/ls1.example.com" }, gss.ErrDefectiveCred, "wrong SPN: the ticket is for cifs/ls1", false},
		"krbtgt":             {func(o *offer) { o.service = "krbtgt/EXAMPLE.COM" }, gss.ErrDefectiveCred, "wrong SPN", false},
		"the account itself": {func(o *offer) { o.service = "LS1$" }, gss.ErrDefectiveCred, "wrong SPN", false},
		"HTTP alone":         {func(o *offer) { o.service = "HTTP" }, gss.ErrDefectiveCred, "wrong SPN", false},
		"user to user":       {func(o *offer) { o.options = []int{flags.APOptionUseSessionKey} }, gss.ErrDefectiveToken, "user-to-user", false},
		"an RC4 ticket":      {func(o *offer) { o.serverKey = serverKey(2, rc4) }, gss.ErrDefectiveCred, "encrypted with RC4", false},
		"an RC4 session":     {func(o *offer) { o.ticket.Key = key(rc4); o.sessionKey = o.ticket.Key }, gss.ErrDefectiveCred, "only AES", true},
		"an RC4 subkey":      {func(o *offer) { o.authenticator.SubKey = key(rc4) }, gss.ErrDefectiveCred, "only AES", true},
		"a short subkey":     {func(o *offer) { o.authenticator.SubKey.KeyValue = []byte{1} }, gss.ErrDefectiveCred, "only AES", true},
		"no client":          {func(o *offer) { o.ticket.CName.NameString = nil }, gss.ErrDefectiveToken, "malformed", false},
		"expired":            {func(o *offer) { o.ticket.EndTime = start.Add(54 * time.Minute) }, gss.ErrCredentialsStale, "expired 6m0s ago", true},
		"not valid yet":      {func(o *offer) { o.ticket.StartTime = start.Add(66 * time.Minute) }, gss.ErrCredentialsStale, "valid in 6m0s", true},
		"not valid yet by its authentication": {func(o *offer) { o.ticket.StartTime, o.ticket.AuthTime = time.Time{}, start.Add(66*time.Minute) },
			gss.ErrCredentialsStale, "valid in 6m0s", true},
		"postdated":    {func(o *offer) { types.SetFlag(&o.ticket.Flags, flags.Invalid) }, gss.ErrCredentialsStale, "postdated", true},
		"transited":    {func(o *offer) { o.ticket.Transited.Contents = []byte("X") }, gss.ErrDefectiveCred, "other realms", true},
		"clock ahead":  {func(o *offer) { o.authenticator.CTime = start.Add(66 * time.Minute) }, gss.ErrCredentialsStale, "6m0s ahead of this one, 5m0s is", true},
		"clock behind": {func(o *offer) { o.authenticator.CTime = start.Add(54 * time.Minute) }, gss.ErrCredentialsStale, "6m0s behind", true},
		"microseconds": {func(o *offer) { o.authenticator.Cusec = 1_000_000 }, gss.ErrDefectiveToken, "malformed", true},
		"another user": {func(o *offer) { o.authenticator.CName = other }, gss.ErrDefectiveCred, "authenticator is of bob@", true},
		"another realm's user": {func(o *offer) { o.authenticator.CRealm = "ELSEWHERE" }, gss.ErrDefectiveCred, "authenticator is of alice@ELSEWHERE",
			true},
		"an authenticator of another session": {func(o *offer) { o.sessionKey = key(aes256) }, gss.ErrDefectiveCred, "not of the ticket's session", true},
		"another checksum":                    {func(o *offer) { o.authenticator.Cksum.CksumType = 7 }, gss.ErrDefectiveToken, "type 7", true},
		"a short checksum": {func(o *offer) { o.authenticator.Cksum.Checksum = o.authenticator.Cksum.Checksum[:23] }, gss.ErrDefectiveToken, "malformed",
			true},
		"a checksum with another length": {func(o *offer) { o.authenticator.Cksum.Checksum[0]++ }, gss.ErrDefectiveToken, "malformed", true},
		"DCE style":                      {func(o *offer) { o.authenticator.Cksum = gssChecksum(nil, 0x1000) }, gss.ErrDefectiveToken, "DCE style", true},
		"another version":                {func(o *offer) { o.authenticator.AVNO = 4 }, gss.ErrDefectiveToken, "malformed", true},
		"another message":                {func(o *offer) { o.id = 15 }, gss.ErrDefectiveToken, "malformed", false},
		"other authorization data": {func(o *offer) { o.ticket.AuthorizationData = types.AuthorizationData{{ADType: 1, ADData: []byte{9}}} },
			gss.ErrDefectiveToken, "authorization data", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{})
			o := w.offer(aes256)
			test.change(o)
			e := w.refused(o.token(t), test.status)
			if !strings.Contains(e.Detail, test.detail) || test.named != (e.Name == "alice@"+realm) || !test.named && e.Name != "" {
				t.Errorf("refused %q with %q", e.Name, e.Detail)
			}
			w.establish(w.offer(aes256)) // the next one is not affected
		})
	}
}

func TestFraming(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	message := w.offer(aes256).message(t)
	for name, test := range map[string]struct {
		token  []byte
		status error
	}{
		"nothing":            {nil, gss.ErrDefectiveToken},
		"no framing":         {message, gss.ErrDefectiveToken},
		"SPNEGO":             {token(t, "1.3.6.1.5.5.2", 0x0100, message), gss.ErrBadMechanism},
		"user to user":       {token(t, krb5+".3", 0x0100, message), gss.ErrBadMechanism},
		"a KRB_AP_REP":       {token(t, krb5, 0x0200, message), gss.ErrDefectiveToken},
		"half an identifier": {token(t, krb5, 0x0100, nil)[:14], gss.ErrDefectiveToken},
		"no message":         {token(t, krb5, 0x0100, nil), gss.ErrDefectiveToken},
		"more after it":      {append(token(t, krb5, 0x0100, message), 0), gss.ErrDefectiveToken},
		"more in it":         {token(t, krb5, 0x0100, append(message, 0)), gss.ErrDefectiveToken},
		"another tag":        {token(t, krb5, 0x0100, append([]byte{0x6f}, message[1:]...)), gss.ErrDefectiveToken},
		"too long":           {token(t, krb5, 0x0100, make([]byte, 70_000)), gss.ErrDefectiveToken},
	} {
		t.Run(name, func(t *testing.T) {
			(&world{t: t, service: w.service}).refused(test.token, test.status)
		})
	}
	if _, _, err := w.accept(token(t, krb5, 0x0100, message)); err != nil {
		t.Errorf("the message itself: %v", err)
	}
}

func TestTruncated(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	o := w.offer(aes128)
	message, whole := o.message(t), o.token(t)
	for n := range whole {
		if _, _, err := w.accept(whole[:n]); err == nil {
			t.Fatalf("the first %d bytes are accepted", n)
		}
	}
	for n := range message {
		if _, _, err := w.accept(token(t, krb5, 0x0100, message[:n])); err == nil {
			t.Fatalf("the first %d bytes of the message are accepted", n)
		}
	}
}

// TestChanged changes each byte of a token: none of them is accepted, but where names of service and client's options stand in clear.
func TestChanged(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	good := w.offer(aes128).token(t)
	accepted := 0
	for n := range good {
		changed := slices.Clone(good)
		changed[n] ^= 0x40
		if _, c, err := w.accept(changed); err == nil {
			accepted++
			if c.Initiator().Name != "alice@"+realm {
				t.Errorf("byte %d makes alice %s", n, c.Initiator().Name)
			}
		}
	}
	// Once one was accepted, the authenticator is used up: all others would be refused as replayed ones.
	if accepted > 1 {
		t.Errorf("%d changed tokens were accepted with one authenticator", accepted)
	}
}

func TestReplay(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	first := w.offer(aes256).token(t)
	if _, _, err := w.accept(first); err != nil {
		t.Fatal(err)
	}
	if e := w.refused(first, gss.ErrDuplicateToken); e.Name != "alice@"+realm {
		t.Errorf("refused %q", e.Name)
	}
	w.establish(w.offer(aes256)) // another authenticator, of the same time
	w.now = w.now.Add(4 * time.Minute)
	w.refused(first, gss.ErrDuplicateToken)
	w.now = w.now.Add(2 * time.Minute)
	w.refused(first, gss.ErrCredentialsStale)
}

// TestReplayOfFastClock: who is ahead has an authenticator that can be used for nearly twice the skew.
func TestReplayOfFastClock(t *testing.T) {
	w := newWorld(t, kerberos.Options{Skew: time.Minute})
	o := w.offer(aes256)
	o.authenticator.CTime = w.now.Add(59 * time.Second)
	first := o.token(t)
	if _, _, err := w.accept(first); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(118 * time.Second)
	w.refused(first, gss.ErrDuplicateToken)
}

// TestRefusedIsNoReplay: only what was verified is remembered.
func TestRefusedIsNoReplay(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	o := w.offer(aes256)
	good := o.token(t)
	altered := slices.Clone(good)
	altered[len(altered)-1]++
	w.refused(altered, gss.ErrDefectiveCred)
	if got := kerberos.Replays(w.service); got != 0 {
		t.Errorf("%d refused authenticators are remembered", got)
	}
	if _, _, err := w.accept(good); err != nil {
		t.Fatal(err)
	}
}

func TestReplayCacheIsBounded(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	kerberos.LimitReplays(w.service, 3)
	tokens := make([][]byte, 4)
	for n := range tokens {
		tokens[n] = w.offer(aes128).token(t)
	}
	for _, token := range tokens[:3] {
		if _, _, err := w.accept(token); err != nil {
			t.Fatal(err)
		}
	}
	if e := w.refused(tokens[3], gss.ErrDuplicateToken); !strings.Contains(e.Detail, "full") {
		t.Error(e)
	}
	w.refused(tokens[0], gss.ErrDuplicateToken)
	w.now = w.now.Add(10*time.Minute + 1)
	w.establish(w.offer(aes128))
	if got := kerberos.Replays(w.service); got != 1 {
		t.Errorf("%d authenticators are remembered, want 1", got)
	}
}

// TestRestart: what was used before a restart is forgotten, and so nothing from then is taken.
func TestRestart(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	o := w.offer(aes256)
	o.authenticator.CTime = w.now.Add(-time.Minute)
	before := o.token(t)
	if _, _, err := w.accept(before); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.service, err = kerberos.New(kerberos.Options{Keytab: w.path, Now: func() time.Time { return w.now }}); err != nil {
		t.Fatal(err)
	}
	if e := w.refused(before, gss.ErrCredentialsStale); !strings.Contains(e.Detail, "older than this process") {
		t.Error(e)
	}
	w.establish(w.offer(aes256))
}

func TestSpent(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	a := w.service.NewAcceptor(gss.ChannelBindings{})
	if _, _, err := a.Accept(t.Context(), w.offer(aes256).token(t)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Accept(t.Context(), w.offer(aes256).token(t)); !errors.Is(err, gss.ErrDefectiveToken) {
		t.Errorf("a second token: %v", err)
	}
}

func TestBindings(t *testing.T) {
	tls := func(policy gss.BindingsPolicy, raw string) gss.ChannelBindings {
		return gss.ChannelBindings{Policy: policy, EndPoint: gss.EndPoint(&x509.Certificate{Raw: []byte(raw)})}
	}
	// RFC 4121, section 4.1.1.2: two addresses of no type and no length, and the application's data.
	hash := sha256.Sum256([]byte("server"))
	of := md5.Sum(slices.Concat(make([]byte, 16), []byte{53, 0, 0, 0}, []byte("tls-server-end-point:"), hash[:]))
	sum := of[:]
	for name, test := range map[string]struct {
		bindings gss.ChannelBindings
		sent     []byte
		fits     bool
	}{
		"relaxed, none":                {tls(gss.Relaxed, "server"), nil, true},
		"relaxed, right":               {tls(gss.Relaxed, "server"), sum, true},
		"relaxed, of another":          {tls(gss.Relaxed, "other"), sum, false},
		"relaxed, without TLS":         {gss.ChannelBindings{Policy: gss.Relaxed}, sum, false},
		"strict, none":                 {tls(gss.Strict, "server"), nil, false},
		"strict, right":                {tls(gss.Strict, "server"), sum, true},
		"strict, of another":           {tls(gss.Strict, "other"), sum, false},
		"strict, none and without TLS": {gss.ChannelBindings{Policy: gss.Strict}, nil, true},
		"off, of another":              {tls(gss.Off, "other"), sum, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{})
			o := w.offer(aes256)
			o.authenticator.Cksum = gssChecksum(test.sent, mutual)
			_, _, err := w.service.NewAcceptor(test.bindings).Accept(t.Context(), o.token(t))
			if test.fits && err != nil || !test.fits && !errors.Is(err, gss.ErrBadBindings) {
				t.Error(err)
			}
		})
	}
}

func TestAllowRC4(t *testing.T) {
	w := newWorld(t, kerberos.Options{AllowRC4: true})
	o := w.offer(aes256)
	o.serverKey = serverKey(2, rc4)
	i, c := w.establish(o)
	converse(t, i, c)
	o = w.offer(rc4)
	if e := w.refused(o.token(t), gss.ErrDefectiveCred); !strings.Contains(e.Detail, "the key of the session is for rc4-hmac; only AES") {
		t.Error(e)
	}
}

// TestKeys: which keys of the keytab may be for a ticket.
func TestKeys(t *testing.T) {
	const service = "HTTP/ls1.example.com"
	for name, test := range map[string]struct {
		keytab []entry
		key    entry // that the ticket is encrypted with
		fits   bool
	}{
		"the service's":                 {[]entry{{service, 2, aes256}}, entry{service, 2, aes256}, true},
		"a computer's":                  {[]entry{{"LS1$", 2, aes256}}, entry{service, 2, aes256}, true},
		"another service's":             {[]entry{{"cifs/ls1", 2, aes256}}, entry{service, 2, aes256}, true},
		"an older one":                  {[]entry{{service, 3, aes256}, {service, 2, aes256}}, entry{service, 2, aes256}, true},
		"one that is gone":              {[]entry{{service, 3, aes256}}, entry{service, 2, aes256}, false},
		"one of another encryption":     {[]entry{{service, 2, aes256}}, entry{service, 2, aes128}, false},
		"no other if the service's are": {[]entry{{service, 4, aes256}, {"LS1$", 4, aes256}}, entry{service, 5, aes256}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{}, test.keytab...)
			o := w.offer(test.key.etype)
			o.kvno, o.serverKey = int(test.key.kvno), serverKey(test.key.kvno, test.key.etype)
			if !test.fits {
				w.refused(o.token(t), gss.ErrDefectiveCred)
				return
			}
			w.establish(o)
		})
	}
}

func TestKeytabChanges(t *testing.T) {
	const service = "HTTP/ls1.example.com"
	w := newWorld(t, kerberos.Options{}, entry{service, 2, aes256})
	offer := func(kvno uint8) []byte {
		o := w.offer(aes256)
		o.kvno, o.serverKey = int(kvno), serverKey(kvno, aes256)
		return o.token(t)
	}
	w.refused(offer(3), gss.ErrDefectiveCred)
	writeKeytab(t, w.path, entry{service, 3, aes256}, entry{service, 2, aes256}) // in place
	for _, kvno := range []uint8{2, 3} {
		if _, _, err := w.accept(offer(kvno)); err != nil {
			t.Error(err)
		}
	}
	next := w.path + ".new" // another file, of the same size and time
	writeKeytab(t, next, entry{service, 4, aes256}, entry{service, 3, aes256})
	info, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(next, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, w.path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.accept(offer(4)); err != nil {
		t.Error(err)
	}
	w.refused(offer(2), gss.ErrDefectiveCred)

	// While it is half written, or away, the keys of before are good.
	for _, spoil := range []func() error{func() error { return os.WriteFile(w.path, []byte{5, 2, 0}, 0o600) }, func() error { return os.Remove(w.path) }} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.accept(offer(4)); err != nil {
			t.Error(err)
		}
		if e := w.refused(offer(5), gss.ErrDefectiveCred); !strings.Contains(e.Detail, "could not be read again: ") {
			t.Error(e)
		}
	}
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	secret := bytes.Repeat([]byte("secret"), 10)
	for name, text := range map[string][]byte{
		"empty": {}, "no entries": {5, 2}, "text": []byte("secret text"), "version 3": {5, 3, 0, 0, 0, 0},
		"cut":      append([]byte{5, 2, 0, 0, 0, 200}, secret...),
		"negative": append([]byte{5, 2, 0, 0, 0, 10, 0, 1, 0xff, 0xff}, secret...),
	} {
		path := filepath.Join(dir, "keytab")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := kerberos.New(kerberos.Options{Keytab: path})
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := kerberos.New(kerberos.Options{Keytab: filepath.Join(dir, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestNames: no name passes for another one.
func TestNames(t *testing.T) {
	for _, test := range []struct {
		components []string
		want       string
	}{
		{[]string{"alice", "admin"}, "alice/admin@" + realm},
		{[]string{"alice/admin"}, `alice\/admin@` + realm},
		{[]string{"admin@EXAMPLE.ORG"}, `admin\@EXAMPLE.ORG@` + realm},
		{[]string{"a\nb\\"}, `a\nb\\@` + realm},
	} {
		w := newWorld(t, kerberos.Options{})
		o := w.offer(aes256)
		o.ticket.CName.NameString, o.authenticator.CName.NameString = test.components, test.components
		_, c := w.establish(o)
		if got := c.Initiator().Name; got != test.want {
			t.Errorf("%q is %s, want %s", test.components, got, test.want)
		}
	}
}
