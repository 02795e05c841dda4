package wql_test

import (
	"testing"

	"calkeeper/internal/wql"
)

func BenchmarkParse(b *testing.B) {
	for name, query := range map[string]string{
		"star":    "Select * from Win32_TSLicenseKeyPack",
		"where":   "Select * from Win32_TSLicenseKeyPack where KeyPackId !=4 and KeyPackId !=2",
		"columns": "SELECT KeyPackId, TypeAndModel, ProductVersion, KeyPackType, TotalLicenses, IssuedLicenses, AvailableLicenses FROM Win32_TSLicenseKeyPack",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wql.Parse(query); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// typicalConditions are what scripts ask. All of them match the row of benchmarkRow.
var typicalConditions = map[string]string{
	"number":  "KeyPackId != 4 AND KeyPackId != 2",
	"string":  "ProductVersion = 'windows server 2016'",
	"like":    "ProductVersion LIKE '%server 20[0-9]_'",
	"boolean": "NOT (Enabled = FALSE OR KeyPackId IS NULL)",
	"class":   "(__CLASS != '')",
}

func benchmarkRow() keyPack {
	return keyPack{KeyPackId: 17, ProductVersion: "Windows Server 2016", Enabled: true, ExpirationDate: date(2036)}
}

func TestMatchesDoesNotAllocate(t *testing.T) {
	ns := namespace(t, benchmarkRow())
	row := instances(t, ns)[0]
	for name, where := range typicalConditions {
		s := bind(t, ns, "SELECT * FROM Test_KeyPack WHERE "+where)
		if !s.Matches(row) {
			t.Errorf("%s does not match", where)
		}
		if n := testing.AllocsPerRun(100, func() { s.Matches(row) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMatches(b *testing.B) {
	ns := namespace(b, benchmarkRow())
	row := instances(b, ns)[0]
	conditions := map[string]string{"datetime": "ExpirationDate > '2035-01-01T00:00:00Z'", "path": "__PATH <> ''"}
	for name, where := range typicalConditions {
		conditions[name] = where
	}
	for name, where := range conditions {
		s := bind(b, ns, "SELECT * FROM Test_KeyPack WHERE "+where)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !s.Matches(row) {
					b.Fatal(where)
				}
			}
		})
	}
}
