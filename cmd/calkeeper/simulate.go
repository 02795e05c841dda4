package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"calkeeper/internal/licensing"
	"calkeeper/internal/simulation"
)

type simulateCmd struct {
	Devices    int           `default:"100" placeholder:"N" help:"Devices at the beginning. Default: ${default}."`
	Users      int           `default:"100" placeholder:"N" help:"Users at the beginning. Default: ${default}."`
	Days       int           `default:"365" placeholder:"N" help:"How many days to simulate. Default: ${default}."`
	Seed       uint64        `default:"1" placeholder:"N" help:"The same seed gives the same days. Default: ${default}."`
	DeviceCALs uint32        `name:"device-cals" default:"100" placeholder:"N" help:"Per device CALs that are installed; 0 for no such key pack. Default: ${default}."`
	UserCALs   uint32        `name:"user-cals" default:"100" placeholder:"N" help:"Per user CALs that are installed; 0 for no such key pack. Default: ${default}."`
	Version    hostVersion   `default:"ws2022" placeholder:"VERSION" help:"Of the session hosts and the CALs. Default: ${default}."`
	Start      date          `default:"2026-01-05" placeholder:"DATE" help:"The first day. Default: ${default}."`
	Logon      float64       `default:"0.8" placeholder:"PART" help:"Which part of the devices and users logs on on a weekday. Default: ${default}."`
	Weekend    float64       `default:"0.05" placeholder:"PART" help:"Which part logs on on a Saturday or Sunday. Default: ${default}."`
	Broken     float64       `default:"0.02" placeholder:"PART" help:"Which part of the logons breaks off before the user is authenticated. Default: ${default}."`
	Join       float64       `default:"0.03" placeholder:"PART" help:"Which part of the devices and users is new within 30 days. Default: ${default}."`
	Leave      float64       `default:"0.02" placeholder:"PART" help:"Which part leaves for good within 30 days. Default: ${default}."`
	Concurrent bool          `help:"CALs are used as long as a session lives, not for a term."`
	Session    time.Duration `default:"8h" placeholder:"TIME" help:"Mean length of a session. Default: ${default}."`
	overUseArguments
	CSV string `name:"csv" placeholder:"FILE" help:"Write the days to this file as well, as CSV."`
}

// Help is shown by --help.
func (simulateCmd) Help() string {
	return `Replays a farm, day by day, through what issues CALs in a license server, and shows how many were issued, available, over-used and denied. It calls no license server and changes nothing.

Example:
  calkeeper simulate --devices 250 --users 0 --device-cals 200 --days 365 --seed 7 --csv farm.csv`
}

// farm returns what to simulate.
func (c *simulateCmd) farm() (simulation.Farm, error) {
	f := simulation.Farm{
		Devices: c.Devices, Users: c.Users, DeviceCALs: c.DeviceCALs, UserCALs: c.UserCALs, Days: c.Days, Seed: c.Seed, Start: c.Start.Time,
		Version: licensing.ProductVersion(c.Version), Logon: c.Logon, Weekend: c.Weekend, Broken: c.Broken, Join: c.Join, Leave: c.Leave,
		Concurrent: c.Concurrent, Session: c.Session,
	}
	var err error
	if f.OverUse, err = c.policy(); err != nil {
		return f, err
	}
	if err := f.Check(); err != nil {
		return f, usagef("%s", licensing.Message(err))
	}
	return f, nil
}

// Run simulates.
func (c *simulateCmd) Run(ctx context.Context, t *terminal) (err error) {
	farm, err := c.farm()
	if err != nil {
		return err
	}
	var csv *os.File
	if c.CSV != "" {
		// Before the work, which may be long: a file that cannot be written is better known now.
		if csv, err = os.Create(c.CSV); err != nil {
			return usageError{err}
		}
		defer func() { err = errors.Join(err, csv.Close()) }()
	}
	result, err := simulation.Run(ctx, farm, t.progressBar("simulating", farm.Days))
	if errors.Is(err, context.Canceled) && len(result.Days) > 0 {
		err = fmt.Errorf("interrupted after %d of %d days", len(result.Days), farm.Days)
	} else if err != nil {
		return err
	}
	if csv != nil {
		err = errors.Join(err, result.WriteCSV(csv))
	}
	return errors.Join(t.showSimulation(result), err)
}

func (t *terminal) showSimulation(result simulation.Result) error {
	if t.json {
		return t.print(result, nil)
	}
	width, _, err := term.GetSize(int(t.out.Fd()))
	if err != nil {
		width = 0 // no terminal
	}
	return result.WriteTable(t.out, width)
}

// progressBar returns a function that shows how far something is, on a terminal only; nil if there is none.
func (t *terminal) progressBar(what string, most int) func(done, of int) {
	if !term.IsTerminal(int(t.err.Fd())) {
		return nil
	}
	bar := progressbar.NewOptions(most, progressbar.OptionSetWriter(t.err), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
	return func(done, _ int) {
		// A bar that cannot be drawn is no reason to stop.
		_ = bar.Set(done)
	}
}
