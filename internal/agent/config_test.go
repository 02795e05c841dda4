package agent_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/agent"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

const (
	serverKey = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	minimal   = "url = \"https://ls1.example.com:5986/v1\"\ntoken = \"ckh_x\"\n"
)

func TestParseConfig(t *testing.T) {
	c, err := agent.ParseConfig([]byte(minimal))
	if err != nil || c.URL != "https://ls1.example.com:5986/v1" || c.Token != "ckh_x" || c.Timeout != 1500*time.Millisecond ||
		c.StateDir != "/var/lib/calkeeper-agent" || c.Offline != 0 || c.NamedDevice || !slices.Equal(c.ExemptUsers, agent.DefaultExemptUsers()) {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = agent.ParseConfig([]byte(minimal + `offline = "allow"
		offline-hours = 720
		server-key = "` + serverKey + `"
		timeout = "1.8s"
		state-dir = "/srv/agent"
		device = "name"
		exempt-users = []
		ca-file = "/etc/ca.pem"
		message = "Call 4711."`))
	if err != nil || c.Offline != 720*time.Hour || c.Timeout != 1800*time.Millisecond || c.StateDir != "/srv/agent" || !c.NamedDevice ||
		len(c.ExemptUsers) != 0 || c.CAFile != "/etc/ca.pem" || c.Message != "Call 4711." || len(c.ServerKey) != 32 {
		t.Errorf("%+v, %v", c, err)
	}
	for text, part := range map[string]string{
		minimal + "ofline = \"deny\"":                         `there is no setting "ofline"`,
		minimal + "[server]\nurl = \"x\"":                     `there is no setting "server`,
		minimal + "token = \"ckh_y\"":                         "line 3: a setting is there twice",
		minimal + "timeout = 1500":                            "timeout",
		minimal + "timeout = \"2s\"":                          "from 50ms to 1.8s",
		minimal + "timeout = \"0s\"":                          "from 50ms to 1.8s",
		minimal + "offline = \"maybe\"":                       `"deny" and "allow" are right`,
		minimal + "offline = \"allow\"":                       "from 1 to 720",
		minimal + "offline-hours = 3":                         `needs offline = "allow"`,
		minimal + "offline = \"allow\"\noffline-hours = 721":  "from 1 to 720",
		minimal + "offline = \"allow\"\noffline-hours = -1":   "from 1 to 720",
		minimal + "offline = \"allow\"\noffline-hours = 4":    "needs server-key",
		minimal + "server-key = \"AAAA\"":                     "base64 of 32 bytes",
		minimal + "server-key = \"%\"":                        "base64 of 32 bytes",
		minimal + "device = \"mac\"":                          `"address" and "name" are right`,
		minimal + "exempt-users = [\"a\\nb\"]":                "exempt-users",
		minimal + "exempt-users = \"root\"":                   "exempt-users",
		minimal + "message = \"a\\nb\"":                       "one line",
		minimal + "message = \"" + strings.Repeat("x", 300):   "line 3",
		minimal + "certificate = \"a.pem\"":                   "go together",
		minimal + "token-file = \"token\"":                    "exclude each other",
		"token = \"x\"":                                       "url is missing",
		"url = \"https://ls1/v1\"":                            "must know who asks",
		"url = \"ls1:5986\"\ntoken = \"x\"":                   "https://ls1.example.com:5986/v1",
		"url = \"ftp://ls1/v1\"\ntoken = \"x\"":               "https://ls1.example.com:5986/v1",
		"url = \"https://a:b@ls1/v1\"\ntoken = \"x\"":         "https://ls1.example.com:5986/v1",
		"url = \"https://ls1/wsman\"\ntoken = \"x\"":          `has the path "/wsman"`,
		"url = \"http://ls1/v1\"\ntoken = \"x\"":              "allow-unencrypted",
		"url = \"https://ls1/v1\"\ntoken = \"a b\"":           "a character that no token has",
		"url = \"https://ls1/v1\"\ntoken = ckh_secretsecret1": "what follows \"token\" is not a value",
		"url":  "not TOML",
		"\xff": "not TOML",
	} {
		if _, err := agent.ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v; want an error with %q", text, err, part)
		} else if strings.Contains(err.Error(), "ckh_") {
			t.Errorf("%q: the error repeats the token: %v", text, err)
		}
	}
	for _, good := range []string{
		"url = \"http://127.0.0.1:5985/v1/\"\ntoken = \"x\"", "url = \"http://[::1]:5985/v1\"\ntoken = \"x\"", "url = \"http://localhost:5985/v1\"\ntoken = \"x\"",
		"url = \"http://ls1:5985/v1\"\ntoken = \"x\"\nallow-unencrypted = true",
		"url = \"https://ls1/v1\"\ncertificate = \"a\"\ncertificate-key = \"b\"",
	} {
		if _, err := agent.ParseConfig([]byte(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// TestLoadConfig takes secrets only from files that nobody else can read.
func TestLoadConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wantError := func(path, part string) {
		t.Helper()
		if _, err := agent.LoadConfig(path); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v; want an error with %q", err, part)
		}
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o602} {
		wantError(write("agent.toml", minimal, mode), "others may read")
	}
	path := write("agent.toml", minimal, 0o400)
	if _, err := agent.LoadConfig(path); err != nil {
		t.Error(err)
	}
	os.Remove(path)
	path = write("agent.toml", "url = \"https://ls1/v1\"\ntoken-file = \"token\"\nstate-dir = \"state\"", 0o644)
	wantError(path, "token-file")
	write("token", "ckh_abc\n", 0o644)
	wantError(path, "others may read")
	write("token", "  \n", 0o600)
	wantError(path, "there is no token in it")
	write("token", "ckh_a\nckh_b\n", 0o600)
	wantError(path, "a character that no token has")
	write("token", "ckh_abc\n", 0o600)
	if c, err := agent.LoadConfig(path); err != nil || c.Token != "ckh_abc" || c.StateDir != filepath.Join(dir, "state") {
		t.Errorf("%+v, %v", c, err)
	}
	path = write("agent.toml", "url = \"https://ls1/v1\"\ncertificate = \"a.pem\"\ncertificate-key = \"a.key\"", 0o644)
	write("a.key", "x", 0o640)
	wantError(path, "certificate-key")
	wantError(write("agent.toml", strings.Repeat("#", 1<<17), 0o600), "more than 65536 bytes")
	wantError(filepath.Join(dir, "none"), "the agent's configuration")
}

func FuzzConfig(f *testing.F) {
	f.Add(minimal)
	f.Add(minimal + "offline = \"allow\"\noffline-hours = 4\nserver-key = \"" + serverKey + "\"\nexempt-users = [\"a\"]\ntimeout = \"1s\"")
	f.Add("[url]\nurl = 1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := agent.ParseConfig([]byte(text))
		if err != nil {
			return
		}
		if c.Timeout <= 0 || c.Timeout > 1800*time.Millisecond || c.Offline < 0 || c.Offline > 720*time.Hour || c.Offline > 0 && c.ServerKey == nil || c.StateDir == "" {
			t.Fatalf("%q is taken for %+v", text, c)
		}
		if c.CAFile != "" || c.Certificate != "" {
			return // files that are not there
		}
		// Where this agrees, the client must.
		if _, err := client.New(client.Options{URL: c.URL, Token: c.Token, AllowUnencrypted: c.AllowUnencrypted}); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// TestTLS trusts the certificates of ca-file alone, and shows this host's.
func TestTLS(t *testing.T) {
	seen := make(chan int, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- len(r.TLS.PeerCertificates)
		reply(w, http.StatusOK, wire.Answer{Outcome: "issued", License: wire.License{Type: "per-user"}})
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)

	h := newHost(t, 1, "")
	h.server.url = server.URL + "/v1"
	h.configure("")
	h.want(agent.ExitUnreachable, []string{"cannot be reached"}, daemonPID, account("ada", "192.0.2.7")...)
	own := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(h.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.configure("ca-file = \"ca.pem\"")
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	if n := <-seen; n != 0 {
		t.Errorf("%d certificates were shown", n)
	}
	h.configure("ca-file = \"ca.pem\"\ncertificate = \"ca.pem\"\ncertificate-key = \"key.pem\"")
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	if n := <-seen; n != 1 {
		t.Errorf("%d certificates were shown", n)
	}
	h.configure("ca-file = \"key.pem\"")
	h.want(agent.ExitUsage, []string{"there is no certificate in"}, daemonPID, account("ada", "192.0.2.7")...)
}

// TestDocumentedConfig holds docs/session-hosts.md to the settings that there are, and to an example that is one.
func TestDocumentedConfig(t *testing.T) {
	text, err := os.ReadFile("../../docs/session-hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range agent.SettingNames() {
		if !strings.Contains(string(text), "| `"+name+"`") && !strings.Contains(string(text), ", `"+name+"` |") {
			t.Errorf("docs/session-hosts.md has no row for the setting %s", name)
		}
	}
	_, example, _ := strings.Cut(string(text), "```toml\n")
	example, _, ok := strings.Cut(example, "```")
	if c, err := agent.ParseConfig([]byte(example)); !ok || err != nil || c.Offline != 72*time.Hour {
		t.Errorf("the example is taken for %+v: %v", c, err)
	}
	for _, name := range agent.DefaultExemptUsers() {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/session-hosts.md does not say that %s needs no CAL", name)
		}
	}
}
