package tlswmiprov

import (
	"strconv"

	"calkeeper/internal/cim"
)

// The types of properties and parameters whose values the documentation lists. Their tables have its words, and after
// these what servers show beyond it.
type (
	activationStatus       uint32
	agreementType          uint32
	calAvailability        string
	calType                string
	keyPackType            uint32
	licenseStatus          uint32
	accessRights           uint32
	perWhat                string
	productType            uint32
	productTypeArgument    uint32
	productVersion         string
	productVersionArgument uint32
	productVersionID       uint32
	reactivationReason     uint32
	scopeType              uint32
	serverRole             uint32
)

// numbered returns a table of consecutive values.
func numbered(first int, names ...string) cim.ValueTable {
	var t cim.ValueTable
	for i, name := range names {
		t.Entries = append(t.Entries, cim.ValueEntry{Map: strconv.Itoa(first + i), Name: name})
	}
	return t
}

// named returns the table of a string whose values name themselves.
func named(names ...string) cim.ValueTable {
	var t cim.ValueTable
	for _, name := range names {
		t.Entries = append(t.Entries, cim.ValueEntry{Name: name})
	}
	return t
}

func (activationStatus) CIMValues() cim.ValueTable {
	return numbered(0, "activated", "not activated", "unknown")
}

func (agreementType) CIMValues() cim.ValueTable {
	return numbered(0, "Select", "Enterprise", "Campus", "School", "Service Provider", "other (Open Value, multi-year open, open subscription)")
}

func (calAvailability) CIMValues() cim.ValueTable {
	return named("Available", "Limited", "None", "Not Tracking")
}

func (calType) CIMValues() cim.ValueTable {
	return named("Built-in TS Per Device CAL", "TS Per Device CAL", "TS Internet Connector CAL", "TS Per User CAL",
		"TS or RDS Per Device CAL", "TS or RDS Per User CAL", "VDI Standard Suite Per Device subscription license",
		"VDI Premium Suite Per Device subscription license", "RDS Per Device CAL", "RDS Per User CAL")
}

func (keyPackType) CIMValues() cim.ValueTable {
	return numbered(0, "unknown", "retail purchase", "volume purchase", "concurrent license", "temporary", "open license", "not supported")
}

func (licenseStatus) CIMValues() cim.ValueTable {
	return numbered(0, "unknown", "temporary", "active", "upgrade", "revoked", "pending", "concurrent")
}

func (accessRights) CIMValues() cim.ValueTable {
	t := numbered(0, "RD Session", "VDI Session", "Calista", "VDI Partners")
	t.Bits = true
	return t
}

func (perWhat) CIMValues() cim.ValueTable { return named("Per Device", "Per User", "Unknown") }

func (productType) CIMValues() cim.ValueTable {
	return numbered(0, "per device", "per user", "not valid", "built-in")
}

func (productTypeArgument) CIMValues() cim.ValueTable {
	return numbered(0, "per device", "per user", "not valid")
}

func (productVersion) CIMValues() cim.ValueTable {
	return named("Windows Server 2008", "Windows Server 7", "Windows Server 2012", "Windows Server 2016", "Windows Server 2019",
		"Windows Server 2022", "Windows 2000 Server", "Windows Server 2008 or Windows Server 2008 R2", "Windows Server 2025")
}

func (productVersionArgument) CIMValues() cim.ValueTable {
	return cim.ValueTable{Entries: []cim.ValueEntry{
		{Map: "0", Name: "not supported"}, {Map: "1", Name: "not supported"},
		{Map: "2", Name: "Windows Server 2008 (and 2008 R2 for Install*)"}, {Map: "4", Name: "Windows Server 2012 / 2012 R2"},
		{Map: "5", Name: "Windows Server 2016"}, {Map: "6", Name: "Windows Server 2019"}, {Map: "7", Name: "Windows Server 2022"},
		{Map: "3", Name: "Windows Server 2008 R2"}, {Map: "8", Name: "Windows Server 2025"},
	}}
}

func (productVersionID) CIMValues() cim.ValueTable {
	return numbered(0, "not supported", "not supported", "Windows Server 2008", "Windows Server 2008 R2", "Windows Server 2012 / 2012 R2",
		"Windows Server 2016", "Windows Server 2019", "Windows Server 2022", "Windows Server 2025")
}

func (reactivationReason) CIMValues() cim.ValueTable {
	return numbered(0, "server redeployed", "certificate corrupt", "private key compromised", "activation key expired", "server upgraded")
}

func (scopeType) CIMValues() cim.ValueTable {
	return numbered(1, "domain", "organizational unit", "all trusted domains")
}

func (serverRole) CIMValues() cim.ValueTable { return numbered(0, "workgroup", "domain", "forest") }
