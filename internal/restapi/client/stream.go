package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

// maxEventLine bounds a line of a stream, in bytes.
const maxEventLine = 64 << 10

// quoted writes a key as a string of structured fields (RFC 9651).
func quoted(key string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
}

// StreamEvents yields what happens after the event, in order, as it happens; with after 0 only what happens from now on. It ends
// with an error, which is Unavailable when the stream breaks: go on from the Seq of the last event. When ctx ends, or the loop
// is left, it ends without one.
func (c *Client) StreamEvents(ctx context.Context, after uint64) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		header := http.Header{"Accept": {wire.EventStream}}
		if after > 0 {
			header.Set("Last-Event-ID", number(after))
		}
		response, err := c.send(ctx, http.MethodGet, "/events", header, nil)
		if err != nil {
			if ctx.Err() == nil {
				yield(wire.Event{}, err)
			}
			return
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
			if err != nil {
				yield(wire.Event{}, c.unreachable(err))
				return
			}
			yield(wire.Event{}, c.problem(response, text))
			return
		}
		goOn, err := c.read(response.Body, yield)
		if goOn && ctx.Err() == nil {
			yield(wire.Event{}, err)
		}
	}
}

// read yields the events of a stream until it ends, which is an error, or the caller has enough.
func (c *Client) read(stream io.Reader, yield func(wire.Event, error) bool) (goOn bool, err error) {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEventLine)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue // the id and name are in the data too
		}
		var e wire.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return true, c.unreachable(fmt.Errorf("an event is not the API's: %w", err))
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, bufio.ErrTooLong) {
		return true, c.unreachable(err)
	}
	return true, &licensing.Fault{Kind: licensing.Unavailable, Msg: "the license server at " + c.base.Host + " has ended the stream of events", Err: err}
}
