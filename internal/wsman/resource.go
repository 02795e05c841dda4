package wsman

import (
	"strings"

	"calkeeper/internal/cim"
)

// form is a family of resource URIs.
type form int

const (
	formWMI      form = iota // http://schemas.microsoft.com/wbem/wsman/1/wmi/NAMESPACE/CLASS (MS-WSMV 3.1.4.1.1)
	formDMTF                 // http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CLASS (DSP0227)
	formClassXML             // http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*, for classes themselves
)

const (
	prefixWMI      = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
	prefixDMTF     = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
	allDMTF        = "http://schemas.dmtf.org/wbem/wscim/1/*"
	prefixClassXML = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/"
)

// The selectors that are no keys.
const (
	namespaceSelector = "__cimnamespace"
	classSelector     = "ClassName"
)

// defaultNamespace is what a DMTF URI without a namespace selector means.
const defaultNamespace = "root/cimv2"

// resource is what a resource URI and its selectors name.
type resource struct {
	form      form
	namespace *namespace
	class     *shape         // nil for all classes
	selectors []cim.Argument // the keys
	classes   classOptions   // of formClassXML
}

// normalizeURI writes a URI in one way: trimmed, with forward slashes. Case is left alone.
func normalizeURI(uri string) string {
	return strings.TrimSpace(strings.ReplaceAll(uri, `\`, "/"))
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// resource finds what the request is about.
func (x *exchange) resource() (resource, error) {
	uri := normalizeURI(x.request.resourceURI)
	r := resource{classes: x.request.classes}
	var namespaceName, class string
	selected, err := r.takeSelector(x.request.selectors, namespaceSelector)
	if err != nil {
		return resource{}, err
	}
	selected = cim.NormalizeNamespace(strings.TrimSpace(selected))
	if rest, ok := cutPrefixFold(uri, prefixWMI); ok {
		slash := strings.LastIndexByte(rest, '/')
		if slash < 0 {
			return resource{}, newFault(invalidResource, "the resource URI needs a namespace and a class, such as "+prefixWMI+"root/cimv2/CLASS")
		}
		r.form, class = formWMI, rest[slash+1:]
		namespaceName = cim.NormalizeNamespace(rest[:slash])
		if selected != "" && selected != namespaceName {
			return resource{}, newFault(invalidSelector, "the namespace in the resource URI and that of the selector "+namespaceSelector+" differ")
		}
	} else {
		switch {
		case strings.EqualFold(uri, allDMTF):
			r.form, class = formDMTF, "*"
		case hasPrefixFold(uri, prefixDMTF):
			r.form, class = formDMTF, uri[len(prefixDMTF):]
		case hasPrefixFold(uri, prefixClassXML):
			r.form, class = formClassXML, uri[len(prefixClassXML):]
		default:
			return resource{}, newFault(invalidResource, "the resource URI is of no form that is served here, such as "+prefixWMI+"root/cimv2/CLASS")
		}
		namespaceName = selected
		if namespaceName == "" {
			namespaceName = defaultNamespace
		}
	}
	if r.namespace = x.server.namespaces[namespaceName]; r.namespace == nil {
		return resource{}, cim.Errorf(cim.StatusInvalidNamespace, "there is no namespace %.64q", namespaceName)
	}
	if r.form == formClassXML {
		name, err := r.takeSelector(r.selectors, classSelector)
		if err != nil {
			return resource{}, err
		}
		if name = strings.TrimSpace(name); name != "" {
			class = name
		}
	}
	if class == "*" {
		return r, nil
	}
	c, err := r.namespace.cim.Class(class)
	if err != nil {
		return resource{}, err
	}
	r.class = r.namespace.shapes[c]
	return r, nil
}

func hasPrefixFold(s, prefix string) bool {
	_, ok := cutPrefixFold(s, prefix)
	return ok
}

// takeSelector takes the value of a selector that is no key, and leaves the others to the resource.
func (r *resource) takeSelector(selectors []cim.Argument, name string) (string, error) {
	given := find(selectors, name)
	if given == nil {
		r.selectors = selectors
		return "", nil
	}
	if given.Value.Type() != cim.String {
		return "", newFault(invalidSelector, "the selector "+name+" must be text")
	}
	r.selectors = make([]cim.Argument, 0, len(selectors)-1)
	for i := range selectors {
		if &selectors[i] != given {
			r.selectors = append(r.selectors, selectors[i])
		}
	}
	return given.Value.Text(), nil
}

// one returns the class of a resource that must name one.
func (r resource) one() (*shape, error) {
	if r.class == nil {
		return nil, newFault(invalidResource, "the resource URI must name one class here, not *")
	}
	if r.form == formClassXML {
		return nil, newFault(actionNotSupported, "classes can be read and enumerated only")
	}
	return r.class, nil
}

// key makes of the selectors a key of the resource's class.
func (r resource) key(class *cim.Class) (cim.Instance, error) {
	key, err := class.Key(r.selectors)
	if refused, ok := err.(*cim.Error); ok {
		return cim.Instance{}, selectorFault(refused)
	}
	return key, err
}
