package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

const (
	hookLimit  = 1900 * time.Millisecond // after which a hook has answered: servers call PAM for one user after the other
	retryPause = 100 * time.Millisecond  // before a license server that has refused the connection, as it starts perhaps, is asked again
	logonLife  = 10 * time.Minute        // within which a session follows its account phase
	maxDetail  = 400                     // characters of what the license server says
)

// Hook is one call of pam_exec.
type Hook struct {
	ConfigPath string   // empty: DefaultConfigPath
	Environ    []string // see TakeEnviron
	Parent     int      // the parent's process number
	Stdout     io.Writer
	Options
}

// verdict is what a hook answers.
type verdict struct {
	code int
	line string // empty: there is nothing to say
}

// PAM answers one call of pam_exec: account asks whether the user may log on, open_session says that the session is there,
// close_session that it is over. It writes at most one line, for the log of the remote desktop server, and returns the exit
// code within 2 seconds, whatever the license server, the name service or the disk do. The caller must end the process then.
func PAM(ctx context.Context, h Hook) int {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, hookLimit)
	defer cancel()
	verdicts, done := make(chan verdict, 1), make(chan struct{})
	go func() {
		defer close(done)
		h.run(ctx, started, func(v verdict) { verdicts <- v })
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	v := verdict{ExitUnreachable, "No license: there was no answer within the time that a logon may take"}
	select {
	case v = <-verdicts: // what comes after the verdict may be cut off
	default:
	}
	if v.line != "" {
		fmt.Fprintln(h.Stdout, v.line)
	}
	return v.code
}

// run finds the verdict and gives it once, as soon as it is certain.
func (h *Hook) run(ctx context.Context, started time.Time, decide func(verdict)) {
	e, err := ParseEnvironment(h.Environ)
	if err != nil {
		decide(verdict{ExitUsage, "calkeeper: " + licensing.Message(err)})
		return
	}
	path := h.ConfigPath
	if path == "" {
		path = DefaultConfigPath
	}
	c, err := LoadConfig(path)
	if err != nil {
		decide(verdict{ExitUsage, "calkeeper: " + oneLine(err.Error())})
		return
	}
	if slices.Contains(c.ExemptUsers, e.User) {
		decide(verdict{code: ExitAllowed})
		return
	}
	a, err := New(c, h.Options)
	if err != nil {
		decide(verdict{ExitUsage, "calkeeper: " + oneLine(err.Error())})
		return
	}
	asking, cancel := context.WithDeadline(ctx, started.Add(c.Timeout))
	defer cancel()
	switch hookType(e.Type) {
	case account:
		a.account(asking, e, h.Parent, decide)
	case openSession:
		decide(a.openSession(asking, e, h.Parent))
	case closeSession:
		decide(a.closeSession(asking, e, h.Parent))
	}
}

// account asks for a CAL for a logon that is not complete. It can be called again for the same logon, and is called for every
// connection to a session that is there already.
func (a *Agent) account(ctx context.Context, e Environment, parent int, decide func(verdict)) {
	d, unknown := a.device(ctx, e, parent)
	var answer wire.Answer
	err := a.ask(ctx, func(key string) (err error) {
		answer, err = a.server.Request(ctx, wire.Request{
			User: e.User, Device: sent(d), Provisional: true, Receipt: a.config.Offline > 0,
		}, key)
		return err
	})
	now := a.now()
	logon := logonRecord{User: e.User, Device: d, At: now}
	switch {
	case err == nil:
		v := verdict{code: ExitAllowed}
		r := receiptRecord{User: e.User, Device: d, Type: answer.License.Type, At: now, Receipt: answer.Receipt}
		useless := a.verify(&r, now)
		if useless != nil && a.config.Offline > 0 {
			v.line = fmt.Sprintf("calkeeper: %s could not log on while the license server cannot be reached: %v", e.User, useless)
		}
		decide(v)
		// What follows cannot take the answer back. A session that finds no logon is confirmed without.
		_ = errors.Join(a.state.put(logonsRoom, logonName(e.User, d), logon), a.move(e.User, answer, d), a.state.see(now))
		if useless == nil {
			_ = a.state.put(receiptsRoom, receiptName(r.Type, e.User, d), r)
		}
	case licensing.KindOf(err) == licensing.Unavailable:
		refusal := a.offline(e.User, d, now)
		if refusal == nil {
			// The license server is to learn of it: without this note there is no logon.
			logon.Offline = true
			refusal = a.state.put(logonsRoom, logonName(e.User, d), logon)
		}
		if refusal != nil {
			decide(a.refusal(ExitUnreachable, e.User, d, fmt.Sprintf("%s; %s", licensing.Message(err), oneLine(refusal.Error()))))
			return
		}
		decide(verdict{ExitAllowed, fmt.Sprintf("%s is let in on an earlier answer: %s", e.User, oneLine(licensing.Message(err)))})
	default:
		decide(a.denied(err, e.User, d, unknown))
	}
}

// openSession says that a session has begun. The note of it is there before the license server is told, so that whatever
// happens here, the session is found.
func (a *Agent) openSession(ctx context.Context, e Environment, parent int) verdict {
	leader, err := a.proc.leader(parent)
	if err != nil {
		return a.refusal(ExitFailure, e.User, licensing.Device{}, "the process that leads the session is not to be found: "+oneLine(err.Error()))
	}
	now := a.now()
	pending, logon := a.lastLogon(e.User, now)
	s := sessionRecord{
		Session: sessionOf(e.TTY, leader), User: e.User, Device: logon.Device, Service: e.Service, Leader: leader, Boot: a.proc.bootID(),
		Opened: now, Unsettled: true,
	}
	if addr, ok := parseRHost(e.RHost); ok {
		s.Device = addressDevice(addr)
	}
	name := sessionName(s.Session, leader)
	if err := a.state.put(sessionsRoom, name, s); err != nil {
		return a.refusal(ExitFailure, e.User, s.Device, "the session cannot be noted: "+oneLine(err.Error()))
	}
	err = a.confirm(ctx, &s)
	switch {
	case err == nil:
		s.Unsettled = false
		// Should this fail, reap confirms the session once more, which changes nothing.
		_ = errors.Join(a.state.put(sessionsRoom, name, s), a.state.remove(logonsRoom, pending))
		return verdict{code: ExitAllowed}
	case licensing.KindOf(err) != licensing.Unavailable:
		_ = errors.Join(a.state.remove(sessionsRoom, name), a.state.remove(logonsRoom, pending))
		return a.denied(err, e.User, s.Device, nil)
	}
	// The account phase had an answer, or allowed the logon offline; or else the offline policy decides here.
	if pending == "" {
		if refusal := a.offline(e.User, s.Device, now); refusal != nil {
			_ = a.state.remove(sessionsRoom, name)
			return a.refusal(ExitUnreachable, e.User, s.Device, fmt.Sprintf("%s; %s", licensing.Message(err), oneLine(refusal.Error())))
		}
	} else {
		_ = a.state.remove(logonsRoom, pending) // the note of the session stands for it
	}
	return verdict{ExitAllowed, fmt.Sprintf("%s's session %s is confirmed later: %s", e.User, s.Session, oneLine(licensing.Message(err)))}
}

// closeSession says that a session has ended. It never fails: there is nothing left to refuse, and reap ends what it could not.
func (a *Agent) closeSession(ctx context.Context, e Environment, parent int) verdict {
	leader, err := a.proc.leader(parent)
	if err != nil {
		return verdict{ExitAllowed, "calkeeper: the process that leads the session is not to be found; the session is ended later"}
	}
	session := sessionOf(e.TTY, leader)
	name := sessionName(session, leader)
	err = a.ask(ctx, func(string) error {
		_, err := a.server.Release(ctx, wire.Request{User: e.User, Session: session})
		return err
	})
	released := err == nil || licensing.KindOf(err) == licensing.NotFound
	switch s, unknown := get[sessionRecord](a.state, sessionsRoom, name); {
	case released && (unknown != nil || !s.Unsettled):
		_ = a.state.remove(sessionsRoom, name)
	case unknown == nil: // the license server is to learn that it has been
		s.Closed = true
		_ = a.state.put(sessionsRoom, name, s)
	}
	if released {
		return verdict{code: ExitAllowed}
	}
	return verdict{ExitAllowed, fmt.Sprintf("%s's session %s is ended later: %s", e.User, session, oneLine(licensing.Message(err)))}
}

// ask calls the license server, and once more if nothing came of it and there is time.
func (a *Agent) ask(ctx context.Context, call func(idempotencyKey string) error) error {
	key, err := a.newKey()
	if err != nil {
		return err
	}
	err = call(key)
	if deadline, ok := ctx.Deadline(); licensing.KindOf(err) == licensing.Unavailable && ok && time.Until(deadline) > 3*retryPause {
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
			err = call(key)
		}
	}
	return err
}

// confirm tells the license server of a session. It issues what the session needs if it knows nothing of the logon, because
// that has lapsed or was allowed offline.
func (a *Agent) confirm(ctx context.Context, s *sessionRecord) error {
	return a.ask(ctx, func(key string) error {
		_, err := a.server.Validate(ctx, wire.Request{User: s.User, Device: sent(s.Device), Session: s.Session}, key)
		return err
	})
}

// move notes the device to which the license server has moved a session.
func (a *Agent) move(user string, answer wire.Answer, d licensing.Device) error {
	if answer.Lease == nil || answer.Lease.Session == "" || d.IsZero() {
		return nil
	}
	sessions, _, err := list[sessionRecord](a.state, sessionsRoom, "")
	for _, s := range sessions {
		if s.record.Session == answer.Lease.Session && userKey(s.record.User) == userKey(user) && s.record.Device != d && !s.record.Closed {
			s.record.Device = d
			err = errors.Join(err, a.state.put(sessionsRoom, s.name, s.record))
		}
	}
	return err
}

// lastLogon returns the latest logon of a user that no session has followed yet, and the name of its record; empty if there is
// none.
func (a *Agent) lastLogon(user string, now time.Time) (name string, latest logonRecord) {
	logons, _, _ := list[logonRecord](a.state, logonsRoom, logonPrefix(user)) // without them the session is confirmed anew
	for _, l := range logons {
		if age := now.Sub(l.record.At); age > -clockSkew && age < logonLife && (name == "" || l.record.At.After(latest.At)) {
			name, latest = l.name, l.record
		}
	}
	return name, latest
}

// denied says that the license server has said no.
func (a *Agent) denied(err error, user string, d licensing.Device, unknown error) verdict {
	detail := whyNot(err)
	if d.IsZero() && unknown != nil {
		detail += fmt.Sprintf("; the device is not known: %v", unknown)
	}
	switch licensing.KindOf(err) {
	case licensing.Unlicensed:
		return a.refusal(ExitUnlicensed, user, d, detail)
	case licensing.Denied:
		return a.refusal(ExitForbidden, user, d, "the license server does not take this session host: "+detail)
	case licensing.Limited:
		return a.refusal(ExitUnreachable, user, d, detail)
	case licensing.Internal:
		return a.refusal(ExitFailure, user, d, oneLine(err.Error()))
	}
	return a.refusal(ExitRefused, user, d, detail)
}

// whyNot returns what the license server says of a refusal, without for whom, and its reason.
func whyNot(err error) string {
	detail := licensing.Message(err)
	if reason, ok := errors.AsType[licensing.DenialReason](err); ok {
		if name, why, ok := strings.Cut(detail, ": "); ok && strings.HasPrefix(name, "no license for ") {
			detail = why
		}
		detail += fmt.Sprintf(" (%s)", reason)
	}
	return oneLine(detail)
}

// refusal makes the line of a refusal: who, where, why, and what the administrator has to say.
func (a *Agent) refusal(code int, user string, d licensing.Device, why string) verdict {
	line := "No license for " + user
	if !d.IsZero() {
		line += " at " + d.String()
	}
	line += ": " + oneLine(why)
	if a.config.Message != "" {
		line += ". " + a.config.Message
	}
	return verdict{code, line}
}

// sessionOf returns what the session is called: its display or terminal. Some services give all their sessions the same one,
// such as "ssh": these are called by their leaders.
func sessionOf(tty string, leader process) string {
	if tty == "" || !isDigits(tty[len(tty)-1:]) {
		return fmt.Sprintf("pid:%d", leader.PID)
	}
	return tty
}

func sent(d licensing.Device) *wire.Device {
	if d.IsZero() {
		return nil
	}
	return &wire.Device{ID: d.ID, Name: d.Name}
}

// oneLine makes text from elsewhere fit for a line of a log.
func oneLine(text string) string {
	n := 0
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if n++; n > maxDetail {
			return -1
		}
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}
