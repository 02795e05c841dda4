package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

func asTimeout(err error, target *net.Error) bool {
	return errors.As(err, target) && (*target).Timeout()
}

// problem makes a Fault of an answer that is no success.
func (c *Client) problem(response *http.Response, text []byte) error {
	var p wire.Problem
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mediaType != wire.ProblemJSON || json.Unmarshal(text, &p) != nil {
		// A proxy, or another server: it says nothing of licenses.
		return c.unreachable(fmt.Errorf("HTTP status %s", response.Status))
	}
	f := &licensing.Fault{Kind: kindOf(p, response.StatusCode), Msg: p.Detail}
	if f.Msg == "" {
		f.Msg = p.Title
	}
	if f.Kind == licensing.Internal {
		// It could not decide: asking again later may be answered.
		f.Kind = licensing.Unavailable
		f.Msg = "the license server at " + c.base.Host + " failed: " + f.Msg + " (" + p.Instance + ")"
	}
	if reason := licensing.DenialReason(p.Reason); f.Kind == licensing.Unlicensed && slices.Contains(licensing.DenialReasons(), reason) {
		f.Err = reason
	}
	return f
}

// kindOf returns the kind that the type of a problem names, or else the one that its status is likest to.
func kindOf(p wire.Problem, status int) licensing.Kind {
	if name, ok := strings.CutPrefix(p.Type, wire.ProblemTypePrefix); ok {
		return licensing.ParseKind(strings.ReplaceAll(name, "-", " "))
	}
	switch {
	case status == http.StatusNotFound:
		return licensing.NotFound
	case status == http.StatusTooManyRequests:
		return licensing.Limited
	case status >= 500:
		return licensing.Unavailable
	}
	return licensing.Invalid
}
