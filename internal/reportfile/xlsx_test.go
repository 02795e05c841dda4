package reportfile_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"calkeeper/internal/reportfile"
)

// opened reads a workbook.
func opened(t interface {
	Helper()
	Fatal(...any)
}, file []byte,
) *excelize.File {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// rows returns what a sheet shows.
func rows(t interface {
	Helper()
	Fatal(...any)
}, book *excelize.File, sheet string,
) [][]string {
	t.Helper()
	found, err := book.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWorkbook(t *testing.T) {
	book := opened(t, written(t, sample(), reportfile.XLSX, ""))
	defer book.Close()
	if got, want := book.GetSheetList(), []string{"Report", "Summary", "Failed domains", "Users", "Devices", "Failed users"}; !slices.Equal(got, want) {
		t.Fatalf("the sheets are %q, want %q", got, want)
	}
	const expires = "2027-01-21 06:49:15"
	for sheet, want := range map[string][]string{
		"Report": {
			"License usage report", "FileName|Report-20261122T064915Z", "LicenseServer|ls1.example.com", "Company|Müller & Söhne <GmbH>",
			"GenerationDateTime|2026-11-22 06:49:15", "Version|1", "All times|UTC", "ReportSummaryEntries|3", "ReportFailedPerUserSummaryEntries|3",
			"ReportEntries|4", "ReportPerDeviceEntries|3", "ReportFailedPerUserEntries|1",
		},
		"Summary": {
			"ProductVersion|ProductVersionID|TSCALType|InstalledLicenses|IssuedLicenses|TSCALAvailability",
			"Windows Server 2008 or Windows Server 2008 R2|2|Per Device|0|0|Not Tracking", "Windows Server 2019|6|Per Device|200|50|Available",
			"Windows Server 2022|7|Per User|100|125|None",
		},
		"Failed domains": {"DomainName|FailedIssuanceCount", "EXAMPLE|3", ".|1", "LAB|7"},
		"Users": {
			"User|ExpirationDate|CALType|ProductVersion|ProductVersionID", `EXAMPLE\ada|` + expires + "|RDS Per User CAL|Windows Server 2022|7",
			`EXAMPLE\Łukasz Żółć|` + expires + "|RDS Per User CAL|Windows Server 2022|7", `日本\太郎||RDS Per User CAL|Windows Server 2022|7`,
			`=HYPERLINK("http://192.0.2.1/";"Example, Inc.")|` + expires + "|RDS Per User CAL|Windows Server 2022|7",
		},
		"Devices": {
			"sIssuedToComputer|sHardwareId|ExpirationDate|CALType|ProductVersion|ProductVersionID",
			"DESK1|hw:1|" + expires + "|RDS Per Device CAL|Windows Server 2022|7",
			"|000000000000000000000000000000000000|" + expires + "|RDS Per Device CAL|Windows Server 2022|7",
			"+1|'2||RDS Per Device CAL|Windows Server 2022|7",
		},
		"Failed users": {"User|TriedIssuanceOn|CALType|ProductVersion|ProductVersionID", `LAB\eve|2026-11-22 06:49:15|RDS Per User CAL|Windows Server 2022|7`},
	} {
		var got []string
		for _, row := range rows(t, book, sheet) {
			got = append(got, strings.Join(row, "|"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s shows\n%q, want\n%q", sheet, got, want)
		}
	}
	checkCells(t, book)
}

// checkCells looks at what a cell is, beside what it shows.
func checkCells(t *testing.T, book *excelize.File) {
	t.Helper()
	for sheet, cells := range map[string]map[string]string{
		"Users": {"A5": `=HYPERLINK("http://192.0.2.1/";"Example, Inc.")`}, "Devices": {"A4": "+1"},
	} {
		for cell, want := range cells {
			formula, err := book.GetCellFormula(sheet, cell)
			value, err2 := book.GetCellValue(sheet, cell)
			if formula != "" || value != want || errors.Join(err, err2) != nil {
				t.Errorf("%s %s is %q with the formula %q, %v %v", sheet, cell, value, formula, err, err2)
			}
		}
	}
	// A date is a number of days since 1899-12-30, which the format shows as a date; so it can be computed with.
	const days = "46408.28420138889"
	if raw, err := book.GetCellValue("Users", "B2", excelize.Options{RawCellValue: true}); err != nil || raw[:12] != days[:12] {
		t.Errorf("a date is %q, %v, want %q", raw, err, days)
	}
	for _, sheet := range book.GetSheetList()[1:] {
		if panes, err := book.GetPanes(sheet); err != nil || !panes.Freeze || panes.YSplit != 1 {
			t.Errorf("%s: the header moves: %+v, %v", sheet, panes, err)
		}
		style, err := book.GetCellStyle(sheet, "A1")
		if err != nil || style == 0 {
			t.Errorf("%s: the header has style %d, %v", sheet, style, err)
		}
		if width, err := book.GetColWidth(sheet, "A"); err != nil || width < 20 {
			t.Errorf("%s: the first column is %f wide, %v", sheet, width, err)
		}
	}
	if count, err := book.GetCellType("Summary", "D3"); err != nil || count != excelize.CellTypeNumber && count != excelize.CellTypeUnset {
		t.Errorf("a count has type %d, %v: it is to be a number", count, err)
	}
}

// TestSheetsGoOn writes lists that are longer than a sheet.
func TestSheetsGoOn(t *testing.T) {
	const maxRows = 11 // with the header
	for _, test := range []struct {
		users  int
		sheets []int // with so many rows
	}{{0, []int{1}}, {1, []int{2}}, {10, []int{11}}, {11, []int{11, 2}}, {20, []int{11, 11}}, {21, []int{11, 11, 2}}} {
		r := large(test.users)
		r.Devices = nil
		var b bytes.Buffer
		if err := r.WriteSheets(&b, maxRows); err != nil {
			t.Fatal(err)
		}
		book := opened(t, b.Bytes())
		var got []int
		var users []string
		for _, sheet := range book.GetSheetList() {
			if !strings.HasPrefix(sheet, "Users") {
				continue
			}
			if want := []string{"Users", "Users 2", "Users 3"}[len(got)]; sheet != want {
				t.Errorf("sheet %d is %q, want %q", len(got), sheet, want)
			}
			found := rows(t, book, sheet)
			got = append(got, len(found))
			if found[0][0] != "User" {
				t.Errorf("%s has the header %q", sheet, found[0])
			}
			for _, row := range found[1:] {
				users = append(users, row[0])
			}
		}
		book.Close()
		if !slices.Equal(got, test.sheets) {
			t.Errorf("%d users are in sheets of %v rows, want %v", test.users, got, test.sheets)
		}
		for i, user := range users {
			if want := fmt.Sprintf(`EXAMPLE\user%07d`, i); user != want {
				t.Fatalf("user %d is %s, want %s", i, user, want)
			}
		}
	}
}

// TestWorkbookReadsBack writes arbitrary text: every part of the file is XML, and what XML can carry is read again.
func TestWorkbookReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := reportfile.DeviceEntry{IssuedToComputer: anyText(t, "computer"), HardwareID: anyText(t, "hardware ID"), CALType: "x"}
		file := written(t, &reportfile.Report{Company: anyText(t, "company"), Devices: listOf(d)}, reportfile.XLSX, "")
		archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range archive.File {
			checkXML(t, part)
		}
		book := opened(t, file)
		defer book.Close()
		for cell, want := range map[string]string{"A2": d.IssuedToComputer, "B2": d.HardwareID} {
			if got, err := book.GetCellValue("Devices", cell); err != nil || got != carried(want) {
				t.Errorf("%q was reported as %q, %v", got, want, err)
			}
		}
	})
}

func checkXML(t *rapid.T, part *zip.File) {
	r, err := part.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for d := xml.NewDecoder(r); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", part.Name, err)
		}
	}
}

// carried is text as XML can carry it.
func carried(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r
	}, s)
}

// TestDateBeforeSpreadsheets: what lies before the dates that a spreadsheet knows is text at least.
func TestDateBeforeSpreadsheets(t *testing.T) {
	u := reportfile.UserEntry{User: "ada", ExpirationDate: time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)}
	book := opened(t, written(t, &reportfile.Report{Users: listOf(u)}, reportfile.XLSX, ""))
	defer book.Close()
	if got := rows(t, book, "Users")[1][1]; !strings.HasPrefix(got, "1601-01-01") {
		t.Errorf("1601-01-01 is shown as %q", got)
	}
}
