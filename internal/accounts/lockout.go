package accounts

import (
	"sync"
	"time"

	"calkeeper/internal/lru"
)

// How often may be failed, and what it costs then. Who goes on guessing comes to 4 an hour.
const (
	freeOfAccount = 5  // failures for an account
	freeOfAddress = 20 // from an address: behind it there may be many people
	shortestWait  = time.Second
	longestWait   = 15 * time.Minute
	ageOfFailure  = 15 * time.Minute // without failures, after which one fewer counts
	maxBeyond     = 11               // failures beyond the free ones that count: 2^10 s are more than the longest wait

	maxKeys = 10_000 // addresses, and accounts, whose failures are known
)

// lockout counts failures by address, or by account, and says how long nothing is checked: after the free ones for a second, and for
// twice as long after each further one.
type lockout struct {
	free int

	mu       sync.Mutex
	failures *lru.Map[failures]
}

type failures struct {
	count      int
	until      time.Time // when something is checked again
	ages       time.Time // since when they age
	told       bool      // an attempt in the time until then is recorded
	unrecorded int       // attempts that are not
}

func newLockout(free int) *lockout { return &lockout{free: free, failures: lru.New[failures](maxKeys)} }

// wait returns how long nothing is checked.
func (l *lockout) wait(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.failures.Get(key); f != nil {
		return max(0, f.until.Sub(now))
	}
	return 0
}

// fail counts a failure, and returns how long nothing is checked then.
func (l *lockout) fail(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failures.Add(key)
	if n := int(now.Sub(f.ages) / ageOfFailure); n > 0 {
		f.count = max(0, f.count-n)
	}
	f.count = min(f.count+1, l.free+maxBeyond)
	wait := time.Duration(0)
	if beyond := f.count - l.free; beyond > 0 {
		wait = min(shortestWait<<(beyond-1), longestWait)
	}
	f.until, f.told = now.Add(wait), false
	f.ages = f.until
	return wait
}

// refuse counts an attempt that is not checked, and tells whether it is to be recorded: the first of each wait is.
func (l *lockout) refuse(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failures.Get(key)
	if f == nil || !f.told {
		if f != nil {
			f.told = true
		}
		return true
	}
	f.unrecorded++
	return false
}

// takeUnrecorded returns how many attempts were not recorded since it was called last.
func (l *lockout) takeUnrecorded(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failures.Get(key)
	if f == nil {
		return 0
	}
	n := f.unrecorded
	f.unrecorded = 0
	return n
}
