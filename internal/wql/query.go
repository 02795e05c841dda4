package wql

import "strings"

// Query is a query that has been parsed, but not yet bound to a class. It does not change, and many goroutines may use it.
type Query struct {
	Class   string   // as written
	Columns []string // as written; nil stands for *

	columnPos []int
	where     expression // nil without WHERE
}

// metaClass is what a schema query selects from, and this what it calls the class that it looks at.
const (
	metaClass = "meta_class"
	this      = "__this"
)

// Schema tells whether the query asks for classes, not for instances.
func (q *Query) Schema() bool { return strings.EqualFold(q.Class, metaClass) }

// String writes the query in one way: keywords in upper case, single spaces, no parenthesis that is not needed. Parsing it
// gives an equal query, unless the added spaces lift it over MaxLength.
func (q *Query) String() string {
	var b strings.Builder
	b.WriteString("SELECT ")
	if q.Columns == nil {
		b.WriteByte('*')
	}
	b.WriteString(strings.Join(q.Columns, ", "))
	b.WriteString(" FROM ")
	b.WriteString(q.Class)
	if q.where != nil {
		b.WriteString(" WHERE ")
		q.where.write(&b)
	}
	return b.String()
}

// expression is what stands behind WHERE. Chains of AND and OR are flat, so that only parentheses and NOT nest, which
// MaxDepth bounds.
type expression interface {
	write(b *strings.Builder)
	precedence() int
	bind(b *binder) (condition, error)
}

type (
	disjunction []expression
	conjunction []expression
	negation    struct{ of expression }

	// comparison has its name on the left, wherever it was written.
	comparison struct {
		name    name
		op      operator
		opPos   int
		literal literal
	}

	nullTest struct {
		name name
		not  bool
	}

	// classTest is __this ISA class.
	classTest struct {
		name  name
		class literal
	}

	name struct {
		text string
		pos  int
	}

	literal struct {
		kind literalKind
		text string // TRUE or FALSE of a boolean, empty for NULL
		pos  int
	}
)

type literalKind uint8

const (
	nullConstant literalKind = iota
	stringConstant
	integerConstant
	booleanConstant
)

type operator uint8

const (
	equal operator = iota
	notEqual
	less
	lessOrEqual
	greater
	greaterOrEqual
	like
)

var operatorTexts = [...]string{"=", "<>", "<", "<=", ">", ">=", "LIKE"}

// mirrored returns the operator that says the same with its sides exchanged.
func (op operator) mirrored() operator {
	switch op {
	case less:
		return greater
	case lessOrEqual:
		return greaterOrEqual
	case greater:
		return less
	case greaterOrEqual:
		return lessOrEqual
	}
	return op
}

// holds tells whether the operator is true of two values that compare as c: negative, 0 or positive.
func (op operator) holds(c int) bool {
	switch op {
	case equal:
		return c == 0
	case notEqual:
		return c != 0
	case less:
		return c < 0
	case lessOrEqual:
		return c <= 0
	case greater:
		return c > 0
	}
	return c >= 0
}

func (disjunction) precedence() int { return 1 }
func (conjunction) precedence() int { return 2 }
func (negation) precedence() int    { return 3 }
func (comparison) precedence() int  { return 4 }
func (nullTest) precedence() int    { return 4 }
func (classTest) precedence() int   { return 4 }

func (e disjunction) write(b *strings.Builder) { writeChain(b, e, " OR ", e.precedence()) }
func (e conjunction) write(b *strings.Builder) { writeChain(b, e, " AND ", e.precedence()) }

func writeChain(b *strings.Builder, terms []expression, separator string, precedence int) {
	for i, term := range terms {
		if i > 0 {
			b.WriteString(separator)
		}
		writeInside(b, term, precedence+1)
	}
}

func (e negation) write(b *strings.Builder) {
	b.WriteString("NOT ")
	writeInside(b, e.of, e.precedence())
}

// writeInside adds the parentheses that an expression needs where one of at least the given precedence is expected.
func writeInside(b *strings.Builder, e expression, precedence int) {
	if e.precedence() >= precedence {
		e.write(b)
		return
	}
	b.WriteByte('(')
	e.write(b)
	b.WriteByte(')')
}

func (e comparison) write(b *strings.Builder) {
	b.WriteString(e.name.text)
	b.WriteString(" " + operatorTexts[e.op] + " ")
	e.literal.write(b)
}

func (e classTest) write(b *strings.Builder) {
	b.WriteString(e.name.text + " ISA ")
	e.class.write(b)
}

func (l literal) write(b *strings.Builder) {
	if l.kind == stringConstant {
		b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(l.text) + `"`)
		return
	}
	b.WriteString(l.text)
}

func (e nullTest) write(b *strings.Builder) {
	b.WriteString(e.name.text)
	if e.not {
		b.WriteString(" IS NOT NULL")
		return
	}
	b.WriteString(" IS NULL")
}
