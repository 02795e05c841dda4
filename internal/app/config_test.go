package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"calkeeper/internal/app"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// full sets every key.
const full = `
dir = "/srv/ls"
name = "ls1.example.org"
alias = ["ls1", "192.0.2.1"]
listen-http = ""
listen-https = "192.0.2.1:5986"
certificate = "/etc/tls.crt"
certificate-key = "/etc/tls.key"
allow-unencrypted = true
authority = "/etc/authority.json"
enrolment-key = "KEYKEYKEY"
enrolment-key-file = "/etc/enrolment"
embedded-clearinghouse = false
clearinghouse-listen = "127.0.0.1:1"
prevent-license-upgrade = true
security-group = false
over-use = "deny"
over-use-limit = 110
api-rate = 50
account-key-file = "/etc/accounts.key"
role-group = ["S-1-5-21-1004336348-1177238915-682003330-1105=Operator", "S-1-5-32-544=Auditor"]
kerberos-keytab = "/etc/calkeeper.keytab"
kerberos-allow-rc4 = true
channel-bindings = "strict"
directory-url = "ldaps://dc1.example.org"
directory-user = "calkeeper-ls1@example.org"
directory-password-file = "/etc/directory-password"
directory-ca-file = "/etc/directory-ca.pem"
directory-computer = "LS1"
directory-site = "Paris"
ready-file = "/run/ready.json"
log-level = "debug"
log-format = "json"
`

func TestEverySettingIsKeyFlagAndVariableOfOneName(t *testing.T) {
	s, err := app.ParseSettings([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	var check func(v reflect.Value)
	check = func(v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Anonymous {
				check(v.Field(i))
				continue
			}
			key := field.Tag.Get("toml")
			variable := "CALKEEPER_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
			if field.Tag.Get("name") != key || field.Tag.Get("env") != variable {
				t.Errorf("%s: key %q, flag %q, variable %q", field.Name, key, field.Tag.Get("name"), field.Tag.Get("env"))
			}
			if v.Field(i).IsNil() {
				t.Errorf("%s was not read from the file", key)
			}
		}
	}
	check(reflect.ValueOf(s))
}

// flags parses a command line as cmd/calkeeper does.
func flags(t *testing.T, arguments ...string) app.Settings {
	t.Helper()
	var command struct {
		app.Settings
		Logs app.LogSettings `embed:""`
	}
	parser, err := kong.New(&command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	command.LogSettings = command.Logs
	return command.Settings
}

func TestFlagOverEnvironmentOverFileOverDefault(t *testing.T) {
	file := "name = \"file\"\nlisten-https = \"file:1\"\nalias = [\"file\"]\nallow-unencrypted = true\nlog-level = \"error\"\n"
	type values struct {
		name, listenHTTPS, aliases string
		unencrypted                bool
		level                      slog.Level
	}
	for _, test := range []struct {
		layers    string
		file      string
		variables map[string]string
		flags     []string
		want      values
	}{
		{"defaults", "", nil, nil, values{"host", ":5986", "", false, slog.LevelInfo}},
		{"file", file, nil, nil, values{"file", "file:1", "file", true, slog.LevelError}},
		{"environment", file, map[string]string{
			"CALKEEPER_NAME": "env", "CALKEEPER_LISTEN_HTTPS": "", "CALKEEPER_ALIAS": "env1,env2", "CALKEEPER_ALLOW_UNENCRYPTED": "false", "CALKEEPER_LOG_LEVEL": "warn",
		}, nil, values{"env", "", "env1 env2", false, slog.LevelWarn}},
		{"flags", file, map[string]string{"CALKEEPER_NAME": "env", "CALKEEPER_ALIAS": "env", "CALKEEPER_LOG_LEVEL": "warn"},
			[]string{"--name=flag", "--listen-https=flag:1", "--alias=flag1", "--alias=flag2", "--allow-unencrypted=false", "--log-level=debug"},
			values{"flag", "flag:1", "flag1 flag2", false, slog.LevelDebug}},
	} {
		t.Run(test.layers, func(t *testing.T) {
			for name, value := range test.variables {
				t.Setenv(name, value)
			}
			fromFile, err := app.ParseSettings([]byte(test.file))
			if err != nil {
				t.Fatal(err)
			}
			c, err := app.Resolve(flags(t, test.flags...), fromFile, app.DefaultSettings("host"))
			if err != nil {
				t.Fatal(err)
			}
			got := values{c.Name, c.ListenHTTPS, strings.Join(c.Aliases, " "), c.AllowUnencrypted, c.Log.Level}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if c.Dir != "/var/lib/calkeeper" || c.ListenHTTP != "127.0.0.1:5985" {
				t.Errorf("what no layer sets is not the default: %+v", c)
			}
		})
	}
}

func TestParseSettingsSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"name = \"a\"\n# listen = \n\nlisten = \":1\"\n", `line 4: there is no setting "listen"`},
		{"name = \"a\"\n[server]\nname = \"b\"\n", `line 2: there is no setting "server"`},
		{"name = \"a\"\nlisten-https = 5986\n", `line 2 (last key "listen-https")`},
		{"alias = \"a\"\n", `line 1 (last key "alias")`},
		{"allow-unencrypted = \"yes\"\n", `line 1 (last key "allow-unencrypted")`},
		{"name = \"a\"\nenrolment-key = SECRETSECRET\n", `line 2: what follows "enrolment-key"`},
		{"name = \"a\"\nname = \"b\"\n", "line 2"},
		{"just text", "line 1"},
		{"\"\" = 1\n", "line 1"},
		{strings.Repeat("#", 1<<20+1), "at most 1048576 bytes"},
	} {
		_, err := app.ParseSettings([]byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: error %v, want one with %q", test.text, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("the error shows a value: %v", err)
		}
	}
}

func TestResolveRefusesWhatCannotWork(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`name = "not a name"`, "host name"},
		{`alias = ["a", ""]`, "empty"},
		{`dir = ""`, "dir is empty"},
		{"listen-http = \"\"\nlisten-https = \"\"", "both empty"},
		{`certificate = "a.crt"`, "go together"},
		{`certificate-key = "a.key"`, "go together"},
		{"embedded-clearinghouse = true\nauthority = \"a.json\"", "one clearinghouse"},
		{"embedded-clearinghouse = true\nenrolment-key = \"SECRET\"", "makes its own"},
		{"enrolment-key = \"SECRET\"\nenrolment-key-file = \"a\"", "exclude each other"},
		{`enrolment-key-file = "/nonexistent/key"`, "enrolment-key-file"},
		{`over-use = "forbid"`, "allow and deny"},
		{`over-use-limit = 110`, "goes with over-use deny"},
		{"over-use = \"deny\"\nover-use-limit = 99", "100 to 100000"},
		{`api-rate = 0`, "api-rate is 0"},
		{`directory-url = "http://dc1.example.org"`, "directory-url begins with http"},
		{`directory-url = "ldaps://dc1.example.org"`, "directory-user and directory-password-file"},
		{"directory-url = \"ldaps://dc1.example.org\"\ndirectory-user = \"a\"", "directory-password-file"},
		{"directory-url = \"ldaps://dc1.example.org\"\ndirectory-user = \"a\"\ndirectory-password-file = \"/nonexistent/key\"", "/nonexistent/key"},
		{`directory-user = "a"`, "directory-url"},
		{`directory-password-file = "a"`, "directory-url"},
		{`directory-ca-file = "a"`, "directory-url"},
		{`directory-computer = "a"`, "directory-url"},
		{`directory-site = "a"`, "directory-url"},
		{`channel-bindings = "none"`, "strict, relaxed and off"},
		{`kerberos-allow-rc4 = true`, "kerberos-keytab"},
		{`role-group = ["S-1-5-21-1-2-3-1105"]`, "are roles"},
		{`role-group = ["S-1-5-21-1-2-3-1105=administrator"]`, "are roles"},
		{`role-group = ["Domain Users=Auditor"]`, "SID=ROLE"},
		{`role-group = ["S-1-5-21-1-2-03-1105=Auditor"]`, "SID=ROLE"},
		{`role-group = ["S-1-5-32-544=Auditor", "S-1-5-32-544=Operator"]`, "has a role already"},
		{`log-level = "loud"`, "debug, info, warn and error"},
		{`log-format = "xml"`, "text and json"},
	} {
		s, err := app.ParseSettings([]byte(test.text))
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		_, err = app.Resolve(s, app.DefaultSettings("host"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want one with %q", test.text, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("the error shows a value: %v", err)
		}
	}
}

func TestPoliciesOfIssuing(t *testing.T) {
	for _, test := range []struct {
		text string
		want issuance.Policies
	}{
		{"", issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.AllowOverUse}}},
		{"prevent-license-upgrade = true\nsecurity-group = true", issuance.Policies{PreventUpgrade: true, OverUse: licensing.OverUse{Policy: licensing.AllowOverUse}}},
		{`over-use = "deny"`, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 100}}},
		{"security-group = false\nover-use = \"deny\"\nover-use-limit = 110", issuance.Policies{
			AnyHost: true, OverUse: licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 110},
		}},
	} {
		s, err := app.ParseSettings([]byte(test.text))
		if err != nil {
			t.Fatal(err)
		}
		c, err := app.Resolve(s, app.DefaultSettings("host"))
		if err != nil || c.Policies != test.want {
			t.Errorf("%q: %+v, %v; want %+v", test.text, c.Policies, err, test.want)
		}
	}
}

func TestEnrolmentKeyAndItsFileAreOneSetting(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("FROMFILE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "calkeeper.toml")
	if err := os.WriteFile(config, []byte(`enrolment-key-file = "key"`), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := app.LoadSettings(config) // the path is relative to the configuration's directory
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		flags []string
		want  string
	}{{nil, "FROMFILE"}, {[]string{"--enrolment-key=FROMFLAG"}, "FROMFLAG"}} {
		c, err := app.Resolve(flags(t, test.flags...), file, app.DefaultSettings("host"))
		if err != nil || c.EnrolmentKey != test.want {
			t.Errorf("%v: key %q, error %v; want %q", test.flags, c.EnrolmentKey, err, test.want)
		}
	}
}

func TestDirectoryIsNoneUnlessGiven(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "calkeeper.toml")
	write(t, filepath.Join(dir, "password"), "SECRET\n")
	for _, test := range []struct {
		text string
		want bool
	}{
		{"", false},
		{`directory-url = ""`, false},
		{"directory-url = \"ldaps://dc1.example.org\"\ndirectory-user = \"a\"\ndirectory-password-file = \"password\"", true}, // relative to the configuration
	} {
		write(t, config, test.text)
		file, err := app.LoadSettings(config)
		if err != nil {
			t.Fatal(err)
		}
		c, err := app.Resolve(file, app.DefaultSettings("ls1"))
		if err != nil || (c.Directory != nil) != test.want {
			t.Errorf("%q: %v, %v; want one: %v", test.text, c.Directory, err, test.want)
		}
	}
	write(t, config, "name = \"192.0.2.1\"\ndirectory-url = \"ldaps://dc1.example.org\"\ndirectory-user = \"a\"\ndirectory-password-file = \"password\"")
	file, err := app.LoadSettings(config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.Resolve(file, app.DefaultSettings("ls1"))
	checkError(t, err, nil, "directory-computer is missing")
}

func TestLoadSettingsNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calkeeper.toml")
	if _, err := app.LoadSettings(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("nam = \"a\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := app.LoadSettings(path); err == nil || !strings.Contains(err.Error(), path+`: line 1: there is no setting "nam"`) {
		t.Errorf("an unknown key: %v", err)
	}
}

func FuzzLoadConfig(f *testing.F) {
	for _, seed := range []string{"", full, "x = 1", "[a.b]\nc = []", "name = \"\\u0000\"", "alias = [[1]]", "\"\" = 1\n\n", "name = {a = 1}", "over-use = \"deny\"\nover-use-limit = 4294967295", "over-use-limit = -1", "\xff\xfe"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := app.ParseSettings(text)
		if err != nil {
			if !reflect.DeepEqual(s, app.Settings{}) {
				t.Errorf("there are settings beside the error %v: %+v", err, s)
			}
			return
		}
		s.EnrolmentKeyFile, s.DirectoryPasswordFile, s.DirectoryCAFile = nil, nil, nil // no file of this machine is to be read
		c, err := app.Resolve(s, app.DefaultSettings("host"))
		if err == nil && (c.Dir == "" || c.Name == "" || c.ListenHTTP+c.ListenHTTPS == "") {
			t.Errorf("the configuration cannot work: %+v", c)
		}
	})
}

// TestWarnings: what is allowed, and may not be meant.
func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"":                                             "",
		`listen-http = ":5985"`:                        "passed on into TLS",
		`listen-http = "192.0.2.1:5985"`:               "passed on into TLS",
		`listen-http = "localhost:5985"`:               "",
		`listen-http = "[::1]:5985"`:                   "",
		`listen-http = ""`:                             "",
		`allow-unencrypted = true`:                     "in clear",
		`security-group = false`:                       "security group is off",
		"listen-http = \":5985\"\nlisten-https = \"\"": "",
		"listen-http = \":5985\"\nchannel-bindings = \"strict\"": "",
		"listen-http = \":5985\"\nchannel-bindings = \"off\"":    "passed on into TLS",
	} {
		s, err := app.ParseSettings([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		c, err := app.Resolve(s, app.DefaultSettings("ls1.example.com"))
		if err != nil {
			t.Fatal(err)
		}
		list := c.Warnings()
		if (len(list) > 0) != (want != "") || len(list) > 1 || want != "" && (!strings.Contains(list[0].What, want) || list[0].Next == "") {
			t.Errorf("%q: %q; want %q", text, list, want)
		}
	}
}
