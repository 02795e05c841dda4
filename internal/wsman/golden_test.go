package wsman_test

import (
	"context"
	"flag"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman"
)

var update = flag.Bool("update", false, "rewrite the golden replies, and the table of faults in docs/protocol.md")

type (
	keyPack struct {
		KeyPackID      uint32       `cim:"KeyPackId,key"`
		Description    string       `cim:"Description"`
		KeyPackType    kind         `cim:"KeyPackType"`
		ExpirationDate cim.Datetime `cim:"ExpirationDate"`
		TotalLicenses  uint32       `cim:"TotalLicenses"`
		Hosts          []string     `cim:"Hosts,write"`
	}

	report struct {
		FileName string `cim:"FileName,key"`
		Complete bool   `cim:"Complete"`
	}

	installPackIn struct {
		AgreementType uint32 `cim:"AgreementType"`
		LicenseCount  uint32 `cim:"LicenseCount"`
	}

	installPackOut struct {
		KeyPackID uint32 `cim:"KeyPackId"`
	}
)

// recorded returns classes under the names that the recorded requests ask for.
func recorded(tb testing.TB) *cim.Namespace {
	tb.Helper()
	packs := []keyPack{
		{KeyPackID: 2, Description: "A02-6.0-S", KeyPackType: 1, ExpirationDate: cim.NewDatetime(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)), TotalLicenses: 4294967295},
		{KeyPackID: 3, TotalLicenses: 5, Hosts: []string{"a", "<b>"}},
	}
	returnValue := func(_ context.Context, _ string, err error) uint32 {
		if err != nil {
			return 0x80041001
		}
		return 0
	}
	keyPacks, err := cim.Define[keyPack]("Win32_TSLicenseKeyPack", cim.Provided("TlsWmiProv"),
		cim.Gets(func(_ context.Context, key keyPack) (keyPack, error) {
			for _, p := range packs {
				if p.KeyPackID == key.KeyPackID {
					return p, nil
				}
			}
			return keyPack{}, cim.Errorf(cim.StatusNotFound, "there is no key pack %d", key.KeyPackID)
		}),
		cim.Enumerates(func(context.Context) iter.Seq2[keyPack, error] {
			return func(yield func(keyPack, error) bool) {
				for _, p := range packs {
					if !yield(p, nil) {
						return
					}
				}
			}
		}),
		cim.ReturnValues(returnValue),
		cim.StaticMethod("InstallLicenseKeyPack", func(_ context.Context, in installPackIn) (installPackOut, error) {
			return installPackOut{in.LicenseCount + 12}, nil
		}))
	must(tb, err)
	reports, err := cim.Define[report]("Win32_TSLicenseReport", cim.Provided("TlsWmiProv"),
		cim.Gets(func(_ context.Context, r report) (report, error) { return r, nil }),
		cim.ReturnValues(returnValue),
		cim.InstanceMethod("FetchReportEntries", func(_ context.Context, r report, _ nothing) (entriesOut, error) {
			when := cim.NewDatetime(time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC))
			return entriesOut{Entries: []entry{{User: `CORP\ann`, CALs: 1, When: when}, {}}, First: entry{User: r.FileName}}, nil
		}))
	must(tb, err)
	ns, err := cim.NewNamespace("root/cimv2", keyPacks, reports)
	must(tb, err)
	return ns
}

// TestGolden answers requests as they were recorded from clients, or written down from their traces.
func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
	}{
		{"pywinrm-get", 200},
		{"pywinrm-invoke-unknown-method", 500},
		{"masterzen-get-without-key", 500},
		{"powershell-get-ciminstance", 200},
		{"powershell-class-fetch", 200},
		{"powershell-fault", 500},
		{"winrm-fault", 500},
		{"winrm-projection", 200},
		{"winrm-embedded-instances", 200},
		{"wsman-invoke", 200},
		{"wsman-identify", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := os.ReadFile("testdata/golden/" + test.name + ".request.xml")
			must(t, err)
			s := server(t, newWorld(0), func(o *wsman.Options) {
				o.Namespaces = []*cim.Namespace{recorded(t)}
				o.Rand = &counting{}
			})
			r := httptest.NewRequest(http.MethodPost, "/wsman", strings.NewReader(string(request)))
			r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
			r.SetBasicAuth("alice", "Secret1!")
			got := serve(t, s, r)
			if got.status != test.status {
				t.Errorf("status %d, want %d", got.status, test.status)
			}
			file := "testdata/golden/" + test.name + ".reply.xml"
			if *update {
				must(t, os.WriteFile(file, []byte(got.raw+"\n"), 0o644))
			}
			want, err := os.ReadFile(file)
			must(t, err)
			if got.raw+"\n" != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got.raw, want)
			}
		})
	}
}
