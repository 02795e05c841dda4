package wsman

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"calkeeper/internal/wsman/soap"
)

// exchange is one request and its reply. Its buffers serve many, one after the other.
type exchange struct {
	server     *Server
	ctx        context.Context // carries the identity; of the operation: also its deadline
	anonymous  bool
	protection Protection
	protocol   string // that the request is sealed by, and so is the reply; empty: neither is
	request    request
	charset    soap.Charset // of the request and of the reply

	received []byte
	writer   soap.Writer // the reply
	encoded  []byte      // the reply in UTF-16
}

func (x *exchange) begin(ctx context.Context, anonymous bool, p Protection) {
	x.ctx, x.anonymous, x.protection, x.protocol, x.request, x.charset = ctx, anonymous, p, "", request{}, soap.UTF8
	x.received = x.received[:0]
	rewind(&x.writer)
}

// end keeps the buffers for another request, unless they have grown large.
func (x *exchange) end() {
	written, _ := x.writer.Bytes()
	if cap(x.received)+cap(x.encoded)+cap(written) <= maxPooledBytes {
		x.ctx, x.protection, x.request = nil, Protection{}, request{}
		x.server.exchanges.Put(x)
	}
}

// rewind empties a writer and keeps its memory.
func rewind(w *soap.Writer) {
	buf, _ := w.Bytes()
	w.Reset(buf)
}

// answer reads a request and sends the reply, the fault, or what is below SOAP.
func (x *exchange) answer(w http.ResponseWriter, body io.Reader, header http.Header) {
	status, err := x.reply(body, header)
	var below *problem
	switch {
	case errors.Is(err, errUnauthenticated):
		x.server.challenge(w, err)
	case errors.As(err, &below):
		x.log(slog.LevelInfo, "wsman: message refused", slog.Any("error", err))
		x.server.refuse(w, below)
	default:
		x.send(w, status)
	}
}

// reply reads a request and writes its reply or fault, and returns the HTTP status. An error is answered below SOAP.
func (x *exchange) reply(body io.Reader, header http.Header) (status int, below error) {
	defer func() {
		if v := recover(); v != nil {
			x.log(slog.LevelError, "wsman: panic", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			status, below = x.fail(newFault(internalError, "")), nil
		}
	}()
	err := x.process(body, header)
	if err == nil {
		return http.StatusOK, nil
	}
	if _, ok := errors.AsType[*problem](err); ok || errors.Is(err, errUnauthenticated) {
		return 0, err
	}
	return x.fail(err), nil
}

func (x *exchange) process(body io.Reader, header http.Header) error {
	var err error
	if x.received, err = read(x.received, body); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return newFault(requestTooLarge, "at most "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes are read")
		}
		if errors.Is(err, os.ErrDeadlineExceeded) { // MS-WSMV 3.1.5.2
			return newFault(timedOut, "the body of the request did not arrive in time")
		}
		return newFault(invalidXML, "the body of the request did not arrive whole")
	}
	if len(x.received) == 0 && x.anonymous {
		return errUnauthenticated
	}
	if len(x.received) == 0 {
		return nil
	}
	message, contentType, err := x.unseal(header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if !acceptable(contentType, header.Get("Content-Encoding")) {
		return newFault(unsupportedMedia, "send SOAP 1.2 as application/soap+xml;charset=UTF-8")
	}
	var text []byte
	if text, x.charset, err = soap.Decode(contentType, message); err != nil {
		return err
	}
	// In UTF-8 a text has one and a half times the bytes that it has in UTF-16, at most.
	doc, err := soap.Parse(text, x.charset, soap.Limits{Size: x.server.options.Limits.MaxRequestBytes * 3 / 2})
	if err != nil {
		return err
	}
	defer doc.Release()
	envelope, err := soap.ReadEnvelope(doc)
	if err != nil {
		return err
	}
	if isIdentify(envelope.Body) {
		x.identify()
		return nil
	}
	if x.anonymous {
		return errUnauthenticated
	}
	if err := x.request.read(envelope.Header); err != nil {
		return err
	}
	limit := x.server.options.Limits.OperationTimeout
	if t := x.request.timeout; t > 0 && t < limit {
		limit = t
	}
	ctx, cancel := context.WithTimeout(x.ctx, limit)
	defer cancel()
	x.ctx = ctx
	return x.dispatch(envelope.Body)
}

// acceptable tells whether the body is said to be XML that is not compressed. The charset is soap.Decode's.
func acceptable(contentType, encoding string) bool {
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "application/soap+xml", "text/xml", "application/xml":
		return true
	}
	return false
}

// read reads a whole body into buf, which grows only by what has arrived.
func read(buf []byte, body io.Reader) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// The actions of WS-Transfer and WS-Enumeration.
const (
	actionGet       = soap.NamespaceTransfer + "/Get"
	actionPut       = soap.NamespaceTransfer + "/Put"
	actionCreate    = soap.NamespaceTransfer + "/Create"
	actionDelete    = soap.NamespaceTransfer + "/Delete"
	actionEnumerate = soap.NamespaceEnumeration + "/Enumerate"
	actionPull      = soap.NamespaceEnumeration + "/Pull"
	actionRelease   = soap.NamespaceEnumeration + "/Release"
)

// dispatch performs the operation that the action names. Whatever is none of the known ones names a method.
func (x *exchange) dispatch(body soap.Element) error {
	action := x.request.action
	if x.request.fragment != nil && action != actionGet && action != actionPut {
		return newFault(fragmentUnsupported, "only Get and Put take a part of an instance")
	}
	switch action {
	case actionGet:
		return x.get()
	case actionPut:
		return x.put(body)
	case actionEnumerate:
		return x.enumerate(body)
	case actionPull:
		return x.pull(body)
	case actionRelease:
		return x.release(body)
	case actionCreate, actionDelete:
		return newFault(actionNotSupported, "instances are neither created nor deleted by WS-Transfer; the classes have methods for it")
	}
	return x.invoke(body)
}

// budget returns how many bytes of UTF-8 the reply may have, and whether it is the client that says so.
func (x *exchange) budget() (bytes int, byClient bool) {
	bytes = x.server.options.Limits.MaxEnvelopeSize
	if n := x.request.maxEnvelope; n > 0 && n < bytes {
		bytes, byClient = n, true
	}
	if x.charset != soap.UTF8 {
		bytes = (bytes - 2) / 2
	}
	return bytes, byClient
}

// open writes the reply up to the start of the Body.
func (x *exchange) open(action string) {
	w := &x.writer
	w.Start("s:Envelope", "xml:lang", language, "xmlns:s", soap.NamespaceEnvelope, "xmlns:a", soap.NamespaceAddressing,
		"xmlns:n", soap.NamespaceEnumeration, "xmlns:w", soap.NamespaceWSMan, "xmlns:p", soap.NamespaceMSWSMan)
	if x.request.preciseArrays {
		w.Attr("xmlns:msftwinrm", soap.NamespaceMSWSMan)
	}
	w.Start("s:Header")
	w.Element("a:Action", action)
	w.Element("a:MessageID", x.server.newID())
	w.Element("a:To", anonymousAddress)
	w.Element("a:RelatesTo", x.request.relatesTo())
	w.Raw(x.request.replyReferences)
	if f := x.request.fragment; f != nil {
		w.Element("w:FragmentTransfer", f.text, "s:mustUnderstand", "true")
	}
	w.End()
	w.Start("s:Body")
}

// close ends the reply. The fault of a reply that is too long is the given one.
func (x *exchange) close(tooLong cause) error {
	x.writer.End()
	x.writer.End()
	if limit, byClient := x.budget(); x.writer.Len() > limit {
		if tooLong == envelopeLimit && !byClient {
			tooLong = serviceEnvelopeLimit
		}
		return newFault(tooLong, "the reply has "+strconv.Itoa(x.writer.Len())+" bytes in UTF-8; "+strconv.Itoa(limit)+" are allowed")
	}
	return nil
}

// send writes the reply to the connection. There is nobody to tell if that fails.
func (x *exchange) send(w http.ResponseWriter, status int) {
	body, err := x.writer.Bytes()
	if err != nil {
		x.log(slog.LevelError, "wsman: malformed reply", slog.Any("error", err))
		status = x.fail(newFault(internalError, ""))
		body, _ = x.writer.Bytes()
	}
	if len(body) > 0 {
		if x.charset != soap.UTF8 {
			x.encoded = x.charset.Encode(x.encoded[:0], body)
			body = x.encoded
		}
		contentType := x.charset.ContentType()
		if x.protocol != "" {
			if body, contentType, err = x.seal(body, contentType); err != nil {
				x.log(slog.LevelError, "wsman: the reply cannot be sealed", slog.Any("error", err))
				x.server.refuse(w, &problem{status: http.StatusInternalServerError, text: "the reply could not be sealed"})
				return
			}
		}
		w.Header().Set("Content-Type", contentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

func (x *exchange) log(level slog.Level, message string, attrs ...slog.Attr) {
	if l := x.server.options.Logger; l.Enabled(x.ctx, level) {
		attrs = append(attrs, slog.String("message_id", x.request.messageID), slog.String("action", x.request.action))
		l.LogAttrs(x.ctx, level, message, attrs...)
	}
}
