// Package soap reads and writes SOAP 1.2 messages: it parses an XML 1.0 request into a [Document], an
// immutable tree whose names are resolved to namespace URIs, takes the envelope apart, writes XML by
// appending to a buffer, and converts between UTF-8 and the UTF-16 that some clients send.
//
// A server does, for each request:
//
//	utf8, charset, err := soap.Decode(contentType, body)
//	doc, err := soap.Parse(utf8, charset, soap.Limits{})
//	defer doc.Release()
//	envelope, err := soap.ReadEnvelope(doc)
//
// and answers with a [Writer], whose bytes [Charset.Encode] brings back to the charset of the request.
//
// The reader is stricter than the XML recommendation where SOAP 1.2 is (no document type declaration)
// and where encoding/xml is: whatever [Parse] accepts, encoding/xml accepts too and reads the same. In
// particular white space in attribute values is kept, except that line ends become \n as they do in
// text, and names follow the character tables of XML 1.0, fourth edition. QNames inside of attribute
// values and of text, such as Type="xs:int" where nothing declares xs, are plain text.
//
// The package knows nothing of WS-Management operations, CIM, WQL or licensing, and it does no input or
// output.
package soap

// Namespace URIs of the messages that WS-Management clients and servers exchange. The comment gives the
// prefix that the WS-Management documents use; readers must compare URIs only.
const (
	NamespaceXML         = "http://www.w3.org/XML/1998/namespace"                            // xml
	NamespaceXMLNS       = "http://www.w3.org/2000/xmlns/"                                   // xmlns
	NamespaceXSI         = "http://www.w3.org/2001/XMLSchema-instance"                       // xsi
	NamespaceXSD         = "http://www.w3.org/2001/XMLSchema"                                // xs
	NamespaceEnvelope    = "http://www.w3.org/2003/05/soap-envelope"                         // s, SOAP 1.2
	NamespaceEnvelope11  = "http://schemas.xmlsoap.org/soap/envelope/"                       // SOAP 1.1
	NamespaceAddressing  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"                // a
	NamespaceEnumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"               // n
	NamespaceTransfer    = "http://schemas.xmlsoap.org/ws/2004/09/transfer"                  // x
	NamespaceWSMan       = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"                  // w
	NamespaceCIMBinding  = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"             // b
	NamespaceIdentity    = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd" // wsmid
	NamespaceCIM         = "http://schemas.dmtf.org/wbem/wscim/1/common"                     // cim
	NamespaceMSWSMan     = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"             // p
	NamespaceWSManFault  = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"            // f
)

// Name is an expanded name: the URI of the namespace, empty if there is none, and the local part.
type Name struct {
	Space, Local string
}

// String returns the name in the notation {URI}local, or only local if there is no namespace.
func (n Name) String() string {
	if n.Space == "" {
		return n.Local
	}
	return "{" + n.Space + "}" + n.Local
}
