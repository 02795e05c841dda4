package reportfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"calkeeper/internal/reportfile"
)

// inDir returns what is in a directory: names and contents. Files that others may read are an error.
func inDir(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		if found[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// save writes a report as files.
func save(target reportfile.Target, r *reportfile.Report) (paths []string, err error) {
	files, err := reportfile.Create(target)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	return files.Write(r)
}

func TestFiles(t *testing.T) {
	for _, test := range []struct {
		target reportfile.Target
		names  []string
	}{
		{reportfile.Target{Path: "report.json", Format: reportfile.JSON}, []string{"report.json"}},
		{reportfile.Target{Path: "report", Format: reportfile.XLSX}, []string{"report"}},
		{reportfile.Target{Path: "r.pdf", Format: reportfile.PDF}, []string{"r.pdf"}},
		{reportfile.Target{Path: "users.csv", Format: reportfile.CSV, Table: "users"}, []string{"users.csv"}},
		{
			reportfile.Target{Path: "november.csv", Format: reportfile.CSV},
			[]string{"november-summary.csv", "november-failed-domains.csv", "november-users.csv", "november-devices.csv", "november-failed-users.csv"},
		},
		{
			reportfile.Target{Path: "2026.11", Format: reportfile.CSV},
			[]string{"2026.11-summary.csv", "2026.11-failed-domains.csv", "2026.11-users.csv", "2026.11-devices.csv", "2026.11-failed-users.csv"},
		},
	} {
		dir := t.TempDir()
		target := test.target
		target.Path = filepath.Join(dir, target.Path)
		paths, err := save(target, sample())
		if err != nil {
			t.Fatal(err)
		}
		found := inDir(t, dir)
		if len(found) != len(test.names) || len(paths) != len(test.names) {
			t.Errorf("%+v: %d files, and the paths %q", test.target, len(found), paths)
		}
		for i, name := range test.names {
			table := target.Table
			if len(test.names) > 1 {
				table = reportfile.Tables[i]
			}
			if want := written(t, sample(), target.Format, table); target.Format != reportfile.XLSX && !bytes.Equal(found[name], want) || len(found[name]) == 0 {
				t.Errorf("%+v: %s has %d bytes, want %d", test.target, name, len(found[name]), len(want))
			}
			if paths[i] != filepath.Join(dir, name) {
				t.Errorf("%+v: path %d is %s, want %s", test.target, i, paths[i], name)
			}
		}
		before := found
		// What is there is replaced only if that is asked for.
		if _, err := save(target, new(reportfile.Report)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%+v: what is there was replaced: %v", test.target, err)
		}
		target.Replace = true
		r := sample()
		r.Users, r.Devices = broken(r.Users), broken(r.Devices)
		if _, err := save(target, r); !errors.Is(err, errBroken) {
			t.Errorf("%+v: %v", test.target, err)
		}
		for name, text := range inDir(t, dir) {
			if !bytes.Equal(text, before[name]) {
				t.Errorf("%+v: after a list broke off, %s is another", test.target, name)
			}
		}
		if _, err := save(target, new(reportfile.Report)); err != nil {
			t.Errorf("%+v: %v", test.target, err)
		}
		after := inDir(t, dir)
		for _, name := range test.names {
			if len(after[name]) == 0 || bytes.Equal(after[name], before[name]) {
				t.Errorf("%+v: %s was not replaced", test.target, name)
			}
		}
	}
}

// TestFilesThatCannotBe tells what is wrong before anything is read, and leaves nothing.
func TestFilesThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there-users.csv"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.pdf"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("there-users.csv", filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	for _, target := range []reportfile.Target{
		{Path: "there.csv", Format: reportfile.CSV},
		{Path: "there-users.csv", Format: reportfile.CSV, Table: "users"},
		{Path: "none/report.pdf", Format: reportfile.PDF, Replace: true},
		{Path: "dir.pdf", Format: reportfile.PDF, Replace: true},
		{Path: "link.json", Format: reportfile.JSON, Replace: true},
		{Path: "there-users.csv/report.pdf", Format: reportfile.PDF, Replace: true},
	} {
		target.Path = filepath.Join(dir, target.Path)
		if _, err := reportfile.Create(target); err == nil {
			t.Errorf("%+v was begun", target)
		}
	}
	// What comes while the report is written is not replaced either.
	late := reportfile.Target{Path: filepath.Join(dir, "late.csv"), Format: reportfile.CSV}
	files, err := reportfile.Create(late)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "late-users.csv"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	paths, err := files.Write(sample())
	if !errors.Is(err, fs.ErrExist) || len(paths) != 2 {
		t.Errorf("a file that came meanwhile was replaced: %q, %v", paths, err)
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"dir.pdf", "late-failed-domains.csv", "late-summary.csv", "late-users.csv", "link.json", "there-users.csv"}; !slices.Equal(names, want) {
		t.Errorf("there are %q, want %q", names, want)
	}
	for _, name := range []string{"late-users.csv", "there-users.csv"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != "old" {
			t.Errorf("%s has %q, %v", name, text, err)
		}
	}
}
