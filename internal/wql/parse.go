package wql

import (
	"strings"
	"unicode/utf8"
)

// Parse parses a query. The error is an *Error.
func Parse(text string) (*Query, error) {
	if len(text) > MaxLength {
		return nil, errorAt(utf8.RuneCountInString(text[:MaxLength])+1,
			"the query is %d bytes long; at most %d are accepted", len(text), MaxLength)
	}
	pos := 0
	for i, r := range text {
		pos++
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			return nil, errorAt(pos, "the query is not valid UTF-8 here")
		}
	}
	p := &parser{lexer: lexer{src: text, pos: 1}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	q, err := p.query()
	if err != nil {
		return nil, err
	}
	return q, nil
}

type parser struct {
	lexer lexer
	tok   token // the next one
	depth int
}

func (p *parser) advance() error {
	t, err := p.lexer.next()
	p.tok = t
	return err
}

// wanted is the error that something else stands at the current token.
func (p *parser) wanted(what string) error {
	return errorAt(p.tok.pos, "expected %s, found %s", what, p.tok.describe())
}

func (p *parser) expectKeyword(keyword, why string) error {
	if !p.tok.is(keyword) {
		return p.wanted(keyword + why)
	}
	return p.advance()
}

func (p *parser) query() (*Query, error) {
	switch {
	case p.tok.kind == endOfQuery:
		return nil, errorAt(p.tok.pos, "the query is empty; it should read SELECT * FROM and a class")
	case p.tok.is("ASSOCIATORS"), p.tok.is("REFERENCES"):
		return nil, errorAt(p.tok.pos, "%s OF queries are not supported; use SELECT", strings.ToUpper(p.tok.text))
	}
	if err := p.expectKeyword("SELECT", ""); err != nil {
		return nil, err
	}
	q := &Query{}
	if err := p.columns(q); err != nil {
		return nil, err
	}
	if err := p.expectKeyword("FROM", " and a class"); err != nil {
		return nil, err
	}
	class, err := p.name("the name of a class")
	if err != nil {
		return nil, err
	}
	q.Class = class.text
	if q.Schema() && q.Columns != nil {
		return nil, errorAt(q.columnPos[0], "a schema query (FROM meta_class) selects *")
	}
	if p.tok.is("WHERE") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if q.where, err = p.disjunction(); err != nil {
			return nil, err
		}
	}
	return q, p.end(q.where != nil)
}

func (p *parser) columns(q *Query) error {
	if p.tok.isPunctuation("*") {
		if err := p.advance(); err != nil {
			return err
		}
		if p.tok.isPunctuation(",") {
			return errorAt(p.tok.pos, "* stands alone: it selects all properties; FROM should follow")
		}
		return nil
	}
	what := "* or the name of a property"
	for {
		column, err := p.name(what)
		if err != nil {
			return err
		}
		if p.tok.isPunctuation("(") {
			return errorAt(column.pos, "functions such as count(*) are not supported; select * or properties")
		}
		if len(q.Columns) == MaxColumns {
			return errorAt(column.pos, "at most %d columns are accepted; SELECT * selects all properties", MaxColumns)
		}
		q.Columns = append(q.Columns, column.text)
		q.columnPos = append(q.columnPos, column.pos)
		if !p.tok.isPunctuation(",") {
			return nil
		}
		if err := p.advance(); err != nil {
			return err
		}
		what = "the name of a property after the comma"
	}
}

func (p *parser) name(what string) (name, error) {
	if p.tok.kind != word || reserved(p.tok.text) {
		return name{}, p.wanted(what)
	}
	n := name{p.tok.text, p.tok.pos}
	if err := p.advance(); err != nil {
		return name{}, err
	}
	if p.tok.isPunctuation(".") {
		return name{}, errorAt(p.tok.pos, "names with a dot are not supported: properties of embedded objects cannot be queried")
	}
	return n, nil
}

// end checks that nothing follows the query.
func (p *parser) end(afterWhere bool) error {
	if p.tok.kind == endOfQuery {
		return nil
	}
	for _, clause := range [...]string{"WITHIN", "GROUP", "HAVING", "ORDER"} {
		if p.tok.is(clause) {
			return errorAt(p.tok.pos, "%s is not supported; a query is SELECT, FROM and WHERE", clause)
		}
	}
	if afterWhere {
		return p.wanted("AND, OR or the end of the query")
	}
	return p.wanted("WHERE or the end of the query")
}

func (p *parser) disjunction() (expression, error) {
	first, err := p.conjunction()
	if err != nil || !p.tok.is("OR") {
		return first, err
	}
	terms := disjunction{first}
	for p.tok.is("OR") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		term, err := p.conjunction()
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	return terms, nil
}

func (p *parser) conjunction() (expression, error) {
	first, err := p.term()
	if err != nil || !p.tok.is("AND") {
		return first, err
	}
	terms := conjunction{first}
	for p.tok.is("AND") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		term, err := p.term()
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	return terms, nil
}

// term reads NOT term, (expression) or a comparison.
func (p *parser) term() (expression, error) {
	negated, open := p.tok.is("NOT"), p.tok.isPunctuation("(")
	if !negated && !open {
		return p.comparison()
	}
	if p.depth == MaxDepth {
		return nil, errorAt(p.tok.pos, "parentheses and NOT are nested more than %d deep", MaxDepth)
	}
	p.depth++
	defer func() { p.depth-- }()
	if err := p.advance(); err != nil {
		return nil, err
	}
	if negated {
		e, err := p.term()
		if err != nil {
			return nil, err
		}
		return negation{e}, nil
	}
	e, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	if !p.tok.isPunctuation(")") {
		return nil, p.wanted("AND, OR or ')'")
	}
	return e, p.advance()
}
