package agent

import (
	"bytes"
	"os"
	"slices"
	"strings"

	"calkeeper/internal/licensing"
)

// hookType is what PAM is about to do: the values of PAM_TYPE that the agent knows.
type hookType string

const (
	account      hookType = "account"
	openSession  hookType = "open_session"
	closeSession hookType = "close_session"
)

// Environment is what PAM says of a logon, checked.
type Environment struct {
	Type    string // account, open_session or close_session
	User    string
	Service string // may be empty
	TTY     string // may be empty
	RHost   string // the client, as the remote desktop server gave it; may be empty
}

// Bounds of an environment.
const (
	maxEnviron  = 4 << 20 // bytes
	maxVariable = 1024    // bytes of one of PAM's variables: none of them may be as long
)

// TakeEnviron returns the environment of this process as the kernel has it, and clears it. Go's own view hides the later of two
// variables of one name; and pam_exec hands over what the PAM modules have collected, which can come from the user: neither
// HTTPS_PROXY nor SSL_CERT_FILE may reach the connection to the license server.
func TakeEnviron() []string {
	environ := os.Environ()
	if text, err := procfs("/proc").read("self/environ", maxEnviron); err == nil {
		environ = strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	}
	os.Clearenv()
	return environ
}

// ParseEnvironment finds what PAM says among the variables, and checks it. pam_exec appends PAM's own variables, from
// PAM_SERVICE to PAM_TYPE, to those that the PAM modules have collected, so that only the last ones count: an earlier PAM_RHOST,
// for example, is a user's invention. A Fault of kind Invalid says what is wrong; without user and type there is no answer,
// other variables that cannot be right are taken for missing.
func ParseEnvironment(environ []string) (Environment, error) {
	if i := lastVariable(environ, "PAM_SERVICE"); i >= 0 && len(environ) > 0 && strings.HasPrefix(environ[len(environ)-1], "PAM_TYPE=") {
		environ = environ[i:]
	}
	get := func(name string) string {
		if i := lastVariable(environ, name); i >= 0 {
			return environ[i][len(name)+1:]
		}
		return ""
	}
	e := Environment{Type: get("PAM_TYPE"), User: get("PAM_USER"), Service: get("PAM_SERVICE"), TTY: get("PAM_TTY"), RHost: get("PAM_RHOST")}
	switch hookType(e.Type) {
	case account, openSession, closeSession:
	case "":
		return Environment{}, licensing.Faultf(licensing.Invalid, "PAM_TYPE is missing: this command is for pam_exec, in the account and session stacks of a service")
	case "auth", "setcred", "password":
		// Who puts the agent there, as sufficient perhaps, must not have opened a door.
		return Environment{}, licensing.Faultf(licensing.Invalid, "the agent belongs into the account and session stacks of the service, not into %s", e.Type)
	default:
		return Environment{}, licensing.Faultf(licensing.Invalid, "PAM_TYPE is none that PAM has: account, open_session and close_session are right")
	}
	if len(e.User) > maxVariable {
		return Environment{}, licensing.Faultf(licensing.Invalid, "PAM_USER has %d bytes; a user's name has at most %d characters", len(e.User), licensing.MaxUserLength)
	}
	if _, err := licensing.UserKey(e.User); err != nil {
		return Environment{}, licensing.Faultf(licensing.Invalid, "PAM_USER: %s", licensing.Message(err))
	}
	for _, v := range []*string{&e.Service, &e.TTY, &e.RHost} {
		if len(*v) > maxVariable || licensing.CheckSession(*v) != nil {
			*v = ""
		}
	}
	return e, nil
}

// lastVariable returns the index of the last variable of that name, -1 if there is none.
func lastVariable(environ []string, name string) int {
	for i, v := range slices.Backward(environ) {
		if strings.HasPrefix(v, name) && len(v) > len(name) && v[len(name)] == '=' {
			return i
		}
	}
	return -1
}

// hookVariable tells whether the environment of a process, as /proc has it, is one that pam_exec has made.
func hookVariable(environ []byte) bool {
	return bytes.HasPrefix(environ, []byte("PAM_TYPE=")) || bytes.Contains(environ, []byte("\x00PAM_TYPE="))
}
