package auditfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"calkeeper/internal/csvfile"
	"calkeeper/internal/printable"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

// Format is a kind of file.
type Format string

// JSONLines can be verified; CSV is for spreadsheets.
const (
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
)

// Write writes the head and all records, oldest first.
func Write(w io.Writer, f Format, head store.AuditHead, records iter.Seq2[store.AuditRecord, error]) error {
	b := bufio.NewWriterSize(w, 64<<10)
	var err error
	switch f {
	case JSONLines:
		err = writeLines(b, head, records)
	case CSV:
		err = writeCSV(b, records)
	default:
		err = fmt.Errorf("%q is no format of an audit log: %s and %s are", string(f), JSONLines, CSV)
	}
	if err != nil {
		return err
	}
	return b.Flush()
}

// headLine is the first line.
type headLine struct {
	Head wire.AuditHead `json:"head"`
}

func writeLines(b *bufio.Writer, head store.AuditHead, records iter.Seq2[store.AuditRecord, error]) error {
	first, err := line(headLine{EncodeHead(head)})
	if err != nil {
		return err
	}
	b.WriteString(first)
	for r, err := range records {
		if err != nil {
			return err
		}
		text, err := line(Encode(r))
		if err != nil {
			return fmt.Errorf("record %d: %w", r.Seq, err)
		}
		if _, err := b.WriteString(text); err != nil {
			return err
		}
	}
	return nil
}

// line returns a value as one line of printable JSON.
func line(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return printable.JSON(b.String()), err
}

// columns are the members of wire.AuditRecord.
var columns = [...]string{"seq", "at", "actor", "action", "keyPackId", "licenseId", "delta", "detail", "remote", "mechanism", "hash"}

func writeCSV(b *bufio.Writer, records iter.Seq2[store.AuditRecord, error]) error {
	if err := writeRow(b, columns); err != nil {
		return err
	}
	text := func(s string) string { return csvfile.Text(printable.Text(s)) }
	for r, err := range records {
		if err != nil {
			return err
		}
		v := Encode(r)
		if err := writeRow(b, [len(columns)]string{
			strconv.FormatUint(v.Seq, 10), v.At.Format(time.RFC3339Nano), text(v.Actor), text(v.Action), strconv.FormatUint(uint64(v.KeyPackID), 10),
			strconv.FormatUint(uint64(v.LicenseID), 10), strconv.FormatInt(v.Delta, 10), text(v.Detail), text(v.Remote), text(v.Mechanism), v.Hash,
		}); err != nil {
			return err
		}
	}
	return nil
}

func writeRow(b *bufio.Writer, cells [len(columns)]string) error {
	for i, cell := range cells {
		csvfile.WriteCell(b, i, cell)
	}
	return csvfile.EndRow(b)
}
