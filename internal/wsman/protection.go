package wsman

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"calkeeper/internal/wsman/encryption"
)

// Authenticator tells who sends a request.
type Authenticator interface {
	// Authenticate returns a context that carries the caller's identity, derived from ctx. What it adds to reply, such as the
	// last token of a handshake, goes out with the answer. An error means that the caller is not (or not yet) known: see
	// Refusal. The body of r must be left alone.
	Authenticate(ctx context.Context, r *http.Request, reply http.Header) (context.Context, error)
	// Challenges returns the values of WWW-Authenticate for a caller who has shown nothing yet (RFC 9110, 11.6.1).
	Challenges() []string
	// Identity names the caller of a context that Authenticate returned. An enumeration can be continued and released only
	// by the identity that began it.
	Identity(ctx context.Context) string
	// Protection tells how the messages of such a caller are protected.
	Protection(ctx context.Context) Protection
}

// Refusal is implemented by an error of an Authenticator that says how it is answered. Any other is answered with status 401 and the
// challenges of the Authenticator.
type Refusal interface {
	error
	StatusCode() int           // 401, or 503 for a server that is too busy to tell
	Challenges() []string      // the next step of a handshake; nil: those of the Authenticator
	RetryAfter() time.Duration // how long to wait before the next try; 0: nothing is said
	Explanation() string       // for the caller; may be empty
}

// Protection says how the messages of one caller are protected.
type Protection struct {
	Sealer Sealer // opens and seals them with the keys of the caller's connection; nil: there are none

	Required bool // messages that are not sealed are refused
}

// Sealer seals messages with the keys that a handshake has agreed on. The signature stands before the sealed message.
type Sealer interface {
	Wrap(message []byte) (signature, sealed []byte, err error)
	Unwrap(signature, sealed []byte) (message []byte, err error)
}

// problem is an answer below SOAP: to what is not authenticated, or not sealed as it should be. Its text is for the caller.
type problem struct {
	status int
	text   string
	cause  error // for the log
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.text + ": " + p.cause.Error()
	}
	return p.text
}

// refuse answers with a problem. The connection ends: what follows on it could not be told from what was altered.
func (s *Server) refuse(w http.ResponseWriter, p *problem) {
	w.Header().Set("Connection", "close")
	if p.status == http.StatusUnauthorized && s.options.Authenticator != nil {
		addChallenges(w.Header(), s.options.Authenticator.Challenges())
	}
	writeText(w, p.status, p.text)
}

func addChallenges(h http.Header, challenges []string) {
	for _, c := range challenges {
		h.Add("WWW-Authenticate", c)
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	if text != "" {
		text += "\n"
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // there is nobody to tell
}

// unseal returns the message of a request and its content type: of one that is sealed, what is inside.
func (x *exchange) unseal(contentType string) (message []byte, inner string, err error) {
	if !encryption.Is(contentType) {
		if x.protection.Required {
			return nil, "", &problem{status: http.StatusBadRequest, text: "over HTTP a message must be sealed, as multipart/encrypted; or use HTTPS"}
		}
		return x.received, contentType, nil
	}
	if x.protection.Sealer == nil {
		return nil, "", &problem{status: http.StatusUnauthorized, text: "the message is sealed, but nobody has authenticated on this connection with a mechanism that seals"}
	}
	m, err := encryption.Parse(contentType, x.received)
	if err != nil {
		return nil, "", &problem{status: http.StatusBadRequest, text: "the sealed message is malformed: " + err.Error()}
	}
	message, err = x.protection.Sealer.Unwrap(m.Signature, m.Sealed)
	if err != nil {
		return nil, "", &problem{status: http.StatusUnauthorized, text: "the sealed message is not what the caller of this connection sealed", cause: err}
	}
	x.protocol = m.Protocol
	return message, m.OriginalContent, nil
}

// seal returns the reply to a sealed request as it goes out, and its content type.
func (x *exchange) seal(body []byte, contentType string) ([]byte, string, error) {
	signature, sealed, err := x.protection.Sealer.Wrap(body)
	if err != nil {
		return nil, "", err
	}
	m := encryption.Message{Protocol: x.protocol, OriginalContent: contentType, Signature: signature, Sealed: sealed}
	return m.Append(nil), m.ContentType(), nil
}

func (s *Server) challenge(w http.ResponseWriter, err error) {
	status, text := http.StatusUnauthorized, ""
	var challenges []string
	if s.options.Authenticator != nil {
		challenges = s.options.Authenticator.Challenges()
	}
	var refused Refusal
	if errors.As(err, &refused) {
		status, text = refused.StatusCode(), refused.Explanation()
		if next := refused.Challenges(); next != nil {
			challenges = next
		}
		if wait := refused.RetryAfter(); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		}
	}
	if status == http.StatusUnauthorized {
		addChallenges(w.Header(), challenges)
	}
	writeText(w, status, text)
}
