package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkExportMillion exports a report of a million CALs over WS-Management, each time in a process of its own, and tells the most
// memory that this took. It must stay under 200 MB.
func BenchmarkExportMillion(b *testing.B) {
	s := &reportServer{users: 500_000, devices: 500_000, end: noMoreData}
	server := s.start(b)
	if _, err := s.generate(b.Context(), fakeNothing{}); err != nil {
		b.Fatal(err)
	}
	for _, format := range []string{"csv", "json", "xlsx", "pdf"} {
		b.Run(format, func(b *testing.B) {
			most := 0.0
			for b.Loop() {
				cmd := exec.Command("calkeeper", "report", "export", "Report-1", "--server", server, "--file", filepath.Join(b.TempDir(), "usage."+format), "--force")
				cmd.Env = append(os.Environ(), passwordVariable+"=correct-horse")
				var says bytes.Buffer
				cmd.Stderr = &says
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				for running := true; running; {
					select {
					case err := <-ended:
						if running = false; err != nil {
							b.Fatalf("%v\n%s", err, &says)
						}
					case <-time.After(10 * time.Millisecond):
						most = max(most, peak(cmd.Process.Pid))
					}
				}
			}
			b.ReportMetric(most, "peak-MB")
			if most == 0 || most > 200 {
				b.Errorf("it took %.0f MB", most)
			}
		})
	}
}

// peak returns the most memory that a process has had so far, in megabytes; 0 if there is none. (What the kernel says when it has ended
// includes what the process had that started it.)
func peak(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	var kilobytes float64
	if _, line, ok := bytes.Cut(status, []byte("\nVmHWM:")); ok {
		_, _ = fmt.Sscan(string(line), &kilobytes)
	}
	return kilobytes * 1024 / 1e6
}
