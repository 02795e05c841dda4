//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

const (
	administrator = "Administrator"
	// database is the name of a license server's database in its directory.
	database = "calkeeper.db"
)

// quiet is the log of a server that logs what it does by default, to nowhere.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// server is a license server with an account.
type server struct {
	*app.LicenseServer
	password string
}

// serve starts a license server, and stops it at the end.
func serve(b *testing.B, o app.LicenseServerOptions) *server {
	b.Helper()
	o.ListenHTTP, o.Logger = "127.0.0.1:0", quiet()
	l, err := app.OpenLicenseServer(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	s := &server{LicenseServer: l}
	if s.password, err = l.Accounts.Generate(b.Context(), "bench", accounts.Change{Name: administrator, Role: auth.Administrator}); err != nil {
		b.Fatal(err)
	}
	if err := l.Start(); err != nil {
		b.Fatal(err)
	}
	return s
}

// openStore opens the store of a directory in which no server runs.
func openStore(b *testing.B, dir string) *sqlite.Store {
	b.Helper()
	s, err := sqlite.Open(b.Context(), filepath.Join(dir, database), sqlite.Options{Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// install fills a directory with so many key packs.
func install(b *testing.B, dir string, packs int) {
	b.Helper()
	s := openStore(b, dir)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	err := s.Update(b.Context(), func(tx store.Tx) error {
		for i := range packs {
			if _, err := tx.InsertKeyPack(licensing.KeyPack{
				Type: licensing.KeyPackOpen, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.ProductType(i % 2),
				Total: 50, Issued: uint32(i % 50), Installed: now, Expires: licensing.PerpetualExpiry(now),
				Entitlement: fmt.Sprintf("01JNA8V6ZQ4T5W0X9Y%08d", i),
			}); err != nil {
				return err
			}
		}
		return tx.Audit(store.AuditRecord{At: now, Actor: "bench", Action: "install"})
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// bare starts the reference of requests: a net/http handler that reads the request, and answers with a constant of that
// length. It returns its address.
func bare(b *testing.B, length int) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return bareOn(b, listener, length)
}

// bareOn is bare on that listener.
func bareOn(b *testing.B, listener net.Listener, length int) string {
	b.Helper()
	answer := make([]byte, length)
	for i := range answer {
		answer[i] = 'x'
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		w.Write(answer)
	})}
	go s.Serve(listener)
	b.Cleanup(func() { s.Close() })
	return listener.Addr().String()
}
