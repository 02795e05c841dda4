// Package test tests calkeeper from outside: through its sockets, its files and its command line.
package test

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
	"calkeeper/internal/wsman/client"
)

const (
	keyPackClass = "Win32_TSLicenseKeyPack"
	serverClass  = "Win32_TSLicenseServer"
	reportClass  = "Win32_TSLicenseReport"
)

// The ReturnValues, as the documentation of the methods has them.
const (
	done             = 0
	failed           = 0x80041001
	notFound         = 0x80041002
	accessDenied     = 0x80041003
	invalidParameter = 0x80041008
	notAvailable     = 0x80041009
	notSupported     = 0x8004100C
	invalidOperation = 0x80041016
	alreadyExists    = 0x80041019
	outOfRange       = 0x8004102B
)

// farm is a clearinghouse and its license servers in this process.
type farm struct {
	t             *testing.T
	dir           string
	listen        string // address of the clearinghouse
	clearinghouse *app.Clearinghouse
	organization  clearinghouse.NewOrganization

	// Of the license servers that are started next.
	listenHTTPS      string // empty: HTTP alone
	allowUnencrypted bool
	logger           *slog.Logger // nil: logger
}

// member is one license server of a farm.
type member struct {
	*app.LicenseServer
	farm     *farm
	name     string
	dir      string
	id       string // license server ID, empty while it is not activated
	identity *ecdh.PrivateKey
	admin    *client.Client
}

const password = "correct horse battery"

func newFarm(t *testing.T) *farm {
	t.Helper()
	f := &farm{t: t, dir: t.TempDir(), listen: freePort(t)}
	f.startClearinghouse()
	t.Cleanup(f.stopClearinghouse)
	f.organization = f.createOrganization("Example Farm")
	return f
}

// putAccounts makes an account for each role in a license server's directory. Their hashes are quick: those of real passwords would
// take most of a test's time.
func putAccounts(t *testing.T, dir string) {
	t.Helper()
	const memory, passes, lanes = 64, 1, 1
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	hash := fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, lanes, b64(salt),
		b64(argon2.IDKey([]byte(password), salt, passes, memory, lanes, 32)))
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "calkeeper.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx store.Tx) error {
		for _, role := range []auth.Role{auth.Administrator, auth.Operator, auth.Auditor} {
			if err := tx.PutAccount(store.Account{Name: string(role), Role: string(role), Password: hash, Changed: time.Now()}); err != nil {
				return err
			}
		}
		return tx.Audit(store.AuditRecord{At: time.Now(), Actor: "test", Action: "set account"})
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// logger shows what the servers log if the test fails.
func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	if w.t.Context().Err() == nil { // it must not be used when the test has ended
		w.t.Log(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

// startClearinghouse runs the clearinghouse, for the first time or again, at the same address.
func (f *farm) startClearinghouse() {
	f.t.Helper()
	var err error
	f.clearinghouse, err = app.StartClearinghouse(f.t.Context(), app.ClearinghouseOptions{
		Dir: filepath.Join(f.dir, "clearinghouse"), Listen: f.listen, Logger: logger(f.t),
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *farm) stopClearinghouse() {
	if f.clearinghouse == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.clearinghouse.Stop(ctx); err != nil {
		f.t.Error(err)
	}
	f.clearinghouse = nil
}

func (f *farm) createOrganization(name string) clearinghouse.NewOrganization {
	f.t.Helper()
	o, err := f.clearinghouse.Service.CreateOrganization(f.t.Context(), name)
	if err != nil {
		f.t.Fatal(err)
	}
	return o
}

// start runs a license server that is not activated yet.
func (f *farm) start(name, enrolmentKey string) *member {
	f.t.Helper()
	m := &member{farm: f, name: name + ".farm.example", dir: filepath.Join(f.dir, name)}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	putAccounts(f.t, m.dir)
	log := f.logger
	if log == nil {
		log = logger(f.t)
	}
	var err error
	m.LicenseServer, err = app.OpenLicenseServer(f.t.Context(), app.LicenseServerOptions{
		Dir: m.dir, Name: m.name, Names: []string{"127.0.0.1", "fd00::1"}, ListenHTTP: "127.0.0.1:0", ListenHTTPS: f.listenHTTPS,
		Authority: &f.clearinghouse.Authority, EnrolmentKey: enrolmentKey, AllowUnencrypted: f.allowUnencrypted, Logger: log,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(m.stop)
	if err := m.Start(); err != nil {
		f.t.Fatal(err)
	}
	m.admin = newClient(f.t, m.URL(), "Administrator", password)
	text, err := os.ReadFile(filepath.Join(m.dir, "identity.key"))
	if err != nil {
		f.t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		f.t.Fatal(err)
	}
	if m.identity, err = ecdh.X25519().NewPrivateKey(key); err != nil {
		f.t.Fatal(err)
	}
	return m
}

// stop stops the license server if it runs.
func (m *member) stop() {
	if m.LicenseServer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.Stop(ctx); err != nil {
		m.farm.t.Error(err)
	}
	m.LicenseServer = nil
}

// join runs a license server and activates it.
func (f *farm) join(name string, o clearinghouse.NewOrganization) *member {
	f.t.Helper()
	m := f.start(name, o.EnrolmentKey)
	m.activate()
	return m
}

func newClient(t *testing.T, url, user, password string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{URL: url, User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (m *member) activate() {
	m.farm.t.Helper()
	m.setContact(m.farm.t)
	m.want(m.farm.t, done, serverClass, "ActivateServerAutomatic", nil)
	m.id = m.want(m.farm.t, done, serverClass, "GetLicenseServerId", nil).Values.Text("sLicenseServerId")
}

func (m *member) setContact(t *testing.T) {
	t.Helper()
	_, err := m.admin.Put(t.Context(), serverClass, nil, []client.Value{
		client.Text("FirstName", "Ada"), client.Text("LastName", "Lovelace"), client.Text("Company", "Example"), client.Text("CountryRegion", "GB"),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// want calls a method and fails the test unless it returns the value. Out-parameters must be NULL unless it is 0.
func (m *member) want(t *testing.T, returnValue uint32, class, method string, keys []client.Value, args ...client.Value) client.Output {
	t.Helper()
	out, err := m.admin.Invoke(t.Context(), class, method, keys, args)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	checkOutput(t, method, out, returnValue)
	return out
}

func checkOutput(t *testing.T, method string, out client.Output, returnValue uint32) {
	t.Helper()
	if out.ReturnValue != returnValue {
		t.Errorf("%s returned 0x%08X, want 0x%08X", method, out.ReturnValue, returnValue)
	}
	for _, v := range out.Values.Values {
		if v.IsNull() != (out.ReturnValue != 0) {
			t.Errorf("%s returned 0x%08X, and %s is NULL: %v", method, out.ReturnValue, v.Name, v.IsNull())
		}
	}
}

// wantFault calls a method and fails the test unless the answer is a fault of the sender about an argument.
func (m *member) wantFault(t *testing.T, class, method string, keys []client.Value, args ...client.Value) {
	t.Helper()
	_, err := m.admin.Invoke(t.Context(), class, method, keys, args)
	var fault *client.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("%s gave %v, want a fault", method, err)
	}
	if fault.HTTPStatus != 500 || fault.Code != "Sender" || fault.Subcode != "InvalidParameter" {
		t.Errorf("%s gave HTTP status %d, %s, %s: %v", method, fault.HTTPStatus, fault.Code, fault.Subcode, fault)
	}
}

// totals returns the number of licenses of each installed key pack, by its ID.
func (m *member) totals(t *testing.T) map[string]string {
	t.Helper()
	totals := map[string]string{}
	for pack, err := range m.admin.Enumerate(t.Context(), keyPackClass, "SELECT * FROM Win32_TSLicenseKeyPack WHERE KeyPackId <> 2") {
		if err != nil {
			t.Fatal(err)
		}
		totals[pack.Text("KeyPackId")] = pack.Text("TotalLicenses")
	}
	return totals
}

// sell sells an entitlement of the farm's organization.
func (f *farm) sell(c licensing.Credentials, v licensing.ProductVersion, t licensing.ProductType, count uint32) clearinghouse.Sale {
	f.t.Helper()
	sale, err := f.clearinghouse.Service.Sell(f.t.Context(), clearinghouse.SellRequest{
		Organization: f.organization.ID, Credentials: c, ProductVersion: uint32(v), ProductType: uint32(t), Count: count,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return sale
}

// sellTo sells an open license and installs all of it on a license server.
func (f *farm) sellTo(m *member, v licensing.ProductVersion, t licensing.ProductType, count uint32) clearinghouse.Sale {
	f.t.Helper()
	sale := f.sell(licensing.Credentials{Program: licensing.Open}, v, t, count)
	m.want(f.t, done, keyPackClass, "InstallOpenLicenseKeyPack", nil, openArguments(sale, count)...)
	return sale
}

// code makes an offline code for target; source nil makes one of installation.
func (f *farm) code(t *testing.T, sale clearinghouse.Sale, count uint32, target, source *member) string {
	t.Helper()
	r := clearinghouse.CodeRequest{Entitlement: sale.Entitlement, ProductType: sale.ProductType, Count: count, Target: target.id}
	if source != nil {
		r.Source = source.id
	}
	issued, err := f.clearinghouse.Service.IssueCode(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return issued.Code
}

// forge makes a code as the operator of a license server could: with the server's own key, not known to the clearinghouse.
func (m *member) forge(t *testing.T, c keycode.Code, b keycode.Binding) string {
	t.Helper()
	secret, err := m.farm.clearinghouse.Authority.Secret(m.identity)
	if err != nil {
		t.Fatal(err)
	}
	code, err := c.Seal(secret, b)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func openArguments(sale clearinghouse.Sale, count uint32) []client.Value {
	return []client.Value{
		client.Text("sLicenseNumber", sale.Credentials.LicenseNumber),
		client.Text("sAuthorizationNumber", sale.Credentials.AuthorizationNumber),
		client.Uint32("ProductVersion", sale.ProductVersion),
		client.Uint32("ProductType", sale.ProductType),
		client.Uint32("LicenseCount", count),
	}
}

func agreementArguments(sale clearinghouse.Sale, count uint32) []client.Value {
	return []client.Value{
		client.Uint32("AgreementType", uint32(sale.Credentials.AgreementType)),
		client.Text("sAgreementNumber", sale.Credentials.AgreementNumber),
		client.Uint32("ProductVersion", sale.ProductVersion),
		client.Uint32("ProductType", sale.ProductType),
		client.Uint32("LicenseCount", count),
	}
}

func sourceArguments(m *member) []client.Value {
	return []client.Value{client.Text("sSourceLSName", m.name), client.Text("sSourceLSProductId", m.id)}
}

// change returns the arguments with one of them replaced; it is added if there is none of that name.
func change(args []client.Value, v client.Value) []client.Value {
	changed := append([]client.Value(nil), args...)
	for i := range changed {
		if strings.EqualFold(changed[i].Name, v.Name) {
			changed[i] = v
			return changed
		}
	}
	return append(changed, v)
}

// without returns the arguments but for one.
func without(args []client.Value, name string) []client.Value {
	var rest []client.Value
	for _, v := range args {
		if v.Name != name {
			rest = append(rest, v)
		}
	}
	return rest
}
