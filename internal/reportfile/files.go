package reportfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"calkeeper/internal/privatefile"
)

// Target says which files to make.
type Target struct {
	Path    string
	Format  Format
	Table   string // of a CSV: one of Tables; empty for all, each in a file of its own
	Replace bool   // what is there
}

// FormatOf returns the format that the name of a file ends with, or none.
func FormatOf(path string) Format {
	switch f := Format(strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))); f {
	case CSV, XLSX, PDF, JSON:
		return f
	}
	return ""
}

// Files are files in the making. They appear under their names as a whole, durably, and only their owner may read them: who uses what,
// and when, is personal.
type Files struct {
	target Target
	parts  []part
}

// part is one file in the making.
type part struct {
	*privatefile.File
	path, table string
}

// Create begins files, before there is anything to write: a path that cannot be used is better known at once. If all tables are
// written as CSV, their names go before the ending: report.csv becomes report-users.csv and so on.
func Create(target Target) (*Files, error) {
	f := &Files{target: target}
	tables := []string{target.Table}
	if target.Format == CSV && target.Table == "" {
		tables = Tables[:]
	}
	for _, name := range tables {
		path := target.Path
		if len(tables) > 1 {
			ending := filepath.Ext(path)
			if FormatOf(path) != CSV {
				ending = ""
			}
			path = strings.TrimSuffix(path, ending) + "-" + name + ".csv"
		}
		if err := target.check(path); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		file, err := privatefile.Create(path)
		if err != nil {
			if e, ok := errors.AsType[*fs.PathError](err); ok { // of the file in the making, whose name says nothing
				err = fmt.Errorf("%s: %w", path, e.Err)
			}
			return nil, errors.Join(err, f.Close())
		}
		f.parts = append(f.parts, part{file, path, name})
	}
	return f, nil
}

// check refuses a path at which there is something that is not to be replaced.
func (t Target) check(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case !t.Replace:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	return nil
}

// Write writes a report, and returns the paths of the files, which are complete then. After an error there may be none, or some that
// are complete; Close drops the others.
func (f *Files) Write(r *Report) (paths []string, err error) {
	for _, p := range f.parts {
		if err := r.Write(p, f.target.Format, p.table); err != nil {
			return nil, err
		}
	}
	for _, p := range f.parts {
		if err := f.target.check(p.path); err != nil { // which may have come meanwhile
			return paths, err
		}
		if err := p.Commit(); err != nil {
			return paths, err
		}
		paths = append(paths, p.path)
	}
	return paths, nil
}

// Close drops what is not complete.
func (f *Files) Close() error {
	var err error
	for _, p := range f.parts {
		err = errors.Join(err, p.File.Close())
	}
	return err
}
