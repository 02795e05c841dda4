package store

import "context"

// Origin says where a request came from.
type Origin struct {
	Remote    string // IP address of the caller, or "local" for the command line on this machine
	Mechanism string // by which the caller was authenticated
}

type originKey struct{}

// WithOrigin returns a context whose changes are audited with that origin.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the origin of a context, the zero Origin if it has none.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}
