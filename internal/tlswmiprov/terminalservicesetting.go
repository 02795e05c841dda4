package tlswmiprov

import (
	"context"
	"errors"
	"iter"
	"slices"

	"calkeeper/internal/auth"
	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
)

// TerminalServicesNamespace is where the classes of session hosts are.
const TerminalServicesNamespace = "root/cimv2/TerminalServices"

// settingProvider is their provider qualifier; Windows has them in another DLL, TSCfgWmi.
const settingProvider = "Win32_WIN32_TERMINALSERVICESETTING_Prov"

// TerminalServices returns the classes of session hosts, as far as a license server can stand in for those that are registered
// with it: what concerns their licensing.
func (p *Provider) TerminalServices() (*cim.Namespace, error) {
	setting, err := p.terminalServiceSetting()
	if err != nil {
		return nil, err
	}
	discovered, err := define[DiscoveredLicenseServer]()
	if err != nil {
		return nil, err
	}
	return cim.NewNamespace(TerminalServicesNamespace, setting, discovered)
}

// TerminalServiceSetting is Win32_TerminalServiceSetting: one instance for each registered session host.
type TerminalServiceSetting struct {
	ServerName                              string             `cim:"ServerName,key"`
	TerminalServerMode                      terminalServerMode `cim:"TerminalServerMode"`
	LicensingType                           licensingType      `cim:"LicensingType"`
	PolicySourceLicensingType               policySource       `cim:"PolicySourceLicensingType"`
	LicensingName                           string             `cim:"LicensingName"`
	LicensingDescription                    string             `cim:"LicensingDescription"`
	PolicySourceDirectConnectLicenseServers policySource       `cim:"PolicySourceDirectConnectLicenseServers,deprecated"`
	PolicySourceConfiguredLicenseServers    policySource       `cim:"PolicySourceConfiguredLicenseServers"`

	licenseServers []string // as licensing.Host has them
}

// CIMClassName returns the name of the class.
func (TerminalServiceSetting) CIMClassName() string { return "Win32_TerminalServiceSetting" }

// DiscoveredLicenseServer is Win32_TSDiscoveredLicenseServer, which occurs only embedded.
type DiscoveredLicenseServer struct {
	LicenseServer string        `cim:"LicenseServer,key"`
	HowDiscovered howDiscovered `cim:"HowDiscovered,deprecated"`
	IsLSAvailable availability  `cim:"IsLSAvailable"`
	IsAdminOnLS   yesNoUnknown  `cim:"IsAdminOnLS"`
	IssuingCALs   issuingCALs   `cim:"IssuingCALs"`
}

// CIMClassName returns the name of the class.
func (DiscoveredLicenseServer) CIMClassName() string { return "Win32_TSDiscoveredLicenseServer" }

// Inputs and outputs of the methods.
type (
	serverNameIn struct {
		Name string `cim:"ServerName"`
	}
	licenseServerNameIn struct {
		Name string `cim:"LicenseServerName"`
	}
	specifiedServers struct {
		Names []string `cim:"SpecifiedLSList"`
	}
	discoveredServers struct {
		Servers []DiscoveredLicenseServer `cim:"LicenseServersList"`
		Count   uint32                    `cim:"Count"`
	}
	daysLeft struct {
		Days uint32 `cim:"DaysLeft"`
	}
	accessAllowed struct {
		Is access `cim:"AccessAllowed"`
	}
	connectivityOut struct {
		Status connectivity `cim:"TStoLSConnectivityStatus"`
	}
	modeIn struct {
		Type licensingType `cim:"LicensingType"`
	}
)

// errFalse becomes S_FALSE: nothing failed, and the answer is no.
var errFalse = errors.New("no")

const sFalse = 1

func (p *Provider) terminalServiceSetting() (*cim.Class, error) {
	return define[TerminalServiceSetting](
		cim.Provided(settingProvider),
		cim.ReturnValues(func(ctx context.Context, method string, err error) uint32 {
			if errors.Is(err, errFalse) {
				return sFalse
			}
			return p.returnValue(ctx, method, err)
		}),
		cim.Gets(p.getSetting),
		cim.Enumerates(p.settings),
		changesServers(p, "AddLSToSpecifiedLicenseServerList", func(in licenseServerNameIn, list []string) ([]string, error) {
			return append(p.orThis(list), in.Name), nil
		}),
		cim.InstanceMethod("CanAccessLicenseServer", func(_ context.Context, _ TerminalServiceSetting, in serverNameIn) (accessAllowed, error) {
			if !p.isThis(in.Name) {
				return accessAllowed{accessDenied}, cim.KeepOutputs(errFalse)
			}
			return accessAllowed{accessGranted}, nil
		}),
		cim.InstanceMethod("ChangeMode", func(ctx context.Context, host TerminalServiceSetting, in modeIn) (none, error) {
			mode, err := modeOf(in.Type)
			if err != nil {
				return none{}, err
			}
			return none{}, p.Issuance.ChangeMode(ctx, actor(ctx), host.ServerName, mode)
		}),
		changesServers(p, "EmptySpecifiedLicenseServerList", func(none, []string) ([]string, error) { return nil, nil }),
		cim.InstanceMethod("FindLicenseServers", func(ctx context.Context, host TerminalServiceSetting, _ none) (discoveredServers, error) {
			return p.discovered(ctx, host), nil
		}),
		// calkeeper grants no grace period.
		cim.InstanceMethod("GetGracePeriodDays", func(context.Context, TerminalServiceSetting, none) (daysLeft, error) { return daysLeft{0}, nil }),
		cim.InstanceMethod("GetSpecifiedLicenseServerList", func(_ context.Context, host TerminalServiceSetting, _ none) (specifiedServers, error) {
			return specifiedServers{p.orThis(host.licenseServers)}, nil
		}),
		cim.InstanceMethod("GetTStoLSConnectivityStatus", func(_ context.Context, _ TerminalServiceSetting, in serverNameIn) (connectivityOut, error) {
			if p.isThis(in.Name) {
				return connectivityOut{connectableValid}, nil
			}
			return connectivityOut{connectableUnknown}, nil
		}),
		cim.InstanceMethod("PingLicenseServer", func(_ context.Context, _ TerminalServiceSetting, in serverNameIn) (none, error) {
			if !p.isThis(in.Name) {
				return none{}, errFalse
			}
			return none{}, nil
		}),
		changesServers(p, "RemoveLSFromSpecifiedLicenseServerList", func(in licenseServerNameIn, list []string) ([]string, error) {
			names, err := licensing.ParseLicenseServers([]string{in.Name})
			if err != nil {
				return nil, err
			}
			list = p.orThis(list)
			i := slices.Index(list, names[0])
			if i < 0 {
				return nil, licensing.Faultf(licensing.NotFound, "%s is none of the license servers of the session host", names[0])
			}
			return slices.Delete(list, i, i+1), nil
		}),
		changesServers(p, "SetSpecifiedLicenseServerList", func(in specifiedServers, _ []string) ([]string, error) { return in.Names, nil }),
	)
}

// changesServers is a method that makes a new list of license servers of the present one.
func changesServers[In any](p *Provider, name string, change func(in In, list []string) ([]string, error)) cim.Option {
	return cim.InstanceMethod(name, func(ctx context.Context, host TerminalServiceSetting, in In) (none, error) {
		return none{}, p.Issuance.ChangeLicenseServers(ctx, actor(ctx), host.ServerName, func(list []string) ([]string, error) { return change(in, list) })
	})
}

// name returns what this license server calls itself.
func (p *Provider) name() string {
	if name, err := licensing.ParseServerName(p.Activation.Name); err == nil {
		return name
	}
	return p.Activation.Name // a machine may be called anything
}

// isThis tells whether a name is one of this license server.
func (p *Provider) isThis(name string) bool {
	asked, err := licensing.ParseLicenseServers([]string{name})
	if err != nil {
		return false
	}
	names := []string{p.name()}
	for _, name := range p.Activation.Names {
		if name, err := licensing.ParseServerName(name); err == nil {
			names = append(names, name)
		}
	}
	return licensing.AnswersTo(names, asked[0])
}

// orThis returns a list of license servers, or this one alone if there is none.
func (p *Provider) orThis(list []string) []string {
	if len(list) == 0 {
		return []string{p.name()}
	}
	return list
}

// discovered returns what is known of the license servers of a session host: all about this one, and of others the name.
func (p *Provider) discovered(ctx context.Context, host TerminalServiceSetting) (out discoveredServers) {
	for _, name := range p.orThis(host.licenseServers) {
		s := DiscoveredLicenseServer{LicenseServer: name, HowDiscovered: registryConfigured, IsAdminOnLS: unknownIfYes, IssuingCALs: unknownIfAllowed}
		if p.isThis(name) {
			s.IsLSAvailable, s.IsAdminOnLS, s.IssuingCALs = lsAvailable, no, issuingAllowed
			if auth.FromContext(ctx).Administrator() {
				s.IsAdminOnLS = yes
			}
		}
		out.Servers = append(out.Servers, s)
	}
	out.Count = uint32(len(out.Servers))
	return out
}

func (p *Provider) getSetting(ctx context.Context, key TerminalServiceSetting) (TerminalServiceSetting, error) {
	h, err := p.Issuance.Host(ctx, key.ServerName)
	if err != nil && licensing.KindOf(err) == licensing.Invalid { // no session host has such a name
		err = licensing.Faultf(licensing.NotFound, "there is no such session host")
	}
	return settingOf(h), notFound(err)
}

func (p *Provider) settings(ctx context.Context) iter.Seq2[TerminalServiceSetting, error] {
	return func(yield func(TerminalServiceSetting, error) bool) {
		hosts, err := p.Issuance.Hosts(ctx)
		if err != nil {
			yield(TerminalServiceSetting{}, err)
			return
		}
		for _, h := range hosts {
			if !yield(settingOf(h), nil) {
				return
			}
		}
	}
}

func settingOf(h licensing.Host) TerminalServiceSetting {
	s := TerminalServiceSetting{ServerName: h.Name, TerminalServerMode: appServer, licenseServers: h.LicenseServers}
	switch h.Mode {
	case licensing.PerDevice:
		s.LicensingType, s.LicensingName, s.LicensingDescription = perDeviceLicensing, "Per Device", "Each device that connects needs a CAL."
	case licensing.PerUser:
		s.LicensingType, s.LicensingName, s.LicensingDescription = perUserLicensing, "Per User", "Each user who connects needs a CAL."
	}
	return s
}

// modeOf returns the mode of a registration.
func modeOf(t licensingType) (licensing.ProductType, error) {
	switch t {
	case perDeviceLicensing:
		return licensing.PerDevice, nil
	case perUserLicensing:
		return licensing.PerUser, nil
	case personalTerminalServer, remoteAdministration, notConfigured:
		return 0, licensing.Faultf(licensing.NotSupported, "a session host that is registered here counts per device (2) or per user (4)")
	}
	return 0, licensing.Faultf(licensing.Invalid, "LicensingType %d is not valid: 2 is per device, 4 per user", uint32(t))
}
