package sqlite

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/licensing"
)

// parameters binds the parameters of a statement one after the other. The first value that cannot be stored is kept as err.
type parameters struct {
	stmt *sqlite.Stmt
	n    int // how many were bound
	err  error
}

func (p *parameters) integer(v int64) {
	p.n++
	p.stmt.BindInt64(p.n, v)
}

// sequence binds a number of which SQLite can store 63 bits.
func (p *parameters) sequence(field string, v uint64) {
	if v > math.MaxInt64 {
		p.refuse("%s is %d; it must be at most %d", field, v, int64(math.MaxInt64))
		v = 0
	}
	p.integer(int64(v))
}

// text refuses what not every database can store. The value may be a secret, so the error does not show it.
func (p *parameters) text(field, v string) {
	if !utf8.ValidString(v) || strings.Contains(v, "\x00") {
		p.refuse("%s is not storable text: it must be valid UTF-8 without NUL characters", field)
	}
	p.n++
	p.stmt.BindText(p.n, v)
}

func (p *parameters) blob(v []byte) {
	p.n++
	p.stmt.BindBytes(p.n, v)
}

// instant binds microseconds since 1970 UTC, or NULL for the zero time.
func (p *parameters) instant(field string, v time.Time) {
	if v.IsZero() {
		p.n++
		p.stmt.BindNull(p.n)
		return
	}
	if year := v.UTC().Year(); year < 1 || year > 9999 {
		p.refuse("%s is in the year %d; it must be from 1 to 9999", field, year)
	}
	p.integer(v.UnixMicro())
}

// required is instant for a column that has no zero time.
func (p *parameters) required(field string, v time.Time) {
	if v.IsZero() {
		p.refuse("%s is missing; it must be an instant", field)
	}
	p.instant(field, v)
}

func (p *parameters) boolean(v bool) {
	p.n++
	p.stmt.BindBool(p.n, v)
}

// slot binds a CAL's Slot: NULL for that of the revoked ones, which UNIQUE leaves alone.
func (p *parameters) slot(v int) {
	if v < 0 {
		p.n++
		p.stmt.BindNull(p.n)
		return
	}
	p.integer(int64(v))
}

func (p *parameters) refuse(format string, args ...any) {
	if p.err == nil {
		p.err = licensing.Faultf(licensing.Invalid, format, args...)
	}
}

// columns reads the columns of the current row one after the other.
type columns struct {
	stmt *sqlite.Stmt
	n    int // how many were read
}

func (c *columns) integer() int64 {
	c.n++
	return c.stmt.ColumnInt64(c.n - 1)
}

// uint32 reads a column whose CHECK keeps it in range.
func (c *columns) uint32() uint32 { return uint32(c.integer()) }

func (c *columns) boolean() bool { return c.integer() != 0 }

func (c *columns) text() string {
	c.n++
	return c.stmt.ColumnText(c.n - 1)
}

// blob returns a copy, nil for an empty value.
func (c *columns) blob() []byte {
	c.n++
	size := c.stmt.ColumnLen(c.n - 1)
	if size == 0 {
		return nil
	}
	v := make([]byte, size)
	c.stmt.ColumnBytes(c.n-1, v)
	return v
}

func (c *columns) instant() time.Time {
	micros := c.integer()
	if micros == 0 && c.stmt.ColumnIsNull(c.n-1) {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
