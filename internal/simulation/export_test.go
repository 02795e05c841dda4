package simulation

import (
	"context"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/store"
)

// Licenses is what a farm asks of its license server.
type Licenses = licenses

// Replay is replay.
func Replay(ctx context.Context, l Licenses, f Farm, clock *time.Time, each func(Day) error) error {
	return replay(ctx, l, f, clock, each)
}

// OpenService is open.
func OpenService(ctx context.Context, st store.Store, f Farm, now func() time.Time) (*issuance.Service, error) {
	return open(ctx, st, f, now)
}

// Sparkline is sparkline.
func Sparkline(values []uint64, width int) string { return sparkline(values, width) }
