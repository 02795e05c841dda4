package restapi

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"calkeeper/internal/lru"
)

// limiter limits how often each of many clients does something. It remembers a bounded number of clients; one that was forgotten,
// because so many others came after it, begins anew.
type limiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	clients *lru.Map[*rate.Limiter]
}

func newLimiter(perSecond float64, burst, most int) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: burst, clients: lru.New[*rate.Limiter](most)}
}

// take counts one time, and returns how long to wait if it was one too many.
func (l *limiter) take(name string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients.Add(name)
	if *c == nil {
		*c = rate.NewLimiter(l.rate, l.burst)
	}
	if (*c).AllowN(now, 1) {
		return 0
	}
	return l.wait(*c, now)
}

// exhausted returns how long to wait until take would count another time.
func (l *limiter) exhausted(name string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients.Get(name)
	if c == nil {
		return 0
	}
	return l.wait(*c, now)
}

func (l *limiter) wait(c *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - c.TokensAt(now)
	return max(0, time.Duration(missing/float64(l.rate)*float64(time.Second)))
}

// beginWaiting counts a poll or stream that waits, unless its client has too many; end it with endWaiting.
func (s *server) beginWaiting(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[name] >= s.Limits.Waiting {
		return false
	}
	s.waiting[name]++
	return true
}

func (s *server) endWaiting(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[name]--; s.waiting[name] == 0 {
		delete(s.waiting, name)
	}
}
