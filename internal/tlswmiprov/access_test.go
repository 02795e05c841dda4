package tlswmiprov_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"calkeeper/internal/activation"
	"calkeeper/internal/auth"
	"calkeeper/internal/cim"
	"calkeeper/internal/tlswmiprov"
)

// TestWithoutRoleNothingIsAllowed: who is authenticated but has no role here, such as a user of the domain who is in no group, gets
// an empty instance of Win32_TSLicenseServer, and nothing else. Nor does one whose role is misspelled. The provider has no services: whatever
// were not refused would panic.
func TestWithoutRoleNothingIsAllowed(t *testing.T) {
	p := &tlswmiprov.Provider{Activation: &activation.Service{}, Version: "0", Logger: slog.New(slog.DiscardHandler)}
	server, err := p.Namespace()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := p.TerminalServices()
	if err != nil {
		t.Fatal(err)
	}
	callers := map[string]context.Context{"nobody": t.Context()}
	for _, role := range []auth.Role{"", "administrator", "Administrators"} {
		callers["role "+string(role)] = auth.WithIdentity(t.Context(), auth.Identity{User: `FARM\eve`, Role: role, Mechanism: "Kerberos"})
	}
	for who, ctx := range callers {
		methods := 0
		for _, class := range append(append([]*cim.Class{}, server.Classes...), hosts.Classes...) {
			denied := func(what string, err error) {
				t.Helper()
				if refused, ok := errors.AsType[*cim.Error](err); !ok || refused.Status != cim.StatusAccessDenied {
					t.Errorf("%s, %s of %s: %v, want access denied", who, what, class.Name, err)
				}
			}
			key := keyOf(t, class)
			if class.Name == "Win32_TSLicenseServer" {
				checkServer(t, ctx, who, class)
			} else {
				_, err := class.Get(ctx, key)
				denied("Get", err)
				for _, err = range class.Instances(ctx) {
				}
				denied("Enumerate", err)
			}
			if class.Name == "Win32_TSLicenseServer" { // the only one that can be written
				_, err := class.Put(ctx, key, []cim.Argument{{Name: "FirstName", Value: cim.StringValue("Eve")}})
				denied("Put", err)
			}
			for i := range class.Methods {
				_, _, err := class.Invoke(ctx, &class.Methods[i], &key, nil)
				denied(class.Methods[i].Name, err)
				methods++
			}
		}
		if methods != 51+11 {
			t.Errorf("%d methods were called", methods)
		}
	}
}

// keyOf names some instance of a class.
func keyOf(t *testing.T, class *cim.Class) cim.Instance {
	t.Helper()
	var arguments []cim.Argument
	for _, p := range class.Keys() {
		arguments = append(arguments, cim.Argument{Name: p.Name, Value: cim.StringValue("2")})
	}
	key, err := class.Key(arguments)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// checkServer reads Win32_TSLicenseServer in both ways.
func checkServer(t *testing.T, ctx context.Context, who string, class *cim.Class) {
	t.Helper()
	check := func(i cim.Instance, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", who, err)
			return
		}
		for p := range class.Properties {
			property := &class.Properties[p]
			if v := i.Value(property); v.Text() != "" && (property.Type != cim.Uint32 || v.Uint32() != 0) {
				t.Errorf("%s sees that %s is %v", who, property.Name, v)
			}
		}
	}
	check(class.Get(ctx, keyOf(t, class)))
	found := 0
	for i, err := range class.Instances(ctx) {
		check(i, err)
		found++
	}
	if found != 1 {
		t.Errorf("%s: %d license servers", who, found)
	}
}
