package accounts

import (
	"context"
	"slices"
	"sync"

	"calkeeper/internal/auth"
)

// Bounds of what passwords cost that are not known to be right: two hashes at once need 38 MiB.
const (
	maxRunning      = 2
	maxWaiting      = 128
	maxWaitingOfOne = 16

	administration = "" // has the place of an address, for passwords that administrators set
)

// queue lets a few run at once, one of each address, and lets the addresses take turns.
type queue struct {
	mu      sync.Mutex
	running map[string]bool // by address
	lines   []*line         // those with somebody who waits; the next turn in front
	waiting int
}

// line are those of one address who wait, the first in front. A closed channel is the permission to run.
type line struct {
	address string
	waiting []chan struct{}
}

func newQueue() *queue { return &queue{running: map[string]bool{}} }

// enter waits for its turn; leave ends it. The error is auth.ErrBusy if too many wait, or that of ctx.
func (q *queue) enter(ctx context.Context, address string) error {
	turn, err := q.join(address)
	if err != nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	q.giveUp(address, turn)
	return ctx.Err()
}

func (q *queue) join(address string) (chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	turn := make(chan struct{})
	i := q.line(address)
	if q.waiting >= maxWaiting || i >= 0 && len(q.lines[i].waiting) >= maxWaitingOfOne {
		return nil, auth.ErrBusy
	}
	if i < 0 {
		q.lines = append(q.lines, &line{address: address})
		i = len(q.lines) - 1
	}
	q.lines[i].waiting = append(q.lines[i].waiting, turn)
	q.waiting++
	q.next()
	return turn, nil
}

func (q *queue) line(address string) int {
	return slices.IndexFunc(q.lines, func(l *line) bool { return l.address == address })
}

// next lets run who can.
func (q *queue) next() {
	for len(q.running) < maxRunning {
		i := slices.IndexFunc(q.lines, func(l *line) bool { return !q.running[l.address] })
		if i < 0 {
			return
		}
		l := q.lines[i]
		q.lines = slices.Delete(q.lines, i, i+1)
		q.running[l.address] = true
		close(l.waiting[0])
		q.waiting--
		if l.waiting = l.waiting[1:]; len(l.waiting) > 0 {
			q.lines = append(q.lines, l)
		}
	}
}

// giveUp takes one who waits out, or ends the turn that it got at the same moment.
func (q *queue) giveUp(address string, turn chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := q.line(address); i >= 0 {
		l := q.lines[i]
		if n := slices.Index(l.waiting, turn); n >= 0 {
			l.waiting = slices.Delete(l.waiting, n, n+1)
			q.waiting--
			if len(l.waiting) == 0 {
				q.lines = slices.Delete(q.lines, i, i+1)
			}
			return
		}
	}
	delete(q.running, address)
	q.next()
}

func (q *queue) leave(address string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.running, address)
	q.next()
}
