package agent_test

import (
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/agent"
	"calkeeper/internal/licensing"
)

func TestParseEnvironment(t *testing.T) {
	good := agent.Environment{Type: "account", User: "ada", Service: "xrdp-sesman", TTY: ":10", RHost: "192.0.2.7"}
	without := func(f func(*agent.Environment)) agent.Environment { e := good; f(&e); return e }
	for name, c := range map[string]struct {
		environ []string
		want    agent.Environment
	}{
		"pam_exec": {environ("account", "ada", ":10", "192.0.2.7"), good},
		"what the user collected before": {
			append([]string{"PAM_USER=root", "PAM_RHOST=203.0.113.1", "PAM_TYPE=close_session", "PAM_SERVICE=su"}, environ("account", "ada", ":10", "192.0.2.7")...), good,
		},
		"an address that only the user names": {
			append([]string{"PAM_RHOST=203.0.113.1"}, environ("account", "ada", ":10", "")...), without(func(e *agent.Environment) { e.RHost = "" }),
		},
		"another order": {
			[]string{"PAM_TYPE=account", "PAM_RHOST=192.0.2.7", "PAM_USER=grace", "PAM_USER=ada", "PAM_TTY=:10", "PAM_SERVICE=xrdp-sesman"}, good,
		},
		"variables that cannot be right": {
			[]string{"PAM_SERVICE=a\x1bb", "PAM_USER=ada", "PAM_TTY= :10", "PAM_RHOST=" + strings.Repeat("x", 2000), "PAM_TYPE=account"},
			agent.Environment{Type: "account", User: "ada"},
		},
		"nothing but what is needed": {[]string{"PAM_USER=ada", "PAM_TYPE=account"}, agent.Environment{Type: "account", User: "ada"}},
		"a domain":                   {environ("account", `EXAMPLE\ada`, ":10", "192.0.2.7"), without(func(e *agent.Environment) { e.User = `EXAMPLE\ada` })},
	} {
		got, err := agent.ParseEnvironment(c.environ)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for name, environ := range map[string][]string{
		"nothing": nil, "no user": {"PAM_TYPE=account"}, "no type": {"PAM_USER=ada"}, "names only": {"PAM_USER", "PAM_TYPE"},
		"auth": environ("auth", "ada", "", ""), "setcred": environ("setcred", "ada", "", ""), "password": environ("password", "ada", "", ""),
	} {
		if e, err := agent.ParseEnvironment(environ); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s: %+v, %v; want a Fault of kind Invalid", name, e, err)
		}
	}
}

// FuzzEnvironment feeds anything: what comes out is fit for a log and for the license server, and comes from PAM.
func FuzzEnvironment(f *testing.F) {
	for _, e := range [][]string{
		environ("account", "ada", ":10", "192.0.2.7"), environ("open_session", `A\b`, "", ""), {"PAM_USER=", "PAM_TYPE=account"},
		{"PAM_SERVICE=x", "PAM_USER=a", "PAM_SERVICE=y", "PAM_USER=b", "PAM_TYPE=account"}, {"=", "", "PAM_TYPE=account\x00"},
	} {
		f.Add(strings.Join(e, "\x00"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := strings.Split(text, "\x00")
		e, err := agent.ParseEnvironment(list)
		if err != nil {
			if (e != agent.Environment{}) || licensing.KindOf(err) != licensing.Invalid {
				t.Fatalf("%+v, %v", e, err)
			}
			return
		}
		if _, err := licensing.UserKey(e.User); err != nil {
			t.Fatalf("the user %q: %v", e.User, err)
		}
		for name, v := range map[string]string{"PAM_USER": e.User, "PAM_TTY": e.TTY, "PAM_RHOST": e.RHost, "PAM_SERVICE": e.Service, "PAM_TYPE": e.Type} {
			if licensing.CheckSession(v) != nil && name != "PAM_USER" {
				t.Fatalf("%s is %q", name, v)
			}
			if v != "" && !slices.Contains(list, name+"="+v) {
				t.Fatalf("%s is %q, which nobody has said", name, v)
			}
		}
	})
}
