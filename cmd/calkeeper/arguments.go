package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// typed returns a code or number as the methods want it: without hyphens and spaces, in capitals.
func typed(s string) string { return strings.ToUpper(keycode.Ungroup(s)) }

// grouped returns a code or ID as people read it: in groups of five, also if the server grouped it already.
func grouped(s string) string { return keycode.Groups(keycode.Ungroup(s)) }

// productVersion is a ProductVersion, typed as its number or as the year of Windows Server.
type productVersion uint32

// UnmarshalText reads 2 to 8, or a year.
func (v *productVersion) UnmarshalText(text []byte) error {
	years := []string{"2008", "2008R2", "2012", "2016", "2019", "2022", "2025"} // from number 2 on
	for i, year := range years {
		if s := strings.ToUpper(string(text)); s == year || s == strconv.Itoa(i+2) {
			*v = productVersion(i + 2)
			return nil
		}
	}
	return fmt.Errorf("%q is no product version: 2 to 8 are, or %s", text, strings.Join(years, ", "))
}

// productType is a ProductType, typed as a word or as its number.
type productType uint32

// UnmarshalText reads device, user, 0 or 1.
func (v *productType) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "device", "0":
		*v = 0
	case "user", "1":
		*v = 1
	default:
		return fmt.Errorf("%q is no product type: device and user are", text)
	}
	return nil
}

// String returns the type in words.
func (v productType) String() string {
	if v == 1 {
		return "per user"
	}
	return "per device"
}

// agreementType is an AgreementType, typed as a word or as its number.
type agreementType uint32

// UnmarshalText reads select, enterprise, campus, school, spla, other, or 0 to 5.
func (v *agreementType) UnmarshalText(text []byte) error {
	n, ok := numberOf(string(text), "select", "enterprise", "campus", "school", "spla", "other")
	if !ok {
		return fmt.Errorf("%q is no agreement type: select, enterprise, campus, school, spla and other are, or 0 to 5", text)
	}
	*v = agreementType(n)
	return nil
}

// reason is why a license server is activated again, typed as a word or as its number.
type reason uint32

// UnmarshalText reads redeployed, corrupt, compromised, expired, upgraded, or 0 to 4.
func (v *reason) UnmarshalText(text []byte) error {
	n, ok := numberOf(string(text), "redeployed", "corrupt", "compromised", "expired", "upgraded")
	if !ok {
		return fmt.Errorf("%q is no reason: redeployed, corrupt, compromised, expired and upgraded are, or 0 to 4", text)
	}
	*v = reason(n)
	return nil
}

// numberOf returns the place of a word in a list, which may also be given as a number.
func numberOf(text string, words ...string) (int, bool) {
	for i, word := range words {
		if strings.EqualFold(text, word) || text == strconv.Itoa(i) {
			return i, true
		}
	}
	return 0, false
}

// month is the last month in which CALs are valid.
type month struct{ time.Time }

// UnmarshalText reads YYYY-MM.
func (m *month) UnmarshalText(text []byte) error {
	t, err := time.Parse("2006-01", string(text))
	if err != nil {
		return fmt.Errorf("%q is no month: 2027-06 is one", text)
	}
	m.Time = t
	return nil
}

// end returns the instant after the month; the zero time for none.
func (m month) end() time.Time {
	if m.IsZero() {
		return time.Time{}
	}
	return m.AddDate(0, 1, 0)
}

// lastMonth shows an expiry as the month that it ends.
func lastMonth(expires time.Time) string {
	if expires.IsZero() {
		return "never"
	}
	return expires.Add(-time.Nanosecond).Format("2006-01")
}

// at shows an instant.
func at(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// hostVersion is the ProductVersion of a session host, typed as its short name or number.
type hostVersion licensing.ProductVersion

// UnmarshalText reads ws2022, or 2 to 8.
func (v *hostVersion) UnmarshalText(text []byte) error {
	version, err := licensing.ParseVersionName(string(text))
	*v = hostVersion(version)
	return bare(err)
}

// hostMode is what a session host counts CALs by.
type hostMode licensing.ProductType

// UnmarshalText reads per-device or per-user.
func (m *hostMode) UnmarshalText(text []byte) error {
	mode, err := licensing.ParseMode(string(text))
	*m = hostMode(mode)
	return bare(err)
}

// bare returns a fault of the domain as what is wrong with an argument: what the parser says of it is wrong usage.
func bare(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(licensing.Message(err))
}

// date is a day, in UTC.
type date struct{ time.Time }

// UnmarshalText reads YYYY-MM-DD.
func (d *date) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return fmt.Errorf("%q is no date: 2026-01-05 is one", text)
	}
	d.Time = t
	return nil
}
