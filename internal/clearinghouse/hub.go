package clearinghouse

import (
	"context"
	"sync"
	"time"
)

// hub knows which license servers wait for notices now. It holds nothing that must survive the process.
type hub struct {
	now func() time.Time

	mu    sync.Mutex
	peers map[uint32]*peer
}

type peer struct {
	polls    int           // in progress
	lastSeen time.Time     // when the last poll ended
	acked    uint64        // newest notice applied
	changed  chan struct{} // closed, and made anew, when there is a notice, an acknowledgment, or the last poll ends
}

// A license server is between two polls for a moment only: so long it still counts as reachable.
const pollGap = 2 * time.Second

func newHub(now func() time.Time) *hub { return &hub{now: now, peers: map[uint32]*peer{}} }

func (h *hub) peer(server uint32) *peer {
	p := h.peers[server]
	if p == nil {
		p = &peer{changed: make(chan struct{})}
		h.peers[server] = p
	}
	return p
}

func (p *peer) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// enter tells that a poll has begun that acknowledges all notices up to acked.
func (h *hub) enter(server uint32, acked uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peer(server)
	p.polls++
	p.acked = max(p.acked, acked)
	p.signal()
}

func (h *hub) leave(server uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peer(server)
	p.polls--
	p.lastSeen = h.now()
	p.signal()
}

// wake makes the polls of a license server look for notices.
func (h *hub) wake(server uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peer(server).signal()
}

// changed returns a channel that is closed at the next change for the license server.
func (h *hub) changed(server uint32) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peer(server).changed
}

// reachable tells whether the license server waits for notices.
func (h *hub) reachable(server uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[server]
	return p != nil && (p.polls > 0 || h.now().Sub(p.lastSeen) < pollGap)
}

// awaitAck waits until the license server has acknowledged the notice: not at all if it is not reachable, at most so long.
func (h *hub) awaitAck(ctx context.Context, server uint32, seq uint64, wait time.Duration) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	gone := time.NewTicker(pollGap) // a source that dies tells nobody
	defer gone.Stop()
	for h.reachable(server) {
		h.mu.Lock()
		p := h.peer(server)
		acked, changed := p.acked >= seq, p.changed
		h.mu.Unlock()
		if acked {
			return
		}
		select {
		case <-changed:
		case <-gone.C:
		case <-timeout.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
