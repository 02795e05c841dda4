package simulation

import (
	"math"
	"time"

	"calkeeper/internal/licensing"
)

// Bounds of what can be simulated.
const (
	MaxMembers = 100_000 // devices or users, those that join on the way included
	MaxDays    = 3650
)

// Farm is what is simulated: devices that connect to a per device session host, and users that log on to a per user one.
type Farm struct {
	Devices    int    `json:"devices"` // at the beginning
	Users      int    `json:"users"`
	DeviceCALs uint32 `json:"deviceCALs"` // installed; 0: no key pack
	UserCALs   uint32 `json:"userCALs"`
	Days       int    `json:"days"`
	Seed       uint64 `json:"seed"` // the same farm with the same seed has the same days
	// Start is the first day; of it only the date counts, and that in UTC.
	Start time.Time `json:"start"`
	// Version is that of the session hosts and of the CALs.
	Version licensing.ProductVersion `json:"version"`

	Logon   float64 `json:"logon"`   // probability that a device or user logs on on a day from Monday to Friday
	Weekend float64 `json:"weekend"` // and on another day
	Broken  float64 `json:"broken"`  // part of the logons that end before the user is authenticated
	Join    float64 `json:"join"`    // part of the farm, as it is at the beginning, that joins within 30 days
	Leave   float64 `json:"leave"`   // part of the farm that leaves it for good within 30 days

	// Concurrent says that a CAL is used as long as a session lives, and not for a term.
	Concurrent bool `json:"concurrent"`
	// Session is the mean length of a session; each lasts between half of it and one and a half times as long. It only
	// matters if the farm is Concurrent.
	Session time.Duration `json:"session"`
	// OverUse is what happens when more per user CALs are asked for than are installed.
	OverUse licensing.OverUse `json:"overUse"`
}

// Default returns a farm of an ordinary office, for a year: 100 devices and 100 users with a CAL for each.
func Default() Farm {
	return Farm{
		Devices: 100, Users: 100, DeviceCALs: 100, UserCALs: 100, Days: 365, Seed: 1,
		Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Version: licensing.WindowsServer2022,
		Logon: 0.8, Weekend: 0.05, Broken: 0.02, Join: 0.03, Leave: 0.02, Session: 8 * time.Hour,
	}
}

// Check tells what of a farm cannot be simulated. Fault: Invalid.
func (f Farm) Check() error {
	if f.Devices < 0 || f.Users < 0 || f.Devices == 0 && f.Users == 0 {
		return licensing.Faultf(licensing.Invalid, "a farm has %d devices and %d users; it needs at least one of either, and never less than 0", f.Devices, f.Users)
	}
	if f.Days < 1 || f.Days > MaxDays {
		return licensing.Faultf(licensing.Invalid, "%d days cannot be simulated: 1 to %d can", f.Days, MaxDays)
	}
	for _, n := range []struct {
		name  string
		value uint32
	}{{"device", f.DeviceCALs}, {"user", f.UserCALs}} {
		if n.value == licensing.Unlimited {
			return licensing.Faultf(licensing.Invalid, "%d CALs per %s are too many: at most %d", n.value, n.name, licensing.Unlimited-1)
		}
	}
	if _, err := licensing.ParseProductVersion(uint32(f.Version)); err != nil {
		return licensing.Faultf(licensing.Invalid, "version: %s", licensing.Message(err))
	}
	if year := f.Start.Year(); year < 2000 || year > 2999 {
		return licensing.Faultf(licensing.Invalid, "the first day is in the year %d; it must be from 2000 to 2999", year)
	}
	for _, p := range []struct {
		name  string
		value float64
	}{{"logon", f.Logon}, {"weekend", f.Weekend}, {"broken", f.Broken}, {"join", f.Join}, {"leave", f.Leave}} {
		if math.IsNaN(p.value) || p.value < 0 || p.value > 1 {
			return licensing.Faultf(licensing.Invalid, "%s is %g; it must be from 0 to 1, where 1 means always or all", p.name, p.value)
		}
	}
	if most := float64(max(f.Devices, f.Users)) * (1 + f.Join*float64(f.Days)/30); most > MaxMembers {
		return licensing.Faultf(licensing.Invalid, "the farm would have %.0f devices or users in the end, those that join included; at most %d can be simulated", most, MaxMembers)
	}
	if f.Concurrent && (f.Session < time.Minute || f.Session > 7*24*time.Hour) {
		return licensing.Faultf(licensing.Invalid, "sessions of %s cannot be simulated: one minute to seven days can", f.Session)
	}
	return f.OverUse.Check(licensing.PerUser)
}

// host returns the session host of one type of CAL.
func (f Farm) host(t licensing.ProductType) licensing.Host {
	h := licensing.Host{Name: t.ModeName() + ".example", ProductVersion: f.version(), Mode: t, Concurrent: f.Concurrent}
	if f.Concurrent {
		h.LeaseTTL = 2 * f.Session // no session is longer, so that none has to be renewed
	}
	return h
}

// version returns the version under which the CALs are kept. Check has been asked before.
func (f Farm) version() licensing.ProductVersion {
	if f.Version == licensing.WindowsServer2008R2 {
		return licensing.WindowsServer2008
	}
	return f.Version
}

// firstDay returns the beginning of the first day.
func (f Farm) firstDay() time.Time {
	year, month, day := f.Start.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
