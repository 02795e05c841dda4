package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
	"calkeeper/internal/directory"
	"calkeeper/internal/discovery"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// maxConfig is the size of the largest configuration file that is read, in bytes.
const maxConfig = 1 << 20

// securityIdentifier is the text of a SID (MS-DTYP, section 2.4.2.1), as a PAC's are written.
var securityIdentifier = regexp.MustCompile(`^S-1-(0|[1-9][0-9]{0,14})(-(0|[1-9][0-9]{0,9})){1,15}$`)

// Settings are one layer of the configuration of a license server: the flags and the environment, the file, or the
// defaults. What is nil was not given. A field's name in the file is its flag without the dashes; the environment variable
// is the same in capitals, after CALKEEPER_. The command line reads the tags of kong.
type Settings struct {
	Dir                   *string  `toml:"dir" name:"dir" env:"CALKEEPER_DIR" placeholder:"DIR" help:"Where the license server keeps its database and keys. Default: /var/lib/calkeeper."`
	Name                  *string  `toml:"name" name:"name" env:"CALKEEPER_NAME" placeholder:"NAME" help:"Host name or FQDN under which it registers. Default: this machine's."`
	Aliases               []string `toml:"alias" name:"alias" env:"CALKEEPER_ALIAS" placeholder:"NAME" help:"Further name or address that others may know it by. Can be given again."`
	ListenHTTP            *string  `toml:"listen-http" name:"listen-http" env:"CALKEEPER_LISTEN_HTTP" placeholder:"HOST:PORT" help:"WS-Management and the REST API over HTTP; empty for none. Default: 127.0.0.1:5985."`
	ListenHTTPS           *string  `toml:"listen-https" name:"listen-https" env:"CALKEEPER_LISTEN_HTTPS" placeholder:"HOST:PORT" help:"Both over HTTPS; empty for none. Default: :5986."`
	Certificate           *string  `toml:"certificate" name:"certificate" env:"CALKEEPER_CERTIFICATE" placeholder:"FILE" help:"PEM file for HTTPS. Default: one that signs itself."`
	CertificateKey        *string  `toml:"certificate-key" name:"certificate-key" env:"CALKEEPER_CERTIFICATE_KEY" placeholder:"FILE" help:"PEM file of the certificate's private key."`
	AllowUnencrypted      *bool    `toml:"allow-unencrypted" name:"allow-unencrypted" env:"CALKEEPER_ALLOW_UNENCRYPTED" help:"Take passwords over HTTP also from other machines."`
	Authority             *string  `toml:"authority" name:"authority" env:"CALKEEPER_AUTHORITY" placeholder:"FILE" help:"The authority.json of the clearinghouse."`
	EnrolmentKey          *string  `toml:"enrolment-key" name:"enrolment-key" env:"CALKEEPER_ENROLMENT_KEY" placeholder:"KEY" help:"Enrolment key of the organization. A file or the environment is better: others see flags."`
	EnrolmentKeyFile      *string  `toml:"enrolment-key-file" name:"enrolment-key-file" env:"CALKEEPER_ENROLMENT_KEY_FILE" placeholder:"FILE" help:"File with the enrolment key."`
	EmbeddedClearinghouse *bool    `toml:"embedded-clearinghouse" name:"embedded-clearinghouse" env:"CALKEEPER_EMBEDDED_CLEARINGHOUSE" help:"Run a clearinghouse in this process, in DIR/clearinghouse."`
	ClearinghouseListen   *string  `toml:"clearinghouse-listen" name:"clearinghouse-listen" env:"CALKEEPER_CLEARINGHOUSE_LISTEN" placeholder:"HOST:PORT" help:"Where the embedded clearinghouse listens. Default: 127.0.0.1:8443."`
	PreventLicenseUpgrade *bool    `toml:"prevent-license-upgrade" name:"prevent-license-upgrade" env:"CALKEEPER_PREVENT_LICENSE_UPGRADE" help:"Keep newer CALs from older session hosts: they get temporary ones instead."`
	SecurityGroup         *bool    `toml:"security-group" name:"security-group" env:"CALKEEPER_SECURITY_GROUP" help:"Answer only session hosts that are registered with calkeeper host add. Default: true."`
	OverUse               *string  `toml:"over-use" name:"over-use" env:"CALKEEPER_OVER_USE" placeholder:"POLICY" help:"What happens when more per user CALs are asked for than there are, where a key pack says nothing else: allow or deny. Default: allow."`
	OverUseLimit          *uint32  `toml:"over-use-limit" name:"over-use-limit" env:"CALKEEPER_OVER_USE_LIMIT" placeholder:"PERCENT" help:"With over-use deny: up to how many percent of the CALs are issued. Default: 100, which allows none."`
	APIRate               *uint32  `toml:"api-rate" name:"api-rate" env:"CALKEEPER_API_RATE" placeholder:"N" help:"How many requests per second each session host or account may make of the REST API. Default: 200."`
	AccountKeyFile        *string  `toml:"account-key-file" name:"account-key-file" env:"CALKEEPER_ACCOUNT_KEY_FILE" placeholder:"FILE" help:"The key that encrypts the NT hashes of accounts that have opted in to NTLM; it is made when it is needed first. Default: accounts.key in the directory."`
	RoleGroups            []string `toml:"role-group" name:"role-group" env:"CALKEEPER_ROLE_GROUP" placeholder:"SID=ROLE" help:"Role of the members of a group of a Kerberos realm: Administrator, Operator or Auditor. Can be given again. Domain Admins and Enterprise Admins are Administrators."`
	KerberosKeytab        *string  `toml:"kerberos-keytab" name:"kerberos-keytab" env:"CALKEEPER_KERBEROS_KEYTAB" placeholder:"FILE" help:"Keytab with the license server's keys for HTTP/NAME, WSMAN/NAME or HOST/NAME; it is read again when it changes. Default: no Kerberos."`
	KerberosAllowRC4      *bool    `toml:"kerberos-allow-rc4" name:"kerberos-allow-rc4" env:"CALKEEPER_KERBEROS_ALLOW_RC4" help:"Take Kerberos tickets that are encrypted with RC4."`
	ChannelBindings       *string  `toml:"channel-bindings" name:"channel-bindings" env:"CALKEEPER_CHANNEL_BINDINGS" placeholder:"POLICY" help:"What NTLM and Kerberos over TLS must be bound to the TLS channel: strict, relaxed (if the client does it) or off. Default: relaxed."`
	DirectoryURL          *string  `toml:"directory-url" name:"directory-url" env:"CALKEEPER_DIRECTORY_URL" placeholder:"URL" help:"A domain controller of Active Directory: ldaps://HOST, or ldap://HOST, which starts TLS. Default: no directory."`
	DirectoryUser         *string  `toml:"directory-user" name:"directory-user" env:"CALKEEPER_DIRECTORY_USER" placeholder:"NAME" help:"The license server's service account in the directory: user@domain, DOMAIN\\user or a distinguished name."`
	DirectoryPasswordFile *string  `toml:"directory-password-file" name:"directory-password-file" env:"CALKEEPER_DIRECTORY_PASSWORD_FILE" placeholder:"FILE" help:"File whose first line is that account's password."`
	DirectoryCAFile       *string  `toml:"directory-ca-file" name:"directory-ca-file" env:"CALKEEPER_DIRECTORY_CA_FILE" placeholder:"FILE" help:"PEM file with the certificates that the domain controller's may come from. Default: those that the system trusts."`
	DirectoryComputer     *string  `toml:"directory-computer" name:"directory-computer" env:"CALKEEPER_DIRECTORY_COMPUTER" placeholder:"NAME" help:"Name of the license server's computer account. Default: the first part of its name."`
	DirectorySite         *string  `toml:"directory-site" name:"directory-site" env:"CALKEEPER_DIRECTORY_SITE" placeholder:"NAME" help:"The site in which it is published. Default: that of the domain controller."`
	ReadyFile             *string  `toml:"ready-file" name:"ready-file" env:"CALKEEPER_READY_FILE" placeholder:"FILE" help:"Write the addresses to this file, as JSON, when ready."`
	LogSettings           `kong:"-"`
}

// LogSettings are those of the log, which every command has.
type LogSettings struct {
	LogLevel  *string `toml:"log-level" name:"log-level" env:"CALKEEPER_LOG_LEVEL" placeholder:"LEVEL" help:"Log from debug, info, warn or error on. Default: info for servers, else warn."`
	LogFormat *string `toml:"log-format" name:"log-format" env:"CALKEEPER_LOG_FORMAT" placeholder:"FORMAT" help:"Log as text or json. Default: text."`
}

// Config is what the layers of Settings come to.
type Config struct {
	Dir                   string
	Name                  string
	Aliases               []string
	ListenHTTP            string
	ListenHTTPS           string
	Certificate           string
	CertificateKey        string
	AllowUnencrypted      bool
	Authority             string // file; empty: no clearinghouse, or the embedded one
	EnrolmentKey          string
	EmbeddedClearinghouse bool
	ClearinghouseListen   string
	Policies              issuance.Policies
	APIRate               uint32 // requests per second
	AccountKeyFile        string // empty: accounts.key in Dir
	RoleGroups            map[string]auth.Role
	Keytab                string // empty: no Kerberos
	AllowRC4              bool
	ChannelBindings       gss.BindingsPolicy
	Directory             discovery.Directory // nil: none
	ReadyFile             string
	Log                   LogConfig
}

// LogConfig says what is logged, and how.
type LogConfig struct {
	Level slog.Level
	JSON  bool
}

// DefaultSettings returns the lowest layer, for a machine with that host name.
func DefaultSettings(hostname string) Settings {
	return Settings{
		Dir: new("/var/lib/calkeeper"), Name: &hostname, ListenHTTP: new("127.0.0.1:5985"), ListenHTTPS: new(":5986"),
		ClearinghouseListen: new("127.0.0.1:8443"), SecurityGroup: new(true), OverUse: new(string(licensing.AllowOverUse)), APIRate: new(uint32(200)),
		ChannelBindings: new(string(gss.Relaxed)),
		LogSettings:     LogSettings{LogLevel: new("info"), LogFormat: new("text")},
	}
}

// LoadSettings reads a configuration file. Paths in it are relative to its directory. The error names file, line and key.
func LoadSettings(path string) (Settings, error) {
	f, err := os.Open(path)
	if err != nil {
		return Settings{}, fmt.Errorf("the configuration file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Settings{}, fmt.Errorf("the configuration file: %w", err)
	}
	s, err := ParseSettings(text)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range []*string{s.Dir, s.Certificate, s.CertificateKey, s.Authority, s.EnrolmentKeyFile, s.AccountKeyFile, s.KerberosKeytab, s.DirectoryPasswordFile, s.DirectoryCAFile, s.ReadyFile} {
		if p != nil && *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return s, nil
}

// ParseSettings reads the text of a configuration file, in TOML 1.0. A key that there is not is an error, as it would be a
// setting that silently does not hold. Errors name the line and never repeat a value.
func ParseSettings(text []byte) (Settings, error) {
	if len(text) > maxConfig {
		return Settings{}, fmt.Errorf("a configuration has at most %d bytes", maxConfig)
	}
	var s Settings
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(&s)
	if err != nil {
		return Settings{}, explainTOML(err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0]
		return Settings{}, fmt.Errorf("line %d: there is no setting %q; `calkeeper serve --help` lists them", lineOfKey(text, key), key.String())
	}
	return s, nil
}

// explainTOML says what is wrong without the excerpt of the file that the parser would show: it may hold the enrolment key.
func explainTOML(err error) error {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return errors.New(strings.TrimPrefix(err.Error(), "toml: ")) // a wrong type: it names line, key and types
	}
	if parse.LastKey != "" {
		return fmt.Errorf("line %d: what follows %q is not a value that it can have; text goes in quotes", parse.Position.Line, parse.LastKey)
	}
	return fmt.Errorf("line %d: this is not TOML; a setting looks like this: listen-https = \":5986\"", parse.Position.Line)
}

// lineOfKey returns the first line that sets a key, or opens the table, of that name; 1 if none does. The parser tells keys
// without their lines.
func lineOfKey(text []byte, key toml.Key) int {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		before, _, _ := strings.Cut(line, "=")
		if before = strings.TrimSpace(before); before != "" && !strings.HasPrefix(before, "#") && strings.Contains(before, key[len(key)-1]) {
			return n
		}
	}
	return 1
}

// Resolve returns what holds: for each setting, what the first layer says that says anything.
func Resolve(layers ...Settings) (Config, error) {
	s, err := merge(layers)
	if err != nil {
		return Config{}, err
	}
	c := Config{
		Dir: value(s.Dir), Name: value(s.Name), Aliases: s.Aliases, ListenHTTP: value(s.ListenHTTP), ListenHTTPS: value(s.ListenHTTPS),
		Certificate: value(s.Certificate), CertificateKey: value(s.CertificateKey),
		AllowUnencrypted: value(s.AllowUnencrypted), Authority: value(s.Authority), EnrolmentKey: value(s.EnrolmentKey),
		EmbeddedClearinghouse: value(s.EmbeddedClearinghouse), ClearinghouseListen: value(s.ClearinghouseListen),
		APIRate: value(s.APIRate), AccountKeyFile: value(s.AccountKeyFile), ReadyFile: value(s.ReadyFile),
		Keytab: value(s.KerberosKeytab), AllowRC4: value(s.KerberosAllowRC4), ChannelBindings: gss.BindingsPolicy(value(s.ChannelBindings)),
	}
	if c.Policies, err = s.policies(); err != nil {
		return c, err
	}
	if c.RoleGroups, err = s.roleGroups(); err != nil {
		return c, err
	}
	if c.Log, err = s.LogSettings.Resolve(slog.LevelInfo); err != nil {
		return c, err
	}
	if file := value(s.EnrolmentKeyFile); file != "" {
		key, err := os.ReadFile(file)
		if err != nil {
			return c, fmt.Errorf("enrolment-key-file: %w", err)
		}
		c.EnrolmentKey = strings.TrimSpace(string(key))
	}
	if err := c.check(); err != nil {
		return c, err
	}
	c.Directory, err = s.directory(c.Name)
	return c, err
}

// merge returns the settings of the first layer that has each. The enrolment key and its file are one setting.
func merge(layers []Settings) (Settings, error) {
	var merged Settings
	for _, layer := range layers {
		if value(layer.EnrolmentKey) != "" && value(layer.EnrolmentKeyFile) != "" {
			return merged, errors.New("enrolment-key and enrolment-key-file exclude each other: give one of them")
		}
		if merged.EnrolmentKey != nil || merged.EnrolmentKeyFile != nil {
			layer.EnrolmentKey, layer.EnrolmentKeyFile = nil, nil
		}
		fill(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(layer))
	}
	return merged, nil
}

func fill(to, from reflect.Value) {
	for i := range to.NumField() {
		switch f := to.Field(i); {
		case f.Kind() == reflect.Struct:
			fill(f, from.Field(i))
		case f.IsNil():
			f.Set(from.Field(i))
		}
	}
}

// value returns what a setting is, or the zero value if no layer says anything.
func value[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}

// policies returns the policies of issuing, which these settings spell out.
func (s *Settings) policies() (issuance.Policies, error) {
	p := issuance.Policies{
		PreventUpgrade: value(s.PreventLicenseUpgrade), AnyHost: s.SecurityGroup != nil && !*s.SecurityGroup,
		OverUse: licensing.OverUse{Policy: licensing.OverUsePolicy(value(s.OverUse)), DenyBeyond: value(s.OverUseLimit)},
	}
	switch p.OverUse.Policy {
	case licensing.AllowOverUse:
		if s.OverUseLimit != nil {
			return p, errors.New("over-use-limit goes with over-use deny: it says beyond how many percent of the CALs over-use is denied")
		}
	case licensing.DenyOverUse:
		if s.OverUseLimit == nil {
			p.OverUse.DenyBeyond = 100
		}
	default:
		return p, fmt.Errorf("over-use %q: allow and deny are right", p.OverUse.Policy)
	}
	if err := p.OverUse.Check(licensing.PerUser); err != nil {
		return p, fmt.Errorf("over-use-limit: %s", licensing.Message(err))
	}
	return p, nil
}

// roleGroups returns the roles of groups by SID.
func (s *Settings) roleGroups() (map[string]auth.Role, error) {
	groups := map[string]auth.Role{}
	for _, text := range s.RoleGroups {
		sid, role, _ := strings.Cut(text, "=")
		switch _, twice := groups[sid]; {
		case !securityIdentifier.MatchString(sid):
			return nil, fmt.Errorf("role-group %q: it has the form SID=ROLE, as in S-1-5-21-1004336348-1177238915-682003330-1105=Operator", text)
		case !auth.Role(role).Reads():
			return nil, fmt.Errorf("role-group %q: Administrator, Operator and Auditor are roles", text)
		case twice:
			return nil, fmt.Errorf("role-group %q: the group has a role already", text)
		}
		groups[sid] = auth.Role(role)
	}
	return groups, nil
}

// directory returns what a license server of that name is known in, nil if it is in none.
func (s *Settings) directory(name string) (discovery.Directory, error) {
	if value(s.DirectoryURL) != "" {
		d, err := directory.New(directory.Options{
			URL: *s.DirectoryURL, User: value(s.DirectoryUser), PasswordFile: value(s.DirectoryPasswordFile), CAFile: value(s.DirectoryCAFile),
			ServerName: name, Computer: value(s.DirectoryComputer), Site: value(s.DirectorySite),
		})
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	for _, p := range []*string{s.DirectoryUser, s.DirectoryPasswordFile, s.DirectoryCAFile, s.DirectoryComputer, s.DirectorySite} {
		if value(p) != "" {
			return nil, errors.New("the settings of the directory go with directory-url: give the domain controller, as ldaps://dc1.example.com")
		}
	}
	return nil, nil
}

// check finds what cannot work before anything is opened.
func (c *Config) check() error {
	for _, name := range append([]string{c.Name}, c.Aliases...) {
		if _, err := licensing.ParseServerName(name); err != nil {
			return fmt.Errorf("name or alias %q: %s", name, strings.Replace(licensing.Message(err), "source license server", "license server", 1))
		}
	}
	switch {
	case c.Dir == "":
		return errors.New("dir is empty: give the directory in which the license server keeps its database and keys")
	case c.ListenHTTP == "" && c.ListenHTTPS == "":
		return errors.New("listen-http and listen-https are both empty: nobody could reach this license server")
	case !slices.Contains([]gss.BindingsPolicy{gss.Strict, gss.Relaxed, gss.Off}, c.ChannelBindings):
		return fmt.Errorf("channel-bindings %q: strict, relaxed and off are right", c.ChannelBindings)
	case c.AllowRC4 && c.Keytab == "":
		return errors.New("kerberos-allow-rc4 goes with kerberos-keytab: without a keytab there is no Kerberos")
	case c.APIRate == 0:
		return errors.New("api-rate is 0: nobody could use the REST API; give the requests per second that each may make")
	case (c.Certificate == "") != (c.CertificateKey == ""):
		return errors.New("certificate and certificate-key go together: give both or none")
	case c.EmbeddedClearinghouse && c.Authority != "":
		return errors.New("embedded-clearinghouse and authority exclude each other: a license server has one clearinghouse")
	case c.EmbeddedClearinghouse && c.EnrolmentKey != "":
		return errors.New("embedded-clearinghouse needs no enrolment key: it makes its own")
	}
	return nil
}

// Warnings returns what is allowed and dangerous, each with what to do about it.
func (c *Config) Warnings() (list []Warning) {
	if c.AllowUnencrypted {
		list = append(list, Warning{"allow-unencrypted is on: passwords, tokens and messages may cross the network in clear", "use HTTPS, or clients that seal their messages"})
	}
	host, _, err := net.SplitHostPort(c.ListenHTTP)
	ip := net.ParseIP(host)
	if err == nil && (ip == nil || !ip.IsLoopback()) && host != "localhost" && c.ListenHTTPS != "" && c.ChannelBindings != gss.Strict {
		list = append(list, Warning{"a handshake over HTTP could be passed on into TLS by somebody in its way", "set channel-bindings to strict, or listen on HTTP for this machine only"})
	}
	if c.Policies.AnyHost {
		list = append(list, Warning{"the license server security group is off: every machine that reaches this one can take CALs", "register session hosts with calkeeper host add"})
	}
	return list
}

// Warning is something that an administrator may want otherwise.
type Warning struct{ What, Next string }

// Resolve returns what the settings come to, with that level if they have none.
func (s LogSettings) Resolve(level slog.Level) (LogConfig, error) {
	c := LogConfig{Level: level}
	if s.LogLevel != nil {
		if err := c.Level.UnmarshalText([]byte(*s.LogLevel)); err != nil {
			return c, fmt.Errorf("log-level %q: debug, info, warn and error are right", *s.LogLevel)
		}
	}
	switch format := value(s.LogFormat); format {
	case "", "text":
	case "json":
		c.JSON = true
	default:
		return c, fmt.Errorf("log-format %q: text and json are right", format)
	}
	return c, nil
}

// Logger returns a logger that writes to w.
func (c LogConfig) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
