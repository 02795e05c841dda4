package wsman_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// items returns the items of an EnumerateResponse or PullResponse, and checks the namespaces of their frame.
func (r reply) items(t *testing.T) (found []*node, context string, end bool) {
	t.Helper()
	if r.status != 200 {
		t.Errorf("status %d: %s", r.status, r.raw)
		return nil, "", true
	}
	body := r.at("Body").Children[0]
	frame := "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	if body.XMLName.Local == "EnumerateResponse" {
		frame = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	}
	for _, name := range []string{"Items", "EndOfSequence"} {
		if e := body.at(name); e != nil && e.XMLName.Space != frame {
			t.Errorf("%s of %s in %s", name, e.XMLName.Space, body.XMLName.Local)
		}
	}
	if e := body.at("Items"); e != nil {
		found = e.Children
	}
	if e := body.at("EnumerationContext"); e != nil {
		context = e.Text
		if body.XMLName.Local == "PullResponse" && context == "" {
			t.Error("a PullResponse has an empty context: WinRb loops on that")
		}
	}
	return found, context, body.at("EndOfSequence") != nil
}

// TestEnumerationMatrix goes through packs in every mode, optimized or not, in portions of all sizes, and under a small
// envelope: each instance must come once, in order, and no reply may be too large.
func TestEnumerationMatrix(t *testing.T) {
	const count = 23
	w := newWorld(count)
	s := server(t, w, nil)
	for _, base := range []string{wmi, dmtf} {
		for _, mode := range []string{"", "EnumerateEPR", "EnumerateObjectAndEPR"} {
			for _, optimized := range []bool{false, true} {
				for _, most := range []int{0, 1, 2, 22, 23, 24, 32000} {
					for _, envelope := range []int{0, 8192} {
						name := fmt.Sprintf("%s %s optimized=%v MaxElements=%d MaxEnvelopeSize=%d", base[:20], mode, optimized, most, envelope)
						started := w.started.Load()
						var children, limit, pullLimit string
						if mode != "" {
							children += "<w:EnumerationMode>" + mode + "</w:EnumerationMode>"
						}
						if optimized {
							children += "<w:OptimizeEnumeration/>"
						}
						if most > 0 {
							limit = fmt.Sprintf("<w:MaxElements>%d</w:MaxElements>", most)
							pullLimit = fmt.Sprintf("<n:MaxElements>%d</n:MaxElements>", most)
						}
						var header string
						if envelope > 0 {
							header = fmt.Sprintf("<w:MaxEnvelopeSize>%d</w:MaxEnvelopeSize>", envelope)
						}
						got := send(t, s, withHeader(enumerateMessage(base+"Test_Pack", "", children+limit), header).String())
						found, context, end := got.items(t)
						all := found
						if !optimized && (len(found) > 0 || end || context == "") {
							t.Fatalf("%s: %s", name, got.raw)
						}
						for !end {
							if context == "" {
								t.Fatalf("%s: no context: %s", name, got.raw)
							}
							m := message{action: enumeration + "Pull", uri: base + "Test_Pack", header: header, body: `<n:Pull><n:EnumerationContext>` + context + `</n:EnumerationContext>` + pullLimit + `</n:Pull>`}
							got = send(t, s, m.String())
							found, context, end = got.items(t)
							if len(found) == 0 || len(found) > max(most, 1) {
								t.Fatalf("%s: %d items", name, len(found))
							}
							if envelope > 0 && len(got.raw) > envelope {
								t.Fatalf("%s: %d bytes", name, len(got.raw))
							}
							all = append(all, found...)
						}
						if len(all) != count || context != "" {
							t.Fatalf("%s: %d items, context %q", name, len(all), context)
						}
						for i, item := range all {
							checkItem(t, name, item, base, mode, strconv.Itoa(i+2))
						}
						if w.started.Load() != started+1 || w.ended.Load() != started+1 {
							t.Fatalf("%s: %d sequences begun, %d ended", name, w.started.Load()-started, w.ended.Load()-started)
						}
					}
				}
			}
		}
	}
}

func checkItem(t *testing.T, name string, item *node, base, mode, id string) {
	t.Helper()
	object, epr := item, item
	switch mode {
	case "":
		epr = nil
	case "EnumerateEPR":
		object = nil
	default:
		if item.XMLName.Local != "Item" || item.XMLName.Space != "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" || len(item.Children) != 2 {
			t.Fatalf("%s: %+v", name, item)
		}
		object, epr = item.Children[0], item.Children[1]
	}
	if object != nil && (object.XMLName.Local != "Test_Pack" || object.XMLName.Space != base+"Test_Pack" || object.text("PackId") != id) {
		t.Fatalf("%s: %+v", name, object)
	}
	if epr == nil {
		return
	}
	selectors := epr.at("ReferenceParameters/SelectorSet")
	if epr.XMLName.Local != "EndpointReference" || epr.text("ReferenceParameters/ResourceURI") != base+"Test_Pack" || len(selectors.Children) != 2 ||
		selectors.Children[0].Text != "root/cimv2" || selectors.Children[1].attr("Name") != "PackId" || selectors.Children[1].Text != id {
		t.Fatalf("%s: %+v", name, epr)
	}
}

// TestNothingToEnumerate checks the empty sequence, and that of a class that occurs only embedded.
func TestNothingToEnumerate(t *testing.T) {
	s := server(t, newWorld(0), nil)
	for _, class := range []string{"Test_Pack", "Test_Entry"} {
		found, context, end := send(t, s, enumerate(wmi+class, "", "<w:OptimizeEnumeration/>")).items(t)
		if len(found) != 0 || context != "" || !end {
			t.Errorf("%s: %d items, context %q, end %v", class, len(found), context, end)
		}
		_, context, _ = send(t, s, enumerate(wmi+class, "", "")).items(t)
		found, context, end = send(t, s, pull(context, "")).items(t)
		if len(found) != 0 || context != "" || !end {
			t.Errorf("%s: %d items, context %q, end %v", class, len(found), context, end)
		}
	}
}

// TestFilters checks queries and what their items look like under either kind of URI.
func TestFilters(t *testing.T) {
	w := newWorld(10)
	s := server(t, w, nil)
	for _, c := range []struct {
		name, uri, filter, element, ids string
	}{
		{"all", wmi + "*", wqlFilter("Select * from Test_Pack"), "Test_Pack", "2,3,4,5,6,7,8,9,10,11"},
		{"where", wmi + "*", wqlFilter("select * from test_pack where PackId !=4 and PackId &lt; 7"), "Test_Pack", "2,3,5,6"},
		{"by key", wmi + "*", wqlFilter("select * from Test_Pack where PackId = 4"), "Test_Pack", "4"},
		{"by key and more", wmi + "*", wqlFilter("select * from Test_Pack where PackId = 4 and Description = 'x'"), "Test_Pack", ""},
		{"by a key that is not there", wmi + "*", wqlFilter("select * from Test_Pack where PackId = 400"), "Test_Pack", ""},
		{"in the other namespace", wmi + "*", strings.NewReplacer("w:Filter", "n:Filter").Replace(wqlFilter("select * from Test_Pack where PackId = 4")), "Test_Pack", "4"},
		{"with a class", wmi + "Test_Pack", wqlFilter("select * from TEST_PACK where Perpetual = true and PackId > 8"), "Test_Pack", "10"},
		{"CQL", wmi + "*", `<w:Filter Dialect="http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf">SELECT * FROM Test_Pack WHERE PackId = 4</w:Filter>`, "Test_Pack", "4"},
		{"projection", wmi + "*", wqlFilter("select PackId, Description, Expires, Tags from Test_Pack where PackId &lt; 4"), "XmlFragment", "2,3"},
		{"projection, DMTF", "http://schemas.dmtf.org/wbem/wscim/1/*", wqlFilter("select PackId, Expires from Test_Pack where PackId &lt; 4"), "Test_Pack", "2,3"},
		{"all, DMTF", "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/*", wqlFilter("select * from Test_Pack where PackId &lt; 4"), "Test_Pack", "2,3"},
		{"selectors", wmi + "Test_Pack", selectorFilter("description", "PACK &lt;7>"), "Test_Pack", "7"},
		{"selector of a number", wmi + "Test_Pack", selectorFilter("PackId", "7"), "Test_Pack", "7"},
		{"selector of a datetime", wmi + "Test_Pack", selectorFilter("Expires", "2036-01-01T00:00:00Z"), "Test_Pack", "2,4,6,8,10"},
		{"selector of a boolean", wmi + "Test_Pack", selectorFilter("Perpetual", "false"), "Test_Pack", "3,5,7,9,11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := send(t, s, enumerate(c.uri, "", "<w:OptimizeEnumeration/><w:MaxElements>50</w:MaxElements>"+c.filter))
			found, _, end := got.items(t)
			var ids []string
			for _, item := range found {
				if item.XMLName.Local != c.element {
					t.Fatalf("%v", item.XMLName)
				}
				ids = append(ids, item.text("PackId"))
			}
			if strings.Join(ids, ",") != c.ids || !end {
				t.Errorf("got %v, end %v", ids, end)
			}
		})
	}
	before := w.started.Load()
	send(t, s, enumerate(wmi+"*", "", "<w:OptimizeEnumeration/>"+wqlFilter("select * from Test_Pack where PackId = 4")))
	if w.started.Load() != before {
		t.Error("a query by key went through all instances")
	}
	pairs, _, _ := send(t, s, enumerate(wmi+"*", "", "<w:OptimizeEnumeration/>"+wqlFilter("select * from Test_Pair where Zone = 'b&lt;' and Index = 2"))).items(t)
	if len(pairs) != 1 || pairs[0].text("Zone") != "b<" {
		t.Errorf("%+v", pairs)
	}
}

// TestProjection checks that the elements of a projection have no namespace, those of its datetimes included.
func TestProjection(t *testing.T) {
	s := server(t, newWorld(2), nil)
	got := send(t, s, enumerate(wmi+"*", "", "<w:OptimizeEnumeration/><w:MaxElements>50</w:MaxElements>"+
		wqlFilter("select Description, PackId, Expires, Tags, __CLASS, __PATH from Test_Pack")))
	found, _, _ := got.items(t)
	for _, e := range found[0].Children {
		if e.XMLName.Space != "" {
			t.Errorf("%v", e.XMLName)
		}
	}
	if d := found[0].at("Expires/Datetime"); d == nil || d.XMLName.Space != "" || d.Text != "2036-01-01T00:00:00Z" {
		t.Errorf("%+v", d)
	}
	if len(found[0].all("Tags")) != 2 || found[1].at("Expires").attr("nil") != "true" || found[1].at("Tags").attr("nil") != "true" ||
		found[0].text("__CLASS") != "Test_Pack" || found[0].text("__PATH") != `\\ls1.example.com\root\cimv2:Test_Pack.PackId=2` {
		t.Error(got.raw)
	}
	// Under a DMTF URI system properties have no place, and properties that were not asked for are left out.
	got = send(t, s, enumerate(dmtf+"*", "", "<w:OptimizeEnumeration/><w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>"+
		wqlFilter("select Description, __CLASS from Test_Pack")))
	found, _, _ = got.items(t)
	if object := found[0].at("Test_Pack"); len(object.Children) != 1 || object.text("Description") != "Pack <2>" || found[0].at("EndpointReference") == nil {
		t.Error(got.raw)
	}
}

// TestClasses fetches and enumerates classes.
func TestClasses(t *testing.T) {
	s := server(t, newWorld(0), nil)
	const uri = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/"
	for uri, selectors := range map[string]string{uri + "*": "__cimnamespace=root/cimv2;classname=TEST_PACK", uri + "Test_Pack": ""} {
		class := send(t, s, get(uri, selectors).String()).at("Body/CLASS")
		if class == nil || class.XMLName.Space != "" || class.attr("NAME") != "Test_Pack" || len(class.all("PROPERTY")) != 6 ||
			len(class.all("PROPERTY.ARRAY")) != 1 || len(class.all("METHOD")) != 6 {
			t.Fatalf("%+v", class)
		}
		entries := class.all("METHOD")[2]
		if entries.attr("NAME") != "Entries" || entries.at("PARAMETER.ARRAY").attr("TYPE") != "string" {
			t.Errorf("%+v", entries)
		}
	}
	var names []string
	found, context, end := send(t, s, enumerate(uri+"*", "__cimnamespace=root/cimv2", "<w:OptimizeEnumeration/><w:MaxElements>3</w:MaxElements>")).items(t)
	for {
		for _, class := range found {
			names = append(names, class.attr("NAME"))
		}
		if end {
			break
		}
		found, context, end = send(t, s, pull(context, "<n:MaxElements>3</n:MaxElements>")).items(t)
	}
	if strings.Join(names, " ") != "Test_Pack Test_Site Test_Pair Test_Entry" {
		t.Errorf("%v", names)
	}
	if found, _, _ := send(t, s, enumerate(uri+"*", "ClassName=Test_Pack", "<w:OptimizeEnumeration/>")).items(t); len(found) != 0 {
		t.Errorf("subclasses: %v", found)
	}
	checkFault(t, send(t, s, enumerate(uri+"*", "", wqlFilter("select * from meta_class"))), "s:Sender", "n:FilterDialectRequestedUnavailable", "")
}

// TestEnumeratedAsGot checks that an instance of a list has the very bytes that it has when it is read alone: with NULLs, arrays,
// and text to be escaped.
func TestEnumeratedAsGot(t *testing.T) {
	s := server(t, newWorld(4), nil)
	list := send(t, s, enumerate(wmi+"Test_Pack", "", "<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements>")).raw
	for id := 2; id <= 5; id++ {
		one := send(t, s, get(wmi+"Test_Pack", fmt.Sprint("PackId=", id)).String()).raw
		_, instance, _ := strings.Cut(one, "<s:Body>")
		instance, _, _ = strings.Cut(instance, "</s:Body>")
		if instance == "" || strings.Count(list, instance) != 1 {
			t.Errorf("pack %d is\n%s\nand the list is\n%s", id, instance, list)
		}
	}
}
