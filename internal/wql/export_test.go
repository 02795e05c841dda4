package wql

// WithoutPositions returns the query with every position set to 0, so that two spellings of one query compare as equal.
func (q *Query) WithoutPositions() *Query {
	return &Query{Class: q.Class, Columns: q.Columns, where: withoutPositions(q.where)}
}

func withoutPositions(e expression) expression {
	switch e := e.(type) {
	case disjunction:
		var terms disjunction
		for _, term := range e {
			terms = append(terms, withoutPositions(term))
		}
		return terms
	case conjunction:
		var terms conjunction
		for _, term := range e {
			terms = append(terms, withoutPositions(term))
		}
		return terms
	case negation:
		return negation{withoutPositions(e.of)}
	case comparison:
		e.name.pos, e.opPos, e.literal.pos = 0, 0, 0
		return e
	case nullTest:
		e.name.pos = 0
		return e
	case classTest:
		e.name.pos, e.class.pos = 0, 0
		return e
	}
	return nil
}
