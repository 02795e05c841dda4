package kerberos

import (
	"crypto/sha256"
	"sync"
	"time"

	"calkeeper/internal/auth/gss"
)

// maxReplays bounds the replay cache. Of 10 minutes, it is 400 a second; in memory some 30 MB.
const maxReplays = 1 << 18

// replayCache knows the authenticators that were accepted, for as long as their clock would let them in again.
type replayCache struct {
	mu    sync.Mutex
	limit int
	seen  map[[sha256.Size]byte]struct{}
	queue []replay // oldest first
}

type replay struct {
	authenticator [sha256.Size]byte
	until         time.Time
}

func newReplayCache() *replayCache {
	return &replayCache{limit: maxReplays, seen: map[[sha256.Size]byte]struct{}{}}
}

// enter takes the ciphertext of an authenticator that was verified, and refuses one that it has seen. window is how long it is kept.
//
// A full cache refuses: to forget one would let it in again. Only who has a ticket can fill it.
func (c *replayCache) enter(ciphertext []byte, now time.Time, window time.Duration) error {
	sum := sha256.Sum256(ciphertext)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && now.After(c.queue[0].until) {
		delete(c.seen, c.queue[0].authenticator)
		c.queue = c.queue[1:]
	}
	if _, seen := c.seen[sum]; seen {
		return refuse(gss.ErrDuplicateToken, "the authenticator was used before")
	}
	if len(c.queue) >= c.limit {
		return refuse(gss.ErrDuplicateToken, "the replay cache is full: %d authenticators in %v", c.limit, window)
	}
	c.seen[sum] = struct{}{}
	c.queue = append(c.queue, replay{sum, now.Add(window)})
	return nil
}
