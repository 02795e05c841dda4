package wql_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
)

func FuzzParse(f *testing.F) {
	for _, c := range scriptQueries {
		f.Add(c.query)
	}
	for _, where := range []string{
		`a = 'x' OR NOT (b LIKE "%\\%" AND c IS NOT NULL) AND 0x1F >= d`,
		"KeyPackId=4 AND(Enabled<>FALSE)OR ExpirationDate>'2036-01-01T00:00:00Z'",
		"__PATH LIKE '[^a-f]_%' AND NULL != Holders AND __CLASS = Test_KeyPack",
		"((((a = -99999999999999999999))))",
		"ProductVersion NOT LIKE 'é'", "a ISA b", "a.b = 4.5", "(a=1", "'", `'\`, "NOT NOT NOT", "a = \xff",
	} {
		f.Add("SELECT KeyPackId, __CLASS FROM Test_KeyPack WHERE " + where)
	}
	for _, where := range []string{`__this ISA "Test_KeyPack"`, "NOT __THIS isa x AND __SUPERCLASS IS NULL", "__GENUS = 1 OR __DERIVATION IS NULL", "__this", "ISA"} {
		f.Add("select * from meta_class where " + where)
	}
	ns := namespace(f, keyPack{KeyPackId: 4, ProductVersion: "Windows Server 2016"})
	row := instances(f, ns)[0]
	f.Fuzz(func(t *testing.T, text string) {
		q, err := wql.Parse(text)
		if err != nil {
			checkPosition(t, text, err)
			return
		}
		canonical := q.String()
		if len(canonical) <= wql.MaxLength {
			again, err := wql.Parse(canonical)
			if err != nil {
				t.Fatalf("%q is accepted, its String %q is not: %v", text, canonical, err)
			}
			if !reflect.DeepEqual(q.WithoutPositions(), again.WithoutPositions()) {
				t.Fatalf("%q and its String %q are different queries", text, canonical)
			}
			if again.String() != canonical {
				t.Fatalf("String of %q is %q", canonical, again)
			}
		}
		s, err := q.Bind(ns, "RDLS01")
		var noClass *cim.Error
		switch {
		case err == nil && s.Class() == nil:
			s.Matches(cim.Instance{Class: row.Class})
		case err == nil:
			s.Matches(row)
		case !errors.As(err, &noClass):
			checkPosition(t, text, err)
		}
	})
}

// checkPosition holds that an error is typed, and points into the query or just behind it.
func checkPosition(t *testing.T, text string, err error) {
	t.Helper()
	pos, msg := position(t, text, err)
	if pos < 1 || pos > utf8.RuneCountInString(text)+1 || msg == "" || strings.ContainsRune(msg, '\n') {
		t.Fatalf("%q: error %q at %d", text, msg, pos)
	}
}
