package wsman

import (
	"strings"
	"time"
)

// maxDuration is what longer durations count as.
const maxDuration = 100 * 365 * 24 * time.Hour

// parseDuration reads an xs:duration (XML Schema Part 2, 3.2.6), such as PT60.000S or P1DT2H. Fractions are allowed of
// seconds only. Years and months, which no client of a computer waits, have 365 and 30 days.
func parseDuration(s string) (d time.Duration, ok bool) {
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if len(s) < 3 || s[0] != 'P' {
		return 0, false
	}
	const day = 24 * time.Hour
	units := []struct {
		letter byte
		length time.Duration
	}{{'Y', 365 * day}, {'M', 30 * day}, {'D', day}, {'T', 0}, {'H', time.Hour}, {'M', time.Minute}, {'S', time.Second}}
	inTime := false
	for s = s[1:]; s != ""; {
		if s[0] == 'T' && !inTime {
			inTime = true
			for units[0].letter != 'T' {
				units = units[1:]
			}
			units, s = units[1:], s[1:]
			if s == "" {
				return 0, false
			}
			continue
		}
		whole, fraction, rest, ok := cutNumber(s)
		if !ok || rest == "" {
			return 0, false
		}
		for len(units) > 0 && units[0].letter != rest[0] {
			if units[0].letter == 'T' {
				return 0, false
			}
			units = units[1:]
		}
		if len(units) == 0 || fraction >= 0 && rest[0] != 'S' {
			return 0, false
		}
		d = min(d+min(time.Duration(whole), maxDuration/units[0].length)*units[0].length+max(fraction, 0), maxDuration)
		units, s = units[1:], rest[1:]
	}
	if negative {
		d = -d
	}
	return d, true
}

// cutNumber cuts digits, with a fraction or without, off the front of s. The fraction counts nanoseconds; -1 if none.
// Numbers beyond 10 digits become 9,999,999,999.
func cutNumber(s string) (whole int64, fraction time.Duration, rest string, ok bool) {
	digits := func() (text string) {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		text, s = s[:n], s[n:]
		return text
	}
	text := digits()
	if text == "" {
		return 0, 0, "", false
	}
	for _, c := range text {
		whole = min(whole*10+int64(c-'0'), 9_999_999_999)
	}
	if !strings.HasPrefix(s, ".") {
		return whole, -1, s, true
	}
	s = s[1:]
	text = digits()
	unit := 100 * time.Millisecond
	for _, c := range text {
		fraction += time.Duration(c-'0') * unit
		unit /= 10
	}
	return whole, fraction, s, text != ""
}
