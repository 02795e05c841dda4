package soap_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"calkeeper/internal/wsman/soap"
)

func BenchmarkParse(b *testing.B) {
	data := fixtures(b)["powershell-get"]
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		doc, err := soap.Parse(data, soap.UTF8, soap.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		doc.Release()
	}
}

// BenchmarkParseEnvelope reads what a server needs of a request.
func BenchmarkParseEnvelope(b *testing.B) {
	data := fixtures(b)["powershell-get"]
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		text, charset, err := soap.Decode("application/soap+xml;charset=UTF-8", data)
		if err != nil {
			b.Fatal(err)
		}
		doc, err := soap.Parse(text, charset, soap.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		envelope, err := soap.ReadEnvelope(doc)
		if err != nil {
			b.Fatal(err)
		}
		for header := range envelope.Header.Children() {
			if _, err := soap.MustUnderstand(header); err != nil {
				b.Fatal(err)
			}
			header.Text()
		}
		doc.Release()
	}
}

func BenchmarkParseEncodingXML(b *testing.B) {
	data := fixtures(b)["powershell-get"]
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var request requestXML
		if err := xml.Unmarshal(data, &request); err != nil {
			b.Fatal(err)
		}
	}
}

// requestXML is a Get request as a user of encoding/xml would declare it.
type requestXML struct {
	XMLName xml.Name `xml:"http://www.w3.org/2003/05/soap-envelope Envelope"`
	Header  struct {
		To          string     `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing To"`
		Action      string     `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing Action"`
		MessageID   string     `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing MessageID"`
		ReplyTo     string     `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing ReplyTo>Address"`
		ResourceURI string     `xml:"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd ResourceURI"`
		MaxSize     int        `xml:"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd MaxEnvelopeSize"`
		Timeout     string     `xml:"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd OperationTimeout"`
		Selectors   []selector `xml:"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd SelectorSet>Selector"`
	} `xml:"http://www.w3.org/2003/05/soap-envelope Header"`
	Body struct{} `xml:"http://www.w3.org/2003/05/soap-envelope Body"`
}

type selector struct {
	Name  string `xml:"Name,attr"`
	Value string `xml:",chardata"`
}

// property is one property of the reply to a Get request.
type property struct {
	name, value string
}

var keyPack = []property{
	{"p:AccessRights", "0"}, {"p:AvailableLicenses", "95"}, {"p:Description", "A02-8.00-S"}, {"p:ExpirationDate", "2036-01-01T00:00:00Z"},
	{"p:IssuedLicenses", "5"}, {"p:KeyPackId", "2"}, {"p:KeyPackType", "6"}, {"p:ProductType", "3"}, {"p:ProductVersion", "Windows Server 2022"},
	{"p:ProductVersionID", "7"}, {"p:TotalLicenses", "100"}, {"p:TypeAndModel", "RDS Per User CAL & <built-in>"},
}

const classURI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_TSLicenseKeyPack"

// writeReply writes the reply to a Get request.
func writeReply(w *soap.Writer) {
	w.Start("s:Envelope", "xml:lang", "en-US", "xmlns:s", soap.NamespaceEnvelope, "xmlns:a", soap.NamespaceAddressing)
	w.Start("s:Header")
	w.Element("a:Action", "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse")
	w.Element("a:MessageID", "uuid:9EA87B97-CAC9-4C2E-9F13-36E0A62AF3EF")
	w.Element("a:To", "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous")
	w.Element("a:RelatesTo", "uuid:4ED2993C-4339-4E99-81FC-C2FD3812781A")
	w.End()
	w.Start("s:Body")
	w.Start("p:Win32_TSLicenseKeyPack", "xmlns:xsi", soap.NamespaceXSI, "xmlns:p", classURI)
	w.Attr("xsi:type", "p:Win32_TSLicenseKeyPack_Type")
	for i := range keyPack {
		w.Element(keyPack[i].name, keyPack[i].value)
	}
	w.End()
	w.End()
	w.End()
}

func BenchmarkWrite(b *testing.B) {
	var w soap.Writer
	writeReply(&w)
	xml, err := w.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(xml)))
	b.ReportAllocs()
	for b.Loop() {
		w.Reset(xml)
		writeReply(&w)
		if xml, err = w.Bytes(); err != nil {
			b.Fatal(err)
		}
	}
}

// replyXML is the same reply as a user of encoding/xml would declare it.
type replyXML struct {
	XMLName xml.Name `xml:"http://www.w3.org/2003/05/soap-envelope Envelope"`
	Lang    string   `xml:"xml:lang,attr"`
	Header  struct {
		Action    string `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing Action"`
		MessageID string `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing MessageID"`
		To        string `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing To"`
		RelatesTo string `xml:"http://schemas.xmlsoap.org/ws/2004/08/addressing RelatesTo"`
	} `xml:"http://www.w3.org/2003/05/soap-envelope Header"`
	Body struct {
		KeyPack struct {
			XMLName    xml.Name
			Type       string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
			Properties []propertyXML
		}
	} `xml:"http://www.w3.org/2003/05/soap-envelope Body"`
}

type propertyXML struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

func BenchmarkWriteEncodingXML(b *testing.B) {
	var reply replyXML
	reply.Lang = "en-US"
	reply.Header.Action = "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse"
	reply.Header.MessageID = "uuid:9EA87B97-CAC9-4C2E-9F13-36E0A62AF3EF"
	reply.Header.To = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
	reply.Header.RelatesTo = "uuid:4ED2993C-4339-4E99-81FC-C2FD3812781A"
	reply.Body.KeyPack.XMLName = xml.Name{Space: classURI, Local: "Win32_TSLicenseKeyPack"}
	reply.Body.KeyPack.Type = "p:Win32_TSLicenseKeyPack_Type"
	for _, p := range keyPack {
		reply.Body.KeyPack.Properties = append(reply.Body.KeyPack.Properties, propertyXML{xml.Name{Local: strings.TrimPrefix(p.name, "p:")}, p.value})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := xml.NewEncoder(io.Discard).Encode(&reply); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodeUTF16 brings a reply back to the charset of a client that sent UTF-16.
func BenchmarkEncodeUTF16(b *testing.B) {
	data := fixtures(b)["powershell-enumerate"]
	var wire []byte
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		wire = soap.UTF16LE.Encode(wire[:0], data)
	}
}
