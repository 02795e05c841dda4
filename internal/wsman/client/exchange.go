package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"calkeeper/internal/wsman/soap"
)

// callError is an error of a call, with the password taken out of its text.
type callError struct {
	text string
	err  error
}

func (e *callError) Error() string { return e.text }
func (e *callError) Unwrap() error { return e.err }

// fail says which call failed. Every error of a Client comes from here.
func (c *Client) fail(call string, err error) error {
	return &callError{oneLine(c.redact(fmt.Sprintf("wsman: %s: %v", call, err)), maxErrorText), err}
}

// exchange sends a request and gives the Body of the reply to read, which may keep strings of it but no elements.
func (c *Client) exchange(ctx context.Context, r request, read func(soap.Element) error) error {
	messageID, err := c.messageID()
	if err != nil {
		return err
	}
	message, err := c.envelope(r, messageID)
	if err != nil {
		return err
	}
	return c.post(ctx, message, messageID, read)
}

// post sends a message. Without a messageID, which the reply has to repeat, it is Identify.
func (c *Client) post(ctx context.Context, message []byte, messageID string, read func(soap.Element) error) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout+grace)
	defer cancel()
	response, body, err := c.roundTrip(limited, message, messageID == "")
	if err != nil {
		switch {
		case ctx.Err() == nil && limited.Err() != nil:
			return fmt.Errorf("%w: no reply within %s", ErrTimedOut, c.timeout+grace)
		case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		return err
	}
	if response.StatusCode == http.StatusUnauthorized {
		return c.unauthorized(response.Header)
	}
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		return redirected(response)
	}
	envelope, release, err := c.parse(response, body)
	if err != nil {
		if response.StatusCode != http.StatusOK {
			return &Fault{HTTPStatus: response.StatusCode}
		}
		return err
	}
	defer release()
	if fault, ok := envelope.Body.Child(soap.NamespaceEnvelope, "Fault"); ok {
		return c.fault(response.StatusCode, fault)
	}
	if response.StatusCode != http.StatusOK {
		return &Fault{HTTPStatus: response.StatusCode}
	}
	if err := checkRelation(envelope.Header, messageID); err != nil {
		return err
	}
	return read(envelope.Body)
}

// roundTrip does the HTTP part, and reads the body of the response to its end.
func (c *Client) roundTrip(ctx context.Context, message []byte, identify bool) (*http.Response, []byte, error) {
	httpRequest, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(message))
	if err != nil {
		return nil, nil, err
	}
	httpRequest.Header.Set("Content-Type", soap.UTF8.ContentType())
	if c.authorize != nil {
		c.authorize(httpRequest)
	} else if identify {
		// Windows answers strangers only if they say that they are.
		httpRequest.Header.Set("WSMANIDENTIFY", "unauthenticated")
	}
	response, err := c.http.Do(httpRequest)
	if err != nil {
		return nil, nil, explainHTTP(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(c.maxEnvelopeSize)+1))
	if err != nil {
		return nil, nil, fmt.Errorf("the reply broke off: %w", err)
	}
	if len(body) > c.maxEnvelopeSize {
		return nil, nil, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, c.maxEnvelopeSize)
	}
	return response, body, nil
}

// explainHTTP adds what to do to the errors of net/http that do not say it.
func explainHTTP(err error) error {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		var name x509.HostnameError
		if errors.As(certificate.Err, &name) {
			return fmt.Errorf("the server's certificate is for other names: %w", certificate.Err)
		}
		return fmt.Errorf("the server's certificate is not trusted (give the certificate of its CA): %w", certificate.Err)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		if errors.Is(err, http.ErrSchemeMismatch) {
			return fmt.Errorf("%s: %w", wrapped.URL, ErrScheme)
		}
		return fmt.Errorf("%s: %w", wrapped.URL, wrapped.Err)
	}
	return err
}

func redirected(response *http.Response) error {
	to := "another place"
	if location, err := response.Location(); err == nil {
		to = location.Scheme + "://" + location.Host + location.Path
	}
	return fmt.Errorf("%w: HTTP %d redirects to %s; redirects are not followed, as that would carry the password there: give the final URL",
		ErrReply, response.StatusCode, to)
}

// parse reads the envelope in the body of a response. The elements are valid until release is called.
func (c *Client) parse(response *http.Response, body []byte) (envelope soap.Envelope, release func(), err error) {
	contentType := response.Header.Get("Content-Type")
	mediaType, _, _ := strings.Cut(contentType, ";")
	notSOAP := func(err error) error {
		return fmt.Errorf("%w: %d bytes of type %q: %w", ErrReply, len(body), strings.TrimSpace(mediaType), err)
	}
	utf8, charset, err := soap.Decode(contentType, body)
	if err != nil {
		return soap.Envelope{}, nil, notSOAP(err)
	}
	// An element with text has 8 bytes at least: <a>1</a>.
	document, err := soap.Parse(utf8, charset, soap.Limits{Size: 2 * c.maxEnvelopeSize, Elements: max(65_536, c.maxEnvelopeSize/8)})
	if err != nil {
		return soap.Envelope{}, nil, notSOAP(err)
	}
	envelope, err = soap.ReadEnvelope(document)
	if err != nil {
		document.Release()
		return soap.Envelope{}, nil, notSOAP(err)
	}
	return envelope, document.Release, nil
}

// checkRelation tells whether a reply answers the request with that identifier, if it says what it answers.
func checkRelation(header soap.Element, messageID string) error {
	relatesTo, ok := header.Child(soap.NamespaceAddressing, "RelatesTo")
	if !ok || messageID == "" || strings.EqualFold(strings.TrimSpace(relatesTo.Text()), messageID) {
		return nil
	}
	return fmt.Errorf("%w: it answers another request (its RelatesTo is not the MessageID sent)", ErrReply)
}

// unauthorized makes the fault of an HTTP 401.
func (c *Client) unauthorized(header http.Header) *Fault {
	f := &Fault{HTTPStatus: http.StatusUnauthorized}
	schemes := offeredSchemes(header)
	basic := false
	for _, scheme := range schemes {
		basic = basic || strings.EqualFold(scheme, "Basic")
	}
	switch {
	case c.authorize == nil:
		f.Reason = "no user name was given"
	case !basic && len(schemes) > 0:
		f.Reason = "Basic authentication is not among what it accepts: " + strings.Join(schemes, ", ")
	}
	return f
}

// offeredSchemes returns the names of the authentication schemes that a 401 offers (RFC 9110, section 11.6.1).
func offeredSchemes(header http.Header) []string {
	const most = 8
	var schemes []string
	for _, value := range header.Values("WWW-Authenticate") {
		for challenge := range strings.SplitSeq(value, ",") {
			words := strings.Fields(challenge)
			if len(words) == 0 || strings.ContainsFunc(words[0], notInScheme) || len(words[0]) > 20 {
				continue // a parameter of the scheme before
			}
			if schemes = append(schemes, words[0]); len(schemes) == most {
				return schemes
			}
		}
	}
	return schemes
}

func notInScheme(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}
