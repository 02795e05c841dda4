package reportfile

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// What the PDF has of lists that may be long.
const (
	maxPrinted  = 1000 // entries of a list
	shownFailed = 10   // domains in the chart
)

// writePDF writes a page about what is installed, issued and over-used, with charts, and then the beginning of each list.
func (r *Report) writePDF(w io.Writer) error {
	p, err := newPaper("calkeeper · " + r.LicenseServer + " · report " + r.FileName)
	if err != nil {
		return err
	}
	p.SetTitle("License usage report of "+r.LicenseServer, true)
	p.SetCreator("calkeeper", true)
	p.SetLang("en")
	p.SetCreationDate(r.Generated)
	p.SetModificationDate(r.Generated)
	p.newPage()
	p.head(r)
	p.summary(r.Summary)
	p.issued(r.Summary)
	p.overUse(r.Summary)
	p.failed(r.FailedDomains)
	if err := p.lists(r); err != nil {
		return err
	}
	return p.Output(w)
}

// head writes the title, and what the report is about.
func (p *paper) head(r *Report) {
	p.write(left, p.y+7, width, toLeft, titleStyle, "License usage report")
	p.y += 12
	generated := "not known"
	if !r.Generated.IsZero() {
		generated = printedTime(r.Generated) + " UTC"
	}
	lines := [][2]string{{"License server", r.LicenseServer}, {"Company", r.Company}, {"Generated", generated}, {"Report", r.FileName}}
	for _, line := range lines {
		if line[1] == "" {
			continue
		}
		p.write(left, p.y+3.5, 28, toLeft, labelStyle, line[0])
		p.write(left+28, p.y+3.5, width-28, toLeft, textStyle, line[1])
		p.y += 5
	}
	p.y += 4
}

func printedTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// printedCount writes a number of CALs.
func printedCount(n uint32) string {
	if n == math.MaxUint32 {
		return "unlimited"
	}
	return grouped(uint64(n))
}

func (p *paper) summary(entries []SummaryEntry) {
	p.heading("Installed and issued CALs")
	if len(entries) == 0 {
		p.note("No CALs are installed, and none are issued.")
		p.y += 2
		return
	}
	l := list{paper: p, columns: []listColumn{
		{"Product version", 58, toLeft}, {"Type", 20, toLeft}, {"Installed", 20, toRight}, {"Issued", 20, toRight}, {"Free", 20, toRight},
		{"Over-used", 20, toRight}, {"Availability", 20, toRight},
	}}
	l.head()
	for _, e := range entries {
		free := e.InstalledLicenses
		if free != math.MaxUint32 {
			free -= min(free, e.IssuedLicenses)
		}
		l.alarm = -1
		if e.OverUsed() > 0 {
			l.alarm = 5
		}
		l.row(printedVersion(e.ProductVersion), e.TSCALType, printedCount(e.InstalledLicenses), printedCount(e.IssuedLicenses), printedCount(free),
			printedCount(e.OverUsed()), e.TSCALAvailability)
	}
	p.y += 6
}

// issued draws what is issued beside what is installed.
func (p *paper) issued(entries []SummaryEntry) {
	c := chart{
		title:  "Issued against installed, by version and type",
		legend: []key{{lightBlue, "installed"}, {darkBlue, "issued"}, {vermilion, "issued beyond what is installed"}},
	}
	for _, e := range entries {
		c.groups = append(c.groups, group{printedVersion(e.ProductVersion), e.TSCALType, []bar{
			{color: lightBlue, value: uint64(e.InstalledLicenses), limit: math.MaxUint64, unlimited: e.InstalledLicenses == math.MaxUint32},
			{color: darkBlue, value: uint64(e.IssuedLicenses), limit: uint64(e.InstalledLicenses)},
		}})
	}
	p.draw(c)
}

// overUse draws by how much more is issued than installed, where it is.
func (p *paper) overUse(entries []SummaryEntry) {
	c := chart{title: "Over-use: CALs issued beyond what is installed"}
	for _, e := range entries {
		if n := e.OverUsed(); n > 0 {
			c.groups = append(c.groups, group{printedVersion(e.ProductVersion), e.TSCALType, []bar{{color: vermilion, value: uint64(n), limit: math.MaxUint64}}})
		}
	}
	p.drawOr(c, "No CALs are issued beyond what is installed.")
}

// failed draws the domains whose users most often got no CAL, and all others together.
func (p *paper) failed(entries []FailedDomainEntry) {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b FailedDomainEntry) int { return cmp.Compare(b.FailedIssuanceCount, a.FailedIssuanceCount) })
	c := chart{title: "Failed issues by domain: users who have no CAL"}
	others := uint64(0)
	for i, e := range entries {
		if i >= shownFailed {
			others += uint64(e.FailedIssuanceCount)
			continue
		}
		c.groups = append(c.groups, group{printedDomain(e.DomainName), "", []bar{{color: purple, value: uint64(e.FailedIssuanceCount), limit: math.MaxUint64}}})
	}
	if n := len(entries) - shownFailed; n > 0 {
		c.groups = append(c.groups, group{fmt.Sprintf("%s others", grouped(uint64(n))), "", []bar{{color: grey, value: others, limit: math.MaxUint64}}})
	}
	p.drawOr(c, "Nobody asked for a CAL in vain.")
}

// printedVersion shortens the one long name of a version: Windows Server 2008 or Windows Server 2008 R2.
func printedVersion(name string) string {
	return strings.Replace(name, " or Windows Server ", " or ", 1)
}

// printedDomain names a domain; the one of local users is a dot.
func printedDomain(name string) string {
	if name == "." {
		return ". (local users)"
	}
	return name
}

// drawOr draws a chart, or writes a note in its place if it has no bars.
func (p *paper) drawOr(c chart, note string) {
	if len(c.groups) > 0 {
		p.draw(c)
		return
	}
	p.room(18)
	p.heading(c.title)
	p.note(note)
	p.y += 2
}

// lists writes the beginning of each list of a report, in the order in which the tables are written.
func (p *paper) lists(r *Report) error {
	t := r.tables()
	user, version := listColumn{"User", 62, toLeft}, listColumn{"Product version", 48, toLeft}
	kind, expires := listColumn{"CAL type", 40, toLeft}, listColumn{"Expires (UTC)", 28, toLeft}
	for _, l := range []struct {
		table   table
		title   string
		columns []listColumn
		cells   []int // of a row of the table, by column
	}{
		{t[1], "Failed issues by domain", []listColumn{{"Domain", 130, toLeft}, {"Users without a CAL", 48, toRight}}, []int{0, 1}},
		{t[2], "Per user CALs", []listColumn{user, kind, version, expires}, []int{0, 2, 3, 1}},
		{
			t[3], "Per device CALs",
			[]listColumn{{"Computer", 27, toLeft}, {"Hardware ID", 60.5, toLeft}, {"CAL type", 31, toLeft}, {"Product version", 33, toLeft}, {"Expires (UTC)", 26.5, toLeft}},
			[]int{0, 1, 3, 4, 2},
		},
		{t[4], "Users for whom no CAL could be issued", []listColumn{user, kind, version, {"Tried (UTC)", 28, toLeft}}, []int{0, 2, 3, 1}},
	} {
		if l.table.name == Tables[1] && len(r.FailedDomains) <= shownFailed {
			continue // the chart has them all
		}
		if err := p.list(l.title, l.columns, l.cells, l.table.rows); err != nil {
			return err
		}
	}
	return nil
}

// list writes a list on pages of its own. All of it is read, to say how long it is.
func (p *paper) list(title string, columns []listColumn, cells []int, rows iter.Seq2[[]any, error]) error {
	l := list{paper: p, columns: columns, alarm: -1}
	texts := make([]string, len(columns))
	count := uint64(0)
	for row, err := range rows {
		if err != nil {
			return err
		}
		if count++; count > maxPrinted {
			continue
		}
		if count == 1 {
			p.newPage()
			p.heading(title)
			l.head()
		}
		for i, cell := range cells {
			texts[i] = printedCell(row[cell])
		}
		l.row(texts...)
	}
	if count > 0 {
		p.y += 2
		p.room(7)
	}
	switch {
	case count > maxPrinted:
		p.note(fmt.Sprintf("These are the first %s of %s. All of them are in the report as xlsx, csv or json.", grouped(maxPrinted), grouped(count)))
	case count > 1:
		p.note(grouped(count) + " in all.")
	}
	return p.Error()
}

func printedCell(cell any) string {
	switch v := cell.(type) {
	case time.Time:
		if !v.IsZero() {
			return printedTime(v)
		}
	case uint32:
		return grouped(uint64(v))
	case string:
		if v != "" {
			return v
		}
	}
	return "–"
}

// list is a table in the making.
type list struct {
	*paper
	columns []listColumn
	alarm   int // the cell of the next row that is a warning, or -1
}

// listColumn is a column of a list; its width is in millimetres.
type listColumn struct {
	title string
	width float64
	align align
}

const rowHeight = 5.2

// head writes the titles of the columns.
func (l *list) head() {
	l.fill(left, l.y, width, rowHeight+0.6, shade)
	titles := make([]string, len(l.columns))
	for i, c := range l.columns {
		titles[i] = c.title
	}
	l.cells(titles, func(int) style { return headStyle })
	l.y += 0.6
}

// row writes a row, on a new page if this one is full.
func (l *list) row(cells ...string) {
	if l.y+rowHeight > bottom {
		l.newPage()
		l.head()
	}
	l.cells(cells, func(i int) style {
		if i == l.alarm {
			return alarmStyle
		}
		return cellStyle
	})
	l.rule(l.y, pale)
}

func (l *list) cells(texts []string, styleOf func(int) style) {
	const inset = 1.2
	x := left
	for i, c := range l.columns {
		l.write(x+inset, l.y+3.7, c.width-2*inset, c.align, styleOf(i), texts[i])
		x += c.width
	}
	l.y += rowHeight
}
