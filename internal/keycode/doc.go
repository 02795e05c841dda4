// Package keycode makes and checks the codes that people type or read out: the
// 35-character codes (license server ID, install, import and confirmation code),
// the 25-character retail codes, and the 65-character product ID.
//
// All of them are written in the Crockford base-32 alphabet, in groups of five
// whose last character checks the other four and the group's place. A
// 35-character code also carries a MAC under a key that a license server and its
// clearinghouse agree on (X25519, RFC 7748; HKDF, RFC 5869; HMAC, RFC 2104), so
// that no field of it is looked at before it is known to be genuine.
//
// The formats are described bit by bit in docs/codes.md.
//
// The package is pure. It must not know of storage, of HTTP or CIM, of the clock,
// of what a product version means, or of whether a code was used before: whoever
// calls it decides that.
package keycode
