package client_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

const firstContext = "uuid:8F88D608-595C-4F06-901E-FA234AB73A17"

// packs returns the KeyPackIds of an enumeration.
func packs(seq iter.Seq2[client.Instance, error]) (ids string, err error) {
	var all []string
	for instance, e := range seq {
		if err = e; e == nil {
			all = append(all, instance.Text("KeyPackId"))
		}
	}
	return strings.Join(all, " "), err
}

// actions returns the last parts of the actions that the server got.
func (s *server) actions(t *testing.T) string {
	t.Helper()
	var all []string
	for _, r := range s.requests {
		action := r.action(t)
		all = append(all, action[strings.LastIndexByte(action, '/')+1:])
	}
	return strings.Join(all, " ")
}

func TestEnumerate(t *testing.T) {
	tests := []struct {
		name    string
		files   []string
		ids     string
		actions string
	}{
		{"all at once", []string{"enumerate-all.xml"}, "2 3", "Enumerate"},
		{"objects with EPRs", []string{"enumerate-object-and-epr.xml"}, "2 3", "Enumerate"},
		{"items in the namespace n", []string{"enumerate-n-items.xml"}, "2 3", "Enumerate"},
		{"no end but no context", []string{"enumerate-no-end.xml"}, "2", "Enumerate"},
		{"not optimized", []string{"enumerate-context-only.xml", "pull-last.xml"}, "5", "Enumerate Pull"},
		{"several pages", []string{"enumerate-first.xml", "pull-more.xml", "pull-last.xml"}, "2 3 4 5", "Enumerate Pull Pull"},
		{"an empty page", []string{"enumerate-first.xml", "pull-empty.xml", "pull-end.xml"}, "2 3", "Enumerate Pull Pull"},
		{"an unchanged context", []string{"enumerate-first.xml", "pull-same-context.xml", "pull-last.xml"}, "2 3 4 5", "Enumerate Pull Pull"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var answers []answer
			for _, file := range test.files {
				answers = append(answers, answer{file: file})
			}
			s := newServer(t, answers...)
			ids, err := packs(s.client(t).Enumerate(t.Context(), "Win32_TSLicenseKeyPack", ""))
			if err != nil || ids != test.ids {
				t.Errorf("got %s, %v; want %s", ids, err, test.ids)
			}
			if got := s.actions(t); got != test.actions {
				t.Errorf("the requests were %s, want %s", got, test.actions)
			}
		})
	}
}

func TestEnumerateRequests(t *testing.T) {
	s := newServer(t, answer{file: "enumerate-first.xml"}, answer{file: "pull-more.xml"}, answer{file: "pull-same-context.xml"}, answer{file: "pull-last.xml"})
	if _, err := packs(s.client(t).Enumerate(t.Context(), "Win32_TSLicenseKeyPack", "")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", firstContext, "uuid:2-CHANGED", "uuid:2-CHANGED"} {
		r := s.requests[i]
		if got := r.header(t, nsWSMan, "ResourceURI").Text; got != nsWMI+"Win32_TSLicenseKeyPack" {
			t.Errorf("request %d is for %s", i, got)
		}
		if i == 0 {
			continue
		}
		pull := r.at(t, nsEnvelope, "Body", nsEnumeration, "Pull")
		if got := pull.at(t, nsEnumeration, "EnumerationContext").Text; got != want {
			t.Errorf("pull %d has the context %s, want %s", i, got, want)
		}
		if got := pull.at(t, nsEnumeration, "MaxElements").Text; got != "32000" {
			t.Errorf("pull %d wants %s", i, got)
		}
	}
	enumerate := s.requests[0].at(t, nsEnvelope, "Body", nsEnumeration, "Enumerate")
	enumerate.at(t, nsWSMan, "OptimizeEnumeration")
	if got := enumerate.at(t, nsWSMan, "MaxElements").Text; got != "32000" || enumerate.has(nsWSMan, "Filter") {
		t.Errorf("the request is %+v", enumerate)
	}
}

func TestQuery(t *testing.T) {
	const wql = `SELECT KeyPackId, Description, ExpirationDate FROM Win32_TSLicenseKeyPack WHERE KeyPackId < 3 AND Description <> "&"`
	s := newServer(t, answer{file: "enumerate-fragments.xml"}, answer{file: "enumerate-fragments.xml"})
	for _, class := range []string{"", "Win32_TSLicenseKeyPack"} {
		n := 0
		for instance, err := range s.client(t).Enumerate(t.Context(), class, wql) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			expires, ok := instance.Time("expirationdate")
			if instance.Class != class || instance.Text("KeyPackId") != "2" || !ok || expires.Year() != 2036 {
				t.Errorf("got %+v", instance)
			}
			if v, ok := instance.Value("Description"); !ok || !v.IsNull() {
				t.Errorf("Description is %+v, %v", v, ok)
			}
		}
		if n != 1 {
			t.Errorf("there are %d instances", n)
		}
	}
	for _, r := range s.requests {
		if got := r.header(t, nsWSMan, "ResourceURI").Text; got != nsWMI+"*" {
			t.Errorf("the resource is %s", got)
		}
		filter := r.at(t, nsEnvelope, "Body", nsEnumeration, "Enumerate", nsWSMan, "Filter")
		if filter.Text != wql || filter.attr("", "Dialect") != "http://schemas.microsoft.com/wbem/wsman/1/WQL" {
			t.Errorf("the filter is %+v", filter)
		}
	}
}

func TestEarlyBreakReleasesTheContext(t *testing.T) {
	tests := []struct {
		name    string
		files   []string
		take    int
		context string // that must be released
	}{
		{"within the first page", []string{"enumerate-first.xml"}, 1, firstContext},
		{"at the end of the first page", []string{"enumerate-first.xml"}, 2, firstContext},
		{"within a later page", []string{"enumerate-first.xml", "pull-more.xml"}, 3, "uuid:2-CHANGED"},
		{"within the last page", []string{"enumerate-first.xml", "pull-more.xml", "pull-last.xml"}, 4, ""},
		{"within the only page", []string{"enumerate-all.xml"}, 1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var answers []answer
			for _, file := range test.files {
				answers = append(answers, answer{file: file})
			}
			if test.context != "" {
				answers = append(answers, answer{file: "release.xml"})
			}
			s := newServer(t, answers...)
			taken := 0
			for _, err := range s.client(t).Enumerate(t.Context(), "Win32_TSLicenseKeyPack", "") {
				if err != nil {
					t.Fatal(err)
				}
				if taken++; taken == test.take {
					break
				}
			}
			s.assertReleased(t, test.context)
		})
	}
}

// assertReleased asserts that the last request releases a context, or that none does.
func (s *server) assertReleased(t *testing.T, context string) {
	t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if got := strings.Contains(s.actions(t), "Release"); got != (context != "") {
		t.Fatalf("the requests were %s", s.actions(t))
	}
	if context == "" {
		return
	}
	last := s.requests[len(s.requests)-1]
	if got := last.at(t, nsEnvelope, "Body", nsEnumeration, "Release", nsEnumeration, "EnumerationContext").Text; got != context {
		t.Errorf("released %s, want %s", got, context)
	}
	if got := last.header(t, nsWSMan, "ResourceURI").Text; got != nsWMI+"Win32_TSLicenseKeyPack" {
		t.Errorf("released for %s", got)
	}
}

// TestCancellationReleasesTheContext cancels between two pages.
func TestCancellationReleasesTheContext(t *testing.T) {
	s := newServer(t, answer{file: "enumerate-first.xml"}, answer{file: "release.xml"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.client(t).Enumerate(ctx, "Win32_TSLicenseKeyPack", "") {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v", last)
	}
	s.assertReleased(t, firstContext)
}

func TestFaultReleasesTheContext(t *testing.T) {
	s := newServer(t, answer{file: "enumerate-first.xml"}, answer{file: "fault-timed-out.xml", status: 500}, answer{file: "release.xml"})
	ids, err := packs(s.client(t).Enumerate(t.Context(), "Win32_TSLicenseKeyPack", ""))
	if ids != "2 3" || !errors.Is(err, client.ErrTimedOut) || !strings.HasPrefix(err.Error(), "wsman: enumerate Win32_TSLicenseKeyPack: ") {
		t.Errorf("got %s, %v", ids, err)
	}
	s.assertReleased(t, firstContext)
}

// TestFailingReleaseDoesNotMatter asserts that a loop that broke off ends well when the server is gone.
func TestFailingReleaseDoesNotMatter(t *testing.T) {
	s := newServer(t, answer{file: "enumerate-first.xml"}, answer{status: 500})
	for instance, err := range s.client(t).Enumerate(t.Context(), "Win32_TSLicenseKeyPack", "") {
		if err != nil || instance.Text("KeyPackId") != "2" {
			t.Errorf("got %+v, %v", instance, err)
		}
		break
	}
	s.assertReleased(t, firstContext)
}

func TestStuckServer(t *testing.T) {
	answers := slices.Repeat([]answer{{file: "pull-empty.xml"}}, 17)
	answers[0] = answer{file: "enumerate-context-only.xml"}
	s := newServer(t, append(answers, answer{file: "release.xml"})...)
	_, err := packs(s.client(t).Enumerate(t.Context(), "Win32_TSLicenseKeyPack", ""))
	if !errors.Is(err, client.ErrReply) || !strings.Contains(err.Error(), "17 replies in a row") {
		t.Errorf("got %v", err)
	}
}

func TestEnumerationWithoutAnything(t *testing.T) {
	body := func(inner string) answer {
		return answer{body: `<s:Envelope xmlns:s="` + nsEnvelope + `"><s:Body>` + inner + `</s:Body></s:Envelope>`}
	}
	for want, a := range map[string]answer{
		"neither Items":        body(`<n:EnumerateResponse xmlns:n="` + nsEnumeration + `"/>`),
		"no EnumerateResponse": body(`<n:PullResponse xmlns:n="` + nsEnumeration + `"/>`),
	} {
		_, err := packs(newServer(t, a).client(t).Enumerate(t.Context(), "Win32_X", ""))
		if !errors.Is(err, client.ErrReply) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q in it", err, want)
		}
	}
}

// TestEnumerateTwice asserts that a sequence can be ranged over again, and that it asks again.
func TestEnumerateTwice(t *testing.T) {
	s := newServer(t, answer{file: "enumerate-all.xml"}, answer{file: "enumerate-all.xml"})
	seq := s.client(t).Enumerate(t.Context(), "Win32_TSLicenseKeyPack", "")
	for range 2 {
		if ids, err := packs(seq); ids != "2 3" || err != nil {
			t.Errorf("got %s, %v", ids, err)
		}
	}
}

func BenchmarkEnumerate(b *testing.B) {
	const instances = 500
	item := `<p:Win32_TSLicenseKeyPack xmlns:p="` + nsWMI + `Win32_TSLicenseKeyPack">`
	for _, name := range []string{"KeyPackId", "KeyPackType", "ProductType", "ProductVersionID", "TotalLicenses", "IssuedLicenses", "AvailableLicenses", "AccessRights"} {
		item += "<p:" + name + ">4294967295</p:" + name + ">"
	}
	item += `<p:Description>A02-5.0-S</p:Description></p:Win32_TSLicenseKeyPack>`
	body := `<s:Envelope xmlns:s="` + nsEnvelope + `"><s:Body><n:EnumerateResponse xmlns:n="` + nsEnumeration + `"><n:Items>` +
		strings.Repeat(item, instances) + `</n:Items><n:EndOfSequence/></n:EnumerateResponse></s:Body></s:Envelope>`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, body)
	}))
	defer s.Close()
	c, err := client.New(client.Options{URL: s.URL})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range c.Enumerate(b.Context(), "Win32_TSLicenseKeyPack", "") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != instances {
			b.Fatal(n)
		}
	}
}
