package test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// fault stands in a table for a call that the protocol refuses, before the method decides anything.
const fault = 0xFFFFFFFF

// importCase is one call of an import method: the arguments that work, with some changed.
type importCase struct {
	name string
	set  []client.Value
	want uint32
}

// run calls the method once for each case and fails if one that did not return 0 has changed the target, or one that did has
// not added one key pack.
func runImportCases(t *testing.T, target *member, method string, valid func(*testing.T) []client.Value, cases []importCase) {
	before := target.totals(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := valid(t)
			for _, v := range c.set {
				args = change(args, v)
			}
			if c.want == fault {
				target.wantFault(t, keyPackClass, method, nil, args...)
			} else {
				out := target.want(t, c.want, keyPackClass, method, nil, args...)
				if c.want == done {
					before[out.Values.Text("KeyPackId")] = "1"
				}
			}
			if after := target.totals(t); !maps.Equal(after, before) {
				t.Errorf("the key packs are %v, want %v", after, before)
				before = after
			}
		})
	}
}

// stringCases are what every string argument has in common. The text is one that works.
func stringCases(name, text string) []importCase {
	set := func(s string) []client.Value { return []client.Value{client.Text(name, s)} }
	groups := keycode.Groups(text)
	if groups == text {
		groups = text[:4] + "-" + text[4:]
	}
	return []importCase{
		{name + " one character short", set(text[:len(text)-1]), invalidParameter},
		{name + " one character long", set(text + text[len(text)-1:]), invalidParameter},
		{name + " empty", set(""), invalidParameter},
		{name + " with hyphens", set(groups), invalidParameter},
		{name + " with hyphens, right length", set(groups[:len(text)]), invalidParameter},
		{name + " with spaces around", set(" " + text + " "), invalidParameter},
		{name + " a letter that is not ASCII", set(text[:len(text)-1] + "É"), invalidParameter},
		{name + " a letter that is not ASCII, right number of bytes", set(text[:len(text)-2] + "É"), invalidParameter},
		{name + " a digit that is not ASCII", set(text[:len(text)-1] + "٣"), invalidParameter},
		{name + " punctuation", set(text[:len(text)-1] + "'"), invalidParameter},
		{name + " 100,000 characters", set(strings.Repeat("A", 100_000)), invalidParameter},
		{name + " NULL", []client.Value{client.Null(name)}, fault},
		{name + " twice", []client.Value{client.Array(name, client.Text("", text), client.Text("", text))}, fault},
		{name + " an embedded instance", []client.Value{client.Object(name, client.Instance{Class: "A", Values: []client.Value{client.Text("B", text)}})}, fault},
		{name + " in upper case", []client.Value{client.Text(strings.ToUpper(name), text)}, done},
		{name + " in lower case", []client.Value{client.Text(strings.ToLower(name), text)}, done},
	}
}

// numberCases are what every numeric argument has in common. The number is one that works.
func numberCases(name, number string) []importCase {
	set := func(s string) []client.Value { return []client.Value{client.Text(name, s)} }
	cases := []importCase{
		{name + " with spaces around", set(" " + number + "\n"), done},
		{name + " with leading zeros", set("000" + number), done},
		{name + " NULL", []client.Value{client.Null(name)}, fault},
		{name + " twice", []client.Value{client.Array(name, client.Text("", number), client.Text("", number))}, fault},
		{name + " in upper case", []client.Value{client.Text(strings.ToUpper(name), number)}, done},
	}
	for _, mistyped := range []string{"", " ", "seven", "-1", "4294967296", "99999999999999999999", number + ".0", "0x" + number, number + "e0", "true", "٧"} {
		cases = append(cases, importCase{name + " is " + mistyped, set(mistyped), fault})
	}
	return cases
}

// sourceCases are those of sSourceLSName and sSourceLSProductId, which all imports share.
func sourceCases(t *testing.T, f *farm, target, source, deactivated *member) []importCase {
	t.Helper()
	const name, id = "sSourceLSName", "sSourceLSProductId"
	set := func(name, s string) []client.Value { return []client.Value{client.Text(name, s)} }
	// Whoever knows the rule of check characters can make an ID that is well-formed, and is nobody's.
	elsewhere := f.join("elsewhere", f.createOrganization("Another"))
	unknown := elsewhere.forge(t, keycode.Code{Kind: keycode.LicenseServerID, Serial: 1 << 30}, keycode.Binding{})
	cases := []importCase{
		{name + " in upper case", set(name, strings.ToUpper(source.name)), done},
		{name + " with a final dot", set(name, source.name+"."), done},
		{name + " short", set(name, "source"), done},
		{name + " an address", set(name, "127.0.0.1"), done},
		{name + " an address of IPv6", set(name, "fd00:0::1"), done},
		{name + " an address of IPv6 in brackets", set(name, "[fd00::1]"), done},
		{name + " an address mapped into IPv6", set(name, "::ffff:127.0.0.1"), done},
		{name + " of another license server", set(name, target.name), notFound},
		{name + " of nobody", set(name, "nobody.farm.example"), notFound},
		{name + " short, of nobody", set(name, "nobody"), notFound},
		{name + " in another domain", set(name, "source.example.org"), notFound},
		{name + " an address of nobody", set(name, "192.0.2.1"), notFound},
		{name + " empty", set(name, ""), invalidParameter},
		{name + " a space", set(name, " "), invalidParameter},
		{name + " a dot", set(name, "."), invalidParameter},
		{name + " with an empty label", set(name, "source..example"), invalidParameter},
		{name + " with a space", set(name, "source farm"), invalidParameter},
		{name + " a path", set(name, `\\source`), invalidParameter},
		{name + " a URL", set(name, "http://source.farm.example/"), invalidParameter},
		{name + " with a port", set(name, "source.farm.example:135"), invalidParameter},
		{name + " with a letter that is not ASCII", set(name, "söurce.farm.example"), invalidParameter},
		{name + " a label that ends in a hyphen", set(name, "source-.example"), invalidParameter},
		{name + " a label of 64 characters", set(name, strings.Repeat("a", 64)+".example"), invalidParameter},
		{name + " a label of 63 characters", set(name, strings.Repeat("a", 63)+".example"), notFound},
		{name + " a number", set(name, "12345"), invalidParameter},
		{name + " a wrong address", set(name, "300.0.0.1"), invalidParameter},
		{name + " 255 characters", set(name, strings.Repeat("a.", 127)+"a"), invalidParameter},
		{name + " 100,000 characters", set(name, strings.Repeat("a", 100_000)), invalidParameter},
		{name + " NULL", []client.Value{client.Null(name)}, fault},
		{name + " twice", []client.Value{client.Array(name, client.Text("", source.name), client.Text("", source.name))}, fault},
		{name + " in other case", []client.Value{client.Text("SSOURCElsNAME", source.name)}, done},

		{id + " in lower case letters", set(id, strings.ToLower(source.id)), done},
		{id + " a wrong check character", set(id, wrongCheck(source.id)), invalidParameter},
		{id + " two groups swapped", set(id, source.id[5:10]+source.id[:5]+source.id[10:]), invalidParameter},
		{id + " nobody's", set(id, unknown), notFound},
		{id + " of another organization", set(id, elsewhere.id), notFound},
		{id + " its own", append(set(id, target.id), client.Text(name, target.name)), invalidParameter},
		{id + " its own, with the source's name", set(id, target.id), invalidParameter},
		{id + " its product ID", set(id, source.ProductID), invalidParameter},
		{id + " of another license server than the name", set(id, deactivated.id), notFound},
		{id + " of one that holds none, and is deactivated", append(set(id, deactivated.id), client.Text(name, deactivated.name)), outOfRange},
	}
	return append(cases, stringCases(id, source.id)...)
}

// wrongCheck changes the check character of the first group.
func wrongCheck(code string) string {
	c := byte('0')
	if code[4] == c {
		c = '1'
	}
	return code[:4] + string(c) + code[5:]
}

func unknownArgument(v string) []importCase {
	return []importCase{
		{"an argument of no such name", []client.Value{client.Text("LicenseCode", v)}, fault},
		{"the out-parameter as an argument", []client.Value{client.Uint32("KeyPackId", 3)}, fault},
		{"the return value as an argument", []client.Value{client.Uint32("ReturnValue", 0)}, fault},
	}
}

// TestImportOpenPurchaseLicenseKeyPack calls the first of the two import methods with every argument at and beyond its bounds.
func TestImportOpenPurchaseLicenseKeyPack(t *testing.T) {
	const method = "ImportOpenPurchaseLicenseKeyPack"
	f := newFarm(t)
	source, target := f.join("source", f.organization), f.join("target", f.organization)
	gone := f.join("gone", f.organization)
	gone.want(t, done, serverClass, "DeactivateServerAutomatic", nil)
	sale := f.sellTo(source, licensing.WindowsServer2022, licensing.PerUser, 500)
	valid := func(*testing.T) []client.Value { return append(openArguments(sale, 1), sourceArguments(source)...) }

	const number, authorization = "sLicenseNumber", "sAuthorizationNumber"
	const version, productType, count = "ProductVersion", "ProductType", "LicenseCount"
	set := func(name, s string) []client.Value { return []client.Value{client.Text(name, s)} }
	cases := []importCase{
		{"as documented", nil, done},
		{number + " another", set(number, otherDigit(sale.Credentials.LicenseNumber)), notFound},
		{number + " with a letter", set(number, sale.Credentials.LicenseNumber[:7]+"A"), invalidParameter},
		{number + " all zeros", set(number, "00000000"), notFound},
		{number + " without its first digit", set(number, sale.Credentials.LicenseNumber[1:]), invalidParameter},
		{authorization + " another", set(authorization, otherDigit(sale.Credentials.AuthorizationNumber)), notFound},
		{authorization + " in lower case letters", set(authorization, strings.ToLower(sale.Credentials.AuthorizationNumber)), done},
	}
	cases = append(cases, stringCases(number, sale.Credentials.LicenseNumber)...)
	cases = append(cases, stringCases(authorization, sale.Credentials.AuthorizationNumber)...)
	cases = append(cases, sourceCases(t, f, target, source, gone)...)
	for _, n := range []struct {
		name, number string
		want         uint32
	}{
		{version, "0", notSupported}, {version, "1", notSupported}, {version, "2", notFound}, {version, "3", notFound},
		{version, "4", notFound}, {version, "5", notFound}, {version, "6", notFound}, {version, "7", done}, {version, "8", notFound},
		{version, "9", outOfRange}, {version, "10", outOfRange}, {version, "263", outOfRange}, {version, "65543", outOfRange},
		{version, "4294967295", outOfRange},
		{productType, "0", notFound}, {productType, "1", done}, {productType, "2", invalidParameter}, {productType, "3", invalidParameter},
		{productType, "4", invalidParameter}, {productType, "257", invalidParameter}, {productType, "4294967295", invalidParameter},
		{count, "0", invalidParameter}, {count, "1", done}, {count, "501", outOfRange}, {count, "2147483648", outOfRange},
		{count, "4294967295", outOfRange},
	} {
		cases = append(cases, importCase{n.name + " " + n.number, set(n.name, n.number), n.want})
	}
	cases = append(cases, numberCases(version, "7")...)
	cases = append(cases, numberCases(productType, "1")...)
	cases = append(cases, numberCases(count, "1")...)
	cases = append(cases, unknownArgument("x")...)
	runImportCases(t, target, method, valid, cases)

	for _, name := range []string{number, authorization, version, productType, count, "sSourceLSName", "sSourceLSProductId"} {
		t.Run(name+" absent", func(t *testing.T) {
			target.wantFault(t, keyPackClass, method, nil, without(valid(t), name)...)
		})
	}
	t.Run("no arguments", func(t *testing.T) { target.wantFault(t, keyPackClass, method, nil) })
	t.Run("method in other case", func(t *testing.T) {
		target.want(t, done, keyPackClass, strings.ToUpper(method), nil, valid(t)...)
	})
	t.Run("arguments in reverse", func(t *testing.T) {
		args := valid(t)
		for i := range len(args) / 2 {
			args[i], args[len(args)-1-i] = args[len(args)-1-i], args[i]
		}
		target.want(t, done, keyPackClass, method, nil, args...)
	})
	t.Run("leading zeros of a number matter", func(t *testing.T) {
		sold := f.sellTo(source, licensing.WindowsServer2022, licensing.PerUser, 1) // any: its number is replaced
		zeros := f.sell(licensing.Credentials{Program: licensing.Open, LicenseNumber: "00012345", AuthorizationNumber: sold.Credentials.AuthorizationNumber},
			licensing.WindowsServer2022, licensing.PerUser, 5)
		source.want(t, done, keyPackClass, "InstallOpenLicenseKeyPack", nil, openArguments(zeros, 5)...)
		args := append(openArguments(zeros, 1), sourceArguments(source)...)
		target.want(t, invalidParameter, keyPackClass, method, nil, change(args, client.Uint32(number, 12345))...)
		target.want(t, done, keyPackClass, method, nil, args...)
	})
	t.Run("all, one more than all, and one of none", func(t *testing.T) {
		small := f.sellTo(source, licensing.WindowsServer2025, licensing.PerDevice, 10)
		args := append(openArguments(small, 11), sourceArguments(source)...)
		target.want(t, outOfRange, keyPackClass, method, nil, args...)
		target.want(t, done, keyPackClass, method, nil, change(args, client.Uint32(count, 10))...)
		target.want(t, outOfRange, keyPackClass, method, nil, change(args, client.Uint32(count, 1))...)
	})
	f.check(t, source, target)
}

// TestImportLicenseKeyPackOffline calls the second of the two import methods with every argument at and beyond its bounds.
func TestImportLicenseKeyPackOffline(t *testing.T) {
	const method, code = "ImportLicenseKeyPackOffline", "sLicenseKeyPackId"
	f := newFarm(t)
	source, target := f.join("source", f.organization), f.join("target", f.organization)
	gone := f.join("gone", f.organization)
	gone.want(t, done, serverClass, "DeactivateServerAutomatic", nil)
	sale := f.sellTo(source, licensing.WindowsServer2022, licensing.PerUser, 1000)
	other := f.sell(licensing.Credentials{Program: licensing.Open}, licensing.WindowsServer2019, licensing.PerUser, 50)

	// An attempt that fails does not use a code up: a case that returns 0 takes the next.
	unused := f.code(t, sale, 1, target, source)
	used := ""
	valid := func(t *testing.T) []client.Value {
		t.Helper()
		return append([]client.Value{client.Text(code, unused)}, sourceArguments(source)...)
	}
	next := func(cases []importCase) {
		for _, c := range cases {
			for i, v := range c.set {
				switch v.Text() { // the cases were made with a text that stands for the code
				case "CODE":
					c.set[i] = client.Text(v.Name, unused)
				case "code":
					c.set[i] = client.Text(v.Name, strings.ToLower(unused))
				}
			}
			runImportCases(t, target, method, valid, []importCase{c})
			if c.want == done {
				used, unused = unused, f.code(t, sale, 1, target, source)
			}
		}
	}
	set := func(s string) []client.Value { return []client.Value{client.Text(code, s)} }
	next([]importCase{{"as documented", nil, done}})
	next([]importCase{
		{"a code in lower case letters", set("code"), done},
		{"a code under a name in other case", []client.Value{client.Text("SLICENSEKEYPACKID", "CODE")}, done},
	})
	next([]importCase{
		{"a code used already", set(used), alreadyExists},
		{"a code used already, in lower case letters", set(strings.ToLower(used)), alreadyExists},
		{"a wrong check character", set(wrongCheck(unused)), invalidParameter},
		{"two groups swapped", set(unused[5:10] + unused[:5] + unused[10:]), invalidParameter},
		{"a code of installation", set(f.code(t, other, 1, target, nil)), invalidParameter},
		{"a code for another target", set(f.code(t, sale, 1, gone, source)), invalidParameter},
		{"a license server ID", set(source.id), invalidParameter},
		{"a product ID", set(source.ProductID), invalidParameter},
		{"a code of which the clearinghouse knows nothing", set(target.forge(t, keycode.Code{
			Kind: keycode.Import, ProductVersion: 7, ProductType: 1, Quantity: 1000, Serial: 1 << 30,
		}, keycode.Binding{Target: target.id, Source: source.id})), notFound},
		{"a code made by another license server", set(source.forge(t, keycode.Code{
			Kind: keycode.Import, ProductVersion: 7, ProductType: 1, Quantity: 1000, Serial: 1,
		}, keycode.Binding{Target: target.id, Source: source.id})), invalidParameter},
		{"a code of CALs that have expired", set(target.forge(t, keycode.Code{
			Kind: keycode.Import, ProductVersion: 7, ProductType: 1, Quantity: 1, Serial: 1 << 29, ExpiryMonth: expiryMonth(t, 2020),
		}, keycode.Binding{Target: target.id, Source: source.id})), notFound},
		{"a code of version 0", set(target.forge(t, keycode.Code{
			Kind: keycode.Import, ProductVersion: 0, ProductType: 1, Quantity: 1, Serial: 1 << 28,
		}, keycode.Binding{Target: target.id, Source: source.id})), notSupported},
		{"a code of a version that is not known", set(target.forge(t, keycode.Code{
			Kind: keycode.Import, ProductVersion: 9, ProductType: 1, Quantity: 1, Serial: 1 << 27,
		}, keycode.Binding{Target: target.id, Source: source.id})), outOfRange},
	})
	for _, c := range append(stringCases(code, unused), unknownArgument("x")...) {
		if c.want == done {
			continue // above, with codes that work
		}
		next([]importCase{c})
	}
	for i := range unused { // every place of the code is protected
		next([]importCase{{"a typing error", set(mistype(unused, i)), invalidParameter}})
	}
	for _, c := range sourceCases(t, f, target, source, gone) {
		// The code is bound to the source: another one's ID is wrong before anybody looks for it.
		if strings.HasPrefix(c.name, "sSourceLSProductId") && (c.want == notFound || c.want == outOfRange) {
			c.want = invalidParameter
		}
		next([]importCase{c})
	}
	for _, name := range []string{code, "sSourceLSName", "sSourceLSProductId"} {
		t.Run(name+" absent", func(t *testing.T) {
			target.wantFault(t, keyPackClass, method, nil, without(valid(t), name)...)
		})
	}
	t.Run("no arguments", func(t *testing.T) { target.wantFault(t, keyPackClass, method, nil) })
	f.check(t, source, target)
}

// otherDigit changes the last character into another digit.
func otherDigit(s string) string {
	d := byte('0')
	if s[len(s)-1] == d {
		d = '1'
	}
	return s[:len(s)-1] + string(d)
}

// mistype changes one character into another of the code alphabet.
func mistype(code string, at int) string {
	c := byte('7')
	if code[at] == c {
		c = 'K'
	}
	return code[:at] + string(c) + code[at+1:]
}

func expiryMonth(t *testing.T, year int) uint16 {
	t.Helper()
	month, err := keycode.ExpiryMonth(time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return month
}

// check recounts the ledger, and holds both servers' key packs against their evidence and against the ledger.
func (f *farm) check(t *testing.T, members ...*member) {
	t.Helper()
	wrong, err := f.clearinghouse.Service.Check(t.Context())
	if err != nil || len(wrong) > 0 {
		t.Errorf("the ledger: %v %v", wrong, err)
	}
	servers, err := f.clearinghouse.Service.Servers(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		verdicts, err := m.Inventory.Verify(t.Context())
		if err != nil {
			t.Error(err)
		}
		installed := map[clearinghouse.Holding]int64{}
		for _, v := range verdicts {
			if len(v.Wrong) > 0 {
				t.Errorf("%s: key pack %d: %v", m.name, v.KeyPack.ID, v.Wrong)
			}
			installed[clearinghouse.Holding{Entitlement: v.KeyPack.Entitlement, ProductType: v.KeyPack.ProductType}] += int64(v.KeyPack.Total)
		}
		for _, s := range servers {
			if s.LicenseServerID != m.id {
				continue
			}
			held := map[clearinghouse.Holding]int64{}
			for _, b := range s.Holdings {
				if b.Quantity != 0 {
					held[clearinghouse.Holding{Entitlement: b.Entitlement, ProductType: b.ProductType}] += b.Quantity
				}
			}
			if !maps.Equal(held, installed) {
				t.Errorf("%s has installed %v, the ledger has %v", m.name, installed, held)
			}
		}
	}
}
