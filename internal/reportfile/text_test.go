package reportfile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/reportfile"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestGoldenText(t *testing.T) {
	for _, table := range reportfile.Tables {
		golden(t, "report-"+table+".csv", written(t, sample(), reportfile.CSV, table))
	}
	golden(t, "report.json", written(t, sample(), reportfile.JSON, ""))
	golden(t, "empty.json", written(t, new(reportfile.Report), reportfile.JSON, ""))
}

// readCSV reads what RFC 4180 describes, and nothing else.
func readCSV(text string) (rows [][]string, err error) {
	for text != "" {
		var row []string
		for more := true; more; {
			var cell string
			if quoted, ok := strings.CutPrefix(text, `"`); ok {
				for {
					part, rest, found := strings.Cut(quoted, `"`)
					if !found {
						return nil, errors.New("a quote is not closed")
					}
					cell += part
					if quoted, ok = strings.CutPrefix(rest, `"`); !ok {
						text = rest
						break
					}
					cell += `"`
				}
			} else {
				end := strings.IndexAny(text, ",\r\n\"")
				if end < 0 {
					return nil, errors.New("a line has no end")
				}
				cell, text = text[:end], text[end:]
			}
			row = append(row, cell)
			if rest, ok := strings.CutPrefix(text, ","); ok {
				text = rest
			} else if rest, ok := strings.CutPrefix(text, "\r\n"); ok {
				text, more = rest, false
			} else {
				return nil, errors.New("a cell is not followed by a comma or a line end")
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// anyText draws text that may be anything, and often is what CSV, JSON or a spreadsheet takes for something else.
func anyText(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.SampledFrom([]rune("\"',;=+-@\t\r\n\\ a1é＝<&_x\u2028\ufeff\x00\x1f"))),
	).Draw(t, label)
}

// TestCSVReadsBack writes arbitrary text: without the apostrophe in front, every cell is what was reported, and no cell is one
// that a spreadsheet computes.
func TestCSVReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []reportfile.DeviceEntry
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			entries = append(entries, reportfile.DeviceEntry{
				IssuedToComputer: anyText(t, "computer"), HardwareID: anyText(t, "hardware ID"), CALType: anyText(t, "type"),
				ProductVersion: anyText(t, "version"), ProductVersionID: rapid.Uint32().Draw(t, "ID"),
			})
		}
		text := string(written(t, &reportfile.Report{Devices: listOf(entries...)}, reportfile.CSV, "devices"))
		rows, err := readCSV(text)
		if err != nil || len(rows) != len(entries)+1 {
			t.Fatalf("%d rows, %v, of\n%s", len(rows), err, text)
		}
		for i, row := range rows[1:] {
			if len(row) != len(rows[0]) {
				t.Fatalf("row %d has %d cells: %q", i, len(row), row)
			}
			for n, cell := range row {
				if strings.IndexAny(cell, "=+-@\t\r\n＝＋－＠") == 0 {
					t.Errorf("%q is a formula", cell)
				}
				row[n] = strings.TrimPrefix(cell, "'")
			}
			e := entries[i]
			if row[0] != e.IssuedToComputer || row[1] != e.HardwareID || row[2] != "" || row[3] != e.CALType || row[4] != e.ProductVersion {
				t.Errorf("%q was reported as %+v", row, e)
			}
		}
	})
}

// TestCSVInPython has the csv module of Python read what is written.
func TestCSVInPython(t *testing.T) {
	const program = `import csv, io, json, sys
print(json.dumps(list(csv.reader(io.TextIOWrapper(sys.stdin.buffer, "utf-8", newline="")))))`
	names := []string{"ada", `EXAMPLE\Łukasz`, "a,b", "a;b", `a"b`, "a\r\nb", "a\nb", "=1", "'=1", "'", "", " ", "\t", `""`, `",`}
	users := make([]reportfile.UserEntry, len(names))
	for i, name := range names {
		users[i].User = name
	}
	python := exec.Command("/usr/bin/python3", "-c", program)
	python.Stdin = bytes.NewReader(written(t, &reportfile.Report{Users: listOf(users...)}, reportfile.CSV, "users"))
	out, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	if err := json.Unmarshal(out, &rows); err != nil || len(rows) != len(names)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, name := range names {
		if got := strings.TrimPrefix(rows[i+1][0], "'"); got != name || len(rows[i+1]) != 5 {
			t.Errorf("%q was read as %q", name, rows[i+1])
		}
	}
}

// reportJSON has the names that the classes of TlsWmiProv have.
type reportJSON struct {
	FileName           string
	GenerationDateTime *time.Time
	Version            uint32
	LicenseServer      string
	Company            string

	ReportSummaryEntries              []reportfile.SummaryEntry
	ReportFailedPerUserSummaryEntries []reportfile.FailedDomainEntry
	ReportEntries                     []reportfile.UserEntry
	ReportPerDeviceEntries            []reportfile.DeviceEntry
	ReportFailedPerUserEntries        []reportfile.FailedUserEntry
}

// TestJSONReadsBack writes arbitrary text, and reads the same under the same names.
func TestJSONReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := reportfile.UserEntry{User: anyText(t, "user"), CALType: anyText(t, "type"), ExpirationDate: generated.Truncate(time.Second), ProductVersionID: 7}
		d := reportfile.DeviceEntry{IssuedToComputer: anyText(t, "computer"), HardwareID: anyText(t, "hardware ID"), ProductVersion: anyText(t, "version")}
		f := reportfile.FailedUserEntry{User: anyText(t, "failed"), TriedIssuanceOn: time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)}
		r := &reportfile.Report{
			FileName: anyText(t, "file name"), LicenseServer: anyText(t, "server"), Company: anyText(t, "company"),
			Summary:       []reportfile.SummaryEntry{{anyText(t, "version"), 7, anyText(t, "type"), 4294967295, 0, anyText(t, "availability")}},
			FailedDomains: []reportfile.FailedDomainEntry{{anyText(t, "domain"), 1}, {anyText(t, "domain"), 2}},
			Users:         listOf(u, u), Devices: listOf(d, d, d), FailedUsers: listOf(f),
		}
		text := written(t, r, reportfile.JSON, "")
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		var got reportJSON
		if err := decoder.Decode(&got); err != nil || decoder.More() {
			t.Fatalf("%v in\n%s", err, text)
		}
		want := reportJSON{
			r.FileName, nil, 0, r.LicenseServer, r.Company, r.Summary, r.FailedDomains, []reportfile.UserEntry{u, u},
			[]reportfile.DeviceEntry{d, d, d}, []reportfile.FailedUserEntry{f},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v was reported as %+v", want, got)
		}
	})
}

// TestTextThatIsNoUTF8 is replaced, so that the JSON stays one.
func TestTextThatIsNoUTF8(t *testing.T) {
	text := written(t, &reportfile.Report{Company: "\xff\xc3"}, reportfile.JSON, "")
	var got reportJSON
	if err := json.Unmarshal(text, &got); err != nil || got.Company != "\ufffd\ufffd" {
		t.Errorf("%q, %v", got.Company, err)
	}
}
