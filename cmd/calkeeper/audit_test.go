package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"calkeeper/internal/auditing"
	"calkeeper/internal/licensing"
)

// TestPatient: a page in the middle of the log is waited for, not the first one, and not for ever.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, until := 0, 3
		pages := patient(func(context.Context, uint64, int) (auditing.Page, error) {
			if asked++; asked < until {
				return auditing.Page{}, licensing.Faultf(licensing.Limited, "too often")
			}
			return auditing.Page{More: true}, nil
		})
		if p, err := pages(t.Context(), 1000, 1); err != nil || !p.More || asked != 3 {
			t.Errorf("%+v, %v after %d requests", p, err, asked)
		}
		asked = 0
		if _, err := pages(t.Context(), 0, 1); licensing.KindOf(err) != licensing.Limited || asked != 1 {
			t.Errorf("the first page: %v after %d requests", err, asked)
		}
		asked, until = 0, 1000
		if _, err := pages(t.Context(), 1000, 1); licensing.KindOf(err) != licensing.Limited || asked != 1+patience {
			t.Errorf("%v after %d requests", err, asked)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := pages(ctx, 1000, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
	})
}
