package tlswmiprov

import (
	"context"
	"iter"

	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
)

// Report is Win32_TSLicenseReport. This version makes none.
type Report struct {
	FileName           string       `cim:"FileName,key"`
	LicenseUsageCount  uint32       `cim:"LicenseUsageCount,deprecated"`
	InstalledLicenses  uint32       `cim:"InstalledLicenses,deprecated"`
	GenerationDateTime cim.Datetime `cim:"GenerationDateTime"`
	ScopeType          scopeType    `cim:"ScopeType,deprecated"`
	ScopeValue         string       `cim:"ScopeValue,deprecated"`
	Version            uint32       `cim:"Version"`
}

// CIMClassName returns the name of the class.
func (Report) CIMClassName() string { return "Win32_TSLicenseReport" }

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

// ReportFailedPerUserEntry is Win32_TSLicenseReportFailedPerUserEntry: a per user CAL that could not be recorded.
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

// Inputs and outputs of the methods of reports.
type (
	fetchIn struct {
		StartIndex uint32 `cim:"StartIndex"`
		Count      uint32 `cim:"Count"`
	}
	reportEntries struct {
		Count   uint32        `cim:"Count"`
		Entries []ReportEntry `cim:"ReportEntries"`
	}
	failedPerUserEntries struct {
		Count   uint32                     `cim:"Count"`
		Entries []ReportFailedPerUserEntry `cim:"ReportFailedPerUserEntries"`
	}
	failedPerUserSummaryEntries struct {
		Count   uint32                            `cim:"Count"`
		Entries []ReportFailedPerUserSummaryEntry `cim:"ReportFailedPerUserSummaryEntries"`
	}
	perDeviceEntries struct {
		Count   uint32                 `cim:"Count"`
		Entries []ReportPerDeviceEntry `cim:"ReportPerDeviceEntries"`
	}
	summaryEntries struct {
		Count   uint32               `cim:"Count"`
		Entries []ReportSummaryEntry `cim:"ReportSummaryEntries"`
	}
	scopeIn struct {
		ScopeType  scopeType `cim:"ScopeType"`
		ScopeValue string    `cim:"ScopeValue"`
	}
	fileName struct {
		FileName string `cim:"FileName"`
	}
)

func (p *Provider) licenseReport() (*cim.Class, error) {
	return define[Report](
		cim.Provided(providerName),
		cim.ReturnValues(p.returnValue),
		cim.Gets(absent[Report]),
		cim.Enumerates(empty[Report]),
		refusingInstance[Report, none, none]("DeleteReport"),
		refusingInstance[Report, fetchIn, reportEntries]("FetchReportEntries"),
		refusingInstance[Report, fetchIn, failedPerUserEntries]("FetchReportFailedPerUserEntries"),
		refusingInstance[Report, fetchIn, failedPerUserSummaryEntries]("FetchReportFailedPerUserSummaryEntries"),
		refusingInstance[Report, fetchIn, perDeviceEntries]("FetchReportPerDeviceEntries"),
		unsupported[scopeIn, fileName]("GenerateReport"),
		unavailable[none, fileName]("GenerateReportEx", "reports, which this version does not have"),
		refusingInstance[Report, fetchIn, summaryEntries]("FetchReportSummaryEntries"),
	)
}

// absent serves a class that has no instance yet.
func absent[T cim.Named](ctx context.Context, key T) (T, error) {
	return administer(ctx, func(string) (T, error) {
		return key, cim.Errorf(cim.StatusNotFound, "there is no such %s", key.CIMClassName())
	})
}

// empty enumerates a class that has no instance yet.
func empty[T any](ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if _, err := administrator(ctx); err != nil {
			var zero T
			yield(zero, err)
		}
	}
}

// refusingInstance is a method of instances of which there are none yet.
func refusingInstance[T, In, Out any](name string) cim.Option {
	return cim.InstanceMethod(name, func(context.Context, T, In) (out Out, err error) {
		return out, licensing.Faultf(licensing.Unavailable, "%s needs reports, which this version does not have", name)
	})
}
