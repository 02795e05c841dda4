package wsman

import "calkeeper/internal/wsman/soap"

// hiddenVersion stands for a version that is not told: the form is that of Windows, which clients take apart.
const hiddenVersion = "OS: 0.0.0 SP: 0.0 Stack: 3.0"

func isIdentify(body soap.Element) bool {
	_, ok := body.Child(soap.NamespaceIdentity, "Identify")
	return ok
}

// identify answers who is there (DSP0226): without WS-Addressing headers, as the request has none.
func (x *exchange) identify() {
	version := x.server.options.Product.Version
	if x.anonymous || version == "" {
		version = hiddenVersion
	}
	w := &x.writer
	w.Start("s:Envelope", "xml:lang", language, "xmlns:s", soap.NamespaceEnvelope)
	w.Start("s:Header")
	w.End()
	w.Start("s:Body")
	w.Start("wsmid:IdentifyResponse", "xmlns:wsmid", soap.NamespaceIdentity)
	w.Element("wsmid:ProtocolVersion", soap.NamespaceWSMan)
	w.Element("wsmid:ProductVendor", x.server.options.Product.Vendor)
	w.Element("wsmid:ProductVersion", version)
	w.End()
	w.End()
	w.End()
}
