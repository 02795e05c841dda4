//go:build linux

package bench_test

import (
	"fmt"
	"testing"

	"calkeeper/internal/app"
	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// BenchmarkGet reads one key pack: Basic authentication, SOAP, SQLite.
func BenchmarkGet(b *testing.B) {
	benchmarkRequest(b, func(b *testing.B, c *client.Client) error {
		i, err := c.Get(b.Context(), "Win32_TSLicenseKeyPack", []client.Value{client.Uint32("KeyPackId", licensing.FirstKeyPackID)})
		if err == nil && i.Text("TotalLicenses") != "50" {
			err = fmt.Errorf("TotalLicenses is %q", i.Text("TotalLicenses"))
		}
		return err
	})
}

// BenchmarkInvoke calls the method that monitoring calls most, GetActivationStatus.
func BenchmarkInvoke(b *testing.B) {
	benchmarkRequest(b, func(b *testing.B, c *client.Client) error {
		out, err := c.Invoke(b.Context(), "Win32_TSLicenseServer", "GetActivationStatus", nil, nil)
		if err == nil && (out.ReturnValue != 0 || out.Values.Text("ActivationStatus") != "1") {
			err = fmt.Errorf("GetActivationStatus returned %d and %q", out.ReturnValue, out.Values.Text("ActivationStatus"))
		}
		return err
	})
}

// benchmarkRequest repeats what the client sends for a call.
func benchmarkRequest(b *testing.B, call func(*testing.B, *client.Client) error) {
	for _, connections := range []int{1, 64} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			dir := b.TempDir()
			install(b, dir, 10)
			s := serve(b, app.LicenseServerOptions{Dir: dir, Name: "ls1.farm.example"})
			request, length := record(b, s, func(c *client.Client) error { return call(b, c) })
			compare(b, newSide(b, addressOf(s.URL()), request, connections), newSide(b, bare(b, length), request, connections))
		})
	}
}
