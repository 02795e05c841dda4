package sqlitedb_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// BenchmarkAppendFdatasync is the yardstick for the disk: append 4 KB and flush.
func BenchmarkAppendFdatasync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "append"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for b.Loop() {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}
