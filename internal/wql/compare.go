package wql

import "strings"

// operand is one side of a comparison: a name, or else a literal.
type operand struct {
	name    name
	literal literal
}

func (o operand) isName() bool { return o.name.text != "" }

func (o operand) pos() int {
	if o.isName() {
		return o.name.pos
	}
	return o.literal.pos
}

func (p *parser) operand() (operand, error) {
	l := literal{text: p.tok.text, pos: p.tok.pos}
	switch {
	case p.tok.kind == stringLiteral:
		l.kind = stringConstant
	case p.tok.kind == integerLiteral:
		l.kind = integerConstant
	case p.tok.is("TRUE"), p.tok.is("FALSE"):
		l.kind, l.text = booleanConstant, strings.ToUpper(l.text)
	case p.tok.is("NULL"):
		l.kind, l.text = nullConstant, ""
	default:
		n, err := p.name("a property or a constant")
		return operand{name: n}, err
	}
	return operand{literal: l}, p.advance()
}

// comparison reads name operator constant, constant operator name, name IS [NOT] NULL, or __this ISA class.
func (p *parser) comparison() (expression, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	if p.tok.is("IS") {
		return p.nullTest(left)
	}
	if p.tok.is("ISA") {
		return p.classTest(left)
	}
	opPos := p.tok.pos
	op, err := p.operator()
	if err != nil {
		return nil, err
	}
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(left.name.text, "__CLASS") && right.isName() && (op == equal || op == notEqual) {
		// The grammar writes the class bare here, and here only (MS-WMI 2.2.1.1, EXPR).
		right = operand{literal: literal{stringConstant, right.name.text, right.name.pos}}
	}
	switch {
	case left.isName() && right.isName():
		return nil, errorAt(right.pos(), "a property cannot be compared with a property; put a constant here, strings in quotes")
	case !left.isName() && !right.isName():
		return nil, errorAt(left.pos(), "two constants are compared; one side should be the name of a property")
	case right.isName() && op == like:
		return nil, errorAt(left.pos(), "the pattern of LIKE stands on its right: property LIKE \"pattern\"")
	case right.isName():
		left, right, op = right, left, op.mirrored()
	}
	if right.literal.kind == nullConstant {
		if op != equal && op != notEqual {
			return nil, errorAt(opPos, "only = and <> can compare with NULL; usually IS NULL or IS NOT NULL is meant")
		}
		return nullTest{left.name, op == notEqual}, nil
	}
	if op == like && right.literal.kind != stringConstant {
		return nil, errorAt(right.pos(), "LIKE should be followed by a pattern in quotes")
	}
	return comparison{left.name, op, opPos, right.literal}, nil
}

func (p *parser) operator() (operator, error) {
	switch {
	case p.tok.is("LIKE"):
		return like, p.advance()
	case p.tok.is("NOT"):
		return 0, errorAt(p.tok.pos, "NOT stands before the property: NOT property LIKE \"pattern\"")
	case p.tok.kind == relation:
		for op, text := range operatorTexts {
			if p.tok.text == text {
				return operator(op), p.advance()
			}
		}
	}
	return 0, p.wanted("an operator (= <> < <= > >= LIKE, IS NULL)")
}

// nullTest reads what follows the left side of IS. WQL has IS for NULL only ("WQL Operators").
func (p *parser) nullTest(left operand) (expression, error) {
	if !left.isName() {
		return nil, errorAt(left.pos(), "IS NULL should follow the name of a property, not a constant")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	e := nullTest{name: left.name, not: p.tok.is("NOT")}
	if e.not {
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return e, p.expectKeyword("NULL", " (IS compares with nothing else)")
}

// classTest reads what follows the left side of ISA: a class, in quotes or, as after __CLASS, bare.
func (p *parser) classTest(left operand) (expression, error) {
	if !strings.EqualFold(left.name.text, this) {
		return nil, errorAt(p.tok.pos, "ISA is supported in schema queries only: SELECT * FROM meta_class WHERE __this ISA \"class\"")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	class, err := p.operand()
	if err != nil {
		return nil, err
	}
	if class.isName() {
		class.literal = literal{stringConstant, class.name.text, class.name.pos}
	}
	if class.literal.kind != stringConstant {
		return nil, errorAt(class.pos(), "ISA should be followed by the name of a class in quotes")
	}
	return classTest{left.name, class.literal}, nil
}
