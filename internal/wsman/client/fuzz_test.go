package client_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"calkeeper/internal/wsman/client"
)

// FuzzReply gives every operation a reply of arbitrary bytes. None may panic or run forever, and an error must be fit to be
// printed and not show the password.
func FuzzReply(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.xml"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		body = []byte(strings.ReplaceAll(string(body), "RELATES-TO", fuzzID))
		f.Add(uint16(200), "application/soap+xml;charset=UTF-8", body)
		f.Add(uint16(500), "application/soap+xml", body)
	}
	f.Add(uint16(401), "text/html", []byte("<html>"))
	f.Add(uint16(307), "", []byte{})
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte) {
		c, err := client.New(client.Options{
			URL: "https://license.example.com", User: user, Password: password, MaxEnvelopeSize: 65536, Rand: zeros{},
			HTTPClient: &http.Client{Transport: replies{int(status), contentType, body}},
		})
		if err != nil {
			t.Fatal(err)
		}
		check := func(err error) {
			if err == nil {
				return
			}
			text := err.Error()
			if strings.Contains(text, password) || len([]rune(text)) > 1100 || strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("the error is %q", text)
			}
		}
		_, err = c.Identify(t.Context())
		check(err)
		instance, err := c.Get(t.Context(), "Win32_LogicalDisk", nil)
		check(err)
		touch(instance)
		_, err = c.Put(t.Context(), "Win32_LogicalDisk", nil, []client.Value{client.Text("VolumeName", "x")})
		check(err)
		out, err := c.Invoke(t.Context(), "Win32_TSLicenseKeyPack", "InstallLicenseKeyPack", nil, nil)
		check(err)
		touch(out.Values)
		n := 0
		for instance, err := range c.Enumerate(t.Context(), "", "SELECT * FROM X") {
			check(err)
			touch(instance)
			if n++; n == 100 {
				break // the server of this test repeats itself without end
			}
		}
	})
}

// fuzzID is the MessageID that a client makes of zeros.
const fuzzID = "uuid:00000000-0000-4000-8000-000000000000"

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// touch calls everything that reads an instance.
func touch(i client.Instance) {
	for _, v := range i.Values {
		i.Text(v.Name)
		i.Uint32(v.Name)
		i.Bool(v.Name)
		i.Time(v.Name)
		for _, element := range v.Elements() {
			if inner, ok := element.Object(); ok {
				touch(inner)
			}
		}
	}
}
