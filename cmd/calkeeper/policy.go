package main

import (
	"context"
	"fmt"
	"io"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// overUseArguments say what happens when more per user CALs are asked for than there are.
type overUseArguments struct {
	OverUse    string `enum:"allow,deny" default:"allow" placeholder:"POLICY" help:"What happens when more per user CALs are asked for than there are: allow or deny. Default: ${default}."`
	DenyBeyond uint32 `placeholder:"PERCENT" help:"With --over-use deny: up to how many percent of the CALs are issued. Default: 100, which allows none."`
}

// policy returns the policy that the arguments spell out.
func (a *overUseArguments) policy() (licensing.OverUse, error) {
	return overUse(a.OverUse, 0, a.DenyBeyond)
}

// overUse returns a policy from what flags say.
func overUse(policy string, warnAt, denyBeyond uint32) (licensing.OverUse, error) {
	o := licensing.OverUse{Policy: licensing.OverUsePolicy(policy), WarnAt: warnAt, DenyBeyond: denyBeyond}
	switch {
	case policy == "default":
		o.Policy = licensing.DefaultOverUse
	case o.Policy == licensing.DenyOverUse && denyBeyond == 0:
		o.DenyBeyond = 100
	}
	if o.DenyBeyond != 0 && o.Policy != licensing.DenyOverUse {
		return o, usagef("--deny-beyond goes with --over-use deny")
	}
	if err := o.Check(licensing.PerUser); err != nil {
		return o, usagef("%s", licensing.Message(err))
	}
	return o, nil
}

type keypackPolicyCmd struct {
	connection
	ID         uint32 `arg:"" help:"KeyPackId."`
	OverUse    string `enum:"allow,deny,default" required:"" placeholder:"POLICY" help:"What happens when more of its CALs are asked for than there are: allow, deny, or default for what the license server's configuration says."`
	WarnAt     uint32 `placeholder:"PERCENT" help:"Warn, in answers and events, when so many percent of the CALs are issued. Default: never."`
	DenyBeyond uint32 `placeholder:"PERCENT" help:"With --over-use deny: up to how many percent of the CALs are issued. Default: 100, which allows none."`
}

// Help is shown by --help.
func (keypackPolicyCmd) Help() string {
	return `Only per user CALs are over-used; of per device CALs no more are issued than there are, whatever the policy.

Example:
  calkeeper keypack policy 3 --over-use deny --warn-at 90 --deny-beyond 110`
}

// Run sets the policy.
func (c *keypackPolicyCmd) Run(ctx context.Context, t *terminal) error {
	policy, err := overUse(c.OverUse, c.WarnAt, c.DenyBeyond)
	if err != nil {
		return err
	}
	return c.ask(ctx, t, func(api *client.Client) error {
		if err := api.SetOverUse(ctx, c.ID, wire.OverUse{Policy: string(policy.Policy), WarnAt: policy.WarnAt, DenyBeyond: policy.DenyBeyond}); err != nil {
			return err
		}
		return t.print(struct {
			KeyPackID uint32            `json:"KeyPackId"`
			OverUse   licensing.OverUse `json:"overUse"`
		}{c.ID, policy}, func(w io.Writer) { fmt.Fprintf(w, "key pack %d: %s\n", c.ID, policyText(policy)) })
	})
}

// policyText says a policy in words.
func policyText(o licensing.OverUse) string {
	text := map[licensing.OverUsePolicy]string{
		licensing.DefaultOverUse: "over-use as the license server's configuration says",
		licensing.AllowOverUse:   "over-use is allowed",
		licensing.DenyOverUse:    fmt.Sprintf("over-use is denied beyond %d %% of the CALs", o.DenyBeyond),
	}[o.Policy]
	if o.WarnAt > 0 {
		text += fmt.Sprintf(", with a warning at %d %%", o.WarnAt)
	}
	return text
}
