package wql_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The test draws trees of its own, writes them as WQL, and evaluates them by its own rules. A truth is nil for unknown.
type node interface {
	wql(t *rapid.T) string
	truth(row keyPack) *bool
}

type (
	both   struct{ left, right node }
	either struct{ left, right node }
	neg    struct{ of node }
	leaf   struct {
		text  string // canonical; spaces may be added
		naive func(row keyPack) *bool
	}
)

func known(b bool) *bool { return &b }

func (n both) truth(row keyPack) *bool {
	l, r := n.left.truth(row), n.right.truth(row)
	switch {
	case l != nil && !*l, r != nil && !*r:
		return known(false)
	case l == nil || r == nil:
		return nil
	}
	return known(true)
}

func (n either) truth(row keyPack) *bool {
	l, r := n.left.truth(row), n.right.truth(row)
	switch {
	case l != nil && *l, r != nil && *r:
		return known(true)
	case l == nil || r == nil:
		return nil
	}
	return known(false)
}

func (n neg) truth(row keyPack) *bool {
	if v := n.of.truth(row); v != nil {
		return known(!*v)
	}
	return nil
}

func (n leaf) truth(row keyPack) *bool { return n.naive(row) }

func (n both) wql(t *rapid.T) string {
	return inside(t, n.left, isEither) + keyword(t, "AND") + inside(t, n.right, isEither)
}
func (n either) wql(t *rapid.T) string {
	return inside(t, n.left, nil) + keyword(t, "OR") + inside(t, n.right, nil)
}
func (n neg) wql(t *rapid.T) string {
	return keyword(t, "NOT") + inside(t, n.of, func(n node) bool { _, is := n.(both); return is || isEither(n) })
}
func (n leaf) wql(*rapid.T) string { return n.text }

func isEither(n node) bool { _, is := n.(either); return is }

// inside writes parentheses where they are needed, and sometimes where they are not.
func inside(t *rapid.T, n node, needed func(node) bool) string {
	if needed != nil && needed(n) || rapid.IntRange(0, 3).Draw(t, "parentheses") == 0 {
		return "(" + space(t) + n.wql(t) + ")" + space(t)
	}
	return n.wql(t)
}

func space(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", " ", "\t", "\r\n "}).Draw(t, "space")
}

func keyword(t *rapid.T, s string) string {
	if rapid.Bool().Draw(t, "lower case") {
		s = strings.ToLower(s)
	}
	return " " + space(t) + s + space(t) + " "
}

// relations pairs each operator with its meaning and with the operator for exchanged sides.
var relations = map[string]struct {
	holds    func(c int) bool
	mirrored string
}{
	"=":  {func(c int) bool { return c == 0 }, "="},
	"<>": {func(c int) bool { return c != 0 }, "!="},
	"!=": {func(c int) bool { return c != 0 }, "<>"},
	"<":  {func(c int) bool { return c < 0 }, ">"},
	"<=": {func(c int) bool { return c <= 0 }, ">="},
	">":  {func(c int) bool { return c > 0 }, "<"},
	">=": {func(c int) bool { return c >= 0 }, "<="},
}

func drawLeaf(t *rapid.T) node {
	op := rapid.SampledFrom([]string{"=", "<>", "!=", "<", "<=", ">", ">="}).Draw(t, "operator")
	relation := relations[op]
	write := func(property, constant string) string {
		if rapid.Bool().Draw(t, "constant first") {
			return constant + space(t) + relation.mirrored + space(t) + property
		}
		return property + space(t) + op + space(t) + constant
	}
	switch rapid.SampledFrom([]string{"number", "string", "boolean", "datetime", "null", "like"}).Draw(t, "kind") {
	case "number":
		n := rapid.SampledFrom([]int64{-1, 0, 1, 2, 3, 4294967295, 4294967296}).Draw(t, "number")
		text := rapid.SampledFrom([]string{"%d", "'%d'", "0x%X", "\"%d\""}).Draw(t, "notation")
		if n < 0 {
			text = "%d"
		}
		return leaf{write("KeyPackId", fmt.Sprintf(text, n)), func(row keyPack) *bool {
			return known(relation.holds(int(int64(row.KeyPackId) - n)))
		}}
	case "string":
		s := drawText(t)
		return leaf{write("ProductVersion", quote(t, s)), func(row keyPack) *bool {
			return known(relation.holds(strings.Compare(strings.ToUpper(row.ProductVersion), strings.ToUpper(s))))
		}}
	case "boolean":
		b := rapid.Bool().Draw(t, "boolean")
		equal := rapid.Bool().Draw(t, "equal")
		texts := map[bool][]string{true: {"TRUE", "1", "'true'"}, false: {"false", "0", "'0'"}}
		constant := rapid.SampledFrom(texts[b]).Draw(t, "truth")
		return leaf{"Enabled" + map[bool]string{true: "=", false: "<>"}[equal] + constant, func(row keyPack) *bool {
			return known((row.Enabled == b) == equal)
		}}
	case "datetime":
		year := drawYear(t)
		forms := []string{"'%d0101000000.000000+000'", "'%d-01-01T00:00:00Z'"}
		text := fmt.Sprintf(rapid.SampledFrom(forms).Draw(t, "form"), year)
		return leaf{write("ExpirationDate", text), func(row keyPack) *bool {
			if row.ExpirationDate.IsZero() {
				return nil
			}
			return known(relation.holds(row.ExpirationDate.Time().Year() - year))
		}}
	case "null":
		not := rapid.Bool().Draw(t, "not")
		text := rapid.SampledFrom(map[bool][]string{
			false: {"ExpirationDate IS NULL", "ExpirationDate=NULL", "null = ExpirationDate"},
			true:  {"ExpirationDate is not null", "ExpirationDate<>NULL", "NULL != ExpirationDate"},
		}[not]).Draw(t, "test")
		return leaf{text, func(row keyPack) *bool { return known(row.ExpirationDate.IsZero() != not) }}
	}
	pattern := drawPattern(t)
	return leaf{"ProductVersion LIKE" + space(t) + quote(t, pattern.wql), func(row keyPack) *bool {
		return known(pattern.expression.MatchString(row.ProductVersion))
	}}
}

type drawnPattern struct {
	wql        string
	expression *regexp.Regexp
}

// drawPattern draws a LIKE pattern and a regular expression that says the same.
func drawPattern(t *rapid.T) drawnPattern {
	parts := map[string]string{
		"%": ".*", "_": ".", "a": "a", "B": "B", "[ab]": "[ab]", "[^ab]": "[^ab]", "[a-c]": "[a-c]", "[a=c]": "[a-c]",
		"[_]": "_", `\`: `\\`, `'`: `'`, `"`: `"`,
	}
	drawn := rapid.SliceOfN(rapid.SampledFrom([]string{
		"%", "%", "_", "a", "B", "[ab]", "[^ab]", "[a-c]", "[a=c]", "[_]", `\`, `'`, `"`,
	}), 0, 6).Draw(t, "pattern")
	expression := ""
	for _, part := range drawn {
		expression += parts[part]
	}
	return drawnPattern{strings.Join(drawn, ""), regexp.MustCompile("(?is)^" + expression + "$")}
}

func drawText(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "A", "b", "c", "_", `\`, `'`, `"`}), 0, 4).Draw(t, "text"), "")
}

func drawYear(t *rapid.T) int { return rapid.IntRange(2030, 2033).Draw(t, "year") }

// quote writes a constant in quotes of either kind.
func quote(t *rapid.T, s string) string {
	quote := rapid.SampledFrom([]string{`'`, `"`}).Draw(t, "quote")
	s = strings.ReplaceAll(s, `\`, `\\`)
	return quote + strings.ReplaceAll(s, quote, `\`+quote) + quote
}

func drawNode(t *rapid.T, depth int) node {
	kinds := []string{"leaf", "and", "or", "not"}
	if depth == 0 {
		kinds = kinds[:1]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "node") {
	case "and":
		return both{drawNode(t, depth-1), drawNode(t, depth-1)}
	case "or":
		return either{drawNode(t, depth-1), drawNode(t, depth-1)}
	case "not":
		return neg{drawNode(t, depth-1)}
	}
	return drawLeaf(t)
}

func TestMatchesAgreesWithNaiveEvaluation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		row := keyPack{
			KeyPackId:      rapid.SampledFrom([]uint32{0, 1, 2, 3, 4294967295}).Draw(rt, "KeyPackId"),
			ProductVersion: drawText(rt),
			Enabled:        rapid.Bool().Draw(rt, "Enabled"),
		}
		if rapid.Bool().Draw(rt, "has an expiration date") {
			row.ExpirationDate = date(drawYear(rt))
		}
		tree := drawNode(rt, 5)
		where := tree.wql(rt)
		truth := tree.truth(row)
		if got, want := matches(t, row, where), truth != nil && *truth; got != want {
			rt.Fatalf("%s on %+v: %v, want %v", strconv.Quote(where), row, got, want)
		}
	})
}
