package directory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"calkeeper/internal/licensing"
)

// FuzzAnswers has a domain controller answer anything to one of the operations of a change.
func FuzzAnswers(f *testing.F) {
	for answers := range uint8(6) {
		id := answers + 1
		for _, seed := range [][]byte{
			nil,
			{0x30, 0x0c, 0x02, 0x01, id, 0x61, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00},           // bound
			{0x30, 0x0c, 0x02, 0x01, id, 0x65, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00},           // searched
			{0x30, 0x0c, 0x02, 0x01, id, 0x67, 0x07, 0x0a, 0x01, 0x32, 0x04, 0x00, 0x04, 0x00},           // no right to modify
			{0x30, 0x0a, 0x02, 0x01, id, 0x64, 0x05, 0x04, 0x01, 'x', 0x30, 0x00},                        // an entry
			{0x30, 0x08, 0x02, 0x01, id, 0x73, 0x03, 0x04, 0x01, 'x'},                                    // a reference
			{0x30, 0x0f, 0x02, 0x01, id, 0x65, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00, 0xa0, 00}, // with controls
		} {
			f.Add(answers, seed)
		}
	}
	certificate, ca := newCertificate(f)
	f.Fuzz(func(t *testing.T, answers uint8, raw []byte) {
		c := newControllerWith(t, certificate, ca)
		c.raw, c.rawAfter = append([]byte{}, raw...), int(answers%6)
		o := c.options()
		o.Timeout = 5 * time.Second
		_, err := newDirectory(t, o).AddToGroup(t.Context())
		var fault *licensing.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Errorf("the error %v is no fault", err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the end of the connection was not noticed: %v", err)
		}
	})
}
