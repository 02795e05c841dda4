package reportfile

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// writeCSV writes one table: a header, and a line for each entry, as RFC 4180 describes, in UTF-8.
//
// A spreadsheet takes a cell that begins with =, +, -, @ (or one of their wide forms), a tab or a line end for a formula. Names come
// from outside, so such a cell gets an apostrophe in front. One that begins with an apostrophe gets another, so that a program that
// takes the first apostrophe off reads what was reported.
func (r *Report) writeCSV(w io.Writer, name string) error {
	for _, t := range r.tables() {
		if t.name == name {
			return t.writeCSV(w)
		}
	}
	return fmt.Errorf("%q is no table of a report: %s are", name, strings.Join(Tables[:], ", "))
}

func (t *table) writeCSV(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	for i, c := range t.columns {
		writeCell(b, i, c.name)
	}
	b.WriteString("\r\n")
	for row, err := range t.rows {
		if err != nil {
			return err
		}
		for i, cell := range row {
			writeCell(b, i, csvText(cell))
		}
		if _, err := b.WriteString("\r\n"); err != nil {
			return err
		}
	}
	return b.Flush()
}

// csvText returns a cell as text.
func csvText(cell any) string {
	switch v := cell.(type) {
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return timestamp(v)
	case string:
		if v != "" && strings.IndexAny(v, "'=+-@\t\r\n＝＋－＠") == 0 {
			return "'" + v
		}
		return v
	}
	return ""
}

// writeCell writes the cell with that index in its row. What a spreadsheet of another country could take for the end of a cell is in
// quotes, too: its separator may be a semicolon or a tab. An error stays in b.
func writeCell(b *bufio.Writer, index int, text string) {
	if index > 0 {
		b.WriteByte(',')
	}
	if !strings.ContainsAny(text, "\",;\t\r\n") {
		b.WriteString(text)
		return
	}
	b.WriteByte('"')
	for i, part := range strings.Split(text, `"`) {
		if i > 0 {
			b.WriteString(`""`)
		}
		b.WriteString(part)
	}
	b.WriteByte('"')
}
