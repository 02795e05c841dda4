// Command calkeeper is a Remote Desktop license server, its clearinghouse, and the command line of both. This package holds
// flags and subcommands; what they do is in the internal packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"calkeeper/internal/app"
)

// cli is the whole command line.
type cli struct {
	Output          string `enum:"table,json" default:"table" env:"CALKEEPER_OUTPUT" placeholder:"FORMAT" help:"Print a table, or json."`
	app.LogSettings `embed:""`

	Serve         serveCmd         `cmd:"" help:"Run a license server."`
	Account       accountCmd       `cmd:"" help:"Accounts of a license server."`
	Audit         auditCmd         `cmd:"" help:"Who has done what: list, verify and export the audit log."`
	Clearinghouse clearinghouseCmd `cmd:"" help:"Run a clearinghouse, and what its operator does: sell, approve, look at the ledger."`
	Activate      activateCmd      `cmd:"" help:"Activate, reactivate or deactivate a license server."`
	Keypack       keypackCmd       `cmd:"" help:"List, install, import, convert and remove license key packs, and set their policies."`
	Host          hostCmd          `cmd:"" help:"Register, list and remove the session hosts that may ask for CALs."`
	CAL           calCmd           `cmd:"" name:"cal" help:"List, revoke and release the CALs that are issued, and count them."`
	Report        reportCmd        `cmd:"" help:"License usage reports: make, list, show, export and delete them."`
	Denials       denialsCmd       `cmd:"" help:"List the requests for CALs that were denied."`
	Acquire       acquireCmd       `cmd:"" help:"On a session host: ask for a CAL."`
	Validate      validateCmd      `cmd:"" help:"On a session host: say that a logon is complete."`
	Release       releaseCmd       `cmd:"" help:"On a session host: say that a session has ended."`
	Agent         agentCmd         `cmd:"" help:"On a session host with PAM: ask for CALs from pam_exec, and reap dead sessions."`
	Simulate      simulateCmd      `cmd:"" help:"Replay a farm day by day, to plan how many CALs it needs."`
	Verify        verifyCmd        `cmd:"" help:"Check the evidence of every key pack of a license server that is not running."`
	Demo          demoCmd          `cmd:"" help:"Show everything in one process: a clearinghouse, two license servers, both imports."`
	MOF           mofCmd           `cmd:"" name:"mof" help:"Print the classes as MOF."`
	Version       versionCmd       `cmd:"" help:"Print the version."`
}

const description = `An open Remote Desktop license server, served over WS-Management as Windows does it. The licenses are its own: it makes and takes none of Microsoft's.

Exit codes:
  0  done
  1  failure
  2  wrong usage: a flag, an argument or the configuration
  3  the server refused (ReturnValue, fault)
  4  the server cannot be reached
  5  access denied, or user or password wrong
  6  the verification, or the check of the ledger, found something wrong
  7  no license: the request for a CAL was denied

Example:
  calkeeper demo --exit`

// Help is shown by --help.
func (cli) Help() string { return description }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func newParser(c *cli, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(c, kong.Name("calkeeper"), kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}))
}

// run runs one command line and returns the exit code.
func run(args []string, stdin, stdout, stderr *os.File) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var c cli
	parser, err := newParser(&c, stdout, stderr)
	if err != nil {
		return report(stderr, err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return report(stderr, usage(err))
	}
	logs, err := c.LogSettings.Resolve(slog.LevelWarn)
	if err != nil {
		return report(stderr, usageError{err})
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(logs.Logger(stderr), c.LogSettings, &terminal{in: stdin, out: stdout, err: stderr, json: c.Output == "json"})
	return report(stderr, parsed.Run())
}

// report prints an error and returns the exit code for it.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	code, advice := outcome(err)
	fmt.Fprintf(stderr, "calkeeper: %v\n", err)
	if advice != "" {
		fmt.Fprintln(stderr, advice)
	}
	return code
}
