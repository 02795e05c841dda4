package reportfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"calkeeper/internal/rapidchecks"
	"calkeeper/internal/reportfile"
)

// formatVariable makes of the test a process that writes a report of a million users and a million devices in that format, and then
// tells on its standard output what the system says of its memory.
const formatVariable = "REPORTFILE_TEST_FORMAT"

func TestMain(m *testing.M) {
	if format := os.Getenv(formatVariable); format != "" {
		table := ""
		if format == string(reportfile.CSV) {
			table = "users"
		}
		err := large(1_000_000).Write(io.Discard, reportfile.Format(format), table)
		status, err2 := os.ReadFile("/proc/self/status")
		if err := errors.Join(err, err2); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Stdout.Write(status)
		os.Exit(0)
	}
	rapidchecks.Default(50)
	os.Exit(m.Run())
}
