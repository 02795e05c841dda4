package tlswmiprov

import (
	"cmp"
	"context"

	"calkeeper/internal/auth"
	"calkeeper/internal/cim"
)

// right is what a caller's role must give for an operation.
type right int

// The rights. Each role that has one has those before it.
const (
	administer right = iota // of what nobody has thought of
	operate
	read
)

// methodRights has the methods that do not need an Administrator, by name: no two classes have methods of one name.
var methodRights = map[string]right{
	// Win32_TSLicenseServer: questions. They change nothing here, nor in the directory.
	"GetActivationStatus":         read,
	"GetLicenseServerId":          read,
	"IsLSinTSLSGroup":             read,
	"IsLSonDC":                    read,
	"IsLSPreventUpgradeGPEnabled": read,
	"IsLSPublished":               read,
	"IsLSRegisteredToSCP":         read,
	"IsLSSecGrpGPEnabled":         read,
	"IsSecureAccessAllowed":       read,
	"IsTSCGroupPresent":           read,
	"IsTSinTSCGroup":              read,

	// Win32_TSIssuedLicense
	"Revoke": operate,

	// Win32_TSLicenseReport
	"FetchReportEntries":                     read,
	"FetchReportFailedPerUserEntries":        read,
	"FetchReportFailedPerUserSummaryEntries": read,
	"FetchReportPerDeviceEntries":            read,
	"FetchReportSummaryEntries":              read,
	"GenerateReport":                         operate,
	"GenerateReportEx":                       operate,

	// Win32_TerminalServiceSetting: questions
	"CanAccessLicenseServer":        read,
	"FindLicenseServers":            read,
	"GetGracePeriodDays":            read,
	"GetSpecifiedLicenseServerList": read,
	"GetTStoLSConnectivityStatus":   read,
	"PingLicenseServer":             read,
}

// authorize decides about every operation on every class.
func authorize(ctx context.Context, o cim.Operation) error {
	caller, needed := auth.FromContext(ctx), read
	switch {
	case o.Put:
		needed = administer
	case o.Method != nil:
		needed = methodRights[o.Method.Name]
	case o.Class.Name == LicenseServer{}.CIMClassName():
		return nil // to one who may not read, getServer shows an empty instance
	}
	var has bool
	var lacks string
	switch needed {
	case read:
		has, lacks = caller.Role.Reads(), "has no role on this license server"
	case operate:
		has, lacks = caller.Role.Operates(), "is neither an operator nor an administrator of this license server"
	default:
		has, lacks = caller.Administrator(), "is not an administrator of this license server"
	}
	if !has {
		return cim.Errorf(cim.StatusAccessDenied, "access is denied: %s %s", cmp.Or(caller.User, "the caller"), lacks)
	}
	return nil
}

// actor returns the name of the caller, for the audit log.
func actor(ctx context.Context) string { return auth.FromContext(ctx).User }
