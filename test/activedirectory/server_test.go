//go:build linux

package activedirectory_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
	"calkeeper/test/machine"
)

// What a method can return.
const (
	done             = 0
	notFound         = 0x80041002
	accessDenied     = 0x80041003
	invalidParameter = 0x80041008
	notAvailable     = 0x80041009
)

const (
	adminPassword = "correct horse battery" // of the license server
	wrongPassword = "wrong horse 3"
)

const serverClass = "Win32_TSLicenseServer"

// licenseServer is a license server of the domain.
type licenseServer struct {
	t        *testing.T
	dir      string
	password string // file with the password of its service account
	process  *machine.Daemon
	client   *client.Client
	url      string // of WS-Management over HTTP
	secure   string // over HTTPS, empty if there is none
}

// newLicenseServer runs a license server whose service account is user. settings are lines of its configuration beside those of the
// directory that every test needs, or instead of them.
func (d *domain) newLicenseServer(t *testing.T, name, user, password string, settings ...string) *licenseServer {
	t.Helper()
	l := &licenseServer{t: t, dir: t.TempDir()}
	l.password = filepath.Join(l.dir, "directory-password")
	l.setPassword(password)
	lines := []string{`name = "` + name + `.example.com"`, `listen-http = "127.0.0.1:0"`, `dir = "ls"`, `ready-file = "ready.json"`,
		`directory-password-file = "directory-password"`, `directory-user = '` + user + `'`}
	for key, value := range map[string]string{"listen-https": "", "directory-url": "ldaps://" + domainHost, "directory-ca-file": d.ca} {
		if !strings.Contains(strings.Join(settings, "\n"), key+" = ") {
			lines = append(lines, key+` = "`+value+`"`)
		}
	}
	config := filepath.Join(l.dir, "calkeeper.toml")
	if err := os.WriteFile(config, []byte(strings.Join(append(lines, settings...), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.process = machine.Start(t, []string{"CALKEEPER_ADMIN_PASSWORD=" + adminPassword}, "calkeeper", "serve", "--config", config)
	ready := filepath.Join(l.dir, "ready.json")
	machine.Await(t, "the license server is ready", func() bool {
		_, err := os.Stat(ready)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if l.process.Ended() {
			t.Fatal("the license server has ended")
		}
		return err == nil
	})
	text, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	var addresses struct{ WSMan, WSMans string }
	if err := json.Unmarshal(text, &addresses); err != nil {
		t.Fatal(err)
	}
	l.url, l.secure = addresses.WSMan, addresses.WSMans
	if l.client, err = client.New(client.Options{URL: addresses.WSMan, User: "Administrator", Password: adminPassword}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.client.Close)
	return l
}

func (l *licenseServer) setPassword(password string) {
	l.t.Helper()
	if err := os.WriteFile(l.password, []byte(password+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// call calls a method over WS-Management, and fails the test unless it returns that. It can be called by many at once.
func (l *licenseServer) call(want uint32, method string, args ...client.Value) client.Instance {
	l.t.Helper()
	out, err := l.client.Invoke(l.t.Context(), serverClass, method, nil, args)
	if err != nil {
		l.t.Errorf("%s: %v", method, err)
		return client.Instance{}
	}
	if out.ReturnValue != want {
		l.t.Errorf("%s returned 0x%08X, want 0x%08X", method, out.ReturnValue, want)
	}
	return out.Values
}

// is asks a question that can be answered.
func (l *licenseServer) is(method, out string, args ...client.Value) bool {
	l.t.Helper()
	is, ok := l.call(done, method, args...).Bool(out)
	if !ok {
		l.t.Errorf("%s does not say %s", method, out)
	}
	return is
}

func inDomain(name string) client.Value { return client.Text("Domain", name) }

// state is what the license server says of itself in the directory.
func (l *licenseServer) state() state {
	l.t.Helper()
	return state{l.is("IsLSinTSLSGroup", "IsMember", inDomain("")), l.is("IsLSPublished", "Published"), l.is("IsLSRegisteredToSCP", "Registered")}
}

// The methods that need the directory: questions, and what changes it there and back.
var (
	questions = []string{"IsLSinTSLSGroup", "IsLSonDC", "IsLSPublished", "IsLSRegisteredToSCP"}
	there     = []string{"AddLStoTSLSGroup", "PublishLS", "RegisterLSToSCP"}
	back      = []string{"RemoveLSfromTSLSGroup", "UnpublishLS", "UnRegisterLSFromSCP"}
)

// callAll calls all of them, which are to return want. Questions have no answer then.
func (l *licenseServer) callAll(want uint32) {
	l.t.Helper()
	for _, method := range slices.Concat(questions, there, back) {
		var args []client.Value
		if method == "IsLSinTSLSGroup" {
			args = []client.Value{inDomain("")}
		}
		for _, v := range l.call(want, method, args...).Values {
			if !v.IsNull() {
				l.t.Errorf("%s says %s", method, v.Name)
			}
		}
	}
	l.call(want, "ChangeRole", client.Uint32("ServerRole", 1))
}

// logged waits until the log has each of the words, and fails the test if it has a password.
func (l *licenseServer) logged(words ...string) {
	l.t.Helper()
	for _, word := range words {
		machine.Await(l.t, "the log says "+word, func() bool { return strings.Contains(l.process.Output(), word) })
	}
	for _, secret := range []string{
		domainPassword, servicePassword, wrongPassword, adminPassword, userPassword, principalPassword, rotatedPassword,
	} {
		if strings.Contains(l.process.Output(), secret) {
			l.t.Errorf("the log has the password %s", secret)
		}
	}
}
