package kerberos

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// serviceKey is an entry of a keytab.
type serviceKey struct {
	components []string
	realm      string
	kvno       uint32
	key        types.EncryptionKey
}

// String has nothing of the key.
func (k serviceKey) String() string {
	return fmt.Sprintf("%s kvno %d %s", principal(k.components, k.realm), k.kvno, encryptionName(k.key.KeyType))
}

// keytabFile is a keytab, and the state of its file when it was read.
type keytabFile struct {
	path string
	info fs.FileInfo
	keys []serviceKey
}

// refresh reads the file if it is another than before. After an error all is as before.
func (f *keytabFile) refresh() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if f.info != nil && os.SameFile(info, f.info) && info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() {
		return nil
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	keys, err := parseKeytab(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.info, f.keys = info, keys
	return nil
}

func parseKeytab(text []byte) (keys []serviceKey, err error) {
	// The reader's own errors can have the file's bytes in them, and so keys.
	malformed := fmt.Errorf("this is no keytab, or not all of one")
	defer func() {
		if recover() != nil {
			err = malformed
		}
	}()
	kt := keytab.New()
	if kt.Unmarshal(text) != nil {
		return nil, malformed
	}
	for _, e := range kt.Entries {
		keys = append(keys, serviceKey{e.Principal.Components, e.Principal.Realm, e.KVNO, e.Key})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("the keytab has no keys")
	}
	return keys, nil
}

// candidates returns the keys that a ticket may be encrypted with: those of the very service, or else all of its realm, since the one
// account of this server has many names, of which the keytab of a computer need not know each.
func candidates(keys []serviceKey, ticket *messages.Ticket) (found []types.EncryptionKey) {
	var exact, others []types.EncryptionKey
	for _, k := range keys {
		switch {
		case k.realm != ticket.Realm || k.key.KeyType != ticket.EncPart.EType || !k.hasVersion(ticket.EncPart.KVNO):
		case slices.Equal(k.components, ticket.SName.NameString):
			exact = append(exact, k.key)
		default:
			others = append(others, k.key)
		}
	}
	if exact != nil {
		return exact
	}
	return others
}

// hasVersion tells whether the key may be of a version. A ticket can have none, and old keytabs have its lowest byte only.
func (k serviceKey) hasVersion(kvno int) bool {
	return kvno == 0 || k.kvno == uint32(kvno) || k.kvno < 256 && k.kvno == uint32(kvno)&0xff
}

// list names what keys there are.
func list(keys []serviceKey) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.String()
	}
	return strings.Join(slices.Compact(names), ", ")
}

// principalEscapes are those of krb5_unparse_name (MIT): a name cannot pass for one of another realm, nor for two lines of a log.
var principalEscapes = strings.NewReplacer(`\`, `\\`, "/", `\/`, "@", `\@`, "\n", `\n`, "\t", `\t`, "\b", `\b`, "\x00", `\0`)

// principal writes a principal's name.
func principal(components []string, realm string) string {
	var b strings.Builder
	for i, c := range components {
		if i > 0 {
			b.WriteByte('/')
		}
		principalEscapes.WriteString(&b, c)
	}
	b.WriteByte('@')
	principalEscapes.WriteString(&b, realm)
	return b.String()
}

// encryptionName is the name of an encryption type (RFC 3961, section 8).
func encryptionName(id int32) string {
	switch id {
	case etypeID.AES128_CTS_HMAC_SHA1_96:
		return "aes128-cts-hmac-sha1-96"
	case etypeID.AES256_CTS_HMAC_SHA1_96:
		return "aes256-cts-hmac-sha1-96"
	case etypeID.AES128_CTS_HMAC_SHA256_128:
		return "aes128-cts-hmac-sha256-128"
	case etypeID.AES256_CTS_HMAC_SHA384_192:
		return "aes256-cts-hmac-sha384-192"
	case etypeID.RC4_HMAC:
		return "rc4-hmac"
	}
	return fmt.Sprintf("encryption type %d", id)
}
