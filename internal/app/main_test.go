package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"calkeeper/internal/app"
)

// openElsewhere names the directory that this process, started by a test, opens instead of running tests.
const openElsewhere = "CALKEEPER_TEST_OPEN"

func TestMain(m *testing.M) {
	dir := os.Getenv(openElsewhere)
	if dir == "" {
		os.Exit(m.Run())
	}
	l, err := app.OpenLicenseServer(context.Background(), app.LicenseServerOptions{
		Dir: dir, Name: "elsewhere.farm.example", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Print(err)
		os.Exit(7)
	}
	if err := l.Stop(context.Background()); err != nil {
		fmt.Print(err)
		os.Exit(1)
	}
	fmt.Print("opened")
	os.Exit(0)
}
