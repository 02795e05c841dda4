//go:build linux

package xrdp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
	"calkeeper/test/machine"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

const password = "correct horse battery" // everybody's

// farm is a license server, and this machine as its session host.
type farm struct {
	*sessionHost
	t      *testing.T
	dir    string
	server *machine.Daemon
	api    *client.Client
}

// newFarm runs a license server with a number of CALs, which are not over-used, and xrdp as its session host, which counts
// sessions. mode is per-user or per-device. agent is more of agent.toml.
func newFarm(t *testing.T, mode, cals string) *farm {
	t.Helper()
	f := &farm{t: t, dir: t.TempDir()}
	for name, value := range map[string]string{
		"CALKEEPER_DIR": filepath.Join(f.dir, "ls"), "CALKEEPER_CLEARINGHOUSE_DIR": filepath.Join(f.dir, "ls", "clearinghouse"),
		"CALKEEPER_SERVER": "http://127.0.0.1:5985/wsman", "CALKEEPER_ADMIN_PASSWORD": password, "CALKEEPER_PASSWORD": password,
	} {
		t.Setenv(name, value)
	}
	f.serve()
	var err error
	if f.api, err = client.New(client.Options{URL: apiURL, User: "Administrator", Password: password}); err != nil {
		t.Fatal(err)
	}
	f.calkeeper(nil, "activate", "--first-name", "Ada", "--last-name", "Lovelace", "--company", "Example", "--country", "GB")
	productType := strings.TrimPrefix(mode, "per-")
	var sale struct {
		Credentials struct{ LicenseNumber, AuthorizationNumber string }
	}
	f.calkeeper(&sale, "clearinghouse", "sell", "--program", "open", "--product-version", "2022", "--product-type", productType, "--count", cals)
	f.calkeeper(nil, "keypack", "install", "open", "--license-number", sale.Credentials.LicenseNumber,
		"--authorization-number", sale.Credentials.AuthorizationNumber, "--product-version", "2022", "--product-type", productType, "--count", cals)
	var added wire.AddedHost
	f.calkeeper(&added, "host", "add", "rds1.example", "--version", "ws2022", "--mode", mode, "--concurrent")
	f.sessionHost = newSessionHost(t, added.Token)
	return f
}

const apiURL = "http://127.0.0.1:5985/v1"

// serve runs the license server until it is ready, for the first time or again.
func (f *farm) serve() {
	f.t.Helper()
	ready := filepath.Join(f.dir, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.t.Fatal(err)
	}
	f.server = machine.Start(f.t, nil, "calkeeper", "serve", "--embedded-clearinghouse", "--name", "ls1.example", "--listen-https", "",
		"--over-use", "deny", "--ready-file", ready)
	machine.Await(f.t, "the license server is ready", func() bool { return exists(ready) })
}

// calkeeper runs a command line, which is to succeed, and reads its JSON.
func (f *farm) calkeeper(answer any, args ...string) {
	f.t.Helper()
	cmd := exec.Command("calkeeper", append(args, "--output", "json")...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("calkeeper %v: %v\n%s%s", args, err, out, &errs)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(out, answer); err != nil {
		f.t.Fatalf("calkeeper %v: %v\n%s", args, err, out)
	}
}

// leases returns the sessions that the license server knows.
func (f *farm) leases() []wire.Lease {
	f.t.Helper()
	page, err := f.api.Leases(f.t.Context(), client.LeaseQuery{})
	if err != nil {
		f.t.Fatal(err)
	}
	return page.Leases
}

// licenses returns the CALs that are issued.
func (f *farm) licenses() (all []wire.License) {
	f.t.Helper()
	f.calkeeper(&all, "cal", "list")
	return all
}

// denials returns the requests that were refused.
func (f *farm) denials() (all []wire.Denial) {
	f.t.Helper()
	f.calkeeper(&all, "denials")
	return all
}
