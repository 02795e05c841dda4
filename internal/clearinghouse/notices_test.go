package clearinghouse_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// inTime runs f with two license servers, of which a has 200 CALs, in a time of its own.
func inTime(t *testing.T, f func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeAt(t, time.Now)
		defer o.close()
		a, b := o.enrol(o.own, "a"), o.enrol(o.own, "b")
		s := o.sell(licensing.Agreement, 300)
		o.do(a, o.install(s, 200))
		f(t, o, a, b, s)
	})
}

// elapsed performs an operation that must succeed and returns how long it took.
func (o *office) elapsed(v *server, op clearinghouse.Operation) time.Duration {
	o.t.Helper()
	start := time.Now()
	o.do(v, op)
	return time.Since(start)
}

func (o *office) released(key string) bool {
	o.t.Helper()
	transfers, err := o.Transfers(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, v := range transfers {
		if v.Key == key {
			return !v.Released.IsZero()
		}
	}
	o.t.Fatalf("there is no transfer %s", key)
	return false
}

// TestReleaseFirst: a source that is reachable releases first, and only then is the grant answered.
func TestReleaseFirst(t *testing.T) {
	inTime(t, func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale) {
		const work = 700 * time.Millisecond // that the source needs to apply the notice
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			var after uint64
			for {
				notices, err := o.Poll(ctx, a.productID, after, 25*time.Second)
				if err != nil {
					ended <- err
					return
				}
				if len(notices) > 0 {
					time.Sleep(work)
				}
				after += uint64(len(notices))
			}
		}()
		time.Sleep(time.Minute) // several polls
		for range 3 {
			op := o.importOf(s, 10, a)
			start := time.Now()
			o.do(b, op)
			if d := time.Since(start); d != work {
				t.Errorf("the grant was answered after %v; want %v, when the source had acknowledged", d, work)
			}
			if !o.released(op.Key) {
				t.Error("the grant was answered and the release is pending")
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestHangingSource: a source that polls and does not acknowledge holds the target up for five seconds.
func TestHangingSource(t *testing.T) {
	inTime(t, func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			for {
				if _, err := o.Poll(ctx, a.productID, 0, 25*time.Second); err != nil {
					ended <- err
					return
				}
				time.Sleep(time.Second)
			}
		}()
		time.Sleep(time.Second)
		op := o.importOf(s, 10, a)
		if d := o.elapsed(b, op); d != 5*time.Second {
			t.Errorf("the grant was answered after %v; want 5s", d)
		}
		if o.released(op.Key) {
			t.Error("released without an acknowledgment")
		}
		if d := o.elapsed(b, op); d != 5*time.Second { // asked again, it waits again
			t.Errorf("the same was answered after %v", d)
		}
		cancel()
		<-ended
		o.poll(a, 1)
		if !o.released(op.Key) {
			t.Error("an acknowledgment at the next contact does not release")
		}
		if d := o.elapsed(b, op); d != 0 {
			t.Errorf("after the release the answer took %v", d)
		}
	})
}

// TestAbsentSource: nobody waits for a source that is away.
func TestAbsentSource(t *testing.T) {
	inTime(t, func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale) {
		op := o.importOf(s, 10, a)
		if d := o.elapsed(b, op); d != 0 {
			t.Errorf("the grant was answered after %v", d)
		}
		if o.released(op.Key) {
			t.Error("released without an acknowledgment")
		}
		if n := o.poll(a, 0); len(n) != 1 || o.released(op.Key) {
			t.Errorf("to fetch %d notices is not to acknowledge them", len(n))
		}
		o.poll(a, 1)
		if !o.released(op.Key) {
			t.Error("an acknowledgment does not release")
		}

		// Between two polls a source is reachable for two seconds.
		time.Sleep(time.Second)
		if d := o.elapsed(b, o.importOf(s, 10, a)); d == 0 || d > 5*time.Second {
			t.Errorf("one second after a poll the grant was answered after %v", d)
		}
		time.Sleep(10 * time.Second)
		if d := o.elapsed(b, o.importOf(s, 10, a)); d != 0 {
			t.Errorf("long after the last poll the grant was answered after %v", d)
		}
	})
}

// TestSourceLeaves: the source is sent the notice, and is not heard of again.
func TestSourceLeaves(t *testing.T) {
	inTime(t, func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale) {
		ended := make(chan error)
		go func() {
			notices, err := o.Poll(t.Context(), a.productID, 0, 25*time.Second)
			if err == nil && len(notices) != 1 {
				err = errors.New("there is no notice")
			}
			ended <- err
		}()
		synctest.Wait()
		op := o.importOf(s, 10, a)
		if d := o.elapsed(b, op); d > 5*time.Second || o.released(op.Key) {
			t.Errorf("the grant was answered after %v, released: %v", d, o.released(op.Key))
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestTargetGivesUp: the caller is gone before the source has released; what was posted stays, and is answered again.
func TestTargetGivesUp(t *testing.T) {
	inTime(t, func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale) {
		o.poll(a, 0) // now it counts as reachable
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		op := o.importOf(s, 10, a)
		start := time.Now()
		signed, err := o.Perform(ctx, b.productID, op)
		if d := time.Since(start); d > time.Second {
			t.Errorf("it went on for %v", d)
		}
		if err == nil {
			o.grant(signed)
		}
		if g := o.do(b, op); g.Count != 10 {
			t.Errorf("asked again it is granted as %+v", g)
		}
		o.wantBalance(s, licensing.PerDevice, b, "", 10)
	})
}

func TestPoll(t *testing.T) {
	inTime(t, func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale) {
		start := time.Now()
		if n, err := o.Poll(t.Context(), a.productID, 0, 25*time.Second); err != nil || len(n) != 0 || time.Since(start) != 25*time.Second {
			t.Errorf("without notices a poll returned %d, %v after %v", len(n), err, time.Since(start))
		}
		_, err := o.Poll(t.Context(), newServer(t, "unknown").productID, 0, 0)
		wantKind(t, err, licensing.NotActivated)

		for range clearinghouse.MaxNotices + 5 {
			o.do(b, o.importOf(s, 1, a))
		}
		first := o.poll(a, 0)
		if len(first) != clearinghouse.MaxNotices || first[0].Seq != 1 || first[len(first)-1].Seq != clearinghouse.MaxNotices {
			t.Errorf("the first poll returned %d notices", len(first))
		}
		if n := o.poll(a, clearinghouse.MaxNotices); len(n) != 5 || n[0].Seq != clearinghouse.MaxNotices+1 {
			t.Errorf("the second poll returned %+v", n)
		}
		if n := o.poll(a, 3); len(n) != clearinghouse.MaxNotices || n[0].Seq != 4 {
			t.Errorf("a restored backup is sent %d notices again", len(n))
		}
		if v := o.registered(a); v.AckedSeq != clearinghouse.MaxNotices {
			t.Errorf("acknowledged up to %d", v.AckedSeq)
		}
		if n := o.poll(b, 0); len(n) != 0 {
			t.Errorf("the target got %+v", n)
		}
		if err := o.Deactivate(t.Context(), a.productID); err != nil {
			t.Fatal(err)
		}
		_, err = o.Poll(t.Context(), a.productID, 0, 0)
		wantKind(t, err, licensing.NotActivated)
	})
}

// TestPollWakes: a poll that waits returns as soon as there is a notice, at every one of the license server's lines.
func TestPollWakes(t *testing.T) {
	inTime(t, func(t *testing.T, o *office, a, b *server, s clearinghouse.Sale) {
		type answer struct {
			n   int
			err error
		}
		answers := make(chan answer)
		for range 2 {
			go func() {
				n, err := o.Poll(t.Context(), a.productID, 0, 25*time.Second)
				answers <- answer{len(n), err}
			}()
		}
		synctest.Wait()
		start := time.Now()
		go o.Perform(t.Context(), b.productID, o.importOf(s, 1, a))
		for range 2 {
			if got := <-answers; got.n != 1 || got.err != nil {
				t.Errorf("%d notices, %v", got.n, got.err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("they came after %v", d)
		}
		time.Sleep(10 * time.Second)
		views, err := o.Servers(t.Context(), o.own.ID)
		if err != nil || len(views) != 2 || views[0].Reachable || len(views[0].Holdings) != 1 || views[0].Holdings[0].Quantity != 199 {
			t.Errorf("the license servers are %+v, %v", views, err)
		}
	})
}
