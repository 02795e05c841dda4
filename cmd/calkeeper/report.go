package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"calkeeper/internal/reportfile"
)

type reportCmd struct {
	Generate reportGenerateCmd `cmd:"" help:"Make a report of what is installed, issued and refused now."`
	List     reportListCmd     `cmd:"" help:"List the reports that the license server keeps."`
	Show     reportShowCmd     `cmd:"" help:"Show what a report sums up."`
	Export   reportExportCmd   `cmd:"" help:"Write a report to a file: csv, xlsx, pdf or json."`
	Delete   reportDeleteCmd   `cmd:"" help:"Delete a report."`
}

// Help is shown by --help.
func (reportCmd) Help() string {
	return `A report lists who has which CAL, and for whom none could be issued, at the time at which it was made. It does not change afterwards.

Examples:
  calkeeper report generate --file usage.pdf
  calkeeper report list`
}

// reportName names a report.
type reportName struct {
	Report string `arg:"" help:"FileName of the report, as calkeeper report list shows it."`
}

// reportJSON has the names of Win32_TSLicenseReport.
type reportJSON struct {
	FileName           string
	GenerationDateTime time.Time `json:",omitzero"`
	Version            uint32
}

type reportGenerateCmd struct {
	connection
	exportArguments
}

// Help is shown by --help.
func (reportGenerateCmd) Help() string {
	return `Prints the FileName of the report, by which the license server keeps it. With --file the report is written there, too.

Examples:
  calkeeper report generate
  calkeeper report generate --file usage.xlsx`
}

// Run makes the report.
func (c *reportGenerateCmd) Run(ctx context.Context, t *terminal) error {
	if c.File == "" && c.exportArguments != (exportArguments{}) {
		return usagef("--format, --table and --force go with --file")
	}
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	if c.File == "" {
		name, err := generateReport(ctx, wsman)
		if err != nil {
			return err
		}
		return t.print(exportedJSON{FileName: name}, func(w io.Writer) { fmt.Fprintln(w, name) })
	}
	e, err := c.begin(t, "")
	if err != nil {
		return err
	}
	defer e.close()
	t.progress("Making the report…")
	name, err := generateReport(ctx, wsman)
	if err != nil {
		return err
	}
	paths, err := e.export(ctx, t, wsman, c.Server, name)
	if err != nil {
		err = fmt.Errorf("the report %s was made, but not written: %w", name, err)
	}
	return errors.Join(e.tell(t, name, paths, func(w io.Writer) {
		fmt.Fprintf(w, "report:\t%s\nwritten:\t%s\n", name, strings.Join(paths, "\n\t"))
	}), err)
}

type reportListCmd struct{ connection }

// Help is shown by --help.
func (reportListCmd) Help() string {
	return `Example:
  calkeeper report list --server https://ls.example.org:5986/wsman`
}

// Run lists the reports.
func (c *reportListCmd) Run(ctx context.Context, t *terminal) error {
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	list := []reportJSON{}
	for report, err := range wsman.Enumerate(ctx, reportClass, "") {
		if err != nil {
			return err
		}
		list = append(list, reportOf(report))
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "REPORT\tGENERATED")
		for _, r := range list {
			fmt.Fprintf(w, "%s\t%s\n", r.FileName, at(r.GenerationDateTime))
		}
	})
}

type reportShowCmd struct {
	connection
	reportName
}

// Help is shown by --help.
func (reportShowCmd) Help() string {
	return `Example:
  calkeeper report show LicenseReport-20261122T064915.697520Z`
}

// Run shows the report.
func (c *reportShowCmd) Run(ctx context.Context, t *terminal) error {
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	r, err := readReport(ctx, wsman, c.Server, c.Report)
	if err != nil {
		return err
	}
	return t.print(struct {
		reportJSON
		ReportSummaryEntries              []reportfile.SummaryEntry
		ReportFailedPerUserSummaryEntries []reportfile.FailedDomainEntry
	}{reportJSON{r.FileName, r.Generated, r.Version}, r.Summary, r.FailedDomains}, func(w io.Writer) { showReport(w, r) })
}

// showReport shows what a report sums up.
func showReport(w io.Writer, r *reportfile.Report) {
	fmt.Fprintf(w, "report:\t%s\ngenerated:\t%s\n", r.FileName, at(r.Generated))
	if len(r.Summary) > 0 {
		fmt.Fprintln(w, "\nVERSION\tTYPE\tINSTALLED\tISSUED\tOVER-USED\tAVAILABILITY")
	}
	for _, e := range r.Summary {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", e.ProductVersion, e.TSCALType, quantity(e.InstalledLicenses), e.IssuedLicenses, e.OverUsed(), e.TSCALAvailability)
	}
	if len(r.FailedDomains) > 0 {
		fmt.Fprintln(w, "\nDOMAIN\tUSERS WITHOUT A CAL")
	}
	for _, e := range r.FailedDomains {
		fmt.Fprintf(w, "%s\t%d\n", e.DomainName, e.FailedIssuanceCount)
	}
}

type reportDeleteCmd struct {
	connection
	reportName
}

// Help is shown by --help.
func (reportDeleteCmd) Help() string {
	return `Example:
  calkeeper report delete LicenseReport-20261122T064915.697520Z`
}

// Run deletes the report.
func (c *reportDeleteCmd) Run(ctx context.Context, t *terminal) error {
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	if _, err := invoke(ctx, wsman, reportClass, "DeleteReport", reportKey(c.Report)); err != nil {
		return ofReport(c.Report, err)
	}
	return t.print(struct {
		Deleted string `json:"deleted"`
	}{c.Report}, func(w io.Writer) { fmt.Fprintf(w, "%s is deleted\n", c.Report) })
}
