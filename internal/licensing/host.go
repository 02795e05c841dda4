package licensing

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Host is a session host that may ask for CALs: a member of the license server security group.
type Host struct {
	Name           string         // as ParseServerName returns it
	ProductVersion ProductVersion // a CAL must be at least as new
	Mode           ProductType    // PerDevice or PerUser
	Concurrent     bool           // a CAL is used as long as a session lives, not for a term
	LeaseTTL       time.Duration  // of a session that nobody renews; 0 if not Concurrent
	LicenseServers []string       // that it is set to ask, first the first, as ParseLicenseServers returns them; empty: this one alone
	TokenHash      []byte         // SHA-256 of the token; empty if the host has a certificate
	Certificate    []byte         // SHA-256 of the client certificate; empty if the host has a token
	Added          time.Time
}

// Bounds of the time after which a session counts as dead that its session host has not renewed.
const (
	ShortestLeaseTTL = time.Minute
	LongestLeaseTTL  = 30 * day
	DefaultLeaseTTL  = time.Hour
)

var versionNames = []struct {
	name    string
	version ProductVersion
}{
	{"ws2008", WindowsServer2008}, {"ws2008r2", WindowsServer2008}, {"ws2012", WindowsServer2012}, {"ws2012r2", WindowsServer2012},
	{"ws2016", WindowsServer2016}, {"ws2019", WindowsServer2019}, {"ws2022", WindowsServer2022}, {"ws2025", WindowsServer2025},
}

// ShortName returns the version as session hosts are registered with it, for example "ws2022".
func (v ProductVersion) ShortName() string {
	for _, n := range versionNames {
		if n.version == v {
			return n.name
		}
	}
	return strconv.FormatUint(uint64(v), 10)
}

// ParseVersionName returns the version that has the short name, such as ws2022, or the number. Fault: Invalid.
func ParseVersionName(s string) (ProductVersion, error) {
	for _, n := range versionNames {
		if strings.EqualFold(n.name, s) {
			return n.version, nil
		}
	}
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		if v, err := ParseProductVersion(uint32(n)); err == nil {
			return v, nil
		}
	}
	return 0, Faultf(Invalid, "%q is no product version: ws2008, ws2012, ws2016, ws2019, ws2022 and ws2025 are, and the numbers 2 to 8", s)
}

// ModeName returns the mode as session hosts are registered with it: per-device or per-user.
func (t ProductType) ModeName() string { return strings.ReplaceAll(t.String(), " ", "-") }

// ParseMode returns the mode of that name. Fault: Invalid.
func ParseMode(s string) (ProductType, error) {
	for _, t := range []ProductType{PerDevice, PerUser} {
		if strings.EqualFold(t.ModeName(), s) {
			return t, nil
		}
	}
	return 0, Faultf(Invalid, "%q is no licensing mode: per-device and per-user are", s)
}

// MaxLicenseServers is how many license servers a session host can be set to ask.
const MaxLicenseServers = 32

// ParseLicenseServers checks the names of license servers, and returns each once, as ParseServerName does. White space around
// a name does not matter. Faults: Invalid; OutOfRange.
func ParseLicenseServers(names []string) ([]string, error) {
	var list []string
	for i, name := range names {
		name, err := ParseServerName(strings.TrimSpace(name))
		if err != nil {
			return nil, Faultf(Invalid, "name %d of the license servers is none: it must be a host name, a fully qualified domain name or an IP address", i+1)
		}
		if slices.Contains(list, name) {
			continue
		}
		if len(list) == MaxLicenseServers {
			return nil, Faultf(OutOfRange, "there are more than %d license servers", MaxLicenseServers)
		}
		list = append(list, name)
	}
	return list, nil
}

// ParseHostName checks the name of a session host: a host name, a fully qualified domain name or an IP address, as
// ParseServerName does.
func ParseHostName(name string) (string, error) {
	name, err := ParseServerName(name)
	if err != nil {
		return "", Faultf(Invalid, "the name of the session host is none: it must be a host name, a fully qualified domain name or an IP address")
	}
	return name, nil
}
