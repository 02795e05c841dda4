package ntlm

import "strings"

// flags is NegotiateFlags (MS-NLMP 2.2.2.5).
type flags uint32

const (
	flagUnicode                 flags = 1 << 0
	flagOEM                     flags = 1 << 1
	flagRequestTarget           flags = 1 << 2
	flagSign                    flags = 1 << 4
	flagSeal                    flags = 1 << 5
	flagNTLM                    flags = 1 << 9
	flagAnonymous               flags = 1 << 11
	flagAlwaysSign              flags = 1 << 15
	flagTargetTypeServer        flags = 1 << 17
	flagExtendedSessionSecurity flags = 1 << 19
	flagTargetInfo              flags = 1 << 23
	flagVersion                 flags = 1 << 25
	flag128                     flags = 1 << 29
	flagKeyExchange             flags = 1 << 30
	flag56                      flags = 1 << 31
)

// binding are the flags of a CHALLENGE_MESSAGE that an AUTHENTICATE_MESSAGE must not drop: they say how its strings are encoded and how
// the messages to come are protected. Clients do drop others: those that only tell of the target, 56 beside 128, ALWAYS_SIGN, VERSION.
const binding = flagUnicode | flagSign | flagSeal | flagExtendedSessionSecurity | flag128 | flagKeyExchange

// names are those that an error can be about.
var names = []struct {
	flag flags
	name string
}{
	{flagUnicode, "UNICODE"}, {flagSign, "SIGN"}, {flagSeal, "SEAL"}, {flagExtendedSessionSecurity, "EXTENDED_SESSIONSECURITY"},
	{flag128, "128"}, {flagKeyExchange, "KEY_EXCH"},
}

// String lists the names of MS-NLMP without their common prefix, of the binding flags.
func (f flags) String() string {
	var list []string
	for _, n := range names {
		if f&n.flag != 0 {
			list = append(list, n.name)
		}
	}
	return strings.Join(list, ", ")
}

// negotiate returns the flags of the CHALLENGE_MESSAGE: of those that the client offers what this side can, and what MS-NLMP demands.
// Nothing else is set that was not asked for: there are clients that cannot exchange keys and fail when they are told to.
func negotiate(offered flags) (flags, error) {
	switch {
	case offered&(flagUnicode|flagOEM) == 0:
		return 0, defective("the client offers neither UNICODE nor OEM strings")
	case offered&flagExtendedSessionSecurity == 0:
		return 0, defective("the client does not offer EXTENDED_SESSIONSECURITY, without which only NTLMv1 is left")
	case offered&(flagSign|flagSeal) != 0 && offered&flag128 == 0:
		return 0, defective("the client wants to sign or seal, and does not offer keys of 128 bits")
	}
	chosen := flagNTLM | flagTargetInfo | flagExtendedSessionSecurity | offered&(flagAlwaysSign|flagVersion)
	if offered&flagUnicode != 0 {
		chosen |= flagUnicode
	} else {
		chosen |= flagOEM
	}
	if offered&flagRequestTarget != 0 {
		chosen |= flagRequestTarget | flagTargetTypeServer
	}
	// Without one of these there are no messages to protect: the strength of keys has no meaning, and a key is not exchanged.
	if offered&(flagSign|flagSeal) != 0 {
		chosen |= offered & (flagSign | flagSeal | flag128 | flag56 | flagKeyExchange)
	}
	return chosen, nil
}
