package licensing

import (
	"net/netip"
	"slices"
	"strings"
)

// Lengths of the credentials that the methods of Win32_TSLicenseKeyPack take.
const (
	LicenseNumberLength       = 8
	AuthorizationNumberLength = 15
	AgreementNumberLength     = 7
)

// Credentials say under which purchase CALs are asked for: exactly the fields of the program are set.
type Credentials struct {
	Program             Program       `json:"program"`
	LicenseNumber       string        `json:"licenseNumber,omitempty"`
	AuthorizationNumber string        `json:"authorizationNumber,omitempty"`
	AgreementType       AgreementType `json:"agreementType,omitempty"`
	AgreementNumber     string        `json:"agreementNumber,omitempty"`
	LicenseCode         string        `json:"licenseCode,omitempty"`
}

// OpenCredentials checks and returns the two numbers of an Open License: 8 digits and 15 letters or digits, no hyphens.
func OpenCredentials(licenseNumber, authorizationNumber string) (Credentials, error) {
	if err := checkNumber("sLicenseNumber", licenseNumber, LicenseNumberLength, isDigit, "digits"); err != nil {
		return Credentials{}, err
	}
	if err := checkNumber("sAuthorizationNumber", authorizationNumber, AuthorizationNumberLength, isAlphanumeric, "letters and digits"); err != nil {
		return Credentials{}, err
	}
	return Credentials{Program: Open, LicenseNumber: licenseNumber, AuthorizationNumber: strings.ToUpper(authorizationNumber)}, nil
}

// AgreementCredentials checks and returns type and number of an agreement: 7 digits, no hyphens.
func AgreementCredentials(agreementType uint32, number string) (Credentials, error) {
	t, err := ParseAgreementType(agreementType)
	if err != nil {
		return Credentials{}, err
	}
	if err := checkNumber("sAgreementNumber", number, AgreementNumberLength, isDigit, "digits"); err != nil {
		return Credentials{}, err
	}
	return Credentials{Program: Agreement, AgreementType: t, AgreementNumber: number}, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func checkNumber(name, s string, length int, allowed func(byte) bool, of string) error {
	if strings.Contains(s, "-") {
		return Faultf(Invalid, "%s must be given without hyphens: %d %s", name, length, of)
	}
	if len(s) != length {
		return Faultf(Invalid, "%s has %d characters; it must have %d %s", name, len(s), length, of)
	}
	for i := range len(s) {
		if !allowed(s[i]) {
			return Faultf(Invalid, "character %d of %s is none of the allowed %s", i+1, name, of)
		}
	}
	return nil
}

// CheckCount checks a number of CALs that a caller asks for.
func CheckCount(n uint32) error {
	if n == 0 {
		return Faultf(Invalid, "LicenseCount 0 is not valid: it must be at least 1")
	}
	return nil
}

// ParseServerName checks the name of a license server: a host name, a fully qualified domain name (RFC 1123, at most 253
// characters, labels of at most 63), or an IP address. It returns the name in lower case without a final dot, or the
// address in its shortest form.
func ParseServerName(name string) (string, error) {
	wrong := func(why string) (string, error) {
		return "", Faultf(Invalid, "the name of the source license server %s; it must be a fully qualified domain name or an IP address", why)
	}
	if name == "" {
		return wrong("is empty")
	}
	if len(strings.TrimSuffix(name, ".")) > 253 {
		return wrong("is longer than 253 characters")
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		return a.Unmap().WithZone("").String(), nil
	}
	name = strings.TrimSuffix(name, ".")
	numeric := true
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return wrong("has an empty, too long or hyphen-ended label")
		}
		for i := range len(label) {
			// The underscore is no host name character, but NetBIOS names of Windows servers have it.
			if c := label[i]; !isAlphanumeric(c) && c != '-' && c != '_' {
				return wrong("has a character that no host name has")
			}
			numeric = numeric && isDigit(label[i])
		}
	}
	if numeric {
		return wrong("is a number, not a name")
	}
	return strings.ToLower(name), nil
}

// AnswersTo tells whether a server of these names goes by another one, all as ParseServerName returns them: a host name and a
// fully qualified name that begins with it are of one server.
func AnswersTo(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n == name || shortName(n) == name || n == shortName(name) })
}

// shortName returns the host name in a fully qualified name; an address is its own.
func shortName(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}
