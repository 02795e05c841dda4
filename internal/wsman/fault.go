package wsman

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
	"calkeeper/internal/wsman/soap"
)

// cause is why a request is refused.
type cause int

const (
	mustUnderstand cause = iota + 1
	versionMismatch
	invalidXML
	characterSet
	requestTooLarge
	unsupportedMedia
	headerRequired
	invalidHeader
	invalidTimeout
	addressingMode
	locale
	dataLocale
	uriLimit
	selectorLimit
	minimumEnvelopeLimit
	envelopeLimit
	serviceEnvelopeLimit
	unreportableSuccess
	invalidOptions
	invalidResource
	actionNotSupported
	insufficientSelectors
	unexpectedSelectors
	selectorTypeMismatch
	invalidSelector
	duplicateSelectors
	schemaValidation
	invalidParameter
	readOnly
	alreadyExists
	invalidFilter
	filterDialect
	filteringRequired
	enumerationMode
	polymorphismMode
	invalidContext
	contextInUse
	quotaLimit
	fragmentUnsupported
	fragmentDialect
	fragmentPath
	invalidFragment
	accessDenied
	endpointUnavailable
	timedOut
	internalError
)

// faultRow tells how a cause looks on the wire. A status that has a row of its own leads to the row's cause.
type faultRow struct {
	cause    cause
	when     string     // what leads to it, as docs/protocol.md says it
	status   cim.Status // WBEM status, or 0
	http     int        // 500 if 0
	code     string     // of SOAP
	subcode  string     // with its prefix: the namespace decides on the action of the fault
	detail   string     // the end of the FaultDetail URI
	wsman    uint32     // Code of the WSManFault (wsmerror.h); 0 stands for the status itself
	cimCode  uint32     // CIMStatusCode (DSP0200)
	category uint32     // MI_ErrorCategory of the MI API, which PowerShell shows
	text     string
}

const (
	sender   = "s:Sender"
	receiver = "s:Receiver"

	textResource = "The resource URI or the selectors name nothing that exists."
	textAction   = "The action is not supported for this resource."
	textSelector = "The selectors for the resource are not valid."
	textFeature  = "The requested feature is not supported."
	textLimit    = "An encoding limit was exceeded."
	textBody     = "The body of the message does not match its schema."
	textArgument = "A parameter of the operation is not valid."
	textInternal = "The service could not process the request."
)

// faults is the one table of what can go wrong (DSP0226, clause 14; wsmerror.h). The first row of a cause is that of
// requests which have no WBEM status.
var faults = [...]faultRow{
	{mustUnderstand, "a header that binds us is not known", 0, 0, "s:MustUnderstand", "", "", 0x80338010, 7, 11, "A header that must be understood is not understood."},
	{versionMismatch, "the envelope is not one of SOAP 1.2", 0, 0, "s:VersionMismatch", "", "", 0x8033800D, 7, 11, "The message is not a SOAP 1.2 envelope."},
	{invalidXML, "no well-formed XML, beyond a limit of the parser, or no envelope", 0, http.StatusBadRequest, sender, "w:SchemaValidationError", "", 0x80338043, 4, 17, "The message cannot be read."},
	{characterSet, "neither UTF-8 nor UTF-16", 0, http.StatusBadRequest, sender, "w:EncodingLimit", "CharacterSet", 0x8033804C, 7, 17, "The message is encoded neither in UTF-8 nor in UTF-16."},
	{requestTooLarge, "the request is too long", 0, http.StatusRequestEntityTooLarge, sender, "w:EncodingLimit", "", 0x80338035, 4, 29, "The request is too large."},
	{unsupportedMedia, "another media type, or a compressed body", 0, http.StatusUnsupportedMediaType, sender, "w:EncodingLimit", "", 0x80338075, 7, 11, "The media type is not supported."},
	{headerRequired, "To, Action or ReplyTo is missing", 0, 0, sender, "a:MessageInformationHeaderRequired", "", 0x80338011, 4, 5, "A required header is missing."},
	{invalidHeader, "MessageID is missing; a header is there twice, too long, or no number", 0, 0, sender, "a:InvalidMessageInformationHeader", "", 0x8033800F, 4, 5, "A header is not valid."},
	{invalidTimeout, "OperationTimeout is no duration greater than zero", 0, 0, sender, "a:InvalidMessageInformationHeader", "InvalidTimeout", 0x8033800F, 4, 5, "The OperationTimeout is not valid."},
	{addressingMode, "ReplyTo or FaultTo is not the anonymous address; EndTo", 0, 0, sender, "w:UnsupportedFeature", "AddressingMode", 0x80338076, 7, 11, textFeature},
	{locale, "Locale is marked `s:mustUnderstand`", 0, 0, sender, "w:UnsupportedFeature", "Locale", 0x80338087, 7, 11, textFeature},
	{dataLocale, "DataLocale is marked `s:mustUnderstand`", 0, 0, sender, "w:UnsupportedFeature", "DataLocale", 0x80338087, 7, 11, textFeature},
	{uriLimit, "Action or ResourceURI is too long", 0, 0, sender, "w:EncodingLimit", "URILimitExceeded", 0x8033802D, 4, 29, textLimit},
	{selectorLimit, "too many selectors", 0, 0, sender, "w:EncodingLimit", "SelectorLimit", 0x8033804A, 4, 29, textLimit},
	{minimumEnvelopeLimit, "MaxEnvelopeSize is below 8,192", 0, 0, sender, "w:EncodingLimit", "MinimumEnvelopeLimit", 0x8033807E, 4, 29, textLimit},
	{envelopeLimit, "the reply is longer than the client allows", 0, 0, sender, "w:EncodingLimit", "MaxEnvelopeSize", 0x80338048, 1, 29, textLimit},
	{serviceEnvelopeLimit, "the reply is longer than the server allows", 0, 0, sender, "w:EncodingLimit", "ServiceEnvelopeLimit", 0x80338049, 1, 29, textLimit},
	{unreportableSuccess, "a method or Put was done, but its reply is too long", 0, 0, sender, "w:EncodingLimit", "UnreportableSuccess", 0x8033804D, 1, 29, "The operation succeeded, but the reply is too large."},
	{invalidOptions, "an unknown option that must be complied with", 0, 0, sender, "w:InvalidOptions", "NotSupported", 0x80338051, 4, 5, "An option is not valid."},
	{invalidResource, "no resource URI, or one of an unknown form, or `*` where one class is needed", 0, 0, sender, "a:DestinationUnreachable", "InvalidResourceURI", 0x80338000, 6, 13, textResource},
	{invalidResource, "no such instance", cim.StatusNotFound, 0, sender, "a:DestinationUnreachable", "InvalidResourceURI", 0x80338000, 6, 13, textResource},
	{invalidResource, "no such class", cim.StatusInvalidClass, 0, sender, "a:DestinationUnreachable", "InvalidResourceURI", 0x80338000, 5, 10, textResource},
	{invalidResource, "no such namespace", cim.StatusInvalidNamespace, 0, sender, "a:DestinationUnreachable", "InvalidResourceURI", 0x80338000, 3, 10, textResource},
	{invalidResource, "an instance method is called without an instance", cim.StatusInvalidObjectPath, 0, sender, "a:DestinationUnreachable", "InvalidResourceURI", 0x80338000, 4, 5, textResource},
	{actionNotSupported, "an action that is not there, or not for this resource", 0, 0, sender, "a:ActionNotSupported", "", 0x80338013, 7, 11, textAction},
	{actionNotSupported, "the provider does not do that", cim.StatusNotSupported, 0, sender, "a:ActionNotSupported", "", 0x80338013, 7, 11, textAction},
	{actionNotSupported, "the class cannot be read one at a time, or not written", cim.StatusProviderNotCapable, 0, sender, "a:ActionNotSupported", "", 0x80338013, 7, 11, textAction},
	{actionNotSupported, "no such method", cim.StatusInvalidMethod, 0, sender, "a:ActionNotSupported", "", 0x80338013, 17, 13, textAction},
	{insufficientSelectors, "a key is missing", 0, 0, sender, "w:InvalidSelectors", "InsufficientSelectors", 0x8033805A, 4, 5, textSelector},
	{unexpectedSelectors, "a selector that is no key, or any with Enumerate", 0, 0, sender, "w:InvalidSelectors", "UnexpectedSelectors", 0x8033805B, 4, 5, textSelector},
	{selectorTypeMismatch, "a key of the wrong type", 0, 0, sender, "w:InvalidSelectors", "TypeMismatch", 0x8033805C, 13, 9, textSelector},
	{invalidSelector, "a key or namespace selector that cannot be", 0, 0, sender, "w:InvalidSelectors", "InvalidValue", 0x8033805D, 4, 5, textSelector},
	{duplicateSelectors, "a selector is there twice", 0, 0, sender, "w:InvalidSelectors", "DuplicateSelectors", 0x8033805F, 4, 5, textSelector},
	{schemaValidation, "the body is not what the action needs", 0, 0, sender, "w:SchemaValidationError", "", 0x80338041, 4, 6, textBody},
	{schemaValidation, "a property in a Put has the wrong type", cim.StatusTypeMismatch, 0, sender, "w:SchemaValidationError", "", 0x80338041, 13, 9, textBody},
	{invalidParameter, "a property in a Put is unknown, or there twice", cim.StatusInvalidParameter, 0, sender, "w:InvalidParameter", "", 87, 4, 5, textArgument},
	{invalidParameter, "an argument is missing, unknown, there twice, NULL or of the wrong type", cim.StatusInvalidMethodParameters, 0, sender, "w:InvalidParameter", "", 87, 4, 5, textArgument},
	{invalidParameter, "a value is out of range", cim.StatusValueOutOfRange, 0, sender, "w:InvalidParameter", "", 87, 4, 5, textArgument},
	{invalidParameter, "a value cannot be NULL", cim.StatusIllegalNull, 0, sender, "w:InvalidParameter", "", 87, 4, 5, textArgument},
	{readOnly, "a property in a Put cannot be written", cim.StatusReadOnly, 0, sender, "x:InvalidRepresentation", "InvalidValues", 0x80338056, 1, 7, "The instance cannot be written like this."},
	{alreadyExists, "the provider says that it is there already", cim.StatusAlreadyExists, 0, sender, "w:AlreadyExists", "", 0x80338033, 11, 20, "The resource exists already."},
	{invalidFilter, "a SelectorFilter that cannot be, a query about another class than the resource URI, a Filter that is neither text nor one element", 0, 0, sender, "n:CannotProcessFilter", "", 0x8033801A, 15, 17, "The filter cannot be processed."},
	{invalidFilter, "the query is no WQL, or asks for what the class has not", cim.StatusInvalidQuery, 0, sender, "n:CannotProcessFilter", "", 0x8033801A, 15, 17, "The filter cannot be processed."},
	{filterDialect, "another filter dialect", 0, 0, sender, "n:FilterDialectRequestedUnavailable", "", 0x80338019, 14, 11, "The filter dialect is not supported."},
	{filteringRequired, "Enumerate of `*` without a query", 0, 0, sender, "w:UnsupportedFeature", "FilteringRequired", 0x80338070, 7, 11, "All classes at once cannot be enumerated."},
	{enumerationMode, "another EnumerationMode", 0, 0, sender, "w:UnsupportedFeature", "EnumerationMode", 0x80338086, 7, 11, textFeature},
	{polymorphismMode, "another PolymorphismMode", 0, 0, sender, "b:PolymorphismModeNotSupported", "", 0x80338042, 7, 11, textFeature},
	{invalidContext, "the enumeration has ended or expired, or belongs to another account", 0, 0, receiver, "n:InvalidEnumerationContext", "", 0x8033801B, 4, 13, "The enumeration context is not valid, or no longer."},
	{invalidContext, "much changed while the enumeration was open: it was ended, and can be begun anew", cim.StatusCallCancelled, 0, receiver, "n:InvalidEnumerationContext", "", 0x8033801B, 4, 13, "The enumeration was ended."},
	{contextInUse, "another Pull of this enumeration is under way", 0, 0, sender, "w:Concurrency", "", 0x80338032, 1, 19, "The resource is in use."},
	{quotaLimit, "too many enumerations are open, of all or of this account", 0, 0, sender, "w:QuotaLimit", "", 0x8033803F, 1, 30, "The service is busy with other requests; try again later."},
	{quotaLimit, "too many lists are being read at the same time", cim.StatusServerTooBusy, 0, sender, "w:QuotaLimit", "", 0x8033803F, 1, 30, "The service is busy with other requests; try again later."},
	{fragmentUnsupported, "FragmentTransfer with something else than Get and Put of an instance", 0, 0, sender, "w:UnsupportedFeature", "FragmentLevelAccess", 0x80338077, 7, 11, textFeature},
	{fragmentDialect, "another fragment dialect", 0, 0, receiver, "w:FragmentDialectNotSupported", "", 0x80338090, 7, 11, "The fragment dialect is not supported."},
	{fragmentPath, "the fragment is not one property of the class", 0, 0, sender, "n:CannotProcessFilter", "", 0x80338093, 12, 5, "The fragment cannot be processed."},
	{invalidFragment, "the body of a Put of a fragment is no XmlFragment with that property", 0, 0, sender, "x:InvalidRepresentation", "InvalidFragment", 0x80338059, 4, 6, "The fragment is not valid."},
	{accessDenied, "the role of the account does not allow it", cim.StatusAccessDenied, 0, sender, "w:AccessDenied", "", 5, 2, 18, "Access is denied."},
	{endpointUnavailable, "the server is about to stop", cim.StatusNotAvailable, 0, receiver, "a:EndpointUnavailable", "", 0x80338014, 1, 21, "The resource is not available now; try again later."},
	{timedOut, "the time for the operation, or for sending the request, is over", 0, 0, receiver, "w:TimedOut", "", 0x80338029, 1, 15, "The operation did not complete within the time allowed."},
	{internalError, "anything else: the text stays in the log", 0, 0, receiver, "w:InternalError", "", 0, 1, 0, textInternal},
	{internalError, "the provider says that it is not the time for it", cim.StatusInvalidOperation, 0, receiver, "w:InternalError", "", 0, 1, 7, textInternal},
}

// fault is a refused request. As an error it is an answer that has been decided on.
type fault struct {
	row           *faultRow
	status        cim.Status // of the object model, or 0
	msg           string     // what was wrong, and what would be right; may be empty
	notUnderstood []soap.Name
}

// What of a request can occur in a fault is bounded.
const (
	maxFaultText     = 1024 // bytes of the text, in which names of the request can occur
	maxNotUnderstood = 2048 // bytes of the names of headers that are not understood, with their namespaces
)

// newFault returns a fault without a WBEM status.
func newFault(c cause, msg string) *fault {
	for i := range faults {
		if faults[i].cause == c {
			return &fault{row: &faults[i], msg: msg}
		}
	}
	return newFault(internalError, "")
}

// statusFault returns the fault of a WBEM status. One that has no row is an internal error with its text.
func statusFault(e *cim.Error) *fault {
	for i := range faults {
		if faults[i].status == e.Status {
			return &fault{row: &faults[i], status: e.Status, msg: e.Msg}
		}
	}
	f := newFault(internalError, e.Msg)
	f.status = e.Status
	return f
}

// selectorFault returns the fault of a key whose value the object model refused.
func selectorFault(e *cim.Error) *fault {
	c := invalidSelector
	if e.Status == cim.StatusTypeMismatch {
		c = selectorTypeMismatch
	}
	f := newFault(c, e.Msg)
	f.status = e.Status
	return f
}

// Error returns the text that the client sees.
func (f *fault) Error() string {
	if f.msg == "" {
		return f.row.text
	}
	text := strings.TrimSuffix(f.row.text, ".") + ": " + f.msg
	if len(text) > maxFaultText {
		text = text[:maxFaultText] + "..."
	}
	return text
}

// code returns the Code of the WSManFault.
func (f *fault) code() uint32 {
	if f.row.wsman != 0 {
		return f.row.wsman
	}
	return f.hresult()
}

// hresult returns what PowerShell shows as the error's ID: the WBEM status if there is one.
func (f *fault) hresult() uint32 {
	switch {
	case f.status != 0:
		return uint32(f.status)
	case f.row.wsman != 0:
		return f.row.wsman
	}
	return uint32(cim.StatusFailed)
}

// action returns the action of the fault, which goes by the namespace of its subcode.
func (f *fault) action() string {
	switch f.row.subcode[:min(len(f.row.subcode), 2)] {
	case "n:":
		return soap.NamespaceEnumeration + "/fault"
	case "x:":
		return soap.NamespaceTransfer + "/fault"
	case "w:", "b:":
		return "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
	}
	return soap.NamespaceAddressing + "/fault"
}

// asFault finds the fault that an error is answered with. What is not known here is internal: its text stays in the log.
func asFault(err error) (f *fault, hidden bool) {
	var (
		refused *cim.Error
		key     *cim.KeyError
		query   *wql.Error
		syntax  *soap.SyntaxError
	)
	switch {
	case errors.As(err, &f):
		return f, false
	case errors.As(err, &refused):
		return statusFault(refused), false
	case errors.As(err, &key) && key.Missing != "":
		return newFault(insufficientSelectors, key.Error()), false
	case errors.As(err, &key):
		return newFault(unexpectedSelectors, key.Error()), false
	case errors.As(err, &query):
		return statusFault(cim.Errorf(cim.StatusInvalidQuery, "%s", query.Error())), false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return newFault(timedOut, ""), false
	case errors.Is(err, soap.ErrCharset):
		return newFault(characterSet, err.Error()), false
	case errors.Is(err, soap.ErrVersionMismatch):
		return newFault(versionMismatch, err.Error()), false
	case errors.As(err, &syntax), errors.Is(err, soap.ErrEnvelope):
		return newFault(invalidXML, err.Error()), false
	}
	return newFault(internalError, ""), true
}

// fail writes the fault of an error in place of whatever has been written, and returns the HTTP status.
func (x *exchange) fail(err error) int {
	f, hidden := asFault(err)
	if hidden {
		x.log(slog.LevelError, "wsman: internal error", slog.Any("error", err))
	} else {
		x.log(slog.LevelDebug, "wsman: fault", slog.String("fault", f.row.subcode), slog.Uint64("code", uint64(f.code())))
	}
	x.writeFault(f)
	if size := x.writer.Len(); size > minEnvelopeSize || x.charset != soap.UTF8 && 2*size+2 > minEnvelopeSize {
		// More than a client may be prepared for (DSP0226, R6.2-4): less is said.
		x.request.faultReferences = nil
		x.writeFault(&fault{row: f.row, status: f.status})
	}
	if f.row.http != 0 {
		return f.row.http
	}
	return http.StatusInternalServerError
}
