//go:build linux

package bench_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"

	"calkeeper/internal/issuance"
)

// few is how many CALs the small license server has issued.
const few = 1000

// manyRows returns how many the large one has: CALKEEPER_BENCH_ROWS, or a million.
func manyRows(b *testing.B) int {
	b.Helper()
	text := os.Getenv("CALKEEPER_BENCH_ROWS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < few {
		b.Fatalf("CALKEEPER_BENCH_ROWS is %q; it must be a number of CALs, at least %d", text, few)
	}
	return n
}

// BenchmarkIssueRows asks a license server that has issued a million CALs, and in turns one that has issued a thousand: for the CAL
// of a new user, and for the one that a user has already.
func BenchmarkIssueRows(b *testing.B) {
	small, large, rows := b.TempDir(), b.TempDir(), manyRows(b)
	fillLicenses(b, small, few)
	fillLicenses(b, large, rows)
	for _, test := range []struct {
		name string
		held bool
	}{{"new", false}, {"held", true}} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", test.name, callers), func(b *testing.B) {
				sides := []*issuer{rowsSide(b, small, few, test.held), rowsSide(b, large, rows, test.held)}
				issues := issuesPerCaller(callers)
				for _, s := range sides {
					s.round(b, callers, issues)
					s.forget()
				}
				for b.Loop() {
					for _, s := range sides {
						s.round(b, callers, issues)
					}
				}
				n := callers * issues
				at, at1000 := sides[1].latency(), sides[0].latency()
				b.ReportMetric(0, "ns/op") // of both
				b.ReportMetric(sides[1].rounds.perSecond(n), "requests/s")
				b.ReportMetric(sides[0].rounds.perSecond(n), "few-requests/s")
				b.ReportMetric(at.at(0.50).Seconds()*1000, "p50-ms")
				b.ReportMetric(at1000.at(0.50).Seconds()*1000, "few-p50-ms")
				b.ReportMetric(at.at(0.99).Seconds()*1000, "p99-ms")
				b.ReportMetric(at1000.at(0.99).Seconds()*1000, "few-p99-ms")
				b.ReportMetric(at.at(0.50).Seconds()/at1000.at(0.50).Seconds(), "ratio-p50")
				b.ReportMetric(at.at(0.99).Seconds()/at1000.at(0.99).Seconds(), "ratio-p99")
			})
		}
	}
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			for _, test := range []struct {
				name, dir string
			}{{"few-", small}, {"", large}} {
				heap, resident := memoryOf(b, test.dir)
				b.ReportMetric(heap, test.name+"heap-MB")
				b.ReportMetric(resident, test.name+"RSS-MB")
			}
		}
		b.ReportMetric(0, "ns/op")
	})
}

// rowsSide opens the license server of a directory that has issued so many CALs.
func rowsSide(b *testing.B, dir string, rows int, held bool) *issuer {
	b.Helper()
	service := openIssuance(b, dir)
	if !held {
		names := rand.Uint64() // other users than those of earlier runs
		return &issuer{
			issue: issueTo(b, service),
			user:  func(n int64) string { return fmt.Sprintf(`EXAMPLE\user%d.%d`, names, n) },
		}
	}
	return &issuer{
		issue: func(_ int, user string) error {
			a, err := service.Request(b.Context(), issuance.Request{Host: perUserHost(), User: user})
			if err == nil && a.Outcome != issuance.Held {
				err = fmt.Errorf("the CAL of %s is %s", user, a.Outcome)
			}
			return err
		},
		user: func(int64) string { return holderName(rand.IntN(rows)) },
	}
}

// memoryOf returns what the process uses of memory after 64 callers have asked the license server of a directory, in MB: the heap
// of Go, and what is resident.
func memoryOf(b *testing.B, dir string) (heap, rss float64) {
	s := openStore(b, dir)
	service := newIssuance(s)
	asking := &issuer{issue: issueTo(b, service), user: func(n int64) string { return fmt.Sprintf(`EXAMPLE\user%d.%d`, rand.Uint64(), n) }}
	for range 10 {
		asking.round(b, 64, issuesPerCaller(64))
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	rss = float64(resident(b, os.Getpid())) / 1024
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return float64(m.HeapAlloc) / (1 << 20), rss
}
