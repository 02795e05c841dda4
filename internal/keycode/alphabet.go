package keycode

// alphabet is Crockford's base-32 alphabet: no I, L, O and U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// groupLen is the number of characters in a group; the last one is the check character.
const groupLen = 5

// maxGroups is the number of groups in the longest text of this package, the product ID.
const maxGroups = 13

// The marks of a character in symbolOf, above the five bits of its value.
const (
	known = 0x20         // in the alphabet, in either case
	upper = 0x40 | known // a digit or an upper-case letter, as in the canonical form
)

// symbolOf maps a byte to its marks and value, and to 0 when it is not in the
// alphabet. Lower case is folded here. It is never written.
var symbolOf = [256]byte{
	'0': upper, '1': upper | 1, '2': upper | 2, '3': upper | 3, '4': upper | 4,
	'5': upper | 5, '6': upper | 6, '7': upper | 7, '8': upper | 8, '9': upper | 9,
	'A': upper | 10, 'B': upper | 11, 'C': upper | 12, 'D': upper | 13, 'E': upper | 14,
	'F': upper | 15, 'G': upper | 16, 'H': upper | 17, 'J': upper | 18, 'K': upper | 19,
	'M': upper | 20, 'N': upper | 21, 'P': upper | 22, 'Q': upper | 23, 'R': upper | 24,
	'S': upper | 25, 'T': upper | 26, 'V': upper | 27, 'W': upper | 28, 'X': upper | 29,
	'Y': upper | 30, 'Z': upper | 31,
	'a': known | 10, 'b': known | 11, 'c': known | 12, 'd': known | 13, 'e': known | 14,
	'f': known | 15, 'g': known | 16, 'h': known | 17, 'j': known | 18, 'k': known | 19,
	'm': known | 20, 'n': known | 21, 'p': known | 22, 'q': known | 23, 'r': known | 24,
	's': known | 25, 't': known | 26, 'v': known | 27, 'w': known | 28, 'x': known | 29,
	'y': known | 30, 'z': known | 31,
}

// checkSymbol returns the check symbol of the group at index (0-based) whose four
// data symbols are the 20 bits of data:
//
//	2*c0 + 4*c1 + 8*c2 + 15*c3 + (index+1)   in GF(32) = GF(2)[x]/(x^5+x^2+1)
//
// The weights are distinct, nonzero and not 1, which is the check symbol's own
// weight: so a substitution, a swap of any two characters and a twin error (aa for
// bb) always show. The five weights sum to zero, so five equal characters are never
// a group. The last term differs from place to place, so groups cannot change places.
func checkSymbol(data uint32, index int) byte {
	c0, c1, c2, c3 := data>>15&31, data>>10&31, data>>5&31, data&31
	// 2, 4 and 8 are x, x^2 and x^3, and 15 is their sum plus 1: shifts do it.
	product := c0<<1 ^ c1<<2 ^ c2<<3 ^ c3<<3 ^ c3<<2 ^ c3<<1 ^ c3
	// x^5 = x^2+1; what is above bit 4 is at most three bits wide, so one step reduces it.
	high := product >> 5
	return byte(product&31^high^high<<2) ^ byte(index+1)
}

// scan checks text against the length, the alphabet and the check characters, in
// this order, and puts the 20 data bits of each group into groups, whose length
// says how many groups there are. It reports whether a right text is all upper case.
func scan(groups []uint32, object Object, text string) (canonical bool, err error) {
	if len(text) != groupLen*len(groups) {
		return false, lengthError(object, groupLen*len(groups), text)
	}
	all, wrong := byte(upper), byte(0)
	for i := range groups {
		g := text[groupLen*i : groupLen*i+groupLen]
		s0, s1, s2, s3, s4 := symbolOf[g[0]], symbolOf[g[1]], symbolOf[g[2]], symbolOf[g[3]], symbolOf[g[4]]
		all &= s0 & s1 & s2 & s3 & s4
		data := uint32(s0&31)<<15 | uint32(s1&31)<<10 | uint32(s2&31)<<5 | uint32(s3&31)
		wrong |= checkSymbol(data, i) ^ s4&31
		groups[i] = data
	}
	if all&known == 0 {
		return false, characterError(object, text)
	}
	if wrong != 0 {
		return false, checkError(object, text, groups)
	}
	return all == upper, nil
}

// render writes groups of 20 data bits as text, each with its check character.
func render(groups []uint32) string {
	var buf [groupLen * maxGroups]byte
	out := buf[:0]
	for i, data := range groups {
		out = append(out, alphabet[data>>15&31], alphabet[data>>10&31], alphabet[data>>5&31],
			alphabet[data&31], alphabet[checkSymbol(data, i)])
	}
	return string(out)
}
