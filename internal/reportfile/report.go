// Package reportfile writes license usage reports as files that people open: CSV, JSON, XLSX and PDF. Lists of any length are written
// as they come, and never held as a whole.
//
// The names of columns and fields are those of the classes of TlsWmiProv, except in the PDF, which is for reading. All times are UTC,
// to the second.
//
// The package must not know where a report comes from, nor how CALs are issued.
package reportfile

import (
	"fmt"
	"io"
	"iter"
	"time"
)

// Report is a license usage report: its head, and its five lists. The long ones are read once by whatever is written. A nil list is
// empty.
type Report struct {
	FileName      string    // the key of Win32_TSLicenseReport, which names no file here
	Generated     time.Time // zero if not known
	Version       uint32
	LicenseServer string // its name
	Company       string // whose it is; empty if not known

	Summary       []SummaryEntry
	FailedDomains []FailedDomainEntry
	Users         iter.Seq2[UserEntry, error]
	Devices       iter.Seq2[DeviceEntry, error]
	FailedUsers   iter.Seq2[FailedUserEntry, error]
}

// SummaryEntry counts the CALs of one version and type: Win32_TSLicenseReportSummaryEntry.
type SummaryEntry struct {
	ProductVersion    string
	ProductVersionID  uint32
	TSCALType         string // Per Device, Per User or Unknown
	InstalledLicenses uint32 // 4294967295: unlimited
	IssuedLicenses    uint32
	TSCALAvailability string // Available, Limited, None or Not Tracking
}

// OverUsed returns how many CALs are issued beyond those that are installed.
func (e SummaryEntry) OverUsed() uint32 {
	return e.IssuedLicenses - min(e.IssuedLicenses, e.InstalledLicenses)
}

// UserEntry is a per user CAL: Win32_TSLicenseReportEntry.
type UserEntry struct {
	User             string    // DOMAIN\user
	ExpirationDate   time.Time // zero if not known
	CALType          string
	ProductVersion   string
	ProductVersionID uint32
}

// DeviceEntry is a per device CAL: Win32_TSLicenseReportPerDeviceEntry.
type DeviceEntry struct {
	IssuedToComputer string `json:"sIssuedToComputer"` // empty if not known
	HardwareID       string `json:"sHardwareId"`
	ExpirationDate   time.Time
	CALType          string
	ProductVersion   string
	ProductVersionID uint32
}

// FailedUserEntry is a user for whom no CAL could be issued: Win32_TSLicenseReportFailedPerUserEntry.
type FailedUserEntry struct {
	User             string    // DOMAIN\user
	TriedIssuanceOn  time.Time // zero if not known
	CALType          string
	ProductVersion   string
	ProductVersionID uint32
}

// FailedDomainEntry counts such users of one domain: Win32_TSLicenseReportFailedPerUserSummaryEntry.
type FailedDomainEntry struct {
	DomainName          string
	FailedIssuanceCount uint32
}

// Format is what a report is written as.
type Format string

// The formats, which are also what names of such files end with.
const (
	CSV  Format = "csv"
	XLSX Format = "xlsx"
	PDF  Format = "pdf"
	JSON Format = "json"
)

// Write writes the report, as one of the formats, to w. A CSV holds one table, which must be named: one of [Tables]. In the other
// formats all of them are, and table is empty.
func (r *Report) Write(w io.Writer, f Format, table string) error {
	switch f {
	case CSV:
		return r.writeCSV(w, table)
	case JSON:
		return r.writeJSON(w)
	case XLSX:
		return r.writeXLSX(w, maxSheetRows)
	case PDF:
		return r.writePDF(w)
	}
	return fmt.Errorf("%q is no format of reports: csv, xlsx, pdf and json are", f)
}
