package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"calkeeper/internal/licensing"
)

// procfs reads a Linux process file system, see proc(5), at a path.
type procfs string

// Bounds of what is read of it.
const (
	maxStat      = 4 << 10
	maxCommand   = 32 << 10
	maxProcesses = 1 << 17
	maxWrappers  = 4 // scripts between pam_exec and the agent
)

// read returns at most so many bytes of a file.
func (p procfs) read(name string, most int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(p), name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// process is what tells a process from all others since the machine has started.
type process struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // clock ticks since the machine has started
	parent int
	name   string
	dead   bool // it has ended, and only its parent does not know yet
}

// process reads the state of a process.
func (p procfs) process(pid int) (process, error) {
	text, err := p.read(strconv.Itoa(pid)+"/stat", maxStat)
	if err != nil {
		return process{}, err
	}
	return parseStat(text)
}

// parseStat reads the text of a stat file: number, name in parentheses, state, parent, and the start time as the 22nd field. The
// name can be anything, parentheses and spaces too.
func parseStat(text []byte) (p process, err error) {
	opening, closing := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if opening < 1 || closing < opening {
		return p, errors.New("this is no state of a process: the name is missing")
	}
	fields := strings.Fields(string(text[closing+1:]))
	if len(fields) < 20 {
		return p, fmt.Errorf("this is no state of a process: %d fields follow the name", len(fields))
	}
	p.name = string(text[opening+1 : closing])
	p.dead = fields[0] == "Z" || fields[0] == "X" || fields[0] == "x"
	var errs [3]error
	p.PID, errs[0] = strconv.Atoi(strings.TrimSpace(string(text[:opening])))
	p.parent, errs[1] = strconv.Atoi(fields[1])
	p.Start, errs[2] = strconv.ParseUint(fields[19], 10, 64)
	return p, errors.Join(errs[:]...)
}

// lives tells whether the process that had been seen lives still.
func (p procfs) lives(seen process) bool {
	now, err := p.process(seen.PID)
	return err == nil && now.Start == seen.Start && !now.dead
}

// leader returns the process that called PAM: the parent of pam_exec's child, or further up if pam_exec has started a script.
// It lives as long as the session, as it must close it.
func (p procfs) leader(parent int) (process, error) {
	for range maxWrappers {
		environ, err := p.read(strconv.Itoa(parent)+"/environ", maxEnviron)
		if err != nil || !hookVariable(environ) {
			break
		}
		script, err := p.process(parent)
		if err != nil || script.parent <= 1 {
			break
		}
		parent = script.parent
	}
	return p.process(parent)
}

// bootID tells one start of the machine from others; empty if the system does not say.
func (p procfs) bootID() string {
	text, err := p.read("sys/kernel/random/boot_id", 64)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// pids returns the numbers of all processes, the newest first, as long as numbers have not begun anew.
func (p procfs) pids() ([]int, error) {
	d, err := os.Open(string(p))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxProcesses)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	slices.Reverse(pids)
	return pids, nil
}

// display is an X server that shows a session.
type display struct {
	name     string // such as ":10"
	user     string // whose it is; empty if it does not say
	orphaned bool   // it is not a child of a session of xrdp any more
}

// displays returns the X servers that run.
func (p procfs) displays() ([]display, error) {
	pids, err := p.pids()
	if err != nil {
		return nil, err
	}
	var found []display
	for _, pid := range pids {
		dir := strconv.Itoa(pid)
		command, err := p.read(dir+"/cmdline", maxCommand)
		if err != nil {
			continue // it has ended meanwhile
		}
		name := displayOf(command)
		if name == "" {
			continue
		}
		server, err := p.process(pid)
		if err != nil || server.dead {
			continue
		}
		parent, err := p.process(server.parent)
		d := display{name: name, orphaned: err != nil || !strings.HasPrefix(parent.name, "xrdp-ses")} // xrdp-sesman, or xrdp-sesexec since 0.10
		if environ, err := p.read(dir+"/environ", maxEnviron); err == nil {
			variables := strings.Split(string(environ), "\x00")
			if i := lastVariable(variables, "USER"); i >= 0 {
				d.user = variables[i][len("USER="):]
			}
		}
		found = append(found, d)
	}
	return found, nil
}

// displayOf returns the display that a command line starts an X server for, such as ":10"; empty if it starts none.
func displayOf(command []byte) string {
	args := strings.Split(string(command), "\x00")
	switch filepath.Base(args[0]) {
	case "X", "Xorg", "Xvnc", "Xtigervnc", "Xtightvnc":
	default:
		return ""
	}
	for _, arg := range args[1:] {
		if number, ok := strings.CutPrefix(arg, ":"); ok && isDigits(number) {
			return arg
		}
	}
	return ""
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// owns tells whether an X server can be the one of a user's session.
func (d *display) owns(session, user string) bool {
	if d.name != session {
		return false
	}
	mine, err := licensing.UserKey(d.user)
	if err != nil {
		return true // it does not say whose it is
	}
	theirs, err := licensing.UserKey(user)
	return err != nil || mine == theirs
}

// watched tells whether somebody looks at a display of xrdp: its socket has a connection.
func (p procfs) watched(name string) bool {
	text, err := p.read("net/unix", maxTable)
	if err != nil {
		return false
	}
	socket := "/xrdp_display_" + strings.TrimPrefix(name, ":")
	dirs := []string{"/run/xrdp/", "/var/run/xrdp/"}
	for line := range strings.Lines(string(text)) {
		// Num RefCount Protocol Flags Type St Inode Path: St 03 is a connection, 01 the listener.
		fields := strings.Fields(line)
		if len(fields) == 8 && fields[5] == "03" && strings.HasSuffix(fields[7], socket) &&
			slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(fields[7], dir) }) {
			return true
		}
	}
	return false
}
