package reportfile_test

import (
	"fmt"
	"os"
	"testing"

	"calkeeper/internal/rapidchecks"
	"calkeeper/internal/reportfile"
)

// formatVariable makes of the test a process that writes a report of a million CALs in that format to its standard output.
const formatVariable = "REPORTFILE_TEST_FORMAT"

func TestMain(m *testing.M) {
	if format := os.Getenv(formatVariable); format != "" {
		table := ""
		if format == string(reportfile.CSV) {
			table = "users"
		}
		if err := large(1_000_000).Write(os.Stdout, reportfile.Format(format), table); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	rapidchecks.Default(50)
	os.Exit(m.Run())
}
