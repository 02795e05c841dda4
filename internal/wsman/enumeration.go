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

	next   func() (cim.Instance, error, bool)
	stop   func()
	cancel context.CancelFunc // of the context that next works with
	item   cim.Instance       // the next to be sent, if held
	held   bool

	// The rest is guarded by enumerations.mu.
	id       string
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

// advance makes sure that the next item is held, and tells whether there is one.
func (en *enumeration) advance(ctx context.Context) (found bool, err error) {
	for !en.held {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		i, err, ok := en.next()
		if !ok || err != nil {
			return false, err
		}
		en.item, en.held = i, en.matches == nil || en.matches(i)
	}
	return true, nil
}

// write writes the held item the way the client wants it.
func (en *enumeration) write(e encoder) {
	if en.resource.form == formClassXML {
		writeClass(e.w, en.item.Class, en.resource.classes)
		return
	}
	if en.mode == modeEPR {
		e.endpointReference(en.item)
		return
	}
	if en.mode == modeObjectAndEPR {
		e.w.Start("w:Item")
		defer e.w.End()
	}
	if en.columns != nil && e.form == formWMI {
		e.fragment(en.item, en.columns)
	} else {
		e.instance(en.item, en.columns)
	}
	if en.mode == modeObjectAndEPR {
		e.endpointReference(en.item)
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
	max  int
	idle time.Duration
	now  func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	open   map[string]*enumeration
	timer  *time.Timer // nil while nothing is open
	closed bool
}

// add opens an enumeration under a new ID.
func (t *enumerations) add(id string, en *enumeration) (string, error) {
	t.expire()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return "", newFault(endpointUnavailable, "the service is about to end")
	case len(t.open) >= t.max:
		return "", newFault(quotaLimit, "too many enumerations are open")
	case t.open[id] != nil:
		return "", newFault(internalError, "")
	}
	en.id, en.lastUsed, en.busy = id, t.now(), false
	t.open[id] = en
	if t.timer == nil {
		t.timer = time.AfterFunc(t.idle, t.tick)
	}
	return id, nil
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
