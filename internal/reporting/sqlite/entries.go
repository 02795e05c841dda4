package sqlite

import (
	"time"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/licensing"
	"calkeeper/internal/reporting"
)

// entries reads one report.
type entries struct{ conn *sqlite.Conn }

func (e *entries) Close() error { return e.conn.Close() }

// list returns at most count rows of a table, from index start on.
func list[E any](conn *sqlite.Conn, query string, start, count uint32, read func(*sqlite.Stmt) E) ([]E, error) {
	stmt, err := conn.Prepare(query + " WHERE id > ? ORDER BY id LIMIT ?")
	if err != nil {
		return nil, err
	}
	stmt.BindInt64(1, int64(start))
	stmt.BindInt64(2, int64(count))
	all := []E{}
	for {
		more, err := stmt.Step()
		if err != nil || !more {
			return all, err
		}
		all = append(all, read(stmt))
	}
}

func number(stmt *sqlite.Stmt, column int) uint32 { return uint32(stmt.ColumnInt64(column)) }

func instant(stmt *sqlite.Stmt, column int) time.Time {
	return time.UnixMicro(stmt.ColumnInt64(column)).UTC()
}

func version(stmt *sqlite.Stmt, column int) licensing.ProductVersion {
	return licensing.ProductVersion(number(stmt, column))
}

func (e *entries) Summary(start, count uint32) ([]reporting.SummaryEntry, error) {
	return list(e.conn, `SELECT product_version, product_type, installed, issued FROM summary`, start, count, func(s *sqlite.Stmt) reporting.SummaryEntry {
		return reporting.SummaryEntry{
			ProductVersion: version(s, 0), ProductType: licensing.ProductType(number(s, 1)), Installed: number(s, 2), Issued: number(s, 3),
		}
	})
}

func (e *entries) Users(start, count uint32) ([]reporting.UserEntry, error) {
	return list(e.conn, `SELECT user, product_version, expires FROM user_cal`, start, count, func(s *sqlite.Stmt) reporting.UserEntry {
		return reporting.UserEntry{User: s.ColumnText(0), ProductVersion: version(s, 1), Expires: instant(s, 2)}
	})
}

func (e *entries) Devices(start, count uint32) ([]reporting.DeviceEntry, error) {
	return list(e.conn, `SELECT device_id, device_name, product_version, expires FROM device_cal`, start, count, func(s *sqlite.Stmt) reporting.DeviceEntry {
		return reporting.DeviceEntry{
			Device: licensing.Device{ID: s.ColumnText(0), Name: s.ColumnText(1)}, ProductVersion: version(s, 2), Expires: instant(s, 3),
		}
	})
}

func (e *entries) FailedUsers(start, count uint32) ([]reporting.FailedUserEntry, error) {
	return list(e.conn, `SELECT user, product_version, tried FROM failed_user`, start, count, func(s *sqlite.Stmt) reporting.FailedUserEntry {
		return reporting.FailedUserEntry{User: s.ColumnText(0), ProductVersion: version(s, 1), Tried: instant(s, 2)}
	})
}

func (e *entries) FailedDomains(start, count uint32) ([]reporting.FailedDomainEntry, error) {
	return list(e.conn, `SELECT domain, failed FROM failed_domain`, start, count, func(s *sqlite.Stmt) reporting.FailedDomainEntry {
		return reporting.FailedDomainEntry{Domain: s.ColumnText(0), Failed: number(s, 1)}
	})
}
