package reportfile_test

import (
	"io"
	"runtime"
	"testing"

	"calkeeper/internal/reportfile"
)

// watched yields so many entries, and notes the most memory that is in use meanwhile.
func watched[T any](n int, most *uint64, entry func(int) T) func(yield func(T, error) bool) {
	return generate(n, func(i int) T {
		if i%(n/8) == n/8-1 {
			*most = max(*most, inUse())
		}
		return entry(i)
	})
}

// inUse returns the bytes on the heap that are still needed.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLongListsAreNotHeld writes 100,000 entries, 14 MB and more, with less than that; in a workbook, with what one chunk takes: 16 MB,
// in a buffer that grows by doubling.
func TestLongListsAreNotHeld(t *testing.T) {
	const entries = 100_000
	limits := map[reportfile.Format]uint64{reportfile.CSV: 1 << 20, reportfile.JSON: 1 << 20, reportfile.XLSX: 40 << 20, reportfile.PDF: 8 << 20}
	for format, limit := range limits {
		before, most := inUse(), uint64(0)
		r := sample()
		name := make([]byte, 0, 64)
		r.Users = watched(entries, &most, func(i int) reportfile.UserEntry {
			name = append(name[:0], `EXAMPLE\user-with-a-name-of-its-own-`...)
			for n := i; n > 0; n /= 10 {
				name = append(name, byte('0'+n%10))
			}
			return reportfile.UserEntry{string(name), generated.AddDate(0, 0, i%60), "RDS Per User CAL", "Windows Server 2022", 7}
		})
		table := map[reportfile.Format]string{reportfile.CSV: "users"}[format]
		if err := r.Write(io.Discard, format, table); err != nil {
			t.Fatal(err)
		}
		if most == 0 || most > before+limit {
			t.Errorf("%s: %d entries held %d KB, want at most %d", format, entries, (int64(most)-int64(before))>>10, limit>>10)
		}
	}
}
