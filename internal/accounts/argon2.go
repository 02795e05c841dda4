package accounts

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What a hash has, in bytes.
const (
	saltLength = 16
	sumLength  = 32
)

// cost is that of one hash (RFC 9106): memory in KiB, passes, lanes.
type cost struct {
	memory, time uint32
	threads      uint8
}

// presentCost is that of new hashes: what OWASP's Password Storage Cheat Sheet asks of Argon2id.
func presentCost() cost { return cost{memory: 19 * 1024, time: 2, threads: 1} }

// quickCost is that of passwords that were generated: of 130 bits nobody can try so many that more would help.
func quickCost() cost { return cost{memory: 64, time: 1, threads: 1} }

// within tells whether the cost may be paid: a database that somebody has changed must not exhaust the memory. The least memory is that
// of RFC 9106, section 3.1.
func (c cost) within() bool {
	return c.threads >= 1 && c.threads <= 4 && c.memory >= 8*uint32(c.threads) && c.memory <= 64*1024 && c.time >= 1 && c.time <= 8
}

// derive is Argon2id.
func derive(password string, salt []byte, c cost) []byte {
	return argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, sumLength)
}

// passwordHash is what is kept of a password.
type passwordHash struct {
	cost
	salt, sum []byte
}

// String returns the PHC string format of github.com/P-H-C/phc-string-format.
func (h passwordHash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b64(h.salt), b64(h.sum))
}

var errNoHash = errors.New("this is no hash of Argon2id that could be checked")

// parseHash reads what String has written, and nothing else.
func parseHash(text string) (passwordHash, error) {
	fields := strings.Split(text, "$")
	if len(fields) != 6 {
		return passwordHash{}, errNoHash
	}
	var h passwordHash
	for parameter := range strings.SplitSeq(fields[3], ",") {
		name, value, _ := strings.Cut(parameter, "=")
		n, _ := strconv.ParseUint(value, 10, 24) // of what is no number, the text below differs
		switch name {
		case "m":
			h.memory = uint32(n)
		case "t":
			h.time = uint32(n)
		case "p":
			h.threads = uint8(min(n, 255))
		}
	}
	h.salt, _ = base64.RawStdEncoding.DecodeString(fields[4])
	h.sum, _ = base64.RawStdEncoding.DecodeString(fields[5])
	if !h.within() || len(h.salt) != saltLength || len(h.sum) != sumLength || h.String() != text {
		return passwordHash{}, errNoHash
	}
	return h, nil
}

// newHash returns the hash of a new password.
func (s *Service) newHash(password string, c cost) string {
	h := passwordHash{cost: c, salt: make([]byte, saltLength)}
	rand.Read(h.salt)
	h.sum = s.derive(password, h.salt, h.cost)
	return h.String()
}

// fits tells whether the password is that of a hash; the empty hash, of one who has no password or is nobody, fits none. Whatever does
// not fit costs the same, also where the hash is a quick one: the time must not tell that there is an account, nor that its password was
// generated. The error is for the log.
func (s *Service) fits(hash, password string) (bool, error) {
	var none, h passwordHash
	var err error
	if hash != "" {
		h, err = parseHash(hash)
	}
	quick, slow := none, h
	if h.cost == quickCost() {
		quick, slow = h, none
	}
	return s.fitsOne(quick, quickCost(), password) || s.fitsOne(slow, presentCost(), password), err
}

// fitsOne checks one hash; if there is none, at that cost.
func (s *Service) fitsOne(h passwordHash, c cost, password string) bool {
	sum := h.sum
	if sum == nil {
		h.salt, h.cost, sum = make([]byte, saltLength), c, make([]byte, sumLength)
	}
	return subtle.ConstantTimeCompare(s.derive(password, h.salt, h.cost), sum) == 1 && h.sum != nil
}
