package sqlite

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// plans is how each statement finds its rows. The queries with a bound search the last row, too. That lease_by_cal serves the
// removal of a CAL with its leases is not part of a plan.
var plans = map[string][]string{
	selectServer:       {"SCAN server"},
	selectKeyPack:      {"SEARCH key_pack USING INTEGER PRIMARY KEY (rowid=?)"},
	selectKeyPacks:     {"SEARCH key_pack USING INTEGER PRIMARY KEY (rowid<?)", "SEARCH key_pack"},
	selectOperations:   {"SCAN operation"},
	selectDocuments:    {"SEARCH document USING INDEX document_by_key_pack (key_pack_id=?)"},
	selectSerial:       {"SEARCH used_serial USING INTEGER PRIMARY KEY (rowid=?)"},
	selectAuditRecords: {"SEARCH audit_record USING INTEGER PRIMARY KEY (rowid>?)"},
	selectLastAudit:    {"SEARCH audit_record"},
	selectAuditHead:    {"SCAN audit_head", "SEARCH audit_record"},
	updateKeyPack:      {"SEARCH key_pack USING INTEGER PRIMARY KEY (rowid=?)"},
	deleteKeyPack:      {"SEARCH key_pack USING INTEGER PRIMARY KEY (rowid=?)"},
	deleteOperation:    {"SEARCH operation USING INDEX sqlite_autoindex_operation_1 (key=?)"},

	selectCAL:           {"SEARCH cal USING INTEGER PRIMARY KEY (rowid=?)"},
	selectCALsOf:        {"SEARCH cal USING INDEX cal_by_holder (holder=? AND product_type=? AND slot>?)"},
	selectCALs:          {"SEARCH cal USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "SEARCH cal"},
	selectCALsOfKeyPack: {"SEARCH cal USING INDEX cal_by_key_pack (key_pack_id=? AND rowid>? AND rowid<?)", "SEARCH cal"},
	selectCALsOfHolder:  {"SEARCH cal USING INDEX cal_by_holder (holder=?)", "SEARCH cal", "USE TEMP B-TREE FOR ORDER BY"},
	selectCALSummaries:  {"SEARCH cal USING INTEGER PRIMARY KEY (rowid<?)", "SEARCH cal"},
	selectExpiredCALs:   {"SEARCH cal USING INDEX cal_by_expires (expires<?)"},
	countRevoked:        {"SEARCH cal USING COVERING INDEX cal_revoked (product_version=? AND product_type=? AND slot=? AND expires>?)"},
	selectRevoked:       {"SEARCH cal USING COVERING INDEX cal_revoked (product_version=? AND product_type=? AND slot=? AND expires>?)"},
	selectSpent:         {"SEARCH temporary_spent USING PRIMARY KEY (holder=? AND product_version=?)"},
	updateCAL:           {"SEARCH cal USING INTEGER PRIMARY KEY (rowid=?)"},
	renewCAL:            {"SEARCH cal USING INTEGER PRIMARY KEY (rowid=?)"},
	deleteCAL:           {"SEARCH cal USING INTEGER PRIMARY KEY (rowid=?)"},
	addIssued:           {"SEARCH key_pack USING INTEGER PRIMARY KEY (rowid=?)"},

	selectLease:          {"SEARCH lease USING INTEGER PRIMARY KEY (rowid=?)"},
	selectLeaseOfSession: {"SEARCH lease USING INDEX lease_by_session (host=? AND session=?)"},
	selectLeaseOfDevice:  {"SEARCH lease USING INDEX lease_by_device (host=? AND user_key=? AND device_key=?)"},
	selectLeases:         {"SEARCH lease USING INTEGER PRIMARY KEY (rowid>?)"},
	selectLeasesOfCAL:    {"SEARCH lease USING INDEX lease_by_cal (cal_id=? AND rowid>?)"},
	selectLeasesOfUser:   {"SEARCH lease USING INDEX lease_by_user (user_key=? AND rowid>?)"},
	selectLeasesOfHost:   {"SEARCH lease USING INDEX lease_by_host (host=? AND rowid>?)"},
	selectExpiredLeases:  {"SEARCH lease USING INDEX lease_by_expires (expires<?)"},
	updateLease:          {"SEARCH lease USING INTEGER PRIMARY KEY (rowid=?)"},
	extendLease:          {"SEARCH lease USING INTEGER PRIMARY KEY (rowid=?)"},
	extendCAL:            {"SEARCH cal USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH lease USING INTEGER PRIMARY KEY (rowid=?)"},
	deleteLease:          {"SEARCH lease USING INTEGER PRIMARY KEY (rowid=?)"},
	deleteLeases:         {"SEARCH lease USING INDEX lease_by_host (host=?)"},

	selectAccount:              {"SEARCH account USING PRIMARY KEY (key=?)"},
	selectAccounts:             {"SCAN account"},
	selectAccountByCertificate: {"SEARCH account USING INDEX account_by_certificate (certificate=?)"},
	deleteAccount:              {"SEARCH account USING PRIMARY KEY (key=?)"},

	selectHost:             {"SEARCH host USING PRIMARY KEY (name=?)"},
	selectHosts:            {"SCAN host"},
	selectHostByCredential: {"SEARCH host USING INDEX host_by_token_hash (token_hash=?)", "SEARCH host USING INDEX host_by_certificate (certificate=?)"},
	deleteHost:             {"SEARCH host USING PRIMARY KEY (name=?)"},
	selectReport:           {"SEARCH report USING PRIMARY KEY (file_name=?)"},
	selectReports:          {"SCAN report"},
	deleteReport:           {"SEARCH report USING PRIMARY KEY (file_name=?)"},

	selectDenials:      {"SEARCH denial USING INTEGER PRIMARY KEY (rowid>?)"},
	selectDenialCounts: {"SCAN denial_count"},
	selectAnswer:       {"SEARCH answer USING INDEX sqlite_autoindex_answer_1 (host=? AND key=?)"},
	forgetAnswers:      {"SEARCH answer USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH answer USING COVERING INDEX answer_by_at (at<?)"},
	forgetDenials:      {"SEARCH denial USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH denial USING COVERING INDEX denial_by_at (at<?)"},
}

// TestPlans asks SQLite how it finds the rows, in an empty database and in one with 20,000 CALs and leases. No query may
// read more than it returns, but for those that read a small table.
func TestPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "licenses.db")
	for _, fill := range []string{"", fillMany} {
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for query, want := range plans {
			plan := planOf(t, s, query)
			if !slices.Equal(plan, want) {
				t.Errorf("%s\n\tplan: %q\n\twant: %q", query, plan, want)
			}
		}
		if err := s.db.Update(t.Context(), func(conn *sqlite.Conn) error { return sqlitex.ExecuteScript(conn, fill, nil) }); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// planOf returns the steps of a plan that read a table or sort.
func planOf(t *testing.T, s *Store, query string) (steps []string) {
	t.Helper()
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
			step := stmt.GetText("detail")
			for _, kind := range []string{"SEARCH", "SCAN", "USE TEMP B-TREE"} {
				if strings.HasPrefix(step, kind) {
					steps = append(steps, step)
				}
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return steps
}

const fillMany = `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
	INSERT INTO cal (key_pack_id, product_version, product_type, status, slot, holder, user, device_id, device_name, host, validated, issued, expires)
	SELECT 3 + i % 2, 7, 0, 2, 0, 'id:' || i, '', i, '', '', 0, i, i * 7919 % 20000 FROM n;
	INSERT INTO lease (cal_id, host, user, user_key, device_id, device_name, device_key, session, provisional, expires)
	SELECT id, 'host' || id % 10, '', holder, '', '', '', ':' || id, 0, expires FROM cal;`
