package reportfile

import "io"

// WriteSheets writes a workbook whose sheets have at most so many rows.
func (r *Report) WriteSheets(w io.Writer, maxRows int) error { return r.writeXLSX(w, maxRows) }

// MaxPrinted is how much of a list the PDF has.
const MaxPrinted = maxPrinted

// Scale returns the marks of an axis.
var Scale = scale
