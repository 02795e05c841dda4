package agent

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"calkeeper/internal/licensing"
)

// DefaultConfigPath is where the configuration is expected.
const DefaultConfigPath = "/etc/calkeeper/agent.toml"

const (
	defaultTimeout   = 1500 * time.Millisecond
	longestTimeout   = 1800 * time.Millisecond // leaves the offline policy its time before the limit of a hook
	shortestTimeout  = 50 * time.Millisecond
	mostOfflineHours = 720
	maxConfig        = 64 << 10
	maxMessage       = 256
)

// Config is what an administrator decides on a session host.
type Config struct {
	URL            string // of the REST API, for example https://ls1.example.com:5986/v1
	Token          string // empty if there is a certificate
	CAFile         string // PEM; empty: those of the system
	Certificate    string // PEM, with CertificateKey; empty: none
	CertificateKey string
	// AllowUnencrypted sends the token over plain HTTP to another machine.
	AllowUnencrypted bool
	// ServerKey verifies receipts; nil: none are asked for.
	ServerKey ed25519.PublicKey
	// Offline is how long after the last receipt a logon is allowed without the license server; 0 for never.
	Offline time.Duration
	// Timeout is how long after its start a hook gives the license server up.
	Timeout     time.Duration
	StateDir    string
	NamedDevice bool // devices are told apart by the name that PAM gives, where it gives one
	ExemptUsers []string
	Message     string // for the user, after the reason of a refusal
}

// DefaultExemptUsers returns the users who need no CAL if the configuration does not say who: root, so that a machine can be
// repaired, and the users of the greeters of the usual display managers, who are nobody.
func DefaultExemptUsers() []string {
	return []string{"root", "gdm", "Debian-gdm", "gnome-initial-setup", "gnome-remote-desktop", "lightdm", "sddm"}
}

// file is the configuration as it is written.
type file struct {
	URL              string    `toml:"url"`
	Token            string    `toml:"token"`
	TokenFile        string    `toml:"token-file"`
	CAFile           string    `toml:"ca-file"`
	Certificate      string    `toml:"certificate"`
	CertificateKey   string    `toml:"certificate-key"`
	AllowUnencrypted bool      `toml:"allow-unencrypted"`
	ServerKey        string    `toml:"server-key"`
	Offline          string    `toml:"offline"`
	OfflineHours     int       `toml:"offline-hours"`
	Timeout          string    `toml:"timeout"`
	StateDir         string    `toml:"state-dir"`
	Device           string    `toml:"device"`
	ExemptUsers      *[]string `toml:"exempt-users"`
	Message          string    `toml:"message"`
}

// LoadConfig reads a configuration file in TOML 1.0, and the token file that it names. Paths in it are relative to its
// directory. A file that holds a secret must be readable by its owner only. Errors say what is wrong, and where, and never
// repeat a secret.
func LoadConfig(path string) (Config, error) {
	text, shared, err := readSecret(path, maxConfig)
	if err != nil {
		return Config{}, fmt.Errorf("the agent's configuration: %w", err)
	}
	f, err := parseFile(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if f.Token != "" && shared != nil {
		return Config{}, fmt.Errorf("%s: it holds the token: %w", path, shared)
	}
	for _, p := range []*string{&f.TokenFile, &f.CAFile, &f.Certificate, &f.CertificateKey, &f.StateDir} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	if f.TokenFile != "" && f.Token == "" {
		token, shared, err := readSecret(f.TokenFile, maxConfig)
		if err = errors.Join(err, shared); err != nil {
			return Config{}, fmt.Errorf("%s: token-file: %w", path, err)
		}
		f.Token, f.TokenFile = strings.TrimSpace(string(token)), ""
		if f.Token == "" {
			return Config{}, fmt.Errorf("%s: token-file: there is no token in it", path)
		}
	}
	if f.CertificateKey != "" {
		if _, shared, err := readSecret(f.CertificateKey, maxConfig); errors.Join(err, shared) != nil {
			return Config{}, fmt.Errorf("%s: certificate-key: %w", path, errors.Join(err, shared))
		}
	}
	c, err := f.resolve()
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// readSecret reads a file. It returns in shared why the file is no place for a secret, if it is none.
func readSecret(path string, most int64) (text []byte, shared, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		shared = fmt.Errorf("others may read %s (its mode is %#o): chmod 600 it", path, mode)
	}
	text, err = io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, shared, err
}

// ParseConfig reads the text of a configuration that names no token file. A key that there is not is an error, as it would
// be a setting that silently does not hold.
func ParseConfig(text []byte) (Config, error) {
	f, err := parseFile(text)
	if err != nil {
		return Config{}, err
	}
	return f.resolve()
}

func parseFile(text []byte) (f file, err error) {
	meta, err := toml.Decode(string(text), &f)
	if err != nil {
		return file{}, explain(err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return file{}, fmt.Errorf("there is no setting %q", unknown[0].String())
	}
	return f, nil
}

// explain says what is wrong without the excerpt of the file that the parser would show: it may hold the token.
func explain(err error) error {
	var parse toml.ParseError
	switch {
	case !errors.As(err, &parse):
		return errors.New(strings.TrimPrefix(err.Error(), "toml: ")) // a wrong type: it names line, key and types
	case strings.Contains(parse.Message, "already been defined"):
		return fmt.Errorf("line %d: a setting is there twice", parse.Position.Line)
	case parse.LastKey != "":
		return fmt.Errorf("line %d: what follows %q is not a value that it can have; text goes in quotes", parse.Position.Line, parse.LastKey)
	}
	return fmt.Errorf("line %d: this is not TOML; a setting looks like this: offline = \"deny\"", parse.Position.Line)
}

func (f *file) resolve() (c Config, err error) {
	c = Config{
		URL: strings.TrimSuffix(f.URL, "/"), Token: f.Token, CAFile: f.CAFile, Certificate: f.Certificate, CertificateKey: f.CertificateKey,
		AllowUnencrypted: f.AllowUnencrypted,
		Timeout:          defaultTimeout, StateDir: f.StateDir, ExemptUsers: DefaultExemptUsers(), Message: f.Message,
	}
	if err := f.checkServer(); err != nil {
		return Config{}, err
	}
	if c.ServerKey, err = parseServerKey(f.ServerKey); err != nil {
		return Config{}, err
	}
	if c.Offline, err = f.offline(); err != nil {
		return Config{}, err
	}
	if f.Timeout != "" {
		if c.Timeout, err = time.ParseDuration(f.Timeout); err != nil || c.Timeout < shortestTimeout || c.Timeout > longestTimeout {
			return Config{}, fmt.Errorf("timeout = %q: a time from %v to %v is right, such as %q", f.Timeout, shortestTimeout, longestTimeout, defaultTimeout)
		}
	}
	if c.StateDir == "" {
		c.StateDir = "/var/lib/calkeeper-agent"
	}
	switch f.Device {
	case "", "address":
	case "name":
		c.NamedDevice = true
	default:
		return Config{}, fmt.Errorf("device = %q: \"address\" and \"name\" are right", f.Device)
	}
	if f.ExemptUsers != nil {
		c.ExemptUsers = *f.ExemptUsers
	}
	for _, name := range c.ExemptUsers {
		if _, err := licensing.UserKey(name); err != nil {
			return Config{}, fmt.Errorf("exempt-users: %q: %s", name, licensing.Message(err))
		}
	}
	if utf8.RuneCountInString(f.Message) > maxMessage || strings.IndexFunc(f.Message, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		return Config{}, fmt.Errorf("message is to be one line of at most %d characters", maxMessage)
	}
	return c, nil
}

// checkServer checks where the license server is, and how this host proves who it is.
func (f *file) checkServer() error {
	if f.URL == "" {
		return errors.New("url is missing: give the license server's, such as url = \"https://ls1.example.com:5986/v1\"")
	}
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("url is not one of a license server, such as https://ls1.example.com:5986/v1")
	}
	if strings.TrimSuffix(u.Path, "/") != "/v1" {
		return fmt.Errorf("url has the path %q: the REST API has /v1, as in https://ls1.example.com:5986/v1", u.Path)
	}
	switch {
	case u.Scheme == "http" && !f.AllowUnencrypted && !loopback(u.Hostname()):
		return errors.New("url is http, and the token would travel where others can read it: use https, or set allow-unencrypted = true")
	case f.Token != "" && f.TokenFile != "":
		return errors.New("token and token-file exclude each other: give one of them")
	case (f.Certificate == "") != (f.CertificateKey == ""):
		return errors.New("certificate and certificate-key go together: give both or none")
	case f.Token == "" && f.TokenFile == "" && f.Certificate == "":
		return errors.New("neither token-file nor certificate is given: the license server must know who asks")
	case strings.IndexFunc(f.Token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0:
		return errors.New("the token has a character that no token has: copy it as `calkeeper host add` printed it")
	}
	return nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func parseServerKey(text string) (ed25519.PublicKey, error) {
	if text == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("server-key is to be the base64 of %d bytes: `receiptKey` of the license server's /v1/server", ed25519.PublicKeySize)
	}
	return key, nil
}

func (f *file) offline() (time.Duration, error) {
	switch f.Offline {
	case "", "deny":
		if f.OfflineHours != 0 {
			return 0, errors.New("offline-hours needs offline = \"allow\"")
		}
		return 0, nil
	case "allow":
		if f.OfflineHours <= 0 || f.OfflineHours > mostOfflineHours {
			return 0, fmt.Errorf("offline-hours = %d: offline = \"allow\" needs a number from 1 to %d", f.OfflineHours, mostOfflineHours)
		}
		if f.ServerKey == "" {
			return 0, errors.New("offline = \"allow\" needs server-key: only signed answers count while the license server cannot be reached")
		}
		return time.Duration(f.OfflineHours) * time.Hour, nil
	}
	return 0, fmt.Errorf("offline = %q: \"deny\" and \"allow\" are right", f.Offline)
}
