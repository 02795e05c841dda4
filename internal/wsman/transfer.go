package wsman

import (
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// encoder returns one for instances in the form of a resource.
func (x *exchange) encoder(r resource) encoder {
	return encoder{w: &x.writer, namespace: r.namespace, form: r.form, precise: x.request.preciseArrays}
}

// get answers Get: an instance, one property of it, or a class.
func (x *exchange) get() error {
	r, err := x.resource()
	if err != nil {
		return err
	}
	if r.form == formClassXML {
		return x.getClass(r)
	}
	s, err := r.one()
	if err != nil {
		return err
	}
	f := x.request.fragment
	property, err := f.property(s.class)
	if err != nil {
		return err
	}
	key, err := r.key(s.class)
	if err != nil {
		return err
	}
	found, err := s.class.Get(x.ctx, key)
	if err != nil {
		return err
	}
	x.open(actionGet + "Response")
	if f != nil {
		x.encoder(r).part(found, f, property)
	} else {
		x.encoder(r).instance(found, nil)
	}
	return x.close(envelopeLimit)
}

// put answers Put, with the instance as it is then. The body has the instance, or as much of it as shall change.
func (x *exchange) put(body soap.Element) error {
	r, err := x.resource()
	if err != nil {
		return err
	}
	s, err := r.one()
	if err != nil {
		return err
	}
	f := x.request.fragment
	property, err := f.property(s.class)
	if err != nil {
		return err
	}
	key, err := r.key(s.class)
	if err != nil {
		return err
	}
	root, err := only(body)
	if err != nil {
		return err
	}
	var arguments []cim.Argument
	switch {
	case f != nil:
		if arguments, err = f.arguments(root, property); err != nil {
			return err
		}
	case !strings.EqualFold(root.Name().Local, s.class.Name):
		return newFault(schemaValidation, "the Body must contain an element "+s.class.Name)
	default:
		arguments = decodeArguments(root, len(s.class.Properties))
	}
	written, err := s.class.Put(x.ctx, key, arguments)
	if err != nil {
		return err
	}
	x.open(actionPut + "Response")
	if f != nil {
		x.encoder(r).part(written, f, property)
	} else {
		x.encoder(r).instance(written, nil)
	}
	return x.close(unreportableSuccess)
}
