package licensing

import "fmt"

// ProductVersion is the version of Windows Server whose CALs a key pack holds: Win32_TSLicenseKeyPack.ProductVersionID.
// Windows Server 2008 and 2008 R2 share their CALs; the number of both is then 2.
type ProductVersion uint32

// The product versions.
const (
	Windows2000         ProductVersion = 0 // only the built-in key pack
	WindowsServer2008   ProductVersion = 2
	WindowsServer2008R2 ProductVersion = 3 // accepted, and kept as WindowsServer2008
	WindowsServer2012   ProductVersion = 4
	WindowsServer2016   ProductVersion = 5
	WindowsServer2019   ProductVersion = 6
	WindowsServer2022   ProductVersion = 7
	WindowsServer2025   ProductVersion = 8
)

type versionFacts struct{ name, number string }

func (v ProductVersion) facts() (versionFacts, bool) {
	switch v {
	case Windows2000:
		return versionFacts{"Windows 2000 Server", "5.00"}, true
	case WindowsServer2008, WindowsServer2008R2:
		return versionFacts{"Windows Server 2008 or Windows Server 2008 R2", "6.00"}, true
	case WindowsServer2012:
		return versionFacts{"Windows Server 2012", "6.02"}, true
	case WindowsServer2016:
		return versionFacts{"Windows Server 2016", "10.00"}, true
	case WindowsServer2019:
		return versionFacts{"Windows Server 2019", "10.01"}, true
	case WindowsServer2022:
		return versionFacts{"Windows Server 2022", "10.02"}, true
	case WindowsServer2025:
		return versionFacts{"Windows Server 2025", "10.03"}, true
	}
	return versionFacts{}, false
}

// String returns the English name, as Win32_TSLicenseKeyPack.ProductVersion has it.
func (v ProductVersion) String() string {
	if f, ok := v.facts(); ok {
		return f.name
	}
	return fmt.Sprintf("product version %d", uint32(v))
}

// ParseProductVersion checks a version number that a caller gave for CALs: 0 and 1 are NotSupported, unknown ones
// OutOfRange. It returns the version under which such CALs are kept.
func ParseProductVersion(n uint32) (ProductVersion, error) {
	v := ProductVersion(n)
	switch {
	case n < 2:
		return 0, Faultf(NotSupported, "ProductVersion %d is not supported: 2 to 8 are", n)
	case v == WindowsServer2008R2:
		return WindowsServer2008, nil
	case v > WindowsServer2025:
		return 0, Faultf(OutOfRange, "ProductVersion %d is not known: 2 to 8 are", n)
	}
	return v, nil
}

// ProductType says what a CAL is counted by.
type ProductType uint32

// The product types.
const (
	PerDevice ProductType = 0
	PerUser   ProductType = 1
	BuiltIn   ProductType = 3 // only the built-in key pack
)

// String returns the type in words.
func (t ProductType) String() string {
	switch t {
	case PerDevice:
		return "per device"
	case PerUser:
		return "per user"
	case BuiltIn:
		return "built-in"
	}
	return fmt.Sprintf("product type %d", uint32(t))
}

// Other returns the type that ConvertLicenses turns t into.
func (t ProductType) Other() ProductType {
	if t == PerDevice {
		return PerUser
	}
	return PerDevice
}

// ParseProductType checks a type that a caller gave for CALs: only per device and per user are valid.
func ParseProductType(n uint32) (ProductType, error) {
	if n > uint32(PerUser) {
		return 0, Faultf(Invalid, "ProductType %d is not valid: 0 is per device, 1 per user", n)
	}
	return ProductType(n), nil
}

// Program is the license program under which CALs were bought.
type Program string

// The programs.
const (
	Retail    Program = "retail"
	Open      Program = "open"
	Agreement Program = "agreement"
)

// KeyPackType returns the type of a key pack bought under the program.
func (p Program) KeyPackType() KeyPackType {
	switch p {
	case Retail:
		return KeyPackRetail
	case Open:
		return KeyPackOpen
	}
	return KeyPackVolume
}

// AgreementType is the kind of a volume agreement.
type AgreementType uint32

// The agreement types.
const (
	Select AgreementType = iota
	Enterprise
	Campus
	School
	ServiceProvider
	OtherAgreement
)

var agreementNames = [...]string{"Select", "Enterprise", "Campus", "School", "Service Provider", "other"}

// String returns the type's name.
func (t AgreementType) String() string {
	if int(t) < len(agreementNames) {
		return agreementNames[t]
	}
	return fmt.Sprintf("agreement type %d", uint32(t))
}

// ParseAgreementType checks a type that a caller gave: 0 to 5.
func ParseAgreementType(n uint32) (AgreementType, error) {
	if n > uint32(OtherAgreement) {
		return 0, Faultf(Invalid, "AgreementType %d is not valid: 0 Select, 1 Enterprise, 2 Campus, 3 School, 4 Service Provider, 5 other", n)
	}
	return AgreementType(n), nil
}
