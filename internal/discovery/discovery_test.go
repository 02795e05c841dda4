package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/discovery"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// directory is one in memory: each thing is so or not. It answers err instead if there is one.
type directory struct {
	dc, member, published, registered bool
	domain                            string // that was asked for
	err                               error
	leave                             func() // called when it has changed something
}

func (d *directory) is(v bool) (bool, error) { return v && d.err == nil, d.err }

func (d *directory) set(v *bool, to bool) (bool, error) {
	if d.err != nil || *v == to {
		return false, d.err
	}
	*v = to
	if d.leave != nil {
		d.leave()
	}
	return true, nil
}

func (d *directory) OnDomainController(context.Context) (bool, error) { return d.is(d.dc) }
func (d *directory) InGroup(_ context.Context, domain string) (bool, error) {
	d.domain = domain
	return d.is(d.member)
}
func (d *directory) AddToGroup(context.Context) (bool, error)      { return d.set(&d.member, true) }
func (d *directory) RemoveFromGroup(context.Context) (bool, error) { return d.set(&d.member, false) }
func (d *directory) Published(context.Context) (bool, error)       { return d.is(d.published) }
func (d *directory) Publish(context.Context) (bool, error)         { return d.set(&d.published, true) }
func (d *directory) Unpublish(context.Context) (bool, error)       { return d.set(&d.published, false) }
func (d *directory) Registered(context.Context) (bool, error)      { return d.is(d.registered) }
func (d *directory) Register(context.Context) (bool, error)        { return d.set(&d.registered, true) }
func (d *directory) Unregister(context.Context) (bool, error)      { return d.set(&d.registered, false) }

var now = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)

// newService returns a Service and its store. d may be nil.
func newService(t *testing.T, d discovery.Directory) (*discovery.Service, store.Store) {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "calkeeper.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return discovery.New(st, discovery.Options{Directory: d, Now: func() time.Time { return now }}), st
}

func role(t *testing.T, st store.Store) (r licensing.ServerRole) {
	t.Helper()
	if err := st.View(t.Context(), func(tx store.Reader) error {
		server, err := tx.Server()
		r = server.Role
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

// audited returns the audit records, each as "actor: action: detail".
func audited(t *testing.T, st store.Store) (lines []string) {
	t.Helper()
	if err := st.View(t.Context(), func(tx store.Reader) error {
		records, err := tx.AuditRecords(0, 1000)
		for _, r := range records {
			if !r.At.Equal(now) {
				t.Errorf("a record is of %v, want %v", r.At, now)
			}
			lines = append(lines, fmt.Sprintf("%s: %s: %s", r.Actor, r.Action, r.Detail))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

func checkAudited(t *testing.T, st store.Store, want ...string) {
	t.Helper()
	if got := audited(t, st); !slices.Equal(got, want) {
		t.Errorf("audit records %q, want %q", got, want)
	}
}

func checkKind(t *testing.T, what string, err error, want licensing.Kind) {
	t.Helper()
	var fault *licensing.Fault
	if !errors.As(err, &fault) || fault.Kind != want {
		t.Errorf("%s: %v, want a fault of kind %s", what, err, want)
	}
}

type question = func(*discovery.Service, context.Context) (bool, error)
type change = func(*discovery.Service, context.Context, string) error

// pairs are what can be changed, with the question that tells.
var pairs = []struct {
	action string // of the audit records, less "in the directory"
	undone string
	is     question
	do     change
	undo   change
}{
	{"add to group", "remove from group", func(s *discovery.Service, ctx context.Context) (bool, error) { return s.InGroup(ctx, "") },
		(*discovery.Service).AddToGroup, (*discovery.Service).RemoveFromGroup},
	{"publish", "unpublish", (*discovery.Service).Published, (*discovery.Service).Publish, (*discovery.Service).Unpublish},
	{"register service connection point", "unregister service connection point", (*discovery.Service).Registered,
		(*discovery.Service).Register, (*discovery.Service).Unregister},
}

func TestWithoutADirectoryQuestionsAreAnsweredWithNo(t *testing.T) {
	s, st := newService(t, nil)
	for _, p := range pairs {
		if is, err := p.is(s, t.Context()); is || err != nil {
			t.Errorf("before %s: %v, %v; want false", p.action, is, err)
		}
		checkKind(t, p.action, p.do(s, t.Context(), "ada"), licensing.Unavailable)
		checkKind(t, p.undone, p.undo(s, t.Context(), "ada"), licensing.Unavailable)
	}
	if is, err := s.InGroup(t.Context(), "elsewhere.example"); is || err != nil {
		t.Errorf("in the group of another domain: %v, %v; want false", is, err)
	}
	if is, err := s.OnDomainController(t.Context()); is || err != nil {
		t.Errorf("on a domain controller: %v, %v; want false", is, err)
	}
	checkAudited(t, st)
}

func TestChangesAreRecordedOnce(t *testing.T) {
	d := &directory{}
	s, st := newService(t, d)
	var want []string
	for _, p := range pairs {
		for _, step := range []struct {
			do     change
			is     bool
			record string
		}{
			{p.undo, false, ""}, {p.do, true, p.action}, {p.do, true, ""}, {p.undo, false, p.undone}, {p.undo, false, ""},
		} {
			if err := step.do(s, t.Context(), "ada"); err != nil {
				t.Errorf("%s: %v", p.action, err)
			}
			if is, err := p.is(s, t.Context()); is != step.is || err != nil {
				t.Errorf("after %s: %v, %v; want %v", p.action, is, err, step.is)
			}
			if step.record != "" {
				want = append(want, "ada: "+step.record+": in the directory")
			}
		}
	}
	checkAudited(t, st, want...)
}

func TestWhatTheDirectoryRefusesIsTheAnswer(t *testing.T) {
	d := &directory{err: licensing.Faultf(licensing.Denied, "no right")}
	s, st := newService(t, d)
	for _, p := range pairs {
		_, err := p.is(s, t.Context())
		checkKind(t, "before "+p.action, err, licensing.Denied)
		checkKind(t, p.action, p.do(s, t.Context(), "ada"), licensing.Denied)
		checkKind(t, p.undone, p.undo(s, t.Context(), "ada"), licensing.Denied)
	}
	_, err := s.OnDomainController(t.Context())
	checkKind(t, "on a domain controller", err, licensing.Denied)
	checkAudited(t, st)
}

func TestTheRecordIsWrittenThoughTheCallerHasGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, st := newService(t, &directory{leave: cancel})
	if err := s.Publish(ctx, "ada"); err != nil {
		t.Error(err)
	}
	checkAudited(t, st, "ada: publish: in the directory")
}

func TestOtherDomainsAreAskedFor(t *testing.T) {
	d := &directory{member: true}
	s, _ := newService(t, d)
	if is, err := s.InGroup(t.Context(), "AD"); !is || err != nil || d.domain != "AD" {
		t.Errorf("%v, %v; the directory was asked for %q", is, err, d.domain)
	}
}

func TestChangeRole(t *testing.T) {
	d := &directory{}
	s, st := newService(t, d)
	for _, n := range []uint32{3, 4, 4294967295} {
		checkKind(t, fmt.Sprint(n), s.ChangeRole(t.Context(), "ada", n), licensing.Invalid)
	}
	for _, n := range []uint32{0, 1, 1, 2, 2, 0, 0, 2} {
		if err := s.ChangeRole(t.Context(), "ada", n); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		if got := role(t, st); uint32(got) != n {
			t.Errorf("the role is %s after %d", got, n)
		}
	}
	want := []string{
		"ada: change role: domain, was workgroup", "ada: change role: forest, was domain", "ada: change role: workgroup, was forest",
		"ada: change role: forest, was workgroup",
	}
	checkAudited(t, st, want...)

	d.err = licensing.Faultf(licensing.NotFound, "no account")
	checkKind(t, "domain without an account", s.ChangeRole(t.Context(), "ada", 1), licensing.NotFound)
	checkAudited(t, st, want...)
	if err := s.ChangeRole(t.Context(), "ada", 0); err != nil || role(t, st) != licensing.Workgroup {
		t.Errorf("workgroup needs no directory: %v, role %s", err, role(t, st))
	}
}

func TestRolesBeyondWorkgroupNeedADirectory(t *testing.T) {
	s, st := newService(t, nil)
	for _, n := range []uint32{1, 2} {
		checkKind(t, fmt.Sprint(n), s.ChangeRole(t.Context(), "ada", n), licensing.Unavailable)
	}
	checkKind(t, "3", s.ChangeRole(t.Context(), "ada", 3), licensing.Invalid)
	if err := s.ChangeRole(t.Context(), "ada", 0); err != nil {
		t.Error(err)
	}
	checkAudited(t, st)
}
