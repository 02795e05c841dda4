package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

type keypackCmd struct {
	List      keypackListCmd      `cmd:"" help:"List the key packs."`
	Install   keypackInstallCmd   `cmd:"" help:"Install CALs that were bought."`
	Import    keypackImportCmd    `cmd:"" help:"Move CALs here from another license server."`
	Reinstall keypackReinstallCmd `cmd:"" help:"Install again what the clearinghouse knows to be here and the database has lost."`
	Convert   keypackConvertCmd   `cmd:"" help:"Turn per device CALs into per user CALs, or back, in a new key pack."`
	Policy    keypackPolicyCmd    `cmd:"" help:"Say what happens when more CALs of a key pack are asked for than there are."`
	Remove    keypackRemoveCmd    `cmd:"" help:"Remove CALs, or a whole key pack."`
}

// Help is shown by --help.
func (keypackCmd) Help() string {
	return `Example:
  calkeeper keypack list --where "ProductVersionID = 7"`
}

// keyPackJSON has the names of Win32_TSLicenseKeyPack.
type keyPackJSON struct {
	KeyPackID         uint32 `json:"KeyPackId"`
	Description       string
	KeyPackType       uint32
	ProductType       uint32
	ProductVersion    string
	ProductVersionID  uint32
	TotalLicenses     uint32
	IssuedLicenses    uint32
	AvailableLicenses uint32
	ExpirationDate    time.Time `json:",omitzero"`
	AccessRights      uint32
	TypeAndModel      string
}

func keyPackOf(i client.Instance) keyPackJSON {
	number := func(name string) uint32 { n, _ := i.Uint32(name); return n }
	expires, _ := i.Time("ExpirationDate")
	return keyPackJSON{
		KeyPackID: number("KeyPackId"), Description: i.Text("Description"), KeyPackType: number("KeyPackType"), ProductType: number("ProductType"),
		ProductVersion: i.Text("ProductVersion"), ProductVersionID: number("ProductVersionID"), TotalLicenses: number("TotalLicenses"),
		IssuedLicenses: number("IssuedLicenses"), AvailableLicenses: number("AvailableLicenses"), ExpirationDate: expires,
		AccessRights: number("AccessRights"), TypeAndModel: i.Text("TypeAndModel"),
	}
}

func keyPackTable(w io.Writer, list ...keyPackJSON) {
	fmt.Fprintln(w, "ID\tMODEL\tVERSION\tTYPE\tTOTAL\tISSUED\tAVAILABLE\tEXPIRES")
	for _, k := range list {
		expires := "-"
		if !k.ExpirationDate.IsZero() {
			expires = k.ExpirationDate.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", k.KeyPackID, k.TypeAndModel, k.ProductVersion, packType(k.KeyPackType),
			quantity(k.TotalLicenses), k.IssuedLicenses, quantity(k.AvailableLicenses), expires)
	}
}

func packType(n uint32) string {
	types := [...]string{"unknown", "retail", "volume", "concurrent", "temporary", "open", "built-in", "over-used"}
	if int(n) < len(types) {
		return types[n]
	}
	return fmt.Sprint(n)
}

func quantity(n uint32) string {
	if n == licensing.Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

type keypackListCmd struct {
	connection
	Where string `placeholder:"CONDITION" help:"Condition in WQL, over the properties of Win32_TSLicenseKeyPack."`
}

// Help is shown by --help.
func (keypackListCmd) Help() string {
	return `Examples:
  calkeeper keypack list --where "ProductVersionID = 7 AND AvailableLicenses > 0"
  calkeeper keypack list --output json --server https://ls.example.org:5986/wsman`
}

// Run lists the key packs.
func (c *keypackListCmd) Run(ctx context.Context, t *terminal) error {
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	query := ""
	if c.Where != "" {
		query = "SELECT * FROM " + keyPackClass + " WHERE " + c.Where
	}
	list := []keyPackJSON{}
	for pack, err := range wsman.Enumerate(ctx, keyPackClass, query) {
		if err != nil {
			return err
		}
		list = append(list, keyPackOf(pack))
	}
	return t.print(list, func(w io.Writer) { keyPackTable(w, list...) })
}

// keys names a key pack.
func keys(id uint32) []client.Value { return []client.Value{client.Uint32("KeyPackId", id)} }

// showKeyPack shows the key pack that a method made. It is there whatever comes of reading it.
func showKeyPack(ctx context.Context, t *terminal, wsman *client.Client, id uint32) error {
	instance, err := wsman.Get(ctx, keyPackClass, keys(id))
	if err != nil {
		return t.print(struct {
			KeyPackID uint32 `json:"KeyPackId"`
		}{id}, func(w io.Writer) { fmt.Fprintf(w, "key pack %d\n", id) })
	}
	pack := keyPackOf(instance)
	return t.print(pack, func(w io.Writer) { keyPackTable(w, pack) })
}

type keypackConvertCmd struct {
	connection
	ID    uint32 `arg:"" help:"KeyPackId."`
	Count uint32 `required:"" placeholder:"N" help:"How many CALs."`
}

// Help is shown by --help.
func (keypackConvertCmd) Help() string {
	return `Example:
  calkeeper keypack convert 3 --count 20`
}

// Run converts.
func (c *keypackConvertCmd) Run(ctx context.Context, t *terminal) error {
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	out, err := invoke(ctx, wsman, keyPackClass, "ConvertLicenses", keys(c.ID), client.Uint32("Count", c.Count))
	if err != nil {
		return err
	}
	id, _ := out.Uint32("KeypackID")
	return showKeyPack(ctx, t, wsman, id)
}

type keypackRemoveCmd struct {
	connection
	ID             *uint32         `arg:"" optional:"" help:"KeyPackId. Without it, --product-version and --product-type say which CALs."`
	Count          *uint32         `placeholder:"N" help:"How many CALs; without it, the whole key pack."`
	ProductVersion *productVersion `placeholder:"VERSION" help:"2 to 8, or the year of Windows Server."`
	ProductType    *productType    `placeholder:"TYPE" help:"device or user."`
}

// Help is shown by --help.
func (keypackRemoveCmd) Help() string {
	return `Examples:
  calkeeper keypack remove 3
  calkeeper keypack remove 3 --count 20
  calkeeper keypack remove --product-version 2022 --product-type user --count 20`
}

// Run removes.
func (c *keypackRemoveCmd) Run(ctx context.Context, t *terminal) error {
	method, arguments, err := c.method()
	if err != nil {
		return err
	}
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	if _, err := invoke(ctx, wsman, keyPackClass, method, nil, arguments...); err != nil {
		return err
	}
	return t.print(removedJSON{true}, func(w io.Writer) { fmt.Fprintln(w, "removed") })
}

func (c *keypackRemoveCmd) method() (string, []client.Value, error) {
	byKind := c.ProductVersion != nil || c.ProductType != nil
	switch {
	case c.ID != nil && byKind:
		return "", nil, usagef("a KeyPackId and --product-version or --product-type exclude each other")
	case c.ID != nil && c.Count != nil:
		return "RemoveLicensesWithIdCount", append(keys(*c.ID), client.Uint32("LicenseCount", *c.Count)), nil
	case c.ID != nil:
		return "UninstallLicenseKeyPackWithId", keys(*c.ID), nil
	case c.ProductVersion == nil || c.ProductType == nil || c.Count == nil:
		return "", nil, usagef("give a KeyPackId, or all of --product-version, --product-type and --count")
	}
	return "UninstallLicenseKeyPack", purchaseArguments{*c.ProductVersion, *c.ProductType, *c.Count}.values(), nil
}
