package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// sessionHost is a session host that asks the target for CALs.
type sessionHost struct {
	wire.NewHost
	token string
	api   *client.Client
}

// issue registers session hosts on the target and asks for a CAL of each kind, as they would: over the network, with tokens.
func (d *demo) issue(ctx context.Context) error {
	d.say("\n6. Session hosts are registered on the target, and ask it for CALs at %s:\n", d.target.APIURL())
	admin, err := client.New(client.Options{URL: d.target.APIURL(), User: administrator, Password: d.target.password})
	if err != nil {
		return err
	}
	defer admin.Close()
	// Before a logon, and when it is complete.
	request, validate := (*client.Client).Request, (*client.Client).Validate
	w := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "     Session host\tVersion, mode\tFor\tOutcome\tCAL")
	for _, host := range []struct {
		wire.NewHost
		steps []step
	}{
		{wire.NewHost{Name: "rds1.farm.example", ProductVersion: "ws2022", Mode: "per-user"}, []step{
			{request, wire.Request{User: `FARM\ada`}}, {request, wire.Request{User: "grace@farm.example"}}, {request, wire.Request{User: "ada@farm.example"}},
		}},
		{wire.NewHost{Name: "rds2.farm.example", ProductVersion: "ws2016", Mode: "per-device"}, []step{
			{request, ofDevice("DESK1")}, {validate, ofDevice("DESK1")}, {request, ofDevice("DESK1")}, {request, ofDevice("DESK2")},
		}},
		{wire.NewHost{Name: "lab1.farm.example", ProductVersion: "ws2016", Mode: "per-device", Concurrent: true}, []step{{validate, ofDevice("LAB1")}}},
		{wire.NewHost{Name: "rds3.farm.example", ProductVersion: "ws2025", Mode: "per-user"}, []step{{request, wire.Request{User: `FARM\linus`}}}},
		{wire.NewHost{Name: "lab2.farm.example", ProductVersion: "ws2022", Mode: "per-device", Concurrent: true}, []step{{request, ofDevice("LAB2")}}},
	} {
		h, err := d.target.register(ctx, admin, host.NewHost)
		if err != nil {
			return err
		}
		if d.sessionHost == nil {
			d.sessionHost = h // counts by user, and the target has CALs left for it
		}
		for _, s := range host.steps {
			if err := s.show(ctx, w, h); err != nil {
				return err
			}
		}
		h.api.Close()
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return d.counters(ctx, admin)
}

// register adds a session host and returns it, with a client that has its token.
func (m *member) register(ctx context.Context, admin *client.Client, h wire.NewHost) (*sessionHost, error) {
	added, err := admin.AddHost(ctx, h)
	if err != nil {
		return nil, err
	}
	api, err := client.New(client.Options{URL: m.APIURL(), Token: added.Token})
	return &sessionHost{h, added.Token, api}, err
}

// step is one request of a session host.
type step struct {
	do func(*client.Client, context.Context, wire.Request, string) (wire.Answer, error)
	wire.Request
}

func ofDevice(name string) wire.Request {
	return wire.Request{User: `FARM\guest`, Device: &wire.Device{ID: "hw:" + name, Name: name}, Session: ":" + name}
}

// show asks, and shows in one line what came of it. A denial is shown as well.
func (s step) show(ctx context.Context, w io.Writer, h *sessionHost) error {
	mode, who := h.Mode, s.User
	if h.Concurrent {
		mode += ", concurrent"
	}
	if s.Device != nil {
		who = s.Device.Name
	}
	a, err := s.do(h.api, ctx, s.Request, "")
	outcome, result := a.Outcome, ""
	if reason := licensing.DenialReason(""); errors.As(err, &reason) {
		outcome, result = "denied", string(reason)
	} else if err != nil {
		return err
	} else {
		l := a.License
		result = fmt.Sprintf("%d: %s, key pack %d, until %s", l.ID, l.Status, l.KeyPackID, l.Expires.Local().Format(time.DateOnly))
		if a.OverUsed {
			result += ", over-used"
		}
	}
	_, err = fmt.Fprintf(w, "     %s\t%s, %s\t%s\t%s\t%s\n", h.Name, h.ProductVersion, mode, who, outcome, result)
	return err
}

// counters shows what the target counts.
func (d *demo) counters(ctx context.Context, admin *client.Client) error {
	counters, err := admin.Counters(ctx)
	if err != nil {
		return err
	}
	d.say("   %s counts:\n", d.target.name)
	w := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "     CALs\tInstalled\tIssued\tAvailable\tOver-used\tTemporary\tDenied")
	for _, c := range counters.Counters {
		fmt.Fprintf(w, "     %s, %s\t%d\t%d\t%d\t%d\t%d\t%d\n", c.ProductVersion, c.Type, c.Installed, c.Issued, c.Available, c.OverUsed, c.Temporary, c.Denied)
	}
	return w.Flush()
}
