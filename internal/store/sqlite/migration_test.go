package sqlite_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	sqlite3 "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// contentOfVersion1 is what a license server of the first release may have stored; key pack 4 was removed.
const contentOfVersion1 = `
	INSERT INTO server VALUES (1, 'product', 'ABCDEFGHJKMNPQRSTVWXYZ0123456789ABC', 1772366400123456, 'Ada', '', '', '', '', '', '', '', '', '', 2, 17);
	INSERT INTO key_pack VALUES (3, 2, 7, 1, 100, 12, 3, 1772366400000000, 2145960000000000, 'entitlement', 'code', 'flag');
	INSERT INTO key_pack VALUES (4, 0, 2, 0, 4294967295, 0, 0, NULL, NULL, '', '', '');
	DELETE FROM key_pack WHERE id = 4;
	INSERT INTO operation VALUES (8, 'key', 'import', x'00ff', 3, 1772366400000000);
	INSERT INTO document VALUES (2, 3, 'grant', x'7b7d', x'00', 1772366400000000);
	INSERT INTO used_serial VALUES (4294967295);
	INSERT INTO audit_record VALUES (5, 1772366400000000, 'EXAMPLE\ada', 'install', 3, 100, 'detail');`

// version1 makes a database of the first release.
func version1(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "licenses.db")
	script, err := os.ReadFile(filepath.Join("migrations", "0001_license_server.sql"))
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, path)
	if err := sqlitex.ExecuteScript(conn, string(script)+contentOfVersion1, nil); err != nil {
		t.Fatal(err)
	}
	execute(t, conn, fmt.Sprintf("PRAGMA application_id = %d", sqlite.ApplicationID))
	execute(t, conn, "PRAGMA user_version = 1")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func equal(what string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%s: got\n\t%+v\nwant\n\t%+v", what, got, want)
}

// TestMigrationFromVersion1 opens a database of the first release, and works with it.
func TestMigrationFromVersion1(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := open(t, version1(t))
	key := licensing.KeyPack{
		ID: 3, Type: licensing.KeyPackVolume, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser,
		Total: 100, Issued: 12, Held: 3, Installed: noon, Expires: time.UnixMicro(2145960000000000).UTC(),
		Entitlement: "entitlement", Code: "code", Flag: "flag",
	}
	audit := store.AuditRecord{Seq: 5, At: noon, Actor: `EXAMPLE\ada`, Action: "install", KeyPackID: 3, Delta: 100, Detail: "detail"}
	if err := s.View(t.Context(), func(r store.Reader) error {
		server, errServer := r.Server()
		k, errKeyPack := r.KeyPack(3)
		operations, errOperations := r.Operations()
		documents, errDocuments := r.Documents(3)
		used, errSerial := r.SerialUsed(4294967295)
		audits, errAudit := r.AuditRecords(0, 10)
		return errors.Join(errServer, errKeyPack, errOperations, errDocuments, errSerial, errAudit,
			equal("Server", server, licensing.Server{
				ProductID: "product", LicenseServerID: "ABCDEFGHJKMNPQRSTVWXYZ0123456789ABC", ActivatedAt: noon.Add(123456 * time.Microsecond),
				Contact: licensing.Contact{FirstName: "Ada"}, Role: 2, NoticeSeq: 17,
			}),
			equal("KeyPack", k, key),
			equal("Operations", operations, []store.Operation{{Seq: 8, Key: "key", Kind: "import", Request: []byte{0, 255}, KeyPackID: 3, Created: noon}}),
			equal("Documents", documents, []store.Document{{KeyPackID: 3, Kind: "grant", Payload: []byte("{}"), Signature: []byte{0}, Received: noon}}),
			equal("SerialUsed", used, true),
			equal("AuditRecords", audits, []store.AuditRecord{audit}))
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		key.OverUse = licensing.OverUse{Policy: licensing.DenyOverUse, WarnAt: 90, DenyBeyond: 100}
		id, errInsert := tx.InsertKeyPack(pack(1))
		_, errCAL := tx.InsertCAL(licensing.CAL{
			KeyPackID: 3, ProductVersion: key.ProductVersion, ProductType: licensing.PerUser, Status: licensing.StatusActive,
			Holder: "ada@example", Expires: noon.AddDate(0, 2, 0),
		})
		errUpdate := tx.UpdateKeyPack(key)
		k, err := tx.KeyPack(3)
		return errors.Join(errInsert, errCAL, errUpdate, err, equal("the new key pack's ID", id, uint32(5)), equal("KeyPack", k, key),
			tx.Audit(store.AuditRecord{Action: "issue", KeyPackID: 3, LicenseID: 1}))
	}); err != nil {
		t.Fatal(err)
	}
	checkFile(t, s)
}

// TestMigrationFromVersion2 opens a database whose session hosts have no list of license servers yet.
func TestMigrationFromVersion2(t *testing.T) {
	path := version1(t)
	script, err := os.ReadFile(filepath.Join("migrations", "0002_issued_licenses.sql"))
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, path)
	host := `INSERT INTO host VALUES ('rdsh.example.net', 7, 1, 1, 60000000000, x'', x'', 1772366400000000);`
	if err := sqlitex.ExecuteScript(conn, string(script)+host, nil); err != nil {
		t.Fatal(err)
	}
	execute(t, conn, "PRAGMA user_version = 2")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	want := licensing.Host{
		Name: "rdsh.example.net", ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerUser, Concurrent: true, LeaseTTL: time.Minute,
		Added: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		before, err := tx.Host(want.Name)
		if err != nil {
			return err
		}
		errBefore := equal("the host before", before, want)
		want.LicenseServers = []string{"ls1.example.net", "192.0.2.1"}
		errPut := tx.PutHost(want)
		after, err := tx.Host(want.Name)
		return errors.Join(errBefore, errPut, err, equal("the host after", after, want), tx.Audit(store.AuditRecord{Action: "test"}))
	}); err != nil {
		t.Fatal(err)
	}
	checkFile(t, s)
}

// checkFile lets SQLite check the file of a store.
func checkFile(t *testing.T, s *sqlite.Store) {
	t.Helper()
	conn := connect(t, s.Path())
	for _, check := range []string{"PRAGMA integrity_check", "PRAGMA foreign_key_check"} {
		if err := sqlitex.ExecuteTransient(conn, check, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite3.Stmt) error {
			if result := stmt.ColumnText(0); result != "ok" {
				t.Errorf("%s: %s", check, result)
			}
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReleasedMigrations fails when a migration changes that databases have behind them.
func TestReleasedMigrations(t *testing.T) {
	for file, want := range map[string]string{
		"0001_license_server.sql":  "ccadfb51ce439fc0ec4ba4e27330dbf7812e3386f2bbc13a8208aed9fa361023",
		"0002_issued_licenses.sql": "461d6650a90e9ba3f405b12422e1729c7370822cb5323276aa11e2ea76f3390b",
	} {
		script, err := os.ReadFile(filepath.Join("migrations", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(script)); got != want {
			t.Errorf("%s was released and must not change; write another migration (its SHA-256 is %s)", file, got)
		}
	}
}
