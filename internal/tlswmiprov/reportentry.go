package tlswmiprov

import (
	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
	"calkeeper/internal/reporting"
)

// ReportEntry is Win32_TSLicenseReportEntry: a per user CAL.
type ReportEntry struct {
	User             string           `cim:"User,key"`
	ExpirationDate   cim.Datetime     `cim:"ExpirationDate"`
	CALType          calType          `cim:"CALType"`
	ProductVersion   productVersion   `cim:"ProductVersion"`
	ProductVersionID productVersionID `cim:"ProductVersionID"`
}

// CIMClassName returns the name of the class.
func (ReportEntry) CIMClassName() string { return "Win32_TSLicenseReportEntry" }

// ReportSummaryEntry is Win32_TSLicenseReportSummaryEntry: what is installed and issued of a version and type.
type ReportSummaryEntry struct {
	ProductVersion    productVersion   `cim:"ProductVersion"`
	ProductVersionID  productVersionID `cim:"ProductVersionID"`
	TSCALType         perWhat          `cim:"TSCALType"`
	InstalledLicenses uint32           `cim:"InstalledLicenses"`
	IssuedLicenses    uint32           `cim:"IssuedLicenses"`
	TSCALAvailability calAvailability  `cim:"TSCALAvailability"`
}

// CIMClassName returns the name of the class.
func (ReportSummaryEntry) CIMClassName() string { return "Win32_TSLicenseReportSummaryEntry" }

// ReportPerDeviceEntry is Win32_TSLicenseReportPerDeviceEntry: a per device CAL.
type ReportPerDeviceEntry struct {
	IssuedToComputer string           `cim:"sIssuedToComputer"`
	HardwareID       string           `cim:"sHardwareId,key"`
	ExpirationDate   cim.Datetime     `cim:"ExpirationDate"`
	CALType          calType          `cim:"CALType"`
	ProductVersion   productVersion   `cim:"ProductVersion"`
	ProductVersionID productVersionID `cim:"ProductVersionID"`
}

// CIMClassName returns the name of the class.
func (ReportPerDeviceEntry) CIMClassName() string { return "Win32_TSLicenseReportPerDeviceEntry" }

// ReportFailedPerUserEntry is Win32_TSLicenseReportFailedPerUserEntry: a user who asked for a CAL in vain and has none.
type ReportFailedPerUserEntry struct {
	User             string           `cim:"User,key"`
	TriedIssuanceOn  cim.Datetime     `cim:"TriedIssuanceOn"`
	CALType          calType          `cim:"CALType"`
	ProductVersion   productVersion   `cim:"ProductVersion"`
	ProductVersionID productVersionID `cim:"ProductVersionID"`
}

// CIMClassName returns the name of the class.
func (ReportFailedPerUserEntry) CIMClassName() string {
	return "Win32_TSLicenseReportFailedPerUserEntry"
}

// ReportFailedPerUserSummaryEntry is Win32_TSLicenseReportFailedPerUserSummaryEntry: such failures by domain.
type ReportFailedPerUserSummaryEntry struct {
	DomainName          string `cim:"DomainName,key"`
	FailedIssuanceCount uint32 `cim:"FailedIssuanceCount"`
}

// CIMClassName returns the name of the class.
func (ReportFailedPerUserSummaryEntry) CIMClassName() string {
	return "Win32_TSLicenseReportFailedPerUserSummaryEntry"
}

func reportEntryOf(e reporting.UserEntry) ReportEntry {
	return ReportEntry{
		User: e.User, ExpirationDate: cim.NewDatetime(e.Expires), CALType: calType(licensing.CALModel(e.ProductVersion, licensing.PerUser)),
		ProductVersion: productVersion(e.ProductVersion.String()), ProductVersionID: productVersionID(e.ProductVersion),
	}
}

func perDeviceEntryOf(e reporting.DeviceEntry) ReportPerDeviceEntry {
	computer, hardwareID := shownDevice(e.Device)
	return ReportPerDeviceEntry{
		IssuedToComputer: computer, HardwareID: hardwareID, ExpirationDate: cim.NewDatetime(e.Expires),
		CALType:        calType(licensing.CALModel(e.ProductVersion, licensing.PerDevice)),
		ProductVersion: productVersion(e.ProductVersion.String()), ProductVersionID: productVersionID(e.ProductVersion),
	}
}

func summaryEntryOf(e reporting.SummaryEntry) ReportSummaryEntry {
	kind := perWhat("Per Device")
	if e.ProductType == licensing.PerUser {
		kind = "Per User"
	}
	return ReportSummaryEntry{
		ProductVersion: productVersion(e.ProductVersion.String()), ProductVersionID: productVersionID(e.ProductVersion), TSCALType: kind,
		InstalledLicenses: e.Installed, IssuedLicenses: e.Issued,
		TSCALAvailability: calAvailability(licensing.AvailabilityOf(uint64(e.Installed), uint64(e.Issued))),
	}
}

func failedPerUserEntryOf(e reporting.FailedUserEntry) ReportFailedPerUserEntry {
	return ReportFailedPerUserEntry{
		User: e.User, TriedIssuanceOn: cim.NewDatetime(e.Tried), CALType: calType(licensing.CALModel(e.ProductVersion, licensing.PerUser)),
		ProductVersion: productVersion(e.ProductVersion.String()), ProductVersionID: productVersionID(e.ProductVersion),
	}
}

func failedPerUserSummaryEntryOf(e reporting.FailedDomainEntry) ReportFailedPerUserSummaryEntry {
	return ReportFailedPerUserSummaryEntry{DomainName: e.Domain, FailedIssuanceCount: e.Failed}
}
