// Package csvfile writes cells of comma-separated values (RFC 4180) so that a spreadsheet shows them as they are.
//
// A spreadsheet takes a cell that begins with =, +, -, @ (or one of their wide forms), a tab or a line end for a formula. Names come
// from outside, so such a cell gets an apostrophe in front. One that begins with an apostrophe gets another, so that a program that
// takes the first apostrophe off reads what was meant.
package csvfile

import (
	"bufio"
	"strings"
)

// Text returns what to write for a cell that holds a text.
func Text(text string) string {
	if text != "" && strings.IndexAny(text, "'=+-@\t\r\n＝＋－＠") == 0 {
		return "'" + text
	}
	return text
}

// WriteCell writes the cell with that index in its row. What a spreadsheet of another country could take for the end of a cell is in
// quotes, too: its separator may be a semicolon or a tab. An error stays in b.
func WriteCell(b *bufio.Writer, index int, text string) {
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

// EndRow ends a row, and returns the first error of b.
func EndRow(b *bufio.Writer) error {
	_, err := b.WriteString("\r\n")
	return err
}
