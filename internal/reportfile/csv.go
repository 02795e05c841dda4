package reportfile

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"calkeeper/internal/csvfile"
)

// writeCSV writes one table: a header, and a line for each entry, in UTF-8.
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
		csvfile.WriteCell(b, i, c.name)
	}
	if err := csvfile.EndRow(b); err != nil {
		return err
	}
	for row, err := range t.rows {
		if err != nil {
			return err
		}
		for i, cell := range row {
			csvfile.WriteCell(b, i, csvText(cell))
		}
		if err := csvfile.EndRow(b); err != nil {
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
		return csvfile.Text(v)
	}
	return ""
}
