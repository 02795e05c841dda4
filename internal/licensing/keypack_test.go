package licensing_test

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/licensing"
)

// row writes a key pack as the samples are written down: AccessRights, Available, Description, ExpirationDate, Issued,
// KeyPackId, KeyPackType, ProductType, ProductVersion, ProductVersionID, Total, TypeAndModel.
func row(k licensing.KeyPack) string {
	return fmt.Sprintf("%d %d %s %s %d %d %d %d %q %d %d %q", k.AccessRights(), k.Available(), k.Description(),
		k.Expires.UTC().Format("20060102150405.000000-000"), k.Issued, k.ID, k.Type, k.ProductType, k.ProductVersion, k.ProductVersion,
		k.Total, k.TypeAndModel())
}

// TestSamples writes the rows that administrators have published of license servers.
func TestSamples(t *testing.T) {
	at := func(value string) time.Time {
		v, err := time.Parse("2006-01-02 15:04:05", value)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, test := range []struct {
		pack licensing.KeyPack
		want string
	}{
		{licensing.BuiltInKeyPack(),
			`7 4294967295 A02-5.00-EX 20351231230000.000000-000 0 2 6 3 "Windows 2000 Server" 0 4294967295 "Built-in TS Per Device CAL"`},
		{licensing.KeyPack{ID: 3, Type: licensing.KeyPackVolume, ProductVersion: licensing.WindowsServer2008, ProductType: licensing.PerUser,
			Total: 20, Expires: licensing.PerpetualExpiry(at("2012-05-06 01:00:00"))},
			`7 20 C50-6.00-S 20380101010000.000000-000 0 3 2 1 "Windows Server 2008 or Windows Server 2008 R2" 2 20 "TS or RDS Per User CAL"`},
		{licensing.KeyPack{ID: 4, Type: licensing.KeyPackVolume, ProductVersion: licensing.WindowsServer2012, ProductType: licensing.PerUser,
			Total: 20, Issued: 11, Expires: licensing.PerpetualExpiry(at("2013-10-11 01:00:00"))},
			`7 9 C50-6.02-S 20380101010000.000000-000 11 4 2 1 "Windows Server 2012" 4 20 "RDS Per User CAL"`},
		{licensing.KeyPack{ID: 10, Type: 7, ProductVersion: licensing.WindowsServer2012, ProductType: licensing.PerUser,
			Expires: at("2038-01-19 03:14:07")},
			`7 0 C50-6.02-S 20380119031407.000000-000 0 10 7 1 "Windows Server 2012" 4 0 "RDS Per User CAL"`},
		// The next three are printed as VBScript does, -1 for 4294967295, and in German; without rights and model.
		{licensing.KeyPack{ID: 13, Type: licensing.KeyPackTemporary, ProductVersion: licensing.WindowsServer2008, Total: licensing.Unlimited,
			Issued: 100, Expires: at("2038-01-19 03:14:07")},
			`7 4294967295 A02-6.00-S 20380119031407.000000-000 100 13 4 0 "Windows Server 2008 or Windows Server 2008 R2" 2 4294967295 "TS or RDS Per Device CAL"`},
		{licensing.KeyPack{ID: 3, Type: licensing.KeyPackVolume, ProductVersion: licensing.WindowsServer2008, Total: 250, Issued: 250,
			Expires: at("2023-02-09 12:15:49")},
			`7 0 A02-6.00-S 20230209121549.000000-000 250 3 2 0 "Windows Server 2008 or Windows Server 2008 R2" 2 250 "TS or RDS Per Device CAL"`},
		{licensing.KeyPack{ID: 3, Type: licensing.KeyPackOpen, ProductVersion: licensing.WindowsServer2019, ProductType: licensing.PerUser,
			Total: 2000, Issued: 1, Expires: licensing.PerpetualExpiry(at("2021-03-04 09:36:36"))},
			`7 1999 C50-10.01-S 20380101093636.000000-000 1 3 5 1 "Windows Server 2019" 6 2000 "RDS Per User CAL"`},
	} {
		if got := row(test.pack); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// TestDescription covers the versions of which no sample is published.
func TestDescription(t *testing.T) {
	for _, test := range []struct {
		version      licensing.ProductVersion
		device, user string
	}{
		{licensing.WindowsServer2016, "A02-10.00-S", "C50-10.00-S"},
		{licensing.WindowsServer2022, "A02-10.02-S", "C50-10.02-S"},
		{licensing.WindowsServer2025, "A02-10.03-S", "C50-10.03-S"},
	} {
		device := licensing.KeyPack{ProductVersion: test.version, ProductType: licensing.PerDevice}
		user := licensing.KeyPack{ProductVersion: test.version, ProductType: licensing.PerUser}
		if device.Description() != test.device || user.Description() != test.user {
			t.Errorf("%s: %s, %s; want %s, %s", test.version, device.Description(), user.Description(), test.device, test.user)
		}
		if device.TypeAndModel() != "RDS Per Device CAL" || user.TypeAndModel() != "RDS Per User CAL" {
			t.Errorf("%s: %q, %q", test.version, device.TypeAndModel(), user.TypeAndModel())
		}
	}
}

func TestPerpetualExpiry(t *testing.T) {
	west := time.FixedZone("west", -8*60*60)
	for _, test := range []struct {
		installed time.Time
		want      string
	}{
		{time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "2038-01-01T00:00:00Z"},
		{time.Date(2026, 3, 1, 23, 59, 59, 999, time.UTC), "2038-01-01T23:59:59Z"},
		{time.Date(2026, 3, 1, 17, 0, 5, 0, west), "2038-01-01T01:00:05Z"},
	} {
		if got := licensing.PerpetualExpiry(test.installed).Format(time.RFC3339Nano); got != test.want {
			t.Errorf("%v: %s; want %s", test.installed, got, test.want)
		}
	}
}

// TestAvailable compares with numbers that do not overflow.
func TestAvailable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.SampledFrom([]uint32{0, 1, 2, 1<<31 - 1, 1 << 31, licensing.Unlimited - 1, licensing.Unlimited})
		number := rapid.OneOf(rapid.Uint32(), edge, rapid.Uint32Range(0, 20))
		k := licensing.KeyPack{
			Total: number.Draw(t, "total"), Issued: number.Draw(t, "issued"), Held: number.Draw(t, "held"),
		}
		total, issued, held := big.NewInt(int64(k.Total)), big.NewInt(int64(k.Issued)), big.NewInt(int64(k.Held))
		want := new(big.Int).Sub(total, new(big.Int).Add(issued, held))
		if want.Sign() < 0 {
			want.SetInt64(0)
		}
		if k.Total == licensing.Unlimited {
			want.SetInt64(licensing.Unlimited)
		}
		if got := k.Available(); want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("%d of %d issued, %d held: %d available; want %d", k.Issued, k.Total, k.Held, got, want)
		}
		if k.OverIssued() != (issued.Cmp(total) > 0) {
			t.Fatalf("%d of %d issued: over-issued is %v", k.Issued, k.Total, k.OverIssued())
		}
	})
}

func TestKeyPackString(t *testing.T) {
	k := licensing.KeyPack{ID: 7, Total: 50, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser, Code: "SECRET"}
	if got, want := k.String(), "key pack 7 (50 × RDS Per User CAL, Windows Server 2022)"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}

// TestEnd: what is shown of a pack without an end is no end.
func TestEnd(t *testing.T) {
	installed := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	subscription := licensing.KeyPack{Installed: installed, Expires: installed.AddDate(1, 0, 0)}
	if got := subscription.End(); !got.Equal(subscription.Expires) {
		t.Errorf("a subscription ends on %s, want %s", got, subscription.Expires)
	}
	temporary, overUsed := licensing.TemporaryKeyPack(licensing.WindowsServer2022, installed), licensing.OverUsedKeyPack(licensing.WindowsServer2022, installed)
	for _, pack := range []licensing.KeyPack{{Installed: installed, Expires: licensing.PerpetualExpiry(installed)}, temporary, overUsed} {
		if got := pack.End(); got.Year() != 9999 || pack.Expires.Year() != 2038 {
			t.Errorf("%s ends on %s and shows %s", &pack, got, pack.Expires)
		}
	}
}
