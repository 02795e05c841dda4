//go:build linux

package activedirectory_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"calkeeper/internal/wsman/client"
)

// What a method can return.
const (
	done             = 0
	notFound         = 0x80041002
	accessDenied     = 0x80041003
	invalidParameter = 0x80041008
	notAvailable     = 0x80041009
)

// deadline is how long anything may take that a test waits for.
const deadline = time.Minute

// await polls until ok says that something has happened.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in %v it did not happen that %s", deadline, what)
		}
	}
}

// output collects what a program says, also while it is read.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// daemon is a program that runs until it is stopped, or the test ends.
type daemon struct {
	*exec.Cmd
	out   output
	ended chan struct{}
}

// start runs a daemon, with variables for its environment. What it said is shown if the test fails.
func start(t *testing.T, environ []string, name string, args ...string) *daemon {
	t.Helper()
	d := &daemon{Cmd: exec.Command(name, args...), ended: make(chan struct{})}
	d.Env, d.Dir = append(os.Environ(), environ...), "/"
	d.Stdout, d.Stderr = &d.out, &d.out
	d.WaitDelay = time.Second // its children may outlive it, and have its output
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.Wait() // its error is in ProcessState
		close(d.ended)
	}()
	t.Cleanup(func() {
		d.Process.Kill()
		<-d.ended
		if t.Failed() {
			t.Logf("%v: %v\n%s", d.Args, d.ProcessState, &d.out)
		}
	})
	return d
}

// stop ends a daemon as a supervisor does.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.ended:
	case <-time.After(deadline):
		t.Fatalf("%v does not end", d.Args)
	}
}

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
	process  *daemon
	client   *client.Client
}

// newLicenseServer runs a license server whose service account is user. settings are lines of its configuration beside those of the
// directory that every test needs, or instead of them.
func (d *domain) newLicenseServer(t *testing.T, name, user, password string, settings ...string) *licenseServer {
	t.Helper()
	l := &licenseServer{t: t, dir: t.TempDir()}
	l.password = filepath.Join(l.dir, "directory-password")
	l.setPassword(password)
	lines := []string{`name = "` + name + `.example.com"`, `listen-http = "127.0.0.1:0"`, `listen-https = ""`, `dir = "ls"`, `ready-file = "ready.json"`,
		`directory-password-file = "directory-password"`, `directory-user = '` + user + `'`}
	for key, value := range map[string]string{"directory-url": "ldaps://" + domainHost, "directory-ca-file": d.ca} {
		if !strings.Contains(strings.Join(settings, "\n"), key+" = ") {
			lines = append(lines, key+` = "`+value+`"`)
		}
	}
	config := filepath.Join(l.dir, "calkeeper.toml")
	if err := os.WriteFile(config, []byte(strings.Join(append(lines, settings...), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.process = start(t, []string{"CALKEEPER_ADMIN_PASSWORD=" + adminPassword}, "calkeeper", "serve", "--config", config)
	ready := filepath.Join(l.dir, "ready.json")
	await(t, "the license server is ready", func() bool {
		_, err := os.Stat(ready)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		select {
		case <-l.process.ended:
			t.Fatal("the license server has ended")
		default:
		}
		return err == nil
	})
	text, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	var addresses struct{ WSMan string }
	if err := json.Unmarshal(text, &addresses); err != nil {
		t.Fatal(err)
	}
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
		await(l.t, "the log says "+word, func() bool { return strings.Contains(l.process.out.String(), word) })
	}
	for _, secret := range []string{domainPassword, servicePassword, wrongPassword, adminPassword} {
		if strings.Contains(l.process.out.String(), secret) {
			l.t.Errorf("the log has the password %s", secret)
		}
	}
}
