package wql

import "fmt"

// The limits of a query. They hold whatever a client sends to a constant amount of memory and stack.
const (
	MaxLength  = 16 << 10 // bytes of a query
	MaxDepth   = 64       // parentheses and NOTs open at the same time
	MaxColumns = 256      // names between SELECT and FROM
)

// Error is a query that does not parse, or that asks of its class what the class does not have. It never repeats a
// constant of the query, which may be a license code.
type Error struct {
	Pos int    // where, in characters from the start of the query, counted from 1
	Msg string // what was wrong there, and what would be right
}

// Error says where the query is wrong, and how.
func (e *Error) Error() string { return fmt.Sprintf("invalid query at character %d: %s", e.Pos, e.Msg) }

func errorAt(pos int, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}
