package wsman_test

import (
	"slices"
	"strings"
	"testing"
)

// TestSchemaQueries asks for classes by WQL. They come as instances whose properties are NULL, and their endpoint references
// are those of a class fetch.
func TestSchemaQueries(t *testing.T) {
	s := server(t, newWorld(3), nil)
	const optimized = "<w:OptimizeEnumeration/><w:MaxElements>99</w:MaxElements>"
	for where, want := range map[string]string{
		"":                                 "Test_Pack Test_Site Test_Pair Test_Entry",
		` where __CLASS = "test_pair"`:     "Test_Pair",
		` WHERE __CLASS LIKE "Test_P%"`:    "Test_Pack Test_Pair",
		` where __this ISA "Test_Site"`:    "Test_Site",
		` where __SUPERCLASS IS NULL`:      "Test_Pack Test_Site Test_Pair Test_Entry",
		` where __DYNASTY = 'CIM_Setting'`: "",
		` where __PATH = "\\\\ls1.example.com\\root\\cimv2:Test_Entry"`: "Test_Entry",
	} {
		query := optimized + wqlFilter("select * from meta_class"+where)
		for uri, space := range map[string]string{wmi + "*": wmi, dmtf + "*": dmtf, "http://schemas.dmtf.org/wbem/wscim/1/*": dmtf} {
			got := send(t, s, enumerate(uri, "", query))
			found, _, end := got.items(t)
			var names []string
			for _, item := range found {
				names = append(names, item.XMLName.Local)
				if item.XMLName.Space != space+item.XMLName.Local || item.attr("type") != "p:"+item.XMLName.Local+"_Type" || len(item.Children) == 0 {
					t.Errorf("%s%s: %+v", uri, where, item)
				}
				for _, p := range item.Children {
					if p.attr("nil") != "true" || p.Text != "" || p.Children != nil {
						t.Errorf("%s%s: %s of the class %s is %+v", uri, where, p.XMLName.Local, item.XMLName.Local, p)
					}
				}
			}
			if strings.Join(names, " ") != want || !end {
				t.Errorf("%s%s: %v, end %v; want %s", uri, where, names, end, want)
			}
		}
	}
	both := optimized + "<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>" + wqlFilter("SELECT * FROM meta_class WHERE __CLASS = Test_Pack")
	found, _, _ := send(t, s, enumerate(dmtf+"*", "", both)).items(t)
	parameters := found[0].at("EndpointReference/ReferenceParameters")
	selectors := parameters.at("SelectorSet").all("Selector")
	if len(found[0].at("Test_Pack").all("Tags")) != 1 || len(selectors) != 1 || selectors[0].attr("Name") != "__cimnamespace" || selectors[0].Text != "root/cimv2" {
		t.Errorf("%+v", found[0])
	}
	if class := fetch(t, send(t, s, get(parameters.text("ResourceURI"), "__cimnamespace=root/cimv2").String())); class[0].Name != "Test_Pack" {
		t.Errorf("the endpoint reference names %+v", class)
	}
	references := optimized + "<w:EnumerationMode>EnumerateEPR</w:EnumerationMode>" + wqlFilter("SELECT * FROM meta_class")
	if found, _, _ := send(t, s, enumerate(wmi+"*", "", references)).items(t); len(found) != 4 || found[3].text("ReferenceParameters/ResourceURI") != cimXML+"Test_Entry" {
		t.Errorf("%+v", found)
	}
	// In portions, with a context.
	_, enumeration, _ := send(t, s, enumerate(wmi+"*", "", wqlFilter("SELECT * FROM meta_class"))).items(t)
	var names []string
	for end := false; !end; {
		var found []*node
		found, enumeration, end = send(t, s, pull(enumeration, "<n:MaxElements>3</n:MaxElements>")).items(t)
		for _, item := range found {
			names = append(names, item.XMLName.Local)
		}
	}
	if !slices.Equal(names, []string{"Test_Pack", "Test_Site", "Test_Pair", "Test_Entry"}) {
		t.Errorf("%v", names)
	}
	for query, subcode := range map[string]string{
		"select __CLASS from meta_class":               "n:CannotProcessFilter",
		"select * from meta_class where Name = 'x'":    "n:CannotProcessFilter",
		"select * from Test_Pack where __this ISA 'x'": "n:CannotProcessFilter",
	} {
		checkFault(t, send(t, s, enumerate(wmi+"*", "", wqlFilter(query))), "s:Sender", subcode, "")
	}
	checkFault(t, send(t, s, enumerate(wmi+"Test_Pack", "", wqlFilter("select * from meta_class"))), "s:Sender", "n:CannotProcessFilter", "")
}

// TestSystemProperties selects and compares them in queries for instances.
func TestSystemProperties(t *testing.T) {
	s := server(t, newWorld(3), nil)
	query := `select PackId, __CLASS, __SUPERCLASS, __DYNASTY, __GENUS, __PROPERTY_COUNT, __DERIVATION, __RELPATH, __PATH, __NAMESPACE, __SERVER ` +
		`from Test_Pack where (__CLASS !="") and __GENUS = 2 and __SUPERCLASS is null and __RELPATH like "%=3"`
	found, _, _ := send(t, s, enumerate(wmi+"*", "", "<w:OptimizeEnumeration/><w:MaxElements>9</w:MaxElements>"+wqlFilter(query))).items(t)
	if len(found) != 1 {
		t.Fatalf("%d instances", len(found))
	}
	for name, want := range map[string]string{
		"PackId": "3", "__CLASS": "Test_Pack", "__DYNASTY": "Test_Pack", "__GENUS": "2", "__PROPERTY_COUNT": "7", "__RELPATH": "Test_Pack.PackId=3",
		"__PATH": `\\ls1.example.com\root\cimv2:Test_Pack.PackId=3`, "__NAMESPACE": `root\cimv2`, "__SERVER": "ls1.example.com",
	} {
		if got := found[0].text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if found[0].at("__SUPERCLASS").attr("nil") != "true" || found[0].at("__DERIVATION") != nil {
		t.Errorf("%+v", found[0])
	}
}
