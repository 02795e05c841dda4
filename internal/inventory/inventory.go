// Package inventory keeps the key packs of a license server: it installs, imports, reinstalls, converts and removes them, and
// settles with the clearinghouse what it could not settle at once. It must not know WMI, HTTP or SQL.
//
// Every change goes through an operation in the store: the intent of a transfer is there before the clearinghouse is asked,
// and stays until the answer is installed; a removal stays until it is posted. Whatever dies in between, Run resumes.
package inventory

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Clearinghouse is what the inventory asks of it. An Unavailable fault with clearinghouse.ErrNotSent in its chain means that
// nothing can come of the request.
type Clearinghouse interface {
	Perform(context.Context, clearinghouse.Operation) (clearinghouse.Signed, error)
	Poll(ctx context.Context, after uint64, wait time.Duration) ([]clearinghouse.Signed, error)
	// Secret is what codes for this license server are bound to.
	Secret() keycode.Secret
	// SigningKey is the Ed25519 key that verifies grants and notices.
	SigningKey() []byte
}

// Options are what a Service needs beside its store and clearinghouse.
type Options struct {
	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
	Step   func(string) // called at each named step of a transfer; may be nil. Crash tests stop the process there.
}

// Service keeps the key packs of one license server.
type Service struct {
	store         store.Store
	clearinghouse Clearinghouse
	Options
	turn  chan struct{} // held by the one that talks to the clearinghouse about operations
	kick  chan struct{} // tells Run that an operation was opened
	retry chan struct{} // tells Run that a poll may succeed now
}

// New returns a Service.
func New(st store.Store, c Clearinghouse, o Options) *Service {
	if o.Step == nil {
		o.Step = func(string) {}
	}
	return &Service{
		store: st, clearinghouse: c, Options: o,
		turn: make(chan struct{}, 1), kick: make(chan struct{}, 1), retry: make(chan struct{}, 1),
	}
}

// KeyPacks returns all key packs by ascending ID, the built-in one first, all as they were when the loop began, and read as the
// loop asks for them: it may wait for a client in between (store.Snapshot). An error is the last element.
func (s *Service) KeyPacks(ctx context.Context) iter.Seq2[licensing.KeyPack, error] {
	return store.Stream(ctx, s.store, func(r store.Reader) iter.Seq2[licensing.KeyPack, error] {
		return func(yield func(licensing.KeyPack, error) bool) {
			if yield(licensing.BuiltInKeyPack(), nil) {
				r.KeyPacks()(yield)
			}
		}
	})
}

// KeyPack returns one key pack. Fault: NotFound.
func (s *Service) KeyPack(ctx context.Context, id uint32) (pack licensing.KeyPack, err error) {
	if id == licensing.BuiltInKeyPackID {
		return licensing.BuiltInKeyPack(), nil
	}
	err = s.store.View(ctx, func(r store.Reader) error {
		pack, err = r.KeyPack(id)
		return err
	})
	return pack, err
}

// DatabasePath names where the key packs are kept.
func (s *Service) DatabasePath() string { return s.store.Path() }

func (s *Service) server(ctx context.Context) (server licensing.Server, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		server, err = r.Server()
		return err
	})
	if err == nil && !server.Activated() {
		err = licensing.Faultf(licensing.NotActivated, "this license server is not activated: activate it first")
	}
	return server, err
}

// take waits for the turn to talk to the clearinghouse; the function it returns gives it back.
func (s *Service) take(ctx context.Context) (release func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, &licensing.Fault{Kind: licensing.Unavailable, Msg: "an earlier operation with the clearinghouse is still under way", Err: ctx.Err()}
	}
}

func (s *Service) newKey() (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(s.Random, b); err != nil {
		return "", fmt.Errorf("random bytes: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// audit appends a record about a key pack.
func (s *Service) audit(tx store.Tx, actor, action string, keyPackID uint32, delta int64, format string, args ...any) error {
	return tx.Audit(store.AuditRecord{
		At: s.Now(), Actor: actor, Action: action, KeyPackID: keyPackID, Delta: delta, Detail: fmt.Sprintf(format, args...),
	})
}
