package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
)

// TestPlans asks SQLite how it finds the rows. No query may sort, and those for one thing may not scan: KeyPacks must yield
// its first row at once, and Documents must not slow down with the number of all documents.
func TestPlans(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "licenses.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for query, mayScan := range map[string]bool{
		selectServer: true, selectKeyPack: false, selectKeyPacks: false, selectOperations: true, selectDocuments: false,
		selectSerial: false, selectAuditRecords: false, updateKeyPack: false, deleteKeyPack: false, deleteOperation: false,
	} {
		var plan []string
		if err := s.db.View(t.Context(), func(conn *sqlite.Conn) error {
			stmt, _, err := conn.PrepareTransient("EXPLAIN QUERY PLAN " + query)
			if err != nil {
				return err
			}
			defer stmt.Finalize()
			for {
				more, err := stmt.Step()
				if err != nil || !more {
					return err
				}
				plan = append(plan, stmt.GetText("detail"))
			}
		}); err != nil {
			t.Fatal(err)
		}
		if len(plan) == 0 {
			t.Errorf("there is no plan of %s", query)
		}
		for _, step := range plan {
			if strings.Contains(step, "TEMP B-TREE") || !mayScan && strings.HasPrefix(step, "SCAN") {
				t.Errorf("%s\n\tplan: %v", query, plan)
			}
		}
	}
}
