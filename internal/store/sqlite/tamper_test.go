package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/store"
)

// verify returns what the verification of the audit log in a database says.
func verify(t testing.TB, s store.Store) (v store.AuditVerification) {
	t.Helper()
	if err := s.View(t.Context(), func(r store.Reader) error {
		head, err := r.AuditHead()
		if err != nil {
			return err
		}
		v, err = store.VerifyAudit(store.AllAudit(r), head, store.AuditHead{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestTamperedAudit changes a database as one who can write the file would: the verification tells.
func TestTamperedAudit(t *testing.T) {
	const unchained, last = 5, 13 // the Seqs of the record of version 1, and of the newest
	template := version1(t)
	s := open(t, template)
	for range last - unchained {
		if err := s.Update(store.WithOrigin(t.Context(), store.Origin{Remote: "192.0.2.7", Mechanism: "Basic"}), func(tx store.Tx) error {
			return tx.Audit(store.AuditRecord{At: time.Unix(1, 0), Actor: "ada", Action: "install", KeyPackID: 3, LicenseID: 4, Delta: 5, Detail: "of 5"})
		}); err != nil {
			t.Fatal(err)
		}
	}
	if v := verify(t, s); v.Flaw != nil || v.Records != last-unchained+1 || v.Unchained != 1 || v.Head.Seq != last {
		t.Fatalf("%+v, %+v", v, v.Flaw)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	for i, tampering := range []string{
		"UPDATE audit_record SET at = at + 1 WHERE seq = SEQ",
		"UPDATE audit_record SET at = NULL WHERE seq = SEQ",
		"UPDATE audit_record SET actor = 'eve' WHERE seq = SEQ",
		"UPDATE audit_record SET action = 'remove' WHERE seq = SEQ",
		"UPDATE audit_record SET key_pack_id = 4 WHERE seq = SEQ",
		"UPDATE audit_record SET license_id = 5 WHERE seq = SEQ",
		"UPDATE audit_record SET delta = -delta WHERE seq = SEQ",
		"UPDATE audit_record SET detail = '' WHERE seq = SEQ",
		"UPDATE audit_record SET remote = '' WHERE seq = SEQ",
		"UPDATE audit_record SET mechanism = 'NTLM' WHERE seq = SEQ",
		"UPDATE audit_record SET hash = x'' WHERE seq = SEQ",
		"UPDATE audit_record SET hash = randomblob(32) WHERE seq = SEQ",
		"DELETE FROM audit_record WHERE seq = SEQ",
		"DELETE FROM audit_record WHERE seq >= SEQ",
		"DELETE FROM audit_record WHERE seq > 5 AND seq <= SEQ",
		"UPDATE audit_record SET seq = 100 + seq WHERE seq = SEQ",
		"INSERT INTO audit_record (seq, actor, action, key_pack_id, delta, detail) VALUES (100 + SEQ, '', '', 0, 0, '')",
		"UPDATE audit_head SET unchained = SEQ",
		"UPDATE audit_head SET seq = seq + SEQ",
		"UPDATE audit_head SET hash = randomblob(32)",
		"UPDATE audit_head SET hash = x''",
	} {
		seq := unchained + 1 + (5*i)%(last-unchained)
		t.Run(fmt.Sprintf("%d %s", seq, tampering), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "licenses.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			conn := connect(t, path)
			execute(t, conn, strings.ReplaceAll(tampering, "SEQ", strconv.Itoa(seq)))
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			if v := verify(t, open(t, path)); v.Flaw == nil {
				t.Error("it was not told")
			}
		})
	}
}
