package wsman

import (
	"encoding/hex"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// The addresses of WS-Addressing 2004/08: the reply goes back on the connection; the request had no MessageID.
const (
	anonymousAddress = soap.NamespaceAddressing + "/role/anonymous"
	unspecifiedID    = soap.NamespaceAddressing + "/id/unspecified"
)

// language is that of the texts of faults.
const language = "en-US"

// Limits that the protocol sets or leaves to us.
const (
	maxURIBytes     = 2048 // of an action, a resource URI, a MessageID and an ActivityId (DSP0226, clause 13; MS-WSMV 3.1.4.1.12)
	minEnvelopeSize = 8192 // that a client may set (DSP0226, R6.2-4)
)

// request is what the header of a message says.
type request struct {
	action          string
	resourceURI     string
	messageID       string
	replyReferences []byte        // header blocks that a reply repeats
	faultReferences []byte        // header blocks that a fault repeats
	timeout         time.Duration // 0 if not given
	maxEnvelope     int           // in bytes on the wire; 0 if not given
	selectors       []cim.Argument
	fragment        *fragment
	managed         bool // whether the options are those of an MI client: PowerShell
	preciseArrays   bool // whether NULL and empty arrays should be told apart
	classes         classOptions
}

// relatesTo returns what tells the client which of its requests this reply is for, exactly as it wrote it.
func (r *request) relatesTo() string {
	if r.messageID == "" {
		return unspecifiedID
	}
	return r.messageID
}

// known is a header block that the server understands.
type known int

const (
	unknown known = iota
	ignored       // understood as a hint or as of no consequence here
	hTo
	hAction
	hMessageID
	hReplyTo
	hFaultTo
	hResourceURI
	hSelectorSet
	hOptionSet
	hOperationTimeout
	hMaxEnvelopeSize
	hFragmentTransfer
	hLocale
	hDataLocale
	hActivityID
	knownCount
)

// identify classifies a header block. OperationID and SequenceId are ignored, because a reply that repeats them promises to keep
// replies for a client that comes back for them (MS-WSMV 3.1.4.1.39).
func identify(name soap.Name) known {
	switch name.Space {
	case soap.NamespaceAddressing:
		switch name.Local {
		case "To":
			return hTo
		case "Action":
			return hAction
		case "MessageID":
			return hMessageID
		case "ReplyTo":
			return hReplyTo
		case "FaultTo":
			return hFaultTo
		case "From", "RelatesTo":
			return ignored
		}
	case soap.NamespaceWSMan:
		switch name.Local {
		case "ResourceURI":
			return hResourceURI
		case "SelectorSet":
			return hSelectorSet
		case "OptionSet":
			return hOptionSet
		case "OperationTimeout":
			return hOperationTimeout
		case "MaxEnvelopeSize":
			return hMaxEnvelopeSize
		case "FragmentTransfer":
			return hFragmentTransfer
		case "Locale":
			return hLocale
		case "RequestTotalItemsCountEstimate":
			return ignored
		}
	case soap.NamespaceMSWSMan:
		switch name.Local {
		case "DataLocale":
			return hDataLocale
		case "ActivityId":
			return hActivityID
		case "SessionId", "OperationID", "SequenceId":
			return ignored
		}
	}
	return unknown
}

// read reads the header. What can be echoed is read even if something else is wrong, so that the fault can echo it.
func (r *request) read(header soap.Element) error {
	var blocks [knownCount]soap.Element
	var failed *fault
	note := func(f *fault) {
		if failed == nil {
			failed = f
		}
	}
	var notUnderstood []soap.Name
	bound, room := false, maxNotUnderstood
	for block := range header.Children() {
		name := block.Name()
		switch k := identify(name); {
		case k == unknown:
			must, err := soap.MustUnderstand(block)
			if err != nil {
				note(newFault(invalidHeader, err.Error()))
			} else if must && isForUs(block) {
				bound = true
				if room -= len(name.Space) + len(name.Local); room >= 0 {
					notUnderstood = append(notUnderstood, name)
				}
			}
		case k == ignored:
		case !blocks[k].IsZero():
			note(newFault(invalidHeader, "the header "+name.Local+" was given twice"))
		default:
			blocks[k] = block
		}
	}
	for _, k := range [...]known{hMessageID, hActivityID} {
		if block := blocks[k]; len(block.Text()) > maxURIBytes {
			note(newFault(invalidHeader, "the header "+block.Name().Local+" is longer than "+strconv.Itoa(maxURIBytes)+" bytes"))
			blocks[k] = soap.Element{}
		}
	}
	r.messageID = blocks[hMessageID].Text()
	if f := r.readReferences(blocks[hReplyTo], blocks[hFaultTo]); f != nil {
		note(f)
	}
	if set := blocks[hOptionSet]; !set.IsZero() {
		if f := r.readOptions(set); f != nil {
			note(f)
		}
	}
	if bound {
		f := newFault(mustUnderstand, "")
		f.notUnderstood = notUnderstood
		return f
	}
	if failed != nil {
		return failed
	}
	return r.interpret(&blocks)
}

// isForUs tells whether a header block is meant for the server (SOAP 1.2 Part 1, 2.2 and 5.2.2).
func isForUs(block soap.Element) bool {
	role, ok := block.Attr(soap.NamespaceEnvelope, "role")
	return !ok || role == "" || role == soap.NamespaceEnvelope+"/role/next" || role == soap.NamespaceEnvelope+"/role/ultimateReceiver"
}

func (r *request) interpret(blocks *[knownCount]soap.Element) error {
	r.action = strings.TrimSpace(blocks[hAction].Text())
	r.resourceURI = strings.TrimSpace(blocks[hResourceURI].Text())
	switch {
	case len(r.action) > maxURIBytes || len(r.resourceURI) > maxURIBytes:
		r.action, r.resourceURI = "", ""
		return newFault(uriLimit, "Action and ResourceURI have "+strconv.Itoa(maxURIBytes)+" bytes at most")
	case r.action == "":
		return newFault(headerRequired, "the header Action is missing")
	case blocks[hTo].IsZero(): // What it says does not matter: pywinrm sends http://windows-host:5985/wsman, whatever it calls.
		return newFault(headerRequired, "the header To is missing")
	case strings.TrimSpace(r.messageID) == "":
		return newFault(invalidHeader, "the header MessageID is missing or empty")
	case blocks[hReplyTo].IsZero():
		return newFault(headerRequired, "the header ReplyTo is missing; it must be the anonymous address "+anonymousAddress)
	case r.resourceURI == "":
		return newFault(invalidResource, "the header ResourceURI is missing")
	}
	for _, k := range [...]known{hReplyTo, hFaultTo} {
		if block := blocks[k]; !block.IsZero() {
			address, _ := block.Child(soap.NamespaceAddressing, "Address")
			if strings.TrimSpace(address.Text()) != anonymousAddress {
				return newFault(addressingMode, block.Name().Local+" must be the anonymous address "+anonymousAddress)
			}
		}
	}
	for _, hint := range [...]struct {
		known
		cause
	}{{hLocale, locale}, {hDataLocale, dataLocale}} {
		if must, _ := soap.MustUnderstand(blocks[hint.known]); must {
			return newFault(hint.cause, "there are replies in English only; a locale is a hint, without mustUnderstand")
		}
	}
	if block := blocks[hOperationTimeout]; !block.IsZero() {
		timeout, ok := parseDuration(strings.TrimSpace(block.Text()))
		if !ok || timeout <= 0 {
			return newFault(invalidTimeout, "OperationTimeout must be an xs:duration greater than zero, such as PT60S")
		}
		r.timeout = timeout
	}
	if block := blocks[hMaxEnvelopeSize]; !block.IsZero() {
		n, ok := parseCount(block.Text())
		switch {
		case !ok:
			return newFault(invalidHeader, "MaxEnvelopeSize must be a whole number of bytes")
		case n < minEnvelopeSize:
			return newFault(minimumEnvelopeLimit, "MaxEnvelopeSize must be at least "+strconv.Itoa(minEnvelopeSize))
		}
		r.maxEnvelope = n
	}
	var err error
	if block := blocks[hSelectorSet]; !block.IsZero() {
		if r.selectors, err = readSelectors(block); err != nil {
			return err
		}
	}
	if block := blocks[hFragmentTransfer]; !block.IsZero() {
		r.fragment, err = readFragment(block)
	}
	return err
}

// maxSelectors bounds the selectors of a request (DSP0226, clause 13): no class has as many keys.
const maxSelectors = 64

// readSelectors reads the Selectors in a SelectorSet (DSP0226, 5.4).
func readSelectors(set soap.Element) ([]cim.Argument, error) {
	var selectors []cim.Argument
	for e := range set.Children() {
		if e.Name().Local != "Selector" {
			return nil, newFault(schemaValidation, "a SelectorSet contains Selectors, not "+e.Name().Local)
		}
		name, _ := e.Attr("", "Name")
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			return nil, newFault(schemaValidation, "a Selector has no Name")
		case len(selectors) == maxSelectors:
			return nil, newFault(selectorLimit, "there are more than "+strconv.Itoa(maxSelectors)+" Selectors")
		case find(selectors, name) != nil:
			return nil, newFault(duplicateSelectors, "the Selector "+name+" was given twice")
		}
		selectors = append(selectors, cim.Argument{Name: name, Value: decodeValue(e)})
	}
	return selectors, nil
}

// find returns the argument of that name, in any case, or nil.
func find(arguments []cim.Argument, name string) *cim.Argument {
	for i := range arguments {
		if len(arguments[i].Name) == len(name) && strings.EqualFold(arguments[i].Name, name) {
			return &arguments[i]
		}
	}
	return nil
}

// readOptions reads the OptionSet (DSP0226, 6.4). Names may repeat, and their prefixes and those of the Types are mostly not
// declared: both are plain text. An option that we do not know and need not obey is none.
func (r *request) readOptions(set soap.Element) *fault {
	var failed *fault
	for e := range set.Children() {
		name, _ := e.Attr("", "Name")
		switch lower := strings.ToLower(name[:min(len(name), 64)]); {
		case r.classes.take(lower, e.Text()):
		case strings.HasPrefix(lower, "__mi_"), strings.HasPrefix(lower, "wmi:"), strings.HasPrefix(lower, "wmiarray:"):
			r.managed = true
		case lower == "msftwinrm:useprecisearrays":
			r.preciseArrays = isTrue(e.Text())
		default:
			if must, _ := e.Attr("", "MustComply"); isTrue(must) && failed == nil {
				failed = newFault(invalidOptions, "the option "+name+" is not supported")
			}
		}
	}
	return failed
}

// isTrue reads an xs:boolean.
func isTrue(s string) bool {
	s = strings.TrimSpace(s)
	return s == "1" || strings.EqualFold(s, "true")
}

// parseCount reads a number without a sign and a fraction. One beyond the range of int becomes one near its end.
func parseCount(s string) (n int, ok bool) {
	s = strings.TrimSpace(s)
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n, math.MaxInt/10-1)*10 + int(c-'0')
	}
	return n, s != ""
}

// newID returns a random UUID (RFC 9562, version 4) as Windows writes it: uuid: and capitals.
func (s *Server) newID() string {
	var id [16]byte
	if _, err := io.ReadFull(s.options.Rand, id[:]); err != nil {
		s.options.Logger.Error("wsman: no random bytes", "error", err)
	}
	id[6], id[8] = id[6]&0x0F|0x40, id[8]&0x3F|0x80
	var text [45]byte
	copy(text[:], "uuid:")
	digits := text[5:]
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			digits[0], digits = '-', digits[1:]
		}
		digits = digits[hex.Encode(digits, part):]
	}
	for i, c := range text[5:] {
		if c >= 'a' {
			text[5+i] = c - 'a' + 'A'
		}
	}
	return string(text[:41])
}
