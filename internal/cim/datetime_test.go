package cim_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"calkeeper/internal/cim"
)

func TestDatetimeForms(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	for _, c := range []struct {
		t         time.Time
		dmtf, xml string
	}{
		{time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC), "20360101000000.000000-000", "2036-01-01T00:00:00Z"},
		{time.Date(2035, 12, 31, 12, 30, 0, 0, time.UTC), "20351231123000.000000-000", "2035-12-31T12:30:00Z"},
		{time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC), "20260304050607.000008-000", "2026-03-04T05:06:07.000008Z"},
		{time.Date(2026, 3, 4, 5, 6, 7, 1999, time.UTC), "20260304050607.000001-000", "2026-03-04T05:06:07.000001Z"},
		{time.Date(2026, 3, 4, 5, 6, 7, 500e6, berlin), "20260304040607.500000-000", "2026-03-04T04:06:07.5Z"},
		{time.Date(9999, 12, 31, 23, 59, 59, 999999e3, time.UTC), "99991231235959.999999-000", "9999-12-31T23:59:59.999999Z"},
	} {
		d := cim.NewDatetime(c.t)
		if d.DMTF() != c.dmtf || d.XML() != c.xml || string(d.AppendXML([]byte("x"))) != "x"+c.xml {
			t.Errorf("%v: %s, %s; want %s, %s", c.t, d.DMTF(), d.XML(), c.dmtf, c.xml)
		}
		if !d.Time().Equal(c.t.Truncate(time.Microsecond)) || d.Time().Location() != time.UTC || d.IsZero() {
			t.Errorf("%v: Time is %v", c.t, d.Time())
		}
	}
	if !cim.NewDatetime(time.Time{}).IsZero() || !(cim.Datetime{}).IsZero() {
		t.Error("the zero time is not NULL")
	}
}

// TestXMLIsRFC3339 compares the form with that of package time.
func TestXMLIsRFC3339(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fraction := rapid.SampledFrom([]int64{0, 0, 1, 10, 1000, 120_000, 999_999}).Draw(t, "microseconds")
		if rapid.Bool().Draw(t, "any") {
			fraction = rapid.Int64Range(0, 999_999).Draw(t, "microseconds")
		}
		// The years from -1 to 10001.
		when := time.Unix(rapid.Int64Range(-62_198_755_200, 253_433_923_200).Draw(t, "seconds"), fraction*1000).UTC()
		if got, want := cim.NewDatetime(when).XML(), when.Format(time.RFC3339Nano); got != want && !when.IsZero() {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestParseDatetime(t *testing.T) {
	for text, want := range map[string]string{ // to the DMTF form, or to nothing for an error
		"20360101000000.000000-000":        "20360101000000.000000-000",
		"20360101000000.000000+000":        "20360101000000.000000-000",
		"20360101020000.000000+120":        "20360101000000.000000-000",
		"20351231190000.000000-300":        "20360101000000.000000-000",
		"20360101054500.000000+345":        "20360101000000.000000-000",
		"20360101000000.123456-060":        "20360101010000.123456-000",
		"20240229000000.000000+000":        "20240229000000.000000-000",
		"2036-01-01T00:00:00Z":             "20360101000000.000000-000",
		"2036-01-01T02:00:00+02:00":        "20360101000000.000000-000",
		"2035-12-31T19:00:00-05:00":        "20360101000000.000000-000",
		"2036-01-01T00:00:00.5Z":           "20360101000000.500000-000",
		"2036-01-01T00:00:00.123456789Z":   "20360101000000.123456-000",
		"2036-01-01T00:00:00.000000+00:00": "20360101000000.000000-000",

		"":                                          "",
		"2036-01-01":                                "",
		"2036-01-01T00:00:00":                       "", // no offset
		"2036-01-01 00:00:00Z":                      "",
		"2036-02-30T00:00:00Z":                      "",
		"20360101":                                  "",
		"20360101000000.000000":                     "",
		"20360101000000.000000Z":                    "",
		"20360101000000.******+***":                 "",
		"203601010000**.000000+000":                 "",
		"20361301000000.000000+000":                 "",
		"20230229000000.000000+000":                 "",
		"20360101240000.000000+000":                 "",
		"20360101000060.000000+000":                 "",
		"20360101000000.000000 000":                 "",
		"20360101000000.000000+1 0":                 "",
		"20360101000000.000000+-10":                 "",
		"20360101000000,000000+000":                 "",
		"00000001000000.000000:000":                 "", // an interval
		"20360101000000.000000:000":                 "",
		"00010101000000.000000+000":                 "", // the zero time would be NULL
		"0001-01-01T00:00:00Z":                      "",
		"2036-01-01T00:00:00.00000000000000000000Z": "", // 41 characters
	} {
		d, err := cim.ParseDatetime(text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is accepted as %s", text, d.DMTF())
		case want == "" && (!d.IsZero() || !contains(err.Error(), "must be a ")):
			t.Errorf("%q: %v, %v", text, d, err)
		case want != "" && (err != nil || d.DMTF() != want):
			t.Errorf("%q: %s, %v; want %s", text, d.DMTF(), err, want)
		}
	}
	if _, err := cim.ParseDatetime("20360101000000.000000:000"); err == nil || err.Error() != "must be a point in time, not an interval" {
		t.Errorf("interval: %v", err)
	}
}

func TestDatetimeCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(0, 253402300799).Draw(t, "a")
		b := rapid.Int64Range(0, 253402300799).Draw(t, "b")
		got := cim.NewDatetime(time.Unix(a, 0)).Compare(cim.NewDatetime(time.Unix(b, 0)))
		if want := time.Unix(a, 0).Compare(time.Unix(b, 0)); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

func TestDatetimeRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micro := rapid.Int64Range(-62135596799, 253402300799).Draw(t, "s")*1e6 + rapid.Int64Range(0, 999999).Draw(t, "µs")
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "offset"))
		checkRoundTrips(t, cim.NewDatetime(time.UnixMicro(micro).In(zone)))
	})
}

func checkRoundTrips(t interface {
	Helper()
	Fatalf(string, ...any)
}, d cim.Datetime) {
	t.Helper()
	for _, form := range []string{d.DMTF(), d.XML()} {
		back, err := cim.ParseDatetime(form)
		if err != nil || back != d || back.Compare(d) != 0 {
			t.Fatalf("%s is read as %v, %v", form, back.Time(), err)
		}
	}
	if len(d.DMTF()) != 25 {
		t.Fatalf("%s does not have 25 characters", d.DMTF())
	}
}

func FuzzParseDatetime(f *testing.F) {
	for _, s := range []string{
		"20360101000000.000000-000", "20360101020000.123456+120", "99991231235959.999999+000", "00010101000000.000001+000",
		"2036-01-01T00:00:00Z", "2036-01-01T02:00:00.5+02:00", "2035-12-31T19:00:00.999999999-05:00",
		"20360101000000.000000:000", "20360101000000.******+***", "",
		"99991231235959.999999-999", "00000101000000.000000+999", "00010101010000.000000+060", "0001-01-01T00:00:00.0000001Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := cim.ParseDatetime(s)
		if err != nil {
			if !d.IsZero() {
				t.Fatalf("%q: %v beside %v", s, d.Time(), err)
			}
			return
		}
		checkRoundTrips(t, d)
	})
}
