package sqlitedb

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
)

// PanicError is what Update returns when its function panicked.
type PanicError struct {
	Value any    // the value of the panic
	Stack []byte // the stack of the writer goroutine at that point
}

// Error returns the value of the panic without the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("update panicked: %v", e.Value)
}

// Update runs fn in a transaction and returns when that transaction is on disk.
// It shares the transaction with other calls that wait at the same time, in a
// SAVEPOINT of its own: fn sees what earlier calls wrote, and its failure undoes
// its own changes and nobody else's.
//
//   - An error of fn is returned as it is, and nothing of fn is kept. A panic in
//     fn does the same with a *PanicError.
//   - If the transaction fails, every call in it gets an error that wraps
//     ErrNotCommitted (or its own function's error).
//   - If ctx ends before fn has begun, fn is not run and Update returns ctx.Err().
//     Once fn has begun, ctx has no influence: Update waits for the commit and
//     reports what really happened.
//   - After Close, Update returns ErrClosed.
//
// fn runs on the writer's goroutine, at most once, and holds up every other
// update, so it does no network calls. It must not keep conn, call Update or
// Close (that would wait for itself), or go on after SQLite reported a full
// disk, an I/O error or lack of memory, because SQLite may have rolled the whole
// transaction back by then. For the same reason it uses neither OR ROLLBACK nor
// RAISE(ROLLBACK), which would fail the other calls of the group, and the schema
// declares no deferred foreign keys, which would make the common COMMIT fail.
// BEGIN, COMMIT, ROLLBACK, ATTACH and DETACH are denied to fn; savepoints of its
// own are not.
func (db *DB) Update(ctx context.Context, fn func(conn *sqlite.Conn) error) error {
	return db.writer.update(ctx, fn)
}

// The states of a request. It leaves queued exactly once.
const (
	queued int32 = iota
	running
	withdrawn
)

// request is one call of Update.
type request struct {
	fn    func(*sqlite.Conn) error
	state atomic.Int32
	err   error // set before done is closed
	done  chan struct{}
}

// writer owns the only connection that writes.
type writer struct {
	conn     *connection
	log      *slog.Logger
	maxBatch int
	settled  func()        // called after the requests of a batch were answered
	stopped  chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	arrive *sync.Cond // a request was queued, or closed was set
	queue  []*request
	closed bool

	waiting          atomic.Int64
	updates, commits atomic.Uint64
}

func startWriter(conn *connection, maxBatch int, log *slog.Logger, settled func()) *writer {
	w := &writer{conn: conn, log: log, maxBatch: maxBatch, settled: settled, stopped: make(chan struct{})}
	w.arrive = sync.NewCond(&w.mu)
	go w.run()
	return w
}

func (w *writer) stats() Stats {
	return Stats{Updates: w.updates.Load(), Commits: w.commits.Load(), Waiting: int(w.waiting.Load())}
}

// stop refuses new requests and returns when the queued ones are done.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.arrive.Signal()
	<-w.stopped
}

func (w *writer) update(ctx context.Context, fn func(*sqlite.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{fn: fn, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.queue = append(w.queue, r)
	w.waiting.Add(1)
	w.mu.Unlock()
	w.arrive.Signal()

	select {
	case <-r.done:
	case <-ctx.Done():
		if w.leave(r, withdrawn) {
			return ctx.Err()
		}
		<-r.done
	}
	return r.err
}

// leave moves r from queued to state and reports whether r was still queued.
func (w *writer) leave(r *request, state int32) bool {
	if !r.state.CompareAndSwap(queued, state) {
		return false
	}
	w.waiting.Add(-1)
	return true
}

// run settles requests until the writer is stopped and the queue is empty.
func (w *writer) run() {
	ended := false
	defer func() {
		if !ended {
			go w.run() // a function called runtime.Goexit, as t.FailNow does
		}
	}()
	for batch := w.take(); len(batch) > 0; batch = w.take() {
		w.settle(batch)
		w.settled()
	}
	ended = true
	close(w.stopped)
}

// take waits for requests and removes up to maxBatch of them from the queue. It
// returns none when the writer is closed and the queue is empty.
func (w *writer) take() []*request {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.arrive.Wait()
	}
	// Who was just answered may be about to ask again, and can share this commit.
	for n := 0; n < len(w.queue) && len(w.queue) < w.maxBatch; {
		n = len(w.queue)
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
	}
	n := min(len(w.queue), w.maxBatch)
	batch := slices.Clone(w.queue[:n])
	w.queue = slices.Delete(w.queue, 0, n)
	return batch
}

// settle runs all requests of batch and acknowledges each.
func (w *writer) settle(batch []*request) {
	defer func() {
		if len(batch) > 0 { // a function called runtime.Goexit
			w.conn.release()
			w.undo()
			w.acknowledge(batch, fmt.Errorf("%w: a function ended the writer's goroutine", ErrNotCommitted))
		}
	}()
	for len(batch) > 0 {
		n, err := w.transact(batch)
		w.acknowledge(batch[:n], err)
		batch = batch[n:]
	}
}

// acknowledge tells the requests of one transaction how it ended; err is the
// transaction's, and a request's own error goes before it.
func (w *writer) acknowledge(batch []*request, err error) {
	for _, r := range batch {
		w.leave(r, running)
		if r.state.Load() == withdrawn {
			continue
		}
		if r.err == nil {
			r.err = err
		}
		close(r.done)
	}
}

// transact runs the requests of batch in one transaction and commits it. It
// returns how many of them it has decided: fewer than all if SQLite gave the
// transaction up on the way. A non-nil error holds for all of these.
func (w *writer) transact(batch []*request) (int, error) {
	if err := w.conn.begin("BEGIN IMMEDIATE"); err != nil {
		return len(batch), w.failed("begin", err)
	}
	succeeded := uint64(0)
	for i, r := range batch {
		if !w.leave(r, running) {
			continue
		}
		r.err = w.attempt(r.fn)
		if w.conn.AutocommitEnabled() {
			return i + 1, w.failed("run", fmt.Errorf("SQLite rolled it back while a function ran (%v)", sqlite.ErrCode(r.err)))
		}
		if r.err == nil {
			succeeded++
		}
	}
	if succeeded == 0 {
		w.undo()
		return len(batch), nil
	}
	if err := w.conn.exec("COMMIT"); err != nil {
		w.undo()
		return len(batch), w.failed("commit", err)
	}
	w.commits.Add(1)
	w.updates.Add(succeeded)
	return len(batch), nil
}

// attempt runs fn in a savepoint and keeps its changes only if it succeeds. If
// the savepoint cannot be undone, the whole transaction is.
func (w *writer) attempt(fn func(*sqlite.Conn) error) error {
	if err := w.conn.exec("SAVEPOINT " + savepoint); err != nil {
		return w.failed("savepoint", err)
	}
	err := w.call(fn)
	w.conn.release()
	if w.conn.AutocommitEnabled() {
		return err
	}
	if err == nil {
		if err = w.conn.exec("RELEASE " + savepoint); err == nil {
			return nil
		}
		err = w.failed("release", err)
	}
	undoErr := w.conn.exec("ROLLBACK TO " + savepoint)
	if undoErr == nil {
		undoErr = w.conn.exec("RELEASE " + savepoint)
	}
	if undoErr != nil {
		w.undo()
	}
	return err
}

// call runs fn with the guard shut and turns a panic into an error.
func (w *writer) call(fn func(*sqlite.Conn) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	w.conn.guard.shut = true
	return fn(w.conn.Conn)
}

// undo rolls the transaction back; if even that fails, begin tries again.
func (w *writer) undo() {
	if err := w.conn.rollback(); err != nil {
		w.log.Error("rollback failed", slog.Any("error", err))
	}
}

// failed logs that a transaction failed and returns the error for its callers.
func (w *writer) failed(stage string, err error) error {
	w.log.Error("transaction failed", slog.String("stage", stage), slog.Any("error", err))
	return fmt.Errorf("%w: %s: %w", ErrNotCommitted, stage, err)
}
