package licensing

import "time"

// LicenseStatus is Win32_TSIssuedLicense.LicenseStatus.
type LicenseStatus uint32

// The statuses of an issued CAL. The documentation names 0 and 3 (unknown, upgrade) as well; no CAL here has them.
const (
	StatusTemporary  LicenseStatus = 1 // for a device that was not licensed before
	StatusActive     LicenseStatus = 2 // assigned for a term
	StatusRevoked    LicenseStatus = 4 // taken back; remembered until it would have expired
	StatusPending    LicenseStatus = 5 // asked for by a logon that is not complete
	StatusConcurrent LicenseStatus = 6 // assigned as long as a session lives
)

var licenseStatusNames = map[LicenseStatus]string{
	StatusTemporary: "temporary", StatusActive: "active", StatusRevoked: "revoked", StatusPending: "pending", StatusConcurrent: "concurrent",
}

// String returns the status in a word.
func (s LicenseStatus) String() string {
	if name := licenseStatusNames[s]; name != "" {
		return name
	}
	return "unknown"
}

// ParseLicenseStatus returns the status that String writes so. Fault: Invalid.
func ParseLicenseStatus(name string) (LicenseStatus, error) {
	for s, n := range licenseStatusNames {
		if n == name {
			return s, nil
		}
	}
	return 0, Faultf(Invalid, "%q is no status of a CAL: temporary, active, revoked, pending and concurrent are", name)
}

// Terms of CALs, after the public documentation of Remote Desktop licensing.
const (
	day = 24 * time.Hour

	TemporaryTerm    = 90 * day // of a temporary CAL
	ShortestTerm     = 52 * day // of a per device CAL: a random number of whole days
	LongestTerm      = 89 * day
	PerUserTerm      = 60 * day
	RenewalWindow    = 7 * day // before its end a CAL that is used is renewed
	RevokablePercent = 20      // of the per device CALs of one version
)

// CAL is a client access license that is issued to a device or a user: Win32_TSIssuedLicense.
type CAL struct {
	ID             uint32 // LicenseId: never given out again
	KeyPackID      uint32
	ProductVersion ProductVersion // of the CAL, which may be newer than the session host
	ProductType    ProductType    // PerDevice or PerUser: what Holder is
	Status         LicenseStatus
	Holder         string // who holds it, as it is compared: see DeviceKey and UserKey
	User           string // as the session host gave it; may be empty for a per device CAL
	Device         Device // may be empty for a per user CAL
	Host           string // the session host that asked last
	Validated      bool   // a logon of the holder was completed with it
	Issued         time.Time
	Expires        time.Time
}

// Summary returns what lists show of the CAL.
func (c *CAL) Summary() CALSummary {
	return CALSummary{c.ID, c.KeyPackID, c.Status, c.User, c.Device, c.Issued, c.Expires}
}

// CALSummary is what a list of all CALs shows of one: less to read, where there may be a million.
type CALSummary struct {
	ID        uint32
	KeyPackID uint32
	Status    LicenseStatus
	User      string
	Device    Device
	Issued    time.Time
	Expires   time.Time
}

// Counted tells whether the CAL counts as issued in its key pack.
func (c *CAL) Counted() bool { return c.Status != StatusRevoked }

// Full tells whether it is a CAL of an installed or over-used key pack: neither temporary nor revoked.
func (c *CAL) Full() bool { return c.Status != StatusTemporary && c.Status != StatusRevoked }

// Expired tells whether its term has ended at that instant.
func (c *CAL) Expired(now time.Time) bool { return !c.Expires.After(now) }

// Slot is what a holder has only one CAL of: 0 for a full CAL, the product version for a temporary one, and -1 for a revoked
// one, of which there may be any number.
func (c *CAL) Slot() int {
	switch c.Status {
	case StatusRevoked:
		return -1
	case StatusTemporary:
		return int(c.ProductVersion)
	}
	return 0
}

// Lease is a session that uses a CAL, on a session host that counts sessions. It ends with the session, or when it is not
// renewed in time: a session host may die without a word.
type Lease struct {
	ID          uint64 // never given out again
	CAL         uint32 // the ID of the CAL
	Host        string
	User        string // as the session host gave it
	UserKey     string // as it is compared; empty if the session host did not say who
	Device      Device
	DeviceKey   string // as it is compared; empty if the session host did not say which
	Session     string // what the session host calls the session, for example ":10"; empty until it is known
	Provisional bool   // the logon is not complete
	Opened      time.Time
	Expires     time.Time
}

// DenialReason says why a CAL was not issued.
type DenialReason string

// The reasons.
const (
	NoFreeCAL        DenialReason = "no-free-cal"       // all CALs of a version that would do are issued
	NoKeyPack        DenialReason = "no-key-pack"       // there is no key pack of a version and type that would do
	OverUseLimit     DenialReason = "over-use-limit"    // over-use is allowed, and its limit is reached
	TemporaryExpired DenialReason = "temporary-expired" // and there is no CAL to follow the temporary one
	ServerInactive   DenialReason = "not-activated"     // and the request names no device that could get a temporary CAL
)

// DenialReasons returns all of them.
func DenialReasons() []DenialReason {
	return []DenialReason{NoFreeCAL, NoKeyPack, OverUseLimit, TemporaryExpired, ServerInactive}
}

// Error makes a reason the cause of a Fault of kind Unlicensed.
func (r DenialReason) Error() string { return string(r) }

// Denial is a request for a CAL that was refused.
type Denial struct {
	Seq            uint64
	At             time.Time
	Host           string
	User           string
	Device         Device
	ProductVersion ProductVersion // of the session host
	ProductType    ProductType
	Reason         DenialReason
	Detail         string // for people
}
