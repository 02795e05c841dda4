package tlswmiprov

import (
	"context"
	"iter"

	"calkeeper/internal/auth"
	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
)

// LicenseServer is Win32_TSLicenseServer, a singleton.
type LicenseServer struct {
	FirstName     string     `cim:"FirstName,write"`
	LastName      string     `cim:"LastName,write"`
	Company       string     `cim:"Company,write"`
	CountryRegion string     `cim:"CountryRegion,write"`
	EMail         string     `cim:"eMail,write"`
	OrgUnit       string     `cim:"OrgUnit,write"`
	Address       string     `cim:"Address,write"`
	City          string     `cim:"City,write"`
	State         string     `cim:"State,write"`
	PostalCode    string     `cim:"PostalCode,write"`
	ServerRole    serverRole `cim:"ServerRole"`
	DatabasePath  string     `cim:"DatabasePath"`
	ProductID     string     `cim:"ProductId"`
	Version       string     `cim:"Version"`
	VersionNumber string     `cim:"VersionNumber"`
}

// CIMClassName returns the name of the class.
func (LicenseServer) CIMClassName() string { return "Win32_TSLicenseServer" }

// Inputs and outputs of the methods.
type (
	licenseServerID struct {
		ID string `cim:"sLicenseServerId"`
	}
	newLicenseServerID struct {
		ID string `cim:"sNewLicenseServerId"`
	}
	confirmCode struct {
		Code string `cim:"sConfirmCode"`
	}
	reasonIn struct {
		Reason reactivationReason `cim:"Reason"`
	}
	statusOut struct {
		Status activationStatus `cim:"ActivationStatus"`
	}
	roleIn struct {
		Role serverRole `cim:"ServerRole"`
	}
	domainIn struct {
		Domain string `cim:"Domain,optional"`
	}
	hostIn struct {
		Name string `cim:"tsname"`
	}
	isMember struct {
		Is bool `cim:"IsMember"`
	}
	onDC struct {
		Is bool `cim:"OnDC"`
	}
	enabled struct {
		Is bool `cim:"Enabled"`
	}
	published struct {
		Is bool `cim:"Published"`
	}
	allowed struct {
		Is bool `cim:"Allowed"`
	}
	present struct {
		Is bool `cim:"Present"`
	}
	registered struct {
		Is bool `cim:"Registered"`
	}
)

func (p *Provider) licenseServer() (*cim.Class, error) {
	a, d := p.Activation, p.Discovery
	return define[LicenseServer](
		cim.Singleton(),
		cim.Provided(providerName),
		cim.ReturnValues(p.returnValue),
		cim.Gets(p.getServer),
		cim.Enumerates(p.servers),
		cim.Puts(p.putServer),
		activates(p, "ActivateServer", func(ctx context.Context, actor string, in licenseServerID) error {
			return a.Activate(ctx, actor, in.ID)
		}),
		activates(p, "ActivateServerAutomatic", func(ctx context.Context, actor string, _ none) error {
			return a.ActivateAutomatic(ctx, actor)
		}),
		changes("AddLStoTSLSGroup", func(ctx context.Context, actor string, _ none) error { return d.AddToGroup(ctx, actor) }),
		changes("ChangeRole", func(ctx context.Context, actor string, in roleIn) error {
			return d.ChangeRole(ctx, actor, uint32(in.Role))
		}),
		unsupported[none, none]("CreateTSCGroup"),
		activates(p, "DeactivateServer", func(ctx context.Context, actor string, in confirmCode) error {
			return a.Deactivate(ctx, actor, in.Code)
		}),
		activates(p, "DeactivateServerAutomatic", func(ctx context.Context, actor string, _ none) error {
			return a.DeactivateAutomatic(ctx, actor)
		}),
		cim.StaticMethod("GetActivationStatus", func(ctx context.Context, _ none) (statusOut, error) {
			return p.activationStatus(ctx)
		}),
		cim.StaticMethod("GetLicenseServerId", func(ctx context.Context, _ none) (licenseServerID, error) {
			id, err := a.LicenseServerID(ctx)
			return licenseServerID{id}, err
		}),
		cim.StaticMethod("IsLSinTSLSGroup", func(ctx context.Context, in domainIn) (isMember, error) {
			is, err := d.InGroup(ctx, in.Domain)
			return isMember{is}, err
		}),
		cim.StaticMethod("IsLSonDC", func(ctx context.Context, _ none) (onDC, error) {
			is, err := d.OnDomainController(ctx)
			return onDC{is}, err
		}),
		cim.StaticMethod("IsLSPreventUpgradeGPEnabled", func(context.Context, none) (enabled, error) {
			return enabled{p.Issuance.PreventUpgrade}, nil
		}),
		cim.StaticMethod("IsLSPublished", func(ctx context.Context, _ none) (published, error) {
			is, err := d.Published(ctx)
			return published{is}, err
		}),
		cim.StaticMethod("IsLSSecGrpGPEnabled", func(context.Context, none) (enabled, error) { return enabled{!p.Issuance.AnyHost}, nil }),
		cim.StaticMethod("IsSecureAccessAllowed", func(ctx context.Context, in hostIn) (allowed, error) {
			is, err := p.isSessionHost(ctx, in)
			return allowed{is || err == nil && p.Issuance.AnyHost}, err
		}),
		unsupported[none, present]("IsTSCGroupPresent"),
		cim.StaticMethod("IsTSinTSCGroup", func(ctx context.Context, in hostIn) (isMember, error) {
			is, err := p.isSessionHost(ctx, in)
			return isMember{is}, err
		}),
		changes("PublishLS", func(ctx context.Context, actor string, _ none) error { return d.Publish(ctx, actor) }),
		activates(p, "ReactivateServer", func(ctx context.Context, actor string, in newLicenseServerID) error {
			return a.Reactivate(ctx, actor, in.ID)
		}),
		activates(p, "ReactivateServerAutomatic", func(ctx context.Context, actor string, in reasonIn) error {
			return a.ReactivateAutomatic(ctx, actor, uint32(in.Reason))
		}),
		changes("RemoveLSfromTSLSGroup", func(ctx context.Context, actor string, _ none) error {
			return d.RemoveFromGroup(ctx, actor)
		}),
		unsupported[none, none]("RemoveTSCGroup"),
		changes("UnpublishLS", func(ctx context.Context, actor string, _ none) error { return d.Unpublish(ctx, actor) }),
		cim.StaticMethod("IsLSRegisteredToSCP", func(ctx context.Context, _ none) (registered, error) {
			is, err := d.Registered(ctx)
			return registered{is}, err
		}),
		changes("RegisterLSToSCP", func(ctx context.Context, actor string, _ none) error { return d.Register(ctx, actor) }),
		changes("UnRegisterLSFromSCP", func(ctx context.Context, actor string, _ none) error { return d.Unregister(ctx, actor) }),
	)
}

// activates is a static method that changes the activation and returns what it is then.
func activates[In any](p *Provider, name string, f func(ctx context.Context, actor string, in In) error) cim.Option {
	return cim.StaticMethod(name, func(ctx context.Context, in In) (statusOut, error) {
		if err := f(ctx, actor(ctx), in); err != nil {
			return statusOut{}, err
		}
		p.Inventory.Resume()
		return p.activationStatus(ctx)
	})
}

// changes is a static method that changes something and returns nothing.
func changes[In any](name string, f func(ctx context.Context, actor string, in In) error) cim.Option {
	return cim.StaticMethod(name, func(ctx context.Context, in In) (none, error) {
		return none{}, f(ctx, actor(ctx), in)
	})
}

// isSessionHost tells whether a session host is registered: a member of the group that the license server answers. An empty name is
// nobody's: scripts ask with one.
func (p *Provider) isSessionHost(ctx context.Context, in hostIn) (bool, error) {
	if in.Name == "" {
		return false, nil
	}
	_, err := p.Issuance.Host(ctx, in.Name)
	if err != nil && licensing.KindOf(err) == licensing.NotFound {
		return false, nil
	}
	return err == nil, err
}

func (p *Provider) activationStatus(ctx context.Context) (statusOut, error) {
	server, err := p.Activation.Server(ctx)
	if err != nil {
		return statusOut{}, err
	}
	if server.Activated() {
		return statusOut{activationStatus(licensing.StatusActivated)}, nil
	}
	return statusOut{activationStatus(licensing.StatusNotActivated)}, nil
}

// getServer returns the instance. A caller without a role gets it with empty properties, as the documentation says of one who is no
// administrator.
func (p *Provider) getServer(ctx context.Context, _ LicenseServer) (LicenseServer, error) {
	if !auth.FromContext(ctx).Role.Reads() {
		return LicenseServer{}, nil
	}
	v, err := p.Activation.Server(ctx)
	if err != nil {
		return LicenseServer{}, err
	}
	c := v.Contact
	return LicenseServer{
		FirstName: c.FirstName, LastName: c.LastName, Company: c.Company, CountryRegion: c.CountryRegion, EMail: c.EMail,
		OrgUnit: c.OrgUnit, Address: c.Address, City: c.City, State: c.State, PostalCode: c.PostalCode,
		ServerRole: serverRole(v.Role), DatabasePath: p.Inventory.DatabasePath(), ProductID: v.ProductID,
		Version: "calkeeper " + p.Version, VersionNumber: p.Version,
	}, nil
}

func (p *Provider) servers(ctx context.Context) iter.Seq2[LicenseServer, error] {
	return func(yield func(LicenseServer, error) bool) { yield(p.getServer(ctx, LicenseServer{})) }
}

func (p *Provider) putServer(ctx context.Context, v LicenseServer, _ []string) error {
	return p.Activation.SetContact(ctx, actor(ctx), func(c *licensing.Contact) {
		*c = licensing.Contact{
			FirstName: v.FirstName, LastName: v.LastName, Company: v.Company, CountryRegion: v.CountryRegion, EMail: v.EMail,
			OrgUnit: v.OrgUnit, Address: v.Address, City: v.City, State: v.State, PostalCode: v.PostalCode,
		}
	})
}
