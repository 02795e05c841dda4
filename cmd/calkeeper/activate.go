package main

import (
	"context"
	"fmt"
	"io"

	"calkeeper/internal/wsman/client"
)

type activateCmd struct {
	connection

	Status     bool `xor:"what" help:"Show whether it is activated, and change nothing."`
	Reactivate bool `xor:"what" help:"Get a new license server ID for the same account: after a loss of the database or the keys."`
	Deactivate bool `xor:"what" help:"Give up the license server ID. The CALs stay on its account, from where they can be imported."`

	LicenseServerID string `name:"license-server-id" placeholder:"ID" help:"The ID that the clearinghouse's operator gave by phone or web, for a license server without network."`
	ConfirmCode     string `placeholder:"CODE" help:"The code that the clearinghouse's operator gave for --deactivate without network; - reads it from standard input."`
	Reason          reason `default:"0" placeholder:"REASON" help:"Why to reactivate: redeployed, corrupt, compromised, expired, upgraded, or 0 to 4."`

	FirstName  string `group:"contact" placeholder:"TEXT" help:"First name. Activation needs it, the last name, the company and the country."`
	LastName   string `group:"contact" placeholder:"TEXT" help:"Last name."`
	Company    string `group:"contact" placeholder:"TEXT" help:"Company."`
	Country    string `group:"contact" placeholder:"TEXT" help:"Country or region."`
	Email      string `group:"contact" placeholder:"TEXT" help:"E-mail address."`
	OrgUnit    string `group:"contact" placeholder:"TEXT" help:"Organizational unit."`
	Address    string `group:"contact" placeholder:"TEXT" help:"Street."`
	City       string `group:"contact" placeholder:"TEXT" help:"City."`
	State      string `group:"contact" placeholder:"TEXT" help:"State or province."`
	PostalCode string `group:"contact" placeholder:"TEXT" help:"Postal code."`
}

// Help is shown by --help.
func (activateCmd) Help() string {
	return `Examples:
  calkeeper activate --first-name Ada --last-name Lovelace --company "Example Farm" --country "United Kingdom"
  calkeeper activate --status --server https://ls.example.org:5986/wsman`
}

// Run activates.
func (c *activateCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.check(); err != nil {
		return err
	}
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	if contact := c.contact(); len(contact) > 0 {
		if _, err := wsman.Put(ctx, licenseServerClass, nil, contact); err != nil {
			return err
		}
	}
	if !c.Status {
		method, arguments, err := c.method(t)
		if err != nil {
			return err
		}
		t.progress("Asking %s …", c.Server)
		if _, err := invoke(ctx, wsman, licenseServerClass, method, nil, arguments...); err != nil {
			return err
		}
	}
	return showActivation(ctx, t, wsman)
}

func (c *activateCmd) check() error {
	switch {
	case c.ConfirmCode != "" && !c.Deactivate:
		return usagef("--confirm-code goes with --deactivate")
	case c.LicenseServerID != "" && (c.Status || c.Deactivate):
		return usagef("--license-server-id goes with activation, or with --reactivate")
	case c.Status && len(c.contact()) > 0:
		return usagef("--status changes nothing: leave out the contact data")
	case c.Reason != 0 && (!c.Reactivate || c.LicenseServerID != ""):
		return usagef("--reason goes with --reactivate, without --license-server-id")
	}
	return nil
}

// contact returns the properties to set: those that were given.
func (c *activateCmd) contact() []client.Value {
	var set []client.Value
	for _, p := range []struct{ name, value string }{
		{"FirstName", c.FirstName}, {"LastName", c.LastName}, {"Company", c.Company}, {"CountryRegion", c.Country}, {"eMail", c.Email},
		{"OrgUnit", c.OrgUnit}, {"Address", c.Address}, {"City", c.City}, {"State", c.State}, {"PostalCode", c.PostalCode},
	} {
		if p.value != "" {
			set = append(set, client.Text(p.name, p.value))
		}
	}
	return set
}

// method returns what to invoke.
func (c *activateCmd) method(t *terminal) (string, []client.Value, error) {
	switch {
	case c.Deactivate && c.ConfirmCode != "":
		code, err := t.code(c.ConfirmCode)
		return "DeactivateServer", []client.Value{client.Text("sConfirmCode", code)}, err
	case c.Deactivate:
		return "DeactivateServerAutomatic", nil, nil
	case c.Reactivate && c.LicenseServerID != "":
		return "ReactivateServer", []client.Value{client.Text("sNewLicenseServerId", typed(c.LicenseServerID))}, nil
	case c.Reactivate:
		return "ReactivateServerAutomatic", []client.Value{client.Uint32("Reason", uint32(c.Reason))}, nil
	case c.LicenseServerID != "":
		return "ActivateServer", []client.Value{client.Text("sLicenseServerId", typed(c.LicenseServerID))}, nil
	}
	return "ActivateServerAutomatic", nil, nil
}

// showActivation shows what the license server says of itself.
func showActivation(ctx context.Context, t *terminal, wsman *client.Client) error {
	out, err := invoke(ctx, wsman, licenseServerClass, "GetActivationStatus", nil)
	if err != nil {
		return err
	}
	status := struct {
		Activated       bool   `json:"activated"`
		Status          uint32 `json:"activationStatus"`
		LicenseServerID string `json:"licenseServerId,omitempty"`
		ProductID       string `json:"productId"`
	}{}
	status.Status, _ = out.Uint32("ActivationStatus")
	if status.Activated = status.Status == 0; status.Activated {
		if out, err = invoke(ctx, wsman, licenseServerClass, "GetLicenseServerId", nil); err != nil {
			return err
		}
		status.LicenseServerID = out.Text("sLicenseServerId")
	}
	server, err := wsman.Get(ctx, licenseServerClass, nil)
	if err != nil {
		return err
	}
	status.ProductID = server.Text("ProductId")
	return t.print(status, func(w io.Writer) {
		if status.Activated {
			fmt.Fprintf(w, "activated\nlicense server ID:\t%s\n", grouped(status.LicenseServerID))
		} else {
			fmt.Fprintln(w, "not activated")
		}
		fmt.Fprintf(w, "product ID:\t%s\n", grouped(status.ProductID))
	})
}
