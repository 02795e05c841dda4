package sqlitedb

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
)

// migration is one step of the schema; its version is its index plus one.
type migration struct {
	file   string
	script string
}

// readMigrations reads the files NNNN_name.sql in the root of fsys. Anything
// else there is an error, and so are gaps, because a file that is silently
// passed over is a schema that is silently wrong.
func readMigrations(fsys fs.FS) ([]migration, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	name := regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)
	steps := make([]migration, 0, len(entries))
	for _, entry := range entries {
		match := name.FindStringSubmatch(entry.Name())
		if match == nil {
			return nil, fmt.Errorf("migrations: %q is not named NNNN_name.sql (digits; lower-case letters, digits and underscores)", entry.Name())
		}
		want := len(steps) + 1
		if version, _ := strconv.Atoi(match[1]); version != want {
			return nil, fmt.Errorf("migrations: %q found where number %04d was expected", entry.Name(), want)
		}
		script, err := fs.ReadFile(fsys, entry.Name())
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		steps = append(steps, migration{file: entry.Name(), script: string(script)})
	}
	if len(steps) == 0 {
		return nil, errors.New("migrations: there is no file")
	}
	return steps, nil
}

// migrate applies the steps that the database lacks. Foreign keys are off
// meanwhile and checked before each commit, because a table that others refer
// to cannot be rebuilt otherwise (https://sqlite.org/lang_altertable.html,
// section 7).
func (c *connection) migrate(opt Options, steps []migration) error {
	if err := c.exec("PRAGMA foreign_keys=OFF"); err != nil {
		return err
	}
	for {
		// The version is read under the write lock, so that a file that cannot
		// be written is refused here and not at the first update.
		if err := c.begin("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		version, err := c.integer("PRAGMA user_version")
		if err != nil {
			return err
		}
		switch {
		case version < 0 || version > int64(len(steps)):
			return fmt.Errorf("the schema has version %d, and this program knows versions up to %d; use the program that wrote it, or a later one: %w",
				version, len(steps), ErrNewerSchema)
		case version == int64(len(steps)):
			return c.rollback()
		}
		step := steps[version]
		if err := c.apply(opt.ApplicationID, version+1, step.script); err != nil {
			return fmt.Errorf("migration %s: %w", step.file, err)
		}
		opt.Logger.Info("schema migrated", slog.String("database", opt.Name),
			slog.String("migration", step.file), slog.Int64("version", version+1))
	}
}

// apply runs one script in the transaction that is open and commits it together
// with the version that it leads to.
func (c *connection) apply(applicationID int32, version int64, script string) error {
	if err := c.run(script); err != nil {
		return err
	}
	table, err := c.text("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1")
	if err != nil {
		return err
	}
	if table != "" {
		return fmt.Errorf("a row of table %q refers to a row that does not exist", table)
	}
	for _, statement := range []string{
		fmt.Sprintf("PRAGMA application_id=%d", applicationID),
		fmt.Sprintf("PRAGMA user_version=%d", version),
		"COMMIT",
	} {
		if err := c.exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// run executes the statements of script one after the other; an error names the
// line at which the statement begins.
func (c *connection) run(script string) error {
	c.guard.shut = true
	defer func() { c.guard.shut = false }()
	for rest := skipToStatement(script); rest != ""; rest = skipToStatement(rest) {
		line := 1 + strings.Count(script[:len(script)-len(rest)], "\n")
		stmt, trailing, err := c.PrepareTransient(rest)
		if err != nil {
			return fmt.Errorf("statement at line %d: %w", line, err)
		}
		for row := true; row && err == nil; {
			row, err = stmt.Step()
		}
		if err := errors.Join(err, stmt.Finalize()); err != nil {
			return fmt.Errorf("statement at line %d: %w", line, err)
		}
		rest = rest[len(rest)-trailing:]
	}
	return nil
}

// skipToStatement returns script without the white space, comments and
// semicolons at its beginning: SQLite makes no statement of these, and the
// binding cannot run none.
func skipToStatement(script string) string {
	for {
		script = strings.TrimLeft(script, " \t\r\n\f;")
		switch {
		case strings.HasPrefix(script, "--"):
			_, script, _ = strings.Cut(script, "\n")
		case strings.HasPrefix(script, "/*"):
			_, script, _ = strings.Cut(script, "*/")
		default:
			return script
		}
	}
}
