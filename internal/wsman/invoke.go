package wsman

import (
	"context"
	"errors"
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// invoke answers the call of a method (DSP0227). Its action is the resource URI and the name of the method.
func (x *exchange) invoke(body soap.Element) error {
	action := normalizeURI(x.request.action)
	slash := strings.LastIndexByte(action, '/')
	if slash < 0 || !strings.EqualFold(action[:slash], normalizeURI(x.request.resourceURI)) {
		return newFault(actionNotSupported, "the action must be one of WS-Transfer or WS-Enumeration, or the resource URI, / and the name of a method")
	}
	r, err := x.resource()
	if err != nil {
		return err
	}
	s, err := r.one()
	if err != nil {
		return err
	}
	m := s.class.Method(action[slash+1:])
	if m == nil {
		return cim.Errorf(cim.StatusInvalidMethod, "%s has no method %.64q", s.class.Name, action[slash+1:])
	}
	names := s.methods[m]
	input, err := only(body)
	if err != nil {
		return err
	}
	if !input.IsZero() && !strings.EqualFold(input.Name().Local, names.input) {
		return newFault(schemaValidation, "the Body must be empty or contain an element "+names.input)
	}
	var self *cim.Instance
	if !m.Static || len(r.selectors) > 0 {
		key, err := r.key(s.class)
		if err != nil {
			return err
		}
		self = &key
	}
	returnValue, outputs, err := s.class.Invoke(x.ctx, m, self, decodeArguments(input, len(m.Parameters)))
	if err != nil {
		return err
	}
	if returnValue != 0 && errors.Is(x.ctx.Err(), context.DeadlineExceeded) {
		// A method that ran out of time would say so only as a failure of some kind.
		return x.ctx.Err()
	}
	x.open(x.request.action + "Response")
	e := x.encoder(r)
	e.w.Start(names.output, "xmlns:xsi", soap.NamespaceXSI, "xmlns:p", s.uri[r.form], "xmlns:cim", soap.NamespaceCIM)
	for _, o := range outputs {
		e.value(names.parameters[o.Parameter], &o.Parameter.Field, o.Value, 0)
	}
	e.w.Start("p:ReturnValue")
	e.w.Uint(uint64(returnValue))
	e.w.End()
	e.w.End()
	return x.close(unreportableSuccess)
}
