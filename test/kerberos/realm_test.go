//go:build linux

package kerberos_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calkeeper/test/machine"
)

// programs is where those of testdata are in isolation.
const programs = "/usr/local/bin"

// realm is EXAMPLE.COM with its KDC: see testdata/kdc.sh.
type realm struct {
	t   *testing.T
	dir string
}

// newRealm makes the realm, and runs the KDC until the test ends.
func newRealm(t *testing.T) *realm {
	t.Helper()
	r := &realm{t: t, dir: t.TempDir()}
	kdc := machine.Start(t, nil, "sh", programs+"/kdc.sh", r.dir)
	machine.Await(t, "the KDC answers", func() bool {
		if kdc.Ended() {
			log, _ := os.ReadFile(filepath.Join(r.dir, "create.log"))
			t.Fatalf("the KDC has ended\n%s", log)
		}
		c, err := net.Dial("tcp", "127.0.0.1:88")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return r
}

// in returns the realm for a subtest.
func (r *realm) in(t *testing.T) *realm {
	inner := *r
	inner.t = t
	return &inner
}

// keytab is that of the license server.
func (r *realm) keytab() string { return filepath.Join(r.dir, "ls1.keytab") }

// environ is the environment of a client that has the tickets of a cache.
func (r *realm) environ(cache string) []string {
	return append(os.Environ(), "KRB5_CONFIG="+filepath.Join(r.dir, "krb5.conf"), "KRB5CCNAME=FILE:"+cache)
}

// login gets a user a ticket-granting ticket with kinit, and returns the cache that it is in.
func (r *realm) login(user string, options ...string) (cache string) {
	r.t.Helper()
	password, err := os.ReadFile(filepath.Join(r.dir, "password"))
	if err != nil {
		r.t.Fatal(err)
	}
	cache = filepath.Join(r.t.TempDir(), "cache")
	cmd := exec.Command("kinit", append(options, user)...)
	cmd.Env, cmd.Stdin = r.environ(cache), strings.NewReader(string(password)+"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("kinit: %v\n%s", err, out)
	}
	return cache
}

// initiator is a client: see testdata/initiator.py.
type initiator struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

// initiatorOptions say what the client asks for.
type initiatorOptions struct {
	Service  string   `json:"service"`
	Flags    []string `json:"flags"`    // names of GSS-API's
	Bindings string   `json:"bindings"` // application data, if any
}

// initiator runs a client with the tickets of a cache.
func (r *realm) initiator(cache string, o initiatorOptions) *initiator {
	r.t.Helper()
	if o.Flags == nil {
		o.Flags = []string{"mutual_authentication", "out_of_sequence_detection", "replay_detection", "confidentiality", "integrity"}
	}
	cmd := exec.Command("/usr/bin/python3", programs+"/initiator.py")
	cmd.Env, cmd.Stderr = r.environ(cache), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	i := &initiator{t: r.t, in: in, out: bufio.NewScanner(out)}
	i.out.Buffer(nil, 8<<20)
	r.t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			r.t.Errorf("%v: make deps installs python3-gssapi", err)
		}
	})
	i.send(o)
	return i
}

func (i *initiator) send(line any) {
	i.t.Helper()
	text, err := json.Marshal(line)
	if err != nil {
		i.t.Fatal(err)
	}
	if _, err := i.in.Write(append(text, '\n')); err != nil {
		i.t.Fatal(err)
	}
}

// try has the client do an operation, and returns its results, or its error.
func (i *initiator) try(operation string, arguments ...[]byte) (results [][]byte, failure string) {
	i.t.Helper()
	line := []any{operation}
	for _, a := range arguments {
		line = append(line, append([]byte{}, a...)) // base64, and "" for nil
	}
	i.send(line)
	if !i.out.Scan() {
		i.t.Fatalf("the client has ended: %v", i.out.Err())
	}
	var answer struct {
		Result [][]byte
		Error  string
	}
	if err := json.Unmarshal(i.out.Bytes(), &answer); err != nil {
		i.t.Fatal(err)
	}
	return answer.Result, answer.Error
}

// do has the client do an operation.
func (i *initiator) do(operation string, arguments ...[]byte) [][]byte {
	i.t.Helper()
	results, failure := i.try(operation, arguments...)
	if failure != "" {
		i.t.Fatalf("%s: %s", operation, failure)
	}
	return results
}
