package cim_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mofReader reads the part of MOF (DSP0221) that a schema is written in, and checks it as a MOF compiler would: every
// qualifier is declared, stands where its scope allows and has a value of its type, names are unique, tables of values have
// as many names as values, and an embedded class stands before the class that embeds it.
type mofReader struct {
	tokens     []string
	at         int
	namespace  string
	qualifiers map[string]mofQualifier // by lower-case name
	classes    []mofClass
}

type mofQualifier struct {
	typ     string // boolean, sint32, string or string[]
	scopes  []string
	flavors []string
}

type mofClass struct {
	name       string
	qualifiers map[string][]string
	properties []mofField
	methods    []mofMethod
}

type mofMethod struct {
	mofField
	parameters []mofField
}

type mofField struct {
	name, typ  string
	array      bool
	qualifiers map[string][]string // lower-case names; a boolean has the value TRUE
}

// mofError is what the reader panics with, so that each step needs no check of its own. readMOF recovers it.
type mofError string

var mofToken = regexp.MustCompile(`//[^\n]*|\s+|"(?:[^"\\\n]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[#\[\]{}(),;:=]`)

// readMOF reads several texts as one.
func readMOF(texts ...string) (r *mofReader, err error) {
	r = &mofReader{qualifiers: map[string]mofQualifier{}}
	defer func() {
		switch e := recover().(type) {
		case nil:
		default:
			panic(e)
		case mofError:
			err = fmt.Errorf("%s, before %q", string(e), strings.Join(r.tokens[r.at:min(r.at+8, len(r.tokens))], " "))
		}
	}()
	for _, text := range texts {
		for text != "" {
			found := mofToken.FindStringIndex(text)
			if found == nil || found[0] != 0 {
				return nil, fmt.Errorf("no token at %.20q", text)
			}
			token := text[:found[1]]
			text = text[found[1]:]
			if strings.TrimSpace(token) != "" && !strings.HasPrefix(token, "//") {
				r.tokens = append(r.tokens, token)
			}
		}
	}
	for r.at < len(r.tokens) {
		switch {
		case r.accept("#"):
			r.expect("pragma", "namespace", "(")
			r.namespace = r.string()
			r.expect(")")
		case r.accept("Qualifier"):
			r.declareQualifier()
		default:
			r.class()
		}
	}
	return r, nil
}

func (r *mofReader) check(ok bool, format string, args ...any) {
	if !ok {
		panic(mofError(fmt.Sprintf(format, args...)))
	}
}

func (r *mofReader) next() string {
	r.check(r.at < len(r.tokens), "the text ends")
	r.at++
	return r.tokens[r.at-1]
}

func (r *mofReader) accept(token string) bool {
	ok := r.at < len(r.tokens) && strings.EqualFold(r.tokens[r.at], token)
	if ok {
		r.at++
	}
	return ok
}

func (r *mofReader) expect(tokens ...string) {
	for _, token := range tokens {
		r.check(r.accept(token), "expected %s", token)
	}
}

func (r *mofReader) string() string {
	s, err := strconv.Unquote(r.next())
	r.check(err == nil, "expected a string")
	return s
}

func (r *mofReader) name() string {
	name := r.next()
	r.check(regexp.MustCompile(`^[A-Za-z_]`).MatchString(name), "expected a name")
	return name
}

func (r *mofReader) declareQualifier() {
	name := r.name()
	r.expect(":")
	q := mofQualifier{typ: r.name()}
	if r.accept("[") {
		r.expect("]")
		q.typ += "[]"
	}
	if r.accept("=") {
		r.next()
	}
	r.expect(",", "Scope", "(")
	q.scopes = r.names()
	if r.accept(",") {
		r.expect("Flavor", "(")
		q.flavors = r.names()
	}
	r.expect(";")
	r.qualifiers[strings.ToLower(name)] = q
}

// names reads names up to a closing parenthesis.
func (r *mofReader) names() (names []string) {
	for !r.accept(")") {
		names = append(names, r.name())
		r.accept(",")
	}
	return names
}

// list reads the qualifiers in brackets that may stand before a declaration.
func (r *mofReader) list(scope string) map[string][]string {
	list := map[string][]string{}
	if !r.accept("[") {
		return list
	}
	for {
		name := r.name()
		lower := strings.ToLower(name)
		declared, ok := r.qualifiers[lower]
		r.check(ok, "the qualifier %s is not declared", name)
		r.check(slices.Contains(declared.scopes, scope), "the qualifier %s does not belong to a %s", name, scope)
		r.check(list[lower] == nil, "the qualifier %s stands twice", name)
		switch declared.typ {
		case "boolean":
			list[lower] = []string{"TRUE"}
		case "string":
			r.expect("(")
			list[lower] = []string{r.string()}
			r.expect(")")
		case "sint32":
			r.expect("(")
			n := r.next()
			_, err := strconv.ParseInt(n, 10, 32)
			r.check(err == nil, "expected a number")
			list[lower] = []string{n}
			r.expect(")")
		default:
			r.expect("{")
			for {
				list[lower] = append(list[lower], r.string())
				if !r.accept(",") {
					break
				}
			}
			r.expect("}")
		}
		if r.accept("]") {
			break
		}
		r.expect(",")
	}
	if list["values"] != nil {
		r.check(len(list["values"]) == len(list["valuemap"]), "ValueMap and Values differ in length")
	}
	r.check(len(list["bitvalues"]) == len(list["bitmap"]), "BitMap and BitValues differ in length")
	if embedded := list["embeddedinstance"]; embedded != nil {
		known := slices.ContainsFunc(r.classes, func(c mofClass) bool { return strings.EqualFold(c.name, embedded[0]) })
		r.check(known, "the embedded class %s is not declared yet", embedded[0])
	}
	return list
}

func (r *mofReader) field(scope string) mofField {
	f := mofField{qualifiers: r.list(scope)}
	f.typ, f.name = r.name(), r.name()
	r.check(slices.Contains([]string{"string", "uint32", "boolean", "datetime"}, f.typ), "%s is no type", f.typ)
	r.check(f.qualifiers["embeddedinstance"] == nil || f.typ == "string", "the embedded %s is no string", f.name)
	if r.accept("[") {
		r.expect("]")
		f.array = true
	}
	return f
}

func (r *mofReader) class() {
	c := mofClass{qualifiers: r.list("class")}
	r.expect("class")
	c.name = r.name()
	r.check(!slices.ContainsFunc(r.classes, func(o mofClass) bool { return strings.EqualFold(o.name, c.name) }), "class %s stands twice", c.name)
	r.expect("{")
	names := map[string]bool{}
	for !r.accept("}") {
		scope := "property"
		if r.isMethod() {
			scope = "method"
		}
		f := r.field(scope)
		r.check(!names[strings.ToLower(f.name)], "%s stands twice", f.name)
		names[strings.ToLower(f.name)] = true
		if scope == "property" {
			c.properties = append(c.properties, f)
		} else {
			c.methods = append(c.methods, mofMethod{f, r.parameters()})
		}
		r.expect(";")
	}
	r.expect(";")
	r.classes = append(r.classes, c)
}

// isMethod looks ahead, behind the qualifiers: a method has a parenthesis after its name.
func (r *mofReader) isMethod() bool {
	i := r.at
	if i < len(r.tokens) && r.tokens[i] == "[" {
		i += slices.Index(r.tokens[i:], "]") + 1
	}
	return i+2 < len(r.tokens) && r.tokens[i+2] == "("
}

func (r *mofReader) parameters() []mofField {
	r.expect("(")
	var parameters []mofField
	if r.accept(")") {
		return nil
	}
	for {
		p := r.field("parameter")
		r.check(!slices.ContainsFunc(parameters, func(o mofField) bool { return strings.EqualFold(o.name, p.name) }), "parameter %s stands twice", p.name)
		parameters = append(parameters, p)
		if r.accept(")") {
			return parameters
		}
		r.expect(",")
	}
}
