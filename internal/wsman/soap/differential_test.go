package soap_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"calkeeper/internal/wsman/soap"
)

// element is what encoding/xml reads of an element.
type element struct {
	depth int
	start xml.StartElement
	text  strings.Builder
}

// encodingXMLOutline returns the same lines as outline, from the tokens of encoding/xml.
func encodingXMLOutline(data []byte) ([]string, error) {
	decoder := xml.NewDecoder(strings.NewReader(string(data)))
	var all, open []*element
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{depth: len(open) + 1, start: token.Copy()}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			if top := open[len(open)-1]; top.start.Name != token.Name {
				return nil, fmt.Errorf("end of %v in %v", token.Name, top.start.Name)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text.Write(token)
			}
		}
	}
	var lines []string
	for _, e := range all {
		line := fmt.Sprintf("%d %s", e.depth, soap.Name(e.start.Name))
		for _, a := range e.start.Attr {
			// Declarations. An attribute in the namespace "xmlns" looks the same, so outline has none either.
			if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
				line += fmt.Sprintf(" %s=%q", soap.Name(a.Name), a.Value)
			}
		}
		lines = append(lines, line+fmt.Sprintf(" %q", e.text.String()))
	}
	return lines, nil
}

// sameAsEncodingXML compares a parsed document with what encoding/xml reads.
func sameAsEncodingXML(t *testing.T, data []byte, doc soap.Document) {
	t.Helper()
	want, err := encodingXMLOutline(data)
	if err != nil {
		t.Fatalf("encoding/xml refuses what Parse accepts: %v", err)
	}
	got := outline(doc.Root())
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("element %d differs:\nParse        %q\nencoding/xml %q", i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

// checkLookups compares Child and Attr with Children and Attrs.
func checkLookups(t *testing.T, e soap.Element) {
	first := make(map[soap.Name]soap.Element)
	for child := range e.Children() {
		if _, seen := first[child.Name()]; !seen {
			first[child.Name()] = child
		}
		checkLookups(t, child)
	}
	for name, want := range first {
		if got, ok := e.Child(name.Space, name.Local); !ok || got != want || !got.Is(name.Space, name.Local) {
			t.Fatalf("Child(%v) is not the first one", name)
		}
	}
	for name, want := range e.Attrs() {
		if got, ok := e.Attr(name.Space, name.Local); !ok || got != want {
			t.Fatalf("Attr(%v) = %q, %v; want %q", name, got, ok, want)
		}
	}
}

// checkSyntaxError checks that an error of Parse says where the fault is.
func checkSyntaxError(t *testing.T, data []byte, err error) {
	var syntax *soap.SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("error %v is not a SyntaxError", err)
	}
	if syntax.Offset < 0 || syntax.Offset > len(data) || syntax.Line < 1 || syntax.Column < 1 || syntax.Column > syntax.Offset+1 {
		t.Fatalf("impossible position: %+v", syntax)
	}
	if !utf8.ValidString(syntax.Msg) || len(syntax.Msg) > 400 {
		t.Fatalf("bad message: %q", syntax.Msg)
	}
}

func FuzzParseAgainstEncodingXML(f *testing.F) {
	for _, data := range fixtures(f) {
		f.Add(data)
	}
	for _, text := range []string{
		"<a/>", "<a b='1' c=\"2\">x</a>", "<?xml version='1.0' encoding='utf-8'?>\r\n<a>\r&#13;\n</a>",
		"<p:a xmlns:p='u' xmlns='v' p:b='' b=''><c xmlns=''/></p:a>", "<a xmlns:p='xmlns' p:b=''/>",
		"<a>1<![CDATA[\r\n]]>]]&gt;<!-- \r -->\n<b/>2\r<?p?>\n3</a>", "<a b='&#xD;&#xA;&#x9;\t\r\n&lt;'/>",
		"<a>&#xD800;</a>", "<a>&#x00000000000000000000041;</a>", "<a\u00b7/>", "<\u0132/>", "<a xml:b='' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
		"<!DOCTYPE a><a/>", "<a><a:b xmlns:a='u'></a:b ></a>", "<a>]]]]><![CDATA[>]]></a>", "<a xmlns='u' xmlns:xmlnss='v' xmlnss:xmlns=''/>",
		"<a xmlns:b='c'><b:b b:b='b:b'/></a>", "<xmlns xmlns='u'/>", "<_:a xmlns:_='\u00e9'/>", "<a>\ufeff\U0001F600</a>", "<a><!----><!-- - --></a>",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := soap.Parse(data, soap.UTF8, soap.Limits{})
		if err != nil {
			checkSyntaxError(t, data, err)
			return
		}
		defer doc.Release()
		sameAsEncodingXML(t, data, doc)
		checkLookups(t, doc.Root())
		if _, err := soap.ReadEnvelope(doc); err != nil && !errors.Is(err, soap.ErrEnvelope) && !errors.Is(err, soap.ErrVersionMismatch) {
			t.Fatalf("ReadEnvelope: %v", err)
		}
	})
}

func TestNamesOfEncodingXML(t *testing.T) {
	// Every character, at the start of a name and behind it, is accepted where encoding/xml accepts it. Left
	// out are the colon, which separates a prefix here, and what makes the tag another thing. Beyond the first
	// plane no character may stand in a name.
	for r := rune(1); r <= 0x10FFFF; r++ {
		if strings.ContainsRune(":!?/", r) || r >= 0xD800 && r < 0xE000 || r > 0x20000 && r%0x1000 > 1 {
			continue
		}
		for _, text := range []string{"<" + string(r) + "/>", "<a" + string(r) + "/>"} {
			doc, err := soap.Parse([]byte(text), soap.UTF8, soap.Limits{})
			if err == nil {
				doc.Release()
			}
			if _, other := encodingXMLOutline([]byte(text)); (err == nil) != (other == nil) {
				t.Fatalf("%U: Parse says %v, encoding/xml %v", r, err, other)
			}
		}
	}
}
