package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman"
)

// reportServer is a license server that has reports and nothing else: what Windows, or another version, could answer.
type reportServer struct {
	users, devices, failed, domains uint32 // how many entries the lists have

	end     uint32 // returned at the end of a list
	padding int    // characters by which names are longer
	missing uint32 // Fetch returns one entry fewer than it says from that index on, if not 0
	breaks  uint32 // Fetch fails from that index on, if not 0
	hangs   uint32 // Fetch does not answer from that index on, if not 0
	refuses cim.Status

	mutex    sync.Mutex
	reports  []fakeReport
	portions []uint32 // that were asked for
	hanging  chan struct{}
}

// The classes, as far as they matter here.
type (
	fakeReport struct {
		FileName           string       `cim:"FileName,key"`
		GenerationDateTime cim.Datetime `cim:"GenerationDateTime"`
		Version            uint32       `cim:"Version"`
	}
	fakeServer struct {
		Company string `cim:"Company"`
	}
	fakeSummary struct {
		ProductVersion    string `cim:"ProductVersion"`
		ProductVersionID  uint32 `cim:"ProductVersionID"`
		TSCALType         string `cim:"TSCALType"`
		InstalledLicenses uint32 `cim:"InstalledLicenses"`
		IssuedLicenses    uint32 `cim:"IssuedLicenses"`
		TSCALAvailability string `cim:"TSCALAvailability"`
	}
	fakeDomain struct {
		DomainName          string `cim:"DomainName,key"`
		FailedIssuanceCount uint32 `cim:"FailedIssuanceCount"`
	}
	fakeUser struct {
		User             string       `cim:"User,key"`
		ExpirationDate   cim.Datetime `cim:"ExpirationDate"`
		CALType          string       `cim:"CALType"`
		ProductVersion   string       `cim:"ProductVersion"`
		ProductVersionID uint32       `cim:"ProductVersionID"`
	}
	fakeDevice struct {
		IssuedToComputer string       `cim:"sIssuedToComputer"`
		HardwareID       string       `cim:"sHardwareId,key"`
		ExpirationDate   cim.Datetime `cim:"ExpirationDate"`
		CALType          string       `cim:"CALType"`
		ProductVersion   string       `cim:"ProductVersion"`
		ProductVersionID uint32       `cim:"ProductVersionID"`
	}
	fakeFailed struct {
		User             string       `cim:"User,key"`
		TriedIssuanceOn  cim.Datetime `cim:"TriedIssuanceOn"`
		CALType          string       `cim:"CALType"`
		ProductVersion   string       `cim:"ProductVersion"`
		ProductVersionID uint32       `cim:"ProductVersionID"`
	}
	fakeFetch struct {
		StartIndex uint32 `cim:"StartIndex"`
		Count      uint32 `cim:"Count"`
	}
	fakeSummaries struct {
		Count   uint32        `cim:"Count"`
		Entries []fakeSummary `cim:"ReportSummaryEntries"`
	}
	fakeDomains struct {
		Count   uint32       `cim:"Count"`
		Entries []fakeDomain `cim:"ReportFailedPerUserSummaryEntries"`
	}
	fakeUsers struct {
		Count   uint32     `cim:"Count"`
		Entries []fakeUser `cim:"ReportEntries"`
	}
	fakeDevices struct {
		Count   uint32       `cim:"Count"`
		Entries []fakeDevice `cim:"ReportPerDeviceEntries"`
	}
	fakeFaileds struct {
		Count   uint32       `cim:"Count"`
		Entries []fakeFailed `cim:"ReportFailedPerUserEntries"`
	}
	fakeName struct {
		FileName string `cim:"FileName"`
	}
	fakeNothing struct{}
)

func (fakeSummary) CIMClassName() string { return "Win32_TSLicenseReportSummaryEntry" }
func (fakeDomain) CIMClassName() string  { return "Win32_TSLicenseReportFailedPerUserSummaryEntry" }
func (fakeUser) CIMClassName() string    { return "Win32_TSLicenseReportEntry" }
func (fakeDevice) CIMClassName() string  { return "Win32_TSLicenseReportPerDeviceEntry" }
func (fakeFailed) CIMClassName() string  { return "Win32_TSLicenseReportFailedPerUserEntry" }

var fakeTime = time.Date(2026, 11, 22, 6, 49, 15, 0, time.UTC)

var errNoMoreData = errors.New("no more data")

// start serves WS-Management, and returns the URL.
func (s *reportServer) start(t interface {
	Cleanup(func())
	Fatal(...any)
},
) string {
	s.hanging = make(chan struct{})
	reports, err := cim.Define[fakeReport](reportClass,
		cim.ReturnValues(func(_ context.Context, _ string, err error) uint32 {
			switch {
			case err == nil:
				return 0
			case errors.Is(err, errNoMoreData):
				return s.end
			}
			return uint32(s.refuses)
		}),
		cim.Gets(s.get), cim.Enumerates(s.all),
		cim.StaticMethod("GenerateReportEx", s.generate), cim.InstanceMethod("DeleteReport", s.remove),
		fetches(s, "FetchReportSummaryEntries", func() uint32 { return 2 }, s.summary, func(n uint32, l []fakeSummary) fakeSummaries { return fakeSummaries{n, l} }),
		fetches(s, "FetchReportFailedPerUserSummaryEntries", func() uint32 { return s.domains }, s.domain, func(n uint32, l []fakeDomain) fakeDomains { return fakeDomains{n, l} }),
		fetches(s, "FetchReportEntries", func() uint32 { return s.users }, s.user, func(n uint32, l []fakeUser) fakeUsers { return fakeUsers{n, l} }),
		fetches(s, "FetchReportPerDeviceEntries", func() uint32 { return s.devices }, s.device, func(n uint32, l []fakeDevice) fakeDevices { return fakeDevices{n, l} }),
		fetches(s, "FetchReportFailedPerUserEntries", func() uint32 { return s.failed }, s.failedUser, func(n uint32, l []fakeFailed) fakeFaileds { return fakeFaileds{n, l} }),
	)
	if err != nil {
		t.Fatal(err)
	}
	server, err := cim.Define[fakeServer](licenseServerClass, cim.Singleton(),
		cim.Gets(func(context.Context, fakeServer) (fakeServer, error) { return fakeServer{"Example Farm"}, nil }))
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := cim.NewNamespace("root/cimv2", reports, server)
	if err != nil {
		t.Fatal(err)
	}
	handler := wsman.NewServer(wsman.Options{Namespaces: []*cim.Namespace{namespace}, Authenticator: anybody{}})
	listening := httptest.NewServer(handler)
	t.Cleanup(func() {
		close(s.hanging)
		listening.Close()
		handler.Close()
	})
	return listening.URL + "/wsman"
}

// anybody takes every user who gives the password of the tests.
type anybody struct{}

func (anybody) Authenticate(ctx context.Context, r *http.Request, _ http.Header) (context.Context, error) {
	if _, password, _ := r.BasicAuth(); password != "correct-horse" {
		return nil, errors.New("wrong password")
	}
	return ctx, nil
}
func (anybody) Protection(context.Context) wsman.Protection { return wsman.Protection{} }

func (anybody) Challenges() []string            { return []string{`Basic realm="test"`} }
func (anybody) Identity(context.Context) string { return "anybody" }

// fetches is a method that returns a portion of a list of that length.
func fetches[T, Out any](s *reportServer, name string, length func() uint32, entry func(i uint32) T, out func(uint32, []T) Out) cim.Option {
	return cim.InstanceMethod(name, func(ctx context.Context, _ fakeReport, in fakeFetch) (Out, error) {
		s.mutex.Lock()
		s.portions = append(s.portions, in.Count)
		s.mutex.Unlock()
		end := length()
		if in.Count > 0 {
			end = min(end, in.StartIndex+in.Count)
		}
		switch {
		case s.breaks != 0 && end > s.breaks:
			return out(0, nil), errors.New("the disk is broken")
		case s.hangs != 0 && end > s.hangs:
			select {
			case <-ctx.Done():
			case <-s.hanging:
			}
			return out(0, nil), ctx.Err()
		case in.StartIndex >= end:
			return out(0, nil), cim.KeepOutputs(errNoMoreData)
		}
		var list []T
		for i := in.StartIndex; i < end; i++ {
			list = append(list, entry(i))
		}
		n := uint32(len(list))
		if s.missing != 0 && end > s.missing {
			list = list[1:]
		}
		return out(n, list), nil
	})
}

func (s *reportServer) get(_ context.Context, key fakeReport) (fakeReport, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, r := range s.reports {
		if r.FileName == key.FileName {
			return r, nil
		}
	}
	return key, cim.Errorf(cim.StatusNotFound, "there is no such report")
}

func (s *reportServer) all(context.Context) iter.Seq2[fakeReport, error] {
	return func(yield func(fakeReport, error) bool) {
		s.mutex.Lock()
		list := slices.Clone(s.reports)
		s.mutex.Unlock()
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *reportServer) generate(context.Context, fakeNothing) (fakeName, error) {
	if s.refuses != 0 {
		return fakeName{}, errors.New("no")
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	r := fakeReport{fmt.Sprintf("Report-%d", len(s.reports)+1), cim.NewDatetime(fakeTime), 1}
	s.reports = append(s.reports, r)
	return fakeName{r.FileName}, nil
}

func (s *reportServer) remove(_ context.Context, self fakeReport, _ fakeNothing) (fakeNothing, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.reports = slices.DeleteFunc(s.reports, func(r fakeReport) bool { return r.FileName == self.FileName })
	return fakeNothing{}, nil
}

func (s *reportServer) summary(i uint32) fakeSummary {
	if i == 0 {
		return fakeSummary{"Windows Server 2019", 6, "Per Device", 4294967295, s.devices, "Available"}
	}
	return fakeSummary{"Windows Server 2022", 7, "Per User", s.users - min(s.users, 1), s.users, "None"}
}

func (s *reportServer) domain(i uint32) fakeDomain {
	return fakeDomain{fmt.Sprintf("DOMAIN%d", i), s.failed / max(s.domains, 1)}
}

func (s *reportServer) user(i uint32) fakeUser {
	return fakeUser{fmt.Sprintf(`EXAMPLE\user%d`, i) + strings.Repeat("x", s.padding), cim.NewDatetime(fakeTime.AddDate(0, 0, int(i%60))), "RDS Per User CAL", "Windows Server 2022", 7}
}

func (s *reportServer) device(i uint32) fakeDevice {
	if i == 1 { // as license servers show what they do not know
		return fakeDevice{" ", strings.Repeat("0", 36), cim.Datetime{}, "RDS Per Device CAL", "Windows Server 2019", 6}
	}
	return fakeDevice{fmt.Sprintf("DESK%d", i), fmt.Sprintf("hw:%d", i), cim.NewDatetime(fakeTime), "RDS Per Device CAL", "Windows Server 2019", 6}
}

func (s *reportServer) failedUser(i uint32) fakeFailed {
	return fakeFailed{fmt.Sprintf(`DOMAIN%d\eve%d`, i%max(s.domains, 1), i), cim.NewDatetime(fakeTime), "RDS Per User CAL", "Windows Server 2022", 7}
}

// set changes what the license server has and does: users=3.
func (s *reportServer) set(setting string) error {
	name, text, _ := strings.Cut(setting, "=")
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return err
	}
	number := uint32(n)
	switch name {
	case "padding":
		s.padding = int(number)
	case "refuses":
		s.refuses = cim.Status(number)
	default:
		field, ok := map[string]*uint32{
			"users": &s.users, "devices": &s.devices, "failed": &s.failed, "domains": &s.domains, "end": &s.end, "missing": &s.missing,
			"breaks": &s.breaks, "hangs": &s.hangs,
		}[name]
		if !ok {
			return fmt.Errorf("there is no setting %q", name)
		}
		*field = number
	}
	return nil
}

// reportServers starts a license server that has reports, and has the commands call it: reports [SETTING=NUMBER ...].
func reportServers(ts *testscript.TestScript, neg bool, args []string) {
	s := &reportServer{end: noMoreData}
	for _, setting := range args {
		ts.Check(s.set(setting))
	}
	if neg {
		ts.Fatalf("usage: reports [SETTING=NUMBER ...]")
	}
	ts.Setenv("CALKEEPER_SERVER", s.start(scriptTest{ts}))
}

// scriptTest has what start needs of a test.
type scriptTest struct{ *testscript.TestScript }

func (t scriptTest) Cleanup(f func()) { t.Defer(f) }
func (t scriptTest) Fatal(args ...any) {
	t.Fatalf("%s", fmt.Sprint(args...))
}
