package wsman_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/wsman"
)

func get(uri, selectors string) message {
	return message{action: transfer + "Get", uri: uri, selectors: selectors}
}

func withHeader(m message, header string) message {
	m.header += header
	return m
}

func call(uri, method, selectors, body string) message {
	return message{action: uri + "/" + method, uri: uri, selectors: selectors, body: body}
}

func enumerateMessage(uri, selectors, children string) message {
	return message{action: enumeration + "Enumerate", uri: uri, selectors: selectors, body: `<n:Enumerate>` + children + `</n:Enumerate>`}
}

const fragmentHeader = `<w:FragmentTransfer s:mustUnderstand="true">Description</w:FragmentTransfer>`

// faultCases are requests that are refused, with the fault that they get. The code is that of form A, hresult and cim are
// of form B.
var faultCases = []struct {
	name     string
	message  message
	code     string
	subcode  string
	detail   string
	wsman    uint32
	hresult  uint32
	cim      uint32
	category uint32
}{
	{"header not understood", withHeader(get(wmi+"Test_Site", ""), `<x:Odd xmlns:x="urn:x" s:mustUnderstand="true"/>`), "s:MustUnderstand", "<none>", "", 2150858768, 2150858768, 7, 11},
	{"no action", message{uri: wmi + "Test_Site"}, "s:Sender", "a:MessageInformationHeaderRequired", "", 2150858769, 2150858769, 4, 5},
	{"header twice", withHeader(get(wmi+"Test_Site", ""), `<a:Action>x</a:Action>`), "s:Sender", "a:InvalidMessageInformationHeader", "", 2150858767, 2150858767, 4, 5},
	{"mustUnderstand is no boolean", withHeader(get(wmi+"Test_Site", ""), `<x:Odd xmlns:x="urn:x" s:mustUnderstand="maybe"/>`), "s:Sender", "a:InvalidMessageInformationHeader", "", 2150858767, 2150858767, 4, 5},
	{"envelope size is no number", withHeader(get(wmi+"Test_Site", ""), `<w:MaxEnvelopeSize>big</w:MaxEnvelopeSize>`), "s:Sender", "a:InvalidMessageInformationHeader", "", 2150858767, 2150858767, 4, 5},
	{"ID too long", withHeader(get(wmi+"Test_Site", ""), `<p:ActivityId>`+strings.Repeat("x", 2049)+`</p:ActivityId>`), "s:Sender", "a:InvalidMessageInformationHeader", "", 2150858767, 2150858767, 4, 5},
	{"bad timeout", withHeader(get(wmi+"Test_Site", ""), `<w:OperationTimeout>60</w:OperationTimeout>`), "s:Sender", "a:InvalidMessageInformationHeader", "InvalidTimeout", 2150858767, 2150858767, 4, 5},
	{"zero timeout", withHeader(get(wmi+"Test_Site", ""), `<w:OperationTimeout>PT0S</w:OperationTimeout>`), "s:Sender", "a:InvalidMessageInformationHeader", "InvalidTimeout", 2150858767, 2150858767, 4, 5},
	{"reply to elsewhere", withHeader(get(wmi+"Test_Site", ""), `<a:ReplyTo><a:Address>http://else/</a:Address></a:ReplyTo>`), "s:Sender", "w:UnsupportedFeature", "AddressingMode", 2150858870, 2150858870, 7, 11},
	{"fault to elsewhere", withHeader(get(wmi+"Test_Site", ""), `<a:FaultTo/>`), "s:Sender", "w:UnsupportedFeature", "AddressingMode", 2150858870, 2150858870, 7, 11},
	{"end to", enumerateMessage(wmi+"Test_Pack", "", `<n:EndTo/>`), "s:Sender", "w:UnsupportedFeature", "AddressingMode", 2150858870, 2150858870, 7, 11},
	{"locale that binds", withHeader(get(wmi+"Test_Site", ""), `<w:Locale xml:lang="de-DE" s:mustUnderstand="true"/>`), "s:Sender", "w:UnsupportedFeature", "Locale", 2150858887, 2150858887, 7, 11},
	{"data locale that binds", withHeader(get(wmi+"Test_Site", ""), `<p:DataLocale xml:lang="en-US" s:mustUnderstand="1"/>`), "s:Sender", "w:UnsupportedFeature", "DataLocale", 2150858887, 2150858887, 7, 11},
	{"long URI", get(wmi+strings.Repeat("x", 3000), ""), "s:Sender", "w:EncodingLimit", "URILimitExceeded", 2150858797, 2150858797, 4, 29},
	{"many selectors", get(wmi+"Test_Pack", manySelectors(65)), "s:Sender", "w:EncodingLimit", "SelectorLimit", 2150858826, 2150858826, 4, 29},
	{"small envelope", withHeader(get(wmi+"Test_Site", ""), `<w:MaxEnvelopeSize>8191</w:MaxEnvelopeSize>`), "s:Sender", "w:EncodingLimit", "MinimumEnvelopeLimit", 2150858878, 2150858878, 4, 29},
	{"reply larger than the client takes", withHeader(get(wmi+"Test_Pack", "PackId=50"), `<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>`), "s:Sender", "w:EncodingLimit", "MaxEnvelopeSize", 2150858824, 2150858824, 1, 29},
	{"reply larger than we send", get(wmi+"Test_Pack", "PackId=50"), "s:Sender", "w:EncodingLimit", "ServiceEnvelopeLimit", 2150858825, 2150858825, 1, 29},
	{"result larger than we send", call(wmi+"Test_Pack", "Big", "", ""), "s:Sender", "w:EncodingLimit", "UnreportableSuccess", 2150858829, 2150858829, 1, 29},
	{"unknown option", withHeader(get(wmi+"Test_Site", ""), `<w:OptionSet><w:Option Name="WQL" MustComply="true"/></w:OptionSet>`), "s:Sender", "w:InvalidOptions", "NotSupported", 2150858833, 2150858833, 4, 5},
	{"no resource URI", get("", ""), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 2150858752, 6, 13},
	{"strange resource URI", get("http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd", ""), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 2150858752, 6, 13},
	{"resource URI without a namespace", get("http://schemas.microsoft.com/wbem/wsman/1/wmi/X", ""), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 2150858752, 6, 13},
	{"Get of all", get(wmi+"*", ""), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 2150858752, 6, 13},
	{"no such instance", get(wmi+"Test_Pack", "PackId=29"), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 0x80041002, 6, 13},
	{"no such class", get(dmtf+"Test_None", ""), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 0x80041010, 5, 10},
	{"no such class to fetch", get("http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*", "ClassName=Test_None"), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 0x80041010, 5, 10},
	{"no class to fetch", get("http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*", "__cimnamespace=root/cimv2"), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 0x80041010, 5, 10},
	{"no such namespace", get(dmtf+"Test_Pack", "__cimnamespace=root/test"), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 0x8004100E, 3, 10},
	{"bad action", message{action: "urn:x/y", uri: wmi + "Test_Pack"}, "s:Sender", "a:ActionNotSupported", "", 2150858771, 2150858771, 7, 11},
	{"Create", message{action: transfer + "Create", uri: wmi + "Test_Pack"}, "s:Sender", "a:ActionNotSupported", "", 2150858771, 2150858771, 7, 11},
	{"Delete", message{action: transfer + "Delete", uri: wmi + "Test_Pack"}, "s:Sender", "a:ActionNotSupported", "", 2150858771, 2150858771, 7, 11},
	{"Put of a class", message{action: transfer + "Put", uri: "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/Test_Pack"}, "s:Sender", "a:ActionNotSupported", "", 2150858771, 2150858771, 7, 11},
	{"method that is refused", call(wmi+"Test_Pack", "Refuse", "", ""), "s:Sender", "a:ActionNotSupported", "", 2150858771, 0x8004100C, 7, 11},
	{"class that occurs only embedded", get(wmi+"Test_Entry", ""), "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI", 2150858752, 0x80041002, 6, 13},
	{"class that cannot be read", get(wmi+"Test_Pair", "Zone=a;Index=1"), "s:Sender", "a:ActionNotSupported", "", 2150858771, 0x80041024, 7, 11},
	{"no such method", call(wmi+"Test_Pack", "Install2", "", ""), "s:Sender", "a:ActionNotSupported", "", 2150858771, 0x8004102E, 17, 13},
	{"key missing", get(wmi+"Test_Pack", ""), "s:Sender", "w:InvalidSelectors", "InsufficientSelectors", 2150858842, 2150858842, 4, 5},
	{"key missing in a call", call(wmi+"Test_Pack", "Entries", "", ""), "s:Sender", "w:InvalidSelectors", "InsufficientSelectors", 2150858842, 2150858842, 4, 5},
	{"unexpected selector", get(wmi+"Test_Pack", "PackId=2;Zone=x"), "s:Sender", "w:InvalidSelectors", "UnexpectedSelectors", 2150858843, 2150858843, 4, 5},
	{"key of an enumeration", enumerateMessage(wmi+"Test_Pack", "PackId=2", ""), "s:Sender", "w:InvalidSelectors", "UnexpectedSelectors", 2150858843, 2150858843, 4, 5},
	{"selector of a class", get("http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/Test_Pack", "PackId=2"), "s:Sender", "w:InvalidSelectors", "UnexpectedSelectors", 2150858843, 2150858843, 4, 5},
	{"mistyped key", get(wmi+"Test_Pack", "PackId=two"), "s:Sender", "w:InvalidSelectors", "TypeMismatch", 2150858844, 0x80041005, 13, 9},
	{"namespaces differ", get(wmi+"Test_Pack", "PackId=2;__cimnamespace=root/test"), "s:Sender", "w:InvalidSelectors", "InvalidValue", 2150858845, 2150858845, 4, 5},
	{"namespace is an EPR", get(wmi+"Test_Pack", "__cimnamespace=<a:EndpointReference/>"), "s:Sender", "w:InvalidSelectors", "InvalidValue", 2150858845, 2150858845, 4, 5},
	{"selector twice", get(wmi+"Test_Pack", "PackId=2;packid=2"), "s:Sender", "w:InvalidSelectors", "DuplicateSelectors", 2150858847, 2150858847, 4, 5},
	{"selector without a name", get(wmi+"Test_Pack", "=2"), "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"Put of nothing", message{action: transfer + "Put", uri: wmi + "Test_Site"}, "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"Put of another class", message{action: transfer + "Put", uri: wmi + "Test_Site", body: `<q:Test_Pack xmlns:q="` + wmi + `Test_Pack"/>`}, "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"two arguments for a body", call(wmi+"Test_Pack", "Install", "", "<a/><b/>"), "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"input of another method", call(wmi+"Test_Pack", "Install", "", "<Entries_INPUT/>"), "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"Enumerate without a body", message{action: enumeration + "Enumerate", uri: wmi + "Test_Pack"}, "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"MaxElements 0", enumerateMessage(wmi+"Test_Pack", "", `<w:MaxElements>0</w:MaxElements>`), "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"bad MaxTime", message{action: enumeration + "Pull", uri: wmi + "Test_Pack", body: `<n:Pull><n:MaxTime>1</n:MaxTime></n:Pull>`}, "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"mistyped property", message{action: transfer + "Put", uri: wmi + "Test_Pack", selectors: "PackId=2", body: `<Test_Pack><Expires>soon</Expires></Test_Pack>`}, "s:Sender", "w:SchemaValidationError", "", 2150858817, 0x80041005, 13, 9},
	{"unknown property", message{action: transfer + "Put", uri: wmi + "Test_Site", body: `<Test_Site><Owner/></Test_Site>`}, "s:Sender", "w:InvalidParameter", "", 87, 0x80041008, 4, 5},
	{"argument missing", call(wmi+"Test_Pack", "Install", "", ""), "s:Sender", "w:InvalidParameter", "", 87, 0x8004102F, 4, 5},
	{"argument twice", call(wmi+"Test_Pack", "Install", "", `<Install_INPUT><AgreementType>1</AgreementType><AgreementType>1</AgreementType></Install_INPUT>`), "s:Sender", "w:InvalidParameter", "", 87, 0x8004102F, 4, 5},
	{"argument NULL", call(wmi+"Test_Pack", "Install", "", `<Install_INPUT><AgreementType xsi:nil="true"/></Install_INPUT>`), "s:Sender", "w:InvalidParameter", "", 87, 0x8004102F, 4, 5},
	{"argument embedded", call(wmi+"Test_Pack", "Install", "", `<Install_INPUT><sNumber><a><b/></a></sNumber></Install_INPUT>`), "s:Sender", "w:InvalidParameter", "", 87, 0x8004102F, 4, 5},
	{"read-only property", message{action: transfer + "Put", uri: wmi + "Test_Site", body: `<Test_Site><Name>x</Name></Test_Site>`}, "s:Sender", "x:InvalidRepresentation", "InvalidValues", 2150858838, 0x80041023, 1, 7},
	{"instance exists", get(wmi+"Test_Pack", "PackId=906"), "s:Sender", "w:AlreadyExists", "", 2150858803, 0x80041019, 11, 20},
	{"bad WQL", enumerateMessage(wmi+"*", "", wqlFilter("SELECT FROM")), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 0x80041017, 15, 17},
	{"class of WQL", enumerateMessage(wmi+"*", "", wqlFilter("SELECT * FROM Test_None")), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 0x80041010, 15, 17},
	{"other class of WQL", enumerateMessage(wmi+"Test_Site", "", wqlFilter("SELECT * FROM Test_Pack")), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 2150858778, 15, 17},
	{"bad SelectorFilter", enumerateMessage(wmi+"Test_Pack", "", selectorFilter("Tags", "x")), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 2150858778, 15, 17},
	{"mistyped SelectorFilter", enumerateMessage(wmi+"Test_Pack", "", selectorFilter("PackId", "x")), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 2150858778, 15, 17},
	{"no dialect", enumerateMessage(wmi+"Test_Pack", "", `<w:Filter>//x</w:Filter>`), "s:Sender", "n:FilterDialectRequestedUnavailable", "", 2150858777, 2150858777, 14, 11},
	{"association filter", enumerateMessage(dmtf+"*", "", `<w:Filter Dialect="http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"/>`), "s:Sender", "n:FilterDialectRequestedUnavailable", "", 2150858777, 2150858777, 14, 11},
	{"all classes", enumerateMessage(wmi+"*", "", ""), "s:Sender", "w:UnsupportedFeature", "FilteringRequired", 2150858864, 2150858864, 7, 11},
	{"SelectorFilter of all classes", enumerateMessage(wmi+"*", "", selectorFilter("PackId", "2")), "s:Sender", "w:UnsupportedFeature", "FilteringRequired", 2150858864, 2150858864, 7, 11},
	{"mode", enumerateMessage(wmi+"Test_Pack", "", `<w:EnumerationMode>EnumerateAll</w:EnumerationMode>`), "s:Sender", "w:UnsupportedFeature", "EnumerationMode", 2150858886, 2150858886, 7, 11},
	{"polymorphism", enumerateMessage(wmi+"Test_Pack", "", `<b:PolymorphismMode>Deep</b:PolymorphismMode>`), "s:Sender", "b:PolymorphismModeNotSupported", "", 2150858818, 2150858818, 7, 11},
	{"unknown context", message{action: enumeration + "Pull", uri: wmi + "Test_Pack", body: `<n:Pull><n:EnumerationContext>uuid:1</n:EnumerationContext></n:Pull>`}, "s:Receiver", "n:InvalidEnumerationContext", "", 2150858779, 2150858779, 4, 13},
	{"unknown context to release", message{action: enumeration + "Release", uri: wmi + "Test_Pack", body: `<n:Release/>`}, "s:Receiver", "n:InvalidEnumerationContext", "", 2150858779, 2150858779, 4, 13},
	{"fragment of an enumeration", withHeader(enumerateMessage(wmi+"Test_Pack", "", ""), fragmentHeader), "s:Sender", "w:UnsupportedFeature", "FragmentLevelAccess", 2150858871, 2150858871, 7, 11},
	{"XPath with an index", withHeader(get(wmi+"Test_Site", ""), `<w:FragmentTransfer>Name[1]</w:FragmentTransfer>`), "s:Sender", "n:CannotProcessFilter", "", 2150858899, 2150858899, 12, 5},
	{"fragment of a class", withHeader(get("http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/Test_Pack", ""), fragmentHeader), "s:Sender", "w:UnsupportedFeature", "FragmentLevelAccess", 2150858871, 2150858871, 7, 11},
	{"fragment dialect", withHeader(get(wmi+"Test_Site", ""), `<w:FragmentTransfer Dialect="urn:xquery">Name</w:FragmentTransfer>`), "s:Receiver", "w:FragmentDialectNotSupported", "", 2150858896, 2150858896, 7, 11},
	{"fragment of no property", withHeader(get(wmi+"Test_Site", ""), fragmentHeader), "s:Sender", "n:CannotProcessFilter", "", 2150858899, 2150858899, 12, 5},
	{"fragment that may be ignored", withHeader(get(wmi+"Test_Pack", "PackId=2"), `<w:FragmentTransfer s:mustUnderstand="false">Description</w:FragmentTransfer>`), "s:Sender", "a:InvalidMessageInformationHeader", "", 2150858767, 2150858767, 4, 5},
	{"Put of no fragment", withHeader(put(wmi+"Test_Pack", "PackId=2", `<Test_Pack/>`), fragmentHeader), "s:Sender", "x:InvalidRepresentation", "InvalidFragment", 2150858841, 2150858841, 4, 6},
	{"Filter with text and an element", enumerateMessage(wmi+"*", "", wqlFilter("select * from Test_Pack<x/>")), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 2150858778, 15, 17},
	{"Filter with two elements", enumerateMessage(wmi+"Test_Pack", "", `<w:Filter Dialect="http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"><w:SelectorSet/><w:SelectorSet/></w:Filter>`), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 2150858778, 15, 17},
	{"access denied", get(wmi+"Test_Pack", "PackId=901"), "s:Sender", "w:AccessDenied", "", 5, 0x80041003, 2, 18},
	{"not available", get(wmi+"Test_Pack", "PackId=903"), "s:Receiver", "a:EndpointUnavailable", "", 2150858772, 0x80041009, 1, 21},
	{"time is up", withHeader(get(wmi+"Test_Pack", "PackId=904"), `<w:OperationTimeout>PT0.01S</w:OperationTimeout>`), "s:Receiver", "w:TimedOut", "", 2150858793, 2150858793, 1, 15},
	{"time of a method is up", withHeader(call(wmi+"Test_Pack", "Wait", "", ""), `<w:OperationTimeout>PT0.01S</w:OperationTimeout>`), "s:Receiver", "w:TimedOut", "", 2150858793, 2150858793, 1, 15},
	{"provider gives another status", get(wmi+"Test_Pack", "PackId=907"), "s:Receiver", "w:InternalError", "", 0x80041001, 0x80041001, 1, 0},
	{"long name", get(wmi+"Test_Pack", strings.Repeat("x", 5000)+"=1"), "s:Sender", "w:InvalidSelectors", "UnexpectedSelectors", 2150858843, 2150858843, 4, 5},
	{"SelectorSet of something else", withHeader(get(wmi+"Test_Site", ""), `<w:SelectorSet><w:Option Name="x"/></w:SelectorSet>`), "s:Sender", "w:SchemaValidationError", "", 2150858817, 2150858817, 4, 6},
	{"SelectorFilter without selectors", enumerateMessage(wmi+"Test_Pack", "", `<w:Filter Dialect="http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"/>`), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 2150858778, 15, 17},
	{"unknown property in WQL", enumerateMessage(wmi+"*", "", wqlFilter("select Odd from Test_Pack")), "s:Sender", "n:CannotProcessFilter", "", 2150858778, 0x80041017, 15, 17},
	{"provider panics", get(wmi+"Test_Pack", "PackId=900"), "s:Receiver", "w:InternalError", "", 0x80041001, 0x80041001, 1, 0},
	{"provider fails", get(wmi+"Test_Pack", "PackId=902"), "s:Receiver", "w:InternalError", "", 0x80041001, 0x80041001, 1, 0},
	{"provider refuses", get(wmi+"Test_Pack", "PackId=905"), "s:Receiver", "w:InternalError", "", 0x80041016, 0x80041016, 1, 7},
}

func manySelectors(n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf("S%d=1", i))
	}
	return strings.Join(s, ";")
}

func selectorFilter(name, value string) string {
	return `<w:Filter Dialect="http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"><w:SelectorSet><w:Selector Name="` +
		name + `">` + value + `</w:Selector></w:SelectorSet></w:Filter>`
}

// TestFaults sends each case as any client does and as PowerShell does.
func TestFaults(t *testing.T) {
	w := newWorld(3)
	w.packs = append(w.packs, pack{PackID: 50, Description: strings.Repeat("y", 20_000)})
	var log bytes.Buffer
	s := server(t, w, func(o *wsman.Options) {
		logTo(&log)(o)
		o.Limits.MaxEnvelopeSize = 20_000
	})
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			got := send(t, s, c.message.String())
			fault := checkFault(t, got, c.code, c.subcode, c.detail)
			wsman := fault.at("Detail/WSManFault")
			if wsman == nil || wsman.attr("Code") != strconv.FormatUint(uint64(c.wsman), 10) || wsman.attr("Machine") != "ls1.example.com" {
				t.Errorf("want Code %d in\n%s", c.wsman, got.raw)
			}
			provider := fault.at("Detail/WSManFault/Message/ProviderFault")
			if status := uint32(c.hresult); status>>16 == 0x8004 && c.subcode != "w:InternalError" && provider == nil {
				t.Errorf("no ProviderFault for status %#x\n%s", status, got.raw)
			}
			if provider != nil && provider.text("ExtendedError/__ExtendedStatus/StatusCode") != strconv.FormatUint(uint64(c.hresult), 10) {
				t.Errorf("want StatusCode %d in\n%s", c.hresult, got.raw)
			}
			if got.text("Header/RelatesTo") != messageID {
				t.Errorf("RelatesTo %q", got.text("Header/RelatesTo"))
			}

			if strings.Contains(c.message.header, "OptionSet") {
				return
			}
			got = send(t, s, withHeader(c.message, managed).String())
			fault = checkFault(t, got, c.code, c.subcode, c.detail)
			e := fault.at("Detail/MSFT_WmiError")
			if e == nil {
				t.Fatalf("no MSFT_WmiError in\n%s", got.raw)
			}
			for name, want := range map[string]string{
				"CIMStatusCode":  strconv.FormatUint(uint64(c.cim), 10),
				"error_Category": strconv.FormatUint(uint64(c.category), 10),
				"error_Code":     strconv.FormatUint(uint64(c.hresult), 10),
				"MessageID":      fmt.Sprintf("HRESULT 0x%08x", c.hresult),
				"Message":        fault.text("Reason/Text"),
			} {
				if e.text(name) != want {
					t.Errorf("%s is %q, want %q", name, e.text(name), want)
				}
			}
		})
	}
	if !strings.Contains(log.String(), secret) || !strings.Contains(log.String(), messageID) {
		t.Errorf("what went wrong is not in the log, or not whose request it was:\n%s", log.String())
	}
}

// checkFault checks what is the same in both forms, and returns the Fault element.
func checkFault(t *testing.T, got reply, code, subcode, detail string) *node {
	t.Helper()
	if got.status != 500 || got.node == nil {
		t.Fatalf("status %d, %s", got.status, got.raw)
	}
	if strings.Contains(got.raw, secret) || strings.Contains(got.raw, "goroutine") {
		t.Errorf("the client sees what is for the log only:\n%s", got.raw)
	}
	fault := got.at("Body/Fault")
	if fault == nil || fault.text("Code/Value") != code || fault.text("Code/Subcode/Value") != subcode {
		t.Fatalf("want %s %s, got\n%s", code, subcode, got.raw)
	}
	want := "<none>"
	if detail != "" {
		want = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/" + detail
	}
	if fault.text("Detail/FaultDetail") != want {
		t.Errorf("FaultDetail %q, want %q", fault.text("Detail/FaultDetail"), want)
	}
	actions := map[string]string{
		"s": "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault",
		"<": "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault",
		"a": "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault",
		"w": "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
		"b": "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
		"n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration/fault",
		"x": "http://schemas.xmlsoap.org/ws/2004/09/transfer/fault",
	}
	if got.text("Header/Action") != actions[subcode[:1]] {
		t.Errorf("Action %q for %s", got.text("Header/Action"), subcode)
	}
	if reason := fault.text("Reason/Text"); len(reason) < 10 || len(reason) > 2100 {
		t.Errorf("Reason %q", reason)
	}
	return fault
}

// TestFaultTable shows that the cases here and those of the other tests leave out no row.
func TestFaultTable(t *testing.T) {
	seen := map[wsman.FaultRow]bool{
		// TestUnreadable, TestHTTP, TestMaxEnumerations and TestConcurrentPull have these.
		{Code: "s:VersionMismatch", WSMan: 0x8033800D}:                                            true,
		{Code: "s:Sender", Subcode: "w:SchemaValidationError", WSMan: 0x80338043}:                 true,
		{Code: "s:Sender", Subcode: "w:EncodingLimit", Detail: "CharacterSet", WSMan: 0x8033804C}: true,
		{Code: "s:Sender", Subcode: "w:EncodingLimit", WSMan: 0x80338035}:                         true,
		{Code: "s:Sender", Subcode: "w:EncodingLimit", WSMan: 0x80338075}:                         true,
		{Code: "s:Sender", Subcode: "w:QuotaLimit", WSMan: 0x8033803F}:                            true,
		{Code: "s:Sender", Subcode: "w:Concurrency", WSMan: 0x80338032}:                           true,
	}
	for _, c := range faultCases {
		row := wsman.FaultRow{Code: c.code, Detail: c.detail, WSMan: c.wsman}
		if c.subcode != "<none>" {
			row.Subcode = c.subcode
		}
		if c.subcode == "w:InternalError" {
			row.WSMan = 0
		}
		seen[row] = true
	}
	for _, row := range wsman.FaultRows() {
		if !seen[row] {
			t.Errorf("no test has the fault %+v", row)
		}
	}
}

// TestTimeoutIsHonored measures that an operation ends when the client says, and when the server does.
func TestTimeoutIsHonored(t *testing.T) {
	s := server(t, newWorld(1), func(o *wsman.Options) { o.Limits.OperationTimeout = 50 * time.Millisecond })
	for _, header := range []string{"", `<w:OperationTimeout>PT20S</w:OperationTimeout>`, `<w:OperationTimeout>PT0.020S</w:OperationTimeout>`} {
		start := time.Now()
		got := send(t, s, withHeader(get(wmi+"Test_Pack", "PackId=904"), header).String())
		if took := time.Since(start); took < 20*time.Millisecond || took > 10*time.Second {
			t.Errorf("%q: took %v", header, took)
		}
		checkFault(t, got, "s:Receiver", "w:TimedOut", "")
	}
}
