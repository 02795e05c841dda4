package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
	"calkeeper/internal/reportfile"
	api "calkeeper/internal/restapi/client"
	"calkeeper/internal/wsman/client"
)

const reportClass = "Win32_TSLicenseReport"

// reportKey names a report.
func reportKey(fileName string) []client.Value {
	return []client.Value{client.Text("FileName", fileName)}
}

func reportOf(i client.Instance) reportJSON {
	generated, _ := i.Time("GenerationDateTime")
	version, _ := i.Uint32("Version")
	return reportJSON{i.Text("FileName"), generated, version}
}

// ofReport says that there is no such report, if that is what an error means.
func ofReport(fileName string, err error) error {
	if errors.Is(err, client.ErrNotFound) {
		return licensing.Faultf(licensing.NotFound, "there is no report %q: `calkeeper report list` shows those that there are", fileName)
	}
	return err
}

// generateReport makes a report, and returns its FileName.
func generateReport(ctx context.Context, wsman *client.Client) (string, error) {
	out, err := invoke(ctx, wsman, reportClass, "GenerateReportEx", nil)
	return out.Text("FileName"), err
}

// readReport reads the head of a report and what it sums up. Its long lists are read as they are written.
func readReport(ctx context.Context, wsman *client.Client, server, fileName string) (*reportfile.Report, error) {
	found, err := wsman.Get(ctx, reportClass, reportKey(fileName))
	if err != nil {
		return nil, ofReport(fileName, err)
	}
	owner, err := wsman.Get(ctx, licenseServerClass, nil)
	if err != nil {
		return nil, err
	}
	head := reportOf(found)
	r := &reportfile.Report{
		FileName: head.FileName, Generated: head.GenerationDateTime, Version: head.Version, LicenseServer: serverName(server), Company: owner.Text("Company"),
		Summary: []reportfile.SummaryEntry{}, FailedDomains: []reportfile.FailedDomainEntry{},
	}
	for e, err := range fetch(ctx, wsman, fileName, "FetchReportSummaryEntries", "ReportSummaryEntries", summaryEntryOf) {
		if err != nil {
			return nil, err
		}
		r.Summary = append(r.Summary, e)
	}
	for e, err := range fetch(ctx, wsman, fileName, "FetchReportFailedPerUserSummaryEntries", "ReportFailedPerUserSummaryEntries", failedDomainEntryOf) {
		if err != nil {
			return nil, err
		}
		r.FailedDomains = append(r.FailedDomains, e)
	}
	r.Users = fetch(ctx, wsman, fileName, "FetchReportEntries", "ReportEntries", userEntryOf)
	r.Devices = fetch(ctx, wsman, fileName, "FetchReportPerDeviceEntries", "ReportPerDeviceEntries", deviceEntryOf)
	r.FailedUsers = fetch(ctx, wsman, fileName, "FetchReportFailedPerUserEntries", "ReportFailedPerUserEntries", failedUserEntryOf)
	return r, nil
}

// serverName returns the name of the license server at a URL: that of this machine, if it is on this machine.
func serverName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if name, err := os.Hostname(); err == nil && api.Loopback(u.Hostname()) {
		return name
	}
	return u.Hostname()
}

// portion is how many entries of a list are asked for at once. Envelopes of 512,000 bytes have room for a kilobyte each, which is twice
// what they usually take; if it is not enough, smaller portions are asked for.
const portion = 500

// Both have been documented as LSERVER_I_NO_MORE_DATA, in hexadecimal for the methods of Win32_TSLicenseReport, and in decimal in the
// header file of the terminal services licensing API.
const (
	noMoreData        = 0x4001
	noMoreDataDecimal = 4001
)

// fetch reads a list of a report in portions, with one of the Fetch methods. The list is the name of the array that the method returns.
func fetch[T any](
	ctx context.Context, wsman *client.Client, fileName, method, list string, entryOf func(client.Instance) T,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		count := uint32(portion)
		for start := uint32(0); ; {
			entries, more, err := fetchPortion(ctx, wsman, fileName, method, list, start, count)
			if tooLong(err) && count > 1 {
				count /= 2
				continue
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, e := range entries {
				if !yield(entryOf(e), nil) {
					return
				}
			}
			start += uint32(len(entries))
			if !more {
				return
			}
		}
	}
}

// fetchPortion reads count entries of a list, or fewer, and tells whether there may be more behind them.
func fetchPortion(ctx context.Context, wsman *client.Client, fileName, method, list string, start, count uint32) (entries []client.Instance, more bool, err error) {
	out, err := wsman.Invoke(ctx, reportClass, method, reportKey(fileName), []client.Value{client.Uint32("StartIndex", start), client.Uint32("Count", count)})
	if err != nil {
		return nil, false, ofReport(fileName, err)
	}
	switch status := cim.Status(out.ReturnValue); out.ReturnValue {
	case uint32(cim.StatusOK):
		more = true
	case noMoreData, noMoreDataDecimal:
	default:
		return nil, false, refusal{method, status, advice(method, status)}
	}
	array, _ := out.Values.Value(list)
	for _, e := range array.Elements() {
		entry, ok := e.Object()
		if !ok {
			return nil, false, fmt.Errorf("%w: %s has an element that is no instance", client.ErrReply, list)
		}
		entries = append(entries, entry)
	}
	if n, ok := out.Values.Uint32("Count"); ok && n != uint32(len(entries)) {
		return nil, false, fmt.Errorf("%w: %s says that there are %d entries, and there are %d", client.ErrReply, method, n, len(entries))
	}
	return entries, more && len(entries) > 0, nil
}

// tooLong tells whether a reply did not fit its envelope. A server that finds this out when it has run the method says that it cannot
// report its success (DSP0226, w:UnreportableSuccess), which is no reason not to ask again: fetching changes nothing.
func tooLong(err error) bool {
	fault, ok := errors.AsType[*client.Fault](err)
	return errors.Is(err, client.ErrTooLarge) || ok && fault.Subcode == "EncodingLimit"
}

func summaryEntryOf(i client.Instance) reportfile.SummaryEntry {
	number := func(name string) uint32 { n, _ := i.Uint32(name); return n }
	return reportfile.SummaryEntry{
		ProductVersion: i.Text("ProductVersion"), ProductVersionID: number("ProductVersionID"), TSCALType: i.Text("TSCALType"),
		InstalledLicenses: number("InstalledLicenses"), IssuedLicenses: number("IssuedLicenses"), TSCALAvailability: i.Text("TSCALAvailability"),
	}
}

func failedDomainEntryOf(i client.Instance) reportfile.FailedDomainEntry {
	count, _ := i.Uint32("FailedIssuanceCount")
	return reportfile.FailedDomainEntry{DomainName: i.Text("DomainName"), FailedIssuanceCount: count}
}

func userEntryOf(i client.Instance) reportfile.UserEntry {
	expires, _ := i.Time("ExpirationDate")
	id, _ := i.Uint32("ProductVersionID")
	return reportfile.UserEntry{
		User: i.Text("User"), ExpirationDate: expires, CALType: i.Text("CALType"), ProductVersion: i.Text("ProductVersion"), ProductVersionID: id,
	}
}

// deviceEntryOf leaves out the space that license servers show of a computer without a name.
func deviceEntryOf(i client.Instance) reportfile.DeviceEntry {
	expires, _ := i.Time("ExpirationDate")
	id, _ := i.Uint32("ProductVersionID")
	return reportfile.DeviceEntry{
		IssuedToComputer: strings.TrimSpace(i.Text("sIssuedToComputer")), HardwareID: i.Text("sHardwareId"), ExpirationDate: expires,
		CALType: i.Text("CALType"), ProductVersion: i.Text("ProductVersion"), ProductVersionID: id,
	}
}

func failedUserEntryOf(i client.Instance) reportfile.FailedUserEntry {
	tried, _ := i.Time("TriedIssuanceOn")
	id, _ := i.Uint32("ProductVersionID")
	return reportfile.FailedUserEntry{
		User: i.Text("User"), TriedIssuanceOn: tried, CALType: i.Text("CALType"), ProductVersion: i.Text("ProductVersion"), ProductVersionID: id,
	}
}
