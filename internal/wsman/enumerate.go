package wsman

import (
	"context"
	"iter"
	"strconv"
	"strings"
	"time"

	"calkeeper/internal/wsman/soap"
)

// mode is what the items of an enumeration are (DSP0226, 8.7).
type mode int

const (
	modeObject mode = iota
	modeEPR
	modeObjectAndEPR
)

// enumerate answers Enumerate: with a context, or with the first items at once if the request is for an optimized
// enumeration (DSP0226, 8.2.3).
func (x *exchange) enumerate(body soap.Element) error {
	request, err := enumerationBody(body, "Enumerate")
	if err != nil {
		return err
	}
	r, err := x.resource()
	if err != nil {
		return err
	}
	if len(r.selectors) > 0 {
		return newFault(unexpectedSelectors, "an enumeration takes no keys; use a filter")
	}
	en := &enumeration{resource: r, identity: x.identity()}
	if en.mode, err = readMode(request); err != nil {
		return err
	}
	if err := checkExtensions(request); err != nil {
		return err
	}
	most, err := x.maxElements(request, soap.NamespaceWSMan)
	if err != nil {
		return err
	}
	if err := x.filter(en, request); err != nil {
		return err
	}
	// The identity goes along from request to request, their deadlines do not.
	ctx, cancel := context.WithCancel(context.WithoutCancel(x.ctx))
	en.cancel = cancel
	en.next, en.stop = iter.Pull2(en.instances(ctx))
	_, optimized := request.Child(soap.NamespaceWSMan, "OptimizeEnumeration")
	if !optimized {
		id, err := x.server.enumerations.add(x.server.newID(), en)
		if err != nil {
			en.end()
			return err
		}
		x.open(actionEnumerate + "Response")
		x.writer.Start("n:EnumerateResponse")
		x.writer.Element("n:EnumerationContext", id)
		x.writer.End()
		return x.close(envelopeLimit)
	}
	keep := false
	defer func() {
		if !keep {
			en.end()
		}
	}()
	x.open(actionEnumerate + "Response")
	count, done, err := x.fill(en, most)
	if err != nil {
		return err
	}
	if count == 0 && !done {
		return x.itemTooLong()
	}
	id := ""
	if !done {
		if id, err = x.server.enumerations.add(x.server.newID(), en); err != nil {
			return err
		}
		keep = true
	}
	x.writer.Start("n:EnumerateResponse")
	x.writer.Element("n:EnumerationContext", id)
	x.writeItems("w:Items")
	if done {
		x.writer.Start("w:EndOfSequence")
		x.writer.End()
	}
	x.writer.End()
	return x.close(envelopeLimit)
}

// enumerationBody returns the one element of the Body, which must have that name in the namespace of WS-Enumeration.
func enumerationBody(body soap.Element, name string) (soap.Element, error) {
	e, err := only(body)
	if err == nil && !e.Is(soap.NamespaceEnumeration, name) {
		err = newFault(schemaValidation, "the Body must contain an element "+name+" of "+soap.NamespaceEnumeration)
	}
	return e, err
}

func readMode(request soap.Element) (mode, error) {
	e, ok := request.Child(soap.NamespaceWSMan, "EnumerationMode")
	if !ok {
		return modeObject, nil
	}
	switch strings.TrimSpace(e.Text()) {
	case "EnumerateEPR":
		return modeEPR, nil
	case "EnumerateObjectAndEPR":
		return modeObjectAndEPR, nil
	}
	return 0, newFault(enumerationMode, "EnumerationMode must be EnumerateEPR or EnumerateObjectAndEPR, or absent")
}

// checkExtensions looks at what is no matter of WS-Enumeration itself. No class here has subclasses, so the modes of
// polymorphism (DSP0227) that there are make no difference.
func checkExtensions(request soap.Element) error {
	if e, ok := request.Child(soap.NamespaceCIMBinding, "PolymorphismMode"); ok {
		switch strings.TrimSpace(e.Text()) {
		case "IncludeSubClassProperties", "ExcludeSubClassProperties", "None":
		default:
			return newFault(polymorphismMode, "PolymorphismMode must be IncludeSubClassProperties, ExcludeSubClassProperties or None")
		}
	}
	if _, ok := request.Child(soap.NamespaceEnumeration, "EndTo"); ok {
		return newFault(addressingMode, "EndTo is not supported: nobody is told when an enumeration ends")
	}
	return nil
}

// maxElements reads how many items the client takes at most: one if it does not say (DSP0226, 8.2.3; WS-Enumeration, 3.2).
func (x *exchange) maxElements(request soap.Element, space string) (int, error) {
	e, ok := request.Child(space, "MaxElements")
	if !ok {
		return 1, nil
	}
	n, ok := parseCount(e.Text())
	if !ok || n == 0 {
		return 0, newFault(schemaValidation, "MaxElements must be a whole number greater than zero")
	}
	return min(n, x.server.options.Limits.MaxElements), nil
}

// identity returns who makes the request.
func (x *exchange) identity() string { return x.server.options.Authenticator.Identity(x.ctx) }

// pull answers Pull. The context in the answer is the same, until the last item has gone: then there is none.
func (x *exchange) pull(body soap.Element) error {
	request, err := enumerationBody(body, "Pull")
	if err != nil {
		return err
	}
	most, err := x.maxElements(request, soap.NamespaceEnumeration)
	if err != nil {
		return err
	}
	if e, ok := request.Child(soap.NamespaceEnumeration, "MaxTime"); ok {
		limit, ok := parseDuration(strings.TrimSpace(e.Text()))
		if !ok || limit <= 0 {
			return newFault(schemaValidation, "MaxTime must be an xs:duration greater than zero, such as PT60S")
		}
		defer x.limitTime(limit)()
	}
	en, err := x.server.enumerations.take(contextID(request), x.identity())
	if err != nil {
		return err
	}
	keep := false
	defer func() { x.server.enumerations.giveBack(en, keep) }()
	x.open(actionPull + "Response")
	count, done, err := x.fill(en, most)
	if err != nil {
		return err
	}
	keep = !done
	if count == 0 && !done {
		return x.itemTooLong() // the client may come back with a larger MaxEnvelopeSize
	}
	x.writer.Start("n:PullResponse")
	if !done {
		x.writer.Element("n:EnumerationContext", en.id)
	}
	x.writeItems("n:Items")
	if done {
		x.writer.Start("n:EndOfSequence")
		x.writer.End()
	}
	x.writer.End()
	return x.close(envelopeLimit)
}

// limitTime shortens the time that the operation has.
func (x *exchange) limitTime(limit time.Duration) context.CancelFunc {
	ctx, cancel := context.WithTimeout(x.ctx, limit)
	x.ctx = ctx
	return cancel
}

func contextID(request soap.Element) string {
	e, _ := request.Child(soap.NamespaceEnumeration, "EnumerationContext")
	return strings.TrimSpace(e.Text())
}

// release answers Release, with an empty Body.
func (x *exchange) release(body soap.Element) error {
	request, err := enumerationBody(body, "Release")
	if err != nil {
		return err
	}
	if err := x.server.enumerations.release(contextID(request), x.identity()); err != nil {
		return err
	}
	x.open(actionRelease + "Response")
	return x.close(envelopeLimit)
}

// envelopeTail is room for what follows the items in a reply, and for the element and the context in front of them.
const envelopeTail = 256

// fill writes up to most items, as many as fit, to x.items, and tells how many and whether they are the last. A provider
// that does not answer in time is stopped, which ends the enumeration.
func (x *exchange) fill(en *enumeration, most int) (count int, done bool, err error) {
	limit, _ := x.budget()
	limit -= x.writer.Len() + envelopeTail
	stop := context.AfterFunc(x.ctx, en.cancel)
	defer func() {
		stopped := !stop()
		if err != nil && x.ctx.Err() != nil || stopped && !done {
			// What the provider says of having been stopped matters less than why.
			err = x.ctx.Err()
		}
	}()
	e := x.encoder(en.resource)
	e.w = &x.items
	for {
		// One more than what is sent is looked at, to know whether there is any.
		found, err := en.advance(x.ctx)
		if !found || count == most {
			return count, !found && err == nil, err
		}
		before := x.items.Mark()
		en.write(e)
		if x.items.Len() > limit {
			x.items.Rewind(before)
			return count, false, nil
		}
		en.held = false
		count++
	}
}

// itemTooLong is the fault of a reply that has no room for even one item.
func (x *exchange) itemTooLong() error {
	limit, byClient := x.budget()
	c := serviceEnvelopeLimit
	if byClient {
		c = envelopeLimit
	}
	return newFault(c, "not even one item fits into "+strconv.Itoa(limit)+" bytes of UTF-8")
}

// writeItems writes the items that fill has collected.
func (x *exchange) writeItems(name string) {
	items, err := x.items.Bytes()
	if err != nil {
		panic(err) // a mistake in this package, which the reply must not hide
	}
	x.writer.Start(name)
	x.writer.Raw(items)
	x.writer.End()
}
