package wsman_test

import (
	"strings"
	"testing"
	"time"
)

// TestUnsupportedActions asks for what DSP0226 lets a service leave out.
func TestUnsupportedActions(t *testing.T) {
	s := server(t, newWorld(1), nil)
	context := open(t, s, "alice")
	for _, action := range []string{
		enumeration + "Renew", enumeration + "GetStatus", enumeration + "EnumerationEnd", enumeration + "pull", transfer + "Create", transfer + "Delete",
		"http://schemas.xmlsoap.org/ws/2004/08/eventing/Subscribe", "http://schemas.dmtf.org/wbem/wsman/1/wsman/Rename", wmi + "Test_Pack",
	} {
		m := message{action: action, uri: wmi + "Test_Pack", body: "<n:Renew><n:EnumerationContext>" + context + "</n:EnumerationContext></n:Renew>"}
		checkFault(t, send(t, s, m.String()), "s:Sender", "a:ActionNotSupported", "")
	}
	send(t, s, pull(context, "")).items(t)
}

// TestExpires wishes for a time of life, which is not granted: WS-Management has no use for it (DSP0226, clause 8.2.1).
func TestExpires(t *testing.T) {
	s := server(t, newWorld(3), nil)
	for _, wish := range []string{"PT0.001S", "PT1H", "2001-01-01T00:00:00Z", "soon"} {
		got := send(t, s, enumerate(wmi+"Test_Pack", "", "<n:Expires>"+wish+"</n:Expires>"))
		_, context, _ := got.items(t)
		if got.at("Body/EnumerateResponse/Expires") != nil {
			t.Error(got.raw)
		}
		if found, _, _ := send(t, s, pull(context, "")).items(t); len(found) != 1 {
			t.Errorf("%s: %d items", wish, len(found))
		}
	}
}

// TestPullHints checks what a Pull may say beside MaxElements: MaxCharacters is a hint, which gives way to MaxEnvelopeSize, and of
// MaxTime and OperationTimeout the shorter one holds.
func TestPullHints(t *testing.T) {
	w := newWorld(5)
	s := server(t, w, nil)
	context := open(t, s, "alice")
	if found, _, _ := send(t, s, pull(context, "<n:MaxElements>2</n:MaxElements><n:MaxCharacters>1</n:MaxCharacters>")).items(t); len(found) != 2 {
		t.Errorf("%d items", len(found))
	}
	w.blocked = make(chan struct{})
	for maxTime, timeout := range map[string]string{"PT0.01S": "PT20S", "PT20S": "PT0.01S"} {
		context := open(t, s, "alice")
		began := time.Now()
		m := strings.Replace(pull(context, "<n:MaxTime>"+maxTime+"</n:MaxTime><n:MaxElements>2</n:MaxElements>"), "</s:Header>",
			"<w:OperationTimeout>"+timeout+"</w:OperationTimeout></s:Header>", 1)
		checkFault(t, send(t, s, m), "s:Receiver", "w:TimedOut", "")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("MaxTime %s, OperationTimeout %s: %v", maxTime, timeout, took)
		}
	}
}

// TestPullKeepsTheFirstRequest sends a Pull with headers that only the Enumerate decides on.
func TestPullKeepsTheFirstRequest(t *testing.T) {
	s := server(t, newWorld(3), nil)
	_, context, _ := send(t, s, withHeader(enumerateMessage(wmi+"Test_Pack", "", ""), `<w:Locale xml:lang="en-US"/>`).String()).items(t)
	for _, block := range []string{`<w:Locale xml:lang="de-DE"/>`, `<w:OptionSet><w:Option Name="Odd">1</w:Option></w:OptionSet>`} {
		got := send(t, s, strings.Replace(pull(context, ""), "</s:Header>", block+"</s:Header>", 1))
		if found, _, _ := got.items(t); len(found) != 1 || found[0].XMLName.Space != wmi+"Test_Pack" || got.attr("lang") != "en-US" {
			t.Error(got.raw)
		}
	}
}

// TestContextRequired leaves the context out, and uses one whose sequence has come to its end.
func TestContextRequired(t *testing.T) {
	w := newWorld(2)
	s := server(t, w, nil)
	context := open(t, s, "alice")
	if found, next, end := send(t, s, pull(context, "<n:MaxElements>2</n:MaxElements>")).items(t); len(found) != 2 || next != "" || !end {
		t.Errorf("%d items, context %q, end %v", len(found), next, end)
	}
	for _, c := range []string{"", "<n:EnumerationContext/>", "<w:EnumerationContext>" + context + "</w:EnumerationContext>",
		"<n:EnumerationContext>" + context + "</n:EnumerationContext>", "<n:EnumerationContext>" + strings.Repeat("x", 100_000) + "</n:EnumerationContext>"} {
		for _, name := range []string{"Pull", "Release"} {
			m := message{action: enumeration + name, uri: wmi + "Test_Pack", body: "<n:" + name + ">" + c + "</n:" + name + ">"}
			checkFault(t, send(t, s, m.String()), "s:Receiver", "n:InvalidEnumerationContext", "")
		}
	}
	if s.OpenEnumerations() != 0 || w.ended.Load() != 1 {
		t.Errorf("%d enumerations are open, %d sequences ended", s.OpenEnumerations(), w.ended.Load())
	}
}

// TestPolymorphismModes checks that the modes of DSP0227 make no difference where no class has subclasses.
func TestPolymorphismModes(t *testing.T) {
	s := server(t, newWorld(2), nil)
	ask := func(mode string) string {
		_, body, _ := strings.Cut(send(t, s, enumerate(wmi+"Test_Pack", "", mode+"<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements>")).raw, "<s:Body>")
		return body
	}
	want := ask("")
	for _, mode := range []string{"IncludeSubClassProperties", " ExcludeSubClassProperties ", "None"} {
		if got := ask("<b:PolymorphismMode>" + mode + "</b:PolymorphismMode>"); got != want {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

// TestGetChangesNothing reads an instance twice.
func TestGetChangesNothing(t *testing.T) {
	w := newWorld(2)
	s := server(t, w, nil)
	body := func() string {
		_, body, _ := strings.Cut(send(t, s, get(wmi+"Test_Pack", "PackId=2").String()).raw, "<s:Body>")
		return body
	}
	if first, second := body(), body(); first != second || len(w.packs) != 2 {
		t.Errorf("%s, then %s", first, second)
	}
}

// TestNonprintableCharacters checks that a reply can be read whatever is in a value (MS-WSMV 3.1.4.1.25).
func TestNonprintableCharacters(t *testing.T) {
	w := newWorld(1)
	w.packs[0].Description = "a\x00\x01\x1Fb\tc\nd\re\uFFFE\xFFf"
	got := send(t, server(t, w, nil), get(wmi+"Test_Pack", "PackId=2").String())
	if got.text("Body/Test_Pack/Description") != "a\uFFFD\uFFFD\uFFFDb\tc\nd\re\uFFFD\uFFFDf" {
		t.Errorf("%q", got.text("Body/Test_Pack/Description"))
	}
}
