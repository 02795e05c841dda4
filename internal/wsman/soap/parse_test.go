package soap_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calkeeper/internal/wsman/soap"
)

// mustParse parses a UTF-8 document within the default limits.
func mustParse(t testing.TB, text string) soap.Document {
	t.Helper()
	doc, err := soap.Parse([]byte(text), soap.UTF8, soap.Limits{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return doc
}

// fixtures returns the recorded and hand-written messages by name.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	all := make(map[string][]byte)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".xml")] = data
	}
	return all
}

// outline returns one line for each element: depth, name, attributes, text. It leaves out attributes in the
// namespace "xmlns", which encodingXMLOutline cannot tell from namespace declarations.
func outline(e soap.Element) []string {
	var lines []string
	var visit func(e soap.Element, depth int)
	visit = func(e soap.Element, depth int) {
		line := fmt.Sprintf("%d %s", depth, e.Name())
		for name, value := range e.Attrs() {
			if name.Space == "xmlns" {
				continue
			}
			line += fmt.Sprintf(" %s=%q", name, value)
		}
		lines = append(lines, line+fmt.Sprintf(" %q", e.Text()))
		for child := range e.Children() {
			visit(child, depth+1)
		}
	}
	visit(e, 1)
	return lines
}

func TestParseAccepts(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty element", `<a/>`, []string{`1 a ""`}},
		{"end tag with space", "<a >x</a\n>", []string{`1 a "x"`}},
		{"declaration", `<?xml version='1.0' encoding="UTF-8" standalone="yes" ?><a/>`, []string{`1 a ""`}},
		{"misc around the root", "<?x y?> <!-- c -->\r\n<a/>\n<!----><?z?>", []string{`1 a ""`}},
		{"predefined entities", `<a b="&lt;&gt;&amp;&apos;&quot;">&lt;&gt;&amp;&apos;&quot;</a>`, []string{`1 a b="<>&'\"" "<>&'\""`}},
		{"character references", `<a b="&#65;&#x42;&#x10FFFF;">&#0065;&#x1f600;</a>`, []string{`1 a b="AB\U0010ffff" "A😀"`}},
		{"line ends", "<a b='1\r\n2\r3\n4'>1\r\n2\r3\n\r4\r</a>", []string{`1 a b="1\n2\n3\n4" "1\n2\n3\n\n4\n"`}},
		{"referenced line ends", "<a b='&#13;&#10;&#9;'>&#13;\n&#xD;\r\n</a>", []string{`1 a b="\r\n\t" "\r\n\r\n"`}},
		{"attribute white space is kept", "<a b=' \t\n x '/>", []string{`1 a b=" \t\n x " ""`}},
		{"single and double quotes", `<a b="it's" c='"'/>`, []string{`1 a b="it's" c="\"" ""`}},
		{"] and > in attributes", `<a b="]]>"/>`, []string{`1 a b="]]>" ""`}},
		{"CDATA", `<a>1<![CDATA[<b>&amp;]]]]><![CDATA[>]]>2<![CDATA[]]></a>`, []string{`1 a "1<b>&amp;]]>2"`}},
		{"text around comments", `<a>1<!-- <b> & -->2<?p ]]> ?>3&amp;<!---->4</a>`, []string{`1 a "123&4"`}},
		{"mixed content", `<a>1<b>x</b>2<b/><!-- -->3&lt;</a>`, []string{`1 a "123<"`, `2 b "x"`, `2 b ""`}},
		{"text only behind a child", `<a><b/>2</a>`, []string{`1 a "2"`, `2 b ""`}},
		{"default namespace", `<a xmlns="u:1" c="d"><b xmlns=""/><b/></a>`, []string{`1 {u:1}a c="d" ""`, `2 b ""`, `2 {u:1}b ""`}},
		{"prefixes", `<p:a xmlns:p="u:1" p:x="1" x="2"><p:a xmlns:p="u:2" p:x="3"/><p:b/></p:a>`,
			[]string{`1 {u:1}a {u:1}x="1" x="2" ""`, `2 {u:2}a {u:2}x="3" ""`, `2 {u:1}b ""`}},
		{"declared behind its use", `<p:a p:b="1" xmlns:p="u:1"/>`, []string{`1 {u:1}a {u:1}b="1" ""`}},
		{"references in a URI", `<p:a xmlns:p="u:&#x31;&amp;"/>`, []string{`1 {u:1&}a ""`}},
		{"long prefixes", `<abcdefghi:a xmlns:abcdefghi="u:1" xmlns:abcdefghij="u:2" xmlns:abcdefgh="u:3"><abcdefghij:b/><abcdefgh:c/></abcdefghi:a>`,
			[]string{`1 {u:1}a ""`, `2 {u:2}b ""`, `2 {u:3}c ""`}},
		{"prefix xml", `<a xml:lang="en"/>`, []string{`1 a {http://www.w3.org/XML/1998/namespace}lang="en" ""`}},
		{"prefix xml declared", `<xml:a xmlns:xml="http://www.w3.org/XML/1998/namespace" xml:b=""/>`,
			[]string{`1 {http://www.w3.org/XML/1998/namespace}a {http://www.w3.org/XML/1998/namespace}b="" ""`}},
		{"QNames in content are text", `<a Type="xs:int" x="p:X">xs:int</a>`, []string{`1 a Type="xs:int" x="p:X" "xs:int"`}},
		{"names beyond ASCII", `<größe π="1"><名前·/></größe>`, []string{`1 größe π="1" ""`, `2 名前· ""`}},
		{"punctuation in names", `<_a-1.b c.-_="1"/>`, []string{`1 _a-1.b c.-_="1" ""`}},
		{"characters at the edges", "<a>\t\u007f\u0085\ud7ff\ue000\ufffd\U0001fffe\U0010ffff\ufeff</a>",
			[]string{`1 a "\t\x7f\u0085\ud7ff\ue000` + "\ufffd" + `\U0001fffe\U0010ffff\ufeff"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := soap.Parse([]byte(tt.text), soap.UTF8, soap.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer doc.Release()
			got := strings.Join(outline(doc.Root()), "\n")
			if want := strings.Join(tt.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			sameAsEncodingXML(t, []byte(tt.text), doc)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("n", 300)
	tests := []struct {
		name, text string
		where      string // line:column
		want       string // part of the message
		kind       error
	}{
		{"nothing", "", "1:1", "no root element", nil},
		{"white space only", " \n ", "2:2", "no root element", nil},
		{"text first", "x<a/>", "1:1", "text is not allowed outside", nil},
		{"byte order mark", "\ufeff<a/>", "1:1", "text is not allowed outside", nil},
		{"text last", "<a/>\r\n\rx", "3:1", "text is not allowed outside", nil},
		{"reference outside of the root", "<a/>&#32;", "1:5", "text is not allowed outside", nil},
		{"CDATA outside of the root", "<a/><![CDATA[ ]]>", "1:5", "CDATA section is not allowed outside", nil},
		{"two roots", "<a/><b/>", "1:5", "only one root", nil},
		{"end tag only", "</a>", "1:1", "no open element", nil},
		{"end tag too many", "<a></a></a>", "1:8", "no open element", nil},
		{"unclosed element", "<a><b></b>", "1:11", `before the end tag of element "a"`, nil},
		{"crossed elements", "<a><b></a></b>", "1:9", `end tag "a" where that of element "b" is due`, nil},
		{"end tag too long", "<a></ab>", "1:6", `end tag "ab" where that of element "a" is due`, nil},
		{"same URI, other prefix", `<p:a xmlns:p="u" xmlns:q="u"></q:a>`, "1:32", `end tag "q:a"`, nil},
		{"end tag with attribute", "<a></a b='1'>", "1:8", "expected > in an end tag", nil},
		{"end tag without name", "<a></>", "1:6", "expected the name of an element", nil},
		{"end tag cut short", "<a></a", "1:7", "ends inside of an end tag", nil},
		{"tag cut short", "<", "1:2", "ends inside of a tag", nil},
		{"start tag cut short", "<a ", "1:4", "ends inside of a start tag", nil},
		{"end tag at the end", "<a></", "1:6", "ends inside of a tag", nil},
		{"space before the name", "< a/>", "1:2", "expected the name of an element", nil},
		{"digit as name", "<1/>", "1:2", "expected the name of an element", nil},
		{"slash without >", "<a/ >", "1:4", "expected > behind /", nil},
		{"unescaped <", "<a>1 < 2</a>", "1:7", "expected the name of an element", nil},
		{"]]> in text", "<a>é]]></a>", "1:5", "write ]]&gt;", nil},
		{"unknown entity", "<a>&nbsp;</a>", "1:4", "write & as &amp;", nil},
		{"bare &", "<a>a & b</a>", "1:6", "write & as &amp;", nil},
		{"entity without semicolon", "<a b='&amp'/>", "1:7", "write & as &amp;", nil},
		{"reference across a tag", "<a>&am<b/>p;</a>", "1:4", "write & as &amp;", nil},
		{"reference without digits", "<a>&#;</a>", "1:4", "write & as &amp;", nil},
		{"reference cut short", "<a>&#12</a>", "1:4", "write & as &amp;", nil},
		{"reference with capital X", "<a>&#X41;</a>", "1:4", "write & as &amp;", nil},
		{"reference with sign", "<a>&#+65;</a>", "1:4", "write & as &amp;", nil},
		{"reference to NUL", "<a>&#0;</a>", "1:4", "not allowed in XML 1.0", nil},
		{"reference to a surrogate", "<a>&#xD800;</a>", "1:4", "not allowed in XML 1.0", nil},
		{"reference to U+FFFE", "<a>&#xFFFE;</a>", "1:4", "not allowed in XML 1.0", nil},
		{"reference beyond Unicode", "<a>&#x110000;</a>", "1:4", "not allowed in XML 1.0", nil},
		{"huge reference", "<a>&#99999999999999999999;</a>", "1:4", "not allowed in XML 1.0", nil},
		{"attribute without value", "<a b/>", "1:5", "expected = behind the name", nil},
		{"attribute without quotes", "<a b=c/>", "1:6", "between quotation marks", nil},
		{"attribute not closed", "<a b='c/>", "1:10", "inside of the value of an attribute", nil},
		{"< in attribute", "<a b='<'/>", "1:7", "write &lt;", nil},
		{"no space between attributes", "<a b='1'c='2'/>", "1:9", "expected white space", nil},
		{"no space behind the name", "<a'b'/>", "1:3", "expected white space", nil},
		{"no name of attribute", "<a ='1'/>", "1:4", "expected an attribute", nil},
		{"duplicate attribute", "<a b='1' c='' b='2'/>", "1:15", `attribute "b" occurs twice`, nil},
		{"duplicate by namespace", `<a xmlns:p="u" xmlns:q="&#117;" p:b="" q:b=""/>`, "1:40", `attribute "q:b" occurs twice`, nil},
		{"undeclared element prefix", "<p:a/>", "1:2", `prefix "p" is not declared`, nil},
		{"undeclared attribute prefix", "<a p:b=''/>", "1:4", `prefix "p" is not declared`, nil},
		{"prefix out of scope", `<a><b xmlns:p="u"/><p:c/></a>`, "1:21", `prefix "p" is not declared`, nil},
		{"element in xmlns", `<xmlns:a/>`, "1:2", `prefix "xmlns" is not declared`, nil},
		{"element xmlns", `<xmlns xmlns="u"/>`, "1:2", "xmlns is reserved", nil},
		{"two colons", `<a:b:c xmlns:a="u"/>`, "1:5", "one name without a colon", nil},
		{"colon first", `<:a/>`, "1:2", "expected the name of an element", nil},
		{"colon last", `<a: xmlns:a="u"/>`, "1:4", "one name without a colon", nil},
		{"digit behind the colon", `<a:1 xmlns:a="u"/>`, "1:4", "one name without a colon", nil},
		{"prefix without URI", `<a xmlns:p=""/>`, "1:4", "declared without a URI", nil},
		{"prefix declared twice", `<a xmlns:p="u" xmlns:p="v"/>`, "1:16", "declared twice", nil},
		{"default declared twice", `<a xmlns="u" xmlns="u"/>`, "1:14", "declared twice", nil},
		{"xmlns declared", `<a xmlns:xmlns="u"/>`, "1:4", "xmlns must not be declared", nil},
		{"xml declared wrong", `<a xmlns:xml="u"/>`, "1:4", "xml must not be declared", nil},
		{"xml by another prefix", `<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`, "1:4", "only the prefix xml", nil},
		{"xml as default", `<a xmlns="http://www.w3.org/XML/1998/namespace"/>`, "1:4", "only the prefix xml", nil},
		{"URI of xmlns", `<a xmlns:p="http://www.w3.org/2000/xmlns/"/>`, "1:4", "must not be declared", nil},
		{"comment with --", "<a><!-- -- --></a>", "1:9", "-- is not allowed", nil},
		{"comment ending --->", "<a><!-- ---></a>", "1:9", "-- is not allowed", nil},
		{"comment cut short", "<a><!-- -", "1:10", "inside of a comment", nil},
		{"comment ending --", "<a><!-- --", "1:11", "inside of a comment", nil},
		{"CDATA cut short", "<a><![CDATA[x]]</a>", "1:20", "inside of a CDATA", nil},
		{"CDATA in lower case", "<a><![cdata[x]]></a>", "1:4", "expected a tag, a comment or a CDATA", nil},
		{"DTD", "<!DOCTYPE a><a/>", "1:1", "document type declaration", soap.ErrDTD},
		{"DTD with entities", `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, "1:22", "document type declaration", soap.ErrDTD},
		{"declaration in the root", `<a><!ENTITY b "c"></a>`, "1:4", "document type declaration", soap.ErrDTD},
		{"late XML declaration", `<a/><?xml version="1.0"?>`, "1:5", "only at the start", nil},
		{"XML declaration behind a line", "\n<?xml version=\"1.0\"?><a/>", "2:1", "only at the start", nil},
		{"reserved target", `<a/><?XmL x?>`, "1:5", "only at the start", nil},
		{"XML declaration without version", `<?xml encoding="utf-8"?><a/>`, "1:7", `version="1.0"`, nil},
		{"empty XML declaration", `<?xml?><a/>`, "1:1", `version="1.0"`, nil},
		{"XML 1.1", `<?xml version="1.1"?><a/>`, "1:7", `version="1.0"`, nil},
		{"another encoding", `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, "1:21", "came in UTF-8", soap.ErrCharset},
		{"encoding that is not in use", `<?xml version="1.0" encoding="utf-16"?><a/>`, "1:21", "came in UTF-8", soap.ErrCharset},
		{"referenced encoding", `<?xml version="1.0" encoding="&#117;tf-8"?><a/>`, "1:21", "came in UTF-8", soap.ErrCharset},
		{"bad standalone", `<?xml version="1.0" standalone="1"?><a/>`, "1:21", "standalone", nil},
		{"encoding cut short", `<?xml version="1.0" encoding="`, "1:31", "inside of the XML declaration", nil},
		{"standalone without =", `<?xml version="1.0" standalone?><a/>`, "1:31", "expected = behind standalone", nil},
		{"wrong order", `<?xml version="1.0" standalone="no" encoding="utf-8"?><a/>`, "1:37", "expected ?>", nil},
		{"no space in XML declaration", `<?xml version="1.0"encoding="utf-8"?><a/>`, "1:20", "expected ?>", nil},
		{"pseudo-attribute without =", `<?xml version "1.0"?><a/>`, "1:15", "expected = behind version", nil},
		{"pseudo-attribute without quotes", `<?xml version=1.0?><a/>`, "1:15", "between quotation marks", nil},
		{"XML declaration cut short", `<?xml version="1.0`, "1:19", "inside of the XML declaration", nil},
		{"instruction without target", "<? a?><a/>", "1:3", "expected the target", nil},
		{"instruction with colon", "<?a:b?><a/>", "1:4", "expected white space", nil},
		{"instruction cut short", "<a/><?b ?", "1:10", "inside of a processing instruction", nil},
		{"control character", "<a>\n\x01</a>", "2:1", "not allowed in XML 1.0", nil},
		{"control character in comment", "<a/><!--\x1b-->", "1:9", "not allowed in XML 1.0", nil},
		{"NUL", "<a>0123456\x00</a>", "1:11", "not allowed in XML 1.0", nil},
		{"U+FFFF", "<a>\uffff</a>", "1:4", "not allowed in XML 1.0", nil},
		{"bad UTF-8", "<a>ö\x80</a>", "1:5", "not valid UTF-8", soap.ErrCharset},
		{"cut UTF-8", "<a>\xc3", "1:4", "not valid UTF-8", soap.ErrCharset},
		{"overlong UTF-8", "<a>\xc0\xbc</a>", "1:4", "not valid UTF-8", soap.ErrCharset},
		{"surrogate in UTF-8", "<a>\xed\xa0\x80</a>", "1:4", "not valid UTF-8", soap.ErrCharset},
		{"name that is no name", "<a×/>", "1:3", "expected white space", nil},
		{"combining character first", "<\u0301/>", "1:2", "expected the name", nil},
		{"long name", "<" + long + "/>", "1:2", "has 300 bytes; the limit is 256", soap.ErrLimit},
		{"long prefix", "<" + long + ":a/>", "1:2", "has 302 bytes; the limit is 256", soap.ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := soap.Parse([]byte(tt.text), soap.UTF8, soap.Limits{})
			var syntax *soap.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got error %v, want a SyntaxError", err)
			}
			if where := fmt.Sprintf("%d:%d", syntax.Line, syntax.Column); where != tt.where {
				t.Errorf("at %s, want %s", where, tt.where)
			}
			if !strings.Contains(syntax.Msg, tt.want) {
				t.Errorf("message %q does not contain %q", syntax.Msg, tt.want)
			}
			if !errors.Is(err, tt.kind) && tt.kind != nil || tt.kind == nil && syntax.Err != nil {
				t.Errorf("kind of error is %v, want %v", syntax.Err, tt.kind)
			}
			if !doc.Root().IsZero() {
				t.Error("a document was returned together with the error")
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	// Each document is within the limits, and one more of what Limits counts is not.
	nested := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	attributes := func(n int) string {
		var b strings.Builder
		b.WriteString("<a xmlns='u'")
		for i := range n {
			fmt.Fprintf(&b, " a%d=''", i)
		}
		return b.String() + "/>"
	}
	namespaces := func(n int) string {
		var b strings.Builder
		b.WriteString("<a xmlns='u'>")
		for range 3 {
			b.WriteString("<b")
			for i := range n - 1 {
				fmt.Fprintf(&b, " xmlns:a%d='u'", i)
			}
			b.WriteString("/>")
		}
		return b.String() + "</a>"
	}
	tests := []struct {
		name   string
		limits soap.Limits
		make   func(n int) string
		most   int
	}{
		{"size", soap.Limits{}, func(n int) string { return "<a>" + strings.Repeat("x", n-7) + "</a>" }, 512_000},
		{"own size", soap.Limits{Size: 20}, func(n int) string { return "<a>" + strings.Repeat("x", n-7) + "</a>" }, 20},
		{"depth", soap.Limits{}, nested, 32},
		{"own depth", soap.Limits{Depth: 2}, nested, 2},
		{"attributes", soap.Limits{}, attributes, 32},
		{"own attributes", soap.Limits{Attributes: 3}, attributes, 3},
		{"namespaces", soap.Limits{}, namespaces, 64},
		{"own namespaces", soap.Limits{Namespaces: 5}, namespaces, 5},
		{"name", soap.Limits{}, func(n int) string { return "<a b:" + strings.Repeat("c", n-2) + "='' xmlns:b='u'/>" }, 256},
		{"own name", soap.Limits{Name: 10}, func(n int) string { return "<" + strings.Repeat("c", n) + "/>" }, 10},
		{"greatest name", soap.Limits{Name: 1 << 20}, func(n int) string { return "<" + strings.Repeat("c", n) + "/>" }, 32_767},
		{"elements", soap.Limits{}, func(n int) string { return "<a>" + strings.Repeat("<b/>", n-1) + "</a>" }, 32_768},
		{"own elements", soap.Limits{Elements: 4}, func(n int) string { return "<a>" + strings.Repeat("<b/>", n-1) + "</a>" }, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := soap.Parse([]byte(tt.make(tt.most)), soap.UTF8, tt.limits)
			if err != nil {
				t.Fatalf("at the limit: %v", err)
			}
			doc.Release()
			if _, err := soap.Parse([]byte(tt.make(tt.most+1)), soap.UTF8, tt.limits); !errors.Is(err, soap.ErrLimit) {
				t.Errorf("beyond the limit: got %v, want ErrLimit", err)
			}
		})
	}
}

func TestErrorsRepeatLittleOfTheDocument(t *testing.T) {
	secret := "S3CRETS3CRETS3CRETS3CRETS3CRETS3CRET"
	for _, text := range []string{
		"<" + secret + "><b></c></" + secret + ">",
		"<" + secret + "><" + secret + "x></a>",
		"<p" + secret + ":a/>",
		"<a " + secret + "='' " + secret + "=''/>",
		"<a xmlns:" + secret + "=''/>",
		"<" + strings.Repeat(secret, 10) + "/>",
		`<?xml version="1.0" encoding="` + secret + `"?><a/>`,
		"<_" + strings.Repeat("ä", 40) + ":" + strings.Repeat("ä", 40) + "/>",
	} {
		_, err := soap.Parse([]byte(text), soap.UTF8, soap.Limits{})
		if err == nil {
			t.Errorf("%q was accepted", text)
			continue
		}
		// The longest common substrings of message and document that are long enough to matter.
		if strings.Contains(err.Error(), secret[:33]) || strings.Contains(err.Error(), strings.Repeat("ä", 16)) {
			t.Errorf("%q: the error repeats too much: %v", text, err)
		}
	}
	for _, text := range []string{
		"<a b='&" + secret + ";'/>", "<a>&" + secret + ";</a>", "<a b='" + secret + "<'/>", "<a>" + secret + "]]></a>", secret + "<a/>",
	} {
		_, err := soap.Parse([]byte(text), soap.UTF8, soap.Limits{})
		if err == nil || strings.Contains(err.Error(), secret[:5]) {
			t.Errorf("%q: the error repeats a value: %v", text, err)
		}
	}
}

func TestFixtures(t *testing.T) {
	for name, data := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			doc, err := soap.Parse(data, soap.UTF8, soap.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			sameAsEncodingXML(t, data, doc)
			envelope, err := soap.ReadEnvelope(doc)
			if err != nil {
				t.Fatal(err)
			}
			if envelope.Header.IsZero() {
				t.Error("no Header")
			}
			for _, charset := range []soap.Charset{soap.UTF16LE, soap.UTF16BE} {
				text, got, err := soap.Decode(charset.ContentType(), charset.Encode(nil, data))
				if err != nil || got != charset || !bytes.Equal(text, data) {
					t.Errorf("%v: got %v, %v", charset, got, err)
				}
			}
		})
	}
}

func TestPowerShellRequest(t *testing.T) {
	doc := mustParse(t, string(fixtures(t)["powershell-enumerate"]))
	envelope, err := soap.ReadEnvelope(doc)
	if err != nil {
		t.Fatal(err)
	}
	action, ok := envelope.Header.Child(soap.NamespaceAddressing, "Action")
	if !ok || action.Text() != "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate" {
		t.Errorf("Action = %q, %v", action.Text(), ok)
	}
	options, _ := envelope.Header.Child(soap.NamespaceWSMan, "OptionSet")
	var got []string
	for option := range options.Children() {
		name, _ := option.Attr("", "Name")
		kind, _ := option.Attr("", "Type")
		got = append(got, name+" "+kind+" "+option.Text())
	}
	want := []string{
		"__MI_CallbackRegistration xs:int 11",
		"wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE xs:unsignedInt 0",
		"wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE xs:unsignedInt 1",
		"wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE xs:unsignedInt 2",
		"wmi:__MI_OPERATIONOPTIONS_WRITEERRORMODE xs:unsignedInt 1",
		"msftwinrm:UsePreciseArrays xs:boolean true",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("options:\n%s", strings.Join(got, "\n"))
	}
	enumerate, ok := envelope.Body.Child(soap.NamespaceEnumeration, "Enumerate")
	if mode, found := enumerate.Child(soap.NamespaceWSMan, "EnumerationMode"); !ok || !found || mode.Text() != "EnumerateObjectAndEPR" {
		t.Errorf("EnumerationMode = %q, %v, %v", mode.Text(), ok, found)
	}
}

func TestParseInUTF16(t *testing.T) {
	const text = `<?xml version="1.0" encoding="UTF-16"?><a>é</a>`
	for _, charset := range []soap.Charset{soap.UTF16LE, soap.UTF16BE} {
		doc, err := soap.Parse([]byte(text), charset, soap.Limits{})
		if err != nil {
			t.Errorf("%v: %v", charset, err)
		} else if got := doc.Root().Text(); got != "é" {
			t.Errorf("%v: got %q", charset, got)
		}
	}
	for label, charset := range map[string]soap.Charset{"utf-16le": soap.UTF16BE, "utf-16be": soap.UTF16LE, "utf-8": soap.UTF16LE} {
		_, err := soap.Parse([]byte(strings.Replace(text, "UTF-16", label, 1)), charset, soap.Limits{})
		if !errors.Is(err, soap.ErrCharset) {
			t.Errorf("%s declared in %v: got %v, want ErrCharset", label, charset, err)
		}
	}
}
