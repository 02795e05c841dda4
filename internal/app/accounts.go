package app

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auditing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// newAccounts returns the accounts in a license server's database. realm is that of its keytab, empty without one.
func newAccounts(st store.Store, o LicenseServerOptions, realm string) *accounts.Service {
	const formerFile = "accounts.json" // of builds before 0.1.0
	if _, err := os.Stat(filepath.Join(o.Dir, formerFile)); err == nil {
		o.Logger.Warn("the accounts in "+formerFile+" are not read any more: they are in the database now",
			"next", "make them anew with calkeeper account set, and remove the file", "dir", o.Dir)
	}
	return accounts.New(st, accounts.Options{
		KeyFile: cmp.Or(o.AccountKeyFile, filepath.Join(o.Dir, accountKey)), Realm: realm, Groups: o.RoleGroups, Now: time.Now, Logger: o.Logger,
	})
}

// OpenAudit opens the audit log of a license server that is not running, of which HasLicenseServer says that it was. The caller calls
// closing at the end.
func OpenAudit(ctx context.Context, dir string, log *slog.Logger) (l *auditing.Log, closing func() error, err error) {
	st, err := sqlite.Open(ctx, filepath.Join(dir, database), sqlite.Options{Logger: log})
	if err != nil {
		return nil, nil, err
	}
	return auditing.New(st), st.Close, nil
}

// OpenAccounts opens the accounts of a license server that is not running, of which HasLicenseServer says that it was. keyFile is as in
// LicenseServerOptions. The caller calls closing at the end.
func OpenAccounts(ctx context.Context, dir, keyFile string, log *slog.Logger) (s *accounts.Service, closing func() error, err error) {
	st, err := sqlite.Open(ctx, filepath.Join(dir, database), sqlite.Options{Logger: log})
	if err != nil {
		return nil, nil, err
	}
	return newAccounts(st, LicenseServerOptions{Dir: dir, AccountKeyFile: keyFile, Logger: log}, ""), st.Close, nil
}
