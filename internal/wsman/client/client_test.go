package client_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"crypto/tls"

	"calkeeper/internal/wsman/client"
)

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name string
		opt  client.Options
		want string // in the error
	}{
		{"no URL", client.Options{}, "https://host:port/wsman"},
		{"no scheme", client.Options{URL: "license.example.com"}, "https://host:port/wsman"},
		{"no host", client.Options{URL: "http:///wsman"}, "https://host:port/wsman"},
		{"only a port", client.Options{URL: "http://:5985/wsman"}, "https://host:port/wsman"},
		{"another scheme", client.Options{URL: "ftp://license.example.com/wsman"}, "https://host:port/wsman"},
		{"unreadable URL", client.Options{URL: "https://admin:" + password + "@exa mple.com/"}, "https://host:port/wsman"},
		{"password in the URL", client.Options{URL: "https://admin:" + password + "@license.example.com/wsman"}, "options of their own"},
		{"query", client.Options{URL: "https://license.example.com/wsman?" + password}, "query"},
		{"fragment", client.Options{URL: "https://license.example.com/wsman#" + password}, "fragment"},
		{"Basic over http", client.Options{URL: "http://license.example.com/wsman", User: user, Password: password}, "plain http"},
		{"Basic over http to an address", client.Options{URL: "http://192.0.2.7/wsman", User: user, Password: password}, "plain http"},
		{"Basic over http to an IPv6 address", client.Options{URL: "http://[2001:db8::7]:5985/wsman", User: user}, "plain http"},
		{"Basic over http to a name like loopback", client.Options{URL: "http://127.0.0.1.example.com/wsman", User: user}, "plain http"},
		{"password without user", client.Options{URL: "https://license.example.com", Password: password}, "no User"},
		{"colon in the user", client.Options{URL: "https://license.example.com", User: "a:b", Password: password}, "colon"},
		{"line end in the password", client.Options{URL: "https://license.example.com", User: "a", Password: password + "\r\nX: y"}, "control characters"},
		{"namespace", client.Options{URL: "https://license.example.com", Namespace: "root/../cimv2"}, "root/cimv2"},
		{"namespace with markup", client.Options{URL: "https://license.example.com", Namespace: "root?x=<y>"}, "root/cimv2"},
		{"negative timeout", client.Options{URL: "https://license.example.com", Timeout: -time.Second}, "-1s"},
		{"tiny timeout", client.Options{URL: "https://license.example.com", Timeout: time.Microsecond}, "millisecond"},
		{"small envelope", client.Options{URL: "https://license.example.com", MaxEnvelopeSize: 100}, "8192"},
		{"TLS twice", client.Options{URL: "https://license.example.com", HTTPClient: http.DefaultClient, TLS: &tls.Config{}}, "exclude"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.New(test.opt)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %q; want %q in it", err, test.want)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error shows the password: %q", err)
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for _, opt := range []client.Options{
		{URL: "https://license.example.com", User: user, Password: password},
		{URL: "http://license.example.com/wsman"}, // anonymous
		{URL: "http://license.example.com/wsman", User: user, Password: password, AllowUnencrypted: true},
		{URL: "http://localhost:5985", User: user, Password: password},
		{URL: "http://127.9.9.9:5985", User: user, Password: password},
		{URL: "http://[::1]:5985", User: user, Password: password},
		{URL: "HTTPS://license.example.com:443/wsman/", User: user},
	} {
		if _, err := client.New(opt); err != nil {
			t.Errorf("%s: %v", opt.URL, err)
		}
	}
}

func TestURLDefaults(t *testing.T) {
	for given, want := range map[string]string{
		"http://license.example.com":            "http://license.example.com:5985/wsman",
		"https://license.example.com/":          "https://license.example.com:5986/wsman",
		"https://license.example.com:443/wsman": "https://license.example.com:443/wsman",
		"https://[2001:db8::7]/x/wsman":         "https://[2001:db8::7]:5986/x/wsman",
	} {
		var got string
		c, err := client.New(client.Options{URL: given, HTTPClient: &http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				return nil, fmt.Errorf("refused")
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Identify(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error does not name %s: %v", given, want, err)
		}
		if got != want {
			t.Errorf("%s: posted to %s, want %s", given, got, want)
		}
	}
}

func TestPrintingAClientHidesThePassword(t *testing.T) {
	c, err := client.New(client.Options{URL: "https://license.example.com", User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c); strings.Contains(text, password) {
			t.Errorf("%s shows the password: %s", format, text)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
