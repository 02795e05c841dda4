package licensing_test

import (
	"strings"
	"testing"

	"calkeeper/internal/licensing"
)

// checkRefused checks that err is a Fault of the kind whose message has all the words.
func checkRefused(t *testing.T, err error, kind licensing.Kind, words ...string) {
	t.Helper()
	if err == nil || licensing.KindOf(err) != kind {
		t.Fatalf("error %v; want a fault of kind %q", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(licensing.Message(err), word) {
			t.Errorf("message %q does not say %q", licensing.Message(err), word)
		}
	}
}

func TestOpenCredentials(t *testing.T) {
	c, err := licensing.OpenCredentials("12345678", "abc0000000000XZ")
	want := licensing.Credentials{Program: licensing.Open, LicenseNumber: "12345678", AuthorizationNumber: "ABC0000000000XZ"}
	if err != nil || c != want {
		t.Fatalf("%+v, %v; want %+v", c, err, want)
	}
	for _, test := range []struct {
		name, license, authorization string
		words                        []string
	}{
		{"empty license number", "", "ABC0000000000XZ", []string{"sLicenseNumber", "0 characters", "8 digits"}},
		{"license number too short", "1234567", "ABC0000000000XZ", []string{"sLicenseNumber", "7 characters", "8 digits"}},
		{"license number too long", "123456789", "ABC0000000000XZ", []string{"sLicenseNumber", "9 characters"}},
		{"license number with a letter", "1234567A", "ABC0000000000XZ", []string{"character 8 of sLicenseNumber", "digits"}},
		{"license number with a space", " 2345678", "ABC0000000000XZ", []string{"character 1 of sLicenseNumber"}},
		{"license number with a hyphen", "1234-5678", "ABC0000000000XZ", []string{"sLicenseNumber", "without hyphens"}},
		{"license number of other digits", "１２34", "ABC0000000000XZ", []string{"character 1 of sLicenseNumber"}},
		{"authorization number too short", "12345678", "ABC0000000000X", []string{"sAuthorizationNumber", "14 characters", "15 letters and digits"}},
		{"authorization number too long", "12345678", "ABC0000000000XYZ", []string{"sAuthorizationNumber", "16 characters"}},
		{"authorization number with a sign", "12345678", "ABC000000000_XZ", []string{"character 13 of sAuthorizationNumber"}},
		{"authorization number with a hyphen", "12345678", "ABC000-000000XZ", []string{"sAuthorizationNumber", "without hyphens"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := licensing.OpenCredentials(test.license, test.authorization)
			checkRefused(t, err, licensing.Invalid, test.words...)
			if c != (licensing.Credentials{}) {
				t.Errorf("credentials %+v beside the error", c)
			}
			if m := err.Error(); test.authorization != "" && strings.Contains(m, test.authorization) {
				t.Errorf("the error repeats the authorization number: %s", m)
			}
		})
	}
}

func TestAgreementCredentials(t *testing.T) {
	c, err := licensing.AgreementCredentials(4, "0034567")
	want := licensing.Credentials{Program: licensing.Agreement, AgreementType: licensing.ServiceProvider, AgreementNumber: "0034567"}
	if err != nil || c != want {
		t.Fatalf("%+v, %v; want %+v", c, err, want)
	}
	for _, test := range []struct {
		name   string
		kind   uint32
		number string
		words  []string
	}{
		{"unknown type", 6, "1234567", []string{"AgreementType 6", "0 Select"}},
		{"greatest type", 4294967295, "1234567", []string{"AgreementType 4294967295"}},
		{"empty", 0, "", []string{"sAgreementNumber", "7 digits"}},
		{"too short", 0, "123456", []string{"sAgreementNumber", "6 characters"}},
		{"too long", 0, "12345678", []string{"sAgreementNumber", "8 characters"}},
		{"a letter", 0, "12E4567", []string{"character 3 of sAgreementNumber"}},
		{"a hyphen", 0, "123-567", []string{"without hyphens"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := licensing.AgreementCredentials(test.kind, test.number)
			checkRefused(t, err, licensing.Invalid, test.words...)
		})
	}
}

func TestCheckCount(t *testing.T) {
	checkRefused(t, licensing.CheckCount(0), licensing.Invalid, "LicenseCount 0", "at least 1")
	for _, n := range []uint32{1, 2, 4294967295} {
		if err := licensing.CheckCount(n); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}
