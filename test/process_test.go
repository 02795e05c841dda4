package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"calkeeper/internal/wsman/client"
)

var binaries string // a directory for what the tests build

func TestMain(m *testing.M) {
	code := func() int {
		var err error
		if binaries, err = os.MkdirTemp("", "calkeeper-test-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaries)
		return m.Run()
	}()
	os.Exit(code)
}

// The program as it is shipped, and one that can be told to die at a named step of a transfer.
var (
	shipped = sync.OnceValues(func() (string, error) { return build("calkeeper") })
	mortal  = sync.OnceValues(func() (string, error) { return build("calkeeper-crashtest", "-tags", "crashtest") })
)

func build(name string, flags ...string) (string, error) {
	path := filepath.Join(binaries, name)
	args := append([]string{"build", "-race=false", "-o", path}, flags...)
	if out, err := exec.Command("go", append(args, "calkeeper/cmd/calkeeper")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

func program(t *testing.T, of func() (string, error)) string {
	t.Helper()
	path, err := of()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// deadline is how long anything may take that a test waits for.
const deadline = 30 * time.Second

// await polls until ok says that something has happened.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in %v it did not happen that %s", deadline, what)
		}
	}
}

// process is a calkeeper that serves. It can be stopped, killed and started again.
type process struct {
	path  string
	name  string
	args  []string
	env   []string
	ready string // file that it writes when it is ready
	log   bytes.Buffer
	cmd   *exec.Cmd
	ended chan struct{}
}

// start runs the process until it is ready. It dies at the step crashAt, if that is not empty.
func (p *process) start(t *testing.T, crashAt string) {
	t.Helper()
	if err := os.Remove(p.ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	p.cmd = exec.Command(p.path, append(p.args, "--ready-file", p.ready)...)
	p.cmd.Env = append(os.Environ(), p.env...)
	if crashAt != "" {
		p.cmd.Env = append(p.cmd.Env, "CALKEEPER_CRASH_AT="+crashAt)
	}
	p.log.Reset()
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	p.ended = ended
	go func(cmd *exec.Cmd) {
		cmd.Wait() // its error is in ProcessState
		close(ended)
	}(p.cmd)
	t.Cleanup(func() { // nothing outlives its test, whatever happened
		p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s:\n%s", p.name, &p.log)
		}
	})
	await(t, p.name+" is ready", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("%s has ended: %v\n%s", p.name, p.cmd.ProcessState, &p.log)
		default:
		}
		_, err := os.Stat(p.ready)
		return err == nil
	})
}

// address reads one entry of the ready file.
func (p *process) address(t *testing.T, key string) string {
	t.Helper()
	text, err := os.ReadFile(p.ready)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]string
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all[key]
}

// kill ends the process as a power cut would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
}

// stop ends the process as a supervisor does, and fails the test unless it ends well.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, p.name+" stops", p.hasEnded)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s ended with %v\n%s", p.name, p.cmd.ProcessState, &p.log)
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// awaitCrash waits until the process has died at its step: nobody else sends it SIGKILL.
func (p *process) awaitCrash(t *testing.T) {
	t.Helper()
	await(t, p.name+" dies", p.hasEnded)
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended with %v, want it to die at the step\n%s", p.name, p.cmd.ProcessState, &p.log)
	}
}

// freePort returns a loopback port that is free and stays so: outgoing connections take theirs from 32768 on.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// cluster is a clearinghouse and two license servers, each a process of its own that keeps its address and its files.
type cluster struct {
	path                          string
	dir                           string
	clearinghouse, source, target *process
	sourceID, targetID            string
	secrets                       []string // that no log must hold
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{path: program(t, mortal), dir: t.TempDir(), secrets: []string{password}}
	house := filepath.Join(c.dir, "clearinghouse")
	c.clearinghouse = &process{
		path: c.path, name: "clearinghouse", ready: filepath.Join(c.dir, "clearinghouse.ready"),
		args: []string{"clearinghouse", "serve", "--dir", house, "--listen", freePort(t)},
	}
	c.clearinghouse.start(t, "")
	var organization struct{ EnrolmentKey string }
	c.ask(t, &organization, "organization", "add", "Example Farm")
	c.secrets = append(c.secrets, organization.EnrolmentKey)
	license := func(name string) *process {
		p := &process{
			path: c.path, name: name, ready: filepath.Join(c.dir, name+".ready"),
			args: []string{"serve", "--dir", filepath.Join(c.dir, name), "--name", name + ".farm.example", "--listen-http", freePort(t),
				"--listen-https", "", "--authority", filepath.Join(house, "authority.json")},
			env: []string{"CALKEEPER_ADMIN_PASSWORD=" + password, "CALKEEPER_ENROLMENT_KEY=" + organization.EnrolmentKey},
		}
		p.start(t, "")
		return p
	}
	c.source, c.target = license("source"), license("target")
	c.sourceID, c.targetID = c.activate(t, c.source), c.activate(t, c.target)
	return c
}

func (c *cluster) activate(t *testing.T, p *process) string {
	t.Helper()
	_, err := p.client(t).Put(t.Context(), serverClass, nil, []client.Value{
		client.Text("FirstName", "Ada"), client.Text("LastName", "Lovelace"), client.Text("Company", "Example"), client.Text("CountryRegion", "GB"),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.want(t, done, serverClass, "ActivateServerAutomatic", nil)
	return p.want(t, done, serverClass, "GetLicenseServerId", nil).Values.Text("sLicenseServerId")
}

// checkLog fails the test if a process, which has ended, has logged a secret.
func (c *cluster) checkLog(t *testing.T, p *process) {
	t.Helper()
	for _, secret := range c.secrets {
		if bytes.Contains(p.log.Bytes(), []byte(secret)) {
			t.Errorf("the log of %s holds a secret that begins with %s", p.name, secret[:5])
		}
	}
}

// client returns a client without connections: those to an earlier life of the process are dead.
func (p *process) client(t *testing.T) *client.Client {
	t.Helper()
	return newClient(t, p.address(t, "wsman"), "Administrator", password)
}

func (p *process) want(t *testing.T, returnValue uint32, class, method string, keys []client.Value, args ...client.Value) client.Output {
	t.Helper()
	out, err := p.client(t).Invoke(t.Context(), class, method, keys, args)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	checkOutput(t, method, out, returnValue)
	return out
}

// pack is what a test looks at of a key pack.
type pack struct{ version, productType, total string }

// packs returns the installed key packs by their ID.
func (p *process) packs(t *testing.T) map[string]pack {
	t.Helper()
	packs := map[string]pack{}
	for k, err := range p.client(t).Enumerate(t.Context(), keyPackClass, "SELECT * FROM Win32_TSLicenseKeyPack WHERE KeyPackId <> 2") {
		if err != nil {
			t.Fatal(err)
		}
		packs[k.Text("KeyPackId")] = pack{k.Text("ProductVersionID"), k.Text("ProductType"), k.Text("TotalLicenses")}
	}
	return packs
}

// run runs one command line and returns its output and exit code.
func (c *cluster) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(c.path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		t.Logf("calkeeper %v: %v\n%s", args, err, &errs)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// ask runs a command of the clearinghouse's operator and reads its JSON.
func (c *cluster) ask(t *testing.T, answer any, args ...string) {
	t.Helper()
	out, code := c.run(t, append(append([]string{"clearinghouse"}, args...), "--dir", filepath.Join(c.dir, "clearinghouse"), "--output", "json")...)
	if code != 0 {
		t.Fatalf("calkeeper clearinghouse %v: exit code %d\n%s", args, code, out)
	}
	if err := json.Unmarshal([]byte(out), answer); err != nil {
		t.Fatalf("calkeeper clearinghouse %v: %v\n%s", args, err, out)
	}
}
