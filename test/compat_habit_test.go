package test

import (
	"strings"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// TestScriptHabits does what many scripts rely on.
func TestScriptHabits(t *testing.T) { runScripts(t, scriptHabits()) }

func scriptHabits() scriptTable {
	text := client.Text
	agreement := func(s *script) []client.Value {
		return agreementArguments(s.farm.sell(licensing.Credentials{Program: licensing.Agreement}, licensing.WindowsServer2022, licensing.PerUser, 3), 3)
	}
	installed := func(s *script, out client.Output) {
		s.Helper()
		s.is("TotalLicenses of the new key pack", s.installed(out, "TotalLicenses"), 3)
	}
	return scriptTable{test: "TestScriptHabits", title: "What scripts rely on", prepare: licensedServer, rows: []scriptRow{
		{
			id: "D1", does: "names in any case: of classes, properties, keys, methods, parameters, and the words of WQL",
			run: func(s *script) {
				s.is("a class", len(s.class("WIN32_TSLICENSEKEYPACK")) >= 8, true)
				const wql = "select KEYPACKID, totallicenses from win32_tsLicenseKeypack wHeRe keypackid = 5 And PRODUCTTYPE = 0"
				s.is("a query", texts(s.query(wql), "KeyPackId", "TotalLicenses"), "[5,50]")
				s.is("a key", s.instance("win32_tslicensekeypack", text("KEYPACKID", "5")).Text("TotalLicenses"), 50)
				s.is("a property", s.set(strings.ToLower(serverClass), text("CITY", "London")).Text("City"), "London")
				args := agreement(s)
				for i := range args {
					args[i] = text(strings.ToUpper(args[i].Name), args[i].Text())
				}
				installed(s, s.call(strings.ToUpper(keyPackClass), "installAGREEMENTlicensekeypack", args...))
			},
		},
		{
			id: "D2", does: "spaces: none around an operator, many between words, line ends; around numbers",
			run: func(s *script) {
				const want = "[3 4 5]"
				for _, wql := range []string{
					"Select * from Win32_TSLicenseKeyPack where KeyPackId>2 and KeyPackId<6",
					"Select  *\tfrom   Win32_TSLicenseKeyPack\r\n  where   KeyPackId   >=3   and   KeyPackId   !=   6   and KeyPackId<= 6",
					"  select KeyPackId,TotalLicenses from Win32_TSLicenseKeyPack where(KeyPackId=3)or(KeyPackId=4)or KeyPackId =5 ",
				} {
					s.is(wql, texts(s.query(wql), "KeyPackId"), want)
				}
				installed(s, s.call(keyPackClass, "InstallAgreementLicenseKeyPack", change(agreement(s), text("LicenseCount", " 3\n"))...))
			},
		},
		{
			id: "D3", does: "an integer where a string is declared", same: "B11",
		},
		{
			id: "D4", does: "a string where a uint32 is declared: arguments, keys, and constants of WQL",
			run: func(s *script) {
				installed(s, s.call(keyPackClass, "InstallAgreementLicenseKeyPack",
					change(change(agreement(s), text("ProductVersion", "7")), text("ProductType", "1"))...))
				s.is("a key", s.instance(keyPackClass, text("KeyPackId", "5")).Text("TotalLicenses"), 50)
				s.is("a constant", texts(s.query("SELECT * FROM Win32_TSLicenseKeyPack WHERE KeyPackId = '5'"), "KeyPackId"), "[5]")
			},
		},
		{
			id: "D6", does: "static methods on the path of a class, of the singleton (`=@`), and of an instance with keys",
			run: func(s *script) {
				for _, keys := range [][]client.Value{nil, {text("__cimnamespace", "root/cimv2")}} {
					s.is("GetActivationStatus", s.callOn(serverClass, keys, "GetActivationStatus").ReturnValue, 0)
				}
				installed(s, s.callOn(keyPackClass, []client.Value{client.Uint32("KeyPackId", 2)}, "InstallAgreementLicenseKeyPack", agreement(s)...))
			},
		},
		{
			id: "D7", does: "uint32 with all bits set is 4294967295, never −1: VBScript makes −1 of it by itself",
			run: func(s *script) {
				rows := s.query("SELECT * FROM Win32_TSLicenseKeyPack WHERE TotalLicenses = 4294967295")
				s.is("the unlimited key packs", texts(rows, "KeyPackType", "TotalLicenses", "AvailableLicenses"), "[6,4294967295,4294967295 4,4294967295,4294967295]")
				s.is("those with more than 2147483647", len(s.query("SELECT KeyPackId FROM Win32_TSLicenseKeyPack WHERE TotalLicenses > 2147483647")), 2)
				s.is("those with −1", len(s.query("SELECT KeyPackId FROM Win32_TSLicenseKeyPack WHERE TotalLicenses = -1")), 0)
			},
		},
		{
			id: "D8", does: "datetimes of 25 characters in DMTF's form, cut at [0:8] and split at the point. WS-Management carries xs:dateTime, in UTC, of which the CIM cmdlets make a DateTime; in WQL both forms can be compared with",
			run: func(s *script) {
				for _, of := range []struct {
					class string
					names []string
				}{{keyPackClass, []string{"ExpirationDate"}}, {issuedClass, []string{"IssueDate", "ExpirationDate"}}} {
					for _, row := range s.class(of.class) {
						for _, name := range of.names {
							s.matches(name, row.Text(name), `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z`)
							s.matches(name, s.dmtf(row.Text(name)), `20\d{12}\.\d{6}-000`)
						}
					}
				}
				for _, constant := range []string{"20360101000000.000000-000", "20360101000000.000000+000", "2036-01-01T00:00:00Z"} {
					wql := "SELECT KeyPackId FROM Win32_TSLicenseKeyPack WHERE ExpirationDate < '" + constant + "'"
					s.is(wql, texts(s.query(wql), "KeyPackId"), "[2]")
				}
			},
		},
		{
			id: "D10", origin: "MicrosoftDocs/SupportArticles-docs, troubleshoot-rds-licensing-guidance.md",
			does: "`__PATH`, `__CLASS` and the other system properties in a list of columns, and `WHERE (__CLASS !=\"\")`",
			run: func(s *script) {
				row := s.one("SELECT __PATH, __RELPATH, __CLASS, __SERVER, __NAMESPACE, KeyPackId FROM Win32_TSLicenseKeyPack WHERE KeyPackId = 5")
				s.is("the system properties", strings.Join(texts([]client.Instance{row}, "__PATH", "__RELPATH", "__CLASS", "__SERVER", "__NAMESPACE", "KeyPackId"), ""),
					`\\ls1.farm.example\root\cimv2:Win32_TSLicenseKeyPack.KeyPackId=5,Win32_TSLicenseKeyPack.KeyPackId=5,Win32_TSLicenseKeyPack,ls1.farm.example,root\cimv2,5`)
				row = s.one("SELECT __PATH FROM Win32_TSIssuedLicense WHERE sIssuedToComputer = 'DEV1'")
				s.matches("the path of a license", row.Text("__PATH"), `\\\\ls1\.farm\.example\\root\\cimv2:Win32_TSIssuedLicense\.LicenseId=\d+,KeyPackId=5`)
				s.is("the license servers", len(s.query(`SELECT * FROM Win32_TSLicenseServer WHERE (__CLASS !="")`)), 1)
			},
		},
		{
			id: "D11", does: "a class that is absent, an instance that is absent, a key that is missing: faults, which scripts catch",
			run: func(s *script) {
				s.isAbsent("Win32_TerminalServicesRole", "", "DestinationUnreachable", 2150858752)
				for _, c := range []struct {
					keys    []client.Value
					subcode string
					code    uint32
				}{
					{[]client.Value{text("KeyPackId", "9999")}, "DestinationUnreachable", 2150858752},
					{nil, "InvalidSelectors", 2150858842},
				} {
					_, err := s.get(s.T, keyPackClass, c.keys)
					r, ok := err.(*refusal)
					if !ok || r.subcode != c.subcode || r.code != c.code {
						s.Errorf("getting a key pack by %v gave %v, want the fault %s, %d", c.keys, err, c.subcode, c.code)
					}
				}
			},
		},
		{
			id: "D12", does: "all rows over DCOM, with the same results", why: "see A10",
		},
	}}
}
