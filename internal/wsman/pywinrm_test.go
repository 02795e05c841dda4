package wsman_test

import (
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestPywinrm runs pywinrm, of Debian's package python3-winrm, against the server.
func TestPywinrm(t *testing.T) {
	web := httptest.NewServer(server(t, newWorld(5), nil))
	defer web.Close()
	c := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/pywinrm.py", web.URL+"/wsman")
	output, err := c.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			t.Fatalf("%v (this test needs the Debian package python3-winrm)\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var got struct {
		Get      map[string]string
		Items    []map[string]string
		Pulls    int
		Invoke   map[string]string
		Fault    string
		Timeout  bool
		Rejected bool
	}
	must(t, json.Unmarshal(output, &got))
	if got.Get["PackId"] != "2" || got.Get["Description"] != "Pack <2>" || got.Get["Total"] != "4294967295" {
		t.Errorf("Get: %v", got.Get)
	}
	if len(got.Items) != 5 || got.Pulls != 2 || got.Items[4]["PackId"] != "6" || got.Items[4]["Description"] != "Pack <6>" {
		t.Errorf("%d pulls: %v", got.Pulls, got.Items)
	}
	if got.Invoke["KeyPackId"] != "17" || got.Invoke["ReturnValue"] != "0" {
		t.Errorf("Invoke: %v", got.Invoke)
	}
	for _, want := range []string{"there is no pack 29", "'wsmanfault_code': '2150858752'", "'fault_code': 's:Sender'", "'fault_subcode': 'a:DestinationUnreachable'", "'http_status_code': 500"} {
		if !strings.Contains(got.Fault, want) {
			t.Errorf("%q is not in the fault %q", want, got.Fault)
		}
	}
	if !got.Timeout {
		t.Error("pywinrm did not take the fault TimedOut for a timeout")
	}
	if !got.Rejected {
		t.Error("pywinrm did not take 401 for wrong credentials")
	}
}
