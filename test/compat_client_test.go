package test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
)

// caller is a client of WS-Management that does what public scripts do: python3-winrm, or ours. What it reads has the form of ours,
// and what a server refuses is the error *refusal.
type caller interface {
	get(t *testing.T, class string, keys []client.Value) (client.Instance, error)
	// put sends these properties, or more of the instance.
	put(t *testing.T, class string, keys, set []client.Value) (client.Instance, error)
	// find enumerates a class, or runs a query.
	find(t *testing.T, class, wql string) ([]client.Instance, error)
	invoke(t *testing.T, class, method string, keys, args []client.Value) (client.Output, error)
}

// refusal is what both clients tell of a fault.
type refusal struct {
	subcode string // without its prefix
	code    uint32 // of WSManFault
	text    string
}

func (r *refusal) Error() string { return r.text }

// ourClient is the client of this module.
type ourClient struct{ *client.Client }

// refused makes of a fault what both clients tell of it.
func refused(err error) error {
	var f *client.Fault
	if errors.As(err, &f) {
		return &refusal{f.Subcode, f.WSManCode, err.Error()}
	}
	return err
}

func (c ourClient) get(t *testing.T, class string, keys []client.Value) (client.Instance, error) {
	i, err := c.Get(t.Context(), class, keys)
	return i, refused(err)
}

func (c ourClient) put(t *testing.T, class string, keys, set []client.Value) (client.Instance, error) {
	i, err := c.Put(t.Context(), class, keys, set)
	return i, refused(err)
}

func (c ourClient) find(t *testing.T, class, wql string) (rows []client.Instance, err error) {
	for row, err := range c.Enumerate(t.Context(), class, wql) {
		if err != nil {
			return nil, refused(err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (c ourClient) invoke(t *testing.T, class, method string, keys, args []client.Value) (client.Output, error) {
	out, err := c.Invoke(t.Context(), class, method, keys, args)
	return out, refused(err)
}

// others calls a namespace with a client that is not ours.
type others struct {
	session
	namespace string
}

func (c others) uri(class string) string {
	return "http://schemas.microsoft.com/wbem/wsman/1/wmi/" + c.namespace + "/" + class
}

var faultCode, faultSubcode = regexp.MustCompile(`'wsmanfault_code': '(\d+)'`), regexp.MustCompile(`'fault_subcode': '(?:\w+:)?(\w+)'`)

// body sends an operation and returns what the Body of the answer contains.
func (c others) body(t *testing.T, class string, o operation) (*node, error) {
	t.Helper()
	o.URI = c.uri(class)
	answer, fault := c.send(t, o)
	if fault != "" {
		r := &refusal{text: fault}
		if found := faultSubcode.FindStringSubmatch(fault); found != nil {
			r.subcode = found[1]
		}
		if found := faultCode.FindStringSubmatch(fault); found != nil {
			n, err := strconv.ParseUint(found[1], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			r.code = uint32(n)
		}
		return nil, r
	}
	var n node
	if err := xml.Unmarshal([]byte(answer), &n); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	found := n.find("Body")
	if found == nil || len(found.Children) != 1 {
		t.Fatalf("the answer has no Body with one element: %s", answer)
	}
	return &found.Children[0], nil
}

func (c others) get(t *testing.T, class string, keys []client.Value) (client.Instance, error) {
	n, err := c.body(t, class, operation{Action: transferURI + "/Get", Selectors: selectors(keys)})
	if err != nil {
		return client.Instance{}, err
	}
	return instanceOf(n), nil
}

func (c others) put(t *testing.T, class string, keys, set []client.Value) (client.Instance, error) {
	n, err := c.body(t, class, operation{Action: transferURI + "/Put", Selectors: selectors(keys), Body: c.element(class, class, set)})
	if err != nil {
		return client.Instance{}, err
	}
	return instanceOf(n), nil
}

func (c others) find(t *testing.T, class, wql string) (rows []client.Instance, err error) {
	o := operation{Action: enumerationURI + "/Enumerate"}
	o.Body = fmt.Sprintf(`<n:Enumerate xmlns:n="%s" xmlns:w="%s"><w:OptimizeEnumeration></w:OptimizeEnumeration><w:MaxElements>32000</w:MaxElements>`,
		enumerationURI, wsmanURI)
	if wql != "" {
		class = "*"
		o.Body += `<w:Filter Dialect="` + wqlDialect + `">` + escape(wql) + `</w:Filter>`
	}
	o.Body += `</n:Enumerate>`
	for {
		n, err := c.body(t, class, o)
		if err != nil {
			return nil, err
		}
		if list := n.find("Items"); list != nil {
			for i := range list.Children {
				rows = append(rows, instanceOf(&list.Children[i]))
			}
		}
		if n.find("EndOfSequence") != nil {
			return rows, nil
		}
		o.Action = enumerationURI + "/Pull"
		o.Body = fmt.Sprintf(`<n:Pull xmlns:n="%s"><n:EnumerationContext>%s</n:EnumerationContext><n:MaxElements>32000</n:MaxElements></n:Pull>`,
			enumerationURI, escape(n.find("EnumerationContext").Text))
	}
}

func (c others) invoke(t *testing.T, class, method string, keys, args []client.Value) (client.Output, error) {
	n, err := c.body(t, class, operation{Action: c.uri(class) + "/" + method, Selectors: selectors(keys), Body: c.element(class, method+"_INPUT", args)})
	if err != nil {
		return client.Output{}, err
	}
	if !strings.EqualFold(n.XMLName.Local, method+"_OUTPUT") {
		t.Fatalf("the answer to %s is %s", method, n.XMLName.Local)
	}
	out := client.Output{Values: instanceOf(n)}
	for i, v := range out.Values.Values {
		if v.Name == "ReturnValue" {
			out.ReturnValue, _ = v.Uint32()
			out.Values.Values = append(out.Values.Values[:i], out.Values.Values[i+1:]...)
			return out, nil
		}
	}
	t.Fatalf("the answer to %s has no ReturnValue", method)
	return client.Output{}, nil
}

// element writes values in an element, an array as one element for each of its own.
func (c others) element(class, name string, values []client.Value) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<p:%s xmlns:p="%s" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`, name, c.uri(class))
	for _, v := range values {
		if v.IsNull() {
			fmt.Fprintf(&b, `<p:%s xsi:nil="true"></p:%[1]s>`, v.Name)
		}
		for _, e := range v.Elements() {
			fmt.Fprintf(&b, "<p:%s>%s</p:%[1]s>", v.Name, escape(e.Text()))
		}
	}
	fmt.Fprintf(&b, "</p:%s>", name)
	return b.String()
}

func selectors(keys []client.Value) map[string]string {
	texts := map[string]string{}
	for _, k := range keys {
		texts[k.Name] = k.Text()
	}
	return texts
}

// instanceOf reads an element that stands for an instance or for the output of a method.
func instanceOf(n *node) client.Instance {
	i := client.Instance{Class: n.XMLName.Local, ResourceURI: n.XMLName.Space}
	at := map[string]int{}
	elements := map[string][]client.Value{}
	for c := range n.Children {
		v := valueOf(&n.Children[c])
		elements[v.Name] = append(elements[v.Name], v)
		if _, repeated := at[v.Name]; !repeated {
			at[v.Name] = len(i.Values)
			i.Values = append(i.Values, v)
			continue
		}
		i.Values[at[v.Name]] = client.Array(v.Name, elements[v.Name]...)
	}
	return i
}

func valueOf(n *node) client.Value {
	name := n.XMLName.Local
	switch {
	case n.null():
		return client.Null(name)
	case len(n.Children) == 1 && n.Children[0].XMLName.Local == "Datetime":
		return client.Text(name, n.Children[0].Text)
	case len(n.Children) > 0:
		embedded := instanceOf(n)
		for _, a := range n.Attrs {
			if a.Name.Local == "type" {
				_, class, _ := strings.Cut(a.Value, ":")
				embedded.Class = strings.TrimSuffix(class, "_Type")
			}
		}
		return client.Object(name, embedded)
	}
	return client.Text(name, n.Text)
}
