package test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
)

// embeddedKeys are the keys of the classes whose instances occur in the answers of reports only.
var embeddedKeys = map[string][]string{
	"Win32_TSLicenseReportEntry":                     {"User"},
	"Win32_TSLicenseReportFailedPerUserEntry":        {"User"},
	"Win32_TSLicenseReportFailedPerUserSummaryEntry": {"DomainName"},
	"Win32_TSLicenseReportPerDeviceEntry":            {"sHardwareId"},
	"Win32_TSLicenseReportSummaryEntry":              nil,
}

// TestEmbeddedOnlyClasses enumerates them in every way: scripts dump all classes of the provider, and nothing must come, no fault.
func TestEmbeddedOnlyClasses(t *testing.T) {
	f := newFarm(t)
	m := f.start("ls1", f.organization.EnrolmentKey)
	winrm, mi := newPywinrm(t, m.URL(), "Administrator", password, ""), &powershell{m.URL(), "Administrator", password}
	for class := range embeddedKeys {
		for _, wql := range []string{"", "SELECT * FROM " + class, "select __CLASS from " + class + ` where __CLASS != ""`} {
			for instance, err := range m.admin.Enumerate(t.Context(), class, wql) {
				t.Errorf("%s %q: %v, %v", class, wql, instance, err)
			}
			for _, atATime := range []int{0, 5} {
				if items := enumerate(t, winrm, class, wql, atATime); len(items) != 0 {
					t.Errorf("%s %q: %d instances for python3-winrm", class, wql, len(items))
				}
			}
			for _, uri := range []string{class, "*"} {
				if uri == "*" && wql == "" {
					continue
				}
				o := getCimInstance("root/cimv2", uri, wql)
				for _, mode := range []string{"EnumerateObjectAndEPR", "EnumerateEPR", ""} {
					for _, uri := range []string{o.URI, wmiURI + uri} {
						o := o
						o.URI = uri
						element := ""
						if mode != "" {
							element = "<w:EnumerationMode>" + mode + "</w:EnumerationMode>"
						}
						o.Body = strings.Replace(o.Body, "<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>", element, 1)
						answer := body(t, mi, o)
						items, end := answer.find("Items"), answer.find("EndOfSequence")
						if items == nil || len(items.Children) != 0 || end == nil || strings.TrimSpace(answer.find("EnumerationContext").Text) != "" {
							t.Errorf("%s %q %s: %+v", uri, wql, mode, answer)
						}
					}
				}
			}
		}
		checkNoInstance(t, m, mi, class, embeddedKeys[class])
	}
}

func keysOf(names []string) (keys []client.Value) {
	for _, name := range names {
		keys = append(keys, client.Text(name, "x"))
	}
	return keys
}

// checkNoInstance gets an instance by its keys, by too many, and by none, and puts one.
func checkNoInstance(t *testing.T, m *member, mi session, class string, keys []string) {
	t.Helper()
	for _, c := range []struct {
		keys            []client.Value
		subcode, detail string
		status          uint32
	}{
		{keysOf(keys), "DestinationUnreachable", "InvalidResourceURI", 0x80041002},
		{keysOf(append(keys, "KeyPackId")), "InvalidSelectors", "UnexpectedSelectors", 0},
		{nil, "InvalidSelectors", "InsufficientSelectors", 0},
	} {
		if len(keys) == 0 && c.detail == "InsufficientSelectors" {
			continue // all keys are there
		}
		_, err := m.admin.Get(t.Context(), class, c.keys)
		var fault *client.Fault
		if !errors.As(err, &fault) || fault.HTTPStatus != 500 || fault.Subcode != c.subcode || !strings.HasSuffix(fault.Detail, c.detail) || fault.WBEMStatus != c.status {
			t.Errorf("Get of a %s by %d keys gave %v, want %s, %s", class, len(c.keys), err, c.subcode, c.detail)
		}
	}
	o := operation{URI: dmtfURI + class, Action: transferURI + "/Get", Selectors: map[string]string{"__cimnamespace": "root/cimv2"}}
	for _, name := range keys {
		o.Selectors[name] = "x"
	}
	if _, fault := mi.send(t, o); !strings.Contains(fault, "HRESULT 0x80041002") {
		t.Errorf("Get of a %s by PowerShell gave %.200s", class, fault)
	}
	o.Action, o.Body = transferURI+"/Put", fmt.Sprintf(`<q:%s xmlns:q="%s"/>`, class, o.URI)
	if _, fault := mi.send(t, o); !strings.Contains(fault, "HRESULT 0x80041024") {
		t.Errorf("Put of a %s by PowerShell gave %.200s", class, fault)
	}
}
