package soap_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/wsman/soap"
	"pgregory.net/rapid"
)

// generator writes random well-formed documents, in all spellings that XML offers for the same content.
type generator struct {
	t   *rapid.T
	out strings.Builder
}

// pick writes one of the alternatives.
func (g *generator) pick(label string, from ...string) {
	g.out.WriteString(rapid.SampledFrom(from).Draw(g.t, label))
}

// pieces writes up to four of the alternatives or of what text and attribute values have in common.
func (g *generator) pieces(more ...string) {
	common := []string{"x", " ", "\r", "\n", "\r\n", "\t", "é", "\U0001F600", "]", "&amp;", "&lt;", "&quot;", "&apos;", "&gt;", "&#13;",
		"&#xA;", "&#x10FFFF;", "p:x"}
	for range rapid.IntRange(0, 4).Draw(g.t, "pieces") {
		g.pick("piece", append(common, more...)...)
	}
}

// text writes character data.
func (g *generator) text() {
	g.pieces(`"`, "'", "<!-- \r& -->", "<?p \r& ?>", "<![CDATA[]]>", "<![CDATA[]]]]>", "<![CDATA[\r\n]]>", "<![CDATA[\r]]>", "<![CDATA[&amp;<a>]]>")
}

// element writes an element that may use the prefixes in scope.
func (g *generator) element(depth int, scope []string) {
	prefixes := []string{"p", "q", "abcdefghi", "abcdefghj"}
	declared := slices.DeleteFunc(slices.Clone(prefixes), func(string) bool { return rapid.Bool().Draw(g.t, "undeclared") })
	scope = slices.Concat(scope, declared)
	name := rapid.SampledFrom([]string{"a", "b", "xml", "é"}).Draw(g.t, "local")
	if prefix := rapid.SampledFrom(append(scope, "")).Draw(g.t, "prefix"); prefix != "" {
		name = prefix + ":" + name
	}
	g.out.WriteString("<" + name)
	for _, prefix := range declared {
		// Different prefixes have different URIs, so that attributes cannot collide.
		fmt.Fprintf(&g.out, " xmlns:%s='u:%s:%d'", prefix, prefix, rapid.IntRange(0, 2).Draw(g.t, "URI"))
	}
	g.pick("default namespace", "", ` xmlns=""`, "\nxmlns = 'u:d'", ` xmlns="u:&#x64;&amp;"`)
	for _, prefix := range append(prefixes, "xml", "") {
		if prefix == "xml" || prefix == "" || slices.Contains(scope, prefix) {
			if rapid.Bool().Draw(g.t, "attribute") {
				g.out.WriteString(" " + strings.TrimPrefix(prefix+":c", ":") + "='")
				g.pieces(">", "]]>", "!--", `"`)
				g.out.WriteString("'")
			}
		}
	}
	if rapid.Bool().Draw(g.t, "empty") {
		g.pick("empty-element tag", "/>", " />", "\n/>")
		return
	}
	g.pick("end of start tag", ">", " >")
	g.text()
	if depth < 5 {
		for range rapid.IntRange(0, 3).Draw(g.t, "children") {
			g.element(depth+1, scope)
			g.text()
		}
	}
	g.out.WriteString("</" + name)
	g.pick("end of end tag", ">", " >", "\r\n>")
}

func TestParseGenerated(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := &generator{t: rt}
		g.pick("declaration", "", "<?xml version='1.0'?>", "<?xml version=\"1.0\" encoding='UTF-8' standalone='no'?>\r\n")
		g.pick("prolog", "", "<!-- x -->", "<?p?>\n")
		g.element(1, nil)
		g.pick("epilog", "", "\r\n", "<!----> <?p ??>")
		data := []byte(g.out.String())
		doc, err := soap.Parse(data, soap.UTF8, soap.Limits{})
		if err != nil {
			rt.Fatalf("%q: %v", data, err)
		}
		defer doc.Release()
		want, err := encodingXMLOutline(data)
		if err != nil {
			rt.Fatalf("%q: encoding/xml: %v", data, err)
		}
		if got := outline(doc.Root()); strings.Join(got, "\n") != strings.Join(want, "\n") {
			rt.Fatalf("%q:\nParse        %q\nencoding/xml %q", data, got, want)
		}
	})
}
