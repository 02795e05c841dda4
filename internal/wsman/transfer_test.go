package wsman_test

import (
	"fmt"
	"strings"
	"testing"
)

func put(uri, selectors, body string) message {
	return message{action: transfer + "Put", uri: uri, selectors: selectors, body: body}
}

// TestPut writes properties in the forms that clients use.
func TestPut(t *testing.T) {
	for _, c := range []struct{ name, body, company string }{
		{"of the class", `<q:Test_Site xmlns:q="` + wmi + `Test_Site"><q:Company>New</q:Company></q:Test_Site>`, "New"},
		{"of any namespace and case", `<test_site><COMPANY>New</COMPANY></test_site>`, "New"},
		{"unchanged read-only property", `<Test_Site><Name>LICENSES</Name><Company>New</Company></Test_Site>`, "New"},
		{"empty", `<Test_Site><Company/></Test_Site>`, ""},
		{"NULL", `<Test_Site><Company xsi:nil="true"/></Test_Site>`, ""},
		{"nothing", `<Test_Site/>`, "Example & Sons"},
		{"white space is kept", `<Test_Site><Company>  A  B </Company></Test_Site>`, "  A  B "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(0)
			got := send(t, server(t, w, nil), put(wmi+"Test_Site", "", c.body).String())
			if got.status != 200 || w.site.Company != c.company || got.text("Body/Test_Site/Company") != c.company ||
				got.text("Header/Action") != transfer+"PutResponse" {
				t.Errorf("%q: %s", w.site.Company, got.raw)
			}
		})
	}
}

// TestPutBack puts back a whole instance as Get gave it, as wsman put -k does.
func TestPutBack(t *testing.T) {
	w := newWorld(2)
	s := server(t, w, nil)
	for _, id := range []string{"2", "3"} {
		raw := send(t, s, get(wmi+"Test_Pack", "PackId="+id).String()).raw
		_, rest, _ := strings.Cut(raw, "<s:Body>")
		instance, _, _ := strings.Cut(rest, "</s:Body>")
		instance = strings.Replace(instance, "Pack &lt;", "Changed &lt;", 1)
		got := send(t, s, put(wmi+"Test_Pack", "PackId="+id, instance).String())
		if got.status != 200 || got.text("Body/Test_Pack/Description") != "Changed <"+id+">" {
			t.Errorf("%s", got.raw)
		}
	}
	want := newWorld(2).packs
	for i := range want {
		want[i].Description = "Changed" + want[i].Description[4:]
		if got := w.packs[i]; got.Description != want[i].Description || got.Expires != want[i].Expires || len(got.Tags) != len(want[i].Tags) {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
}

// TestDatetimesIn sends a datetime in every form that clients have.
func TestDatetimesIn(t *testing.T) {
	w := newWorld(1)
	s := server(t, w, nil)
	for _, value := range []string{
		`<cim:Datetime>2030-05-06T07:08:09Z</cim:Datetime>`, `<Datetime> 2030-05-06T09:08:09+02:00 </Datetime>`,
		`<cim:CIM_DateTime>20300506070809.000000+000</cim:CIM_DateTime>`, `2030-05-06T07:08:09.000000Z`, ` 20300506090809.000000+120 `,
	} {
		w.packs[0].Expires = newWorld(1).packs[0].Expires
		got := send(t, s, put(wmi+"Test_Pack", "PackId=2", `<Test_Pack><Expires>`+value+`</Expires></Test_Pack>`).String())
		if got.text("Body/Test_Pack/Expires/Datetime") != "2030-05-06T07:08:09Z" {
			t.Errorf("%s: %s", value, got.raw)
		}
	}
	for _, value := range []string{`<cim:Interval>P0DT0H1M40S</cim:Interval>`, `<cim:Datetime/>`, `2030-05-06`} {
		got := send(t, s, put(wmi+"Test_Pack", "PackId=2", `<Test_Pack><Expires>`+value+`</Expires></Test_Pack>`).String())
		checkFault(t, got, "s:Sender", "w:SchemaValidationError", "")
	}
}

// TestFragments reads and writes one property (DSP0226, 7.7 to 7.9).
func TestFragments(t *testing.T) {
	w := newWorld(1)
	s := server(t, w, nil)
	fragment := func(m message, path string) reply {
		return send(t, s, withHeader(m, `<w:FragmentTransfer s:mustUnderstand="true" Dialect="http://www.w3.org/TR/1999/REC-xpath-19991116">`+path+`</w:FragmentTransfer>`).String())
	}
	for _, path := range []string{"Description", "/p:Test_Pack/p:Description", "test_pack/description", "p:Description"} {
		got := fragment(get(wmi+"Test_Pack", "PackId=2"), path)
		if got.text("Body/XmlFragment/Description") != "Pack <2>" || got.text("Header/FragmentTransfer") != path ||
			got.at("Body/XmlFragment/Description").XMLName.Space != wmi+"Test_Pack" {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
	for path, want := range map[string]string{"Description/text()": "Pack <2>", "Total/text()": "4294967295", "Tags/text()": "AB & C", "Expires/text()": "2036-01-01T00:00:00Z"} {
		if got := fragment(get(wmi+"Test_Pack", "PackId=2"), path); got.text("Body/XmlFragment") != want {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
	for path, body := range map[string]string{
		"Description":        `<w:XmlFragment><p:Description>New</p:Description></w:XmlFragment>`,
		"Description/text()": `<w:XmlFragment>New</w:XmlFragment>`,
	} {
		w.packs[0].Description = "Old"
		got := fragment(put(wmi+"Test_Pack", "PackId=2", body), path)
		if got.status != 200 || w.packs[0].Description != "New" || strings.TrimSpace(got.text("Body/XmlFragment")+got.text("Body/XmlFragment/Description")) == "" {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
	for _, body := range []string{"", "<w:XmlFragment/>", "<w:XmlFragment><Total>1</Total></w:XmlFragment>", "<Test_Pack><Description/></Test_Pack>"} {
		checkFault(t, fragment(put(wmi+"Test_Pack", "PackId=2", body), "Description"), "s:Sender", "x:InvalidRepresentation", "InvalidFragment")
	}
	checkFault(t, fragment(get(wmi+"Test_Pack", "PackId=2"), "Test_Site/Description"), "s:Sender", "n:CannotProcessFilter", "")
	for _, path := range []string{"", "/", "a/b/c", "Tags[1]", "*", "@x", "a b", strings.Repeat("x", 5000)} {
		checkFault(t, fragment(get(wmi+"Test_Pack", "PackId=2"), path), "s:Sender", "n:CannotProcessFilter", "")
	}
}

// TestInvoke calls methods with everything that clients do differently.
func TestInvoke(t *testing.T) {
	s := server(t, newWorld(1), nil)
	full := func(number, count string) string {
		return `<Install_INPUT xmlns="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cim/Test_Pack"><AgreementType>1</AgreementType>` +
			`<sNumber>` + number + `</sNumber><LicenseCount>` + count + `</LicenseCount></Install_INPUT>`
	}
	upper := `<INSTALL_INPUT><LICENSECOUNT>5</LICENSECOUNT><AGREEMENTTYPE>1</AGREEMENTTYPE><SNUMBER>1</SNUMBER></INSTALL_INPUT>`
	for _, c := range []struct {
		name    string
		m       message
		results map[string]string
	}{
		{"static", call(wmi+"Test_Pack", "Install", "", full("1234567", "5")), map[string]string{"KeyPackId": "17", "Installed/Datetime": "2026-11-22T01:02:03.45Z", "ReturnValue": "0"}},
		{"DMTF URI", call(dmtf+"Test_Pack", "Install", "__cimnamespace=root/cimv2", full("1", "5")), map[string]string{"KeyPackId": "17", "ReturnValue": "0"}},
		{"another case", call(strings.ToUpper(wmi)+"TEST_PACK", "INSTALL", "", upper), map[string]string{"KeyPackId": "17", "ReturnValue": "0"}},
		{"static on an instance", call(wmi+"Test_Pack", "Install", "PackId=77", full("1", "5")), map[string]string{"KeyPackId": "17"}},
		{"failure", call(wmi+"Test_Pack", "Install", "", full("1", "0")), map[string]string{"KeyPackId": "nil", "Installed": "nil", "ReturnValue": "2147749896"}},
		{"singleton, empty Body", call(wmi+"Test_Site", "Activate", "", ""), map[string]string{"ReturnValue": "0"}},
		{"singleton, empty input", call(wmi+"Test_Site", "Activate", "", "<Activate_INPUT/>"), map[string]string{"ReturnValue": "0"}},
		{"all types", call(wmi+"Test_Pack", "Flavors", "", `<Flavors_INPUT><Yes>1</Yes><List>a</List><When><cim:Datetime>2030-01-01T00:00:00Z</cim:Datetime></When><List>b</List><List>c</List></Flavors_INPUT>`),
			map[string]string{"When/Datetime": "2030-01-01T00:00:00Z", "Yes": "true", "List": "a,b,c"}},
		{"a scalar for an array", call(wmi+"Test_Pack", "Flavors", "", `<Flavors_INPUT><Yes>FALSE</Yes><List>a</List><When>20300101000000.000000-000</When></Flavors_INPUT>`),
			map[string]string{"Yes": "false", "List": "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := send(t, s, c.m.String())
			if got.status != 200 || got.text("Header/Action") != c.m.action+"Response" {
				t.Fatal(got.raw)
			}
			output := got.at("Body").Children[0]
			if method := c.m.action[strings.LastIndexByte(c.m.action, '/')+1:]; !strings.EqualFold(output.XMLName.Local, method+"_OUTPUT") ||
				!strings.EqualFold(output.XMLName.Space, c.m.uri) {
				t.Errorf("%v", output.XMLName)
			}
			for name, want := range c.results {
				var values []string
				for _, e := range output.all(strings.Split(name, "/")[0]) {
					if e.attr("nil") == "true" {
						e.Text = "nil"
					}
					values = append(values, e.Text)
				}
				value := strings.Join(values, ",")
				if strings.Contains(name, "/") {
					value = output.text(name)
				}
				if value != want {
					t.Errorf("%s is %q, want %q", name, value, want)
				}
			}
			if last := output.Children[len(output.Children)-1]; last.XMLName.Local != "ReturnValue" {
				t.Errorf("%s is last", last.XMLName.Local)
			}
		})
	}
}

// TestEmbeddedInstances checks that every element has the namespace of the class it belongs to.
func TestEmbeddedInstances(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for _, base := range []string{wmi, dmtf} {
		got := send(t, s, call(base+"Test_Pack", "Entries", "PackId=2", "").String())
		output := got.at("Body/Entries_OUTPUT")
		entries := output.all("Entries")
		if len(entries) != 2 || len(output.all("First")) != 1 {
			t.Fatal(got.raw)
		}
		for _, e := range append(entries, output.at("First")) {
			if e.XMLName.Space != base+"Test_Pack" || e.attr("type") != "q:Test_Entry_Type" || e.at("User").XMLName.Space != base+"Test_Entry" {
				t.Errorf("%+v", e)
			}
		}
		if entries[0].text("User") != `CORP\ann` || entries[0].text("CALs") != "2" || entries[0].text("When/Datetime") != "2026-11-22T01:02:03.45Z" ||
			entries[1].text("User") != "" || entries[1].at("When").attr("nil") != "true" {
			t.Error(got.raw)
		}
	}
}

// TestHostileArguments sends many arguments: they must cost time in proportion only.
func TestHostileArguments(t *testing.T) {
	s := server(t, newWorld(1), nil)
	for name, body := range map[string]string{
		"different": `<Install_INPUT>` + many("<A%d/>", 20_000) + `</Install_INPUT>`,
		"the same":  `<Install_INPUT>` + strings.Repeat("<sNumber>1</sNumber>", 30_000) + `</Install_INPUT>`,
	} {
		got := send(t, s, call(wmi+"Test_Pack", "Install", "", body).String())
		if got.text("Body/Fault/Code/Subcode/Value") != "w:InvalidParameter" {
			t.Errorf("%s: %s", name, got.raw)
		}
	}
}

// many writes a format for each number below n.
func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
