package keycode

import (
	"errors"
	"fmt"
)

// Errors that Open and CheckLicenseServerID return beside *FormatError, for errors.Is.
var (
	// ErrMAC says that a code is well-formed but its MAC is not the one that this
	// secret and this binding give. It tells nothing about any field of the code.
	ErrMAC = errors.New("the code was not made for this license server " +
		"(or, for an import, not for this source license server), or it was altered")
	// ErrKind says that a code is of another kind than the one asked for, or of
	// a kind that this version does not know.
	ErrKind = errors.New("the code is of another kind")
	// ErrFormatVersion says that a code is genuine but of a format version that
	// this version of the package does not know.
	ErrFormatVersion = errors.New("the code is of an unknown format version; this version reads format version 1")
	// ErrNoSecret says that the zero Secret was used: there was no agreement.
	ErrNoSecret = errors.New("there is no secret: license server and clearinghouse have made no key agreement")
)

// Object names the sort of text that a FormatError is about, as it stands in a sentence.
type Object string

// The four sorts of text.
const (
	ObjectCode            Object = "code"              // any 35-character code
	ObjectLicenseServerID Object = "license server ID" // 35 characters
	ObjectRetailCode      Object = "retail code"       // 25 characters
	ObjectProductID       Object = "product ID"        // 65 characters
)

// Reason says which check refused a text. The checks run in the order of the constants.
type Reason uint8

// The reasons for a FormatError.
const (
	ReasonLength    Reason = iota + 1 // not exactly as long as it must be
	ReasonCharacter                   // a character that is not in the alphabet
	ReasonCheck                       // a group whose check character does not fit
	ReasonTag                         // a retail code that does not begin with R
	ReasonPadding                     // a product ID whose last four bits are not zero
	ReasonKey                         // a product ID that holds no X25519 public key in its one valid form
)

// FormatError says what is wrong with the form of a code, and where. It never
// holds the code or a part of it, except one character that no code can contain.
type FormatError struct {
	Object   Object // what the text should have been
	Reason   Reason // which check refused it
	Length   int    // length found, in bytes
	Want     int    // length that would be right, in bytes and characters
	Group    int    // the group that is wrong, counted from 1; 0 when no group can be named
	Position int    // the character in the whole text that is wrong, counted from 1; 0 when none can be named
	hint     string
}

// Error names the place and what would be right, in one sentence without the code.
func (e *FormatError) Error() string {
	switch e.Reason {
	case ReasonLength:
		return fmt.Sprintf("%s: the text is %d bytes long; %d characters are right%s", e.Object, e.Length, e.Want, e.hint)
	case ReasonCharacter:
		return fmt.Sprintf("%s: group %d, character %d: %s", e.Object, e.Group, (e.Position-1)%groupLen+1, e.hint)
	case ReasonCheck:
		return fmt.Sprintf("%s: group %d is mistyped or in the wrong place: its check character does not fit; "+
			"compare it, and the order of the groups, with the original", e.Object, e.Group)
	case ReasonTag:
		return fmt.Sprintf("%s: group 1, character 1: a retail code begins with R", e.Object)
	case ReasonPadding:
		return fmt.Sprintf("%s: group %d: the last four bits are not zero, so no license server made it", e.Object, e.Group)
	case ReasonKey:
		return fmt.Sprintf("%s: it holds no X25519 public key in canonical form (RFC 7748 section 5), so no license server made it", e.Object)
	}
	return fmt.Sprintf("%s: malformed", e.Object)
}

// lengthError is kept from reading more of a hostile text than the longest
// well-meant one, a product ID with hyphens.
func lengthError(object Object, want int, text string) error {
	e := &FormatError{Object: object, Reason: ReasonLength, Length: len(text), Want: want}
	switch {
	case len(text) <= maxTyped && len(Ungroup(text)) == want:
		e.hint = "; leave out hyphens and spaces"
	case len(text) <= maxTyped && !isASCII(text):
		e.hint = ", and only 0-9 and A-Z without I, L, O and U are used"
	case len(text) == groupLen*retailGroups:
		e.hint = "; 25 is the length of a retail code"
	case len(text) == groupLen*codeGroups:
		e.hint = "; 35 is the length of a license server ID or of an install, import or confirmation code"
	case len(text) == groupLen*maxGroups:
		e.hint = "; 65 is the length of a product ID"
	}
	return e
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// characterError names the first character of text that is not in the alphabet.
func characterError(object Object, text string) error {
	e := &FormatError{Object: object, Reason: ReasonCharacter, Length: len(text), Want: len(text)}
	for i := range len(text) {
		if symbolOf[text[i]] != 0 {
			continue
		}
		e.Group, e.Position = i/groupLen+1, i+1
		switch text[i] {
		case 'O', 'o':
			e.hint = "the letter O is not used; 0 (zero) is meant?"
		case 'I', 'i':
			e.hint = "the letter I is not used; 1 (one) is meant?"
		case 'L', 'l':
			e.hint = "the letter L is not used; 1 (one) is meant?"
		case 'U', 'u':
			e.hint = "the letter U is not used; V is meant?"
		case '-', ' ':
			e.hint = "leave out hyphens and spaces"
		default:
			e.hint = "only 0-9 and A-Z without I, L, O and U are used"
		}
		break
	}
	return e
}

// checkError names the first group of text whose check character does not fit.
func checkError(object Object, text string, groups []uint32) error {
	e := &FormatError{Object: object, Reason: ReasonCheck, Length: len(text), Want: len(text)}
	for i, data := range groups {
		if symbolOf[text[groupLen*i+groupLen-1]]&31 != checkSymbol(data, i) {
			e.Group = i + 1
			break
		}
	}
	return e
}
