package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/licensing"
)

// stopTimeout is how long requests under way may take to end.
const stopTimeout = 15 * time.Second

const (
	administrator         = "Administrator"
	adminPasswordVariable = "CALKEEPER_ADMIN_PASSWORD"
	firstActor            = "calkeeper" // in the audit log, of the first account
)

type serveCmd struct {
	Config       string `env:"CALKEEPER_CONFIG" placeholder:"FILE" help:"Configuration, in TOML: the keys are the flags below without dashes. Flags, then the environment, override it."`
	app.Settings `embed:""`
}

// Help is shown by --help.
func (serveCmd) Help() string {
	return `The first start makes the account Administrator. Its password is taken from CALKEEPER_ADMIN_PASSWORD, or made and printed, this once.

Examples:
  calkeeper serve --dir ./ls --embedded-clearinghouse
  calkeeper serve --config /etc/calkeeper.toml --authority /etc/calkeeper/authority.json`
}

// ready is what supervisors and tests want to know of a running license server.
type ready struct {
	WSMan         string `json:"wsman"`
	WSMans        string `json:"wsmans"`
	API           string `json:"api"`
	APIs          string `json:"apis"`
	ProductID     string `json:"productId"`
	Clearinghouse string `json:"clearinghouse"`
	Fingerprint   string `json:"certificateFingerprint"` // SHA-256
}

// Run serves until the process is told to end.
func (c *serveCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) (err error) {
	config, err := c.resolve(logs)
	if err != nil {
		return usageError{err}
	}
	log := config.Log.Logger(t.err)
	options := app.LicenseServerOptions{
		Dir: config.Dir, Name: config.Name, Names: config.Aliases, ListenHTTP: config.ListenHTTP, ListenHTTPS: config.ListenHTTPS,
		Certificate: config.Certificate, CertificateKey: config.CertificateKey, AllowUnencrypted: config.AllowUnencrypted,
		EnrolmentKey: config.EnrolmentKey, Policies: config.Policies, AccountKeyFile: config.AccountKeyFile, RoleGroups: config.RoleGroups,
		Keytab: config.Keytab, AllowRC4: config.AllowRC4, ChannelBindings: config.ChannelBindings,
		Directory: config.Directory, APIRate: config.APIRate, Logger: log,
	}
	var house *app.Clearinghouse
	switch {
	case config.EmbeddedClearinghouse:
		dir := filepath.Join(config.Dir, app.EmbeddedDir)
		house, options.EnrolmentKey, err = app.StartEmbeddedClearinghouse(ctx, dir, config.ClearinghouseListen, config.Name, log)
		if err != nil {
			return fmt.Errorf("the embedded clearinghouse: %w", err)
		}
		defer func() { err = errors.Join(err, stopping(house.Stop)) }()
		options.Authority, options.Transport = &house.Authority, house.Transport()
	case config.Authority != "":
		if options.Authority, err = app.LoadAuthority(config.Authority); err != nil {
			return usageError{err}
		}
	default:
		log.Warn("no clearinghouse is configured: nothing can be activated or installed", "next", "give --authority or --embedded-clearinghouse")
	}
	for _, w := range config.Warnings() {
		log.Warn(w.What, "next", w.Next)
	}
	server, err := app.OpenLicenseServer(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopping(server.Stop)) }()
	// What is left of a process that was killed must not tell that this one is ready.
	if err := removeReady(config.ReadyFile); err != nil {
		return err
	}
	if err := givenAccount(ctx, server.Accounts); err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("%w\nIf the port is in use, choose others with --listen-http and --listen-https", err)
	}
	password, err := madeAccount(ctx, server.Accounts)
	if err != nil {
		return err
	}
	r := ready{
		WSMan: server.URL(), WSMans: server.SecureURL(), API: server.APIURL(), APIs: server.SecureAPIURL(),
		ProductID: server.ProductID, Fingerprint: server.CertificateFingerprint,
	}
	if options.Authority != nil {
		r.Clearinghouse = options.Authority.URL
	}
	if err := announce(t, r, password); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeReady(config.ReadyFile)) }()
	if err := writeReady(config.ReadyFile, r); err != nil {
		return err
	}
	log.Info("serving", "http", r.WSMan, "https", r.WSMans)
	<-ctx.Done()
	log.Info("stopping")
	return nil
}

func (c *serveCmd) resolve(logs app.LogSettings) (app.Config, error) {
	flags := c.Settings
	flags.LogSettings = logs
	hostname, err := os.Hostname()
	if err != nil {
		return app.Config{}, err
	}
	var file app.Settings
	if c.Config != "" {
		if file, err = app.LoadSettings(c.Config); err != nil {
			return app.Config{}, err
		}
	}
	return app.Resolve(flags, file, app.DefaultSettings(hostname))
}

// givenAccount makes the administrator's account with the password from the environment, if there is no account yet.
func givenAccount(ctx context.Context, service *accounts.Service) error {
	password := os.Getenv(adminPasswordVariable)
	if password == "" {
		return nil
	}
	if empty, err := service.Empty(ctx); err != nil || !empty {
		return err
	}
	err := service.Set(ctx, firstActor, accounts.Change{Name: administrator, Role: auth.Administrator, Password: password})
	if licensing.KindOf(err) == licensing.Invalid {
		return usagef("%s: %s", adminPasswordVariable, licensing.Message(err))
	}
	return err
}

// madeAccount makes the administrator's account with a password of its own, if there is no account yet, and returns the
// password. It is called when nothing can fail any more before the password is shown.
func madeAccount(ctx context.Context, service *accounts.Service) (string, error) {
	if empty, err := service.Empty(ctx); err != nil || !empty {
		return "", err
	}
	return service.Generate(ctx, firstActor, accounts.Change{Name: administrator, Role: auth.Administrator})
}

func announce(t *terminal, r ready, password string) error {
	first := struct {
		ready
		User     string `json:"user,omitempty"`
		Password string `json:"password,omitempty"`
	}{ready: r, Password: password}
	if password != "" {
		first.User = administrator
	}
	return t.print(first, func(w io.Writer) {
		row := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "%s:\t%s\n", name, value)
			}
		}
		row("WS-Management", r.WSMan)
		row("over TLS", r.WSMans)
		row("REST API", r.API)
		row("over TLS", r.APIs)
		row("certificate (SHA-256)", r.Fingerprint)
		row("product ID", grouped(r.ProductID))
		row("clearinghouse", r.Clearinghouse)
		if password != "" {
			row("account", administrator)
			row("password (shown this once)", password)
		}
	})
}

// writeReady writes the file as a whole: whoever waits for it finds it complete.
func writeReady(path string, v any) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// removeReady removes the file: what it says holds no longer.
func removeReady(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// stopping calls a function that ends serving, with a time limit of its own: the command's context has ended.
func stopping(stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return stop(ctx)
}
