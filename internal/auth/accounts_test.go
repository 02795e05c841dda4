package auth_test

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"calkeeper/internal/auth"
)

const (
	right = "correct horse"
	wrong = "battery staple"
)

// accounts returns the accounts of a file that was written with the password right for the users. Few iterations make the
// tests fast.
func accounts(t testing.TB, users ...string) (_ *auth.Accounts, path string) {
	t.Helper()
	var list []auth.Account
	for i, user := range users {
		salt := []byte{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
		hash, err := pbkdf2.Key(sha256.New, right, salt, 10, sha256.Size)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, auth.Account{User: user, Role: auth.Administrator, Salt: salt, Iterations: 10, Hash: hash})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "accounts.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a := load(t, path)
	a.SetDerive(cheap)
	return a, path
}

// cheap is derived in few iterations.
func cheap(password string, salt []byte, iterations int) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, min(iterations, 10), sha256.Size)
}

func load(t testing.TB, path string) *auth.Accounts {
	t.Helper()
	a, err := auth.LoadAccounts(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func set(t testing.TB, a *auth.Accounts, user, password string, role auth.Role) {
	t.Helper()
	if err := a.Set(user, password, role); err != nil {
		t.Fatal(err)
	}
}

func checkAccepted(t testing.TB, a *auth.Accounts, user, password string, want auth.Identity) {
	t.Helper()
	if i, err := a.Authenticate(t.Context(), user, password); err != nil || i != want {
		t.Errorf("%q: %+v, %v; want %+v", user, i, err, want)
	}
}

func checkRefused(t testing.TB, a *auth.Accounts, user, password string) {
	t.Helper()
	if i, err := a.Authenticate(t.Context(), user, password); !errors.Is(err, auth.ErrCredentials) || i != (auth.Identity{}) {
		t.Errorf("%q with a wrong password: %+v, %v; want only %v", user, i, err, auth.ErrCredentials)
	}
}

func TestAuthenticate(t *testing.T) {
	a, _ := accounts(t, "Administrator", "bob")
	administrator := auth.Identity{User: "Administrator", Role: auth.Administrator}
	for range 2 { // the second time, a right password is known already
		for _, user := range []string{
			"Administrator", "administrator", "ADMINISTRATOR", `FARM\Administrator`, `farm.example\administrator`, `.\Administrator`, `\Administrator`,
		} {
			checkAccepted(t, a, user, right, administrator)
		}
		checkAccepted(t, a, "bob", right, auth.Identity{User: "bob", Role: auth.Administrator})
		for _, password := range []string{wrong, "", right + " ", strings.ToUpper(right), strings.Repeat("x", 1024), strings.Repeat("x", 1025)} {
			checkRefused(t, a, "Administrator", password)
			checkRefused(t, a, `FARM\bob`, password)
		}
	}
	for _, user := range []string{"", `Administrator\`, `FARM\Domain\Administrator`, "Administrator@farm.example"} {
		checkRefused(t, a, user, right)
	}
}

func TestSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.json")
	a := load(t, path)
	if !a.Empty() {
		t.Error("there are accounts before the first")
	}
	longest := strings.Repeat("é", 512)
	set(t, a, "Administrator", right, auth.Administrator)
	set(t, a, "bob", longest, auth.Auditor)
	if a.Empty() {
		t.Error("there are no accounts after two were made")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(right)) || bytes.Contains(text, []byte("éé")) {
		t.Error("the file holds a password")
	}
	var list []auth.Account
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || bytes.Equal(list[0].Salt, list[1].Salt) {
		t.Errorf("two accounts share their salt: %+v", list)
	}
	for _, account := range list {
		if account.Iterations < 600_000 || len(account.Salt) < 16 || len(account.Hash) != sha256.Size {
			t.Errorf("%s: %d iterations, %d bytes of salt, %d of hash", account.User, account.Iterations, len(account.Salt), len(account.Hash))
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	checkAccepted(t, a, "administrator", right, auth.Identity{User: "Administrator", Role: auth.Administrator})
	again := load(t, path)
	checkAccepted(t, again, "BOB", longest, auth.Identity{User: "bob", Role: auth.Auditor})
	checkRefused(t, again, "bob", right)
}

// TestGenerate makes passwords that are strong enough for a quick hash, and replaces them.
func TestGenerate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.json")
	a := load(t, path)
	a.SetDerive(cheap)
	seen := map[string]bool{}
	var previous string
	for range 3 {
		password, err := a.Generate("Administrator", auth.Administrator)
		if err != nil {
			t.Fatal(err)
		}
		// 26 characters of 32 letters and digits are 130 bits.
		if len(password) < 26 || strings.Trim(password, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || seen[password] {
			t.Errorf("%d characters, made before: %v", len(password), seen[password])
		}
		seen[password] = true
		if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte(password)) {
			t.Errorf("the file holds the password (%v)", err)
		}
		reloaded := load(t, path)
		reloaded.SetDerive(cheap)
		for _, a := range []*auth.Accounts{a, reloaded} {
			checkAccepted(t, a, "administrator", password, auth.Identity{User: "Administrator", Role: auth.Administrator})
			checkRefused(t, a, "Administrator", strings.ToLower(password))
			checkRefused(t, a, "Administrator", previous)
		}
		previous = password
	}
	if _, err := a.Generate(`FARM\ada`, auth.Administrator); err == nil {
		t.Error("a name with a backslash was accepted")
	}
}

func TestSetRefuses(t *testing.T) {
	a, path := accounts(t, "Administrator")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ user, password, words string }{
		{"", right, "user name"},
		{"a:b", right, "colon"},
		{"a\nb", right, "user name"},
		{"a\rb", right, "user name"},
		{`FARM\ada`, right, "backslash"},
		{"ada", "", "8 to 1024"},
		{"ada", "1234567", "8 to 1024"},
		{"ada", strings.Repeat("x", 1025), "8 to 1024"},
	} {
		err := a.Set(test.user, test.password, auth.Administrator)
		if err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%q with %d characters: %v; want an error that says %q", test.user, len(test.password), err, test.words)
		}
		if err != nil && test.password != "" && strings.Contains(err.Error(), test.password) {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed (%v)", err)
	}
	checkAccepted(t, a, "Administrator", right, auth.Identity{User: "Administrator", Role: auth.Administrator})
}

// TestSetThatCannotBeStored keeps what holds.
func TestSetThatCannotBeStored(t *testing.T) {
	a, path := accounts(t, "Administrator")
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := a.Set("Administrator", wrong, auth.Auditor); err == nil {
		t.Error("Set succeeded without a directory")
	}
	checkRefused(t, a, "Administrator", wrong)
	checkAccepted(t, a, "Administrator", right, auth.Identity{User: "Administrator", Role: auth.Administrator})
}

// TestChangeWhileProved changes a password that was right a moment ago. U+017F is an s to those who compare without case.
func TestChangeWhileProved(t *testing.T) {
	names := []string{"Administrator", "admini\u017ftrator"}
	a, path := accounts(t, "Administrator")
	for _, name := range names {
		checkAccepted(t, a, name, right, auth.Identity{User: "Administrator", Role: auth.Administrator})
	}
	set(t, a, "ADMINISTRATOR", wrong, auth.Auditor)
	for _, name := range names {
		checkRefused(t, a, name, right)
	}
	checkAccepted(t, a, "Administrator", wrong, auth.Identity{User: "ADMINISTRATOR", Role: auth.Auditor})
	reloaded := load(t, path)
	reloaded.SetDerive(cheap)
	checkAccepted(t, reloaded, "Administrator", wrong, auth.Identity{User: "ADMINISTRATOR", Role: auth.Auditor})
}

func TestLoadAccountsRefuses(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "Administrator:secret", "empty": "", "no list": `{"user":"a"}`} {
		path := filepath.Join(t.TempDir(), "accounts.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.LoadAccounts(path); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v; want an error that names the file and not its content", name, err)
		}
	}
	if _, err := auth.LoadAccounts(t.TempDir()); err == nil {
		t.Error("a directory was read as accounts")
	}
}

// TestHashingIsBounded lets many passwords wait while all slots are taken. A password that was right before needs none.
func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := accounts(t, "Administrator", "bob")
		checkAccepted(t, a, "Administrator", right, auth.Identity{User: "Administrator", Role: auth.Administrator})
		slots := a.Slots()
		if cap(slots) > 8 {
			t.Errorf("%d passwords are hashed at once", cap(slots))
		}
		for range cap(slots) {
			slots <- struct{}{}
		}
		const callers = 3
		answers := make(chan error, 3*callers)
		for range callers {
			for user, password := range map[string]string{"Administrator": wrong, "nobody": right, "bob": right} {
				go func() {
					_, err := a.Authenticate(t.Context(), user, password)
					answers <- err
				}()
			}
		}
		synctest.Wait()
		if n := len(answers); n > 0 {
			t.Errorf("%d passwords were hashed beyond the bound", n)
		}
		checkAccepted(t, a, "administrator", right, auth.Identity{User: "Administrator", Role: auth.Administrator})
		checkRefused(t, a, "administrator", strings.Repeat("x", 1025))
		for range cap(slots) {
			<-slots
		}
		accepted := 0
		for range cap(answers) {
			if err := <-answers; err == nil {
				accepted++
			} else if !errors.Is(err, auth.ErrCredentials) {
				t.Error(err)
			}
		}
		if accepted != callers {
			t.Errorf("%d were accepted; want %d", accepted, callers)
		}
		if len(slots) != 0 {
			t.Errorf("%d slots were not given back", len(slots))
		}
	})
}

// TestWaitEnds: who gives up waiting for a slot gets his answer at once.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := accounts(t, "Administrator")
		slots := a.Slots()
		for range cap(slots) {
			slots <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		answers := make(chan error)
		for _, user := range []string{"Administrator", "nobody"} {
			go func() {
				i, err := a.Authenticate(ctx, user, right)
				if i != (auth.Identity{}) {
					t.Errorf("%s is %+v", user, i)
				}
				answers <- err
			}()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-answers; !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up got %v", err)
			}
		}
		for range cap(slots) {
			<-slots
		}
		if len(slots) != 0 {
			t.Errorf("%d slots are taken by those who gave up", len(slots))
		}
		checkAccepted(t, a, "Administrator", right, auth.Identity{User: "Administrator", Role: auth.Administrator})
	})
}

// TestRefusalsCostTheSame: the time that a refusal takes does not tell whether there is such an account, nor how its password was
// made.
func TestRefusalsCostTheSame(t *testing.T) {
	a := load(t, filepath.Join(t.TempDir(), "accounts.json"))
	cost := 0
	a.SetDerive(func(password string, salt []byte, iterations int) ([]byte, error) {
		cost += iterations
		return cheap(password, salt, iterations)
	})
	set(t, a, "chosen", right, auth.Administrator)
	generated, err := a.Generate("generated", auth.Administrator)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"chosen", "generated", "nobody", ""} {
		for _, password := range []string{wrong, ""} {
			cost = 0
			checkRefused(t, a, user, password)
			if cost != 600_000 {
				t.Errorf("%q is refused after %d iterations", user, cost)
			}
		}
	}
	cost = 0
	checkAccepted(t, a, "generated", generated, auth.Identity{User: "generated", Role: auth.Administrator})
	if cost != 1 {
		t.Errorf("a generated password that is right takes %d iterations", cost)
	}
}

// TestChangeWhileHashing changes the password of one who waits for a slot.
func TestChangeWhileHashing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := accounts(t, "Administrator")
		slots := a.Slots()
		for range cap(slots) {
			slots <- struct{}{}
		}
		answer := make(chan error, 1)
		go func() {
			_, err := a.Authenticate(t.Context(), "Administrator", right)
			answer <- err
		}()
		synctest.Wait()
		set(t, a, "Administrator", wrong, auth.Administrator)
		for range cap(slots) {
			<-slots
		}
		if err := <-answer; !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("the old password: %v; want %v", err, auth.ErrCredentials)
		}
		checkRefused(t, a, "Administrator", right)
	})
}

// TestConcurrentUse is for the race detector: right and wrong passwords while one is changed back and forth.
func TestConcurrentUse(t *testing.T) {
	a, _ := accounts(t, "Administrator", "bob")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				checkAccepted(t, a, "bob", right, auth.Identity{User: "bob", Role: auth.Administrator})
				checkRefused(t, a, "bob", wrong)
				if a.Empty() {
					t.Error("no accounts")
				}
			}
		})
	}
	set(t, a, "Administrator", wrong, auth.Auditor)
	wg.Wait()
	checkAccepted(t, a, "Administrator", wrong, auth.Identity{User: "Administrator", Role: auth.Auditor})
}
