package test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"calkeeper/internal/wsman/client"
)

// TestAuditorIsDeniedAccess calls everything as an account that is no administrator.
func TestAuditorIsDeniedAccess(t *testing.T) {
	f := newFarm(t)
	m := f.join("target", f.organization)
	denied := func(what string, err error) {
		t.Helper()
		var refused *client.Fault
		if !errors.As(err, &refused) || refused.WSManCode != 5 || refused.Subcode != "AccessDenied" || !errors.Is(err, client.ErrAccessDenied) {
			t.Errorf("%s gave %v, want the fault AccessDenied with code 5", what, err)
		}
	}
	for _, class := range []string{keyPackClass, "Win32_TSIssuedLicense", reportClass} {
		var err error
		for _, err = range m.auditor.Enumerate(t.Context(), class, "") {
		}
		denied("enumerating "+class, err)
	}
	_, err := m.auditor.Get(t.Context(), keyPackClass, []client.Value{client.Uint32("KeyPackId", 2)})
	denied("getting a key pack", err)
	_, err = m.auditor.Put(t.Context(), serverClass, nil, []client.Value{client.Text("FirstName", "Eve")})
	denied("putting contact data", err)

	instances := 0
	for instance, err := range m.auditor.Enumerate(t.Context(), serverClass, "") {
		if err != nil {
			t.Fatal(err)
		}
		instances++
		checkEmpty(t, instance)
	}
	instance, err := m.auditor.Get(t.Context(), serverClass, nil)
	if err != nil || instances != 1 {
		t.Fatalf("%d license servers, and %v", instances, err)
	}
	checkEmpty(t, instance)

	text, err := os.ReadFile("../internal/tlswmiprov/testdata/tlswmiprov.json")
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Classes map[string]struct {
			Properties []struct {
				Name, Type string
				Key        bool
			}
			Methods []struct {
				Name       string
				Static     bool
				Parameters []struct {
					Name, Type string
					In         bool
				}
			}
		}
	}
	if err := json.Unmarshal(text, &contract); err != nil {
		t.Fatal(err)
	}
	methods := 0
	for class, c := range contract.Classes {
		for _, method := range c.Methods {
			var keys, args []client.Value
			for _, p := range c.Properties {
				if p.Key && !method.Static {
					keys = append(keys, client.Text(p.Name, "2"))
				}
			}
			for _, p := range method.Parameters {
				if p.In {
					args = append(args, client.Text(p.Name, "1"))
				}
			}
			_, err := m.auditor.Invoke(t.Context(), class, method.Name, keys, args)
			denied(method.Name, err)
			methods++
		}
	}
	if methods != 51 {
		t.Errorf("%d methods were called, want 51", methods)
	}
	if first, err := m.admin.Get(t.Context(), serverClass, nil); err != nil || first.Text("FirstName") != "Ada" {
		t.Errorf("the first name is %q now, %v", first.Text("FirstName"), err)
	}
	nobody := newClient(t, m.URL(), "Administrator", "a wrong password")
	if _, err := nobody.Get(t.Context(), serverClass, nil); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("a wrong password gave %v", err)
	}
}

func checkEmpty(t *testing.T, instance client.Instance) {
	t.Helper()
	if len(instance.Values) != 15 {
		t.Errorf("the license server has %d properties, want 15", len(instance.Values))
	}
	for _, v := range instance.Values {
		if v.Text() != "" && !(v.Name == "ServerRole" && v.Text() == "0") {
			t.Errorf("%s is %q to one who is no administrator", v.Name, v.Text())
		}
	}
}
