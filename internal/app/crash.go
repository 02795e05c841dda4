//go:build crashtest

package app

import (
	"os"
	"syscall"
)

// crashStep kills the process, as a power cut would, at the step of a transfer that CALKEEPER_CRASH_AT names. Only binaries
// built for the crash tests have it.
func crashStep(step string) {
	if step == os.Getenv("CALKEEPER_CRASH_AT") {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
