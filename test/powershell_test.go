package test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The resource URIs of PowerShell: of instances, and of classes.
const (
	dmtfURI   = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
	cimXMLURI = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*"
)

// powershell sends what the CIM cmdlets of PowerShell were recorded to send, over HTTP with Basic.
type powershell struct{ url, user, password string }

func (p *powershell) send(t *testing.T, o operation) (string, string) {
	t.Helper()
	var selectors strings.Builder
	for _, name := range slices.Sorted(maps.Keys(o.Selectors)) {
		fmt.Fprintf(&selectors, `<w:Selector Name="%s">%s</w:Selector>`, name, escape(o.Selectors[name]))
	}
	option := func(name, typ, value string) string {
		return fmt.Sprintf(`<w:Option Name="%s" Type="xs:%s">%s</w:Option>`, name, typ, value)
	}
	options := option("__MI_CallbackRegistration", "int", "11") + option("wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE", "unsignedInt", "0") +
		option("wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE", "unsignedInt", "1") + option("wmi:__MI_OPERATIONOPTIONS_WRITEERRORMODE", "unsignedInt", "1") +
		option("msftwinrm:UsePreciseArrays", "boolean", "true")
	if o.URI == cimXMLURI {
		options = option("IncludeInheritanceHierarchy", "boolean", "true") + option("IncludeInheritedElements", "boolean", "true") +
			option("IncludeQualifiers", "boolean", "true") + options
	}
	envelope := `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:n="` + enumerationURI +
		`" xmlns:w="` + wsmanURI + `" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd">` +
		`<s:Header><a:To>http://HOST:5985/wsman</a:To><w:ResourceURI s:mustUnderstand="true">` + o.URI + `</w:ResourceURI>` +
		`<a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
		`<a:Action s:mustUnderstand="true">` + o.Action + `</a:Action><w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize>` +
		`<a:MessageID>uuid:366DF5CE-7321-4A01-A15B-D84EB70484BF</a:MessageID><w:Locale xml:lang="en-GB" s:mustUnderstand="false" />` +
		`<p:DataLocale xml:lang="en-GB" s:mustUnderstand="false" /><p:SessionId s:mustUnderstand="false">uuid:91A8C559-4CF3-4B9B-9A19-F7B2AC92F6B7</p:SessionId>` +
		`<p:OperationID s:mustUnderstand="false">uuid:29FC5235-07E8-4FE3-A1BF-4EFA8B0B2A5C</p:OperationID><p:SequenceId s:mustUnderstand="false">1</p:SequenceId>` +
		`<w:SelectorSet>` + selectors.String() + `</w:SelectorSet><w:OptionSet xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` + options + `</w:OptionSet>` +
		`<w:OperationTimeout>PT60.000S</w:OperationTimeout></s:Header><s:Body>` + o.Body + `</s:Body></s:Envelope>`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url, strings.NewReader(envelope))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	r.SetBasicAuth(p.user, p.password)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Sprintf("HTTP status %d: %s", response.StatusCode, bytes.TrimSpace(answer))
	}
	return string(answer), ""
}

// classFetch is how Get-CimClass, and every other cmdlet before it types values, gets a class.
func classFetch(namespace, class string) operation {
	return operation{URI: cimXMLURI, Action: transferURI + "/Get", Selectors: map[string]string{"__cimnamespace": namespace, "ClassName": class}}
}

// getCimInstance is Get-CimInstance -ClassName, or with a query -Query.
func getCimInstance(namespace, class, wql string) operation {
	o := operation{URI: dmtfURI + class, Action: enumerationURI + "/Enumerate", Selectors: map[string]string{"__cimnamespace": namespace}}
	filter := ""
	if wql != "" {
		filter = `<w:Filter Dialect="` + wqlDialect + `">` + escape(wql) + `</w:Filter>`
	}
	o.Body = `<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>` + filter +
		`<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode></n:Enumerate>`
	return o
}
