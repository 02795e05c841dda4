package accounts

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"calkeeper/internal/lru"
	"calkeeper/internal/store"
)

// Bounds of what is remembered.
const (
	maxRemembered = 10_000 // passwords, of an account and an address each
	maxGuesses    = 100    // wrong passwords that are held against a remembered one while it is locked
)

// remembered are the passwords that were right, by account and address, for the life of the process: the next request of the same
// client is not hashed again, and passes while strangers have locked the account, or a neighbor his address. Of the passwords only an
// HMAC under a key of this process is kept, with what was known of the account: after any change of that, nothing fits.
type remembered struct {
	key []byte

	mu       sync.Mutex
	accounts *lru.Map[proof]
}

type proof struct {
	mac     []byte
	account store.Account
	changes uint64 // how many there were when account was read
	guesses int
}

func newRemembered() *remembered {
	r := &remembered{key: make([]byte, sha256.Size), accounts: lru.New[proof](maxRemembered)}
	rand.Read(r.key)
	return r
}

func (r *remembered) mac(a store.Account, password string) []byte {
	m := hmac.New(sha256.New, r.key)
	fmt.Fprintf(m, "%q %q %q %x %x %d %q", a.Name, a.Role, a.Password, a.NTHash, a.Certificate, a.Changed.UnixNano(), password)
	return m.Sum(nil)
}

// meet notes that the account was used from there, by another way than with its password.
func (r *remembered) meet(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accounts.Add(key)
}

// knows tells whether the account was used from there.
func (r *remembered) knows(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accounts.Get(key) != nil
}

// account returns the account as it was read last, and how many changes there were then.
func (r *remembered) account(key string) (a store.Account, changes uint64, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.accounts.Get(key)
	if p == nil {
		return a, 0, false
	}
	return p.account, p.changes, true
}

// fits tells whether the password was right before, for the account as it is after so many changes.
func (r *remembered) fits(key string, a store.Account, password string, changes uint64) bool {
	mac := r.mac(a, password)
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.accounts.Get(key)
	if p == nil || !hmac.Equal(mac, p.mac) {
		return false
	}
	p.account, p.changes = a, changes
	return true
}

// remember notes that the password is right.
func (r *remembered) remember(key string, a store.Account, password string, changes uint64) {
	mac := r.mac(a, password)
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.accounts.Add(key) = proof{mac: mac, account: a, changes: changes}
}

// guessed counts a password that did not fit while nothing was to be checked. After too many nothing is remembered any more: else who
// shares an address with a client could try as many as he likes.
func (r *remembered) guessed(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.accounts.Get(key)
	if p == nil {
		return
	}
	if p.guesses++; p.guesses >= maxGuesses {
		r.accounts.Remove(key)
	}
}

// folded returns a name such that those that differ in case only are the same.
func folded(name string) string { return strings.ToLower(strings.ToUpper(name)) }
