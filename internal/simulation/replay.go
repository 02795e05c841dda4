package simulation

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// The course of a day.
const (
	firstLogon     = 7 * time.Hour    // nobody comes earlier
	logonSpread    = 2 * time.Hour    // twice this later everybody has come; most come in the middle
	authentication = 20 * time.Second // from the request for a CAL until the user is authenticated
)

// licenses is what a farm asks of its license server: *issuance.Service.
type licenses interface {
	Request(context.Context, issuance.Request) (issuance.Answer, error)
	Validate(context.Context, issuance.Request) (issuance.Answer, error)
	Release(context.Context, issuance.Request) (issuance.Ended, error)
	Sweep(context.Context) (int, error)
	Counters(context.Context) ([]issuance.Counter, error)
}

// replay lets the days of a farm pass. It sets the license server's clock, which stands at the beginning of the first day, and
// tells each about every day.
func replay(ctx context.Context, l licenses, f Farm, clock *time.Time, each func(Day) error) error {
	r := &replayer{ctx: ctx, licenses: l, farm: f, clock: clock, random: rand.New(rand.NewPCG(f.Seed, 0))}
	for i := range r.crowds {
		r.crowds[i].host = f.host(licensing.ProductType(i))
	}
	r.crowds[licensing.PerDevice].join(f.Devices)
	r.crowds[licensing.PerUser].join(f.Users)
	for n := range f.Days {
		day, err := r.day(f.firstDay().AddDate(0, 0, n))
		if err == nil {
			err = each(day)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replayer is a farm at one moment.
type replayer struct {
	ctx      context.Context
	licenses licenses
	farm     Farm
	clock    *time.Time
	random   *rand.Rand
	crowds   [2]crowd // by product type
	queue    queue
	sequence int // of the last event
	sessions int // that have begun so far
}

// crowd is all members that use one type of CAL.
type crowd struct {
	host    licensing.Host
	members []*member
	joined  int // so far
	today   Count
}

// member is a device or a user.
type member struct {
	number int
	busy   bool // has a session, or is about to
}

func (c *crowd) join(n int) {
	for range n {
		c.joined++
		c.members = append(c.members, &member{number: c.joined})
	}
}

// request returns what the session host asks for a member.
func (c *crowd) request(m *member) issuance.Request {
	r := issuance.Request{Host: c.host}
	if c.host.Mode == licensing.PerUser {
		r.User = fmt.Sprintf(`EXAMPLE\user%d`, m.number)
	} else {
		r.Device = licensing.Device{ID: fmt.Sprintf("device%d", m.number)}
	}
	return r
}

// day lets one day pass.
func (r *replayer) day(date time.Time) (Day, error) {
	for i := range r.crowds {
		r.comeAndGo(&r.crowds[i])
		r.plan(&r.crowds[i], date)
	}
	for hour := 1; hour <= 24; hour++ {
		r.at(date.Add(time.Duration(hour)*time.Hour), r.count)
	}
	// The last count is at midnight: what was planned for earlier goes before.
	for end := date.AddDate(0, 0, 1); len(r.queue) > 0 && !r.queue[0].at.After(end); {
		e := heap.Pop(&r.queue).(event)
		*r.clock = e.at
		if err := e.do(); err != nil {
			return Day{}, fmt.Errorf("%s: %w", e.at.Format(time.DateTime), err)
		}
	}
	return Day{Date: date, PerDevice: r.crowds[licensing.PerDevice].today, PerUser: r.crowds[licensing.PerUser].today}, nil
}

// comeAndGo lets members leave the farm, and new ones join.
func (r *replayer) comeAndGo(c *crowd) {
	c.members = slices.DeleteFunc(c.members, func(*member) bool { return r.happens(r.farm.Leave / 30) })
	beginning := r.farm.Devices
	if c.host.Mode == licensing.PerUser {
		beginning = r.farm.Users
	}
	for range beginning {
		if r.happens(r.farm.Join / 30) {
			c.join(1)
		}
	}
	c.today = Count{Members: len(c.members)}
}

func (r *replayer) happens(probability float64) bool { return r.random.Float64() < probability }

// plan decides who logs on today, and when.
func (r *replayer) plan(c *crowd, date time.Time) {
	probability := r.farm.Logon
	if day := date.Weekday(); day == time.Saturday || day == time.Sunday {
		probability = r.farm.Weekend
	}
	for _, m := range c.members {
		if !r.happens(probability) || m.busy {
			continue
		}
		// The sum of two: a few come early, a few late.
		late := r.random.Int64N(int64(logonSpread)) + r.random.Int64N(int64(logonSpread))
		broken := r.happens(r.farm.Broken)
		length := r.farm.Session/2 + time.Duration(r.random.Float64()*float64(r.farm.Session))
		m.busy = true
		r.at(date.Add(firstLogon+time.Duration(late)).Truncate(time.Second), func() error { return r.logOn(c, m, broken, length) })
	}
}

// logOn asks for a CAL, as a session host does before it knows the user.
func (r *replayer) logOn(c *crowd, m *member, broken bool, length time.Duration) error {
	c.today.Logons++
	request := c.request(m)
	request.Provisional = true
	_, err := r.licenses.Request(r.ctx, request)
	if err != nil || broken {
		m.busy = false
		return c.denied(err)
	}
	r.at(r.clock.Add(authentication), func() error { return r.begin(c, m, length) })
	return nil
}

// begin begins a session.
func (r *replayer) begin(c *crowd, m *member, length time.Duration) error {
	r.sessions++
	request := c.request(m)
	request.Session = fmt.Sprintf(":%d", r.sessions)
	_, err := r.licenses.Validate(r.ctx, request)
	if err != nil || !r.farm.Concurrent {
		m.busy = false // for the CAL's term it does not matter how long the session is
		return c.denied(err)
	}
	r.at(r.clock.Add(length), func() error {
		m.busy = false
		_, err := r.licenses.Release(r.ctx, request)
		return err
	})
	return nil
}

// denied counts a denial; every other fault ends the simulation.
func (c *crowd) denied(err error) error {
	if licensing.KindOf(err) != licensing.Unlicensed {
		return err
	}
	c.today.Denied++
	return nil
}

// count lets the license server do what it does every minute, and reads its counters.
func (r *replayer) count() error {
	if _, err := r.licenses.Sweep(r.ctx); err != nil {
		return err
	}
	counters, err := r.licenses.Counters(r.ctx)
	if err != nil {
		return err
	}
	for i := range r.crowds {
		c := &r.crowds[i]
		now := Count{Members: c.today.Members, Logons: c.today.Logons, Denied: c.today.Denied}
		for _, n := range counters {
			if n.ProductType == c.host.Mode {
				now.Installed += n.Installed
				now.Issued += n.Issued
				now.Available += n.Available
				now.OverUsed += n.OverUsed
				now.Temporary += n.Temporary
			}
		}
		if now.inUse() < c.today.inUse() {
			now.Installed, now.Issued, now.Available = c.today.Installed, c.today.Issued, c.today.Available
			now.OverUsed, now.Temporary = c.today.OverUsed, c.today.Temporary
		}
		c.today = now
	}
	return nil
}

// event is something that happens at a time.
type event struct {
	at       time.Time
	sequence int
	do       func() error
}

func (r *replayer) at(t time.Time, do func() error) {
	r.sequence++
	heap.Push(&r.queue, event{at: t, sequence: r.sequence, do: do})
}

// queue is the events to come, the next one first; what is to happen at the same time happens in the order it was planned.
type queue []event

// Len, Less, Swap, Push and Pop make it a heap.Interface.
func (q queue) Len() int { return len(q) }

// Less tells which event comes first.
func (q queue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].sequence < q[j].sequence
	}
	return q[i].at.Before(q[j].at)
}

// Swap swaps two events.
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push appends an event.
func (q *queue) Push(e any) { *q = append(*q, e.(event)) }

// Pop removes the last event.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = event{}
	*q = (*q)[:last]
	return e
}
