package simulation

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"calkeeper/internal/licensing"
)

// blocks are the levels of a sparkline: Unicode's block elements, and a space for nothing.
var blocks = [...]rune{' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'}

// defaultWidth is that of a terminal.
const defaultWidth = 80

// curve is what a sparkline shows.
type curve struct {
	name string
	of   func(*Count) uint64
}

var curves = [...]curve{
	{"issued", func(c *Count) uint64 { return c.Issued }},
	{"available", func(c *Count) uint64 { return c.Available }},
	{"over-used", func(c *Count) uint64 { return c.OverUsed }},
	{"temporary", func(c *Count) uint64 { return c.Temporary }},
	{"denied", func(c *Count) uint64 { return uint64(c.Denied) }},
}

// WriteSummary writes for each type of CAL what became of it, with sparklines, in lines of at most width characters; 0 means 80,
// and fewer than 40 are taken for 40.
func (r Result) WriteSummary(w io.Writer, width int) error {
	if width == 0 {
		width = defaultWidth
	}
	width = max(width, 40)
	var out bytes.Buffer
	for _, t := range r.types() {
		r.summarize(&out, t, width)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// types returns the types of CALs that the farm uses.
func (r Result) types() []licensing.ProductType {
	var types []licensing.ProductType
	if r.Farm.Devices > 0 {
		types = append(types, licensing.PerDevice)
	}
	if r.Farm.Users > 0 {
		types = append(types, licensing.PerUser)
	}
	return types
}

// count returns the day's count of a type of CAL.
func (d *Day) count(t licensing.ProductType) *Count {
	if t == licensing.PerUser {
		return &d.PerUser
	}
	return &d.PerDevice
}

// line is a sparkline with what stands before and after it.
type line struct {
	name, note string
	values     []uint64
}

func (r Result) summarize(out *bytes.Buffer, t licensing.ProductType, width int) {
	if len(r.Days) == 0 {
		fmt.Fprintf(out, "%s: no day has passed\n", t)
		return
	}
	members, installed := "devices", r.Farm.DeviceCALs
	if t == licensing.PerUser {
		members, installed = "users", r.Farm.UserCALs
	}
	first, last := r.Days[0].count(t), r.Days[len(r.Days)-1].count(t)
	fmt.Fprintf(out, "%s: %d CALs; %d %s at first, %d in the end\n", t, installed, first.Members, members, last.Members)
	var lines []line
	longest := 0
	for _, c := range curves {
		l := line{name: c.name}
		least, most, total := ^uint64(0), uint64(0), uint64(0)
		for i := range r.Days {
			v := c.of(r.Days[i].count(t))
			l.values = append(l.values, v)
			least, most, total = min(least, v), max(most, v), total+v
		}
		if most == 0 && c.name != "issued" {
			continue
		}
		l.note = fmt.Sprintf("%d to %d", least, most)
		if c.name == "denied" {
			l.note = fmt.Sprintf("%d in all", total)
		}
		longest = max(longest, len(l.note))
		lines = append(lines, l)
	}
	for _, l := range lines {
		fmt.Fprintf(out, "  %-9s  %s  %*s\n", l.name, sparkline(l.values, width-15-longest), longest, l.note)
	}
	r.demand(out, t)
}

// demand says how many CALs would have done.
func (r Result) demand(out *bytes.Buffer, t licensing.ProductType) {
	busiest, logons, denied := 0, 0, 0
	used := func(c *Count) uint64 { return c.Issued + c.OverUsed }
	for i := range r.Days {
		c := r.Days[i].count(t)
		if used(c) > used(r.Days[busiest].count(t)) {
			busiest = i
		}
		logons, denied = logons+c.Logons, denied+c.Denied
	}
	day := &r.Days[busiest]
	fmt.Fprintf(out, "  most in use: %d, on %s; denied: %d of %d logons\n", used(day.count(t)), day.Date.Format(time.DateOnly), denied, logons)
}

// sparkline draws values in at most width characters. If there are more values than that, a character stands for the greatest of
// several, so that no peak is lost. All sparklines begin at 0.
func sparkline(values []uint64, width int) string {
	width = min(max(width, 1), len(values))
	var most uint64
	for _, v := range values {
		most = max(most, v)
	}
	var s strings.Builder
	for i := range width {
		var v uint64
		for _, other := range values[i*len(values)/width : (i+1)*len(values)/width] {
			v = max(v, other)
		}
		level := 0
		if v > 0 { // whatever there is shows
			level = 1 + int(float64(v)/float64(most)*float64(len(blocks)-2))
		}
		s.WriteRune(blocks[level])
	}
	return s.String()
}

// WriteTable writes a line for each day and type of CAL, and then the summary, which a terminal still shows in the end.
func (r Result) WriteTable(w io.Writer, width int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(columns[:], "\t")))
	for row := range r.rows() {
		fmt.Fprintln(t, strings.Join(row[:], "\t"))
	}
	fmt.Fprintln(t)
	if err := t.Flush(); err != nil {
		return err
	}
	return r.WriteSummary(w, width)
}

// WriteCSV writes a line for each day and type of CAL after a header, as RFC 4180 describes. No cell begins with a character
// that makes a spreadsheet take it for a formula (= + - @): all are words, dates and numbers from 0.
func (r Result) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(columns[:]); err != nil {
		return err
	}
	for row := range r.rows() {
		if err := c.Write(row[:]); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

var columns = [...]string{"date", "type", "members", "logons", "denied", "installed", "issued", "available", "over-used", "temporary"}

// rows yields what the days hold, as columns says.
func (r Result) rows() func(yield func([len(columns)]string) bool) {
	return func(yield func([len(columns)]string) bool) {
		number := func(n uint64) string { return strconv.FormatUint(n, 10) }
		for i := range r.Days {
			day := &r.Days[i]
			for _, t := range r.types() {
				c := day.count(t)
				if !yield([...]string{
					day.Date.Format(time.DateOnly), t.ModeName(), strconv.Itoa(c.Members), strconv.Itoa(c.Logons), strconv.Itoa(c.Denied),
					number(c.Installed), number(c.Issued), number(c.Available), number(c.OverUsed), number(c.Temporary),
				}) {
					return
				}
			}
		}
	}
}
