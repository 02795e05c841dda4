package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"calkeeper/internal/wsman/soap"
)

// How many instances to ask for at once, which is what PowerShell asks for; how many replies in a row may bring nothing
// before the server is taken to be stuck; and how long a release may take.
const (
	maxElements    = "32000"
	maxEmptyPages  = 16
	releaseTimeout = 2 * time.Second
)

// Enumerate returns the instances of a class, or those that a WQL query selects if wql is not empty; class may be empty
// then, and only names the fragments that answer a query such as select A,B. Instances are pulled as they are needed, and
// when the caller stops early, the server is told. An error comes last, with an empty Instance.
func (c *Client) Enumerate(ctx context.Context, class, wql string) iter.Seq2[Instance, error] {
	return func(yield func(Instance, error) bool) {
		call := "enumerate " + class
		e := enumeration{client: c, class: class, wql: wql, resourceURI: c.resourceURI(class)}
		if wql != "" {
			call = "query"
			e.resourceURI = c.resourceURI("*") // MS-WSMV 3.1.4.1.1: the query names the class
		}
		if err := checkQuery(class, wql); err != nil {
			yield(Instance{}, c.fail("enumerate", err))
			return
		}
		defer func() { e.release(ctx) }()
		for !e.done {
			page, err := e.next(ctx)
			if err != nil {
				yield(Instance{}, c.fail(call, err))
				return
			}
			for _, instance := range page {
				if !yield(instance, nil) {
					return
				}
			}
		}
	}
}

// checkQuery tells whether a class or a query can be sent.
func checkQuery(class, wql string) error {
	switch {
	case class == "" && wql == "":
		return errors.New("there is neither a class nor a query")
	case !isText(wql):
		return fmt.Errorf("the query has %w", errNotText)
	case class == "":
		return nil
	}
	return checkClass(class, nil)
}

// enumeration is one run of Enumerate.
type enumeration struct {
	client      *Client
	class, wql  string
	resourceURI string
	context     string // of the server; empty before the first reply
	started     bool   // the first reply came
	done        bool   // the last one came
	emptyPages  int    // in a row
	page        []Instance
}

// next returns the next page.
func (e *enumeration) next(ctx context.Context) ([]Instance, error) {
	r := request{action: actionPull, resourceURI: e.resourceURI, body: e.pull}
	response := "PullResponse"
	if !e.started {
		r.action, r.body, response = actionEnumerate, e.enumerate, "EnumerateResponse"
	}
	e.page = e.page[:0]
	err := e.client.exchange(ctx, r, func(body soap.Element) error {
		found, err := bodyChild(body, soap.NamespaceEnumeration, response)
		if err != nil {
			return err
		}
		return e.read(found)
	})
	if err != nil {
		return nil, err
	}
	e.started = true
	if e.emptyPages++; len(e.page) > 0 {
		e.emptyPages = 0
	}
	if !e.done && e.emptyPages > maxEmptyPages {
		return nil, fmt.Errorf("%w: %d replies in a row brought neither an instance nor the end", ErrReply, e.emptyPages)
	}
	return e.page, nil
}

func (e *enumeration) enumerate(w *soap.Writer) {
	w.Start("n:Enumerate")
	w.Start("w:OptimizeEnumeration")
	w.End()
	w.Element("w:MaxElements", maxElements)
	if e.wql != "" {
		w.Element("w:Filter", e.wql, "Dialect", dialect)
	}
	w.End()
}

func (e *enumeration) pull(w *soap.Writer) {
	w.Start("n:Pull")
	w.Element("n:EnumerationContext", e.context)
	w.Element("n:MaxElements", maxElements)
	w.End()
}

// read reads an EnumerateResponse or PullResponse. Items and EndOfSequence are in the namespace w when they come with the
// optimized EnumerateResponse and in n when they are pulled (DSP0226, section 8), but servers mix them up.
func (e *enumeration) read(response soap.Element) error {
	hasItems := false
	for child := range response.Children() {
		name := child.Name()
		if name.Space != soap.NamespaceEnumeration && name.Space != soap.NamespaceWSMan {
			continue
		}
		switch name.Local {
		case "EnumerationContext":
			e.context = strings.TrimSpace(child.Text()) // one that a PullResponse leaves out goes on as it is
		case "Items":
			hasItems = true
			for item := range child.Children() {
				e.readItem(item)
			}
		case "EndOfSequence":
			e.done = true
		}
	}
	if !e.done && e.context == "" {
		if !hasItems {
			return fmt.Errorf("%w: it has neither Items nor an EnumerationContext nor an EndOfSequence", ErrReply)
		}
		e.done = true // some servers end that way: without a context there is nothing to pull
	}
	return nil
}

// readItem reads one item: an instance, a w:Item around it, or a w:XmlFragment.
func (e *enumeration) readItem(item soap.Element) {
	switch {
	case item.Is(soap.NamespaceWSMan, "XmlFragment"):
		e.page = append(e.page, Instance{Class: e.class, Values: readValues(item)})
	case item.Is(soap.NamespaceWSMan, "Item"):
		for child := range item.Children() {
			if !child.Is(soap.NamespaceAddressing, "EndpointReference") {
				e.readItem(child)
			}
		}
	default:
		e.page = append(e.page, readInstance(item))
	}
}

// release tells the server that the enumeration is not going to be continued. The caller may have given up because of ctx,
// so it does not count here. An error does not matter: servers drop what nobody pulls.
func (e *enumeration) release(ctx context.Context) {
	if e.done || e.context == "" {
		return
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	r := request{action: actionRelease, resourceURI: e.resourceURI}
	r.body = func(w *soap.Writer) {
		w.Start("n:Release")
		w.Element("n:EnumerationContext", e.context)
		w.End()
	}
	_ = e.client.exchange(limited, r, func(soap.Element) error { return nil })
}
