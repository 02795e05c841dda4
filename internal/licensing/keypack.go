package licensing

import (
	"fmt"
	"time"
)

// KeyPackType is Win32_TSLicenseKeyPack.KeyPackType.
type KeyPackType uint32

// The key pack types. The documentation ends at 6; 6 as built-in and 7 as over-used are what servers show.
const (
	KeyPackUnknown    KeyPackType = 0
	KeyPackRetail     KeyPackType = 1
	KeyPackVolume     KeyPackType = 2
	KeyPackConcurrent KeyPackType = 3
	KeyPackTemporary  KeyPackType = 4
	KeyPackOpen       KeyPackType = 5
	KeyPackBuiltIn    KeyPackType = 6
	KeyPackOverUsed   KeyPackType = 7
)

// String returns the type in a word.
func (t KeyPackType) String() string {
	switch t {
	case KeyPackRetail:
		return "retail"
	case KeyPackVolume:
		return "volume"
	case KeyPackConcurrent:
		return "concurrent"
	case KeyPackTemporary:
		return "temporary"
	case KeyPackOpen:
		return "open"
	case KeyPackBuiltIn:
		return "built-in"
	case KeyPackOverUsed:
		return "over-used"
	}
	return "unknown"
}

// Unlimited is the number of licenses of a key pack that has no bound.
const Unlimited = 4294967295

// FirstKeyPackID is the ID of the first key pack that is installed; the built-in one has BuiltInKeyPackID.
const (
	BuiltInKeyPackID = 2
	FirstKeyPackID   = 3
)

// KeyPack is a number of CALs of one version and type that came under one grant or code.
type KeyPack struct {
	ID             uint32
	Type           KeyPackType
	ProductVersion ProductVersion
	ProductType    ProductType
	Total          uint32
	Issued         uint32 // to devices or users; may exceed Total after a release
	Held           uint32 // of the free ones, promised to a conversion under way
	Installed      time.Time
	Expires        time.Time // see PerpetualExpiry

	// Entitlement is the clearinghouse's identifier of what was bought. It is empty for the built-in key pack, and for one
	// installed by an offline code until the clearinghouse has seen the code.
	Entitlement string
	// Code is the offline code that installed the pack while the clearinghouse was out of reach, else empty. It is
	// evidence, and not secret any more: it is bound to this license server.
	Code string
	// OverUse is what happens when more is asked for than there is.
	OverUse OverUse
	// Flag says why the clearinghouse does not stand behind the pack, for people; empty for a good one.
	Flag string
}

// BuiltInKeyPack returns the key pack that every license server has.
func BuiltInKeyPack() KeyPack {
	return KeyPack{
		ID: BuiltInKeyPackID, Type: KeyPackBuiltIn, ProductVersion: Windows2000, ProductType: BuiltIn, Total: Unlimited,
		Expires: time.Date(2035, 12, 31, 23, 0, 0, 0, time.UTC),
	}
}

// OnDemand tells whether the license server made the pack itself, to count the CALs that no installed pack has: the temporary
// and the over-used ones. Such packs are neither bought nor moved.
func (k *KeyPack) OnDemand() bool { return k.Type == KeyPackTemporary || k.Type == KeyPackOverUsed }

// onDemandExpiry is the end of 32-bit time, which servers show for packs that they made themselves.
var onDemandExpiry = time.Unix(1<<31-1, 0).UTC()

// TemporaryKeyPack returns the pack that counts the temporary CALs of a version.
func TemporaryKeyPack(v ProductVersion, now time.Time) KeyPack {
	return KeyPack{
		Type: KeyPackTemporary, ProductVersion: v, ProductType: PerDevice, Total: Unlimited, Installed: now, Expires: onDemandExpiry,
	}
}

// OverUsedKeyPack returns the pack that counts the per user CALs of a version that are issued beyond what is installed.
func OverUsedKeyPack(v ProductVersion, now time.Time) KeyPack {
	return KeyPack{Type: KeyPackOverUsed, ProductVersion: v, ProductType: PerUser, Installed: now, Expires: onDemandExpiry}
}

// Available returns how many CALs can still be issued, converted or removed.
func (k *KeyPack) Available() uint32 {
	if k.Total == Unlimited {
		return Unlimited
	}
	if used := uint64(k.Issued) + uint64(k.Held); used < uint64(k.Total) {
		return k.Total - uint32(used)
	}
	return 0
}

// OverIssued tells whether more CALs are issued than the pack now holds, as after a release to another license server.
func (k *KeyPack) OverIssued() bool { return k.Issued > k.Total }

// Description returns product code, version and suffix, for example C50-10.01-S.
func (k *KeyPack) Description() string {
	f, _ := k.ProductVersion.facts()
	switch k.ProductType {
	case PerUser:
		return "C50-" + f.number + "-S"
	case BuiltIn:
		return "A02-" + f.number + "-EX"
	}
	return "A02-" + f.number + "-S"
}

// TypeAndModel returns the model as license servers show it; scripts compare it with regard to case.
func (k *KeyPack) TypeAndModel() string { return CALModel(k.ProductVersion, k.ProductType) }

// CALModel returns the model of CALs of a version and type: TypeAndModel of key packs, CALType of the entries of reports.
func CALModel(v ProductVersion, t ProductType) string {
	prefix := "RDS"
	if v == WindowsServer2008 {
		prefix = "TS or RDS"
	}
	switch t {
	case PerUser:
		return prefix + " Per User CAL"
	case BuiltIn:
		return "Built-in TS Per Device CAL"
	}
	return prefix + " Per Device CAL"
}

// AccessRights returns the rights bits: RD Session, VDI Session and Calista (RemoteFX), as every key pack shows them.
func (k *KeyPack) AccessRights() uint32 { return 7 }

// PerpetualExpiry returns when a key pack without an end expires: on 2038-01-01, at the time of day of its installation.
func PerpetualExpiry(installed time.Time) time.Time {
	t := installed.UTC()
	return time.Date(2038, 1, 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// never is an end that does not come.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// End returns when CALs of the pack end at the latest. Expires says 2038 of a perpetual pack, and of one on demand: that is how
// servers show that there is no end.
func (k *KeyPack) End() time.Time {
	if k.OnDemand() || k.Expires.Equal(PerpetualExpiry(k.Installed)) {
		return never
	}
	return k.Expires
}

// String returns the pack in a few words.
func (k *KeyPack) String() string {
	return fmt.Sprintf("key pack %d (%d × %s, %s)", k.ID, k.Total, k.TypeAndModel(), k.ProductVersion)
}
