package tlswmiprov_test

import (
	"os"
	"strings"
	"testing"
)

// TestMOF holds the MOF of the classes against testdata/tlswmiprov.mof, which python3 testdata/compile_mof.py has compiled
// with pywbem's MOF compiler: whoever changes the one compiles the other again.
func TestMOF(t *testing.T) {
	var b strings.Builder
	if err := namespace(t).WriteMOF(&b); err != nil {
		t.Fatal(err)
	}
	if name := os.Getenv("CALKEEPER_WRITE_MOF"); name != "" {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/tlswmiprov.mof")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(want), "\n")
	for n, line := range strings.Split(b.String(), "\n") {
		if n >= len(lines) || line != lines[n] {
			t.Fatalf("line %d of the MOF differs from testdata/tlswmiprov.mof: %s\n"+
				"If that is right, CALKEEPER_WRITE_MOF=testdata/tlswmiprov.mof writes the file; then compile it.", n+1, line)
		}
	}
	if len(lines) != strings.Count(b.String(), "\n")+1 {
		t.Error("testdata/tlswmiprov.mof has more lines than the MOF")
	}
}
