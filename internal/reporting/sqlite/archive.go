// Package sqlite keeps the entries of each report in an SQLite file of its own, which never changes once it is there. It
// implements the port reporting.Archive. A report of a million CALs takes some seconds to write and some 40 MB: in the license
// server's own database it would hold up those who issue CALs, and leave a hole when it is deleted.
package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/licensing"
	"calkeeper/internal/privatefile"
	"calkeeper/internal/reporting"
)

// applicationID marks a file as the entries of a report: "CKRE" in ASCII (https://sqlite.org/pragma.html#pragma_application_id).
const applicationID = 0x434B5245

const (
	suffix      = ".db"
	draftPrefix = ".draft-"
)

// The indexes of all lists begin at 1, so that a portion is a range of the primary key. Instants are microseconds since 1970.
const schema = `
	CREATE TABLE summary (id INTEGER PRIMARY KEY, product_version INTEGER NOT NULL, product_type INTEGER NOT NULL,
		installed INTEGER NOT NULL, issued INTEGER NOT NULL) STRICT;
	CREATE TABLE user_cal (id INTEGER PRIMARY KEY, user TEXT NOT NULL, product_version INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;
	CREATE TABLE device_cal (id INTEGER PRIMARY KEY, device_id TEXT NOT NULL, device_name TEXT NOT NULL, product_version INTEGER NOT NULL,
		expires INTEGER NOT NULL) STRICT;
	CREATE TABLE failing (key TEXT PRIMARY KEY NOT NULL, domain TEXT NOT NULL, user TEXT NOT NULL, product_version INTEGER NOT NULL,
		tried INTEGER NOT NULL) STRICT, WITHOUT ROWID;
	CREATE TABLE failed_user (id INTEGER PRIMARY KEY, user TEXT NOT NULL, product_version INTEGER NOT NULL, tried INTEGER NOT NULL) STRICT;
	CREATE TABLE failed_domain (id INTEGER PRIMARY KEY, domain TEXT NOT NULL, failed INTEGER NOT NULL) STRICT;`

// finish numbers the failed users, which were kept by key until then.
const finish = `
	INSERT INTO failed_user SELECT row_number() OVER (ORDER BY key), user, product_version, tried FROM failing ORDER BY key;
	INSERT INTO failed_domain SELECT row_number() OVER (ORDER BY domain), domain, count(*) FROM failing GROUP BY domain ORDER BY domain;
	DROP TABLE failing;`

// Archive is a directory of reports.
type Archive struct{ dir string }

var _ reporting.Archive = (*Archive)(nil)

// New returns the archive in a directory. The first report makes it with mode 0700, if it is not there: reports name people.
func New(dir string) *Archive { return &Archive{dir: dir} }

// path returns where the entries of a report are. A name that is none of a file in the directory has no entries.
func (a *Archive) path(fileName string) (string, error) {
	if fileName == "" || strings.HasPrefix(fileName, ".") || !filepath.IsLocal(fileName) || filepath.Base(fileName) != fileName {
		return "", licensing.Faultf(licensing.NotFound, "there is no report %.64q", fileName)
	}
	return filepath.Join(a.dir, fileName+suffix), nil
}

// FileNames returns the reports that are there, and removes drafts that were not finished.
func (a *Archive) FileNames() ([]string, error) {
	found, err := os.ReadDir(a.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, f := range found {
		if strings.HasPrefix(f.Name(), draftPrefix) {
			if err := os.Remove(filepath.Join(a.dir, f.Name())); err != nil {
				return nil, err
			}
		} else if name, ok := strings.CutSuffix(f.Name(), suffix); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// Delete removes the entries of a report; what is not there is no error.
func (a *Archive) Delete(fileName string) error {
	path, err := a.path(fileName)
	if err != nil {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Create begins a report.
func (a *Archive) Create(fileName string) (_ reporting.Draft, err error) {
	path, err := a.path(fileName)
	if err != nil {
		return nil, licensing.Faultf(licensing.Invalid, "%.64q is no file name", fileName)
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, licensing.Faultf(licensing.AlreadyExists, "there is a report %.64q already", fileName)
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, err
	}
	// SQLite would make the file readable by others.
	f, err := os.CreateTemp(a.dir, draftPrefix+"*")
	if err != nil {
		return nil, err
	}
	d := &draft{path: path, temporary: f.Name()}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := f.Close(); err != nil {
		return nil, err
	}
	if d.conn, err = sqlite.OpenConn(d.temporary, sqlite.OpenReadWrite); err != nil {
		return nil, err
	}
	// Nobody reads the file before it is whole, and one that is not is thrown away: there is nothing to roll back.
	for _, statement := range []string{
		"PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA locking_mode=EXCLUSIVE", fmt.Sprint("PRAGMA application_id=", applicationID), "BEGIN",
	} {
		if err := sqlitex.ExecuteTransient(d.conn, statement, nil); err != nil {
			return nil, err
		}
	}
	return d, sqlitex.ExecuteScript(d.conn, schema, nil)
}

// Open opens a report.
func (a *Archive) Open(fileName string) (reporting.Entries, error) {
	path, err := a.path(fileName)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, licensing.Faultf(licensing.NotFound, "the entries of the report %.64q are missing", fileName)
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, fmt.Errorf("open the report %s: %w", fileName, err)
	}
	return &entries{conn}, nil
}

// draft is a report in the making.
type draft struct {
	conn            *sqlite.Conn // nil once committed or closed
	path, temporary string
}

// insert runs one statement with these values: numbers and texts.
func (d *draft) insert(query string, values ...any) error {
	stmt, err := d.conn.Prepare(query)
	if err != nil {
		return err
	}
	for i, v := range values {
		switch v := v.(type) {
		case string:
			stmt.BindText(i+1, v)
		case uint32:
			stmt.BindInt64(i+1, int64(v))
		case int64:
			stmt.BindInt64(i+1, v)
		default:
			return fmt.Errorf("a %T cannot be bound", v)
		}
	}
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}

// AddSummary adds the counts of a version and type.
func (d *draft) AddSummary(e reporting.SummaryEntry) error {
	return d.insert(`INSERT INTO summary (product_version, product_type, installed, issued) VALUES (?, ?, ?, ?)`,
		uint32(e.ProductVersion), uint32(e.ProductType), e.Installed, e.Issued)
}

// AddUser adds a per user CAL.
func (d *draft) AddUser(e reporting.UserEntry) error {
	return d.insert(`INSERT INTO user_cal (user, product_version, expires) VALUES (?, ?, ?)`, e.User, uint32(e.ProductVersion), e.Expires.UnixMicro())
}

// AddDevice adds a per device CAL.
func (d *draft) AddDevice(e reporting.DeviceEntry) error {
	return d.insert(`INSERT INTO device_cal (device_id, device_name, product_version, expires) VALUES (?, ?, ?, ?)`,
		e.Device.ID, e.Device.Name, uint32(e.ProductVersion), e.Expires.UnixMicro())
}

// PutFailedUser keeps the entry of a user in place of an earlier one.
func (d *draft) PutFailedUser(key, domain string, e reporting.FailedUserEntry) error {
	return d.insert(`INSERT INTO failing (key, domain, user, product_version, tried) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (key) DO UPDATE SET (domain, user, product_version, tried) = (?2, ?3, ?4, ?5)`,
		key, domain, e.User, uint32(e.ProductVersion), e.Tried.UnixMicro())
}

// Commit makes the report durable under its name.
func (d *draft) Commit() error {
	if err := sqlitex.ExecuteScript(d.conn, finish, nil); err != nil {
		return err
	}
	if err := sqlitex.ExecuteTransient(d.conn, "COMMIT", nil); err != nil {
		return err
	}
	conn := d.conn
	d.conn = nil
	if err := conn.Close(); err != nil {
		return err
	}
	if err := privatefile.Publish(d.temporary, d.path); err != nil {
		return err
	}
	d.temporary = ""
	return nil
}

// Close drops a report that is not committed.
func (d *draft) Close() (err error) {
	if d.conn != nil {
		err = d.conn.Close()
		d.conn = nil
	}
	if d.temporary != "" {
		err = errors.Join(err, os.Remove(d.temporary))
		d.temporary = ""
	}
	return err
}
