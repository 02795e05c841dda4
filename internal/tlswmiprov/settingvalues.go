package tlswmiprov

import "calkeeper/internal/cim"

// The types of the properties and parameters of session hosts, with the words of the documentation.
type (
	terminalServerMode uint32
	licensingType      uint32
	policySource       uint32
	howDiscovered      uint32
	availability       uint32
	yesNoUnknown       uint32
	issuingCALs        uint32
	access             uint32
	connectivity       uint32
)

// The values that are used.
const (
	appServer terminalServerMode = 1

	personalTerminalServer licensingType = 0
	remoteAdministration   licensingType = 1
	perDeviceLicensing     licensingType = 2
	perUserLicensing       licensingType = 4
	notConfigured          licensingType = 5

	registryConfigured howDiscovered = 1
	lsAvailable        availability  = 1
	no                 yesNoUnknown  = 0
	yes                yesNoUnknown  = 1
	unknownIfYes       yesNoUnknown  = 2
	issuingAllowed     issuingCALs   = 1
	unknownIfAllowed   issuingCALs   = 2

	accessDenied  access = 0
	accessGranted access = 1

	connectableUnknown connectivity = 0
	connectableValid   connectivity = 11
)

func (terminalServerMode) CIMValues() cim.ValueTable { return numbered(0, "RemoteAdmin", "AppServer") }

// CIMValues lists the numbers that ChangeMode and scripts use. The documentation of the property has 3 for per user and 4 for
// not configured, against its own of the method.
func (licensingType) CIMValues() cim.ValueTable {
	return cim.ValueTable{Entries: []cim.ValueEntry{
		{Map: "0", Name: "Personal Terminal Server"}, {Map: "1", Name: "Remote Desktop for Administration"}, {Map: "2", Name: "Per Device"},
		{Map: "4", Name: "Per User"}, {Map: "5", Name: "Not Configured"},
	}}
}

func (policySource) CIMValues() cim.ValueTable { return numbered(0, "Server", "Group policy") }

func (howDiscovered) CIMValues() cim.ValueTable {
	return numbered(0, "GroupPolicyConfigured", "RegistryConfigured", "WorkgroupDiscovery", "DomainDiscovery", "EnterpriseDiscovery")
}

func (availability) CIMValues() cim.ValueTable { return numbered(0, "Not Available", "Available") }

func (yesNoUnknown) CIMValues() cim.ValueTable { return numbered(0, "No", "Yes", "Dont know") }

func (issuingCALs) CIMValues() cim.ValueTable {
	return numbered(0, "Not Allowed", "Allowed", "Dont know")
}

// CIMValues lists the numbers the way scripts read them. The documentation has them the other way round.
func (access) CIMValues() cim.ValueTable { return numbered(0, "not allowed", "allowed") }

func (connectivity) CIMValues() cim.ValueTable {
	return numbered(0, "LS_CONNECTABLE_UNKNOWN", "LS_CONNECTABLE_VALID_WS08R2", "LS_CONNECTABLE_VALID_WS08", "LS_CONNECTABLE_BETA_RTM_MISMATCH",
		"LS_CONNECTABLE_LOWER_VERSION", "LS_CONNECTABLE_NOT_IN_TSCGROUP", "LS_NOT_CONNECTABLE", "LS_CONNECTABLE_UNKNOWN_VALIDITY",
		"LS_CONNECTABLE_BUT_ACCESS_DENIED", "LS_CONNECTABLE_VALID_WS08R2_VDI", "LS_CONNECTABLE_FEATURE_NOT_SUPPORTED", "LS_CONNECTABLE_VALID_LS")
}
