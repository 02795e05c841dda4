package client_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/wsman/client"
)

func TestGetRequest(t *testing.T) {
	s := newServer(t, answer{file: "get-keypack.xml"})
	c := s.client(t, func(o *client.Options) {
		o.Namespace = `ROOT\CIMV2`
		o.Timeout = 90*time.Second + 50*time.Millisecond
		o.MaxEnvelopeSize = 153600
		o.Rand = bytes.NewReader(bytes.Repeat([]byte{0xFF}, 16))
	})
	if _, err := c.Get(t.Context(), "Win32_TSLicenseKeyPack", []client.Value{client.Uint32("KeyPackId", 17), client.Text("Other", `a<&"b`)}); err != nil {
		t.Fatal(err)
	}
	r := s.requests[0]
	if r.path != "/wsman" {
		t.Errorf("the path is %s", r.path)
	}
	if got := r.http.Get("Content-Type"); got != "application/soap+xml;charset=UTF-8" {
		t.Errorf("Content-Type: %s", got)
	}
	if name, secret, ok := (&http.Request{Header: r.http}).BasicAuth(); !ok || name != user || secret != password {
		t.Errorf("the first request has no right Basic authentication")
	}
	if r.XMLName != (xml.Name{Space: nsEnvelope, Local: "Envelope"}) {
		t.Errorf("the root is %v", r.XMLName)
	}
	for _, want := range []struct{ space, local, text, understand string }{
		{nsAddressing, "To", s.URL + "/wsman", ""},
		{nsWSMan, "ResourceURI", nsWMI + "Win32_TSLicenseKeyPack", "true"},
		{nsAddressing, "Action", nsTransfer + "/Get", "true"},
		{nsWSMan, "MaxEnvelopeSize", "153600", "true"},
		{nsAddressing, "MessageID", "uuid:FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF", ""},
		{nsWSMan, "OperationTimeout", "PT90.050S", ""},
		{nsWSMan, "Locale", "", "false"},
	} {
		e := r.header(t, want.space, want.local)
		if e.Text != want.text || e.attr(nsEnvelope, "mustUnderstand") != want.understand {
			t.Errorf("%s is %q (mustUnderstand %q), want %q (%q)", want.local, e.Text, e.attr(nsEnvelope, "mustUnderstand"), want.text, want.understand)
		}
	}
	if got := r.header(t, nsAddressing, "ReplyTo").at(t, nsAddressing, "Address").Text; got != nsAddressing+"/role/anonymous" {
		t.Errorf("ReplyTo is %s", got)
	}
	selectors := r.header(t, nsWSMan, "SelectorSet").Nodes
	if len(selectors) != 2 || selectors[0].attr("", "Name") != "KeyPackId" || selectors[0].Text != "17" ||
		selectors[1].attr("", "Name") != "Other" || selectors[1].Text != `a<&"b` {
		t.Errorf("the selectors are %+v", selectors)
	}
	if body := r.at(t, nsEnvelope, "Body"); len(body.Nodes) != 0 {
		t.Errorf("the Body is not empty: %+v", body)
	}
}

func TestMessageIDsDiffer(t *testing.T) {
	s := newServer(t, answer{file: "get-keypack.xml"}, answer{file: "get-keypack.xml"})
	c := s.client(t)
	for range 2 {
		if _, err := c.Get(t.Context(), "Win32_TSLicenseKeyPack", nil); err != nil {
			t.Fatal(err)
		}
	}
	form := regexp.MustCompile(`^uuid:[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)
	first, second := s.requests[0].header(t, nsAddressing, "MessageID").Text, s.requests[1].header(t, nsAddressing, "MessageID").Text
	if first == second || !form.MatchString(first) || !form.MatchString(second) {
		t.Errorf("the identifiers are %s and %s", first, second)
	}
	if s.requests[0].at(t, nsEnvelope, "Header").has(nsWSMan, "SelectorSet") {
		t.Error("there is a SelectorSet although there are no keys")
	}
}

// TestGetReads holds two replies with the same content against each other: one of Windows, one with other prefixes, CDATA,
// references, white space, xsi:type on properties and the resource URI of DMTF.
func TestGetReads(t *testing.T) {
	for _, file := range []string{"get-windows.xml", "get-other-prefixes.xml"} {
		t.Run(file, func(t *testing.T) {
			s := newServer(t, answer{file: file})
			disk, err := s.client(t).Get(t.Context(), "Win32_LogicalDisk", []client.Value{client.Text("DeviceID", "c:")})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, v := range disk.Values {
				names = append(names, v.Name)
			}
			if got := strings.Join(names, " "); got != "Access Availability Compressed DeviceID FreeSpace InstallDate PowerManagementCapabilities VolumeName" {
				t.Errorf("the properties are %s", got)
			}
			if disk.Class != "Win32_LogicalDisk" || !strings.HasSuffix(disk.ResourceURI, "/Win32_LogicalDisk") {
				t.Errorf("it is a %s of %s", disk.Class, disk.ResourceURI)
			}
			if got := disk.Text("deviceid"); got != "c:" {
				t.Errorf("DeviceID is %q", got)
			}
			if n, ok := disk.Uint32("ACCESS"); !ok || n != 0 {
				t.Errorf("Access is %d, %v", n, ok)
			}
			if _, ok := disk.Uint32("FreeSpace"); ok || disk.Text("FreeSpace") != "840649814016" {
				t.Errorf("FreeSpace is %q", disk.Text("FreeSpace"))
			}
			if b, ok := disk.Bool("Compressed"); !ok || b {
				t.Errorf("Compressed is %v, %v", b, ok)
			}
			if at, ok := disk.Time("InstallDate"); !ok || !at.Equal(time.Date(2014, 3, 2, 9, 15, 47, 500e6, time.UTC)) || disk.Text("InstallDate") != "2014-03-02T09:15:47.5Z" {
				t.Errorf("InstallDate is %v, %v, %q", at, ok, disk.Text("InstallDate"))
			}
			if v, ok := disk.Value("Availability"); !ok || !v.IsNull() || v.Text() != "" || v.Elements() != nil {
				t.Errorf("Availability is %+v, %v", v, ok)
			}
			if _, ok := disk.Uint32("Availability"); ok {
				t.Error("NULL is a number")
			}
			if v, ok := disk.Value("VolumeName"); !ok || v.IsNull() || v.Text() != "" {
				t.Errorf("VolumeName is %+v, %v; want the empty string", v, ok)
			}
			capabilities, _ := disk.Value("PowerManagementCapabilities")
			if e := capabilities.Elements(); len(e) != 2 || e[0].Text() != "1" || e[1].Text() != "7" || capabilities.Text() != "" {
				t.Errorf("PowerManagementCapabilities is %+v", capabilities)
			}
			if _, ok := disk.Value("Missing"); ok || disk.Text("Missing") != "" {
				t.Error("there is a property Missing")
			}
			if _, ok := disk.Time("DeviceID"); ok {
				t.Error("DeviceID is a time")
			}
		})
	}
}

func TestPutSendsTheWholeInstance(t *testing.T) {
	s := newServer(t, answer{file: "get-keypack.xml"}, answer{file: "put-keypack.xml"})
	got, err := s.client(t).Put(t.Context(), "Win32_TSLicenseKeyPack", []client.Value{client.Uint32("KeyPackId", 17)},
		[]client.Value{client.Uint32("accessrights", 1), client.Text("Comment", "new")})
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := got.Uint32("AccessRights"); !ok || n != 1 {
		t.Errorf("AccessRights is %d, %v", n, ok)
	}
	r := s.requests[1]
	if r.action(t) != nsTransfer+"/Put" || len(r.header(t, nsWSMan, "SelectorSet").Nodes) != 1 {
		t.Errorf("the action is %s", r.action(t))
	}
	const space = nsWMI + "Win32_TSLicenseKeyPack"
	body := r.at(t, nsEnvelope, "Body", space, "Win32_TSLicenseKeyPack")
	for name, want := range map[string]string{"KeyPackId": "17", "TotalLicenses": "4294967295", "AccessRights": "1", "Comment": "new"} {
		if text := body.at(t, space, name).Text; text != want {
			t.Errorf("%s is %q, want %q", name, text, want)
		}
	}
	if body.at(t, space, "Description").attr(nsXSI, "nil") != "true" {
		t.Error("Description is not NULL any more")
	}
	if text := body.at(t, space, "ExpirationDate", nsCIM, "Datetime").Text; text != "2036-01-01T00:00:00Z" {
		t.Errorf("ExpirationDate is %q", text)
	}
}

func TestPutWithAnEmptyReply(t *testing.T) {
	s := newServer(t, answer{file: "get-keypack.xml"}, answer{file: "put-empty.xml"})
	got, err := s.client(t).Put(t.Context(), "Win32_TSLicenseKeyPack", nil, []client.Value{client.Uint32("AccessRights", 3)})
	if n, _ := got.Uint32("AccessRights"); err != nil || n != 3 || got.Text("KeyPackId") != "17" {
		t.Errorf("got %+v, %v; want the instance as it was sent", got, err)
	}
}

func TestInvoke(t *testing.T) {
	s := newServer(t, answer{file: "invoke.xml"})
	at := time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
	out, err := s.client(t).Invoke(t.Context(), "Win32_TSLicenseKeyPack", "InstallLicenseKeyPack", nil, []client.Value{
		client.Uint32("AgreementType", 1), client.Text("Number", "<&>"), client.Bool("Flag", true), client.Time("When", at),
		client.Null("Nothing"), client.Time("Never", time.Time{}), client.Array("Many", client.Uint32("", 1), client.Uint32("", 2)),
		client.Object("Inner", client.Instance{Class: "Win32_Inner", Values: []client.Value{
			client.Text("A", "a"), client.Object("Deep", client.Instance{Class: "Win32_Deep", Values: []client.Value{client.Text("B", "b")}}),
		}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := out.Values.Uint32("KeyPackId"); !ok || n != 17 || out.ReturnValue != 0 || len(out.Values.Values) != 1 {
		t.Errorf("got %+v", out)
	}
	r := s.requests[0]
	const space = nsWMI + "Win32_TSLicenseKeyPack"
	if r.action(t) != space+"/InstallLicenseKeyPack" || r.header(t, nsWSMan, "ResourceURI").Text != space {
		t.Errorf("the action is %s", r.action(t))
	}
	input := r.at(t, nsEnvelope, "Body", space, "InstallLicenseKeyPack_INPUT")
	for name, want := range map[string]string{"AgreementType": "1", "Number": "<&>", "Flag": "true"} {
		if text := input.at(t, space, name).Text; text != want {
			t.Errorf("%s is %q, want %q", name, text, want)
		}
	}
	if text := input.at(t, space, "When", nsCIM, "Datetime").Text; text != "2036-01-01T00:00:00Z" {
		t.Errorf("When is %q", text)
	}
	for _, name := range []string{"Nothing", "Never"} {
		if input.at(t, space, name).attr(nsXSI, "nil") != "true" {
			t.Errorf("%s is not NULL", name)
		}
	}
	var many []string
	for _, child := range input.Nodes {
		if child.XMLName.Local == "Many" {
			many = append(many, child.Text)
		}
	}
	if !reflect.DeepEqual(many, []string{"1", "2"}) {
		t.Errorf("Many is %q", many)
	}
	inner := input.at(t, space, "Inner")
	if !strings.HasSuffix(inner.attr(nsXSI, "type"), ":Win32_Inner_Type") || inner.at(t, nsWMI+"Win32_Inner", "A").Text != "a" ||
		inner.at(t, nsWMI+"Win32_Inner", "Deep", nsWMI+"Win32_Deep", "B").Text != "b" {
		t.Errorf("Inner is %+v", inner)
	}
}

func TestInvokeReturnValue(t *testing.T) {
	tests := []struct {
		file string
		want uint32
		err  error
	}{
		{"invoke-null-return-value.xml", 0, client.ErrNoReturnValue},
		{"invoke-refused.xml", 0x80041008, nil},
		{"invoke-negative.xml", 0x80041008, nil},
		{"invoke-no-return-value.xml", 0, client.ErrNoReturnValue},
		{"invoke-embedded.xml", 0, client.ErrReply}, // the output of another method
		{"put-empty.xml", 0, client.ErrReply},
	}
	for _, test := range tests {
		s := newServer(t, answer{file: test.file})
		out, err := s.client(t).Invoke(t.Context(), "Win32_TSLicenseKeyPack", "installlicensekeypack", nil, nil)
		if out.ReturnValue != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: got %#x, %v; want %#x, %v", test.file, out.ReturnValue, err, test.want, test.err)
		}
		if errors.Is(err, client.ErrNoReturnValue) && out.Values.Text("KeyPackId") != "17" {
			t.Errorf("%s: the other outputs are lost: %+v", test.file, out)
		}
	}
}

func TestInvokeReadsEmbeddedInstances(t *testing.T) {
	s := newServer(t, answer{file: "invoke-embedded.xml"})
	out, err := s.client(t).Invoke(t.Context(), "Win32_TSIssuedLicense", "GetIssued", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	licenses, _ := out.Values.Value("Licenses")
	if n := len(licenses.Elements()); n != 2 {
		t.Fatalf("there are %d licenses", n)
	}
	license, ok := licenses.Elements()[1].Object()
	if !ok || license.Class != "Win32_TSIssuedLicense" || license.ResourceURI != nsWMI+"Win32_TSIssuedLicense" ||
		license.Text("sIssuedToUser") != `EXAMPLE\anna` {
		t.Errorf("the second license is %+v", license)
	}
	if at, ok := license.Time("ExpirationDate"); !ok || at.Year() != 2036 {
		t.Errorf("it expires on %v, %v", at, ok)
	}
	nothing, _ := out.Values.Value("Empty")
	if i, ok := nothing.Object(); !ok || i.Class != "Win32_TSNothing" || len(i.Values) != 0 {
		t.Errorf("an instance without properties is %+v", nothing)
	}
	if _, ok := client.Text("a", "b").Object(); ok {
		t.Error("text is an instance")
	}
}

func TestIdentify(t *testing.T) {
	s := newServer(t, answer{file: "identify.xml"}, answer{file: "identify.xml"}, answer{file: "put-empty.xml", status: 200})
	want := client.Identity{
		ProtocolVersion: "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
		ProductVendor:   "Microsoft Corporation",
		ProductVersion:  "OS: 10.0.20348 SP: 0.0 Stack: 3.0",
	}
	got, err := s.client(t).Identify(t.Context())
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	stranger := s.client(t, func(o *client.Options) { o.User, o.Password = "", "" })
	if got, err := stranger.Identify(t.Context()); err != nil || got != want {
		t.Errorf("a stranger got %+v, %v", got, err)
	}
	for i, r := range s.requests {
		if header := r.at(t, nsEnvelope, "Header"); len(header.Nodes) != 0 {
			t.Errorf("request %d has headers: %+v", i, header)
		}
		r.at(t, nsEnvelope, "Body", nsIdentity, "Identify")
	}
	if known, strange := s.requests[0].http, s.requests[1].http; known.Get("Authorization") == "" || known.Get("WSMANIDENTIFY") != "" ||
		strange.Get("Authorization") != "" || strange.Get("WSMANIDENTIFY") != "unauthenticated" {
		t.Errorf("the HTTP headers are %v and %v", known, strange)
	}
	s.answers[0] = answer{body: strings.ReplaceAll(fixture(t, "put-empty.xml"), "RELATES-TO", "uuid:1")}
	if got, err := stranger.Identify(t.Context()); !errors.Is(err, client.ErrReply) || got != (client.Identity{}) {
		t.Errorf("got %+v, %v; want ErrReply", got, err)
	}
}

// TestBadArguments asserts that what cannot be sent is not sent, and that no error repeats what was given.
func TestBadArguments(t *testing.T) {
	const code = "ABCDE-FGHJK"
	c := newServer(t).client(t)
	get := func(class string, keys ...client.Value) error {
		_, err := c.Get(t.Context(), class, keys)
		return err
	}
	put := func(set ...client.Value) error {
		_, err := c.Put(t.Context(), "Win32_X", nil, set)
		return err
	}
	invoke := func(method string, args ...client.Value) error {
		_, err := c.Invoke(t.Context(), "Win32_X", method, nil, args)
		return err
	}
	enumerate := func(class, wql string) error {
		var last error
		for _, err := range c.Enumerate(t.Context(), class, wql) {
			last = err
		}
		return last
	}
	for want, err := range map[string]error{
		"get: the name of the class":                  get(code),
		"get: key 1 is NULL":                          get("Win32_X", client.Null("A")),
		"get: key 2 is NULL, an array":                get("Win32_X", client.Text("A", ""), client.Array("B")),
		"key 2 has the name of an earlier one":        get("Win32_X", client.Text("A", code), client.Text("a", code)),
		"key 1 has no proper name":                    get("Win32_X", client.Text("", code)),
		"put: there is no property":                   put(),
		"put: property 1 has no proper name":          put(client.Text(code, "1")),
		"invoke: the name of the method":              invoke("9" + code),
		"argument 1 has no proper name":               invoke("Go", client.Text("a b", code)),
		"argument 2 has bytes that are not":           invoke("Go", client.Null("N"), client.Text("A", code+"\x00")),
		"argument 1 has bytes that are not":           invoke("Go", client.Array("A", client.Text("", code), client.Text("", "\xFF"))),
		"invoke Win32_X.Go: soap":                     invoke("Go", client.Object("A", client.Instance{Class: "X", Values: []client.Value{client.Text("1", "x")}})),
		"enumerate: there is neither a class nor":     enumerate("", ""),
		"enumerate: the name of the class must be":    enumerate(code, "SELECT * FROM X"),
		"enumerate: the query has bytes that are not": enumerate("", "SELECT\x01"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), code) {
			t.Errorf("the error is %v; want %q in it and no value", err, want)
		}
	}
}

// TestValuesSurviveTheWire sends random values to a server that returns the arguments as outputs.
func TestValuesSurviveTheWire(t *testing.T) {
	echo := roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		text := strings.Replace(string(body), "<x:Echo_INPUT", "<x:Echo_OUTPUT", 1)
		text = strings.Replace(text, "</x:Echo_INPUT>", "<x:ReturnValue>7</x:ReturnValue></x:Echo_OUTPUT>", 1)
		return replies{200, "application/soap+xml", []byte(text)}.RoundTrip(r)
	})
	c, err := client.New(client.Options{URL: "https://license.example.com", HTTPClient: &http.Client{Transport: echo}})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		args := genValues(2).Draw(t, "args")
		out, err := c.Invoke(t.Context(), "Win32_X", "Echo", nil, append(args, client.Null("Last")))
		if err != nil {
			t.Fatal(err)
		}
		got := out.Values.Values
		if out.ReturnValue != 7 || len(got) != len(args)+1 || !reflect.DeepEqual(got[:len(args)], args) {
			t.Fatalf("sent %+v\ngot  %+v", args, got)
		}
	})
}

// genValues generates values with names of their own, as a server would send them: resource URIs set, arrays of two or more.
func genValues(depth int) *rapid.Generator[[]client.Value] {
	names := []string{"A", "b", "KeyPackId", "_c", "Número"}
	return rapid.Custom(func(t *rapid.T) []client.Value {
		values := []client.Value{}
		for _, name := range names[:rapid.IntRange(1, len(names)).Draw(t, "count")] {
			values = append(values, genValue(t, name, depth))
		}
		return values
	})
}

func genValue(t *rapid.T, name string, depth int) client.Value {
	switch rapid.IntRange(0, 4+depth).Draw(t, "kind") {
	case 0:
		return client.Null(name)
	case 1:
		return client.Uint32(name, rapid.Uint32().Draw(t, "number"))
	case 2:
		return client.Bool(name, rapid.Bool().Draw(t, "bool"))
	case 3:
		return client.Time(name, time.UnixMicro(rapid.Int64Range(-1e15, 4e15).Draw(t, "time")))
	case 5:
		var elements []client.Value
		for range rapid.IntRange(2, 4).Draw(t, "length") {
			elements = append(elements, genValue(t, name, 0))
		}
		return client.Array(name, elements...)
	case 6:
		return client.Object(name, client.Instance{Class: "Win32_In", ResourceURI: nsWMI + "Win32_In", Values: genValues(depth-1).Draw(t, "inner")})
	}
	xmlText := rapid.StringOf(rapid.RuneFrom([]rune("ab<>&'\" \t\n\r]é€😀")))
	return client.Text(name, xmlText.Draw(t, "text"))
}
