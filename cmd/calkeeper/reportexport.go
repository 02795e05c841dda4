package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"calkeeper/internal/reportfile"
	"calkeeper/internal/wsman/client"
)

// exportArguments say what to write a report to.
type exportArguments struct {
	File   string            `placeholder:"FILE" help:"Write the report to this file; - is the standard output."`
	Format reportfile.Format `enum:",csv,xlsx,pdf,json" default:"" placeholder:"FORMAT" help:"csv, xlsx, pdf or json. Default: what the name of the file ends with."`
	Table  string            `enum:",summary,failed-domains,users,devices,failed-users" default:"" placeholder:"TABLE" help:"With csv, only this table: summary, failed-domains, users, devices or failed-users. Default: all, each in a file of its own."`
	Force  bool              `help:"Replace a file that is there."`
}

// exportedJSON tells which report is in which files.
type exportedJSON struct {
	FileName string
	Files    []string `json:",omitempty"`
}

type reportExportCmd struct {
	connection
	reportName
	exportArguments
}

// Help is shown by --help.
func (reportExportCmd) Help() string {
	return `Without --file, the file has the name of the report, and is in the working directory. Only the file's owner may read it. The pdf has charts and the beginning of each list; the other formats have everything. A csv has one table: without --table, usage.csv becomes usage-summary.csv, usage-users.csv and so on.

In a csv, an apostrophe stands before a name that a spreadsheet would take for a formula, and before one that begins with an apostrophe.

Examples:
  calkeeper report export LicenseReport-20261122T064915.697520Z --file usage.pdf
  calkeeper report export LicenseReport-20261122T064915.697520Z --format xlsx
  calkeeper report export LicenseReport-20261122T064915.697520Z --format csv --table users --file -`
}

// Run writes the report.
func (c *reportExportCmd) Run(ctx context.Context, t *terminal) error {
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	e, err := c.begin(t, c.Report)
	if err != nil {
		return err
	}
	defer e.close()
	paths, err := e.export(ctx, t, wsman, c.Server, c.Report)
	return errors.Join(e.tell(t, c.Report, paths, func(w io.Writer) { fmt.Fprintln(w, strings.Join(paths, "\n")) }), err)
}

// tell tells which files are complete, unless there is the report itself.
func (e *reportExport) tell(t *terminal, report string, paths []string, human func(w io.Writer)) error {
	if len(paths) == 0 {
		return nil
	}
	return t.print(exportedJSON{report, paths}, human)
}

// reportExport is a report that is going to be written.
type reportExport struct {
	format reportfile.Format
	table  string
	files  *reportfile.Files // nil for the standard output
}

// begin checks the arguments, and begins the files. The report's name counts if no file is given.
func (a *exportArguments) begin(t *terminal, report string) (*reportExport, error) {
	e := &reportExport{format: a.Format, table: a.Table}
	if e.format == "" {
		e.format = reportfile.FormatOf(a.File)
	}
	path := a.File
	switch {
	case e.format == "":
		return nil, usagef("give --format, or a --file whose name ends with .csv, .xlsx, .pdf or .json")
	case a.Table != "" && e.format != reportfile.CSV:
		return nil, usagef("--table goes with --format csv: a report as %s has all tables", e.format)
	case path == "-" && e.format == reportfile.CSV && a.Table == "":
		return nil, usagef("give --table: a csv on the standard output has one table")
	case path == "-" && e.format != reportfile.CSV && e.format != reportfile.JSON && term.IsTerminal(int(t.out.Fd())):
		return nil, usagef("a report as %s is not for a terminal: give --file", e.format)
	case path == "-":
		return e, nil
	case path == "" && (report != filepath.Base(report) || strings.ContainsAny(report, `\/:`) || !filepath.IsLocal(report)):
		return nil, usagef("the report's name %q is no name of a file here: give --file", report)
	case path == "":
		path = report + "." + string(e.format)
	}
	files, err := reportfile.Create(reportfile.Target{Path: path, Format: e.format, Table: a.Table, Replace: a.Force})
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: give another --file, or --force to replace it", err)
	}
	if err != nil {
		return nil, usageError{err}
	}
	e.files = files
	return e, nil
}

// close drops what is not complete; what could not be removed is a hidden file that hurts nobody.
func (e *reportExport) close() {
	if e.files != nil {
		_ = e.files.Close()
	}
}

// export reads the report and writes it, and returns the paths of the files that are complete.
func (e *reportExport) export(ctx context.Context, t *terminal, wsman *client.Client, server, name string) (paths []string, err error) {
	r, err := readReport(ctx, wsman, server, name)
	if err != nil {
		return nil, err
	}
	done := watch(t, r)
	if e.files == nil {
		err = r.Write(t.out, e.format, e.table)
	} else {
		paths, err = e.files.Write(r)
	}
	if err == nil {
		done()
	}
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted: the report was not written, or not to its end")
	}
	return paths, err
}

// watch shows on a terminal how far the lists of a report have been read, until done is called. How long they are follows from what
// the report sums up: nearly, as nothing says it exactly.
func watch(t *terminal, r *reportfile.Report) (done func()) {
	total := uint64(1)
	for _, e := range r.Summary {
		total += uint64(e.IssuedLicenses)
	}
	for _, e := range r.FailedDomains {
		total += uint64(e.FailedIssuanceCount)
	}
	most := int(min(total, math.MaxInt32))
	show := t.progressBar("reading", most)
	if show == nil {
		return func() {}
	}
	read := 0
	step := func() {
		if read++; read%100 == 0 {
			show(min(read, most-1), most)
		}
	}
	r.Users, r.Devices, r.FailedUsers = each(r.Users, step), each(r.Devices, step), each(r.FailedUsers, step)
	return func() { show(most, most) }
}

// each calls step for each element of a sequence.
func each[T any](list iter.Seq2[T, error], step func()) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for e, err := range list {
			if step(); !yield(e, err) {
				return
			}
		}
	}
}
