package restapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

// maxScan bounds how many pages of events are read for one page of a session host's own, if nobody waits.
const maxScan = 20

// writeTime is how long a part of a stream may take to be sent: a client that reads no more is given up.
const writeTime = 30 * time.Second

type eventsInput struct {
	After  uint64 `query:"after" maximum:"9007199254740991" doc:"Only those with a greater seq. Without it a page begins with the oldest, a stream with what happens next."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Of a page."`
	Wait   int    `query:"wait" minimum:"0" maximum:"60" doc:"How many seconds to wait for the first event of a page."`
	LastID string `header:"Last-Event-ID" maxLength:"20" doc:"Of a stream, in place of after: the last event that the client has seen."`
}

func (s *server) eventRoutes() {
	register(s, operation{
		id: "list-events", method: http.MethodGet, path: "/v1/events", tag: statisticsTag, access: anyone,
		summary: "List what has happened to licenses, or wait for it",
		description: "Audit records about licenses, and denials, oldest first; a session host gets those of its own requests. With Accept: " + wire.EventStream +
			" they come as they happen, as server-sent events.",
		success: []int{http.StatusOK}, content: []string{wire.EventStream}, answer: reflect.TypeFor[wire.EventPage](),
		header: map[string]string{"Link": "Where to go on (RFC 8288); not of a stream."},
	}, s.events)
}

func (s *server) events(ctx context.Context, x *exchange, in *eventsInput) (*huma.StreamResponse, error) {
	if x.stream {
		return s.eventStream(ctx, x, in)
	}
	wait := time.Duration(in.Wait) * time.Second
	if x.head {
		wait = 0
	}
	if wait > 0 {
		if !s.beginWaiting(x.caller.key()) {
			return nil, limited(wait, "too many requests of "+x.caller.name+" wait for events")
		}
		defer s.endWaiting(x.caller.key())
	}
	events, last, err := s.await(ctx, x, in.After, in.Limit, wait)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", wire.JSON)
		ctx.SetHeader("Link", x.link("/v1/events", last))
		_ = marshal(ctx.BodyWriter(), wire.EventPage{Events: each(events, encodeEvent), Next: last}) // strings, numbers and times
	}}, nil
}

// await returns at most limit events that the caller may see, and the Seq from which to go on. It waits so long for the first.
func (s *server) await(ctx context.Context, x *exchange, after uint64, limit int, wait time.Duration) ([]store.AuditRecord, uint64, error) {
	if x.caller.is != hosts {
		return s.Issuance.WaitEvents(ctx, after, limit, wait)
	}
	deadline := time.Now().Add(wait)
	for scanned := 1; ; scanned++ {
		records, last, err := s.Issuance.WaitEvents(ctx, after, wire.MaxLimit, max(0, time.Until(deadline)))
		if err != nil {
			return nil, after, err
		}
		var own []store.AuditRecord
		for _, r := range records {
			if r.Actor != x.caller.name {
				continue
			}
			if own = append(own, r); len(own) == limit {
				return own, r.Seq, nil
			}
		}
		if len(own) > 0 || len(records) == 0 || scanned >= maxScan && !time.Now().Before(deadline) {
			return own, last, nil
		}
		after = last
	}
}

// eventStream answers with server-sent events (the HTML standard, section 9.2) until the client goes or the license server stops.
func (s *server) eventStream(ctx context.Context, x *exchange, in *eventsInput) (*huma.StreamResponse, error) {
	after := in.After
	if in.LastID != "" {
		var err error
		if after, err = strconv.ParseUint(in.LastID, 10, 53); err != nil {
			return nil, licensing.Faultf(licensing.Invalid, "the header Last-Event-ID must be the number of an event")
		}
	} else if !x.query.Has("after") {
		var err error
		if after, err = s.Issuance.LastEvent(ctx); err != nil {
			return nil, err
		}
	}
	if !s.beginWaiting(x.caller.key()) {
		return nil, limited(time.Minute, "too many requests of "+x.caller.name+" wait for events")
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer s.endWaiting(x.caller.key())
		r, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", wire.EventStream)
		w.WriteHeader(http.StatusOK)
		if x.head {
			return
		}
		control := http.NewResponseController(w)
		// Errors mean that the connection has no deadlines: it is none of net/http.
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
		send := func(text []byte) error {
			_ = control.SetWriteDeadline(time.Now().Add(writeTime))
			if _, err := w.Write(text); err != nil {
				return err
			}
			return control.Flush()
		}
		x.err = s.stream(r.Context(), x, after, send)
	}}, nil
}

// stream sends events, and a comment when there was none for a while, until something fails. That the client has gone is no failure.
func (s *server) stream(ctx context.Context, x *exchange, after uint64, send func([]byte) error) error {
	if err := send([]byte(": events\n\n")); err != nil {
		return nil
	}
	for {
		events, last, err := s.await(ctx, x, after, wire.DefaultLimit, s.Limits.Heartbeat)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var text bytes.Buffer
		for _, e := range events {
			data, err := json.Marshal(encodeEvent(e))
			if err != nil {
				return err
			}
			fmt.Fprintf(&text, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Action, data)
		}
		if len(events) == 0 {
			text.WriteString(": heartbeat\n\n")
		}
		if err := send(text.Bytes()); err != nil {
			return nil
		}
		after = last
	}
}
