package wsman_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// The tests in conformance_*_test.go are those of the table of conformance in docs/protocol.md that no other test stands for.

// headerBlocks are the header blocks that every request of a table needs, by name.
func headerBlocks(action, uri string) map[string]string {
	return map[string]string{
		"To": `<a:To>http://x/wsman</a:To>`, "Action": `<a:Action>` + action + `</a:Action>`, "MessageID": `<a:MessageID>` + messageID + `</a:MessageID>`,
		"ReplyTo":     `<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>`,
		"ResourceURI": `<w:ResourceURI>` + uri + `</w:ResourceURI>`,
	}
}

// envelope puts a message together of header blocks.
func envelope(blocks map[string]string, more, body string) string {
	var header strings.Builder
	for _, block := range blocks {
		header.WriteString(block)
	}
	return `<s:Envelope ` + namespaces + `><s:Header>` + header.String() + more + `</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

// TestRequiredHeaders leaves out, and empties, each header that every request needs.
func TestRequiredHeaders(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, operation := range []struct{ action, body string }{
		{transfer + "Get", ""}, {transfer + "Put", "<Test_Site/>"}, {enumeration + "Enumerate", "<n:Enumerate/>"},
		{enumeration + "Pull", "<n:Pull/>"}, {enumeration + "Release", "<n:Release/>"}, {wmi + "Test_Site/Activate", ""},
	} {
		for _, c := range []struct{ name, instead, subcode, detail string }{
			{"To", "", "a:MessageInformationHeaderRequired", ""},
			{"Action", "", "a:MessageInformationHeaderRequired", ""},
			{"Action", "<a:Action> </a:Action>", "a:MessageInformationHeaderRequired", ""},
			{"MessageID", "", "a:InvalidMessageInformationHeader", ""},
			{"MessageID", "<a:MessageID/>", "a:InvalidMessageInformationHeader", ""},
			{"ReplyTo", "", "a:MessageInformationHeaderRequired", ""},
			{"ReplyTo", "<a:ReplyTo/>", "w:UnsupportedFeature", "AddressingMode"},
			{"ResourceURI", "", "a:DestinationUnreachable", "InvalidResourceURI"},
			{"ResourceURI", "<w:ResourceURI/>", "a:DestinationUnreachable", "InvalidResourceURI"},
		} {
			blocks := headerBlocks(operation.action, wmi+"Test_Site")
			blocks[c.name] = c.instead
			t.Run(operation.action+" "+c.name+" "+c.instead, func(t *testing.T) {
				checkFault(t, send(t, s, envelope(blocks, "", operation.body)), "s:Sender", c.subcode, c.detail)
			})
		}
	}
}

// TestDuplicateHeaders sends each header that is understood twice.
func TestDuplicateHeaders(t *testing.T) {
	s := server(t, newWorld(1), nil)
	blocks := headerBlocks(transfer+"Get", wmi+"Test_Site")
	once := map[string]string{
		"FaultTo":     `<a:FaultTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:FaultTo>`,
		"SelectorSet": `<w:SelectorSet><w:Selector Name="__cimnamespace">root/cimv2</w:Selector></w:SelectorSet>`,
		"OptionSet":   `<w:OptionSet/>`, "OperationTimeout": `<w:OperationTimeout>PT20S</w:OperationTimeout>`,
		"MaxEnvelopeSize": `<w:MaxEnvelopeSize>51200</w:MaxEnvelopeSize>`, "FragmentTransfer": `<w:FragmentTransfer>Name</w:FragmentTransfer>`,
		"Locale": `<w:Locale xml:lang="en-US"/>`, "DataLocale": `<p:DataLocale xml:lang="en-US"/>`, "ActivityId": `<p:ActivityId>x</p:ActivityId>`,
	}
	for name, block := range once {
		if got := send(t, s, envelope(blocks, block, "")); got.status != 200 {
			t.Errorf("%s once: %s", name, got.raw)
		}
		checkFault(t, send(t, s, envelope(blocks, block+block, "")), "s:Sender", "a:InvalidMessageInformationHeader", "")
	}
	for name, block := range blocks {
		got := send(t, s, envelope(blocks, block, ""))
		if got.text("Body/Fault/Code/Subcode/Value") != "a:InvalidMessageInformationHeader" {
			t.Errorf("%s twice: %s", name, got.raw)
		}
	}
}

// TestUnknownHeaders marks a header that nobody knows for those who may have to understand it (SOAP 1.2 Part 1, 2.2 to 2.4).
func TestUnknownHeaders(t *testing.T) {
	s := server(t, newWorld(1), nil)
	const role = "http://www.w3.org/2003/05/soap-envelope/role/"
	for _, c := range []struct {
		attributes string
		binds      bool
	}{
		{``, false}, {`s:mustUnderstand="false"`, false}, {`s:mustUnderstand="0"`, false}, {`mustUnderstand="true"`, false},
		{`s:mustUnderstand="true"`, true}, {`s:mustUnderstand="1"`, true}, {`s:mustUnderstand="true" s:role=""`, true},
		{`s:mustUnderstand="true" s:role="` + role + `next"`, true}, {`s:mustUnderstand="true" s:role="` + role + `ultimateReceiver"`, true},
		{`s:mustUnderstand="true" s:role="` + role + `none"`, false}, {`s:mustUnderstand="true" s:role="urn:proxy"`, false},
	} {
		for _, name := range []string{`x:Odd xmlns:x="urn:x"`, `w:RequestEPR`, `p:Odd`, `a:Odd`, `n:MaxElements`, `Odd`} {
			got := send(t, s, withHeader(get(wmi+"Test_Site", ""), `<`+name+` `+c.attributes+`/>`).String())
			if !c.binds {
				if got.status != 200 {
					t.Errorf("%s %s: %s", name, c.attributes, got.raw)
				}
				continue
			}
			checkFault(t, got, "s:MustUnderstand", "<none>", "")
			local := name[strings.IndexByte(name, ':')+1:]
			local, _, _ = strings.Cut(local, " ")
			if q := got.at("Header/NotUnderstood").attr("qname"); q != local && !strings.HasSuffix(q, ":"+local) {
				t.Errorf("%s: qname %q", name, q)
			}
		}
	}
	// All that is not understood is named, and nothing is done.
	w := newWorld(1)
	got := send(t, server(t, w, nil), withHeader(put(wmi+"Test_Site", "", "<Test_Site><Company>New</Company></Test_Site>"),
		`<x:One xmlns:x="urn:x" s:mustUnderstand="1"/><x:Two xmlns:x="urn:x"/><x:Three xmlns:x="urn:x" s:mustUnderstand="true"/>`).String())
	checkFault(t, got, "s:MustUnderstand", "<none>", "")
	if n := len(got.at("Header").all("NotUnderstood")); n != 2 || w.site.Company == "New" {
		t.Errorf("%d headers named, Company %q", n, w.site.Company)
	}
}

// TestHintsAreIgnored sends headers that a service may leave alone, and looks for what a reply must not promise.
func TestHintsAreIgnored(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, block := range []string{
		`<a:From s:mustUnderstand="true"><a:Address>http://me/</a:Address></a:From>`, `<a:RelatesTo>uuid:1</a:RelatesTo>`,
		`<w:RequestEPR/>`, `<w:RequestTotalItemsCountEstimate s:mustUnderstand="true"/>`,
		`<w:Locale xml:lang="de-DE" s:mustUnderstand="false"/>`, `<p:DataLocale xml:lang="de-DE" s:mustUnderstand="false"/>`,
		`<p:SessionId s:mustUnderstand="true">uuid:1</p:SessionId>`, `<p:ActivityId s:mustUnderstand="true">` + strings.Repeat("x", 2048) + `</p:ActivityId>`,
		`<p:OperationID s:mustUnderstand="false">uuid:1</p:OperationID><p:SequenceId s:mustUnderstand="false">1</p:SequenceId>`,
		`<p:OperationID s:mustUnderstand="true">uuid:1</p:OperationID><p:SequenceId s:mustUnderstand="true">1</p:SequenceId>`,
	} {
		for _, m := range []message{get(wmi+"Test_Site", ""), get(wmi+"Test_None", ""), enumerateMessage(wmi+"Test_Pack", "", "")} {
			want := 200
			if m.uri == wmi+"Test_None" {
				want = 500
			}
			got := send(t, s, withHeader(m, block).String())
			if got.status != want {
				t.Errorf("%s: %d %s", block, got.status, got.raw)
			}
			for _, name := range []string{"OperationID", "SequenceId", "RequestedEPR", "TotalItemsCountEstimate"} {
				if got.at("Header/"+name) != nil {
					t.Errorf("%s: the reply has %s", block, name)
				}
			}
		}
	}
}

// TestReplyHeaders checks what every reply and every fault has: its own MessageID, and the request's as it was written.
func TestReplyHeaders(t *testing.T) {
	s := server(t, newWorld(1), nil)
	seen := map[string]bool{}
	for _, id := range []string{"uuid:bb3ad5cb-2152-4CBA-8575-e59f817ee755", "UUID:BB3AD5CB-2152-4CBA-8575-E59F817EE755", "urn:uuid:1", " x y ",
		"http://me/1", strings.Repeat("i", 2048)} {
		for _, uri := range []string{wmi + "Test_Site", wmi + "Test_None"} {
			blocks := headerBlocks(transfer+"Get", uri)
			blocks["MessageID"] = "<a:MessageID>" + id + "</a:MessageID>"
			got := send(t, s, envelope(blocks, "", ""))
			own := got.text("Header/MessageID")
			if got.text("Header/RelatesTo") != id || seen[strings.ToLower(own)] || !strings.HasPrefix(own, "uuid:") {
				t.Errorf("%q: %s", id, got.raw)
			}
			seen[strings.ToLower(own)] = true
			if got.text("Header/To") != "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous" || got.at("Header/ResourceURI") != nil ||
				got.at("Header/OptionSet") != nil || got.attr("lang") != "en-US" {
				t.Error(got.raw)
			}
			if text := got.at("Body/Fault/Reason/Text"); text != nil && text.attr("lang") != "en-US" {
				t.Error(got.raw)
			}
		}
	}
	blocks := headerBlocks(transfer+"Get", wmi+"Test_Site")
	blocks["MessageID"] = "<a:MessageID>" + strings.Repeat("i", 2049) + "</a:MessageID>"
	got := send(t, s, envelope(blocks, "", ""))
	checkFault(t, got, "s:Sender", "a:InvalidMessageInformationHeader", "")
	if got.text("Header/RelatesTo") != "http://schemas.xmlsoap.org/ws/2004/08/addressing/id/unspecified" {
		t.Errorf("RelatesTo %q", got.text("Header/RelatesTo"))
	}
}

// TestReferenceParameters has the server repeat what belongs to the endpoint of the reply, or of the fault.
func TestReferenceParameters(t *testing.T) {
	s := server(t, newWorld(1), nil)
	endpoint := func(name, content string) string {
		return `<a:` + name + `><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address>` + content + `</a:` + name + `>`
	}
	reply := endpoint("ReplyTo", `<a:ReferenceProperties><One>1</One></a:ReferenceProperties><a:ReferenceParameters>`+
		`<x:Two xmlns:x="urn:x&amp;y" xml:lang="de" plain="&lt;" x:of="x" s:mustUnderstand="0">&amp;<x:Three/><Four xmlns="urn:z"/></x:Two></a:ReferenceParameters>`)
	for _, c := range []struct{ uri, header, want string }{
		{wmi + "Test_Site", reply, "One Two"}, {wmi + "Test_None", reply, "One Two"},
		{wmi + "Test_Site", reply + endpoint("FaultTo", `<a:ReferenceParameters><Five/></a:ReferenceParameters>`), "One Two"},
		{wmi + "Test_None", reply + endpoint("FaultTo", `<a:ReferenceParameters><Five/></a:ReferenceParameters>`), "Five"},
		{wmi + "Test_None", reply + endpoint("FaultTo", ""), ""},
		{wmi + "Test_Site", endpoint("ReplyTo", `<Odd>x</Odd><a:ReferenceParameters/>`), ""},
	} {
		got := send(t, s, withHeader(get(c.uri, ""), c.header).String())
		var names []string
		for _, e := range got.at("Header").Children[4:] {
			names = append(names, e.XMLName.Local)
		}
		if strings.Join(names, " ") != c.want {
			t.Errorf("%s: %v", c.header, names)
		}
		if two := got.at("Header/Two"); two != nil && (two.XMLName.Space != "urn:x&y" || two.Text != "&" || two.attr("lang") != "de" || two.attr("plain") != "<" ||
			two.attr("of") != "x" || two.attr("mustUnderstand") != "0" || two.at("Three").XMLName.Space != "urn:x&y" || two.at("Four").XMLName.Space != "urn:z") {
			t.Error(got.raw)
		}
	}
	for _, long := range []string{strings.Repeat("<x/>", 2000), "<x>" + strings.Repeat("x", 5000) + "</x>",
		`<x:a xmlns:x="urn:` + strings.Repeat("x", 4000) + `"><x:b/></x:a>`} {
		for _, name := range []string{"ReplyTo", "FaultTo"} {
			got := send(t, s, withHeader(get(wmi+"Test_Site", ""), endpoint(name, "<a:ReferenceParameters>"+long+"</a:ReferenceParameters>")).String())
			checkFault(t, got, "s:Sender", "a:InvalidMessageInformationHeader", "")
			if len(got.raw) > 4096 {
				t.Errorf("%d bytes", len(got.raw))
			}
		}
	}
}

// TestAddressesOfReplies refuses to send a reply or a fault to anybody but the caller.
func TestAddressesOfReplies(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, address := range []string{"http://else/", "", "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous/x", "urn:x"} {
		for _, name := range []string{"ReplyTo", "FaultTo"} {
			got := send(t, s, withHeader(get(wmi+"Test_Site", ""), "<a:"+name+"><a:Address>"+address+"</a:Address></a:"+name+">").String())
			checkFault(t, got, "s:Sender", "w:UnsupportedFeature", "AddressingMode")
		}
	}
}

// TestWhitespaceAndComments checks that neither changes what a message means (DSP0226, clause 13).
func TestWhitespaceAndComments(t *testing.T) {
	w := newWorld(1)
	s := server(t, w, nil)
	pad := func(value string) string { return "<!-- a -->\n\t " + value + " \r\n<!-- b -->" }
	blocks := map[string]string{}
	for name, block := range headerBlocks(transfer+"Get", wmi+"Test_Pack") {
		if name != "MessageID" { // which is repeated as it came
			open := strings.LastIndexByte(block[:strings.Index(block, "</")], '>') + 1
			block = block[:open] + pad(block[open:strings.Index(block, "</")]) + block[strings.Index(block, "</"):]
		}
		blocks[name] = "<!-- -->" + block
	}
	got := send(t, s, envelope(blocks, `<w:SelectorSet><!-- --><w:Selector Name=" PackId ">`+pad("2")+`</w:Selector></w:SelectorSet>`+
		`<w:OperationTimeout>`+pad("PT20S")+`</w:OperationTimeout><w:MaxEnvelopeSize>`+pad("8192")+`</w:MaxEnvelopeSize>`, "<!-- nothing -->"))
	if got.text("Body/Test_Pack/PackId") != "2" {
		t.Error(got.raw)
	}
	got = send(t, s, call(wmi+"Test_Pack", "Flavors", "", `<!-- --><Flavors_INPUT><Yes> <!-- -->true </Yes><List>a</List><When> 2030-01-01T00:00:00Z </When></Flavors_INPUT>`).String())
	if got.text("Body/Flavors_OUTPUT/Yes") != "true" {
		t.Error(got.raw)
	}
	got = send(t, s, enumerate(wmi+"*", "", "<w:OptimizeEnumeration/><w:MaxElements> 5\n</w:MaxElements><w:EnumerationMode>\tEnumerateEPR </w:EnumerationMode>"+
		wqlFilter("select * <!-- all -->\nfrom Test_Pack")))
	if found, _, end := got.items(t); len(found) != 1 || !end {
		t.Error(got.raw)
	}
	if strings.Contains(got.raw, "<!--") || strings.Contains(got.raw, "\n") {
		t.Errorf("the reply has comments, or white space of its own: %s", got.raw)
	}
}

// TestSOAPAction checks that the HTTP field may be there, and may be missing.
func TestSOAPAction(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, value := range []string{"", transfer + "Get", `"` + transfer + `Get"`} {
		r := newRequest(getSite)
		if value != "" {
			r.Header.Set("SOAPAction", value)
		}
		if got := serve(t, s, r); got.status != 200 {
			t.Errorf("%q: %s", value, got.raw)
		}
	}
}

// TestByteOrderMark checks that a request in UTF-8 may begin with one, and that no reply in UTF-8 does.
func TestByteOrderMark(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, message := range []string{getSite, "\uFEFF" + getSite} {
		if got := send(t, s, message); got.status != 200 || !strings.HasPrefix(got.raw, "<s:Envelope") {
			t.Error(got.raw)
		}
	}
}

// TestAttachments sends a message the way of MTOM, and one in an encoding that SOAP knows nothing of.
func TestAttachments(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, contentType := range []string{`multipart/related;type="application/xop+xml";boundary=x`, "application/octet-stream", "application/fastinfoset"} {
		r := httptest.NewRequest("POST", "/wsman", strings.NewReader(getSite))
		r.Header.Set("Content-Type", contentType)
		r.SetBasicAuth("alice", "Secret1!")
		if got := serve(t, s, r); got.status != 415 || got.text("Body/Fault/Code/Subcode/Value") != "w:EncodingLimit" {
			t.Errorf("%s: %d %s", contentType, got.status, got.raw)
		}
	}
}
