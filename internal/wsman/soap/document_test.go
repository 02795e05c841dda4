package soap_test

import (
	"strings"
	"sync"
	"testing"

	"calkeeper/internal/wsman/soap"
)

func TestElement(t *testing.T) {
	doc := mustParse(t, `<p:a xmlns:p="u:1" xmlns:q="u:1" p:x="1" x="2"> <b>no</b>text<q:b y=''>yes</q:b><p:b>late</p:b></p:a>`)
	root := doc.Root()
	if got := root.Name(); got != (soap.Name{Space: "u:1", Local: "a"}) {
		t.Errorf("Name = %v", got)
	}
	if !root.Is("u:1", "a") || root.Is("", "a") || root.Is("u:1", "b") || root.Is("", "") {
		t.Error("Is does not compare the expanded name")
	}
	if v, ok := root.Attr("u:1", "x"); v != "1" || !ok {
		t.Errorf("Attr(u:1, x) = %q, %v", v, ok)
	}
	if v, ok := root.Attr("", "x"); v != "2" || !ok {
		t.Errorf("Attr(x) = %q, %v", v, ok)
	}
	if v, ok := root.Attr("", "p"); v != "" || ok {
		t.Errorf("Attr(p) = %q, %v; namespace declarations are not attributes", v, ok)
	}
	child, ok := root.Child("u:1", "b")
	if !ok || child.Text() != "yes" {
		t.Errorf("Child = %q, %v", child.Text(), ok)
	}
	if v, ok := child.Attr("", "y"); v != "" || !ok {
		t.Errorf("Attr(y) = %q, %v", v, ok)
	}
	if none, ok := root.Child("", ""); ok || !none.IsZero() {
		t.Error("Child without a name found something")
	}
	if none, ok := child.Child("u:1", "b"); ok || !none.IsZero() {
		t.Error("Child found a sibling")
	}
	for range root.Children() {
		break
	}
	for range root.Attrs() {
		break
	}
}

func TestZeroElement(t *testing.T) {
	released := mustParse(t, `<a b="c">d<e/></a>`)
	root := released.Root()
	released.Release()
	released.Release()
	for name, e := range map[string]soap.Element{"zero": {}, "empty document": soap.Document{}.Root(), "released": root} {
		value, hasAttr := e.Attr("", "b")
		child, hasChild := e.Child("", "e")
		if !e.IsZero() || e.Name() != (soap.Name{}) || e.Is("", "") || e.Is("", "a") || e.Text() != "" || value != "" || hasAttr || hasChild || !child.IsZero() {
			t.Errorf("%s: element is not empty", name)
		}
		for range e.Children() {
			t.Errorf("%s: element has children", name)
		}
		for range e.Attrs() {
			t.Errorf("%s: element has attributes", name)
		}
	}
}

func TestReleaseKeepsStrings(t *testing.T) {
	data := []byte(`<a b="first">one &amp; two</a>`)
	doc := mustParse(t, string(data))
	value, _ := doc.Root().Attr("", "b")
	name, text := doc.Root().Name().Local, doc.Root().Text()
	doc.Release()
	for range 100 {
		other := mustParse(t, `<x y="other">3333333&lt;333333333</x>`)
		other.Release()
	}
	if name != "a" || value != "first" || text != "one & two" {
		t.Errorf("strings changed after Release: %q, %q, %q", name, value, text)
	}
}

func TestParseCopiesItsInput(t *testing.T) {
	data := []byte(`<a b="c">d</a>`)
	doc, err := soap.Parse(data, soap.UTF8, soap.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if got := strings.Join(outline(doc.Root()), ""); got != `1 a b="c" "d"` {
		t.Errorf("got %s", got)
	}
}

func TestConcurrentDocuments(t *testing.T) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			text := strings.Repeat("x", i+1)
			for range 200 {
				doc, err := soap.Parse([]byte(`<a b="`+text+`">`+text+`&amp;<c/></a>`), soap.UTF8, soap.Limits{})
				if err != nil {
					t.Error(err)
					return
				}
				if value, _ := doc.Root().Attr("", "b"); value != text || doc.Root().Text() != text+"&" {
					t.Errorf("got %q, %q", value, doc.Root().Text())
				}
				doc.Release()
				if _, err := soap.Parse([]byte("<a>"+text), soap.UTF8, soap.Limits{}); err == nil {
					t.Error("unclosed element was accepted")
				}
			}
		})
	}
	group.Wait()
}

func TestParseAllocates(t *testing.T) {
	data := fixtures(t)["powershell-get"]
	allocs := testing.AllocsPerRun(200, func() {
		doc, err := soap.Parse(data, soap.UTF8, soap.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		envelope, _ := soap.ReadEnvelope(doc)
		for header := range envelope.Header.Children() {
			if _, err := soap.MustUnderstand(header); err != nil {
				t.Fatal(err)
			}
		}
		doc.Release()
	})
	// One, the copy of the source, as BenchmarkParse shows; but the pool loses arenas to the garbage collector
	// and, on purpose, a quarter of them to the race detector. encoding/xml takes 192.
	if allocs > 10 {
		t.Errorf("%v allocations per document", allocs)
	}
}
