package sqlite

import (
	"fmt"

	"calkeeper/internal/licensing"
)

const (
	reportColumns = `file_name, generated, installed, issued`

	selectReport  = `SELECT ` + reportColumns + ` FROM report WHERE file_name = ?`
	selectReports = `SELECT ` + reportColumns + ` FROM report ORDER BY file_name`

	insertReport = `INSERT INTO report (` + reportColumns + `) VALUES (?, ?, ?, ?) ON CONFLICT (file_name) DO NOTHING`
	deleteReport = `DELETE FROM report WHERE file_name = ?`
)

// Report returns the head of one report, or a Fault of kind NotFound.
func (r *reader) Report(fileName string) (licensing.Report, error) {
	all, err := r.reports(selectReport, func(p *parameters) { p.text("FileName", fileName) })
	if err == nil && len(all) == 0 {
		err = noReport(fileName)
	}
	if err != nil {
		return licensing.Report{}, err
	}
	return all[0], nil
}

func noReport(fileName string) error {
	return licensing.Faultf(licensing.NotFound, "there is no report %.64q", fileName)
}

// Reports returns the heads of all reports by file name.
func (r *reader) Reports() ([]licensing.Report, error) { return r.reports(selectReports, nil) }

func (r *reader) reports(query string, bind func(*parameters)) (all []licensing.Report, err error) {
	err = r.rows(query, bind, func(c *columns) {
		all = append(all, licensing.Report{FileName: c.text(), Generated: c.instant(), Installed: c.uint32(), Issued: c.uint32()})
	})
	if err != nil {
		return nil, fmt.Errorf("read the reports: %w", err)
	}
	return all, nil
}

// InsertReport stores the head of a report; a name that is there is a Fault of kind AlreadyExists.
func (t *tx) InsertReport(r licensing.Report) error {
	n, err := t.change("insert a report", insertReport, func(p *parameters) {
		p.text("FileName", r.FileName)
		p.required("Generated", r.Generated)
		p.integer(int64(r.Installed))
		p.integer(int64(r.Issued))
	})
	if err == nil && n == 0 {
		return licensing.Faultf(licensing.AlreadyExists, "there is a report %.64q already", r.FileName)
	}
	return err
}

// DeleteReport removes the head of a report; one that is not there is a Fault of kind NotFound.
func (t *tx) DeleteReport(fileName string) error {
	n, err := t.change("delete a report", deleteReport, func(p *parameters) { p.text("FileName", fileName) })
	if err == nil && n == 0 {
		return noReport(fileName)
	}
	return err
}
