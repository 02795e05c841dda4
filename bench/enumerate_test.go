//go:build linux

package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"calkeeper/internal/app"
	"calkeeper/internal/store"
	"calkeeper/internal/wsman/client"
)

// The list that is read, in portions of at most 512,000 bytes: what a client takes that does not say more.
const listed = 10_000

// BenchmarkEnumerate lists 10,000 key packs over one connection, and beside it straight from the store.
func BenchmarkEnumerate(b *testing.B) {
	dir, reference := b.TempDir(), b.TempDir()
	install(b, dir, listed)
	install(b, reference, listed)
	s := serve(b, app.LicenseServerOptions{Dir: dir, Name: "ls1.farm.example"})
	st := openStore(b, reference)
	defer st.Close()
	l := newLister(b, s, "Win32_TSLicenseKeyPack")
	if _, _, err := l.list(listed+1, io.Discard); err != nil { // and the one that is built in
		b.Fatal(err)
	}
	var ours, bare series
	var pages, size int
	for b.Loop() {
		began := time.Now()
		p, n, err := l.list(listed, nil)
		if err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(began))
		began = time.Now()
		if err := countPacks(st); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(began))
		pages, size = p, n
	}
	b.ReportMetric(0, "ns/op") // of both
	b.ReportMetric(ours.perSecond(listed), "items/s")
	b.ReportMetric(bare.perSecond(listed), "store-items/s")
	b.ReportMetric(ours.perSecond(listed)/bare.perSecond(listed), "ratio")
	b.ReportMetric(float64(pages), "pages")
	b.ReportMetric(float64(size)/listed, "B/item")
}

func countPacks(s store.Store) error {
	return s.View(context.Background(), func(r store.Reader) error {
		n := 0
		for _, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			n++
		}
		if n != listed {
			return fmt.Errorf("the store has %d key packs", n)
		}
		return nil
	})
}

// lister enumerates a class with requests made beforehand.
type lister struct {
	connection *connection
	item       []byte // how the XML of an item begins
	enumerate  []byte
	pull       func(id []byte) []byte
}

func newLister(b *testing.B, s *server, class string) *lister {
	l := &lister{connection: dial(b, addressOf(s.URL())), item: []byte("<p:" + class + " ")}
	l.enumerate, _ = record(b, s, func(c *client.Client) error {
		for _, err := range c.Enumerate(b.Context(), class, "") {
			return err // of the first, so that nothing but Enumerate and Release is sent
		}
		return errors.New("nothing is listed")
	})
	// The last request that went out was Release; a Pull is the same with other words.
	release := l.enumerate
	head, body, found := bytes.Cut(release, []byte("\r\n\r\n"))
	id, err := between(body, contextTag)
	if !found || err != nil {
		b.Fatal("the request is no Release: ", err)
	}
	id = bytes.Clone(id)
	for from, to := range map[string]string{
		"/Release</a:Action>": "/Pull</a:Action>", "<n:Release>": "<n:Pull>", "</n:Release>": "<n:MaxElements>32000</n:MaxElements></n:Pull>",
	} {
		body = bytes.Replace(body, []byte(from), []byte(to), 1)
	}
	l.pull = func(next []byte) []byte { return withLength(head, bytes.Replace(body, id, next, 1)) }
	enumerate := bytes.Replace(body, []byte("/Pull</a:Action>"), []byte("/Enumerate</a:Action>"), 1)
	before, _, _ := bytes.Cut(enumerate, []byte("<n:Pull>"))
	_, after, _ := bytes.Cut(enumerate, []byte("</n:Pull>"))
	l.enumerate = withLength(head, bytes.Join([][]byte{before,
		[]byte("<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate>"), after}, nil))
	return l
}

// withLength puts a head and another body together.
func withLength(head, body []byte) []byte {
	var request []byte
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if bytes.HasPrefix(line, []byte("Content-Length: ")) {
			line = strconv.AppendInt([]byte("Content-Length: "), int64(len(body)), 10)
		}
		request = append(append(request, line...), "\r\n"...)
	}
	return append(append(request, "\r\n"...), body...)
}

const contextTag = "n:EnumerationContext"

// between returns the text of the first element of that name.
func between(text []byte, name string) ([]byte, error) {
	_, text, found := bytes.Cut(text, []byte("<"+name+">"))
	if !found {
		return nil, fmt.Errorf("there is no %s", name)
	}
	text, _, _ = bytes.Cut(text, []byte("<"))
	return text, nil
}

// list reads all instances, and returns in how many portions, of how many bytes together. It writes their XML to w, if that is
// not nil, and then they must be so many; else it does not look at them.
func (l *lister) list(want int, w io.Writer) (pages, size int, err error) {
	request, items := l.enumerate, 0
	for {
		answer, err := l.connection.exchange(request)
		if err != nil {
			return 0, 0, err
		}
		pages, size = pages+1, size+len(answer)
		if w != nil {
			items += bytes.Count(answer, l.item)
			first, last := bytes.Index(answer, l.item), bytes.LastIndex(answer, []byte("Items>"))
			w.Write(answer[first : last-len("</n:")])
		}
		if bytes.Contains(answer[max(0, len(answer)-200):], []byte(":EndOfSequence")) {
			break
		}
		id, err := between(answer, contextTag)
		if err != nil {
			return 0, 0, err
		}
		request = l.pull(id)
	}
	if w != nil && items != want {
		return 0, 0, fmt.Errorf("%d items were listed of %d", items, want)
	}
	return pages, size, nil
}
