package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"calkeeper/internal/wsman/soap"
)

// Identity is what a server says of itself (DSP0226, section 11). To strangers it may leave out vendor and version.
type Identity struct {
	ProtocolVersion string // the namespace of the protocol
	ProductVendor   string
	ProductVersion  string // of Windows: "OS: 10.0.20348 SP: 0.0 Stack: 3.0"
}

// Identify asks the server what it is, which also tells whether user and password are right; without a User it asks as a
// stranger, whom Windows tells less.
func (c *Client) Identify(ctx context.Context) (Identity, error) {
	var identity Identity
	message, err := identifyEnvelope()
	if err == nil {
		err = c.post(ctx, message, "", func(body soap.Element) error {
			response, err := bodyChild(body, soap.NamespaceIdentity, "IdentifyResponse")
			identity.ProtocolVersion = childText(response, soap.NamespaceIdentity, "ProtocolVersion")
			identity.ProductVendor = childText(response, soap.NamespaceIdentity, "ProductVendor")
			identity.ProductVersion = childText(response, soap.NamespaceIdentity, "ProductVersion")
			return err
		})
	}
	if err != nil {
		return Identity{}, c.fail("identify", err)
	}
	return identity, nil
}

// Get returns the instance of a class that has these keys; a singleton has none. If there is none, the error is
// ErrNotFound.
func (c *Client) Get(ctx context.Context, class string, keys []Value) (Instance, error) {
	if err := checkClass(class, keys); err != nil {
		return Instance{}, c.fail("get", err)
	}
	instance, err := c.get(ctx, class, keys)
	if err != nil {
		return Instance{}, c.fail("get "+class, err)
	}
	return instance, nil
}

func (c *Client) get(ctx context.Context, class string, keys []Value) (instance Instance, err error) {
	err = c.exchange(ctx, request{action: actionGet, resourceURI: c.resourceURI(class), selectors: keys},
		func(body soap.Element) error {
			for child := range body.Children() {
				instance = readInstance(child)
				return nil
			}
			return fmt.Errorf("%w: its Body is empty where the instance belongs", ErrReply)
		})
	return instance, err
}

// Put changes properties of the instance that has these keys, and returns it as it is then. Some servers take properties
// that are left out for NULL, so Put gets the instance first and sends it whole, as winrm.cmd and Set-WSManInstance do; of
// two changes at one time the second may undo the first.
func (c *Client) Put(ctx context.Context, class string, keys, set []Value) (Instance, error) {
	err := checkClass(class, keys)
	if err == nil {
		err = checkValues("property", set)
	}
	if err == nil && len(set) == 0 {
		err = errors.New("there is no property to change")
	}
	if err != nil {
		return Instance{}, c.fail("put", err)
	}
	instance, err := c.put(ctx, class, keys, set)
	if err != nil {
		return Instance{}, c.fail("put "+class, err)
	}
	return instance, nil
}

func (c *Client) put(ctx context.Context, class string, keys, set []Value) (Instance, error) {
	instance, err := c.get(ctx, class, keys)
	if err != nil {
		return Instance{}, err
	}
	for _, v := range set {
		instance.set(v)
	}
	r := request{action: actionPut, resourceURI: c.resourceURI(class), selectors: keys}
	r.body = func(w *soap.Writer) { c.writeValues(w, instance.Class, r.resourceURI, instance.Values) }
	err = c.exchange(ctx, r, func(body soap.Element) error {
		for child := range body.Children() {
			instance = readInstance(child)
			break
		}
		return nil // WS-Transfer, section 3.2: a server that stored exactly what it got may answer with an empty Body
	})
	return instance, err
}

// set changes a property, or adds it if the server left it out, as it may when it is NULL.
func (i *Instance) set(v Value) {
	for n := range i.Values {
		if strings.EqualFold(i.Values[n].Name, v.Name) {
			v.Name = i.Values[n].Name
			i.Values[n] = v
			return
		}
	}
	i.Values = append(i.Values, v)
}

// Output is what a method returned.
type Output struct {
	ReturnValue uint32   // zero usually means success; what else it means, the class says
	Values      Instance // the output parameters
}

// ErrNoReturnValue reports that a method was invoked, but that the reply has no ReturnValue that fits 32 bits.
var ErrNoReturnValue = errors.New("the method was invoked, but its reply has no ReturnValue of 32 bits")

// Invoke calls a method of the instance that has these keys, or without keys a static method. What the method itself refuses
// is its ReturnValue, no error. With ErrNoReturnValue the Output has the output parameters nevertheless.
func (c *Client) Invoke(ctx context.Context, class, method string, keys, args []Value) (Output, error) {
	err := checkClass(class, keys)
	switch {
	case err == nil && !isName(method):
		err = errors.New("the name of the method must be letters, digits and underscores")
	case err == nil:
		err = checkValues("argument", args)
	}
	if err != nil {
		return Output{}, c.fail("invoke", err)
	}
	output, err := c.invoke(ctx, class, method, keys, args)
	if err != nil {
		return output, c.fail("invoke "+class+"."+method, err)
	}
	return output, nil
}

func (c *Client) invoke(ctx context.Context, class, method string, keys, args []Value) (output Output, err error) {
	uri := c.resourceURI(class)
	r := request{action: uri + "/" + method, resourceURI: uri, selectors: keys}
	r.body = func(w *soap.Writer) { c.writeValues(w, method+"_INPUT", uri, args) }
	err = c.exchange(ctx, r, func(body soap.Element) error {
		for child := range body.Children() {
			if strings.EqualFold(child.Name().Local, method+"_OUTPUT") {
				output.Values = readInstance(child)
				return output.takeReturnValue()
			}
		}
		return fmt.Errorf("%w: its Body has no %s_OUTPUT", ErrReply, method)
	})
	return output, err
}

// takeReturnValue moves the ReturnValue out of the values. A negative one, of a method that returns sint32, keeps its bits.
func (o *Output) takeReturnValue() error {
	for i, v := range o.Values.Values {
		if !strings.EqualFold(v.Name, "ReturnValue") {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(v.text), 10, 64)
		if err != nil || n < -1<<31 || n >= 1<<32 {
			return ErrNoReturnValue
		}
		o.ReturnValue = uint32(n)
		o.Values.Values = append(o.Values.Values[:i], o.Values.Values[i+1:]...)
		return nil
	}
	return ErrNoReturnValue
}

// checkClass tells whether class and keys can be sent.
func checkClass(class string, keys []Value) error {
	if !isName(class) {
		return errors.New("the name of the class must be letters, digits and underscores")
	}
	return checkKeys(keys)
}

// bodyChild returns the element that must be in the Body of a reply.
func bodyChild(body soap.Element, space, local string) (soap.Element, error) {
	child, ok := body.Child(space, local)
	if !ok {
		return soap.Element{}, fmt.Errorf("%w: its Body has no %s", ErrReply, local)
	}
	return child, nil
}

// childText returns the text of a child element without white space around it, or the empty string if there is none.
func childText(e soap.Element, space, local string) string {
	child, _ := e.Child(space, local)
	return strings.TrimSpace(child.Text())
}
