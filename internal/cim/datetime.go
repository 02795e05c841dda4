package cim

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Datetime is a point in time with microseconds (DSP0004, 5.2.4). Intervals do not occur in the classes here. The zero
// Datetime stands for NULL.
type Datetime struct{ t time.Time }

// NewDatetime returns t as a Datetime, in UTC and cut to the microsecond.
func NewDatetime(t time.Time) Datetime {
	if t.IsZero() {
		return Datetime{}
	}
	t = t.UTC()
	if beyond := t.Nanosecond() % 1000; beyond != 0 {
		t = t.Add(-time.Duration(beyond))
	}
	return Datetime{t}
}

// IsZero tells whether d stands for NULL.
func (d Datetime) IsZero() bool { return d.t.IsZero() }

// Time returns the instant in UTC.
func (d Datetime) Time() time.Time { return d.t }

// DMTF returns the 25 characters yyyymmddHHMMSS.mmmmmm-000. Windows license servers write the offset of UTC with a minus
// sign, and scripts compare it as text.
func (d Datetime) DMTF() string { return d.t.Format("20060102150405.000000") + "-000" }

// XML returns the xs:dateTime form that WS-Management carries (DSP0230, datetime mapping), for example
// 2036-01-01T00:00:00Z.
func (d Datetime) XML() string { return string(d.AppendXML(nil)) }

// AppendXML appends the xs:dateTime form to b. Lists are full of them; package time takes twice as long.
func (d Datetime) AppendXML(b []byte) []byte {
	year, month, day := d.t.Date()
	if year < 0 || year > 9999 {
		return d.t.AppendFormat(b, time.RFC3339Nano)
	}
	hour, minute, second := d.t.Clock()
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = appendTwo(append(b, '-'), int(month))
	b = appendTwo(append(b, '-'), day)
	b = appendTwo(append(b, 'T'), hour)
	b = appendTwo(append(b, ':'), minute)
	b = appendTwo(append(b, ':'), second)
	if micro := d.t.Nanosecond() / 1000; micro != 0 {
		b = appendTwo(appendTwo(appendTwo(append(b, '.'), micro/10000), micro/100%100), micro%100)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z')
}

// appendTwo appends a number below 100 as two digits.
func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// Compare orders two instants: -1, 0 or 1.
func (d Datetime) Compare(e Datetime) int { return d.t.Compare(e.t) }

var errDatetime = errors.New("must be a datetime: yyyymmddHHMMSS.mmmmmm+UUU, or yyyy-mm-ddTHH:MM:SSZ")

// ParseDatetime reads both forms: the 25 characters of DMTF without asterisks, and xs:dateTime with an offset.
func ParseDatetime(s string) (Datetime, error) {
	if len(s) > 40 {
		return Datetime{}, errDatetime
	}
	if len(s) == 25 && s[14] == '.' {
		return parseDMTF(s)
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Datetime{}, errDatetime
	}
	return inRange(t)
}

// inRange returns t as a Datetime, if both text forms can write it and it is not the one that stands for NULL.
func inRange(t time.Time) (Datetime, error) {
	d := NewDatetime(t)
	if year := d.t.Year(); d.IsZero() || year < 1 || year > 9999 {
		return Datetime{}, errDatetime
	}
	return d, nil
}

func parseDMTF(s string) (Datetime, error) {
	t, err := time.Parse("20060102150405.000000", s[:21])
	if err != nil {
		return Datetime{}, errDatetime
	}
	for _, c := range s[22:] {
		if c < '0' || c > '9' {
			return Datetime{}, errDatetime
		}
	}
	offset, err := strconv.Atoi(s[22:])
	if err != nil {
		return Datetime{}, errDatetime
	}
	switch s[21] {
	case '+':
		return inRange(t.Add(-time.Duration(offset) * time.Minute))
	case '-':
		return inRange(t.Add(time.Duration(offset) * time.Minute))
	case ':':
		return Datetime{}, fmt.Errorf("must be a point in time, not an interval")
	}
	return Datetime{}, errDatetime
}
