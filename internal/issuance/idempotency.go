package issuance

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// maxIdempotencyKey is the length of the longest key, in characters.
const maxIdempotencyKey = 255

func checkIdempotencyKey(key string) error {
	if len(key) > maxIdempotencyKey {
		return licensing.Faultf(licensing.Invalid, "the idempotency key has %d characters; at most %d are allowed", len(key), maxIdempotencyKey)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return licensing.Faultf(licensing.Invalid, "character %d of the idempotency key is none of printable ASCII", i+1)
		}
	}
	return nil
}

// recall fills in the answer that was given under the request's key, and tells whether there is one.
func recall(tx store.Tx, operation string, r Request, answer *Answer) (bool, error) {
	if r.IdempotencyKey == "" {
		return false, nil
	}
	kept, err := tx.Answer(r.Host.Name, r.IdempotencyKey)
	switch {
	case licensing.KindOf(err) == licensing.NotFound && err != nil:
		return false, nil
	case err != nil:
		return false, err
	case !bytes.Equal(kept.Fingerprint, fingerprint(operation, r)):
		return false, licensing.Faultf(licensing.AlreadyExists, "the idempotency key was used for another request: a new request needs a new key")
	}
	return true, json.Unmarshal(kept.Body, answer)
}

// remember keeps an answer for the repetition of its request.
func remember(tx store.Tx, operation string, r Request, answer Answer, now time.Time) error {
	if r.IdempotencyKey == "" {
		return nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	err = tx.PutAnswer(store.Answer{Host: r.Host.Name, Key: r.IdempotencyKey, Fingerprint: fingerprint(operation, r), Body: body, At: now})
	if err != nil {
		return err
	}
	return tx.Audit(store.AuditRecord{At: now, Actor: r.Host.Name, Action: "answer", Detail: "kept for a repetition"})
}

// fingerprint tells requests apart.
func fingerprint(operation string, r Request) []byte {
	text, _ := json.Marshal([]any{operation, r.User, r.Device, r.Session, r.Provisional}) // cannot fail: strings and a bool
	sum := sha256.Sum256(text)
	return sum[:]
}
