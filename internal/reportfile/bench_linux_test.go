package reportfile_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"calkeeper/internal/reportfile"
)

// BenchmarkMillion writes reports of a million users and a million devices, each in a process of its own, and tells the most memory that
// this took. It must stay under 200 MB. The CSV is the one of users.
func BenchmarkMillion(b *testing.B) {
	for _, format := range []reportfile.Format{reportfile.CSV, reportfile.JSON, reportfile.XLSX, reportfile.PDF} {
		b.Run(string(format), func(b *testing.B) {
			most := 0.0
			for b.Loop() {
				child := exec.Command(os.Args[0])
				child.Env = append(os.Environ(), formatVariable+"="+string(format))
				child.Stderr = os.Stderr
				status, err := child.Output()
				if err != nil {
					b.Fatal(err)
				}
				var kilobytes float64
				_, peak, _ := bytes.Cut(status, []byte("\nVmHWM:"))
				if _, err := fmt.Sscan(string(peak), &kilobytes); err != nil {
					b.Fatal(err)
				}
				most = max(most, kilobytes*1024/1e6)
			}
			b.ReportMetric(most, "peak-MB")
			if most > 200 {
				b.Errorf("it took %.0f MB", most)
			}
		})
	}
}
