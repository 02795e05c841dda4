package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"calkeeper/internal/agent"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

type hostCmd struct {
	Add    hostAddCmd    `cmd:"" help:"Register a session host, and show its token."`
	List   hostListCmd   `cmd:"" help:"List the session hosts."`
	Token  hostTokenCmd  `cmd:"" help:"Make a new token for a session host; its old one, or its certificate, counts no longer."`
	Remove hostRemoveCmd `cmd:"" help:"Remove a session host: its sessions end here, and it gets no CALs any more."`
}

// Help is shown by --help.
func (hostCmd) Help() string {
	return `Example:
  calkeeper host add rds1.example.org --version ws2022 --mode per-user`
}

type hostAddCmd struct {
	connection
	Name        string        `arg:"" help:"Host name, FQDN or address of the session host."`
	Version     hostVersion   `required:"" placeholder:"VERSION" help:"ws2008, ws2012, ws2016, ws2019, ws2022 or ws2025: its CALs are at least as new."`
	Mode        hostMode      `required:"" placeholder:"MODE" help:"What it counts by: per-device or per-user."`
	Concurrent  bool          `help:"A CAL is used as long as a session lives, not for a term."`
	LeaseTTL    time.Duration `name:"lease-ttl" placeholder:"TIME" help:"With --concurrent: when a session counts as dead that nobody renews. Default: 1h."`
	Certificate string        `placeholder:"FILE" help:"PEM file with the client certificate by which it is known, instead of a token."`
}

// Help is shown by --help.
func (hostAddCmd) Help() string {
	return `The token is shown this once: the license server keeps only its hash. With it comes what to write into the session host's agent.toml.

Examples:
  calkeeper host add rds1.example.org --version ws2022 --mode per-user
  calkeeper host add lab.example.org --version ws2025 --mode per-device --concurrent --lease-ttl 15m`
}

// addedHostJSON is what a session host needs to know.
type addedHostJSON struct {
	wire.AddedHost
	URL       string `json:"url"`
	ServerKey string `json:"serverKey"` // verifies receipts: Ed25519, base64
}

// Run registers.
func (c *hostAddCmd) Run(ctx context.Context, t *terminal) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	return c.ask(ctx, t, func(api *client.Client) error {
		// First what changes nothing: a token that was made is not to be lost.
		server, err := api.Server(ctx)
		if err != nil {
			return err
		}
		added, err := api.AddHost(ctx, request)
		if err != nil {
			return err
		}
		address, err := apiURL(c.Server)
		if err != nil {
			return err
		}
		v := addedHostJSON{added, address, server.ReceiptKey}
		return t.print(v, func(w io.Writer) { c.show(w, v) })
	})
}

func (c *hostAddCmd) request() (wire.NewHost, error) {
	h := wire.NewHost{
		Name: c.Name, ProductVersion: licensing.ProductVersion(c.Version).ShortName(), Mode: licensing.ProductType(c.Mode).ModeName(),
		Concurrent: c.Concurrent, LeaseTTLSeconds: uint32(c.LeaseTTL / time.Second),
	}
	switch {
	case c.LeaseTTL != 0 && !c.Concurrent:
		return h, usagef("--lease-ttl goes with --concurrent: without it no session is counted")
	case c.LeaseTTL != 0 && (c.LeaseTTL < licensing.ShortestLeaseTTL || c.LeaseTTL > licensing.LongestLeaseTTL):
		return h, usagef("--lease-ttl is %s; it must be %s to %s", c.LeaseTTL, licensing.ShortestLeaseTTL, licensing.LongestLeaseTTL)
	case c.Certificate == "":
		return h, nil
	}
	var err error
	h.Certificate, err = fingerprint(c.Certificate)
	return h, err
}

// fingerprint returns the SHA-256 of the first certificate in a PEM file, in hexadecimal digits.
func fingerprint(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", usageError{err}
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return "", usagef("%s holds no certificate in PEM", path)
		}
		if block.Type == "CERTIFICATE" {
			sum := sha256.Sum256(block.Bytes)
			return hex.EncodeToString(sum[:]), nil
		}
	}
}

// show shows the session host, and what to write into its agent.toml.
func (c *hostAddCmd) show(w io.Writer, v addedHostJSON) {
	h := v.Host
	fmt.Fprintf(w, "session host:\t%s, %s, %s\n", h.Name, h.ProductVersion, hostModeText(h))
	if v.Token != "" {
		fmt.Fprintf(w, "token (shown this once):\t%s\n", v.Token)
	} else {
		fmt.Fprintf(w, "certificate (SHA-256):\t%s\n", h.Certificate)
	}
	fmt.Fprintf(w, "\nInto %s on the session host:\n\n  url = %q", agent.DefaultConfigPath, v.URL)
	if u, err := url.Parse(v.URL); err == nil && client.Loopback(u.Hostname()) {
		fmt.Fprint(w, "  # on another machine: https, the license server's name and its port for HTTPS")
	}
	fmt.Fprintln(w)
	if c.CAFile != "" {
		fmt.Fprintf(w, "  ca-file = %q  # a copy of %s\n", "tls.crt", c.CAFile)
	}
	if v.Token != "" {
		fmt.Fprintf(w, "  token-file = %q  # with the token, for its owner root only: chmod 600\n", "token")
	} else {
		fmt.Fprintf(w, "  certificate = %q  # a copy of %s\n  certificate-key = %q\n", "host.crt", c.Certificate, "host.key")
	}
	fmt.Fprintf(w, "  server-key = %q\n", v.ServerKey)
}

func hostModeText(h wire.Host) string {
	if !h.Concurrent {
		return h.Mode
	}
	return fmt.Sprintf("%s, concurrent (%s)", h.Mode, time.Duration(h.LeaseTTLSeconds)*time.Second)
}

type hostListCmd struct{ connection }

// Help is shown by --help.
func (hostListCmd) Help() string {
	return `Example:
  calkeeper host list --server https://ls.example.org:5986/wsman`
}

// Run lists the session hosts.
func (c *hostListCmd) Run(ctx context.Context, t *terminal) error {
	return c.ask(ctx, t, func(api *client.Client) error {
		hosts, err := api.Hosts(ctx)
		if err != nil {
			return err
		}
		return t.print(append([]wire.Host{}, hosts...), func(w io.Writer) {
			fmt.Fprintln(w, "NAME\tVERSION\tMODE\tKNOWN BY\tADDED")
			for _, h := range hosts {
				by := "token"
				if h.Certificate != "" {
					by = "certificate " + h.Certificate
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.Name, h.ProductVersion, hostModeText(h), by, at(h.Added))
			}
		})
	})
}

type hostTokenCmd struct {
	connection
	Name string `arg:"" help:"Name of the session host."`
}

// Help is shown by --help.
func (hostTokenCmd) Help() string {
	return `Example:
  calkeeper host token rds1.example.org`
}

// Run makes a new token.
func (c *hostTokenCmd) Run(ctx context.Context, t *terminal) error {
	return c.ask(ctx, t, func(api *client.Client) error {
		token, err := api.NewToken(ctx, c.Name)
		if err != nil {
			return err
		}
		return t.print(wire.Token{Token: token}, func(w io.Writer) { fmt.Fprintf(w, "token (shown this once):\t%s\n", token) })
	})
}

type hostRemoveCmd struct {
	connection
	Name string `arg:"" help:"Name of the session host."`
}

// Help is shown by --help.
func (hostRemoveCmd) Help() string {
	return `CALs with a term that it has asked for stay issued until they expire.

Example:
  calkeeper host remove rds1.example.org`
}

// Run removes.
func (c *hostRemoveCmd) Run(ctx context.Context, t *terminal) error {
	return c.ask(ctx, t, func(api *client.Client) error {
		if err := api.RemoveHost(ctx, c.Name); err != nil {
			return err
		}
		return t.print(removedJSON{true}, func(w io.Writer) { fmt.Fprintln(w, "removed") })
	})
}

type removedJSON struct {
	Removed bool `json:"removed"`
}
