package licensing

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of what session hosts say of holders, in characters.
const (
	MaxUserLength    = 256
	MaxDeviceLength  = 128
	MaxSessionLength = 128
)

// Device is a client device as a session host sees it.
type Device struct {
	ID   string `json:"id,omitempty"`   // what identifies it: a hardware ID, or "ip:192.0.2.7" where there is nothing better
	Name string `json:"name,omitempty"` // a label, which the client chooses
}

// IsZero tells whether nothing is known of the device.
func (d Device) IsZero() bool { return d == Device{} }

// String returns the label, or the ID if there is none.
func (d Device) String() string {
	if d.Name != "" {
		return d.Name
	}
	return d.ID
}

// DeviceKey checks a device and returns what it is compared by: its ID, or its name if it has no ID, without regard to case.
// A named device and one with that ID are two.
func DeviceKey(d Device) (string, error) {
	for _, f := range []struct{ what, value string }{{"the device's ID", d.ID}, {"the device's name", d.Name}} {
		if err := checkText(f.what, f.value, MaxDeviceLength); err != nil {
			return "", err
		}
	}
	switch {
	case d.ID != "":
		return "id:" + Fold(d.ID), nil
	case d.Name != "":
		return "name:" + Fold(d.Name), nil
	}
	return "", Faultf(Invalid, "the device is missing: give its ID, or its name if it has none")
}

// UserKey checks a user's name and returns what it is compared by. DOMAIN\user, user@domain and user@domain.example are one,
// in any case: the first label of a realm or DNS name is taken for the domain's NetBIOS name, as Active Directory names domains by
// default. A name without a domain, and .\user, is a local user.
func UserKey(name string) (string, error) {
	domain, user, err := splitUser(name)
	if err != nil {
		return "", err
	}
	return Fold(user) + "@" + Fold(domain), nil
}

// localDomain stands for the domain of a local user, as in .\user.
const localDomain = "."

// DownLevelLogonName returns a user's name as license servers show it, DOMAIN\user, in its two parts: the domain as its
// NetBIOS name in capitals, "." for a local user. A name that UserKey refuses counts as that of a local user.
func DownLevelLogonName(name string) (domain, user string) {
	domain, user, err := splitUser(name)
	switch {
	case err != nil:
		return localDomain, name
	case domain == "":
		return localDomain, user
	}
	return strings.ToUpper(domain), user
}

// splitUser returns the parts of a user's name; the domain is empty for a local user.
func splitUser(name string) (domain, user string, err error) {
	if name == "" {
		return "", "", Faultf(Invalid, "the user is missing: give a name, such as ada, EXAMPLE\\ada or ada@example.com")
	}
	if err := checkText("the user's name", name, MaxUserLength); err != nil {
		return "", "", err
	}
	user = name
	if before, after, ok := strings.Cut(name, `\`); ok {
		domain, user = before, after
		if domain == "" || user == "" || strings.Contains(user, `\`) {
			return "", "", Faultf(Invalid, "the user's name is to be DOMAIN\\user, with one backslash between two names")
		}
		if domain == localDomain {
			domain = ""
		}
		domain, _, _ = strings.Cut(domain, ".")
	} else if i := strings.LastIndexByte(name, '@'); i >= 0 {
		user, domain = name[:i], name[i+1:]
		domain, _, _ = strings.Cut(domain, ".")
		if user == "" || domain == "" {
			return "", "", Faultf(Invalid, "the user's name is to be user@realm, with something on both sides")
		}
	}
	return domain, user, nil
}

// CheckSession checks what a session host calls a session; empty is allowed.
func CheckSession(session string) error { return checkText("the session", session, MaxSessionLength) }

// Fold returns s in a form that is equal for texts that differ only in the case of letters, by Unicode's simple folding.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		// Capitals come first in ASCII; small letters are what people expect to read.
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		return least
	}, s)
}

// checkText refuses what cannot be shown in one line.
func checkText(what, s string, most int) error {
	if !utf8.ValidString(s) {
		return Faultf(Invalid, "%s is not UTF-8", what)
	}
	if n := utf8.RuneCountInString(s); n > most {
		return Faultf(Invalid, "%s has %d characters; at most %d are allowed", what, n, most)
	}
	if strings.TrimSpace(s) != s {
		return Faultf(Invalid, "%s begins or ends with a space", what)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return Faultf(Invalid, "%s has a character that cannot be printed (%U)", what, r)
		}
	}
	return nil
}
