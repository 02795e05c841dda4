// Package demo shows the main job in one process: a clearinghouse, a source and a target license server, the two import
// methods performed on the target by a WS-Management client over real sockets, and CALs that session hosts ask the target for.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/wsman/client"
)

// Options say how the demo runs.
type Options struct {
	Dir    string // an empty or new directory; empty: a temporary one, which is deleted at the end
	Listen string // host:port for WS-Management of the target; empty: a free port on loopback
	JSON   string // file to write when everything is ready; empty: none
	Exit   bool   // end when everything was shown, instead of staying up until ctx ends
	Out    io.Writer
	Logger *slog.Logger
}

const administrator = "Administrator"

// demo is a demo that runs.
type demo struct {
	Options
	clearinghouse  *app.Clearinghouse
	enrolmentKey   string
	source, target *member
	sessionHost    *sessionHost // the one that is left to try
}

// member is one of the two license servers.
type member struct {
	*app.LicenseServer
	name, password, dir string
	client              *client.Client
	licenseServerID     string
	others              []account // that can log on, besides the Administrator
}

// account is one that can log on with its password, and with NTLM.
type account struct {
	user, password string
	role           auth.Role
}

// Run runs the demo.
func Run(ctx context.Context, o Options) (err error) {
	d := &demo{Options: o}
	if d.Dir == "" {
		if d.Dir, err = os.MkdirTemp("", "calkeeper-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.Dir)) }()
	} else if entries, err := os.ReadDir(d.Dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("the directory %s is not empty: the demo wants a new one", d.Dir)
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx); err != nil {
		return err
	}
	stock, err := d.stock(ctx)
	if err != nil {
		return err
	}
	if err := d.show(ctx, stock); err != nil {
		return err
	}
	if err := d.leave(stock); err != nil {
		return err
	}
	if o.Exit {
		return nil
	}
	d.say("\nRunning until Ctrl-C.\n")
	<-ctx.Done()
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.Out, format, args...) }

func (d *demo) start(ctx context.Context) error {
	var err error
	d.clearinghouse, err = app.StartClearinghouse(ctx, app.ClearinghouseOptions{
		Dir: filepath.Join(d.Dir, "clearinghouse"), Listen: "127.0.0.1:0", Logger: d.Logger,
	})
	if err != nil {
		return err
	}
	organization, err := d.clearinghouse.Service.CreateOrganization(ctx, "Example Farm")
	if err != nil {
		return err
	}
	d.enrolmentKey = organization.EnrolmentKey
	d.say("1. A clearinghouse at %s, and two license servers of one organization:\n", d.clearinghouse.Authority.URL)
	if d.source, err = d.startMember(ctx, "source", "127.0.0.1:0"); err != nil {
		return err
	}
	listen := d.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	if d.target, err = d.startMember(ctx, "target", listen); err != nil {
		return err
	}
	return d.target.addOthers(ctx)
}

func (d *demo) startMember(ctx context.Context, role, listen string) (*member, error) {
	m := &member{name: role + ".farm.example", dir: filepath.Join(d.Dir, role)}
	var err error
	m.LicenseServer, err = app.OpenLicenseServer(ctx, app.LicenseServerOptions{
		Dir: m.dir, Name: m.name, Names: []string{"127.0.0.1"}, ListenHTTP: listen, ListenHTTPS: "127.0.0.1:0",
		Authority: &d.clearinghouse.Authority, EnrolmentKey: d.enrolmentKey, Logger: d.Logger.With("server", m.name),
	})
	if err != nil {
		return nil, err
	}
	if m.password, err = m.addAccount(ctx, administrator, auth.Administrator); err != nil {
		return m, err
	}
	if err := m.Start(); err != nil {
		return m, err
	}
	if m.client, err = client.New(client.Options{URL: m.URL(), User: administrator, Password: m.password}); err != nil {
		return m, err
	}
	if err := m.activate(ctx); err != nil {
		return m, err
	}
	d.say("   %s at %s, license server ID %s\n", m.name, m.URL(), m.licenseServerID)
	return m, nil
}

// addAccount adds an account that takes NTLM too, and returns its password.
func (m *member) addAccount(ctx context.Context, user string, role auth.Role) (password string, err error) {
	return m.Accounts.Generate(ctx, "demo", accounts.Change{Name: user, Role: role, NTLM: new(true)})
}

// addOthers adds an account for each of the lesser roles.
func (m *member) addOthers(ctx context.Context) error {
	for _, a := range []account{{user: "operator", role: auth.Operator}, {user: "auditor", role: auth.Auditor}} {
		var err error
		if a.password, err = m.addAccount(ctx, a.user, a.role); err != nil {
			return err
		}
		m.others = append(m.others, a)
	}
	return nil
}

// activate does what an administrator's script does: contact data, then activation, through WS-Management.
func (m *member) activate(ctx context.Context) error {
	_, err := m.client.Put(ctx, "Win32_TSLicenseServer", nil, []client.Value{
		client.Text("FirstName", "Ada"), client.Text("LastName", "Lovelace"),
		client.Text("Company", "Example Farm"), client.Text("CountryRegion", "United Kingdom"),
	})
	if err != nil {
		return err
	}
	if _, err := m.invoke(ctx, "Win32_TSLicenseServer", "ActivateServerAutomatic"); err != nil {
		return err
	}
	out, err := m.invoke(ctx, "Win32_TSLicenseServer", "GetLicenseServerId")
	m.licenseServerID = out.Values.Text("sLicenseServerId")
	return err
}

// invoke calls a static method; a ReturnValue other than 0 is an error.
func (m *member) invoke(ctx context.Context, class, method string, args ...client.Value) (client.Output, error) {
	out, err := m.client.Invoke(ctx, class, method, nil, args)
	if err == nil && out.ReturnValue != 0 {
		err = fmt.Errorf("%s.%s on %s returned 0x%08X", class, method, m.name, out.ReturnValue)
	}
	return out, err
}

// awaitReachable waits until the clearinghouse sees the source, so that it is the source that releases first.
func (d *demo) awaitReachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		servers, err := d.clearinghouse.Service.Servers(ctx, "")
		if err != nil {
			return err
		}
		for _, s := range servers {
			if s.LicenseServerID == d.source.licenseServerID && s.Reachable {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the source has no contact with the clearinghouse: %w", ctx.Err())
		}
	}
}

// writeJSON writes the file as a whole: whoever waits for it finds it complete.
func (d *demo) writeJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	part := d.JSON + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, d.JSON)
}

func (d *demo) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	for _, m := range []*member{d.target, d.source} {
		if m != nil {
			err = errors.Join(err, m.Stop(ctx))
		}
	}
	if d.clearinghouse != nil {
		err = errors.Join(err, d.clearinghouse.Stop(ctx))
	}
	return err
}

// purchase is a sale of which the source holds a part.
type purchase struct {
	clearinghouse.Sale
	held uint32
}
