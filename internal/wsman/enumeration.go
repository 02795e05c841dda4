package wsman

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
)

// enumeration is a sequence of instances, or of classes, that a client takes in portions.
type enumeration struct {
	resource resource
	mode     mode
	matches  func(cim.Instance) bool // nil for all
	columns  []wql.Column            // nil for all
	key      *cim.Instance           // of the only instance that can match, or nil
	identity string                  // of the caller it belongs to
	id       string                  // of the context; empty before one is needed

	resume func() (struct{}, bool) // goes on with pages
	stop   func()
	cancel context.CancelFunc // of the context that the provider works with
	page   *page              // that is being filled
	err    error              // with which the sequence ended

	// The rest is guarded by enumerations.mu.
	lastUsed time.Time
	busy     bool // a request is at work with it; that request will end it if it is no longer open then
}

// instances returns the sequence. A class stands for itself as an instance without values.
func (en *enumeration) instances(ctx context.Context) iter.Seq2[cim.Instance, error] {
	r := en.resource
	if en.key != nil {
		return en.instance(ctx)
	}
	if r.form != formClassXML && r.class != nil {
		return r.class.class.Instances(ctx)
	}
	return func(yield func(cim.Instance, error) bool) {
		if r.class != nil {
			return // the subclasses of a class: none
		}
		for _, c := range r.namespace.cim.Classes {
			if !yield(cim.Instance{Class: c}, nil) {
				return
			}
		}
	}
}

// instance returns the sequence of the one instance with a certain key, without a look at all the others. A class that
// cannot be read one at a time is searched.
func (en *enumeration) instance(ctx context.Context) iter.Seq2[cim.Instance, error] {
	class := en.resource.class.class
	return func(yield func(cim.Instance, error) bool) {
		found, err := class.Get(ctx, *en.key)
		var refused *cim.Error
		switch {
		case !errors.As(err, &refused):
			yield(found, err)
		case refused.Status == cim.StatusNotFound:
		case refused.Status == cim.StatusProviderNotCapable:
			class.Instances(ctx)(yield)
		default:
			yield(cim.Instance{}, err)
		}
	}
}

// page is the items of one reply.
type page struct {
	ctx     context.Context // of the request
	encoder encoder         // writes them
	most    int             // how many there may be
	limit   int             // how long the reply may become with them
	count   int             // how many there are
}

// add writes an item, if it has room.
func (p *page) add(en *enumeration, i cim.Instance) bool {
	if p.count == p.most {
		return false
	}
	before := p.encoder.w.Mark()
	en.write(p.encoder, i)
	if p.encoder.w.Len() > p.limit {
		p.encoder.w.Rewind(before)
		return false
	}
	p.count++
	return true
}

// pages goes over the instances once and stops whenever en.page is full, until there is another one. The item that found no room
// is then the first. So it is known of a full page that more follows, and between two pages nothing is kept but that item.
//
// The provider's loop writes each item itself, so that it changes place with the request once for a page, and not for each item.
func (en *enumeration) pages(ctx context.Context) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		for i, err := range en.instances(ctx) {
			if err == nil {
				err = en.page.ctx.Err()
			}
			if err != nil {
				en.err = err
				return
			}
			if en.matches != nil && !en.matches(i) {
				continue
			}
			for !en.page.add(en, i) {
				if !yield(struct{}{}) {
					return
				}
			}
		}
	}
}

// turn fills a page and tells whether it is the last.
func (en *enumeration) turn(p *page) (done bool, err error) {
	if err := p.ctx.Err(); err != nil {
		return false, err
	}
	en.page = p
	_, more := en.resume()
	en.page = nil
	return !more && en.err == nil, en.err
}

// write writes an item the way the client wants it.
func (en *enumeration) write(e encoder, i cim.Instance) {
	if en.resource.form == formClassXML {
		writeClass(e.w, i.Class, en.resource.classes)
		return
	}
	if en.mode == modeEPR {
		e.endpointReference(i)
		return
	}
	if en.mode == modeObjectAndEPR {
		e.w.Start("w:Item")
		defer e.w.End()
	}
	if en.columns != nil && e.form == formWMI {
		e.fragment(i, en.columns)
	} else {
		e.instance(i, en.columns)
	}
	if en.mode == modeObjectAndEPR {
		e.endpointReference(i)
	}
}

// end frees what the sequence holds. No request may be at work with it.
func (en *enumeration) end() {
	en.cancel()
	en.stop()
}

// enumerations are the open ones: those that a client may continue. They expire when they have not been used for a while,
// which every use of another notices, and a timer, as an enumeration can hold a snapshot of a database.
type enumerations struct {
	max      int
	maxOfOne int // of one caller
	idle     time.Duration
	now      func() time.Time
	log      *slog.Logger

	mu     sync.Mutex
	open   map[string]*enumeration
	timer  *time.Timer // nil while nothing is open
	closed bool
}

// add opens an enumeration under its ID.
func (t *enumerations) add(en *enumeration) error {
	t.expire()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return newFault(endpointUnavailable, "the service is about to end")
	case len(t.open) >= t.max:
		return newFault(quotaLimit, "too many enumerations are open")
	case t.of(en.identity) >= t.maxOfOne:
		return newFault(quotaLimit, "this account has too many enumerations open")
	case t.open[en.id] != nil:
		return newFault(internalError, "")
	}
	en.lastUsed, en.busy = t.now(), false
	t.open[en.id] = en
	if t.timer == nil {
		t.timer = time.AfterFunc(t.idle, t.tick)
	}
	return nil
}

// of returns how many a caller has open.
func (t *enumerations) of(identity string) (n int) {
	for _, en := range t.open {
		if en.identity == identity {
			n++
		}
	}
	return n
}

// take gives an enumeration to one request. Whose it is is no business of others: to them it does not exist.
func (t *enumerations) take(id, identity string) (*enumeration, error) {
	t.expire()
	t.mu.Lock()
	defer t.mu.Unlock()
	en := t.open[id]
	switch {
	case en == nil || en.identity != identity:
		return nil, newFault(invalidContext, "")
	case en.busy:
		return nil, newFault(contextInUse, "another Pull of this enumeration has not been answered yet")
	}
	en.busy = true
	return en, nil
}

// giveBack takes an enumeration back from a request. It ends now if it shall not be kept, or has been released meanwhile.
func (t *enumerations) giveBack(en *enumeration, keep bool) {
	t.mu.Lock()
	en.busy, en.lastUsed = false, t.now()
	keep = keep && t.open[en.id] == en
	if !keep {
		delete(t.open, en.id)
	}
	t.mu.Unlock()
	if !keep {
		en.end()
	}
}

// release closes an enumeration. A request that is at work with it is stopped.
func (t *enumerations) release(id, identity string) error {
	t.expire()
	t.mu.Lock()
	en := t.open[id]
	if en == nil || en.identity != identity {
		t.mu.Unlock()
		return newFault(invalidContext, "")
	}
	delete(t.open, id)
	busy := en.busy
	t.mu.Unlock()
	t.endAll([]*enumeration{en}, busy)
	return nil
}

// expire closes the enumerations that have not been used for too long.
func (t *enumerations) expire() {
	t.mu.Lock()
	var old []*enumeration
	for id, en := range t.open {
		if !en.busy && t.now().Sub(en.lastUsed) >= t.idle {
			delete(t.open, id)
			old = append(old, en)
		}
	}
	t.mu.Unlock()
	t.endAll(old, false)
}

func (t *enumerations) tick() {
	t.expire()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) == 0 || t.closed {
		t.timer = nil
		return
	}
	t.timer.Reset(t.idle)
}

func (t *enumerations) close() {
	t.mu.Lock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	var idle, busy []*enumeration
	for id, en := range t.open {
		if en.busy {
			busy = append(busy, en)
		} else {
			idle = append(idle, en)
		}
		delete(t.open, id)
	}
	t.mu.Unlock()
	t.endAll(idle, false)
	t.endAll(busy, true)
}

// endAll ends enumerations that are no longer open; those at work are only told to stop, and giveBack ends them. A provider
// that panics then must not take the process with it.
func (t *enumerations) endAll(closed []*enumeration, busy bool) {
	for _, en := range closed {
		func() {
			defer func() {
				if v := recover(); v != nil {
					t.log.Error("wsman: panic at the end of an enumeration", "panic", v, "stack", string(debug.Stack()))
				}
			}()
			if busy {
				en.cancel()
			} else {
				en.end()
			}
		}()
	}
}
