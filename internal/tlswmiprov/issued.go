package tlswmiprov

import (
	"cmp"
	"context"
	"iter"
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
)

// IssuedLicense is Win32_TSIssuedLicense: a CAL, per device or per user. The documentation speaks of per device ones only, but
// servers list both.
type IssuedLicense struct {
	LicenseID        uint32        `cim:"LicenseId,key"`
	KeyPackID        uint32        `cim:"KeyPackId,key"`
	IssuedToUser     string        `cim:"sIssuedToUser"`
	IssuedToComputer string        `cim:"sIssuedToComputer"`
	LicenseStatus    licenseStatus `cim:"LicenseStatus"`
	IssueDate        cim.Datetime  `cim:"IssueDate"`
	ExpirationDate   cim.Datetime  `cim:"ExpirationDate"`
	HardwareID       string        `cim:"sHardwareId"`
}

// CIMClassName returns the name of the class.
func (IssuedLicense) CIMClassName() string { return "Win32_TSIssuedLicense" }

// What servers show of a CAL whose device is not known.
var (
	noComputer   = " "
	noHardwareID = strings.Repeat("0", 36)
)

func issuedLicenseOf(c licensing.CALSummary) IssuedLicense {
	computer, hardwareID := shownDevice(c.Device)
	return IssuedLicense{
		LicenseID: c.ID, KeyPackID: c.KeyPackID, IssuedToUser: c.User, IssuedToComputer: computer, LicenseStatus: licenseStatus(c.Status),
		IssueDate: cim.NewDatetime(c.Issued), ExpirationDate: cim.NewDatetime(c.Expires), HardwareID: hardwareID,
	}
}

// shownDevice returns a device the way servers show it.
func shownDevice(d licensing.Device) (computer, hardwareID string) {
	return cmp.Or(d.String(), noComputer), cmp.Or(d.ID, noHardwareID)
}

type revokeOut struct {
	RevokableCals       uint32       `cim:"RevokableCals"`
	NextRevokeAllowedOn cim.Datetime `cim:"NextRevokeAllowedOn"`
}

func (p *Provider) issuedLicense() (*cim.Class, error) {
	return define[IssuedLicense](
		cim.Provided(providerName),
		cim.ReturnValues(p.returnValue),
		cim.Gets(p.getIssuedLicense),
		cim.Enumerates(p.issuedLicenses),
		cim.InstanceMethod("Revoke", p.revoke),
	)
}

func (p *Provider) getIssuedLicense(ctx context.Context, key IssuedLicense) (IssuedLicense, error) {
	c, err := p.Issuance.CAL(ctx, key.LicenseID)
	if err == nil && c.KeyPackID != key.KeyPackID {
		err = licensing.Faultf(licensing.NotFound, "CAL %d is not of key pack %d", key.LicenseID, key.KeyPackID)
	}
	return issuedLicenseOf(c.Summary()), notFound(err)
}

func (p *Provider) issuedLicenses(ctx context.Context) iter.Seq2[IssuedLicense, error] {
	return func(yield func(IssuedLicense, error) bool) {
		for c, err := range p.Issuance.CALSummaries(ctx) {
			if !yield(issuedLicenseOf(c), listError(err)) {
				return
			}
		}
	}
}

// revoke answers how far revoking may go on also when it does not revoke: scripts read NextRevokeAllowedOn in any case.
func (p *Provider) revoke(ctx context.Context, self IssuedLicense, _ none) (revokeOut, error) {
	rest, err := p.Issuance.Revoke(ctx, actor(ctx), self.LicenseID)
	return revokeOut{rest.RevokableCALs, cim.NewDatetime(rest.NextRevokeAllowedOn)}, cim.KeepOutputs(err)
}
