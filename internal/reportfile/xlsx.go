package reportfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/xuri/excelize/v2"
)

// maxSheetRows is how many rows a sheet of a workbook can have.
const maxSheetRows = excelize.TotalRows

// writeXLSX writes a workbook: a sheet about the report, and one for each table, which goes on in another when it has so many rows.
// What does not fit into 16 MB of memory is in temporary files meanwhile, which only their owner can read.
func (r *Report) writeXLSX(w io.Writer, maxRows int) (err error) {
	book := workbook{File: excelize.NewFile(), maxRows: maxRows}
	defer func() { err = errors.Join(err, book.Close()) }()
	if err := book.styles(); err != nil {
		return err
	}
	if err := book.SetSheetName("Sheet1", aboutSheet); err != nil {
		return err
	}
	about := [][2]any{
		{"License usage report", nil}, {"FileName", r.FileName}, {"LicenseServer", r.LicenseServer}, {"Company", r.Company},
		{"GenerationDateTime", book.cell(r.Generated)}, {"Version", r.Version}, {"All times", "UTC"},
	}
	for _, t := range r.tables() {
		entries, err := book.add(t)
		if err != nil {
			return err
		}
		about = append(about, [2]any{t.list, entries})
	}
	if err := book.about(about); err != nil {
		return err
	}
	// The library would first hold the whole file in memory: it is written here instead, and the library's own copy stays empty.
	book.SetZipWriter(func(io.Writer) excelize.ZipWriter { return zip.NewWriter(w) })
	return book.Write(io.Discard)
}

// aboutSheet is the name of the first sheet.
const aboutSheet = "Report"

// workbook is a workbook in the making.
type workbook struct {
	*excelize.File
	maxRows             int // of a sheet
	title, header, when int // styles
}

func (b *workbook) styles() (err error) {
	format := "yyyy-mm-dd hh:mm:ss"
	if b.when, err = b.NewStyle(&excelize.Style{CustomNumFmt: &format, Alignment: &excelize.Alignment{Horizontal: "left"}}); err != nil {
		return err
	}
	if b.title, err = b.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true, Size: 14}}); err != nil {
		return err
	}
	b.header, err = b.NewStyle(&excelize.Style{
		Font: &excelize.Font{Bold: true, Color: "FFFFFF"},
		Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"1F4E79"}},
	})
	return err
}

// about fills the first sheet with names and values.
func (b *workbook) about(rows [][2]any) error {
	out, err := b.NewStreamWriter(aboutSheet)
	if err != nil {
		return err
	}
	if err := errors.Join(out.SetColWidth(1, 1, 38), out.SetColWidth(2, 2, 48)); err != nil {
		return err
	}
	for i, row := range rows {
		cells := row[:]
		if i == 0 {
			cells = []any{excelize.Cell{StyleID: b.title, Value: row[0]}}
		}
		if err := out.SetRow("A"+strconv.Itoa(i+1), cells); err != nil {
			return err
		}
	}
	return out.Flush()
}

// add adds the sheets of a table, and returns how many entries it has.
func (b *workbook) add(t table) (entries int, err error) {
	out, err := b.sheet(t, t.sheet)
	if err != nil {
		return 0, err
	}
	cells := make([]any, len(t.columns))
	line, sheets := 1, 1
	for row, err := range t.rows {
		if err != nil {
			return 0, err
		}
		if line == b.maxRows {
			if err := out.Flush(); err != nil {
				return 0, err
			}
			sheets++
			if out, err = b.sheet(t, fmt.Sprintf("%s %d", t.sheet, sheets)); err != nil {
				return 0, err
			}
			line = 1
		}
		for i, cell := range row {
			cells[i] = b.cell(cell)
		}
		line, entries = line+1, entries+1
		if err := out.SetRow("A"+strconv.Itoa(line), cells); err != nil {
			return 0, err
		}
	}
	return entries, out.Flush()
}

// sheet begins a sheet of a table: its columns, and their names, which stay in sight.
func (b *workbook) sheet(t table, name string) (*excelize.StreamWriter, error) {
	if _, err := b.NewSheet(name); err != nil {
		return nil, err
	}
	out, err := b.NewStreamWriter(name)
	if err != nil {
		return nil, err
	}
	header := make([]any, len(t.columns))
	for i, c := range t.columns {
		header[i] = excelize.Cell{StyleID: b.header, Value: c.name}
		if err := out.SetColWidth(i+1, i+1, c.width); err != nil {
			return nil, err
		}
	}
	if err := out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return nil, err
	}
	return out, out.SetRow("A1", header)
}

// cell returns a value as the library takes it. Text is never a formula there; what is not known is an empty cell.
func (b *workbook) cell(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return excelize.Cell{StyleID: b.when, Value: v.UTC().Truncate(time.Second)}
	}
	return value
}
