package keycode_test

import (
	"strings"
	"testing"
	"time"

	"calkeeper/internal/keycode"
	"pgregory.net/rapid"
)

func TestExpires(t *testing.T) {
	for month, want := range map[uint16]string{
		1:    "2020-03-01T00:00:00Z",
		10:   "2020-12-01T00:00:00Z",
		11:   "2021-01-01T00:00:00Z",
		12:   "2021-02-01T00:00:00Z",
		83:   "2027-01-01T00:00:00Z",
		2047: "2190-09-01T00:00:00Z",
	} {
		if got := (keycode.Code{ExpiryMonth: month}).Expires().Format(time.RFC3339Nano); got != want {
			t.Errorf("month %d expires %s, want %s", month, got, want)
		}
	}
	if got := (keycode.Code{}).Expires(); !got.IsZero() {
		t.Errorf("perpetual CALs expire %v", got)
	}
}

func TestExpiryMonth(t *testing.T) {
	newYork := time.FixedZone("UTC-5", -5*3600)
	for _, tc := range []struct {
		expires time.Time
		want    uint16
		fails   bool
	}{
		{expires: time.Time{}, want: 0},
		{expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), want: 83},
		{expires: time.Date(2027, 1, 1, 0, 0, 0, 1, time.UTC), want: 84},
		{expires: time.Date(2026, 12, 31, 23, 59, 59, 999999999, time.UTC), want: 83},
		{expires: time.Date(2026, 12, 1, 0, 0, 0, 1, time.UTC), want: 83},
		{expires: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), want: 82},
		{expires: time.Date(2026, 12, 31, 19, 0, 0, 0, newYork), want: 83}, // midnight UTC
		{expires: time.Date(2026, 12, 31, 20, 0, 0, 0, newYork), want: 84},
		{expires: time.Date(2020, 2, 1, 0, 0, 0, 0, time.UTC), fails: true},
		{expires: time.Date(2020, 2, 1, 0, 0, 0, 1, time.UTC), want: 1},
		{expires: time.Date(2190, 9, 1, 0, 0, 0, 0, time.UTC), want: 2047},
		{expires: time.Date(2190, 9, 1, 0, 0, 0, 1, time.UTC), fails: true},
		{expires: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), fails: true},
		{expires: time.Date(-40000, 1, 1, 0, 0, 0, 0, time.UTC), fails: true},
		{expires: time.Unix(1<<62, 0), fails: true},
		{expires: time.Unix(-1<<62, 0), fails: true},
	} {
		got, err := keycode.ExpiryMonth(tc.expires)
		if tc.fails {
			if err == nil || got != 0 || !strings.Contains(err.Error(), "from 2020-02 to 2190-08") {
				t.Errorf("%v: %d, %v; want an error that names the range", tc.expires, got, err)
			}
		} else if err != nil || got != tc.want {
			t.Errorf("%v: %d, %v; want %d", tc.expires, got, err, tc.want)
		}
	}
}

func TestExpiryMonthRoundTrip(t *testing.T) {
	for month := range uint16(2048) {
		back, err := keycode.ExpiryMonth(keycode.Code{ExpiryMonth: month}.Expires())
		if err != nil || back != month {
			t.Errorf("month %d comes back as %d, %v", month, back, err)
		}
	}
}

// CALs never expire before the instant asked for, and less than a month after it.
func TestExpiryMonthRoundsUp(t *testing.T) {
	first := time.Date(2020, 2, 1, 0, 0, 0, 1, time.UTC)
	last := time.Date(2190, 9, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		asked := time.Unix(rapid.Int64Range(first.Unix()+1, last.Unix()).Draw(t, "asked"), 0)
		month, err := keycode.ExpiryMonth(asked)
		if err != nil {
			t.Fatal(err)
		}
		expires := keycode.Code{ExpiryMonth: month}.Expires()
		if expires.Before(asked) || !expires.AddDate(0, -1, 0).Before(asked) {
			t.Fatalf("asked for %v, expires %v", asked, expires)
		}
	})
}
