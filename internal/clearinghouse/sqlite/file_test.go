package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/sqlite"
	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
)

// newLedger returns the path of a closed ledger that has two entries: a sale of 10, and an install of 4 by server/1.
func newLedger(t *testing.T) string {
	t.Helper()
	store := openNew(t)
	err := store.Update(t.Context(), func(tx clearinghouse.Tx) error {
		return errors.Join(
			tx.InsertOrganization(clearinghouse.Organization{ID: "org"}),
			tx.InsertEntitlement(clearinghouse.Entitlement{ID: "bought", Organization: "org", Program: licensing.Agreement, Number: "1234567"}),
			tx.Post(clearinghouse.Entry{Kind: "sale", Postings: clearinghouse.Move("bought", licensing.PerUser, clearinghouse.Sold, clearinghouse.Pool, 10)}),
			tx.Post(clearinghouse.Entry{Kind: "install", Postings: clearinghouse.Move("bought", licensing.PerUser, clearinghouse.Pool, clearinghouse.ServerHolder(1), 4)}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return store.path
}

// tamper runs a script on the file as any SQLite tool can, foreign keys unheeded.
func tamper(t *testing.T, path, script string) error {
	t.Helper()
	conn, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	return sqlitex.ExecuteScript(conn, script, nil)
}

func TestAppendOnly(t *testing.T) {
	path := newLedger(t)
	for _, statement := range []string{
		`UPDATE entries SET actor = 'nobody'`,
		`UPDATE entries SET seq = seq + 10`,
		`DELETE FROM entries WHERE seq = 2`,
		`INSERT OR REPLACE INTO entries (seq, kind, key, actor) VALUES (2, 'sale', '', '')`,
		`REPLACE INTO entries (seq, kind, key, actor) VALUES (1, 'sale', '', '')`,
		`UPDATE postings SET delta = 0`,
		`UPDATE OR IGNORE postings SET line = 2 WHERE line = 1`,
		`DELETE FROM postings`,
		`INSERT OR REPLACE INTO postings (entry, line, entitlement, product_type, holder, delta) VALUES (1, 1, 'bought', 1, 'sold', -20)`,
		`INSERT INTO postings (entry, line, entitlement, product_type, holder, delta) VALUES (2, 2, 'bought', 1, 'pool', 1)
			ON CONFLICT DO UPDATE SET delta = 1`,
	} {
		err := tamper(t, path, statement)
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: got %v, want a refusal because the table is append-only", statement, err)
		}
	}
	expectCheck(t, path)
}

func TestBalanceNeverNegative(t *testing.T) {
	path := newLedger(t)
	for _, statement := range []string{
		`UPDATE balances SET quantity = -1 WHERE holder = 'pool'`,
		`INSERT INTO balances VALUES ('bought', 0, 'server/2', -1)`,
	} {
		if err := tamper(t, path, statement); zombiezen.ErrCode(err) != zombiezen.ResultConstraintCheck {
			t.Errorf("%s: got %v, want a refusal by a CHECK", statement, err)
		}
	}
	expectCheck(t, path)
}

// expectCheck opens the ledger and compares what Check says.
func expectCheck(t *testing.T, path string, want ...string) {
	t.Helper()
	store := openAt(t, path)
	err := store.View(t.Context(), func(r clearinghouse.Reader) error {
		got, err := r.Check()
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("Check:\n got %q\nwant %q", got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCheckFindsCorruption(t *testing.T) {
	const untied = `DROP TRIGGER postings_no_update; DROP TRIGGER postings_no_delete; DROP TRIGGER entries_no_delete; `
	const server = `the account server/1 of the entitlement "bought", per user,`
	const pool = `the account pool of the entitlement "bought", per user,`
	for _, c := range []struct {
		name, script string
		want         []string
	}{
		{"a balance too high", `UPDATE balances SET quantity = 5 WHERE holder = 'server/1'`, []string{
			server + " has the balance 5, but its postings sum to 4",
			`the balances of the entitlement "bought" sum to +1, not to zero`,
		}},
		{"balances moved", `UPDATE balances SET quantity = quantity + 2 WHERE holder = 'server/1';
			UPDATE balances SET quantity = quantity - 2 WHERE holder = 'pool'`, []string{
			pool + " has the balance 4, but its postings sum to 6",
			server + " has the balance 6, but its postings sum to 4",
		}},
		{"a balance removed", `DELETE FROM balances WHERE holder = 'server/1'`, []string{
			server + " has the balance 0, but its postings sum to 4",
			`the balances of the entitlement "bought" sum to -4, not to zero`,
		}},
		{"a balance invented", `INSERT INTO balances VALUES ('bought', 0, 'server/2', 3)`, []string{
			`the account server/2 of the entitlement "bought", per device, has the balance 3, but its postings sum to 0`,
			`the balances of the entitlement "bought" sum to +3, not to zero`,
		}},
		{"a posting changed", untied + `UPDATE postings SET delta = 14 WHERE entry = 2 AND delta > 0`, []string{
			server + " has the balance 4, but its postings sum to 14",
			`the postings of entry 2 to the entitlement "bought" sum to +10, not to zero`,
		}},
		{"a posting and its balance changed", untied + `UPDATE postings SET delta = 3 WHERE entry = 2 AND delta > 0;
			UPDATE balances SET quantity = 3 WHERE holder = 'server/1'`, []string{
			`the postings of entry 2 to the entitlement "bought" sum to -1, not to zero`,
			`the balances of the entitlement "bought" sum to -1, not to zero`,
		}},
		{"a negative balance that sums to zero", untied + `PRAGMA ignore_check_constraints = ON;
			UPDATE postings SET delta = delta * 3 WHERE entry = 2;
			UPDATE balances SET quantity = 12 WHERE holder = 'server/1'; UPDATE balances SET quantity = -2 WHERE holder = 'pool'`, []string{
			pool + " has the negative balance -2",
		}},
		{"an entry removed, its postings kept", untied + `DELETE FROM entries WHERE seq = 2`, []string{
			"rows of the table postings refer to rows of entries that are not there: 2 of them",
		}},
		{"an entitlement removed", `DELETE FROM entitlements`, []string{
			"rows of the table balances refer to rows of entitlements that are not there: 3 of them",
			"rows of the table postings refer to rows of entitlements that are not there: 4 of them",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := newLedger(t)
			expectCheck(t, path)
			copied := filepath.Join(t.TempDir(), "tampered.db")
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(copied, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tamper(t, copied, c.script); err != nil {
				t.Fatal(err)
			}
			expectCheck(t, copied, c.want...)
		})
	}
}

func TestCheckReportsWhatCannotBeCounted(t *testing.T) {
	path := newLedger(t)
	if err := tamper(t, path, fmt.Sprintf(`UPDATE balances SET quantity = %d WHERE holder <> 'sold'`, int64(1)<<62+1)); err != nil {
		t.Fatal(err)
	}
	store := openAt(t, path)
	err := store.View(t.Context(), func(r clearinghouse.Reader) error {
		_, err := r.Check()
		return err
	})
	if err == nil || licensing.KindOf(err) != licensing.Internal {
		t.Errorf("Check of balances whose sum overflows returned %v", err)
	}
}

// TestPostIntoCorruptLedger holds the schema to what Post relies on: it cannot make a bad balance worse.
func TestPostIntoCorruptLedger(t *testing.T) {
	path := newLedger(t)
	err := tamper(t, path, `PRAGMA ignore_check_constraints = ON; UPDATE balances SET quantity = -2 WHERE holder = 'pool'`)
	if err != nil {
		t.Fatal(err)
	}
	store := openAt(t, path)
	err = store.Update(t.Context(), func(tx clearinghouse.Tx) error {
		return tx.Post(clearinghouse.Entry{Kind: "return", Postings: clearinghouse.Move("bought", licensing.PerUser, clearinghouse.ServerHolder(1), clearinghouse.Pool, 1)})
	})
	if licensing.KindOf(err) != licensing.OutOfRange {
		t.Errorf("Post to a balance that stays negative returned %v", err)
	}
}

func TestConstraints(t *testing.T) {
	store := openNew(t)
	var id uint32
	retail := clearinghouse.Entitlement{ID: "bought", Organization: "org", Program: licensing.Retail, Number: "ABCDE", SecretHash: []byte("hash")}
	err := store.Update(t.Context(), func(tx clearinghouse.Tx) (err error) {
		if err := tx.InsertOrganization(clearinghouse.Organization{ID: "org"}); err != nil {
			return err
		}
		if err := tx.InsertEntitlement(retail); err != nil {
			return err
		}
		id, err = tx.InsertServer(clearinghouse.Server{ProductID: "product", State: clearinghouse.ServerWaiting})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "ABCDEFGHJKMNPQRSTVWXYZ234"
	code := clearinghouse.Code{Serial: 1, FirstGroup: "ABCDE", Entitlement: "bought", Count: 1, Target: id, State: clearinghouse.CodeIssued}
	entitlement := func(change func(*clearinghouse.Entitlement)) func(clearinghouse.Tx) error {
		e := retail
		e.ID, e.SecretHash = "other", []byte("other hash")
		change(&e)
		return func(tx clearinghouse.Tx) error { return tx.InsertEntitlement(e) }
	}
	insertCode := func(change func(*clearinghouse.Code)) func(clearinghouse.Tx) error {
		c := code
		change(&c)
		return func(tx clearinghouse.Tx) error { return tx.InsertCode(c) }
	}
	for what, write := range map[string]func(clearinghouse.Tx) error{
		"a whole retail code":                 entitlement(func(e *clearinghouse.Entitlement) { e.Number = secret }),
		"a retail entitlement without a hash": entitlement(func(e *clearinghouse.Entitlement) { e.SecretHash = nil }),
		"an open entitlement without a hash":  entitlement(func(e *clearinghouse.Entitlement) { e.Program, e.SecretHash = licensing.Open, nil }),
		"a program that is none":              entitlement(func(e *clearinghouse.Entitlement) { e.Program = "stolen" }),
		"an entitlement without an ID":        entitlement(func(e *clearinghouse.Entitlement) { e.ID = "" }),
		"a whole offline code":                insertCode(func(c *clearinghouse.Code) { c.FirstGroup = secret }),
		"a code of no CALs":                   insertCode(func(c *clearinghouse.Code) { c.Count = 0 }),
		"a code with the serial 0":            insertCode(func(c *clearinghouse.Code) { c.Serial = 0 }),
		"an import code without a source":     insertCode(func(c *clearinghouse.Code) { c.Import = true }),
		"an install code with a source":       insertCode(func(c *clearinghouse.Code) { c.Source = id }),
		"a code in no state":                  insertCode(func(c *clearinghouse.Code) { c.State = "" }),
		"a code of built-in CALs":             insertCode(func(c *clearinghouse.Code) { c.ProductType = licensing.BuiltIn }),
		"a server in no state": func(tx clearinghouse.Tx) error {
			_, err := tx.InsertServer(clearinghouse.Server{ProductID: "p"})
			return err
		},
		"a server without a product ID": func(tx clearinghouse.Tx) error {
			return tx.UpdateServer(clearinghouse.Server{ID: id, State: clearinghouse.ServerWaiting})
		},
		"a sequence number that is no integer": func(tx clearinghouse.Tx) error {
			return tx.InsertNotice(clearinghouse.QueuedNotice{Server: id, Seq: 1 << 63})
		},
		"a notice with the number 0": func(tx clearinghouse.Tx) error { return tx.InsertNotice(clearinghouse.QueuedNotice{Server: id}) },
		"a transfer of no CALs": func(tx clearinghouse.Tx) error {
			return tx.InsertTransfer(clearinghouse.Transfer{Key: "key", Entitlement: "bought", Source: id, Target: id})
		},
		"a settled operation without a key": func(tx clearinghouse.Tx) error { return tx.InsertSettled(clearinghouse.Settled{Server: id}) },
	} {
		err := store.Update(t.Context(), write)
		var fault *licensing.Fault
		if !errors.As(err, &fault) || fault.Kind != licensing.Internal || zombiezen.ErrCode(err) != zombiezen.ResultConstraintCheck {
			t.Errorf("%s: got %v, want an Internal fault from a CHECK", what, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error has the code in it: %v", what, err)
		}
	}
}

func TestUnreadableServer(t *testing.T) {
	path := newLedger(t)
	err := tamper(t, path, `INSERT INTO servers (product_id, name, names, contact, state, notice_seq, acked_seq)
		VALUES ('product', 'name', '[1]', '{}', 'waiting', 0, 0)`)
	if err != nil {
		t.Fatal(err)
	}
	store := openAt(t, path)
	err = store.View(t.Context(), func(r clearinghouse.Reader) error {
		servers, err := r.Servers("")
		if len(servers) > 0 {
			t.Errorf("Servers returned %+v", servers)
		}
		return err
	})
	var fault *licensing.Fault
	if !errors.As(err, &fault) || fault.Kind != licensing.Internal {
		t.Errorf("Servers with names that are no texts returned %v, want an Internal fault", err)
	}
}

func TestSerialsEnd(t *testing.T) {
	path := newLedger(t)
	if err := tamper(t, path, `UPDATE serials SET last = 4294967294`); err != nil {
		t.Fatal(err)
	}
	store := openAt(t, path)
	var serial uint32
	next := func(tx clearinghouse.Tx) (err error) {
		serial, err = tx.NextSerial()
		return err
	}
	if err := store.Update(t.Context(), next); err != nil || serial != 4294967295 {
		t.Errorf("NextSerial returned %d, %v, want 4294967295", serial, err)
	}
	if err := store.Update(t.Context(), next); licensing.KindOf(err) != licensing.OutOfRange {
		t.Errorf("NextSerial after the last one returned %d, %v, want OutOfRange", serial, err)
	}
}

func TestMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // its files have no such mode
	}
	store := openNew(t)
	copied := filepath.Join(t.TempDir(), "copy.db")
	err := store.Update(t.Context(), func(tx clearinghouse.Tx) error { return tx.InsertOrganization(clearinghouse.Organization{ID: "org"}) })
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{store.path, store.path + "-wal", copied} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %o, want 600", filepath.Base(path), info.Mode().Perm())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         error
	}{
		{"a file of another program", `PRAGMA application_id = 7; CREATE TABLE t (x)`, sqlitedb.ErrForeign},
		{"a database without an application ID", `CREATE TABLE t (x)`, sqlitedb.ErrForeign},
		{"a newer schema", fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = 1000`, sqlite.ApplicationID), sqlitedb.ErrNewerSchema},
	} {
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := tamper(t, path, c.script); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: Open returned %v, want %v", c.name, err, c.want)
		}
		if err == nil {
			store.Close()
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.want == sqlitedb.ErrForeign && string(before) != string(after) {
			t.Errorf("%s: Open changed the file", c.name)
		}
	}

	path := openNew(t).path
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{}); !errors.Is(err, sqlitedb.ErrInUse) {
		t.Errorf("a ledger that is open: Open returned %v, want %v", err, sqlitedb.ErrInUse)
	}
}
