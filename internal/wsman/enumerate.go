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
	en.resume, en.stop = iter.Pull(en.pages(ctx))
	_, optimized := request.Child(soap.NamespaceWSMan, "OptimizeEnumeration")
	if !optimized {
		en.id = x.server.newID()
		if err := x.server.enumerations.add(en); err != nil {
			en.end()
			return err
		}
		x.open(actionEnumerate + "Response")
		x.writer.Start("n:EnumerateResponse")
		x.writer.Element("n:EnumerationContext", en.id)
		x.writer.End()
		return x.close(envelopeLimit)
	}
	keep := false
	defer func() {
		if !keep {
			en.end()
		}
	}()
	more, err := x.portion(en, most, portionNames{
		action: actionEnumerate, response: "n:EnumerateResponse", items: "w:Items", end: "w:EndOfSequence", emptyContext: true,
	})
	if err != nil || !more {
		return err
	}
	if err := x.server.enumerations.add(en); err != nil {
		return err
	}
	keep = true
	return nil
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
	keep, err = x.portion(en, most, portionNames{
		action: actionPull, response: "n:PullResponse", items: "n:Items", end: "n:EndOfSequence",
	})
	return err
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

// portionNames is what the elements of a reply with items are called.
type portionNames struct {
	action, response, items, end string
	emptyContext                 bool // whether the last one has an EnumerationContext, which is empty then
}

// envelopeTail is room for what follows the items in a reply.
const envelopeTail = 128

// portion writes a reply with up to most items, as many as fit, and tells whether more can come: of a sequence that has not
// ended, also if not even one item fitted.
func (x *exchange) portion(en *enumeration, most int, names portionNames) (more bool, err error) {
	w := &x.writer
	x.open(names.action + "Response")
	if en.id == "" {
		en.id = x.server.newID()
	}
	w.Start(names.response)
	w.Text("")
	element := w.Len()
	w.Start("n:EnumerationContext")
	w.Text("")
	text := w.Len()
	w.Text(en.id)
	textEnd := w.Len()
	w.End()
	elementEnd := w.Len()
	w.Start(names.items)
	w.Text("")
	count, done, err := x.fill(en, most)
	if err != nil {
		return false, err
	}
	if count == 0 && !done {
		return true, x.itemTooLong() // the client may come back with a larger MaxEnvelopeSize
	}
	w.End()
	if done {
		// Only now it is known that there is nothing to come back for.
		if names.emptyContext {
			w.Cut(text, textEnd)
		} else {
			w.Cut(element, elementEnd)
		}
		w.Start(names.end)
		w.End()
	}
	w.End()
	return !done, x.close(envelopeLimit)
}

// fill writes the items, and tells how many they are and whether they are the last. A provider that does not answer in time is
// stopped, which ends the enumeration.
func (x *exchange) fill(en *enumeration, most int) (count int, done bool, err error) {
	limit, _ := x.budget()
	p := &page{ctx: x.ctx, encoder: x.encoder(en.resource), most: most, limit: limit - envelopeTail}
	stop := context.AfterFunc(x.ctx, en.cancel)
	done, err = en.turn(p)
	stopped := !stop()
	if err != nil && x.ctx.Err() != nil || stopped && !done {
		// What the provider says of having been stopped matters less than why.
		err = x.ctx.Err()
	}
	return p.count, done, err
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
