package main

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
)

// apiPath is where a license server has its REST API, beside /wsman.
const apiPath = "/v1"

// ask calls f with a client of the license server's REST API, which is on the listener of WS-Management.
func (c *connection) ask(ctx context.Context, t *terminal, f func(*client.Client) error) error {
	address, err := apiURL(c.Server)
	if err != nil {
		return err
	}
	config, err := tlsConfig(c.CAFile, c.Insecure)
	if err != nil {
		return err
	}
	password, err := t.secret(ctx, c.PasswordFile, passwordVariable, "Password of "+c.User, false)
	if err != nil {
		return err
	}
	return withAPI(client.Options{
		URL: address, User: c.User, Password: password, AllowUnencrypted: c.AllowUnencrypted, TLS: config, Timeout: c.Timeout,
	}, "--server", f)
}

// withAPI calls f with a client. The flag is the one that says which license server it is.
func withAPI(o client.Options, flag string, f func(*client.Client) error) error {
	api, err := client.New(o)
	if err != nil {
		return usagef("%s", licensing.Message(err))
	}
	defer api.Close()
	return fromAPI(f(api), flag)
}

// fromAPI marks an error that means that there was no answer. The flag says which license server it was.
func fromAPI(err error, flag string) error {
	if fault, ok := errors.AsType[*licensing.Fault](err); ok && fault.Kind == licensing.Unavailable {
		return unanswered{fault, flag}
	}
	return err
}

// unanswered means that the REST API gave no answer. It wraps only the cause: the fault's kind is for what a license server
// asks of its clearinghouse.
type unanswered struct {
	fault *licensing.Fault
	flag  string // says which license server it was
}

// Error says who did not answer, and why.
func (e unanswered) Error() string { return e.fault.Error() }

// Unwrap returns the cause.
func (e unanswered) Unwrap() error { return e.fault.Err }

// apiURL returns the address of the REST API of the license server that has WS-Management at an address, with the same usual
// ports. The error does not repeat the address: somebody may have put a password into it.
func apiURL(wsman string) (string, error) {
	u, err := url.Parse(wsman)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", usagef("--server must have the form https://host:port/wsman")
	}
	if u.Port() == "" {
		u.Host = u.Host + map[string]string{"http": ":5985", "https": ":5986"}[u.Scheme]
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/wsman") + apiPath
	return u.String(), nil
}

// withAPIPath adds the API's path to an address that has none.
func withAPIPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path != "" && u.Path != "/" {
		return address
	}
	return u.JoinPath(apiPath).String()
}
