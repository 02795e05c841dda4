package reportfile_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"calkeeper/internal/reportfile"
)

// BenchmarkMillion writes reports of a million users and a million devices, each in a process of its own, and tells the most memory that
// this took. It must stay under 200 MB. The CSV is the one of users.
func BenchmarkMillion(b *testing.B) {
	for _, format := range []reportfile.Format{reportfile.CSV, reportfile.JSON, reportfile.XLSX, reportfile.PDF} {
		b.Run(string(format), func(b *testing.B) {
			most := int64(0)
			for b.Loop() {
				child := exec.Command(os.Args[0])
				child.Env = append(os.Environ(), formatVariable+"="+string(format))
				child.Stderr = os.Stderr
				if err := child.Run(); err != nil {
					b.Fatal(err)
				}
				most = max(most, child.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
			}
			const megabyte = 1e6
			b.ReportMetric(float64(most)/megabyte, "peak-MB")
			if most > 200*megabyte {
				b.Errorf("it took %d MB", most/megabyte)
			}
		})
	}
}
