package wsman_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/wsman"
)

// TestHeaders checks what a reply echoes, and which headers are taken as they come.
func TestHeaders(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for name, header := range map[string]string{
		"un-namespaced mustUnderstand": `<x:Odd xmlns:x="urn:x" mustUnderstand="true"/>`,
		"mustUnderstand false":         `<x:Odd xmlns:x="urn:x" s:mustUnderstand="0"/>`,
		"for another role":             `<x:Odd xmlns:x="urn:x" s:mustUnderstand="true" s:role="urn:proxy"/>`,
		"locale":                       `<w:Locale xml:lang="de-DE" s:mustUnderstand="false"/><p:DataLocale xml:lang="de-DE"/>`,
		"session":                      `<p:SessionId s:mustUnderstand="true">uuid:1</p:SessionId>`,
		"reply to":                     `<a:ReplyTo><a:Address mustUnderstand="true"> http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous </a:Address></a:ReplyTo>`,
		"timeout":                      `<w:OperationTimeout>PT60.000S</w:OperationTimeout>`,
		"long timeout":                 `<w:OperationTimeout>P1Y</w:OperationTimeout>`,
		"envelope size":                `<w:MaxEnvelopeSize s:mustUnderstand="true">153600</w:MaxEnvelopeSize>`,
		"huge envelope size":           `<w:MaxEnvelopeSize>4294967295</w:MaxEnvelopeSize>`,
		"options": `<w:OptionSet xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><w:Option Name="Unknown">1</w:Option>` +
			`<w:Option Name="Unknown" MustComply="false" Type="xs:int">1</w:Option><w:Option/>` +
			`<w:Option Name="wmi:__MI_OPERATIONOPTIONS_WRITEERRORMODE" MustComply="true" Type="xs:unsignedInt">1</w:Option></w:OptionSet>`,
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, s, withHeader(get(wmi+"Test_Site", ""), header).String())
			if got.status != 200 || got.text("Header/RelatesTo") != messageID {
				t.Errorf("status %d: %s", got.status, got.raw)
			}
		})
	}
	got := send(t, s, get(wmi+"Test_Site", "").String())
	for name, want := range map[string]string{
		"Action": transfer + "GetResponse", "To": "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous", "RelatesTo": messageID,
	} {
		if got.text("Header/"+name) != want {
			t.Errorf("%s is %q, want %q", name, got.text("Header/"+name), want)
		}
	}
	if id := got.text("Header/MessageID"); len(id) != 41 || !strings.HasPrefix(id, "uuid:") || id == messageID || id[19] != '4' {
		t.Errorf("MessageID %q", id)
	}
}

// TestMissingHeaders takes the headers away altogether.
func TestMissingHeaders(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, header := range []string{"", "<s:Header/>", "<s:Header><a:Action>" + transfer + "Get</a:Action></s:Header>",
		"<s:Header><a:To>x</a:To><a:MessageID>uuid:1</a:MessageID></s:Header>"} {
		got := send(t, s, "<s:Envelope "+namespaces+">"+header+"<s:Body/></s:Envelope>")
		if got.status != 500 || got.text("Body/Fault/Code/Subcode/Value") != "a:MessageInformationHeaderRequired" {
			t.Errorf("%q: %s", header, got.raw)
		}
	}
}

// TestNotUnderstood checks that the fault names the headers (SOAP 1.2 Part 1, 5.4.8).
func TestNotUnderstood(t *testing.T) {
	s := server(t, newWorld(1), nil)
	many := strings.Repeat(`<x:Odd xmlns:x="urn:x&amp;y" s:mustUnderstand="1"/><Bare s:mustUnderstand="true"/>`, 20)
	got := send(t, s, withHeader(get(wmi+"Test_Site", ""), many).String())
	checkFault(t, got, "s:MustUnderstand", "<none>", "")
	named := 0
	for _, e := range got.at("Header").Children {
		if e.XMLName.Local == "NotUnderstood" {
			named++
			if q := e.attr("qname"); q != "Bare" && (q != "u:Odd" || e.attr("u") != "urn:x&y") {
				t.Errorf("%+v", e.Attrs)
			}
		}
	}
	if named != 40 {
		t.Errorf("%d headers are named", named)
	}
}

// TestLogHasNoBodies checks that what a caller sends cannot reach the log, except for its IDs and action.
func TestLogHasNoBodies(t *testing.T) {
	var log bytes.Buffer
	s := server(t, newWorld(1), logTo(&log))
	send(t, s, call(wmi+"Test_Pack", "Install", "", `<Install_INPUT><sNumber>AAAAA-BBBBB</sNumber><AgreementType>AAAAA-BBBBB</AgreementType></Install_INPUT>`).String())
	send(t, s, get(wmi+"Test_Pack", "PackId=AAAAA-BBBBB").String())
	send(t, s, "<AAAAA-BBBBB")
	if strings.Contains(log.String(), "AAAAA") || !strings.Contains(log.String(), "w:InvalidParameter") {
		t.Error(log.String())
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT60.000S": time.Minute, "PT30.0S": 30 * time.Second, "PT20S": 20 * time.Second, "PT1M": time.Minute, "PT2H": 2 * time.Hour,
		"P1D": 24 * time.Hour, "P1DT1H1M1.5S": 25*time.Hour + time.Minute + 1500*time.Millisecond, "-PT1S": -time.Second, "PT0S": 0,
		"P1M": 30 * 24 * time.Hour, "P1YT1M": 365*24*time.Hour + time.Minute, "PT0.0000000019S": 1,
		"P99999999999999999999Y": 100 * 365 * 24 * time.Hour, "PT99999999999999999999S": 100 * 365 * 24 * time.Hour,
		"P50YT99999999999999999999S": 100 * 365 * 24 * time.Hour,
	} {
		if got, ok := wsman.ParseDuration(text); !ok || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "P1", "PT1", "1S", "PT1.S", "PT.5S", "P1S", "PT1D", "PT1S1M", "PT1H1H", "P1DT", "PT1.5M",
		"PTT1S", "P1DTT1S", "60", "PT60s", "p1d", "--PT1S", "PT-1S", "PT1S ", "PT1e3S", "P1H"} {
		if got, ok := wsman.ParseDuration(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}
