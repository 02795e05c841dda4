package keycode

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	codeGroups    = 7
	formatVersion = 1

	kindBits           = 4
	formatBits         = 3
	productVersionBits = 4
	productTypeBits    = 2
	quantityBits       = 20
	serialBits         = 32
	expiryBits         = 11
)

// MaxQuantity is the greatest number of CALs that one code carries.
const MaxQuantity = 1<<quantityBits - 1

// Kind says what a 35-character code is for. It takes 4 bits.
type Kind uint8

// The kinds of code. A kind is also what the code begins with: 2, 4, 6 or 8.
const (
	LicenseServerID Kind = 1 // activates a license server and names it from then on
	Install         Kind = 2 // installs a key pack
	Import          Kind = 3 // installs a key pack that another license server gives up
	Confirmation    Kind = 4 // confirms the deactivation of a license server
)

// String returns the name of the kind as it stands in a sentence.
func (k Kind) String() string {
	switch k {
	case LicenseServerID:
		return "license server ID"
	case Install:
		return "install code"
	case Import:
		return "import code"
	case Confirmation:
		return "confirmation code"
	}
	return fmt.Sprintf("code of the unknown kind %d", uint8(k))
}

// Code is what a 35-character code says. The package attaches no meaning to the
// fields; those that a kind has no use for are zero.
type Code struct {
	Kind           Kind
	ProductVersion uint8  // ProductVersionID, 4 bits, 0 to 15
	ProductType    uint8  // ProductType, 2 bits, 0 to 3
	Quantity       uint32 // number of CALs, 20 bits, 0 to 1048575
	Serial         uint32 // number that the clearinghouse gave the code
	ExpiryMonth    uint16 // months since January 2020, 11 bits, 0 to 2047; 0 is perpetual; see Expires
}

// Binding says for which license servers a code is made. Both are license server IDs
// as CheckLicenseServerID returns them. A LicenseServerID has neither, because the
// secret alone binds it; an Import has both; Install and Confirmation have a Target.
type Binding struct {
	Target string // the license server that the code is typed into
	Source string // the license server that gives up the CALs
}

// Seal returns the 35 characters of a code that only the holder of s with the same
// binding accepts. It is an error if the kind is unknown, a field does not fit into
// its bits, the binding is not what the kind needs, or s is the zero Secret.
func (c Code) Seal(s Secret, b Binding) (string, error) {
	if err := b.fits(c.Kind); err != nil {
		return "", err
	}
	switch {
	case s.keys == nil:
		return "", ErrNoSecret
	case c.ProductVersion >= 1<<productVersionBits:
		return "", rangeError("product version", uint32(c.ProductVersion), productVersionBits)
	case c.ProductType >= 1<<productTypeBits:
		return "", rangeError("product type", uint32(c.ProductType), productTypeBits)
	case c.Quantity >= 1<<quantityBits:
		return "", rangeError("quantity", c.Quantity, quantityBits)
	case c.ExpiryMonth >= 1<<expiryBits:
		return "", rangeError("expiry month", uint32(c.ExpiryMonth), expiryBits)
	}
	high, low := c.pack()
	sum := s.mac(header(high, low), b)
	mac := binary.BigEndian.Uint64(sum[:])
	groups := [codeGroups]uint32{
		uint32(high>>40) & 0xfffff, uint32(high>>20) & 0xfffff, uint32(high) & 0xfffff,
		low<<4 | uint32(mac>>60),
		uint32(mac>>40) & 0xfffff, uint32(mac>>20) & 0xfffff, uint32(mac) & 0xfffff,
	}
	return render(groups[:]), nil
}

func rangeError(field string, value uint32, bits int) error {
	return fmt.Errorf("%s %d does not fit into a code: 0 to %d do", field, value, 1<<bits-1)
}

// Open returns what a code says, if it was sealed with the same secret and binding
// and is of the kind asked for. It checks, in this order: the length, the alphabet
// and the check characters (*FormatError), the MAC (ErrMAC), and only then the format
// version (ErrFormatVersion) and the kind (ErrKind). No field is looked at before
// the MAC was found right, and the comparison takes the same time wherever it fails.
//
// A genuine code of a kind with another binding is ErrMAC, not ErrKind: without
// looking at the kind, nobody can tell the two apart. A wrong want or binding or the
// zero Secret is the caller's mistake and is reported first.
func Open(text string, want Kind, s Secret, b Binding) (Code, error) {
	if err := b.fits(want); err != nil {
		return Code{}, err
	}
	if s.keys == nil {
		return Code{}, ErrNoSecret
	}
	var groups [codeGroups]uint32
	if _, err := scan(groups[:], ObjectCode, text); err != nil {
		return Code{}, err
	}
	high := uint64(groups[0])<<40 | uint64(groups[1])<<20 | uint64(groups[2])
	low := groups[3] >> 4
	var carried [macLen]byte
	binary.BigEndian.PutUint64(carried[:],
		uint64(groups[3])<<60|uint64(groups[4])<<40|uint64(groups[5])<<20|uint64(groups[6]))
	right := s.mac(header(high, low), b)
	if subtle.ConstantTimeCompare(carried[:], right[:]) != 1 {
		return Code{}, ErrMAC
	}
	return unpack(high, low, want)
}

// Check checks length, alphabet and check characters of a 35-character code of any
// kind and returns it in upper case. The error is a *FormatError. It proves nothing
// about where the code comes from: anybody can compute check characters.
func Check(text string) (canonical string, err error) {
	var groups [codeGroups]uint32
	if _, err := scan(groups[:], ObjectCode, text); err != nil {
		return "", err
	}
	return render(groups[:]), nil
}

// CheckLicenseServerID checks length, alphabet and check characters of a license
// server ID (*FormatError), and that its first bits say format version 1
// (ErrFormatVersion) and LicenseServerID (ErrKind), and returns it in upper case.
// This is all that one license server can check of another's ID; for its own it uses Open.
func CheckLicenseServerID(s string) (canonical string, err error) {
	var groups [codeGroups]uint32
	if _, err := scanID(&groups, s); err != nil {
		return "", err
	}
	return render(groups[:]), nil
}

func scanID(groups *[codeGroups]uint32, s string) (canonical bool, err error) {
	canonical, err = scan(groups[:], ObjectLicenseServerID, s)
	if err != nil {
		return false, err
	}
	if groups[0]>>13&(1<<formatBits-1) != formatVersion {
		return false, fmt.Errorf("license server ID: %w", ErrFormatVersion)
	}
	if kind := Kind(groups[0] >> 16); kind != LicenseServerID {
		return false, fmt.Errorf("%w: %v instead of %v", ErrKind, kind, LicenseServerID)
	}
	return canonical, nil
}

// fits checks that the binding is what the kind needs. The IDs must be in upper case,
// or the same license server would have two MACs.
func (b Binding) fits(kind Kind) error {
	var target, source bool
	switch kind {
	case LicenseServerID:
	case Install, Confirmation:
		target = true
	case Import:
		target, source = true, true
	default:
		return fmt.Errorf("%w: %d is none of LicenseServerID (1), Install (2), Import (3) and Confirmation (4)", ErrKind, uint8(kind))
	}
	if err := fitsSlot("target", b.Target, kind, target); err != nil {
		return err
	}
	if err := fitsSlot("source", b.Source, kind, source); err != nil {
		return err
	}
	if source && b.Source == b.Target {
		return errors.New("binding: source and target are the same license server; an import needs two")
	}
	return nil
}

func fitsSlot(role, id string, kind Kind, needed bool) error {
	if !needed {
		if id != "" {
			return fmt.Errorf("binding: the kind %v has no %s", kind, role)
		}
		return nil
	}
	if id == "" {
		return fmt.Errorf("binding: the kind %v needs a %s", kind, role)
	}
	var groups [codeGroups]uint32
	canonical, err := scanID(&groups, id)
	if err != nil {
		return fmt.Errorf("binding: %s: %w", role, err)
	}
	if !canonical {
		return fmt.Errorf("binding: %s: the license server ID must be in upper case, as CheckLicenseServerID returns it", role)
	}
	return nil
}

// pack returns the first 60 and the other 16 of the 76 data bits.
func (c Code) pack() (high uint64, low uint32) {
	high = uint64(c.Kind)
	high = high<<formatBits | formatVersion
	high = high<<productVersionBits | uint64(c.ProductVersion)
	high = high<<productTypeBits | uint64(c.ProductType)
	high = high<<quantityBits | uint64(c.Quantity)
	high = high<<(serialBits-5) | uint64(c.Serial>>5)
	low = c.Serial&31<<expiryBits | uint32(c.ExpiryMonth)
	return high, low
}

// unpack is the inverse of pack for a genuine code of the wanted kind.
func unpack(high uint64, low uint32, want Kind) (Code, error) {
	c := Code{ExpiryMonth: uint16(low & (1<<expiryBits - 1))}
	c.Serial = uint32(high)<<5 | low>>expiryBits
	high >>= serialBits - 5
	c.Quantity = uint32(high & (1<<quantityBits - 1))
	high >>= quantityBits
	c.ProductType = uint8(high & (1<<productTypeBits - 1))
	high >>= productTypeBits
	c.ProductVersion = uint8(high & (1<<productVersionBits - 1))
	high >>= productVersionBits
	version := high & (1<<formatBits - 1)
	c.Kind = Kind(high >> formatBits)
	if version != formatVersion {
		return Code{}, ErrFormatVersion
	}
	if c.Kind != want {
		return Code{}, fmt.Errorf("%w: %v instead of %v", ErrKind, c.Kind, want)
	}
	return c, nil
}

// header packs the 76 data bits into 10 bytes; the last four bits are zero.
func header(high uint64, low uint32) (h [headerLen]byte) {
	binary.BigEndian.PutUint64(h[:], high<<4|uint64(low>>12))
	binary.BigEndian.PutUint16(h[8:], uint16(low<<4))
	return h
}
