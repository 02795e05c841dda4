package sqlite_test

import (
	"os"
	"testing"

	"calkeeper/internal/rapidchecks"
)

// TestMain checks the model of package storetest less often than the default 100, which take minutes under the race detector.
func TestMain(m *testing.M) {
	rapidchecks.Default(40)
	os.Exit(m.Run())
}
