package reportfile_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/reportfile"
)

// poppler runs a program of poppler on a PDF, and returns what it prints.
func poppler(t testing.TB, pdf []byte, program string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(args, path, "-")...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%s: %v\n%s", program, err, &complaints)
	}
	return out
}

// pages returns the text of each page, a line for what stands in one line.
func pages(t testing.TB, pdf []byte) []string {
	t.Helper()
	return strings.Split(strings.TrimSuffix(string(poppler(t, pdf, "pdftotext", "-layout", "-enc", "UTF-8")), "\f"), "\f")
}

// wide makes runs of spaces what separates columns.
func wide(line string) string {
	var columns []string
	for _, c := range strings.Split(line, "  ") {
		if c = strings.TrimSpace(c); c != "" {
			columns = append(columns, c)
		}
	}
	return strings.Join(columns, "|")
}

func lines(page string) []string {
	var list []string
	for line := range strings.Lines(page) {
		if line = wide(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

func TestPDF(t *testing.T) {
	found := pages(t, written(t, sample(), reportfile.PDF, ""))
	if len(found) != 4 {
		t.Fatalf("there are %d pages, want one of summary and three of lists", len(found))
	}
	for i, want := range [][]string{
		{
			"License usage report", "License server|ls1.example.com", "Company|Müller & Söhne <GmbH>", "Generated|2026-11-22 06:49 UTC",
			"Report|Report-20261122T064915Z",
			"Product version|Type|Installed|Issued|Free|Over-used|Availability",
			"Windows Server 2008 or 2008 R2|Per Device|0|0|0|0|Not Tracking",
			"Windows Server 2019|Per Device|200|50|150|0|Available",
			"Windows Server 2022|Per User|100|125|0|25|None",
			"Issued against installed, by version and type", "installed|issued|issued beyond what is installed",
			"Over-use: CALs issued beyond what is installed", "Failed issues by domain: users who have no CAL",
			"LAB|7", "EXAMPLE|3", ". (local users)|1", "Page 1 of 4|calkeeper · ls1.example.com · report Report-20261122T064915Z",
		},
		{
			"Per user CALs", "User|CAL type|Product version|Expires (UTC)", `EXAMPLE\ada|RDS Per User CAL|Windows Server 2022|2027-01-21 06:49`,
			`EXAMPLE\Łukasz Żółć|RDS Per User CAL|Windows Server 2022|2027-01-21 06:49`, `□□\□□|RDS Per User CAL|Windows Server 2022|–`, "4 in all.",
		},
		{
			"Per device CALs", "Computer|Hardware ID|CAL type|Product version|Expires (UTC)", "DESK1|hw:1|RDS Per Device CAL|Windows Server 2022|2027-01-21 06:49",
			"–|000000000000000000000000000000000000|RDS Per Device CAL|Windows Server 2022|2027-01-21 06:49", "3 in all.",
		},
		{"Users for whom no CAL could be issued", `LAB\eve|RDS Per User CAL|Windows Server 2022|2026-11-22 06:49`},
	} {
		got := lines(found[i])
		for _, line := range want {
			if !slices.Contains(got, line) {
				t.Errorf("page %d lacks the line %q; it has\n%s", i+1, line, strings.Join(got, "\n"))
			}
		}
	}
}

// TestPDFOfNothing has a page, which says so.
func TestPDFOfNothing(t *testing.T) {
	found := pages(t, written(t, new(reportfile.Report), reportfile.PDF, ""))
	if len(found) != 1 {
		t.Fatalf("there are %d pages", len(found))
	}
	for _, want := range []string{"Generated|not known", "No CALs are installed, and none are issued.", "No CALs are issued beyond what is installed.", "Nobody asked for a CAL in vain."} {
		if !slices.Contains(lines(found[0]), want) {
			t.Errorf("the page lacks %q:\n%s", want, found[0])
		}
	}
}

// TestPDFIsTheSame writes a report twice: the files do not differ.
func TestPDFIsTheSame(t *testing.T) {
	if !bytes.Equal(written(t, sample(), reportfile.PDF, ""), written(t, sample(), reportfile.PDF, "")) {
		t.Error("a report was written as two different files")
	}
}

// TestPDFOfLongLists has the beginning of each list, and says how long it is.
func TestPDFOfLongLists(t *testing.T) {
	for _, n := range []int{reportfile.MaxPrinted, reportfile.MaxPrinted + 234} {
		text := strings.Join(pages(t, written(t, large(n), reportfile.PDF, "")), "")
		last := strings.Count(text, fmt.Sprintf(`EXAMPLE\user%07d`, reportfile.MaxPrinted-1)) + strings.Count(text, fmt.Sprintf("DESK%07d", reportfile.MaxPrinted-1))
		if more := strings.Count(text, fmt.Sprintf("%07d", reportfile.MaxPrinted)); last != 2 || more != 0 {
			t.Errorf("of %d users and devices, the last to be printed are there %d times, further ones %d times", n, last, more)
		}
		want := "1,000 in all."
		if n > reportfile.MaxPrinted {
			want = "These are the first 1,000 of 1,234. All of them are in the report as xlsx, csv or json."
		}
		if got := strings.Count(text, want); got != 2 {
			t.Errorf("of %d users and devices, %q is there %d times", n, want, got)
		}
	}
}

// busy returns a report with versions × two types, and so many domains, with names that are too long.
func busy(versions, domains int) *reportfile.Report {
	r := sample()
	r.Summary, r.FailedDomains = nil, nil
	for i := range versions {
		name := fmt.Sprintf("Windows Server %d", 2008+3*i)
		r.Summary = append(r.Summary,
			reportfile.SummaryEntry{name, uint32(i), "Per Device", uint32(i) * 1_000_000, uint32(i)*900_000 + 500_000, "Limited"},
			reportfile.SummaryEntry{name, uint32(i), "Per User", uint32(i), uint32(2 * i), "Not Tracking"})
	}
	for i := range domains {
		r.FailedDomains = append(r.FailedDomains, reportfile.FailedDomainEntry{fmt.Sprintf("DOMAIN%03d-%s", i, strings.Repeat("X", i*2)), uint32(i)})
	}
	r.FileName, r.LicenseServer = strings.Repeat("Report", 30), strings.Repeat("server.", 60)
	r.Company = strings.Repeat("Firma ", 50)
	return r
}

// TestPDFOfMuch spreads charts over pages, and names the ten domains that failed most.
func TestPDFOfMuch(t *testing.T) {
	for _, versions := range []int{1, 10, 40} {
		text := strings.Join(pages(t, written(t, busy(versions, 40), reportfile.PDF, "")), "")
		_, charts, _ := strings.Cut(text, "Issued against installed, by version and type")
		charts, _, _ = strings.Cut(charts, "Over-use: ")
		for i := range versions {
			if n := strings.Count(charts, fmt.Sprintf("Windows Server %d\n", 2008+3*i)); n == 0 && !strings.Contains(charts, fmt.Sprintf("Windows Server %d ", 2008+3*i)) {
				t.Errorf("of %d versions, %d is not in the chart", versions, 2008+3*i)
			}
		}
		if continued := strings.Contains(charts, "by version and type, continued"); continued != (versions == 40) {
			t.Errorf("the chart of %d versions goes on: %t", versions, continued)
		}
		_, failed, _ := strings.Cut(text, "Failed issues by domain: users who have no CAL")
		chart, list, _ := strings.Cut(failed, "Failed issues by domain")
		for i := range 40 {
			name := fmt.Sprintf("DOMAIN%03d", i)
			if strings.Contains(chart, name) != (i >= 30) || !strings.Contains(list, name) {
				t.Errorf("%s is in the chart or not in the list", name)
			}
		}
		if !strings.Contains(chart, "30 others") || !strings.Contains(chart, "435") { // the sum of 0 to 29
			t.Errorf("the chart of failed issues does not sum up the others:\n%s", chart)
		}
	}
}

// box is a word with its place in points.
type box struct {
	Text string  `xml:",chardata"`
	XMin float64 `xml:"xMin,attr"`
	YMin float64 `xml:"yMin,attr"`
	XMax float64 `xml:"xMax,attr"`
	YMax float64 `xml:"yMax,attr"`
}

// boxes returns the words of each page.
func boxes(t testing.TB, pdf []byte) [][]box {
	t.Helper()
	var document struct {
		Pages []struct {
			Words []box `xml:"word"`
		} `xml:"body>doc>page"`
	}
	decoder := xml.NewDecoder(bytes.NewReader(poppler(t, pdf, "pdftotext", "-bbox", "-enc", "UTF-8")))
	decoder.Strict, decoder.Entity = false, xml.HTMLEntity
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	var list [][]box
	for _, p := range document.Pages {
		list = append(list, p.Words)
	}
	return list
}

// TestPDFLeavesMargins: no word leaves the page's margins, and none lies on another.
func TestPDFLeavesMargins(t *testing.T) {
	const point = 72 / 25.4
	for name, r := range map[string]*reportfile.Report{"sample": sample(), "much": busy(10, 40), "more": busy(40, 1), "long": large(300), "unlimited": unlimited()} {
		words := 0
		for i, page := range boxes(t, written(t, r, reportfile.PDF, "")) {
			for n, b := range page {
				words++
				if b.XMin < 15.5*point || b.XMax > 194.5*point || b.YMin < 14*point || b.YMax > 290*point {
					t.Errorf("%s, page %d: %q leaves the margins: %+v", name, i+1, b.Text, b)
				}
				for _, other := range page[n+1:] {
					across := min(b.XMax, other.XMax) - max(b.XMin, other.XMin)
					down := min(b.YMax, other.YMax) - max(b.YMin, other.YMin)
					if across > 0.5 && down > 0.45*min(b.YMax-b.YMin, other.YMax-other.YMin) {
						t.Errorf("%s, page %d: %q lies on %q", name, i+1, b.Text, other.Text)
					}
				}
			}
		}
		if words < 50 {
			t.Errorf("%s: only %d words were found", name, words)
		}
	}
}

// unlimited returns a report with a built-in key pack, and no other.
func unlimited() *reportfile.Report {
	r := sample()
	r.Summary = []reportfile.SummaryEntry{{"Windows 2000 Server", 1, "Per Device", 4294967295, 12, "Available"}}
	return r
}

func TestPDFOfUnlimited(t *testing.T) {
	found := lines(pages(t, written(t, unlimited(), reportfile.PDF, ""))[0])
	if want := "Windows 2000 Server|Per Device|unlimited|12|unlimited|0|Available"; !slices.Contains(found, want) {
		t.Errorf("the page lacks %q: %q", want, found)
	}
}

// runs renders the first page, and returns the longest horizontal run of pixels of each color.
func runs(t *testing.T, r *reportfile.Report) map[[3]byte]int {
	t.Helper()
	pdf := written(t, r, reportfile.PDF, "")
	path := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	ppm, err := exec.Command("pdftoppm", "-r", "200", "-f", "1", "-l", "1", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var width, height, most int
	if n, err := fmt.Sscanf(string(ppm[:40]), "P6\n%d %d\n%d\n", &width, &height, &most); n != 3 || err != nil || most != 255 {
		t.Fatalf("no picture: %d %v", n, err)
	}
	pixels := ppm[len(ppm)-3*width*height:]
	longest := map[[3]byte]int{}
	for y := range height {
		var before [3]byte
		length := 0
		for x := range width {
			at := 3 * (y*width + x)
			c := [3]byte(pixels[at : at+3])
			if c != before {
				before, length = c, 0
			}
			length++
			longest[c] = max(longest[c], length)
		}
	}
	return longest
}

// TestBarsAreAsLongAsTheirValues renders charts, and measures the bars.
func TestBarsAreAsLongAsTheirValues(t *testing.T) {
	lightBlue, darkBlue, vermilion, purple, grey := [3]byte{0xA9, 0xC4, 0xE0}, [3]byte{0x1F, 0x4E, 0x79}, [3]byte{0xD5, 0x5E, 0x00}, [3]byte{0x7B, 0x4F, 0x96}, [3]byte{0x70, 0x70, 0x70}
	r := &reportfile.Report{Summary: []reportfile.SummaryEntry{{"Windows Server 2022", 7, "Per User", 1000, 400, "Available"}}}
	for i := range 12 { // two others
		r.FailedDomains = append(r.FailedDomains, reportfile.FailedDomainEntry{fmt.Sprintf("D%d", i), []uint32{80, 30, 30}[min(i, 2)]})
	}
	got := runs(t, r)
	near := func(what string, value int, want float64) {
		t.Helper()
		if float64(value) < 0.97*want-2 || float64(value) > 1.03*want+2 {
			t.Errorf("%s: %d pixels, want %.0f", what, value, want)
		}
	}
	const legend = 24 // pixels of the square in the legend
	near("issued", got[darkBlue], 0.4*float64(got[lightBlue]))
	near("over-use", got[vermilion], legend)
	near("the others", got[grey], 60.0/80*float64(got[purple]))
	if got[lightBlue] < 500 || got[purple] < 500 {
		t.Errorf("the longest bars have %d and %d pixels", got[lightBlue], got[purple])
	}
	// What is issued beyond what is installed has a color of its own, in a bar that is longer; the chart of over-use has only this.
	r.Summary[0].IssuedLicenses, r.FailedDomains = 1600, nil
	got = runs(t, r)
	near("issued up to what is installed", got[darkBlue], float64(got[lightBlue]))
	if got[vermilion] < 500 {
		t.Errorf("the bar of over-use has %d pixels", got[vermilion])
	}
	// Nothing has no bar.
	r.Summary[0].InstalledLicenses, r.Summary[0].IssuedLicenses = 0, 0
	got = runs(t, r)
	near("nothing installed", got[lightBlue], legend)
	if got[darkBlue] > 2*legend { // the title has this color, too
		t.Errorf("nothing issued: %d pixels", got[darkBlue])
	}
}

func TestScale(t *testing.T) {
	for _, test := range []struct{ most, step, end uint64 }{
		{0, 1, 1}, {1, 1, 1}, {4, 1, 4}, {5, 1, 5}, {6, 2, 6}, {7, 2, 8}, {10, 2, 10}, {11, 5, 15}, {117, 50, 150}, {999, 200, 1000}, {1000, 200, 1000},
		{4294967295, 1000000000, 5000000000},
	} {
		if step, end := reportfile.Scale(test.most); step != test.step || end != test.end {
			t.Errorf("the axis up to %d has marks every %d up to %d, want %d, %d", test.most, step, end, test.step, test.end)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		most := uint64(rapid.Uint32().Draw(t, "most"))
		if step, end := reportfile.Scale(most); step == 0 || end < most || end%step != 0 || end/step > 6 {
			t.Errorf("the axis up to %d has marks every %d up to %d", most, step, end)
		}
	})
}

// TestPDFOfAnyText writes names that may be anything.
func TestPDFOfAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := reportfile.UserEntry{User: anyText(t, "user"), CALType: anyText(t, "type"), ProductVersion: anyText(t, "version"), ExpirationDate: time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "expires"), 0)}
		r := &reportfile.Report{
			FileName: anyText(t, "file name"), LicenseServer: anyText(t, "server"), Company: anyText(t, "company"), Users: listOf(u),
			Summary:       []reportfile.SummaryEntry{{anyText(t, "version"), 7, anyText(t, "type"), rapid.Uint32().Draw(t, "installed"), rapid.Uint32().Draw(t, "issued"), anyText(t, "availability")}},
			FailedDomains: []reportfile.FailedDomainEntry{{anyText(t, "domain"), rapid.Uint32().Draw(t, "failed")}},
		}
		if pdf := written(t, r, reportfile.PDF, ""); !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Errorf("no PDF: %.20q", pdf)
		}
	})
}
