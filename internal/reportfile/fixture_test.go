package reportfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"calkeeper/internal/reportfile"
)

var generated = time.Date(2026, 11, 22, 6, 49, 15, 123456000, time.UTC)

// listOf yields the elements of a list.
func listOf[T any](list ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// generate yields so many entries.
func generate[T any](n int, entry func(int) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for i := range n {
			if !yield(entry(i), nil) {
				return
			}
		}
	}
}

var errBroken = errors.New("the license server broke off")

// broken yields a list, and then an error.
func broken[T any](list iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for e, err := range list {
			if !yield(e, err) {
				return
			}
		}
		var none T
		yield(none, errBroken)
	}
}

// sample returns a report with something in each list, and with what needs care: names of other scripts, what looks like formulas,
// and what is not known.
func sample() *reportfile.Report {
	expires := time.Date(2027, 1, 21, 7, 49, 15, 0, time.FixedZone("CET", 3600))
	const user, device, version = "RDS Per User CAL", "RDS Per Device CAL", "Windows Server 2022"
	return &reportfile.Report{
		FileName: "Report-20261122T064915Z", Generated: generated, Version: 1, LicenseServer: "ls1.example.com", Company: "Müller & Söhne <GmbH>",
		Summary: []reportfile.SummaryEntry{
			{"Windows Server 2008 or Windows Server 2008 R2", 2, "Per Device", 0, 0, "Not Tracking"},
			{"Windows Server 2019", 6, "Per Device", 200, 50, "Available"},
			{version, 7, "Per User", 100, 125, "None"},
		},
		FailedDomains: []reportfile.FailedDomainEntry{{"EXAMPLE", 3}, {".", 1}, {"LAB", 7}},
		Users: listOf(
			reportfile.UserEntry{`EXAMPLE\ada`, expires, user, version, 7},
			reportfile.UserEntry{`EXAMPLE\Łukasz Żółć`, expires, user, version, 7},
			reportfile.UserEntry{`日本\太郎`, time.Time{}, user, version, 7},
			reportfile.UserEntry{`=HYPERLINK("http://192.0.2.1/";"Example, Inc.")`, expires, user, version, 7},
		),
		Devices: listOf(
			reportfile.DeviceEntry{"DESK1", "hw:1", expires, device, version, 7},
			reportfile.DeviceEntry{"", "000000000000000000000000000000000000", expires, device, version, 7},
			reportfile.DeviceEntry{"+1", "'2", time.Time{}, device, version, 7},
		),
		FailedUsers: listOf(reportfile.FailedUserEntry{`LAB\eve`, generated, user, version, 7}),
	}
}

// large returns a report with so many users, and as many devices.
func large(n int) *reportfile.Report {
	r := sample()
	r.Users = generate(n, func(i int) reportfile.UserEntry {
		return reportfile.UserEntry{fmt.Sprintf(`EXAMPLE\user%07d`, i), generated.AddDate(0, 0, i%60), "RDS Per User CAL", "Windows Server 2022", 7}
	})
	r.Devices = generate(n, func(i int) reportfile.DeviceEntry {
		return reportfile.DeviceEntry{
			fmt.Sprintf("DESK%07d", i), fmt.Sprintf("%036d", i), generated.AddDate(0, 0, i%90), "RDS Per Device CAL", "Windows Server 2022", 7,
		}
	})
	return r
}

// written returns a report as a file.
func written(t interface {
	Helper()
	Fatalf(string, ...any)
}, r *reportfile.Report, f reportfile.Format, table string,
) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, f, table); err != nil {
		t.Fatalf("%s %s: %v", f, table, err)
	}
	return b.Bytes()
}

// every calls f for each file that a report can be written as.
func every(f func(format reportfile.Format, table string)) {
	for _, table := range reportfile.Tables {
		f(reportfile.CSV, table)
	}
	for _, format := range []reportfile.Format{reportfile.JSON, reportfile.XLSX, reportfile.PDF} {
		f(format, "")
	}
}

// TestBrokenLists writes reports whose lists break off: that is an error, whatever was written before.
func TestBrokenLists(t *testing.T) {
	every(func(format reportfile.Format, table string) {
		for list, breaks := range map[string]func(*reportfile.Report){
			"users":        func(r *reportfile.Report) { r.Users = broken(r.Users) },
			"devices":      func(r *reportfile.Report) { r.Devices = broken(r.Devices) },
			"failed-users": func(r *reportfile.Report) { r.FailedUsers = broken(r.FailedUsers) },
		} {
			r := sample()
			breaks(r)
			err := r.Write(new(bytes.Buffer), format, table)
			if want := table == "" || table == list; errors.Is(err, errBroken) != want {
				t.Errorf("%s %s with broken %s: %v", format, table, list, err)
			}
		}
	})
}

// full is a disk without room after so many bytes.
type full struct{ room int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestFullDisk writes where there is no room, at once or later on.
func TestFullDisk(t *testing.T) {
	every(func(format reportfile.Format, table string) {
		whole := len(written(t, sample(), format, table))
		for _, room := range []int{0, whole / 2, whole - 1} {
			if err := sample().Write(&full{room}, format, table); !errors.Is(err, errFull) {
				t.Errorf("%s %s with room for %d bytes: %v", format, table, room, err)
			}
		}
	})
}

// TestFullDiskEndsReading breaks off a long list when nothing more can be written, rather than reading it to its end.
func TestFullDiskEndsReading(t *testing.T) {
	for _, format := range []reportfile.Format{reportfile.CSV, reportfile.JSON} {
		r, read := sample(), 0
		r.Users = generate(100_000, func(i int) reportfile.UserEntry {
			read++
			return reportfile.UserEntry{User: "ada"}
		})
		table := map[reportfile.Format]string{reportfile.CSV: "users"}[format]
		if err := r.Write(&full{1000}, format, table); !errors.Is(err, errFull) || read > 50_000 {
			t.Errorf("%s: %v after %d entries", format, err, read)
		}
	}
}

func TestWhatIsNoFormatOrTable(t *testing.T) {
	for _, test := range []struct {
		format reportfile.Format
		table  string
	}{{"", ""}, {"doc", ""}, {reportfile.CSV, ""}, {reportfile.CSV, "cals"}} {
		if err := sample().Write(new(bytes.Buffer), test.format, test.table); err == nil {
			t.Errorf("a report was written as %q, table %q", test.format, test.table)
		}
	}
	for path, want := range map[string]reportfile.Format{
		"a.csv": "csv", "a.b/c.XLSX": "xlsx", "a.pdf": "pdf", "a.json": "json", "a": "", "csv": "", "a.csv.gz": "", "": "", "a.": "",
	} {
		if got := reportfile.FormatOf(path); got != want {
			t.Errorf("the format of %q is %q, want %q", path, got, want)
		}
	}
}

func TestOverUsed(t *testing.T) {
	for _, test := range []struct{ installed, issued, want uint32 }{{0, 0, 0}, {5, 3, 0}, {3, 3, 0}, {3, 5, 2}, {0, 4294967295, 4294967295}, {4294967295, 7, 0}} {
		if got := (reportfile.SummaryEntry{InstalledLicenses: test.installed, IssuedLicenses: test.issued}).OverUsed(); got != test.want {
			t.Errorf("%d of %d: %d are over-used, want %d", test.issued, test.installed, got, test.want)
		}
	}
}
