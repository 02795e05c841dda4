package licensing

// OverUse says what happens when more per user CALs are asked for than there are. The zero value is the license server's
// default.
type OverUse struct {
	Policy OverUsePolicy `json:"policy,omitempty"`
	// WarnAt is how many percent of the CALs are issued when the license server begins to warn, in answers and with an event;
	// 0 never.
	WarnAt uint32 `json:"warnAt,omitempty"`
	// DenyBeyond is up to how many percent of the CALs are issued under DenyOverUse: 100 allows no over-use.
	DenyBeyond uint32 `json:"denyBeyond,omitempty"`
}

// OverUsePolicy is what is done about over-use.
type OverUsePolicy string

// The policies.
const (
	DefaultOverUse OverUsePolicy = ""
	AllowOverUse   OverUsePolicy = "allow" // as Windows does: counted, not refused
	DenyOverUse    OverUsePolicy = "deny"
)

// maxPercent bounds the percentages; no one over-uses a key pack a thousandfold on purpose.
const maxPercent = 100_000

// Check checks a policy that a caller gave for a key pack of that type. Fault: Invalid.
func (o OverUse) Check(t ProductType) error {
	switch o.Policy {
	case DefaultOverUse, AllowOverUse:
		if o.DenyBeyond != 0 {
			return Faultf(Invalid, "a limit of over-use is given, but the policy is not to deny it")
		}
	case DenyOverUse:
		if o.DenyBeyond < 100 || o.DenyBeyond > maxPercent {
			return Faultf(Invalid, "over-use is denied beyond %d percent; it must be 100 to %d, where 100 allows none", o.DenyBeyond, maxPercent)
		}
	default:
		return Faultf(Invalid, "%q is no policy of over-use: allow and deny are", string(o.Policy))
	}
	if o.WarnAt > maxPercent {
		return Faultf(Invalid, "a warning at %d percent is out of range: at most %d", o.WarnAt, maxPercent)
	}
	if t != PerUser && (o.Policy == AllowOverUse || o.DenyBeyond > 100) {
		return Faultf(Invalid, "per device CALs are never over-used")
	}
	return nil
}
