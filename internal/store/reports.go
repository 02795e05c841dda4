package store

import "calkeeper/internal/licensing"

// ReportReader reads the heads of the reports. What a report lists is kept elsewhere: it would only be in the way here.
type ReportReader interface {
	// Report returns the report of that name, which is compared byte by byte.
	Report(fileName string) (licensing.Report, error)
	// Reports returns all of them by file name.
	Reports() ([]licensing.Report, error)
}

// ReportWriter writes them. Generated may not be zero, which is a Fault of kind Invalid.
type ReportWriter interface {
	// InsertReport stores the head of a report; a name that is there is a Fault of kind AlreadyExists.
	InsertReport(licensing.Report) error
	DeleteReport(fileName string) error
}
