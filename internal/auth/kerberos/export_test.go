package kerberos

import (
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
)

// LimitReplays makes the replay cache smaller.
func LimitReplays(s *Service, limit int) { s.replays.limit = limit }

// Replays returns how many authenticators are remembered.
func Replays(s *Service) int { return len(s.replays.seen) }

// NewContext returns a context without mutual authentication.
func NewContext(key types.EncryptionKey, send, receive uint64) gss.Context {
	e, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		panic(err)
	}
	return &securityContext{etype: e, key: key.KeyValue, send: send, receive: receive}
}

// ReadSIDs is what Accept does with a ticket's authorization data.
func ReadSIDs(data types.AuthorizationData, key types.EncryptionKey) ([]string, error) {
	return readSIDs(data, key)
}
