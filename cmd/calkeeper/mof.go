package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"calkeeper/internal/app"
	"calkeeper/internal/cim"
	"calkeeper/internal/tlswmiprov"
)

type mofCmd struct{}

// Help is shown by --help.
func (mofCmd) Help() string {
	return `Example:
  calkeeper mof > tlswmiprov.mof`
}

// Run prints the MOF.
func (mofCmd) Run(t *terminal) error {
	provider := &tlswmiprov.Provider{Version: app.Version}
	for _, namespace := range []func() (*cim.Namespace, error){provider.Namespace, provider.TerminalServices} {
		classes, err := namespace()
		if err != nil {
			return err
		}
		if err := classes.WriteMOF(t.out); err != nil {
			return err
		}
	}
	return nil
}

type versionCmd struct{}

// Help is shown by --help.
func (versionCmd) Help() string {
	return `Example:
  calkeeper version --output json`
}

// Run prints the version.
func (versionCmd) Run(t *terminal) error {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitempty"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	}{Version: app.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return t.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "calkeeper %s %s %s %s\n", v.Version, v.Revision, v.Go, v.Platform)
	})
}
