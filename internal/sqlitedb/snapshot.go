package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"

	"zombiezen.com/go/sqlite"
)

// snapshotCache is how much of the database a snapshot's connection keeps in memory, in KiB: what waits for somebody shall
// cost little, and reads on from where it was.
const snapshotCache = 256

// idleSnapshots is how many connections are kept for later snapshots. To open one costs more than a short read.
const idleSnapshots = 2

// errSnapshotOver is what Read returns once the function of Snapshot has returned.
var errSnapshotOver = errors.New("the snapshot is over; it cannot be kept")

// Snapshot is an open read transaction that nothing but its reads occupies.
type Snapshot struct {
	db     *DB
	ctx    context.Context // ends with the snapshot; its cause tells why
	cancel context.CancelCauseFunc

	mu   sync.Mutex  // held while a function reads
	conn *connection // nil once it has ended
}

// snapshots are those that are open, and the connections that wait for the next ones.
type snapshots struct {
	max      int
	logLimit int64 // how long the log may become, in bytes

	beginning sync.RWMutex // locked while snapshots are ended because of the log: none begins then

	mu     sync.Mutex
	open   map[*Snapshot]struct{}
	idle   []*connection
	closed bool

	endAt int64 // the length of the log that ends the open ones; the writer's own
}

// Snapshot runs fn in a read transaction as View does, but one that may stay open for long while fn waits for somebody, such as
// a client that reads a list in portions. It has a connection of its own, so that View does not wait for it. fn reads through
// s.Read. All its reads see the database as it was when fn began, with every Update that had returned before Snapshot was called.
//
// An open snapshot keeps the log from being reused. When the file "<path>-wal" is longer than Options.LogLimit after a commit,
// all open snapshots are ended: their reads fail with ErrSnapshotTooOld, and fn should return. They end also with ctx, whose
// cause the reads then return, and by Close, with ErrClosed. What a snapshot holds is given back at that moment, even if fn
// waits and does not notice. When as many are open as Options.Snapshots allows, Snapshot returns ErrTooManySnapshots and does
// not run fn.
//
// fn runs on the caller's goroutine, or wherever a coroutine of the caller's is resumed, and must not keep s.
func (db *DB) Snapshot(ctx context.Context, fn func(s *Snapshot) error) error {
	s, err := db.beginSnapshot(ctx)
	if err != nil {
		return err
	}
	defer s.end(errSnapshotOver)
	defer context.AfterFunc(s.ctx, s.giveBack)()
	return fn(s)
}

// Read runs fn with the snapshot's connection. fn must only read, and wait for nobody: the snapshot cannot be ended meanwhile,
// except by interrupting SQLite. Between two calls statements may stay in the middle of their rows, but only cached ones
// (sqlite.Conn.Prepare), which are reset when the snapshot ends. One goroutine reads at a time; a nested call waits for ever.
// Once the snapshot has ended, Read returns why without calling fn.
func (s *Snapshot) Read(fn func(conn *sqlite.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return context.Cause(s.ctx)
	}
	err := fn(s.conn.Conn)
	if sqlite.ErrCode(err) == sqlite.ResultInterrupt && s.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(s.ctx), err)
	}
	return err
}

func (db *DB) beginSnapshot(ctx context.Context) (*Snapshot, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	all := &db.snapshots
	all.beginning.RLock()
	defer all.beginning.RUnlock()
	all.mu.Lock()
	defer all.mu.Unlock()
	switch {
	case all.closed:
		return nil, ErrClosed
	case len(all.open) >= all.max:
		return nil, ErrTooManySnapshots
	}
	c, err := all.connection(db.path)
	if err != nil {
		return nil, fmt.Errorf("open a snapshot: %w", err)
	}
	s := &Snapshot{db: db, conn: c}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	c.SetInterrupt(s.ctx.Done())
	err = c.begin("BEGIN")
	if err == nil {
		err = c.exec("SELECT 1 FROM sqlite_schema") // the first read decides what the others see
	}
	if err != nil {
		s.cancel(err)
		return nil, errors.Join(interrupted(ctx, err), c.close())
	}
	c.guard.shut = true
	all.open[s] = struct{}{}
	return s, nil
}

// connection returns one that waits, or a new one.
func (all *snapshots) connection(path string) (*connection, error) {
	if n := len(all.idle); n > 0 {
		c := all.idle[n-1]
		all.idle = all.idle[:n-1]
		return c, nil
	}
	c, err := openConnection(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{"PRAGMA query_only=ON", fmt.Sprintf("PRAGMA cache_size=-%d", snapshotCache)} {
		if err := c.exec(pragma); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// end ends the snapshot, if it has not ended yet, and returns when its connection is given back.
func (s *Snapshot) end(why error) {
	s.cancel(why) // also interrupts the read that is under way
	s.giveBack()
}

// giveBack ends the transaction and gives the connection back.
func (s *Snapshot) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conn
	if c == nil {
		return
	}
	s.conn = nil
	c.release()
	err := c.rollback()
	all := &s.db.snapshots
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, s)
	if err == nil && !all.closed && len(all.idle) < idleSnapshots {
		all.idle = append(all.idle, c)
		return
	}
	if err = errors.Join(err, c.close()); err != nil {
		s.db.log.Error("end of a snapshot failed", slog.Any("error", err))
	}
}

// endSnapshots ends those that are open.
func (db *DB) endSnapshots(why error) {
	all := &db.snapshots
	all.mu.Lock()
	open := slices.Collect(maps.Keys(all.open))
	all.mu.Unlock()
	for _, s := range open {
		s.end(why)
	}
}

// closeSnapshots ends the open ones, lets none begin any more, and closes the connections that wait.
func (db *DB) closeSnapshots() error {
	all := &db.snapshots
	all.mu.Lock()
	all.closed = true
	all.mu.Unlock()
	db.endSnapshots(ErrClosed)
	var errs []error
	for _, c := range all.idle {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// boundLog ends the open snapshots if the log has grown too long, so that it can be written back and begins anew. If it is not
// they who hold it back but a backup or a tool, they are ended again only when it has grown by as much once more. The writer
// calls it after its commits.
func (db *DB) boundLog() {
	all := &db.snapshots
	all.mu.Lock()
	n := len(all.open)
	all.mu.Unlock()
	if n == 0 {
		return
	}
	log, err := os.Stat(db.path + "-wal")
	if err != nil {
		db.log.Error("the length of the log is not known", slog.Any("error", err))
		return
	}
	if log.Size() <= all.logLimit {
		all.endAt = all.logLimit
	}
	if log.Size() <= all.endAt {
		return
	}
	all.endAt = log.Size() + all.logLimit
	// A snapshot that began before all of the log is written back would hold it back again.
	all.beginning.Lock()
	defer all.beginning.Unlock()
	db.endSnapshots(ErrSnapshotTooOld)
	db.log.Warn("the log was too long: open snapshots were ended", slog.Int("snapshots", n), slog.Int64("bytes", log.Size()))
	if err := db.writer.conn.exec("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		db.log.Error("checkpoint failed", slog.Any("error", err))
	}
}
