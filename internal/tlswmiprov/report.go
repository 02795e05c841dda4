package tlswmiprov

import (
	"context"
	"errors"
	"iter"

	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
	"calkeeper/internal/reporting"
)

// Report is Win32_TSLicenseReport. The deprecated properties have the meaning that they had until Windows Server 2008 R2.
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

// allTrustedDomains is the scope of every report: everybody.
const allTrustedDomains scopeType = 3

// reportVersion is of what reports list, and how.
const reportVersion = 1

func reportOf(r licensing.Report) Report {
	return Report{
		FileName: r.FileName, LicenseUsageCount: r.Issued, InstalledLicenses: r.Installed, GenerationDateTime: cim.NewDatetime(r.Generated),
		ScopeType: allTrustedDomains, Version: reportVersion,
	}
}

// Inputs and outputs of the methods.
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
	reports := p.Reporting
	return define[Report](
		cim.Provided(providerName),
		cim.ReturnValues(p.returnValue),
		cim.Gets(p.getReport),
		cim.Enumerates(p.reports),
		cim.InstanceMethod("DeleteReport", func(ctx context.Context, self Report, _ none) (none, error) {
			return none{}, reports.Delete(ctx, actor(ctx), self.FileName)
		}),
		fetches("FetchReportEntries", reports.Users, reportEntryOf, func(n uint32, list []ReportEntry) reportEntries {
			return reportEntries{n, list}
		}),
		fetches("FetchReportFailedPerUserEntries", reports.FailedUsers, failedPerUserEntryOf, func(n uint32, list []ReportFailedPerUserEntry) failedPerUserEntries {
			return failedPerUserEntries{n, list}
		}),
		fetches("FetchReportFailedPerUserSummaryEntries", reports.FailedDomains, failedPerUserSummaryEntryOf,
			func(n uint32, list []ReportFailedPerUserSummaryEntry) failedPerUserSummaryEntries {
				return failedPerUserSummaryEntries{n, list}
			}),
		fetches("FetchReportPerDeviceEntries", reports.Devices, perDeviceEntryOf, func(n uint32, list []ReportPerDeviceEntry) perDeviceEntries {
			return perDeviceEntries{n, list}
		}),
		unsupported[scopeIn, fileName]("GenerateReport"),
		cim.StaticMethod("GenerateReportEx", func(ctx context.Context, _ none) (fileName, error) {
			r, err := reports.Generate(ctx, actor(ctx))
			return fileName{r.FileName}, err
		}),
		fetches("FetchReportSummaryEntries", reports.Summary, summaryEntryOf, func(n uint32, list []ReportSummaryEntry) summaryEntries {
			return summaryEntries{n, list}
		}),
	)
}

// errNoMoreData says that a list has no entries from the index on that was asked for: LSERVER_I_NO_MORE_DATA.
var errNoMoreData = errors.New("there are no more entries")

// noMoreData is the documented value of LSERVER_I_NO_MORE_DATA. It is no HRESULT of a failure. (The header for session hosts
// has 4001 in decimal under a similar name.)
const noMoreData = 0x4001

// fetches is a method that returns a portion of a list: read reads it, entryOf makes the entries, and out the outputs.
func fetches[E, T, Out any](
	name string, read func(context.Context, string, reporting.Portion) ([]E, error), entryOf func(E) T, out func(uint32, []T) Out,
) cim.Option {
	return cim.InstanceMethod(name, func(ctx context.Context, self Report, in fetchIn) (zero Out, err error) {
		found, err := read(ctx, self.FileName, reporting.Portion{Start: in.StartIndex, Count: in.Count})
		if err != nil {
			return zero, err
		}
		list := make([]T, len(found))
		for i, e := range found {
			list[i] = entryOf(e)
		}
		if len(list) == 0 {
			err = cim.KeepOutputs(errNoMoreData)
		}
		return out(uint32(len(list)), list), err
	})
}

func (p *Provider) getReport(ctx context.Context, key Report) (Report, error) {
	r, err := p.Reporting.Report(ctx, key.FileName)
	return reportOf(r), notFound(err)
}

func (p *Provider) reports(ctx context.Context) iter.Seq2[Report, error] {
	return func(yield func(Report, error) bool) {
		all, err := p.Reporting.Reports(ctx)
		if err != nil {
			yield(Report{}, err)
			return
		}
		for _, r := range all {
			if !yield(reportOf(r), nil) {
				return
			}
		}
	}
}
