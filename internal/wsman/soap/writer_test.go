package soap_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"calkeeper/internal/wsman/soap"
)

func TestWriter(t *testing.T) {
	tests := []struct {
		name  string
		write func(w *soap.Writer)
		want  string
	}{
		{"empty element", func(w *soap.Writer) { w.Start("a"); w.End() }, `<a/>`},
		{"empty text", func(w *soap.Writer) { w.Element("a", "") }, `<a></a>`},
		{"nested", func(w *soap.Writer) {
			w.Start("s:a", "xmlns:s", "u:1", "b", "c")
			w.Attr("s:d", "e")
			w.Start("s:f")
			w.Text("1")
			w.Text("2")
			w.End()
			w.Element("g", "h", "i", "j")
			w.End()
		}, `<s:a xmlns:s="u:1" b="c" s:d="e"><s:f>12</s:f><g i="j">h</g></s:a>`},
		{"escapes in text", func(w *soap.Writer) { w.Element("a", "<&>\"'\t\n\r]]>") }, "<a>&lt;&amp;&gt;\"'\t\n&#xD;]]&gt;</a>"},
		{"escapes in attributes", func(w *soap.Writer) { w.Start("a", "b", "<&>\"'\t\n\r"); w.End() },
			`<a b="&lt;&amp;&gt;&quot;'&#x9;&#xA;&#xD;"/>`},
		{"characters that XML lacks", func(w *soap.Writer) { w.Element("a", "1\x002\x1f3\x7f4\uffff5\xff6\xed\xa0\x807\U0001fffe") },
			"<a>1\ufffd2\ufffd3\x7f4\ufffd5\ufffd6\ufffd\ufffd\ufffd7\U0001fffe</a>"},
		{"numbers", func(w *soap.Writer) {
			w.Start("a")
			w.Uint(4294967295)
			w.Start("b")
			w.Int(-1)
			w.End()
			w.Bool(true)
			w.Bool(false)
			w.End()
		}, `<a>4294967295<b>-1</b>truefalse</a>`},
		{"raw", func(w *soap.Writer) { w.Start("a"); w.Raw([]byte("<b/>")); w.End() }, `<a><b/></a>`},
		{"fragment", func(w *soap.Writer) { w.Element("a", ""); w.Element("b", "") }, `<a></a><b></b>`},
		{"names beyond ASCII", func(w *soap.Writer) { w.Start("p:größe", "π", "1"); w.End() }, `<p:größe π="1"/>`},
		{"tags", func(w *soap.Writer) {
			outer, text, number := soap.NewTag("p:a", "xmlns:p", "u:<1>"), soap.NewTag("b"), soap.NewTag("c", "d", "e")
			around := text.Around(number)
			w.Start("x")
			w.Open(&outer)
			w.TextElement(&text, "<&>")
			w.TextElement(&text, "")
			w.UintElement(&number, 4294967295)
			w.RawElement(&around, []byte("<f/>"))
			w.Element("g", "")
			w.End()
			w.End()
		}, `<x><p:a xmlns:p="u:&lt;1&gt;"><b>&lt;&amp;&gt;</b><b></b><c d="e">4294967295</c><b><c d="e"><f/></c></b><g></g></p:a></x>`},
		{"rewind behind a tag", func(w *soap.Writer) {
			tag := soap.NewTag("a")
			mark := w.Mark()
			w.Open(&tag)
			w.TextElement(&tag, "1")
			w.Rewind(mark)
			w.Open(&tag)
			w.End()
		}, `<a></a>`},
		{"cut", func(w *soap.Writer) {
			w.Start("a")
			w.Text("1")
			first := w.Len()
			w.Element("b", "2")
			text := w.Len()
			w.Element("c", "3")
			w.Cut(text+len("<c>"), text+len("<c>3"))
			w.Cut(first, text)
			w.Element("d", "4")
			w.End()
		}, `<a>1<c></c><d>4</d></a>`},
		{"rewind", func(w *soap.Writer) {
			w.Start("a")
			w.Element("b", "1")
			mark := w.Mark()
			w.Start("c")
			w.Start("not a name")
			w.Rewind(mark)
			w.End()
		}, `<a><b>1</b></a>`},
		{"rewind to a start tag", func(w *soap.Writer) {
			w.Start("a")
			mark := w.Mark()
			w.Element("b", "1")
			w.Rewind(mark)
			w.Attr("c", "2")
			w.End()
		}, `<a c="2"/>`},
	}
	var w soap.Writer
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.write(&w)
			got, err := w.Bytes()
			if err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
			if w.Len() != len(tt.want) {
				t.Errorf("Len = %d, want %d", w.Len(), len(tt.want))
			}
			w.Reset(got)
		})
	}
}

func TestWriterMisuse(t *testing.T) {
	tests := []struct {
		name  string
		write func(w *soap.Writer)
		want  string
	}{
		{"not ended", func(w *soap.Writer) { w.Start("a"); w.Start("b"); w.End() }, `element "a" is not ended`},
		{"not started", func(w *soap.Writer) { w.Start("a"); w.End(); w.End() }, "end without a start"},
		{"attribute behind text", func(w *soap.Writer) { w.Start("a"); w.Text(""); w.Attr("b", ""); w.End() }, `attribute "b" outside`},
		{"attribute behind end", func(w *soap.Writer) { w.Start("a"); w.End(); w.Attr("b", "") }, `attribute "b" outside`},
		{"attribute without value", func(w *soap.Writer) { w.Start("a", "b", "c", "d"); w.End() }, `without a value in element "a"`},
		{"empty name", func(w *soap.Writer) { w.Start(""); w.End() }, `"" is not an XML name`},
		{"injection", func(w *soap.Writer) { w.Start("a b='c'"); w.End() }, `"a b='c'" is not an XML name`},
		{"colon first", func(w *soap.Writer) { w.Start(":a"); w.End() }, "is not an XML name"},
		{"colon last", func(w *soap.Writer) { w.Start("a:"); w.End() }, "is not an XML name"},
		{"two colons", func(w *soap.Writer) { w.Start("a:b:c"); w.End() }, "is not an XML name"},
		{"digit behind the colon", func(w *soap.Writer) { w.Start("a:1"); w.End() }, "is not an XML name"},
		{"attribute name", func(w *soap.Writer) { w.Start("a", "1", ""); w.End() }, `"1" is not an XML name`},
		{"first mistake", func(w *soap.Writer) { w.End(); w.Start("1") }, "end without a start"},
		{"tag of a bad name", func(w *soap.Writer) { tag := soap.NewTag("a b"); w.TextElement(&tag, "") }, "not usable"},
		{"tag with half an attribute", func(w *soap.Writer) { tag := soap.NewTag("a", "b"); w.UintElement(&tag, 1) }, "not usable"},
		{"tag around nothing", func(w *soap.Writer) {
			tag := soap.NewTag("a").Around(soap.Tag{})
			w.RawElement(&tag, nil)
		}, "not usable"},
		{"opened tag of two elements", func(w *soap.Writer) {
			tag := soap.NewTag("a").Around(soap.NewTag("b"))
			w.Open(&tag)
			w.End()
		}, "not usable"},
		{"cut into an open element", func(w *soap.Writer) {
			w.Start("a")
			w.Text("")
			from := w.Len()
			w.Start("b")
			w.Text("")
			w.Cut(from, w.Len())
		}, "cut across"},
		{"cut of what is not there", func(w *soap.Writer) { w.Element("a", ""); w.Cut(0, w.Len()+1) }, "cut across"},
		{"cut backwards", func(w *soap.Writer) { w.Element("a", ""); w.Cut(3, 0) }, "cut across"},
		{"rewind behind end", func(w *soap.Writer) { w.Start("a"); m := w.Mark(); w.End(); w.Rewind(m) }, "rewind beyond"},
		{"rewind behind another element", func(w *soap.Writer) {
			w.Start("a")
			w.Start("b")
			m := w.Mark()
			w.End()
			w.Start("c")
			w.Rewind(m)
		}, "rewind beyond"},
		{"rewind behind rewind", func(w *soap.Writer) {
			early := w.Mark()
			w.Start("a")
			late := w.Mark()
			w.Rewind(early)
			w.Rewind(late)
		}, "rewind beyond"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w soap.Writer
			tt.write(&w)
			if _, err := w.Bytes(); !errors.Is(err, soap.ErrWriter) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
			w.Reset(nil)
			if got, err := w.Bytes(); err != nil || len(got) != 0 {
				t.Errorf("after Reset: %q, %v", got, err)
			}
		})
	}
}

func TestWriterAllocates(t *testing.T) {
	var w soap.Writer
	w.Reset(make([]byte, 0, 4096))
	allocs := testing.AllocsPerRun(100, func() {
		writeReply(&w)
		xml, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		w.Reset(xml)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per message", allocs)
	}
}

// expressible returns s as XML 1.0 can express it.
func expressible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r
	}, s)
}

func FuzzWriterRoundTrip(f *testing.F) {
	f.Add("text", "value")
	f.Add("<&>\"'\t\r\n]]>", "<&>\"'\t\r\n]]>")
	f.Add("\x00\x1f\x7f\u0085\ufffe\uffff\xff", "\xed\xa0\x80\U0001F600\U0010FFFF")
	f.Add("select * from X where a=\"b\" and c<>'d'", "12345678&2345678\xc3")
	f.Fuzz(func(t *testing.T, text, value string) {
		var w soap.Writer
		w.Start("p:a", "xmlns:p", "u:1", "b", value)
		w.Text(text)
		w.Element("c", value+text, "p:d", text+value)
		w.End()
		data, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		doc, err := soap.Parse(data, soap.UTF8, soap.Limits{Size: 1 << 24})
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		defer doc.Release()
		sameAsEncodingXML(t, data, doc)
		root := doc.Root()
		child, _ := root.Child("", "c")
		b, _ := root.Attr("", "b")
		d, _ := child.Attr("u:1", "d")
		for _, pair := range [][2]string{{root.Text(), text}, {b, value}, {child.Text(), value + text}, {d, text + value}} {
			if want := expressible(pair[1]); pair[0] != want {
				t.Fatalf("%q became %q in %q", want, pair[0], data)
			}
		}
		// encoding/xml must read names, values and text from it, too.
		var other struct {
			XMLName xml.Name `xml:"u:1 a"`
			B       string   `xml:"b,attr"`
			C       string   `xml:"c"`
		}
		if err := xml.Unmarshal(data, &other); err != nil || other.B != expressible(value) || other.C != expressible(value+text) {
			t.Fatalf("encoding/xml: %v, %+v", err, other)
		}
	})
}
