package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/client"
)

// passwordVariable holds the password of an account. There is no flag for it: others on the machine see flags.
const passwordVariable = "CALKEEPER_PASSWORD"

const (
	licenseServerClass = "Win32_TSLicenseServer"
	keyPackClass       = "Win32_TSLicenseKeyPack"
)

// connection says which license server to call, and how.
type connection struct {
	Server           string        `default:"http://127.0.0.1:5985/wsman" env:"CALKEEPER_SERVER" placeholder:"URL" group:"connection" help:"WS-Management of the license server. Default: ${default}."`
	User             string        `default:"Administrator" env:"CALKEEPER_USER" placeholder:"NAME" group:"connection" help:"Account. Its password comes from --password-file, CALKEEPER_PASSWORD, or is asked for."`
	PasswordFile     string        `placeholder:"FILE" group:"connection" help:"Take the password from the first line of this file."`
	CAFile           string        `name:"ca-file" placeholder:"FILE" group:"connection" help:"PEM file with the certificates to trust, such as the license server's tls.crt."`
	Insecure         bool          `group:"connection" help:"Do not check the server's certificate: whoever answers gets the password."`
	AllowUnencrypted bool          `group:"connection" help:"Send the password over plain HTTP to another machine."`
	Timeout          time.Duration `default:"60s" group:"connection" help:"How long the server may work on a request. Default: ${default}."`
}

// dial returns a client of the license server.
func (c *connection) dial(ctx context.Context, t *terminal) (*client.Client, error) {
	password, err := t.secret(ctx, c.PasswordFile, passwordVariable, "Password of "+c.User, false)
	if err != nil {
		return nil, err
	}
	config, err := tlsConfig(c.CAFile, c.Insecure)
	if err != nil {
		return nil, err
	}
	wsman, err := client.New(client.Options{
		URL: c.Server, User: c.User, Password: password, AllowUnencrypted: c.AllowUnencrypted, TLS: config, Timeout: c.Timeout,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return wsman, nil
}

// tlsConfig says which certificates of servers to trust.
func tlsConfig(caFile string, insecure bool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}
	if caFile == "" {
		return config, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, usageError{err}
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, usagef("%s holds no certificate in PEM", caFile)
	}
	return config, nil
}

// invoke calls a method; without keys a static one. A ReturnValue other than 0 is a refusal.
func invoke(ctx context.Context, c *client.Client, class, method string, keys []client.Value, arguments ...client.Value) (client.Instance, error) {
	out, err := c.Invoke(ctx, class, method, keys, arguments)
	if err != nil {
		return out.Values, err
	}
	if status := cim.Status(out.ReturnValue); status != cim.StatusOK {
		return out.Values, refusal{method, status, advice(method, status)}
	}
	return out.Values, nil
}

// advice tells what to do next about a ReturnValue.
func advice(method string, status cim.Status) string {
	if strings.HasPrefix(method, "Reactivate") && status == cim.StatusAlreadyExists {
		return "The license server that has this name, and so its account, was in contact with the clearinghouse just now, and two cannot have it: stop it, and try again in two minutes."
	}
	if strings.HasPrefix(method, "Activate") || strings.HasPrefix(method, "Reactivate") || strings.HasPrefix(method, "Deactivate") {
		if a := activationAdvice[status]; a != "" {
			return a
		}
	}
	if strings.Contains(method, "Report") {
		return reportAdvice(status)
	}
	if a := statusAdvice[status]; a != "" {
		return a
	}
	return "The license server's log says more."
}

var statusAdvice = map[cim.Status]string{
	cim.StatusFailed:           "The license server's log says why.",
	cim.StatusNotFound:         "There is no such agreement, license, code, key pack or source: check the numbers, product version and type, and the source's name and ID.",
	cim.StatusAccessDenied:     "Use an account that administers the license server.",
	cim.StatusInvalidParameter: "An argument cannot be right: check the characters of numbers and codes, the source, and the count; the license server's log says which.",
	cim.StatusNotAvailable:     "The license server does not reach its clearinghouse or directory. See `calkeeper keypack list` before you ask again: an answer may have come too late.",
	cim.StatusNotSupported:     "This license server does not do that, or not for this product version; the built-in key pack can be neither converted nor removed.",
	cim.StatusInvalidOperation: "The license server is not activated: run `calkeeper activate`.",
	cim.StatusAlreadyExists:    "The code was used, or the key pack is installed: see `calkeeper keypack list`. After a loss of the database use `calkeeper keypack reinstall`.",
	cim.StatusValueOutOfRange:  "There are not so many free CALs, or the product version is not known: see `calkeeper keypack list`, and what was bought.",
}

var activationAdvice = map[cim.Status]string{
	cim.StatusInvalidParameter: "FirstName, LastName, Company or CountryRegion is empty, or the ID or code is mistyped: give --first-name, --last-name, --company and --country, or check what was typed.",
	cim.StatusInvalidOperation: "It is not activated, or waits for the clearinghouse's operator: `calkeeper clearinghouse servers approve` approves it; then run this again.",
	cim.StatusAccessDenied:     "The clearinghouse does not accept the enrolment key, or the account is no administrator: check the license server's configuration.",
	cim.StatusNotAvailable:     "The license server does not reach its clearinghouse, or none is configured: check --authority of `calkeeper serve`, or activate with --license-server-id.",
	cim.StatusAlreadyExists:    "It is activated, or the one that has its place is in contact: see `calkeeper activate --status`; --reactivate makes a new ID.",
}

func reportAdvice(status cim.Status) string {
	switch status {
	case cim.StatusAccessDenied:
		return statusAdvice[status]
	case cim.StatusNotFound:
		return "There is no such report: see `calkeeper report list`."
	case cim.StatusNotSupported, cim.StatusNotAvailable:
		return "This license server makes no reports, or not now; its log says more."
	}
	return "The license server's log says more."
}
