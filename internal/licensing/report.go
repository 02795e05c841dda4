package licensing

import "time"

// Report is the head of a license usage report, a snapshot that does not change when CALs do: Win32_TSLicenseReport. What it
// lists is kept elsewhere.
type Report struct {
	FileName  string // what names the report; no path
	Generated time.Time
	Installed uint32 // per user CALs in installed key packs, of all versions
	Issued    uint32 // per user CALs that are in use
}

// Availability says whether more CALs of a version and type can be issued: TSCALAvailability.
type Availability string

// The availabilities. The documentation names "Not Tracking" as well, which does not occur here.
const (
	CALsAvailable Availability = "Available"
	CALsLimited   Availability = "Limited" // at most a tenth is free
	CALsNone      Availability = "None"
)

// limitedPart is the part of the installed CALs below which, if no more are free, the availability is limited.
const limitedPart = 10

// AvailabilityOf returns the availability when so many CALs of a version and type are installed and issued. Over-use, which
// may be allowed, makes no CAL available.
func AvailabilityOf(installed, issued uint64) Availability {
	switch free := int64(installed) - int64(issued); {
	case free <= 0:
		return CALsNone
	case uint64(free) <= installed/limitedPart:
		return CALsLimited
	}
	return CALsAvailable
}
