package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"calkeeper/internal/agent"
)

type agentCmd struct {
	PAM  agentPAMCmd  `cmd:"" name:"pam" help:"Ask for, validate and release a CAL when pam_exec calls."`
	Reap agentReapCmd `cmd:"" help:"Tell the license server which sessions live, and which have ended without a word."`
}

// Help is shown by --help.
func (agentCmd) Help() string {
	return `What runs on a session host that uses PAM, such as xrdp. The session host is registered with calkeeper host add.

Example:
  calkeeper agent reap --config /etc/calkeeper/agent.toml --every 1m`
}

// agentConfig says where the agent's configuration is. No environment variable does: whoever logs on may have a say in that
// of pam_exec.
type agentConfig struct {
	Config string `default:"/etc/calkeeper/agent.toml" placeholder:"FILE" help:"The agent's configuration. Default: ${default}."`
}

type agentPAMCmd struct{ agentConfig }

// Help is shown by --help.
func (agentPAMCmd) Help() string {
	return `pam_exec calls it in the account and session phases, and the environment says in which: PAM_TYPE, PAM_USER, PAM_TTY, PAM_RHOST. It answers within 2 seconds. An exit code other than 0 refuses the logon.

Example, in /etc/pam.d/xrdp-sesman (deny-all.conf holds "-:ALL:ALL"; docs/session-hosts.md has it all):
  account [success=1 default=ignore] pam_exec.so stdout quiet /usr/local/bin/calkeeper agent pam
  account requisite pam_access.so accessfile=/etc/calkeeper/deny-all.conf
  session required pam_exec.so stdout quiet /usr/local/bin/calkeeper agent pam

Example, by hand:
  calkeeper agent pam --config /etc/calkeeper/agent.toml`
}

// Run answers one call of pam_exec.
func (c *agentPAMCmd) Run(ctx context.Context, t *terminal) error {
	environ := agent.TakeEnviron()
	code := agent.PAM(ctx, agent.Hook{ConfigPath: c.Config, Environ: environ, Parent: os.Getppid(), Stdout: t.out})
	if code != exitOK {
		return exitCode(code)
	}
	return nil
}

type agentReapCmd struct {
	agentConfig
	Every time.Duration `placeholder:"TIME" help:"Do it again and again with this time between; without it, once."`
}

// Help is shown by --help.
func (agentReapCmd) Help() string {
	return `Compares the leases that the license server has of this session host with the sessions that live: those are renewed, the others are released.

Example:
  calkeeper agent reap --every 1m`
}

// Run reaps.
func (c *agentReapCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	if c.Every < 0 {
		return usagef("--every is %s; it must be more than 0", c.Every)
	}
	config, err := agent.LoadConfig(c.Config)
	if err != nil {
		return usageError{err}
	}
	a, err := agent.New(config, agent.Options{})
	if err != nil {
		return usageError{err}
	}
	if c.Every == 0 {
		_, err := a.Reap(ctx, t.out)
		return fromAPI(err, "url in "+c.Config)
	}
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		// The license server may be away for a while: the next time does what this one could not.
		if _, err := a.Reap(ctx, t.out); err != nil && ctx.Err() == nil {
			log.Error("reaping failed", "error", err, "next", c.Every)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
