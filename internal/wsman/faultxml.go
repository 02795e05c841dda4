package wsman

import (
	"fmt"
	"strconv"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

const faultDetail = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

// writeFault replaces the reply by a fault (SOAP 1.2 Part 1, 5.4; DSP0226, clause 14).
func (x *exchange) writeFault(f *fault) {
	w := &x.writer
	rewind(w)
	w.Start("s:Envelope", "xml:lang", language, "xmlns:s", soap.NamespaceEnvelope, "xmlns:a", soap.NamespaceAddressing,
		"xmlns:n", soap.NamespaceEnumeration, "xmlns:x", soap.NamespaceTransfer, "xmlns:w", soap.NamespaceWSMan,
		"xmlns:b", soap.NamespaceCIMBinding, "xmlns:p", soap.NamespaceMSWSMan)
	w.Start("s:Header")
	w.Element("a:Action", f.action())
	w.Element("a:MessageID", x.server.newID())
	w.Element("a:To", anonymousAddress)
	w.Element("a:RelatesTo", x.request.relatesTo())
	w.Raw(x.request.faultReferences)
	for _, name := range f.notUnderstood { // SOAP 1.2 Part 1, 5.4.8
		if name.Space == "" {
			w.Start("s:NotUnderstood", "qname", name.Local)
		} else {
			w.Start("s:NotUnderstood", "qname", "u:"+name.Local, "xmlns:u", name.Space)
		}
		w.End()
	}
	if f.row.cause == versionMismatch { // SOAP 1.2 Part 1, 5.4.7
		w.Start("s:Upgrade")
		w.Start("s:SupportedEnvelope", "qname", "s:Envelope")
		w.End()
		w.End()
	}
	w.End()
	w.Start("s:Body")
	w.Start("s:Fault")
	w.Start("s:Code")
	w.Element("s:Value", f.row.code)
	if f.row.subcode != "" {
		w.Start("s:Subcode")
		w.Element("s:Value", f.row.subcode)
		w.End()
	}
	w.End()
	w.Start("s:Reason")
	w.Element("s:Text", f.Error(), "xml:lang", language)
	w.End()
	w.Start("s:Detail")
	if f.row.detail != "" {
		w.Element("w:FaultDetail", faultDetail+f.row.detail)
	}
	if x.request.managed {
		x.cimError(f)
	} else {
		x.wsmanFault(f)
	}
	w.End()
	w.End()
	w.End()
	w.End()
}

// wsmanFault writes what winrm, pywinrm, pypsrp and openwsman read. What the object model refused comes from a provider.
func (x *exchange) wsmanFault(f *fault) {
	w := &x.writer
	code, machine := strconv.FormatUint(uint64(f.code()), 10), x.server.options.ServerName
	w.Start("f:WSManFault", "xmlns:f", soap.NamespaceWSManFault, "Code", code, "Machine", machine)
	w.Start("f:Message")
	if f.status == 0 {
		w.Text(f.Error())
	} else {
		w.Start("f:ProviderFault", "provider", "WMI Provider")
		w.Start("f:WSManFault", "Code", code, "Machine", machine)
		w.Element("f:Message", f.Error())
		w.End()
		w.Start("f:ExtendedError")
		x.extendedStatus(f)
		w.End()
		w.End()
	}
	w.End()
	w.End()
}

// extendedStatus writes the class that WMI describes errors with, in the form of resource URI that the request has. Windows
// writes xsi:type for properties under a DMTF URI only.
func (x *exchange) extendedStatus(f *fault) {
	w := &x.writer
	uri, dmtf := normalizeURI(x.request.resourceURI), true
	if rest, ok := cutPrefixFold(uri, prefixWMI); ok {
		dmtf, uri = false, prefixWMI+defaultNamespace+"/__ExtendedStatus"
		if ns := x.server.namespaces[namespaceOf(rest)]; ns != nil {
			uri = prefixWMI + ns.cim.Name + "/__ExtendedStatus"
		}
	} else {
		uri = prefixDMTF + "__ExtendedStatus"
	}
	w.Start("p:__ExtendedStatus", "xmlns:xsi", soap.NamespaceXSI, "xmlns:p", uri, "xmlns:cim", soap.NamespaceCIM,
		"xsi:type", "p:__ExtendedStatus_Type")
	property := func(name, typ, value string) {
		w.Start(name)
		if value == "" {
			w.Attr("xsi:nil", "true")
		}
		if dmtf {
			w.Attr("xsi:type", "cim:"+typ)
		}
		if value != "" {
			w.Text(value)
		}
		w.End()
	}
	property("p:Description", "cimString", f.msg)
	property("p:Operation", "cimString", x.operationName())
	property("p:ParameterInfo", "cimString", "")
	property("p:ProviderName", "cimString", "")
	property("p:StatusCode", "cimUnsignedInt", strconv.FormatUint(uint64(f.status), 10))
	w.End()
}

// namespaceOf returns the namespace in what follows the prefix of a wmi URI.
func namespaceOf(rest string) string {
	for i := len(rest) - 1; i >= 0; i-- {
		if rest[i] == '/' {
			return cim.NormalizeNamespace(rest[:i])
		}
	}
	return ""
}

// operationName returns the operation as WMI names it.
func (x *exchange) operationName() string {
	switch x.request.action {
	case actionGet:
		return "GetObject"
	case actionPut:
		return "PutInstance"
	case actionEnumerate, actionPull:
		return "ExecQuery"
	}
	return "ExecMethod"
}

// cimError writes what PowerShell reads: an instance of CIM_Error (DSP0227). FullyQualifiedErrorId is its MessageID.
func (x *exchange) cimError(f *fault) {
	w := &x.writer
	w.Start("p:MSFT_WmiError", "b:IsCIM_Error", "true", "xmlns:xsi", soap.NamespaceXSI,
		"xmlns:p", prefixDMTF+"MSFT_WmiError", "xmlns:cim", soap.NamespaceCIM, "xsi:type", "p:MSFT_WmiError_Type")
	text := func(name, value string) { w.Element(name, value, "xsi:type", "cim:cimString") }
	null := func(name string) {
		w.Start(name, "xsi:type", "cim:cimString", "xsi:nil", "true")
		w.End()
	}
	number := func(name, typ string, value uint32) {
		w.Start(name, "xsi:type", typ)
		w.Uint(uint64(value))
		w.End()
	}
	const long, short = "cim:cimUnsignedInt", "cim:cimUnsignedShort"
	number("p:CIMStatusCode", long, f.row.cimCode)
	null("p:CIMStatusCodeDescription")
	null("p:ErrorSource")
	number("p:ErrorSourceFormat", short, 0)
	number("p:ErrorType", short, 0)
	text("p:Message", f.Error())
	text("p:MessageID", fmt.Sprintf("HRESULT 0x%08x", f.hresult()))
	null("p:OtherErrorSourceFormat")
	null("p:OtherErrorType")
	null("p:OwningEntity")
	number("p:PerceivedSeverity", short, 0)
	number("p:ProbableCause", short, 0)
	null("p:ProbableCauseDescription")
	number("p:error_Category", long, f.row.category)
	number("p:error_Code", long, f.hresult())
	text("p:error_Type", "HRESULT")
	text("p:error_WindowsErrorMessage", f.Error())
	w.End()
}
