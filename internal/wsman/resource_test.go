package wsman_test

import (
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman"
)

// TestResourceURIs checks every way to name an instance, and that the reply has the URI of that way.
func TestResourceURIs(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, c := range []struct{ uri, selectors, space string }{
		{wmi + "Test_Pack", "PackId=2", wmi},
		{wmi + "Test_Pack", "PackId=2;__cimnamespace=root/cimv2", wmi},
		{wmi + "test_pack", "packid= 2 ;__CIMNAMESPACE= ROOT\\CimV2 ", wmi},
		{"HTTP://schemas.microsoft.com/WBEM/wsman/1/wmi/ROOT\\cimv2\\TEST_PACK", "PACKID=2", wmi},
		{"\n\t" + wmi + "Test_Pack\n ", "PackId=\n2", wmi},
		{dmtf + "Test_Pack", "PackId=2;__cimnamespace=root/cimv2", dmtf},
		{dmtf + "Test_Pack", "PackId=2;__cimnamespace=\\root\\cimv2\\", dmtf},
		{dmtf + "Test_Pack", "PackId=2", dmtf}, // the documented default
		{"http://schemas.dmtf.org/wbem/wscim/1/CIM-schema/2/Test_Pack", "PackId=2", dmtf},
	} {
		got := send(t, s, get(c.uri, c.selectors).String())
		p := got.at("Body/Test_Pack")
		if got.status != 200 || p == nil || p.XMLName.Space != c.space+"Test_Pack" || p.text("PackId") != "2" {
			t.Errorf("%q %q: %d %s", c.uri, c.selectors, got.status, got.raw)
		}
	}
	for _, uri := range []string{
		"", "*", "http://schemas.microsoft.com/wbem/wsman/1/wmi/", wmi, wmi + "Test_Pack/", wmi + "x/Test_Pack",
		"http://schemas.microsoft.com/wbem/wsman/1/wmi/Test_Pack", dmtf, dmtf + "root/cimv2/Test_Pack", "http://schemas.dmtf.org/wbem/wscim/1/",
		"http://schemas.dmtf.org/wbem/wscim/1/*", "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/*", "wmicimv2/Test_Pack",
	} {
		got := send(t, s, get(uri, "PackId=2").String())
		checkFault(t, got, "s:Sender", "a:DestinationUnreachable", "InvalidResourceURI")
	}
}

// TestSeveralNamespaces serves a class of the same name in two namespaces.
func TestSeveralNamespaces(t *testing.T) {
	one, two := newWorld(1), newWorld(1)
	two.packs[0].Description = "other"
	s := server(t, one, func(o *wsman.Options) {
		first := two.namespace(t)
		other, err := cim.NewNamespace("root/test", first.Classes...)
		must(t, err)
		o.Namespaces = append(o.Namespaces, other)
	})
	for selectors, want := range map[string]string{"PackId=2": "Pack <2>", "PackId=2;__cimnamespace=root/test": "other"} {
		if got := send(t, s, get(dmtf+"Test_Pack", selectors).String()); got.text("Body/Test_Pack/Description") != want {
			t.Errorf("%s: %s", selectors, got.raw)
		}
	}
	got := send(t, s, get("http://schemas.microsoft.com/wbem/wsman/1/wmi/root/test/Test_Pack", "PackId=2").String())
	if p := got.at("Body/Test_Pack"); p == nil || p.text("Description") != "other" ||
		p.XMLName.Space != "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/test/Test_Pack" {
		t.Error(got.raw)
	}
}

// TestValues checks the form of every type of value, NULL and empty ones included.
func TestValues(t *testing.T) {
	s := server(t, newWorld(2), nil)
	full := send(t, s, get(wmi+"Test_Pack", "PackId=2").String()).at("Body/Test_Pack")
	if full.attr("type") != "p:Test_Pack_Type" {
		t.Errorf("xsi:type %q", full.attr("type"))
	}
	for name, want := range map[string]string{
		"PackId": "2", "Description": "Pack <2>", "Kind": "1", "Perpetual": "true", "Total": "4294967295", "Expires/Datetime": "2036-01-01T00:00:00Z",
	} {
		if full.text(name) != want {
			t.Errorf("%s is %q, want %q", name, full.text(name), want)
		}
	}
	if d := full.at("Expires/Datetime"); d.XMLName.Space != "http://schemas.dmtf.org/wbem/wscim/1/common" {
		t.Errorf("Datetime of %s", d.XMLName.Space)
	}
	if tags := full.all("Tags"); len(tags) != 2 || tags[0].Text != "A" || tags[1].Text != "B & C" {
		t.Errorf("Tags %v", tags)
	}
	empty := send(t, s, get(wmi+"Test_Pack", "PackId=3").String()).at("Body/Test_Pack")
	for _, name := range []string{"Expires", "Tags"} {
		if e := empty.all(name); len(e) != 1 || e[0].attr("nil") != "true" || e[0].attr("IsNullArray") != "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	precise := send(t, s, withHeader(get(wmi+"Test_Pack", "PackId=3"), managed).String()).at("Body/Test_Pack")
	if e := precise.all("Tags"); len(e) != 1 || e[0].attr("IsNullArray") != "true" || e[0].attr("nil") != "true" {
		t.Errorf("precise Tags: %+v", e)
	}
	if e := precise.all("Expires"); e[0].attr("IsNullArray") != "" {
		t.Errorf("precise Expires: %+v", e)
	}
}

// all returns the children of that local name.
func (n *node) all(name string) []*node {
	var found []*node
	for _, c := range n.Children {
		if c.XMLName.Local == name {
			found = append(found, c)
		}
	}
	return found
}
