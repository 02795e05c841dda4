// Package reporting makes license usage reports: snapshots of what is installed, issued and refused, which do not change when
// CALs do. It must not know WMI, HTTP, SQL, nor how a report looks to people.
//
// The head of a report is in the store, its entries are in an [Archive]. A report is there when its head is: Recover mends what
// the end of the process, or the loss of either, left alone.
package reporting

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// SummaryEntry counts the CALs of one version and type: Win32_TSLicenseReportSummaryEntry.
type SummaryEntry struct {
	ProductVersion licensing.ProductVersion
	ProductType    licensing.ProductType
	Installed      uint32
	Issued         uint32 // with those that are over-used, and without temporary ones
}

// UserEntry is a per user CAL that is in use: Win32_TSLicenseReportEntry.
type UserEntry struct {
	User           string // DOMAIN\user; see licensing.DownLevelLogonName
	ProductVersion licensing.ProductVersion
	Expires        time.Time
}

// DeviceEntry is a per device CAL that is in use: Win32_TSLicenseReportPerDeviceEntry. Temporary ones are not listed.
type DeviceEntry struct {
	Device         licensing.Device
	ProductVersion licensing.ProductVersion
	Expires        time.Time
}

// FailedUserEntry is a user who asked for a CAL in vain and has none: Win32_TSLicenseReportFailedPerUserEntry.
type FailedUserEntry struct {
	User           string // DOMAIN\user
	ProductVersion licensing.ProductVersion
	Tried          time.Time // last
}

// FailedDomainEntry counts such users of one domain: Win32_TSLicenseReportFailedPerUserSummaryEntry.
type FailedDomainEntry struct {
	Domain string // "." for local users
	Failed uint32
}

// Portion says which entries of a list are asked for.
type Portion struct {
	Start uint32 // index of the first; the first of all is 0
	Count uint32 // 0: all from there
}

// MaxPortion is how many entries one call returns at most.
const MaxPortion = 32_000

// Archive keeps the entries of reports, those of each by its file name. Its methods are safe for concurrent use.
type Archive interface {
	// Create begins a report, which is not there before Commit. A file name that is there is a Fault of kind AlreadyExists.
	Create(fileName string) (Draft, error)
	// Open opens the entries of a report. Fault: NotFound.
	Open(fileName string) (Entries, error)
	// Delete removes them; what is not there is no error.
	Delete(fileName string) error
	// FileNames returns the names of all that are there, and removes what was left of drafts.
	FileNames() ([]string, error)
}

// Draft is a report in the making. Entries come back in the order in which they were added.
type Draft interface {
	AddSummary(SummaryEntry) error
	AddUser(UserEntry) error
	AddDevice(DeviceEntry) error
	// PutFailedUser keeps the entry of the user with that key in place of an earlier one. Those of a report come back by key.
	PutFailedUser(key, domain string, e FailedUserEntry) error
	// Commit makes the report durable. Without it, Close drops all.
	Commit() error
	Close() error
}

// Entries reads the lists of a report: at most count entries, from index start on. Of failed domains there is one entry for each
// domain of the failed users, by name.
type Entries interface {
	Summary(start, count uint32) ([]SummaryEntry, error)
	Users(start, count uint32) ([]UserEntry, error)
	Devices(start, count uint32) ([]DeviceEntry, error)
	FailedUsers(start, count uint32) ([]FailedUserEntry, error)
	FailedDomains(start, count uint32) ([]FailedDomainEntry, error)
	Close() error
}

// Options are what a Service needs beside its store and archive.
type Options struct {
	Now    func() time.Time
	Logger *slog.Logger
	Most   int // reports that are kept; 0 means 10,000
}

// defaultMost bounds how many reports are kept: monitoring makes one every few minutes, and may forget to delete it.
const defaultMost = 10_000

// Service makes and reads the reports of one license server.
type Service struct {
	store   store.Store
	archive Archive
	Options
	making chan struct{} // holds one token: reports are made one after the other
}

// New returns a Service.
func New(st store.Store, archive Archive, o Options) *Service {
	if o.Most == 0 {
		o.Most = defaultMost
	}
	s := &Service{store: st, archive: archive, Options: o, making: make(chan struct{}, 1)}
	s.making <- struct{}{}
	return s
}

// Reports returns the heads of all reports by file name.
func (s *Service) Reports(ctx context.Context) (all []licensing.Report, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		all, err = r.Reports()
		return err
	})
	return all, err
}

// Report returns the head of one report. Fault: NotFound.
func (s *Service) Report(ctx context.Context, fileName string) (report licensing.Report, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		report, err = r.Report(fileName)
		return err
	})
	return report, err
}

// Delete removes a report. Its entries go first: they name people, and would else come back after a crash. Fault: NotFound.
func (s *Service) Delete(ctx context.Context, actor, fileName string) error {
	if _, err := s.Report(ctx, fileName); err != nil {
		return err
	}
	if err := s.archive.Delete(fileName); err != nil {
		return err
	}
	return s.forget(ctx, actor, fileName)
}

// forget removes the head of a report.
func (s *Service) forget(ctx context.Context, actor, fileName string) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		return errors.Join(tx.DeleteReport(fileName), tx.Audit(store.AuditRecord{At: s.now(), Actor: actor, Action: "delete report", Detail: fileName}))
	})
}

// now is the present as the store keeps instants.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Recover takes entries back that have no head, as after a crash or with an older or new database, and removes heads without
// entries. It is to be called before any other method.
func (s *Service) Recover(ctx context.Context) error {
	kept, err := s.archive.FileNames()
	if err != nil {
		return err
	}
	reports, err := s.Reports(ctx)
	if err != nil {
		return err
	}
	missing := map[string]bool{}
	for _, r := range reports {
		missing[r.FileName] = true
	}
	for _, name := range kept {
		if missing[name] {
			delete(missing, name)
		} else if err := s.adopt(ctx, name); err != nil {
			s.Logger.Warn("a file among the reports is none, or is broken; it is left alone", "report", name, "error", err)
		}
	}
	for name := range missing {
		s.Logger.Warn("the entries of a report are missing; it is removed", "report", name)
		if err := s.forget(ctx, recovery, name); err != nil {
			return err
		}
	}
	return nil
}

// recovery is the actor of what Recover does.
const recovery = "calkeeper"

// adopt makes the head of a report from its entries.
func (s *Service) adopt(ctx context.Context, fileName string) (err error) {
	generated, err := time.Parse(fileNameLayout, fileName)
	if err != nil {
		return err
	}
	entries, err := s.archive.Open(fileName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, entries.Close()) }()
	summary, err := entries.Summary(0, MaxPortion)
	if err != nil {
		return err
	}
	report := licensing.Report{FileName: fileName, Generated: generated}
	total(&report, summary)
	s.Logger.Warn("a report that the database does not have is taken back", "report", fileName)
	return s.keep(ctx, recovery, "recover report", report)
}
