package restapi

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter limits how often each of many clients does something. It remembers a bounded number of clients; one that was forgotten,
// because so many others came after it, begins anew.
type limiter struct {
	rate  rate.Limit
	burst int
	most  int

	mu      sync.Mutex
	clients map[string]*list.Element
	recent  list.List // of *client, the one that was seen last in front
}

type client struct {
	name string
	*rate.Limiter
}

func newLimiter(perSecond float64, burst, most int) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: burst, most: most, clients: map[string]*list.Element{}}
}

// take counts one time, and returns how long to wait if it was one too many.
func (l *limiter) take(name string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.clients[name]
	if e == nil {
		if len(l.clients) >= l.most {
			oldest := l.recent.Back()
			delete(l.clients, l.recent.Remove(oldest).(*client).name)
		}
		e = l.recent.PushFront(&client{name, rate.NewLimiter(l.rate, l.burst)})
		l.clients[name] = e
	}
	l.recent.MoveToFront(e)
	c := e.Value.(*client)
	if c.AllowN(now, 1) {
		return 0
	}
	return l.wait(c, now)
}

// exhausted returns how long to wait until take would count another time.
func (l *limiter) exhausted(name string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.clients[name]
	if e == nil {
		return 0
	}
	l.recent.MoveToFront(e)
	return l.wait(e.Value.(*client), now)
}

func (l *limiter) wait(c *client, now time.Time) time.Duration {
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
