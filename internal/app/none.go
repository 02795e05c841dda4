package app

import (
	"context"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// noClearinghouse stands in where none is configured: everything that needs one is Unavailable.
type noClearinghouse struct{}

func unconfigured() error {
	return &licensing.Fault{
		Kind: licensing.Unavailable, Msg: "no clearinghouse is configured: give its authority document", Err: clearinghouse.ErrNotSent,
	}
}

func (noClearinghouse) Activate(context.Context, clearinghouse.ActivateRequest) (clearinghouse.Activation, error) {
	return clearinghouse.Activation{}, unconfigured()
}

func (noClearinghouse) Reactivate(context.Context, clearinghouse.ReactivateRequest) (clearinghouse.Activation, error) {
	return clearinghouse.Activation{}, unconfigured()
}

func (noClearinghouse) Deactivate(context.Context) error { return unconfigured() }

func (noClearinghouse) Perform(context.Context, clearinghouse.Operation) (clearinghouse.Signed, error) {
	return clearinghouse.Signed{}, unconfigured()
}

func (noClearinghouse) Poll(context.Context, uint64, time.Duration) ([]clearinghouse.Signed, error) {
	return nil, unconfigured()
}

func (noClearinghouse) Secret() keycode.Secret { return keycode.Secret{} }

func (noClearinghouse) SigningKey() []byte { return nil }
