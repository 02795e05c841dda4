package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// What a caller may have to answer differently; test for them with errors.Is. A [*Fault] is one of them or none.
var (
	// ErrUnauthorized reports HTTP 401.
	ErrUnauthorized = errors.New("the server does not accept the user name and password")
	// ErrAccessDenied reports that the user is known but not allowed to do this.
	ErrAccessDenied = errors.New("access denied: use an account whose role allows it")
	// ErrNotFound reports that there is no such instance, class or namespace; many servers do not tell these apart.
	ErrNotFound = errors.New("not found: there is no such instance or class; check the class, the keys and the namespace")
	// ErrTimedOut reports that the server, or a reply, did not come to an end in time. What was asked for may have happened.
	ErrTimedOut = errors.New("timed out: look whether the server is busy, or allow more time")
	// ErrTooLarge reports a reply that is longer than the MaxEnvelopeSize.
	ErrTooLarge = errors.New("the reply does not fit into MaxEnvelopeSize: raise it, or ask for less")
	// ErrNoService reports that a web server answered, but that there is no WS-Management at this URL.
	ErrNoService = errors.New("there is no WS-Management at this URL; its path is usually /wsman")
	// ErrScheme reports an answer in HTTP to https, or one of a server of HTTPS to http.
	ErrScheme = errors.New("the server speaks another scheme at this port: http instead of https, or the reverse")
	// ErrReply reports a reply that is not one of WS-Management, or not to what was asked.
	ErrReply = errors.New("the reply makes no sense")
)

// Fault is the answer of a server that refuses a request: a SOAP fault, or an HTTP status without one. Its texts are the
// server's.
type Fault struct {
	HTTPStatus int
	Code       string // Sender, Receiver, MustUnderstand or VersionMismatch; empty if there was no SOAP fault
	Subcode    string // without its prefix, for example AccessDenied or InvalidSelectors
	Reason     string // in English if the server can
	Detail     string // the last part of w:FaultDetail, for example InvalidResourceURI
	Provider   string // what the provider of the class says, if that is more than the Reason
	WSManCode  uint32 // f:WSManFault/@Code, for example 2150858752, or 5; 0 if not given
	WBEMStatus uint32 // for example 0x80041002 from the provider or from the text; 0 if not given
}

// The most characters of a fault's text, and of an error as a whole.
const (
	maxFaultText = 400
	maxErrorText = 1000
)

// Error returns one line: what to do, for the usual faults; what the server says; and the codes to look up.
func (f *Fault) Error() string {
	var line strings.Builder
	says := f.Provider
	if says == "" {
		says = f.Reason
	}
	says = strings.TrimRight(oneLine(says, maxFaultText), ". ")
	kind := f.kind()
	if kind == ErrAccessDenied {
		says = afterDenied(says)
	}
	switch {
	case kind != nil:
		line.WriteString(kind.Error())
	case f.Code == "":
		line.WriteString("the server does not serve the request")
	default:
		line.WriteString("the server refuses the request")
	}
	if says != "" {
		line.WriteString(": " + says)
	}
	line.WriteString(" (" + strings.Join(f.codes(), ", ") + ")")
	return line.String()
}

// afterDenied returns what a text says beside, once or several times, that access is denied.
func afterDenied(says string) string {
	const denied = "access is denied"
	for len(says) >= len(denied) && strings.EqualFold(says[:len(denied)], denied) {
		says = strings.TrimLeft(says[len(denied):], ".: ")
	}
	return says
}

// codes returns what identifies the fault.
func (f *Fault) codes() []string {
	if f.Code == "" {
		return []string{fmt.Sprintf("HTTP %d", f.HTTPStatus)}
	}
	name := f.Subcode
	if name == "" {
		name = f.Code
	}
	codes := []string{oneLine(name, 60)}
	if f.Detail != "" {
		codes = append(codes, oneLine(f.Detail, 60))
	}
	switch {
	case f.WSManCode == 0 || f.WSManCode == f.WBEMStatus:
	case f.WSManCode > 0xFFFF:
		codes = append(codes, fmt.Sprintf("code 0x%08X", f.WSManCode))
	default:
		codes = append(codes, fmt.Sprintf("code %d", f.WSManCode))
	}
	if f.WBEMStatus != 0 {
		codes = append(codes, cim.Status(f.WBEMStatus).String())
	}
	return codes
}

// Is makes errors.Is recognize the kinds of fault.
func (f *Fault) Is(target error) bool { return target == f.kind() }

// Codes of f:WSManFault.
const (
	codeAccessDenied = 5          // ERROR_ACCESS_DENIED
	codeEAccess      = 0x80070005 // E_ACCESSDENIED
	codeNotFound     = 0x80338000 // ERROR_WSMAN_RESOURCE_NOT_FOUND
	codeTimedOut     = 0x80338029 // ERROR_WSMAN_OPERATION_TIMEDOUT
)

// kind returns what the fault is, or nil.
func (f *Fault) kind() error {
	switch cim.Status(f.WBEMStatus) {
	case cim.StatusNotFound, cim.StatusInvalidClass, cim.StatusInvalidNamespace:
		return ErrNotFound
	case cim.StatusAccessDenied:
		return ErrAccessDenied
	}
	switch {
	case f.Subcode == "AccessDenied" || f.WSManCode == codeAccessDenied || f.WSManCode == codeEAccess:
		return ErrAccessDenied
	case f.Subcode == "TimedOut" || f.WSManCode == codeTimedOut:
		return ErrTimedOut
	case f.Subcode == "EncodingLimit" && (f.Detail == "" || strings.HasPrefix(f.Detail, "MaxEnvelopeSize")):
		return ErrTooLarge
	case f.Subcode == "DestinationUnreachable" || f.WSManCode == codeNotFound:
		return ErrNotFound
	case f.Code != "":
		return nil
	}
	switch f.HTTPStatus {
	case 400: // a server of HTTPS that was asked in plain HTTP says nothing more
		return ErrScheme
	case 401:
		return ErrUnauthorized
	case 403:
		return ErrAccessDenied
	case 404, 405:
		return ErrNoService
	case 504:
		return ErrTimedOut
	}
	return nil
}

// fault reads a SOAP fault (SOAP 1.2 Part 1, section 5.4).
func (c *Client) fault(status int, e soap.Element) *Fault {
	f := &Fault{HTTPStatus: status, Code: "unknown"}
	code, _ := e.Child(soap.NamespaceEnvelope, "Code")
	if text := localPart(childText(code, soap.NamespaceEnvelope, "Value")); text != "" {
		f.Code = text
	}
	subcode, _ := code.Child(soap.NamespaceEnvelope, "Subcode")
	f.Subcode = localPart(childText(subcode, soap.NamespaceEnvelope, "Value"))
	reason, _ := e.Child(soap.NamespaceEnvelope, "Reason")
	for text := range reason.Children() {
		language, _ := text.Attr(soap.NamespaceXML, "lang")
		if f.Reason == "" || strings.HasPrefix(strings.ToLower(language), "en") {
			f.Reason = strings.TrimSpace(text.Text())
		}
	}
	var d detail
	if e, ok := e.Child(soap.NamespaceEnvelope, "Detail"); ok {
		d.read(e)
	}
	f.Detail = d.faultDetail[strings.LastIndexByte(d.faultDetail, '/')+1:]
	f.WSManCode = d.wsmanCode
	if f.Provider = d.message; d.message == f.Reason {
		f.Provider = ""
	}
	f.WBEMStatus = firstWBEM(d.hresult, hresultIn(f.Provider), hresultIn(f.Reason), cimStatus[d.cimStatus])
	for _, s := range []*string{&f.Code, &f.Subcode, &f.Reason, &f.Detail, &f.Provider} {
		*s = c.redact(*s)
	}
	return f
}

// detail is what the Detail of a fault says, in either form: f:WSManFault, with what the provider says nested in it, or an
// error of CIM such as MSFT_WmiError or OMI_Error.
type detail struct {
	faultDetail string
	wsmanCode   uint32
	hresult     uint32 // of WBEM
	cimStatus   uint32
	message     string // the innermost
}

func (d *detail) read(e soap.Element) {
	for child := range e.Children() {
		text := strings.TrimSpace(child.Text())
		switch child.Name().Local {
		case "FaultDetail":
			d.faultDetail = text
		case "WSManFault":
			code, _ := child.Attr("", "Code")
			n := number(code)
			if d.wsmanCode == 0 {
				d.wsmanCode = n
			}
			d.hresult = firstWBEM(d.hresult, n)
		case "Message", "ProviderFault":
			if text != "" {
				d.message = text
			}
		case "Description": // of __ExtendedStatus
			if d.message == "" {
				d.message = text
			}
		case "StatusCode", "error_Code":
			d.hresult = firstWBEM(d.hresult, number(text))
		case "MessageID":
			d.hresult = firstWBEM(d.hresult, hresultIn(text))
		case "CIMStatusCode":
			d.cimStatus = number(text)
		}
		d.read(child) // as deep as the parser allows
	}
}

// cimStatus gives the WBEM status of a CIMStatusCode (DSP0004, CIM_Error).
var cimStatus = map[uint32]uint32{
	1:  uint32(cim.StatusFailed),
	2:  uint32(cim.StatusAccessDenied),
	3:  uint32(cim.StatusInvalidNamespace),
	4:  uint32(cim.StatusInvalidParameter),
	5:  uint32(cim.StatusInvalidClass),
	6:  uint32(cim.StatusNotFound),
	7:  uint32(cim.StatusNotSupported),
	11: uint32(cim.StatusAlreadyExists),
	13: uint32(cim.StatusTypeMismatch),
	15: uint32(cim.StatusInvalidQuery),
	17: uint32(cim.StatusInvalidMethod),
}

// firstWBEM returns the first of some numbers that is a failure of WBEM, or 0: an HRESULT of the facility ITF in the range
// of MS-WMI 2.2.11.
func firstWBEM(numbers ...uint32) uint32 {
	for _, n := range numbers {
		if n > 0x80041000 && n < 0x80043000 {
			return n
		}
	}
	return 0
}

// hresultIn returns the first WBEM status that a text names in hexadecimal, as in "HRESULT 0x80041008", or 0.
func hresultIn(text string) uint32 {
	const digits = 8
	for {
		_, rest, found := strings.Cut(text, "0x")
		if !found || len(rest) < digits {
			return 0
		}
		n, err := strconv.ParseUint(rest[:digits], 16, 32)
		if err == nil && firstWBEM(uint32(n)) != 0 {
			return uint32(n)
		}
		text = rest
	}
}

// number reads a decimal number of 32 bits; what is none is 0, which is no code.
func number(text string) uint32 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// localPart takes the prefix off a QName. What it stood for does not matter: the local parts of the faults all differ.
func localPart(qname string) string { return qname[strings.LastIndexByte(qname, ':')+1:] }

// oneLine makes a text of somebody else fit to be printed: control characters and runs of white space become one space, and
// it is cut after so many characters.
func oneLine(text string, most int) string {
	var line strings.Builder
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = line.Len() > 0
			continue
		}
		if most--; most < 0 {
			line.WriteString("...")
			break
		}
		if space {
			line.WriteByte(' ')
			space = false
		}
		line.WriteRune(r)
	}
	return line.String()
}
