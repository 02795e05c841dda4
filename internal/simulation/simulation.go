// Package simulation replays a farm of session hosts against a license server, day by day, and counts its CALs: what an
// operator asks before he buys some. The license server is a real one, package issuance over SQLite, with a clock that is set
// instead of running; nothing of its rules is repeated here.
//
// It must not know the command line nor how progress is shown.
package simulation

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// Result is what became of a farm.
type Result struct {
	Farm Farm  `json:"farm"`
	Days []Day `json:"days"`
}

// Day is one day of the farm.
type Day struct {
	Date      time.Time `json:"date"`
	PerDevice Count     `json:"perDevice"`
	PerUser   Count     `json:"perUser"`
}

// Count counts the members of one type, devices or users, and their CALs.
type Count struct {
	Members int `json:"members"` // of the farm that day
	Logons  int `json:"logons"`  // that were tried that day
	Denied  int `json:"denied"`  // of these

	// The license server's counters, at that full hour of the day at which most CALs were issued.
	Installed uint64 `json:"installed"`
	Issued    uint64 `json:"issued"` // of the installed ones
	Available uint64 `json:"available"`
	OverUsed  uint64 `json:"overUsed"`
	Temporary uint64 `json:"temporary"`
}

// inUse returns how many CALs are issued, of whatever kind.
func (c *Count) inUse() uint64 { return c.Issued + c.OverUsed + c.Temporary }

// Run simulates a farm in a database of its own, which it removes afterwards. It calls progress, which may be nil, after every
// day with how many of the days have passed. If it fails, as when ctx ends, the Result has the days until then. Fault: Invalid.
func Run(ctx context.Context, f Farm, progress func(day, days int)) (r Result, err error) {
	r.Farm = f
	if err := f.Check(); err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp("", "calkeeper-simulation-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st, err := sqlite.Open(ctx, filepath.Join(dir, "farm.db"), sqlite.Options{Synchronous: sqlitedb.SynchronousOff})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	now := f.firstDay()
	service, err := open(ctx, st, f, func() time.Time { return now })
	if err != nil {
		return r, err
	}
	err = replay(ctx, service, f, &now, func(d Day) error {
		r.Days = append(r.Days, d)
		if progress != nil {
			progress(len(r.Days), f.Days)
		}
		return nil
	})
	return r, err
}

// open returns the use-cases of a license server that is activated and has the farm's key packs.
func open(ctx context.Context, st store.Store, f Farm, now func() time.Time) (*issuance.Service, error) {
	err := st.Update(ctx, func(tx store.Tx) error {
		if err := tx.PutServer(licensing.Server{LicenseServerID: simulatedID, ActivatedAt: now()}); err != nil {
			return err
		}
		for _, k := range []licensing.KeyPack{
			{ProductType: licensing.PerDevice, Total: f.DeviceCALs},
			{ProductType: licensing.PerUser, Total: f.UserCALs, OverUse: f.OverUse},
		} {
			if k.Total == 0 {
				continue
			}
			k.Type, k.ProductVersion, k.Installed = licensing.KeyPackOpen, f.version(), now()
			k.Expires = now().AddDate(100, 0, 0) // beyond every simulation: 2038 would end one that begins late
			if _, err := tx.InsertKeyPack(k); err != nil {
				return err
			}
		}
		return tx.Audit(store.AuditRecord{At: now(), Actor: "simulation", Action: "install"})
	})
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], f.Seed)
	return issuance.New(st, issuance.Options{
		Policies: issuance.Policies{OverUse: f.OverUse, AnyHost: true},
		Now:      now, Random: rand.NewChaCha8(seed), Logger: slog.New(slog.DiscardHandler),
	}), nil
}

// simulatedID stands where an activated license server has its ID, of the same length.
const simulatedID = "SIMULATION-OF-A-LICENSE-SERVER-0000"
