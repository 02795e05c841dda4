package auth

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"calkeeper/internal/privatefile"
)

// iterations of PBKDF2-HMAC-SHA256 (RFC 8018) for a new password; the number that OWASP's Password Storage Cheat Sheet asks.
const iterations = 600_000

// maxPassword bounds what is hashed for a caller that is not authenticated yet, in bytes.
const maxPassword = 1024

// ErrCredentials means that user or password is wrong, without saying which.
var ErrCredentials = errors.New("user or password is wrong")

// Account is a local account. The password is kept only as a hash.
type Account struct {
	User       string `json:"user"`
	Role       Role   `json:"role"`
	Salt       []byte `json:"salt"`
	Iterations int    `json:"iterations"`
	Hash       []byte `json:"hash"`
}

// Accounts are the local accounts of a license server, in a file.
type Accounts struct {
	path string

	mu       sync.Mutex
	accounts []Account
	// proved holds, for a user whose password was right once, an HMAC of that password under a key of this process: the
	// next request of the same client is not hashed 600,000 times again.
	proved    map[string][]byte
	provedKey []byte
	busy      chan struct{} // bounds how many passwords are hashed at once
	derive    func(password string, salt []byte, iterations int) ([]byte, error)
}

// LoadAccounts reads the accounts from a file; one that is not there has none.
func LoadAccounts(path string) (*Accounts, error) {
	a := &Accounts{path: path, proved: map[string][]byte{}, provedKey: make([]byte, 32), busy: make(chan struct{}, 2), derive: derive}
	rand.Read(a.provedKey)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &a.accounts); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// Empty tells whether there is no account yet.
func (a *Accounts) Empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.accounts) == 0
}

// List returns users and roles, and nothing of their passwords.
func (a *Accounts) List() []Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Account
	for _, account := range a.accounts {
		list = append(list, Account{User: account.User, Role: account.Role})
	}
	return list
}

// Role returns the role of an account, and whether there is one of that user.
func (a *Accounts) Role(user string) (Role, bool) {
	account, known := a.find(user)
	return account.Role, known
}

// Generate adds an account with a random password of at least 128 bits, or gives it a new one, and returns the password. Such
// a password needs no slow hash: nobody can try so many. Only a refusal is as slow as for any other account.
func (a *Accounts) Generate(user string, role Role) (password string, err error) {
	password = rand.Text()
	return password, a.set(user, password, role, 1)
}

// Set adds an account, or changes its password and role, and writes the file.
func (a *Accounts) Set(user, password string, role Role) error {
	return a.set(user, password, role, iterations)
}

func (a *Accounts) set(user, password string, role Role, iterations int) error {
	switch {
	case user == "" || strings.ContainsAny(user, ":\\\r\n"):
		return errors.New("a user name is not empty and has neither a colon (RFC 7617) nor a backslash, before which a domain stands")
	case len(password) < 8 || len(password) > maxPassword:
		return fmt.Errorf("a password has 8 to %d characters", maxPassword)
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	hash, err := a.derive(password, salt, iterations)
	if err != nil {
		return err
	}
	account := Account{User: user, Role: role, Salt: salt, Iterations: iterations, Hash: hash}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := []Account{account}
	for _, old := range a.accounts {
		if !strings.EqualFold(old.User, user) {
			next = append(next, old)
		}
	}
	return a.store(next)
}

// Remove takes an account away and writes the file. The last Administrator cannot be removed: nobody could administer any more.
func (a *Accounts) Remove(user string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var next []Account
	administrators := 0
	for _, old := range a.accounts {
		if strings.EqualFold(old.User, user) {
			continue
		}
		next = append(next, old)
		if old.Role == Administrator {
			administrators++
		}
	}
	switch {
	case len(next) == len(a.accounts):
		return fmt.Errorf("there is no account %s", user)
	case administrators == 0:
		return fmt.Errorf("%s is the last Administrator: add another one first", user)
	}
	return a.store(next)
}

// store makes next the accounts, in the file and here. a.mu is held.
func (a *Accounts) store(next []Account) error {
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := privatefile.Write(a.path, text); err != nil {
		return err
	}
	a.accounts = next
	clear(a.proved) // the same account can be proved under names that differ in more than case: U+017F folds to s
	return nil
}

// Authenticate checks user and password. The user name is compared without case, and a domain or host before a backslash is
// left out: all accounts are local. The error is ErrCredentials, or that of ctx if it ends while others' passwords are hashed.
func (a *Accounts) Authenticate(ctx context.Context, user, password string) (Identity, error) {
	if _, name, ok := strings.Cut(user, `\`); ok {
		user = name
	}
	account, known := a.find(user)
	if len(password) > maxPassword {
		return Identity{}, ErrCredentials
	}
	proof := a.proof(user, password)
	a.mu.Lock()
	proved := a.proved[strings.ToLower(user)]
	a.mu.Unlock()
	if known && hmac.Equal(proof, proved) {
		return Identity{User: account.User, Role: account.Role}, nil
	}
	select {
	case a.busy <- struct{}{}:
	case <-ctx.Done():
		return Identity{}, ctx.Err()
	}
	fits := a.check(account, password)
	<-a.busy
	if !fits || !known {
		return Identity{}, ErrCredentials
	}
	// The password may have been changed while this one was hashed.
	a.mu.Lock()
	defer a.mu.Unlock()
	if now, _ := a.lookup(user); !hmac.Equal(now.Hash, account.Hash) {
		return Identity{}, ErrCredentials
	}
	a.proved[strings.ToLower(user)] = proof
	return Identity{User: account.User, Role: account.Role}, nil
}

// check tells whether the password is the account's. One that is not costs all the iterations, also where the account's own hash
// is quick: the time must not tell that there is an account, nor that its password was generated.
func (a *Accounts) check(account Account, password string) bool {
	hash, err := a.derive(password, account.Salt, account.Iterations)
	if err == nil && subtle.ConstantTimeCompare(hash, account.Hash) == 1 {
		return true
	}
	if rest := iterations - account.Iterations; rest > 0 {
		_, _ = a.derive(password, account.Salt, rest)
	}
	return false
}

// derive is PBKDF2-HMAC-SHA256 (RFC 8018).
func derive(password string, salt []byte, iterations int) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
}

// find returns the account; for an unknown user one that costs as much to check and never fits.
func (a *Accounts) find(user string) (Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lookup(user)
}

func (a *Accounts) lookup(user string) (Account, bool) {
	for _, account := range a.accounts {
		if strings.EqualFold(account.User, user) {
			return account, true
		}
	}
	return Account{Salt: make([]byte, 16), Iterations: iterations, Hash: make([]byte, sha256.Size)}, false
}

func (a *Accounts) proof(user, password string) []byte {
	m := hmac.New(sha256.New, a.provedKey)
	fmt.Fprintf(m, "%s\n%s", strings.ToLower(user), password)
	return m.Sum(nil)
}
