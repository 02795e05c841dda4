package cim

import (
	"fmt"
	"strings"
)

// Namespace is a set of classes under a name such as root/cimv2. It does not change after NewNamespace.
type Namespace struct {
	Name    string   // as it was declared, with forward slashes; to be compared by NormalizeNamespace
	Classes []*Class // in order of declaration

	byName map[string]*Class
}

// NewNamespace returns a namespace of classes; names that differ only in case are an error.
func NewNamespace(name string, classes ...*Class) (*Namespace, error) {
	n := &Namespace{Name: trimNamespace(name), Classes: classes, byName: map[string]*Class{}}
	for _, c := range classes {
		lower := strings.ToLower(c.Name)
		if n.byName[lower] != nil {
			return nil, fmt.Errorf("namespace %s: class %s declared twice", n.Name, c.Name)
		}
		n.byName[lower] = c
	}
	return n, nil
}

// Class returns the class of that name, in any case. The error is an *Error with StatusInvalidClass.
func (n *Namespace) Class(name string) (*Class, error) {
	if c := n.byName[strings.ToLower(name)]; c != nil {
		return c, nil
	}
	return nil, Errorf(StatusInvalidClass, "there is no class %q in %s", name, n.Name)
}

// NormalizeNamespace writes a namespace's name in one way: forward slashes, lower case, no slash at either end.
func NormalizeNamespace(name string) string { return strings.ToLower(trimNamespace(name)) }

func trimNamespace(name string) string {
	return strings.Trim(strings.ReplaceAll(name, `\`, "/"), "/")
}
