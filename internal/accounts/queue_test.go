package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	"calkeeper/internal/store"
)

// hash is one under way; it ends when letGo is closed.
type hash struct {
	password string
	letGo    chan struct{}
}

// slowly makes hashes take until they are let go, and counts those under way.
type slowly struct {
	*house
	running, most, hashed atomic.Int64
	begun                 chan hash
	letAllGo              chan struct{}
}

func newSlowly(t *testing.T) *slowly {
	s := &slowly{house: newHouse(t), begun: make(chan hash, 10_000), letAllGo: make(chan struct{})}
	s.set(accounts.Change{Name: "ada", Role: auth.Operator, Password: right})
	s.SetDerive(func(password string, salt []byte, memory uint32) []byte {
		if memory == accounts.SlowMemory {
			n := s.running.Add(1)
			defer s.running.Add(-1)
			for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
			}
			s.hashed.Add(1)
			h := hash{password, make(chan struct{})}
			s.begun <- h
			select {
			case <-h.letGo:
			case <-s.letAllGo:
			}
		}
		return s.derive(password, salt, memory)
	})
	return s
}

// next returns the next that begins, which is to be of that password.
func (s *slowly) next(password string) hash {
	s.t.Helper()
	h := <-s.begun
	if h.password != password {
		s.t.Fatalf("%q is hashed; want %q", h.password, password)
	}
	return h
}

// waiting returns as soon as so many wait.
func (s *slowly) waiting(n int) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); s.Waiting() != n; {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d wait; want %d", s.Waiting(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *slowly) checkIdle() {
	s.t.Helper()
	if !s.Idle() {
		s.t.Error("the queue is not empty at the end")
	}
	if most := s.most.Load(); most > accounts.MaxRunning {
		s.t.Errorf("%d hashes at once; at most %d are allowed", most, accounts.MaxRunning)
	}
}

// TestFlood is 1,000 wrong passwords at once, from one address for one account: the first few are hashed, one at a time, and others are
// answered meanwhile.
func TestFlood(t *testing.T) {
	s := newSlowly(t)
	ada := identity("ada", auth.Operator)
	logon := func(from string) {
		t.Helper()
		var client sync.WaitGroup
		client.Go(func() { s.accepted(basic(from), "ada", right, ada) })
		close(s.next(right).letGo)
		client.Wait()
	}
	logon(here)
	n := len(s.records(0))
	var flood sync.WaitGroup
	var busy, locked, wrongs atomic.Int64
	for range 1000 {
		flood.Go(func() {
			_, err := s.Password(context.Background(), basic(here), "Administrator", wrong)
			_, isLocked := errors.AsType[*auth.LockedError](err)
			switch {
			case errors.Is(err, auth.ErrBusy):
				busy.Add(1)
			case isLocked:
				locked.Add(1)
			case errors.Is(err, auth.ErrCredentials):
				wrongs.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
	}
	s.next(wrong)
	for busy.Load() != 1000-1-accounts.MaxWaitingOfOne {
		time.Sleep(time.Millisecond)
	}
	s.accepted(basic(here), "ada", right, ada) // who was in is in
	logon(there)                               // another address has its turn beside
	close(s.letAllGo)
	flood.Wait()
	if got := s.hashed.Load() - 2; got != 6 || wrongs.Load() != 6 || locked.Load() != accounts.MaxWaitingOfOne-5 {
		t.Errorf("%d were hashed; %d wrong, %d locked, %d busy", got, wrongs.Load(), locked.Load(), busy.Load())
	}
	if got := len(s.records(n)); got > 10 {
		t.Errorf("%d records of the flood", got)
	}
	s.checkIdle()
}

// TestAddressesTakeTurns: who sends much waits for his own.
func TestAddressesTakeTurns(t *testing.T) {
	s := newSlowly(t)
	var clients sync.WaitGroup
	send := func(from, password string) {
		clients.Go(func() {
			if _, err := s.Password(context.Background(), basic(from), "from "+from, password); !errors.Is(err, auth.ErrCredentials) {
				t.Errorf("%s: %v", from, err)
			}
		})
	}
	send("192.0.2.1", "a0")
	a0 := s.next("a0")
	send("192.0.2.2", "b0")
	b0 := s.next("b0")
	for i, password := range []string{"a1", "a2", "a3"} {
		send("192.0.2.1", password)
		s.waiting(i + 1)
	}
	send("192.0.2.3", "c0")
	s.waiting(4)
	send("192.0.2.4", "d0")
	s.waiting(5)
	close(a0.letGo)
	a1 := s.next("a1")
	close(a1.letGo)
	c0 := s.next("c0")
	close(b0.letGo)
	s.next("d0")
	close(c0.letGo)
	a2 := s.next("a2")
	close(a2.letGo)
	s.next("a3")
	close(s.letAllGo)
	clients.Wait()
	s.checkIdle()
}

// TestWaitersAreBounded, of one address and in all, and one who goes away makes room.
func TestWaitersAreBounded(t *testing.T) {
	s := newSlowly(t)
	var clients sync.WaitGroup
	ctx, leave := context.WithCancel(t.Context())
	n := 0
	send := func(ctx context.Context, from string) {
		n++
		user := fmt.Sprintf("user%d", n)
		clients.Go(func() {
			_, err := s.Password(ctx, basic(from), user, wrong)
			if _, locked := errors.AsType[*auth.LockedError](err); !errors.Is(err, auth.ErrCredentials) && !errors.Is(err, context.Canceled) && !locked {
				t.Errorf("%v", err)
			}
		})
	}
	busy := func(from string) {
		t.Helper()
		if _, err := s.Password(t.Context(), basic(from), "busy", wrong); !errors.Is(err, auth.ErrBusy) {
			t.Errorf("%v; want %v", err, auth.ErrBusy)
		}
	}
	send(t.Context(), "192.0.2.1")
	send(t.Context(), "192.0.2.2")
	s.next(wrong)
	s.next(wrong)
	for i := range accounts.MaxWaiting {
		send(ctx, fmt.Sprintf("192.0.2.%d", 1+i/accounts.MaxWaitingOfOne))
		s.waiting(i + 1)
	}
	busy("192.0.2.1")
	busy("192.0.2.99")
	leave()
	s.waiting(0)
	send(t.Context(), "192.0.2.99")
	s.waiting(1)
	close(s.letAllGo)
	clients.Wait()
	s.checkIdle()
	n = len(s.records(0))
	s.refused(basic("192.0.2.99"), "last", wrong)
	s.recorded(n, "last | logon refused | no such account | 192.0.2.99 | Basic")
	if r := s.records(0); !slices.ContainsFunc(r, func(r store.AuditRecord) bool {
		return strings.HasSuffix(r.Detail, "; 2 attempts, of anybody, had found too many under way")
	}) {
		t.Errorf("those who were turned away are in no record: %+v", r)
	}
}
