//go:build linux

package bench_test

import (
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/app"
)

// BenchmarkEnumerateCALs lists all issued licenses over one connection: a million, or CALKEEPER_BENCH_ROWS. Beside it, a bare
// loop reads the same rows with the same driver and appends the same XML to a buffer, and does nothing else.
func BenchmarkEnumerateCALs(b *testing.B) {
	dir, rows := b.TempDir(), manyRows(b)
	fillLicenses(b, dir, rows)
	l := newLister(b, serve(b, app.LicenseServerOptions{Dir: dir, Name: "ls1.farm.example"}), "Win32_TSIssuedLicense")
	bare := openBareList(b, dir)

	// The first round of both shows that they make the same bytes.
	var sent, made maphash.Hash
	made.SetSeed(sent.Seed())
	if _, _, err := l.list(rows, &sent); err != nil {
		b.Fatal(err)
	}
	if err := bare.list(rows, &made); err != nil {
		b.Fatal(err)
	}
	if sent.Sum64() != made.Sum64() {
		b.Fatal("the bare loop makes other XML than the license server")
	}

	// What a list takes of memory is the most that is resident meanwhile, the client's page included.
	debug.FreeOSMemory()
	idle := resident(b, os.Getpid())
	resetPeak(b)
	pages, size, err := l.list(rows, nil)
	if err != nil {
		b.Fatal(err)
	}
	peak := processStatus(b, os.Getpid(), "VmHWM")

	var ours, theirs, oursCPU, theirsCPU series
	for b.Loop() {
		began, busy := time.Now(), processCPU(b)
		if _, n, err := l.list(rows, nil); err != nil || n != size {
			b.Fatal(n, size, err)
		}
		ours, oursCPU = append(ours, time.Since(began)), append(oursCPU, processCPU(b)-busy)
		began, busy = time.Now(), processCPU(b)
		if err := bare.list(rows, nil); err != nil {
			b.Fatal(err)
		}
		theirs, theirsCPU = append(theirs, time.Since(began)), append(theirsCPU, processCPU(b)-busy)
	}
	b.ReportMetric(0, "ns/op") // of both
	b.ReportMetric(ours.perSecond(rows), "items/s")
	b.ReportMetric(theirs.perSecond(rows), "bare-items/s")
	b.ReportMetric(timesFaster(ours, theirs), "ratio")
	b.ReportMetric(oursCPU.median().Seconds()*1e6/float64(rows), "cpu-µs/item")
	b.ReportMetric(theirsCPU.median().Seconds()*1e6/float64(rows), "bare-cpu-µs/item")
	b.ReportMetric(float64(pages), "pages")
	b.ReportMetric(float64(size)/float64(rows), "B/item")
	b.ReportMetric(float64(idle)/1024, "idle-MB")
	b.ReportMetric(float64(peak-idle)/1024, "above-idle-MB")
}

// bareList is the reference: a connection of the driver and a buffer.
type bareList struct {
	conn *sqlite.Conn
	page []byte
}

func openBareList(b *testing.B, dir string) *bareList {
	b.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(dir, database), sqlite.OpenReadOnly)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
	})
	return &bareList{conn: conn}
}

// bareCALs are the columns that an item shows.
const bareCALs = `SELECT id, key_pack_id, user, device_id, device_name, status, issued, expires FROM cal ORDER BY id`

// list reads all rows and appends their XML to the buffer, which is emptied whenever a portion would be full, to w if that is
// not nil.
func (l *bareList) list(want int, w io.Writer) error {
	const (
		start = `<p:Win32_TSIssuedLicense xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
			`xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_TSIssuedLicense" ` +
			`xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" xsi:type="p:Win32_TSIssuedLicense_Type"><p:LicenseId>`
		noComputer, noHardwareID = " ", "000000000000000000000000000000000000"
	)
	n, page := 0, l.page[:0]
	err := plainRows(l.conn, bareCALs, nil, func(s *sqlite.Stmt) {
		device, computer := s.ColumnText(3), s.ColumnText(4)
		if computer == "" {
			computer = device
		}
		if computer == "" {
			computer = noComputer
		}
		if device == "" {
			device = noHardwareID
		}
		page = append(page, start...)
		page = strconv.AppendInt(page, s.ColumnInt64(0), 10)
		page = append(page, "</p:LicenseId><p:KeyPackId>"...)
		page = strconv.AppendInt(page, s.ColumnInt64(1), 10)
		page = append(page, "</p:KeyPackId><p:sIssuedToUser>"...)
		page = append(page, s.ColumnText(2)...)
		page = append(page, "</p:sIssuedToUser><p:sIssuedToComputer>"...)
		page = append(page, computer...)
		page = append(page, "</p:sIssuedToComputer><p:LicenseStatus>"...)
		page = strconv.AppendInt(page, s.ColumnInt64(5), 10)
		page = append(page, "</p:LicenseStatus><p:IssueDate><cim:Datetime>"...)
		page = time.UnixMicro(s.ColumnInt64(6)).UTC().AppendFormat(page, time.RFC3339Nano)
		page = append(page, "</cim:Datetime></p:IssueDate><p:ExpirationDate><cim:Datetime>"...)
		page = time.UnixMicro(s.ColumnInt64(7)).UTC().AppendFormat(page, time.RFC3339Nano)
		page = append(page, "</cim:Datetime></p:ExpirationDate><p:sHardwareId>"...)
		page = append(page, device...)
		page = append(page, "</p:sHardwareId></p:Win32_TSIssuedLicense>"...)
		if n++; len(page) > 510_000 {
			if w != nil {
				w.Write(page)
			}
			page = page[:0]
		}
	})
	if w != nil {
		w.Write(page)
	}
	l.page = page
	if err == nil && n != want {
		err = fmt.Errorf("%d rows were read of %d", n, want)
	}
	return err
}

// resetPeak makes VmHWM begin anew (proc(5), clear_refs).
func resetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}
