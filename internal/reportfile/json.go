package reportfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"
)

// writeJSON writes one object: the head, and an array for each list, with an entry to a line. What is not known is null.
func (r *Report) writeJSON(w io.Writer) error {
	j := jsonWriter{out: bufio.NewWriterSize(w, 64<<10)}
	j.values = json.NewEncoder(&j.text)
	j.values.SetEscapeHTML(false)
	for i, field := range []struct {
		name  string
		value any
	}{
		{"FileName", r.FileName}, {"GenerationDateTime", r.Generated}, {"Version", r.Version}, {"LicenseServer", r.LicenseServer}, {"Company", r.Company},
	} {
		j.out.WriteString([]string{"{\n  ", ",\n  "}[min(i, 1)])
		if err := j.field(field.name, field.value); err != nil {
			return err
		}
	}
	for _, t := range r.tables() {
		if err := j.list(t); err != nil {
			return err
		}
	}
	j.out.WriteString("\n}\n")
	return j.out.Flush()
}

// jsonWriter writes JSON as it comes. An error of writing stays in out.
type jsonWriter struct {
	out    *bufio.Writer
	values *json.Encoder // of scalars, to text
	text   bytes.Buffer
}

func (j *jsonWriter) list(t table) error {
	j.out.WriteString(",\n  \"" + t.list + "\": [")
	separator := "\n    {"
	for row, err := range t.rows {
		if err != nil {
			return err
		}
		if _, err := j.out.WriteString(separator); err != nil {
			return err
		}
		separator = ",\n    {"
		for i, cell := range row {
			if i > 0 {
				j.out.WriteString(", ")
			}
			if err := j.field(t.columns[i].name, cell); err != nil {
				return err
			}
		}
		j.out.WriteByte('}')
	}
	if separator[0] == ',' {
		j.out.WriteString("\n  ")
	}
	j.out.WriteByte(']')
	return nil
}

// field writes a name, which needs no escapes, and a scalar.
func (j *jsonWriter) field(name string, value any) error {
	if t, ok := value.(time.Time); ok {
		value = nil
		if !t.IsZero() {
			value = timestamp(t)
		}
	}
	j.text.Reset()
	if err := j.values.Encode(value); err != nil {
		return err
	}
	j.out.WriteString(`"` + name + `": `)
	j.out.Write(bytes.TrimSuffix(j.text.Bytes(), []byte("\n")))
	return nil
}
