package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calkeeper/internal/app"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/client"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
)

// TestEmbeddedClearinghouse activates, installs and verifies through a clearinghouse that does not listen, twice.
func TestEmbeddedClearinghouse(t *testing.T) {
	dir := t.TempDir()
	var firstKey string
	var sale clearinghouse.Sale
	for round := range 2 {
		c, key, err := app.StartEmbeddedClearinghouse(t.Context(), filepath.Join(dir, app.EmbeddedDir), "", "Example Farm", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Stop(context.Background()) })
		o := options(dir)
		o.Authority, o.Transport, o.EnrolmentKey = &c.Authority, c.Transport(), key
		l := start(t, o)
		if round == 0 {
			firstKey, sale = key, sell(t, c)
			activate(t, l)
			l.Inventory.Resume()
		}
		if key == "" || key != firstKey {
			t.Errorf("the enrolment key is %q; want that of the first start", key)
		}
		reachable(t, c, l)
		id, err := l.Inventory.Open(t.Context(), "test", clearinghouse.Install, sale.Credentials.LicenseNumber, sale.Credentials.AuthorizationNumber,
			inventory.Purchase{ProductVersion: sale.ProductVersion, ProductType: sale.ProductType, Count: 50}, nil)
		if want := uint32(licensing.FirstKeyPackID + round); err != nil || id != want {
			t.Fatalf("key pack %d, %v; want %d", id, err, want)
		}
		verdicts, err := l.Inventory.Verify(t.Context())
		if err != nil || len(verdicts) != round+1 {
			t.Fatalf("%d verdicts, %v; want %d", len(verdicts), err, round+1)
		}
		for _, v := range verdicts {
			if len(v.Wrong) > 0 {
				t.Errorf("key pack %d: %v", v.KeyPack.ID, v.Wrong)
			}
		}
		if problems, err := c.Service.Check(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("the ledger: %v, %v", problems, err)
		}
		if organizations, err := c.Service.Organizations(t.Context()); err != nil || len(organizations) != 1 {
			t.Errorf("%d organizations, %v; want 1", len(organizations), err)
		}
		stop(t, l.Stop)
		stop(t, c.Stop)
	}
}

// TestStopEndsPolls stops each side while a poll is open, which would otherwise go on for 25 seconds.
func TestStopEndsPolls(t *testing.T) {
	for name, listen := range map[string]string{"in this process": "", "over TLS": "127.0.0.1:0"} {
		t.Run(name+", the license server", func(t *testing.T) {
			c, l := polling(t, listen)
			stop(t, l.Stop)
			stop(t, c.Stop)
		})
	}
	t.Run("over TLS, the clearinghouse", func(t *testing.T) {
		c, l := polling(t, "127.0.0.1:0")
		stop(t, c.Stop)
		stop(t, l.Stop)
	})
}

// polling returns a clearinghouse and a license server whose poll it holds.
func polling(t *testing.T, listen string) (*app.Clearinghouse, *app.LicenseServer) {
	c := house(t, t.TempDir(), listen)
	o := enroll(t, c, options(t.TempDir()))
	if listen == "" {
		o.Transport = c.Transport()
	}
	l := start(t, o)
	activate(t, l)
	l.Inventory.Resume()
	reachable(t, c, l)
	return c, l
}

// TestAuthorityFile gives the license server the document that the clearinghouse has written, and nothing else.
func TestAuthorityFile(t *testing.T) {
	dir := t.TempDir()
	c := house(t, dir, "127.0.0.1:0")
	path := filepath.Join(dir, app.AuthorityFile)
	text := read(t, path)
	for _, secret := range []string{"signing\"", "token", "PRIVATE"} {
		if strings.Contains(text, secret) {
			t.Errorf("the authority document holds %q", secret)
		}
	}
	o := enroll(t, c, options(t.TempDir()))
	var err error
	if o.Authority, err = app.LoadAuthority(path); err != nil {
		t.Fatal(err)
	}
	activate(t, open(t, o))
	if c.Authority.URL != o.Authority.URL || !strings.HasPrefix(o.Authority.URL, "https://127.0.0.1:") {
		t.Errorf("URL %q; want that of the listener, %q", o.Authority.URL, c.Authority.URL)
	}
}

// TestAuthorityFileIsReplacedAsAWhole, and only if it changes: others may be copying it.
func TestAuthorityFileIsReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, app.AuthorityFile)
	run := func(url string) os.FileInfo {
		t.Helper()
		c, err := app.StartClearinghouse(t.Context(), app.ClearinghouseOptions{
			Dir: dir, Listen: "localhost:0", URL: url, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		stop(t, c.Stop)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := run("https://localhost:8443")
	open, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if again := run("https://localhost:8443"); !os.SameFile(first, again) || !again.ModTime().Equal(first.ModTime()) {
		t.Error("the same document was written again")
	}
	if other := run("https://localhost:9443"); os.SameFile(first, other) {
		t.Error("the document was written in place")
	}
	before, err := io.ReadAll(open)
	if err != nil || !strings.Contains(string(before), "https://localhost:8443\"") {
		t.Errorf("who had the old document open reads %d bytes, %v", len(before), err)
	}
	if a, err := app.LoadAuthority(path); err != nil || a.URL != "https://localhost:9443" {
		t.Errorf("the document is %+v, %v", a, err)
	}
}

func TestClearinghouseURLAndListenAddress(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	c, err := app.StartClearinghouse(t.Context(), app.ClearinghouseOptions{
		Dir: t.TempDir(), Listen: "localhost:0", URL: "https://licenses.example:8443", Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, c.Stop)
	if c.Authority.URL != "https://licenses.example:8443" {
		t.Errorf("URL %q; want the given one", c.Authority.URL)
	}
	for _, listen := range []string{"8443", "localhost", "127.0.0.1:99999", ":http:x"} {
		dir := t.TempDir()
		_, err := app.StartClearinghouse(t.Context(), app.ClearinghouseOptions{Dir: dir, Listen: listen, Logger: quiet})
		checkError(t, err, nil)
		house(t, dir, "") // nothing is locked
	}
}

func TestLoadAuthorityRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := app.LoadAuthority(filepath.Join(dir, "missing.json"))
	checkError(t, err, os.ErrNotExist, "authority document", "missing.json")
	for text, words := range map[string]string{
		"":                                 "no authority document",
		"[]":                               "no authority document",
		"{}":                               "signingKey",
		`{"signingKey":"AAAA"}`:            "signingKey",
		`{"signingKey":"` + key(32) + `"}`: "agreementKey",
		`{"signingKey":"` + key(32) + `","agreementKey":"` + key(31) + `"}`: "agreementKey",
	} {
		path := filepath.Join(dir, "authority.json")
		write(t, path, text)
		_, err := app.LoadAuthority(path)
		checkError(t, err, nil, path, words)
	}
}

// key returns n bytes as JSON has them.
func key(n int) string {
	text, err := json.Marshal(make([]byte, n))
	if err != nil {
		return err.Error()
	}
	return strings.Trim(string(text), `"`)
}

// organizations asks as the operator.
func organizations(t *testing.T, o *client.Operator) (list []clearinghouse.Organization) {
	t.Helper()
	if err := o.Call(t.Context(), wire.Organizations, struct{}{}, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOpenOperator(t *testing.T) {
	dir := t.TempDir()
	quiet := slog.New(slog.DiscardHandler)
	c := house(t, dir, "127.0.0.1:0")
	if _, err := c.Service.CreateOrganization(t.Context(), "Example Farm"); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		o, end, err := app.OpenOperator(t.Context(), dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if list := organizations(t, o); len(list) != 1 || list[0].Name != "Example Farm" {
			t.Errorf("organizations %+v", list)
		}
		stop(t, end)
	}
	check() // of the one that runs
	if organizations, err := c.Service.Organizations(t.Context()); err != nil || len(organizations) != 1 {
		t.Errorf("the one that runs was stopped: %v", err)
	}
	stop(t, c.Stop)
	check() // of none: its operator.json leads nowhere
	if err := os.Remove(filepath.Join(dir, "operator.json")); err != nil {
		t.Fatal(err)
	}
	check()

	silent := house(t, dir, "") // one that does not listen
	_, _, err := app.OpenOperator(t.Context(), dir, quiet)
	checkError(t, err, sqlitedb.ErrInUse)
	stop(t, silent.Stop)

	write(t, filepath.Join(dir, "operator.json"), "no JSON")
	_, _, err = app.OpenOperator(t.Context(), dir, quiet)
	checkError(t, err, nil, "operator.json")
}

// TestOperatorTokenChanges makes what was read of an earlier run worthless.
func TestOperatorTokenChanges(t *testing.T) {
	dir := t.TempDir()
	stop(t, house(t, dir, "127.0.0.1:0").Stop)
	var earlier struct {
		Authority clearinghouse.Authority
		Token     string
	}
	if err := json.Unmarshal([]byte(read(t, dir, "operator.json")), &earlier); err != nil || earlier.Token == "" {
		t.Fatal(earlier, err)
	}
	c := house(t, dir, "127.0.0.1:0")
	o, err := client.NewOperator(c.Authority, earlier.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Call(t.Context(), wire.Organizations, struct{}{}, &[]clearinghouse.Organization{}); licensing.KindOf(err) != licensing.Denied {
		t.Errorf("with an earlier token: %v; want a Denied fault", err)
	}
}

func TestWhatHasRunInADirectory(t *testing.T) {
	dir := t.TempDir()
	if app.HasLicenseServer(dir) || app.HasClearinghouse(dir) {
		t.Error("something has run in a new directory")
	}
	stop(t, open(t, options(dir)).Stop)
	if !app.HasLicenseServer(dir) || app.HasClearinghouse(dir) {
		t.Error("a license server has run, and nothing else")
	}
	stop(t, house(t, filepath.Join(dir, app.EmbeddedDir), "").Stop)
	if !app.HasClearinghouse(filepath.Join(dir, app.EmbeddedDir)) {
		t.Error("a clearinghouse has run")
	}
	a, closing, err := app.OpenAccounts(t.Context(), dir, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if empty, err := a.Empty(t.Context()); err != nil || !empty {
		t.Errorf("accounts before the first: %v, %v", empty, err)
	}
	if err := closing(); err != nil {
		t.Error(err)
	}
}
