package reportfile

import (
	"iter"
	"slices"
	"time"
)

// table is one list of a report as rows and columns.
type table struct {
	name    string // one of Tables
	list    string // as the methods of Win32_TSLicenseReport call the array
	sheet   string // its name in a workbook
	columns []column
	// rows yields the cells of each row: strings, uint32 and time.Time, whose zero stands for NULL. A row is valid until the next.
	rows iter.Seq2[[]any, error]
}

// column has the name of a property.
type column struct {
	name  string
	width float64 // in a workbook, in characters
}

// Tables are the names of a report's tables, in the order in which they are written.
var Tables = [...]string{"summary", "failed-domains", "users", "devices", "failed-users"}

// What the tables of CALs have in common.
var (
	calColumns = []column{{"CALType", 22}, {"ProductVersion", 24}, {"ProductVersionID", 17}}
	userColumn = column{"User", 36}
)

// tables returns the tables of a report, in the order of Tables.
func (r *Report) tables() [len(Tables)]table {
	return [...]table{
		{
			Tables[0], "ReportSummaryEntries", "Summary",
			[]column{{"ProductVersion", 24}, {"ProductVersionID", 17}, {"TSCALType", 14}, {"InstalledLicenses", 17}, {"IssuedLicenses", 17}, {"TSCALAvailability", 18}},
			rowsOf(values(r.Summary), func(e SummaryEntry, row []any) []any {
				return append(row, e.ProductVersion, e.ProductVersionID, e.TSCALType, e.InstalledLicenses, e.IssuedLicenses, e.TSCALAvailability)
			}),
		},
		{
			Tables[1], "ReportFailedPerUserSummaryEntries", "Failed domains",
			[]column{{"DomainName", 36}, {"FailedIssuanceCount", 20}},
			rowsOf(values(r.FailedDomains), func(e FailedDomainEntry, row []any) []any {
				return append(row, e.DomainName, e.FailedIssuanceCount)
			}),
		},
		{
			Tables[2], "ReportEntries", "Users",
			slices.Concat([]column{userColumn, {"ExpirationDate", 20}}, calColumns),
			rowsOf(r.Users, func(e UserEntry, row []any) []any {
				return append(row, e.User, e.ExpirationDate, e.CALType, e.ProductVersion, e.ProductVersionID)
			}),
		},
		{
			Tables[3], "ReportPerDeviceEntries", "Devices",
			slices.Concat([]column{{"sIssuedToComputer", 28}, {"sHardwareId", 40}, {"ExpirationDate", 20}}, calColumns),
			rowsOf(r.Devices, func(e DeviceEntry, row []any) []any {
				return append(row, e.IssuedToComputer, e.HardwareID, e.ExpirationDate, e.CALType, e.ProductVersion, e.ProductVersionID)
			}),
		},
		{
			Tables[4], "ReportFailedPerUserEntries", "Failed users",
			slices.Concat([]column{userColumn, {"TriedIssuanceOn", 20}}, calColumns),
			rowsOf(r.FailedUsers, func(e FailedUserEntry, row []any) []any {
				return append(row, e.User, e.TriedIssuanceOn, e.CALType, e.ProductVersion, e.ProductVersionID)
			}),
		},
	}
}

// values yields the elements of a list that is held as a whole.
func values[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// rowsOf yields entries as rows. An error ends them.
func rowsOf[T any](entries iter.Seq2[T, error], cells func(e T, row []any) []any) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		if entries == nil {
			return
		}
		var row []any
		for e, err := range entries {
			if err != nil {
				yield(nil, err)
				return
			}
			if row = cells(e, row[:0]); !yield(row, nil) {
				return
			}
		}
	}
}

// timestamp writes a time as ISO 8601 has it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
