package auditing_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/auditing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// grown is a log in memory that grows by some records whenever a page of it was read.
type grown struct {
	list []store.AuditRecord
	head store.AuditHead
	grow int
}

func newLog(t *testing.T, n, grow int) *grown {
	t.Helper()
	g := &grown{head: store.AuditHead{Hash: store.AuditGenesis(0)}, grow: grow}
	g.add(n)
	return g
}

func (g *grown) add(n int) {
	for range n {
		r, err := g.head.Next(store.AuditRecord{At: time.Unix(7, 0), Actor: "ada", Action: "test"}, 0)
		if err != nil {
			panic(err)
		}
		g.list, g.head.Seq, g.head.Hash = append(g.list, r), r.Seq, r.Hash
	}
}

// page returns small pages.
func (g *grown) page(_ context.Context, after uint64, _ int) (auditing.Page, error) {
	const size = 10
	p := auditing.Page{Head: g.head}
	for _, r := range g.list {
		if r.Seq <= after {
			continue
		}
		if len(p.Records) == size {
			p.More = true
			break
		}
		p.Records = append(p.Records, r)
	}
	g.add(g.grow)
	return p, nil
}

// TestVerifyWhileItGrows: what is verified is the log as it was at the beginning, however fast it grows.
func TestVerifyWhileItGrows(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 11, 35} {
		for _, grow := range []int{0, 1, 20} {
			g := newLog(t, n, grow)
			want := g.head
			v, err := auditing.Verify(t.Context(), g.page, store.AuditHead{})
			if err != nil || v.Flaw != nil || v.Records != uint64(n) || v.Head.String() != want.String() {
				t.Errorf("%d records, and %d more with each page: %+v %+v, %v", n, grow, v, v.Flaw, err)
			}
		}
	}
	g := newLog(t, 35, 1)
	noted := store.AuditHead{Seq: 20, Hash: g.list[19].Hash}
	if v, err := auditing.Verify(t.Context(), g.page, noted); err != nil || v.Flaw != nil {
		t.Errorf("with a head that was noted: %+v, %v", v.Flaw, err)
	}
	noted.Hash = g.list[18].Hash
	if v, err := auditing.Verify(t.Context(), g.page, noted); err != nil || v.Flaw == nil || v.Flaw.Seq != 20 {
		t.Errorf("with another head: %+v, %v", v.Flaw, err)
	}
}

// TestVerifyTampered changes a log of several pages that grows.
func TestVerifyTampered(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*grown)
		why    string
	}{
		"changed":       {func(g *grown) { g.list[24].Actor = "eve" }, "does not continue"},
		"removed":       {func(g *grown) { g.list = append(g.list[:24:24], g.list[25:]...) }, "does not continue"},
		"cut":           {func(g *grown) { g.list, g.grow = g.list[:24], 0 }, "newest were removed"},
		"added":         {func(g *grown) { g.list, g.grow = append(g.list, store.AuditRecord{Seq: 36}), 0 }, "does not continue"},
		"added chained": {func(g *grown) { head := g.head; g.add(3); g.head, g.grow = head, 0 }, "head was changed"},
	} {
		g := newLog(t, 35, 1)
		c.change(g)
		if v, err := auditing.Verify(t.Context(), g.page, store.AuditHead{}); err != nil || v.Flaw == nil || !strings.Contains(v.Flaw.Why, c.why) {
			t.Errorf("%s: %+v, %v; want a flaw: %s", name, v.Flaw, err, c.why)
		}
	}
}

// TestBrokenPages reads from who does not go on, or fails.
func TestBrokenPages(t *testing.T) {
	g, broken := newLog(t, 35, 0), errors.New("broken")
	for name, pages := range map[string]auditing.Pages{
		"the same page": func(ctx context.Context, _ uint64, n int) (auditing.Page, error) { return g.page(ctx, 0, n) },
		"an empty one": func(ctx context.Context, after uint64, n int) (auditing.Page, error) {
			if after > 0 {
				return auditing.Page{More: true, Head: g.head}, nil
			}
			return g.page(ctx, after, n)
		},
		"a failure": func(ctx context.Context, after uint64, n int) (auditing.Page, error) {
			if after > 0 {
				return auditing.Page{}, broken
			}
			return g.page(ctx, after, n)
		},
		"a failure at once": func(context.Context, uint64, int) (auditing.Page, error) { return auditing.Page{}, broken },
	} {
		if _, err := auditing.Verify(t.Context(), pages, store.AuditHead{}); err == nil || strings.HasPrefix(name, "a failure") != errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLog reads pages of a database.
func TestLog(t *testing.T) {
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "licenses.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for range 5 {
		err := st.Update(t.Context(), func(tx store.Tx) error {
			return tx.Audit(store.AuditRecord{At: time.Unix(7, 0), Actor: "ada", Action: "test"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	log := auditing.New(st)
	for _, c := range []struct {
		after  uint64
		limit  int
		n      int
		more   bool
		oldest uint64
	}{{0, 5, 5, false, 1}, {0, 4, 4, true, 1}, {3, 1, 1, true, 4}, {3, 2, 2, false, 4}, {5, 9, 0, false, 0}, {1 << 63, 9, 0, false, 0}, {0, 0, 0, true, 0}, {0, -1, 0, true, 0}} {
		p, err := log.Page(t.Context(), c.after, c.limit)
		if err != nil || len(p.Records) != c.n || p.More != c.more || p.Head.Seq != 5 || c.n > 0 && p.Records[0].Seq != c.oldest {
			t.Errorf("%d after %d: %+v, %v", c.limit, c.after, p, err)
		}
	}
	if v, err := auditing.Verify(t.Context(), log.Page, store.AuditHead{}); err != nil || v.Flaw != nil || v.Records != 5 {
		t.Errorf("%+v, %v", v, err)
	}
}
