package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// tokenVariable holds a session host's token. There is no flag for it: others on the machine see flags.
const tokenVariable = "CALKEEPER_TOKEN"

// hostConnection says which license server a session host calls, and how.
type hostConnection struct {
	HostURL          string        `name:"host-url" default:"http://127.0.0.1:5985/v1" env:"CALKEEPER_API" placeholder:"URL" group:"connection" help:"REST API of the license server. Default: ${default}."`
	TokenFile        string        `placeholder:"FILE" group:"connection" help:"Take the session host's token from the first line of this file, instead of CALKEEPER_TOKEN."`
	Certificate      string        `placeholder:"FILE" group:"connection" help:"PEM file with the client certificate of a session host that is known by it."`
	CertificateKey   string        `placeholder:"FILE" group:"connection" help:"PEM file of the client certificate's private key."`
	CAFile           string        `name:"ca-file" placeholder:"FILE" group:"connection" help:"PEM file with the certificates to trust, such as the license server's tls.crt."`
	Insecure         bool          `group:"connection" help:"Do not check the server's certificate: whoever answers gets the token."`
	AllowUnencrypted bool          `group:"connection" help:"Send the token over plain HTTP to another machine."`
	Timeout          time.Duration `default:"20s" group:"connection" help:"How long to wait for the answer. Default: ${default}."`
	unregistered
}

// unregistered is what a session host says of itself that is not registered.
type unregistered struct {
	Version *hostVersion `placeholder:"VERSION" group:"unregistered" help:"Instead of a token, where the license server's security group is off: ws2008, ws2012, ws2016, ws2019, ws2022 or ws2025."`
	Mode    *hostMode    `placeholder:"MODE" group:"unregistered" help:"With --version: per-device or per-user."`
}

// ask calls f with a client of the license server.
func (c *hostConnection) ask(f func(*client.Client) error) error {
	config, err := tlsConfig(c.CAFile, c.Insecure)
	if err != nil {
		return err
	}
	switch {
	case (c.Certificate == "") != (c.CertificateKey == ""):
		return usagef("--certificate and --certificate-key go together: give both or none")
	case (c.Version == nil) != (c.Mode == nil):
		return usagef("--version and --mode go together: both say what a session host is that is not registered")
	}
	options := client.Options{URL: withAPIPath(c.HostURL), TLS: config, Timeout: c.Timeout, AllowUnencrypted: c.AllowUnencrypted}
	switch {
	case c.Version != nil:
	case c.Certificate != "":
		certificate, err := tls.LoadX509KeyPair(c.Certificate, c.CertificateKey)
		if err != nil {
			return usageError{err}
		}
		config.Certificates = []tls.Certificate{certificate}
	default:
		if options.Token, err = c.token(); err != nil {
			return err
		}
	}
	return withAPI(options, "--host-url", f)
}

func (c *hostConnection) token() (string, error) {
	if c.TokenFile == "" {
		token := os.Getenv(tokenVariable)
		if token == "" {
			return "", usagef("there is no token: set %s, or give --token-file; `calkeeper host add` on the license server makes one", tokenVariable)
		}
		return token, nil
	}
	f, err := os.Open(c.TokenFile)
	if err != nil {
		return "", usageError{err}
	}
	defer f.Close()
	token, err := firstLine(f)
	if err == nil && token == "" {
		err = usagef("the first line of %s is empty: it must be the token", c.TokenFile)
	}
	return token, err
}

// holder says for whom, or about which session, a session host asks.
type holder struct {
	User       string `placeholder:"USER" help:"Who: ada, DOMAIN\\ada or ada@realm. A session host that counts by user needs it."`
	DeviceID   string `name:"device-id" placeholder:"ID" help:"What identifies the device, such as a hardware ID, or ip: and its address."`
	DeviceName string `placeholder:"NAME" help:"What the device calls itself."`
	Session    string `placeholder:"NAME" help:"What this session host calls the session, such as :10, if it is known."`
}

// request returns the request of that session host.
func (h *holder) request(c *hostConnection) wire.Request {
	r := wire.Request{User: h.User, Session: h.Session}
	if c.Version != nil {
		r.SessionHost = &wire.SessionHost{
			Version: licensing.ProductVersion(*c.Version).ShortName(), Mode: licensing.ProductType(*c.Mode).ModeName(),
		}
	}
	if h.DeviceID != "" || h.DeviceName != "" {
		r.Device = &wire.Device{ID: h.DeviceID, Name: h.DeviceName}
	}
	return r
}

func (h *holder) check() error {
	if h.User == "" && h.DeviceID == "" && h.DeviceName == "" {
		return usagef("nobody is named: give --user, or --device-id or --device-name")
	}
	if h.User != "" {
		if _, err := licensing.UserKey(h.User); err != nil {
			return usagef("--user: %s", licensing.Message(err))
		}
	}
	return nil
}

// idempotency makes a repetition of a request the same request.
type idempotency struct {
	IdempotencyKey string `placeholder:"KEY" help:"Asked again with the same key, the license server gives the same answer; the key is any text that no other request has."`
}

type acquireCmd struct {
	hostConnection
	holder
	idempotency
	Provisional bool `help:"The logon is not complete: what is issued lapses unless calkeeper validate follows."`
}

const hostExitCodes = `The exit code is 0 if there is a license, 7 if it was denied, 4 if the license server cannot be reached or does not answer in time, 5 if it does not know this session host, and else as calkeeper --help has it.`

// Help is shown by --help.
func (acquireCmd) Help() string {
	return hostExitCodes + `

Examples:
  calkeeper acquire --host-url https://ls.example.org:5986/v1 --token-file host.token --user ada --output json
  calkeeper acquire --device-id ip:192.0.2.7 --device-name DEV1 --provisional`
}

// Run asks.
func (c *acquireCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.ask(func(api *client.Client) error {
		r := c.request(&c.hostConnection)
		r.Provisional = c.Provisional
		a, err := api.Request(ctx, r, c.IdempotencyKey)
		if err != nil {
			return err
		}
		return showAnswer(t, a)
	})
}

type validateCmd struct {
	hostConnection
	holder
	idempotency
}

// Help is shown by --help.
func (validateCmd) Help() string {
	return `The user is authenticated, and the session has begun: what calkeeper acquire got becomes final. ` + hostExitCodes + `

Example:
  calkeeper validate --user ada --device-id ip:192.0.2.7 --session :10`
}

// Run validates.
func (c *validateCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.ask(func(api *client.Client) error {
		a, err := api.Validate(ctx, c.request(&c.hostConnection), c.IdempotencyKey)
		if err != nil {
			return err
		}
		return showAnswer(t, a)
	})
}

// showAnswer shows what a session host got.
func showAnswer(t *terminal, a wire.Answer) error {
	return t.print(a, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n", a.Outcome)
		showCAL(w, a.License)
		if a.Lease != nil {
			fmt.Fprintf(w, "lease:\t%d, expires %s\n", a.Lease.ID, at(a.Lease.Expires))
		}
		if a.OverUsed {
			fmt.Fprintln(w, "over-used:\tthere are more users than CALs")
		}
		if a.Warning != "" {
			fmt.Fprintf(w, "warning:\t%s\n", a.Warning)
		}
	})
}

type releaseCmd struct {
	hostConnection
	holder
}

// Help is shown by --help.
func (releaseCmd) Help() string {
	return `A session has ended, or a logon has failed: what is concurrent or not validated is free again. A CAL with a term stays until it expires.

Example:
  calkeeper release --session :10 --user ada`
}

// Run releases.
func (c *releaseCmd) Run(ctx context.Context, t *terminal) error {
	if c.Session == "" {
		if err := c.check(); err != nil {
			return err
		}
	}
	return c.ask(func(api *client.Client) error {
		ended, err := api.Release(ctx, c.request(&c.hostConnection))
		if err != nil {
			return err
		}
		return t.print(ended, func(w io.Writer) {
			fmt.Fprintf(w, "sessions ended:\t%d\nCALs free again:\t%d\n", ended.Leases, ended.Licenses)
		})
	})
}
