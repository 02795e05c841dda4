package sqlitedb_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/sqlitedb"
)

// migrated opens path with the migrations given, hands the database to check
// and closes it.
func migrated(t *testing.T, path string, migrations fstest.MapFS, check func(*sqlitedb.DB)) {
	t.Helper()
	opt := options()
	opt.Migrations = migrations
	db, err := sqlitedb.Open(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	check(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	first := "CREATE TABLE a (x); INSERT INTO a VALUES (1);"
	second := "ALTER TABLE a ADD COLUMN y DEFAULT 5;"
	third := "/* a comment */ ;; -- another\nUPDATE a SET x = x + y; SELECT 1 UNION SELECT 2;;\n-- a third; at the end\n/* open"

	migrated(t, path, files(first), func(db *sqlitedb.DB) {
		if v := number(t, db, "PRAGMA user_version"); v != 1 {
			t.Errorf("version %d after the first migration", v)
		}
	})
	for range 2 {
		migrated(t, path, files(first, second, third), func(db *sqlitedb.DB) {
			if v := number(t, db, "PRAGMA user_version"); v != 3 {
				t.Errorf("version %d after three migrations", v)
			}
			if x := number(t, db, "SELECT sum(x) FROM a"); x != 6 {
				t.Errorf("x is %d: a migration ran twice or never", x)
			}
		})
	}

	opt := options()
	opt.Migrations = files(first, second)
	_, err := sqlitedb.Open(t.Context(), path, opt)
	if !errors.Is(err, sqlitedb.ErrNewerSchema) || !strings.Contains(err.Error(), "version 3, and this program knows versions up to 2") {
		t.Errorf("an older program opened the database: %v", err)
	}
}

func TestBrokenMigrationChangesNothing(t *testing.T) {
	const good = "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id REFERENCES parent);"
	tests := []struct{ name, script, want string }{
		{"syntax", "-- why\nCREATE TABLE b (x);\n\nCREATE TABEL c (x);", "statement at line 4:"},
		{"constraint", "CREATE TABLE b (x UNIQUE); INSERT INTO b VALUES (1), (1);", "UNIQUE constraint failed"},
		{"foreign key", "CREATE TABLE b (x); INSERT INTO child VALUES (1);", `a row of table "child"`},
		{"own commit", "CREATE TABLE b (x); COMMIT; CREATE TABLE c (x);", "not authorized"},
		{"own rollback", "CREATE TABLE b (x); ROLLBACK;", "not authorized"},
		{"attach", "CREATE TABLE b (x); ATTACH 'other.db' AS other;", "not authorized"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			migrated(t, path, files(good), func(*sqlitedb.DB) {})
			opt := options()
			opt.Migrations = files(good, test.script)
			_, err := sqlitedb.Open(t.Context(), path, opt)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "0002_a.sql") {
				t.Fatalf("Open: %v, want %q", err, test.want)
			}
			migrated(t, path, files(good), func(db *sqlitedb.DB) {
				if n := number(t, db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('b', 'c')"); n != 0 {
					t.Errorf("%d tables of the broken migration are there", n)
				}
				if v := number(t, db, "PRAGMA user_version"); v != 1 {
					t.Errorf("version %d after the broken migration", v)
				}
			})
			migrated(t, path, files(good, "CREATE TABLE b (x);"), func(db *sqlitedb.DB) {
				if v := number(t, db, "PRAGMA user_version"); v != 2 {
					t.Errorf("version %d after the corrected migration", v)
				}
			})
		})
	}
}

// TestMigrationRebuildsReferencedTable does what foreign keys would forbid if
// they were on during a migration, and checks that they are on afterwards.
func TestMigrationRebuildsReferencedTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	migrations := files(`
		CREATE TABLE parent (id INTEGER PRIMARY KEY);
		CREATE TABLE child (id INTEGER REFERENCES parent ON DELETE CASCADE);
		INSERT INTO parent VALUES (1);
		INSERT INTO child VALUES (1);
	`, `
		CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT);
		INSERT INTO new_parent (id) SELECT id FROM parent;
		DROP TABLE parent;
		ALTER TABLE new_parent RENAME TO parent;
	`)
	migrated(t, path, migrations, func(db *sqlitedb.DB) {
		if n := number(t, db, "SELECT count(*) FROM child"); n != 1 {
			t.Errorf("%d rows refer to the table that was rebuilt, not 1", n)
		}
		err := db.Update(t.Context(), func(conn *sqlite.Conn) error {
			return sqlitex.Execute(conn, "INSERT INTO child VALUES (2)", nil)
		})
		if sqlite.ErrCode(err) != sqlite.ResultConstraintForeignKey {
			t.Errorf("foreign keys after the migration: %v", err)
		}
	})
}

func TestMigrationNames(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("CREATE TABLE a (x)")}
	tests := []struct {
		names []string
		want  string
	}{
		{nil, "there is no file"},
		{[]string{"0001_a.sql", "0003_c.sql"}, `"0003_c.sql" found where number 0002 was expected`},
		{[]string{"0002_b.sql"}, "number 0001 was expected"},
		{[]string{"0001_a.sql", "0001_b.sql"}, "number 0002 was expected"},
		{[]string{"0000_a.sql"}, "number 0001 was expected"},
		{[]string{"1_a.sql"}, "is not named NNNN_name.sql"},
		{[]string{"0001_a.sql", "README.md"}, `"README.md" is not named NNNN_name.sql`},
		{[]string{"0001_A.sql"}, "is not named NNNN_name.sql"},
		{[]string{"migrations/0001_a.sql"}, `"migrations" is not named NNNN_name.sql`},
	}
	for _, test := range tests {
		opt := options()
		migrations := fstest.MapFS{}
		for _, name := range test.names {
			migrations[name] = file
		}
		opt.Migrations = migrations
		_, err := sqlitedb.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), opt)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.names, err, test.want)
		}
	}
}
