package main

import (
	"context"
	"log/slog"
	"os"

	"calkeeper/internal/demo"
)

type demoCmd struct {
	Dir    string `help:"Keep everything in this empty directory, instead of a temporary one."`
	Listen string `help:"Serve WS-Management of the target here (host:port), instead of on a free loopback port."`
	JSON   string `name:"json" help:"Write addresses, passwords and unused license codes to this file when ready." placeholder:"FILE"`
	Exit   bool   `help:"End when everything was shown."`
}

// Help is shown by --help.
func (demoCmd) Help() string {
	return `Runs a clearinghouse and two license servers in this process, and performs both import methods over WS-Management.

Example:
  calkeeper demo --exit`
}

// Run runs the demo.
func (c *demoCmd) Run(ctx context.Context, log *slog.Logger) error {
	return demo.Run(ctx, demo.Options{Dir: c.Dir, Listen: c.Listen, JSON: c.JSON, Exit: c.Exit, Out: os.Stdout, Logger: log})
}
