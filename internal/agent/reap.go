package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

const (
	leasePage    = 1000
	openingTime  = 2 * time.Minute // in which a session may still be on its way, with nothing to be seen of it
	leftoverLife = time.Hour       // of files that a hook has begun and not finished
)

// Reaped counts what a Reap has done.
type Reaped struct {
	Ended      int // leases of sessions that are over
	Renewed    int // leases, or CALs, of sessions that live
	Settled    int // logons and sessions of which the license server has learned only now
	Unlicensed int // sessions that live, and for which it has no CAL
	Forgotten  int // records that are of no use any more
}

// reaping is one Reap under way.
type reaping struct {
	*Agent
	out      io.Writer
	now      time.Time
	boot     string
	sessions []named[sessionRecord]
	displays []display
	leased   map[string]bool // names of session records whose lease the license server knows
	left     map[string]bool // sessions whose lease could not be ended
	done     Reaped
	errs     []error
	lost     bool // the license server cannot be reached any more
}

// Reap compares the leases that the license server has for this session host with the sessions that live: it ends those of
// sessions that are over, as close_session may never have come, renews the others, and makes up for what happened while the
// license server could not be reached. It says what it does, a line for each. Whatever it is interrupted at, the next one
// begins with the same facts. A Fault of kind Unavailable or Denied means that nothing could be done.
func (a *Agent) Reap(ctx context.Context, out io.Writer) (Reaped, error) {
	r := &reaping{Agent: a, out: out, now: a.now(), boot: a.proc.bootID(), leased: map[string]bool{}, left: map[string]bool{}}
	// The records come first: a session that has one now has a lease now, or never.
	if err := r.read(); err != nil {
		return r.done, err
	}
	leases, err := r.leases(ctx)
	if err != nil {
		return r.done, err
	}
	r.keep(a.state.see(r.now))
	// A session that was opened meanwhile has its record by now.
	if err := r.find(); err != nil {
		return r.done, err
	}
	for i := 0; i < len(leases) && !r.lost; i++ {
		r.lease(ctx, leases[i])
	}
	for i := 0; i < len(r.sessions) && !r.lost; i++ {
		r.session(ctx, &r.sessions[i])
	}
	r.logons(ctx)
	r.receipts()
	r.keep(a.state.sweep(r.now.Add(-leftoverLife)))
	if r.done.Renewed > 0 {
		r.say("sessions that live, and keep their licenses: %d", r.done.Renewed)
	}
	return r.done, errors.Join(r.errs...)
}

// keep remembers an error and goes on: what one session lacks is no reason to forget the others.
func (r *reaping) keep(err error) bool {
	if err != nil {
		r.errs = append(r.errs, err)
		r.lost = r.lost || licensing.KindOf(err) == licensing.Unavailable
	}
	return err == nil
}

func (r *reaping) say(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

// read reads the records of sessions, and forgets files that are none.
func (r *reaping) read() error {
	sessions, broken, err := list[sessionRecord](r.state, sessionsRoom, "")
	r.sessions = sessions
	r.forgetBroken(sessionsRoom, broken)
	return err
}

// find adds the sessions that have come since, and the displays.
func (r *reaping) find() error {
	sessions, _, err := list[sessionRecord](r.state, sessionsRoom, "")
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if !slices.ContainsFunc(r.sessions, func(known named[sessionRecord]) bool { return known.name == s.name }) {
			r.sessions = append(r.sessions, s)
			r.leased[s.name] = true // or will have one in a moment: its hook sees to that
		}
	}
	r.displays, err = r.proc.displays()
	return err
}

func (r *reaping) leases(ctx context.Context) (all []wire.Lease, err error) {
	q := client.LeaseQuery{Limit: leasePage}
	for {
		page, err := r.server.Leases(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Leases...)
		if page.Next <= q.After {
			return all, nil
		}
		q.After = page.Next
	}
}

// lives tells whether the session of a record lives: while its leader does. A desktop that has lost its leader can be used
// until its client leaves, and by nobody after that.
func (r *reaping) lives(s *sessionRecord) bool {
	if s.Closed || s.Boot != r.boot {
		return false
	}
	return r.proc.lives(s.Leader) || r.orphanUsed(s.Session, s.User)
}

func (r *reaping) orphanUsed(session, user string) bool {
	return slices.ContainsFunc(r.displays, func(d display) bool {
		return d.orphaned && d.owns(session, user) && r.proc.watched(session)
	})
}

// lease ends or renews one lease.
func (r *reaping) lease(ctx context.Context, l wire.Lease) {
	if l.Session == "" {
		return // not validated: it lapses by itself
	}
	live, why := r.judge(l)
	switch {
	case live:
		_, err := r.server.RenewLease(ctx, l.ID)
		if licensing.KindOf(err) == licensing.NotFound {
			return // it was closed meanwhile
		}
		if r.keep(err) {
			r.done.Renewed++
		}
	case why == "":
		r.say("left %s's session %s alone: nothing tells whether it lives; its lease ends %s unless it is renewed", l.User, l.Session, l.Expires.Format(time.RFC3339))
	default:
		_, err := r.server.EndLease(ctx, l.ID)
		if licensing.KindOf(err) == licensing.NotFound {
			return
		}
		if !r.keep(err) {
			r.left[l.Session] = true
			return
		}
		r.done.Ended++
		r.say("ended the lease of %s's session %s: %s", l.User, l.Session, why)
	}
}

// judge tells whether the session of a lease lives, and if it does not, why; neither if nothing tells.
func (r *reaping) judge(l wire.Lease) (live bool, why string) {
	key := userKey(l.User)
	for i := range r.sessions {
		s := &r.sessions[i].record
		switch {
		case s.Session != l.Session:
			continue
		case userKey(s.User) != key:
			if r.lives(s) {
				why = "it is " + s.User + "'s now"
			}
			continue
		case r.lives(s):
			r.leased[r.sessions[i].name] = true
			return true, ""
		}
		why = fmt.Sprintf("its leader, process %d, is gone", s.Leader.PID)
		if s.Closed {
			why = "it was closed"
		}
	}
	if why != "" || len(l.Session) < 2 || l.Session[0] != ':' || !isDigits(l.Session[1:]) {
		return false, why
	}
	// A display that the agent has no record of, because it was installed later, for example.
	for i := range r.displays {
		if d := &r.displays[i]; d.owns(l.Session, l.User) && (!d.orphaned || r.proc.watched(l.Session)) {
			return true, ""
		}
	}
	if age := r.now.Sub(l.Opened); age > -openingTime && age < openingTime {
		return false, ""
	}
	return false, "there is no such display"
}

// session sees to a session that has no lease: on a host that does not count sessions none has.
func (r *reaping) session(ctx context.Context, s *named[sessionRecord]) {
	switch age := r.now.Sub(s.record.Opened); {
	case !r.lives(&s.record):
		if r.left[s.record.Session] {
			return // the record tells the next time why
		}
		// A user who has another session by now has what that needs.
		if s.record.Unsettled && !r.hasSession(s.record.User) && !r.settle(ctx, s.record.User, s.record.Device) {
			return
		}
		if r.keep(r.state.remove(sessionsRoom, s.name)) {
			r.done.Forgotten++
			r.say("forgot %s's session %s", s.record.User, s.record.Session)
		}
	case s.record.Unsettled && age >= 0 && age < hookLimit:
		return // its hook is at it
	case s.record.Unsettled:
		err := r.confirm(ctx, &s.record)
		if r.unlicensed(err, s.record.User, s.record.Session) || !r.keep(err) {
			return
		}
		s.record.Unsettled = false
		if r.keep(r.state.put(sessionsRoom, s.name, s.record)) {
			r.done.Settled++
			r.say("%s's session %s is confirmed now", s.record.User, s.record.Session)
		}
	case !r.leased[s.name]:
		r.renew(ctx, &s.record)
	}
}

// renew extends the CAL that a living session uses, or asks for one if that was lost.
func (r *reaping) renew(ctx context.Context, s *sessionRecord) {
	request := wire.Request{User: s.User, Device: sent(s.Device), Session: s.Session}
	key, err := r.newKey()
	if !r.keep(err) {
		return
	}
	if _, err = r.server.Renew(ctx, request, key); licensing.KindOf(err) == licensing.NotFound {
		err = r.confirm(ctx, s)
	}
	if !r.unlicensed(err, s.User, s.Session) && r.keep(err) {
		r.done.Renewed++
	}
}

// unlicensed tells of a living session that gets no CAL. It is asked for again each time.
func (r *reaping) unlicensed(err error, user, session string) bool {
	if licensing.KindOf(err) != licensing.Unlicensed {
		return false
	}
	r.done.Unlicensed++
	r.say("%s's session %s has no license: %s", user, session, whyNot(err))
	return true
}

// settle asks for what was allowed offline, so that it is counted. It tells whether the license server has answered. A session
// that the user has is moved to the device, as it was when the license server could not be told.
func (r *reaping) settle(ctx context.Context, user string, d licensing.Device) bool {
	key, err := r.newKey()
	if !r.keep(err) {
		return false
	}
	request := wire.Request{User: user, Device: sent(d)}
	answer, err := r.server.Request(ctx, request, key)
	switch licensing.KindOf(err) {
	case licensing.Unlicensed, licensing.Invalid:
		r.say("%s was let in on an earlier answer, and has no license: %s", user, whyNot(err))
		return true
	}
	if !r.keep(err) {
		return false
	}
	if answer.Lease != nil && answer.Lease.Session == "" {
		// Nothing uses it any more.
		if _, err := r.server.Release(ctx, request); !r.keep(err) {
			return false
		}
	}
	r.done.Settled++
	r.say("%s was let in on an earlier answer: the license server knows it now", user)
	return true
}

// logons settles the logons that were allowed offline, and forgets those that no session has followed.
func (r *reaping) logons(ctx context.Context) {
	logons, broken, err := list[logonRecord](r.state, logonsRoom, "")
	r.keep(err)
	r.forgetBroken(logonsRoom, broken)
	for _, l := range logons {
		if age := r.now.Sub(l.record.At); r.lost || age > -clockSkew && age < logonLife {
			continue // its session may come
		}
		if l.record.Offline && !r.settle(ctx, l.record.User, l.record.Device) {
			continue
		}
		if r.keep(r.state.remove(logonsRoom, l.name)) {
			r.done.Forgotten++
		}
	}
}

// hasSession tells whether a user has a session that lives.
func (r *reaping) hasSession(user string) bool {
	return slices.ContainsFunc(r.sessions, func(s named[sessionRecord]) bool {
		return userKey(s.record.User) == userKey(user) && r.lives(&s.record)
	})
}

// receipts forgets those that no policy would take any more.
func (r *reaping) receipts() {
	receipts, broken, err := list[receiptRecord](r.state, receiptsRoom, "")
	r.keep(err)
	r.forgetBroken(receiptsRoom, broken)
	for _, old := range receipts {
		if r.now.Sub(old.record.At) > mostOfflineHours*time.Hour && r.keep(r.state.remove(receiptsRoom, old.name)) {
			r.done.Forgotten++
		}
	}
}

func (r *reaping) forgetBroken(room string, names []string) {
	for _, name := range names {
		r.say("removed %s/%s: %v", room, name, errRecord)
		if r.keep(r.state.remove(room, name)) {
			r.done.Forgotten++
		}
	}
}
