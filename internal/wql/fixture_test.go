package wql_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
)

type detail struct {
	Text string `cim:"Text"`
}

func (detail) CIMClassName() string { return "Test_Detail" }

// keyPack has a property of every type that a query can meet.
type keyPack struct {
	KeyPackId      uint32       `cim:"KeyPackId,key"`
	TotalLicenses  uint32       `cim:"TotalLicenses"`
	ProductVersion string       `cim:"ProductVersion"`
	Enabled        bool         `cim:"Enabled"`
	ExpirationDate cim.Datetime `cim:"ExpirationDate"`
	Holders        []string     `cim:"Holders"`
	Detail         detail       `cim:"Detail"`
}

type report struct {
	FileName string `cim:"FileName,key"`
}

func date(year int) cim.Datetime {
	return cim.NewDatetime(time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC))
}

// namespace returns a namespace whose class Test_KeyPack enumerates rows.
func namespace(tb testing.TB, rows ...keyPack) *cim.Namespace {
	tb.Helper()
	packs, err := cim.Define[keyPack]("Test_KeyPack",
		cim.Enumerates(func(context.Context) iter.Seq2[keyPack, error] {
			return func(yield func(keyPack, error) bool) {
				for _, row := range rows {
					if !yield(row, nil) {
						return
					}
				}
			}
		}))
	if err != nil {
		tb.Fatal(err)
	}
	reports, err := cim.Define[report]("Test_Report")
	if err != nil {
		tb.Fatal(err)
	}
	ns, err := cim.NewNamespace("root/cimv2", packs, reports)
	if err != nil {
		tb.Fatal(err)
	}
	return ns
}

// instances enumerates the class Test_KeyPack.
func instances(tb testing.TB, ns *cim.Namespace) []cim.Instance {
	tb.Helper()
	class, err := ns.Class("Test_KeyPack")
	if err != nil {
		tb.Fatal(err)
	}
	var all []cim.Instance
	for more := true; more; {
		more = false
		n := 0
		for i, err := range class.Instances(tb.Context()) { // valid as long as its own loop does not go on
			if err != nil {
				tb.Fatal(err)
			}
			if n++; n > len(all) {
				all, more = append(all, i), true
				break
			}
		}
	}
	return all
}

func bind(tb testing.TB, ns *cim.Namespace, query string) *wql.Statement {
	tb.Helper()
	q, err := wql.Parse(query)
	if err != nil {
		tb.Fatalf("Parse(%s): %v", query, err)
	}
	s, err := q.Bind(ns, "RDLS01")
	if err != nil {
		tb.Fatalf("Bind(%s): %v", query, err)
	}
	return s
}

// matches tells whether a row satisfies an expression.
func matches(tb testing.TB, row keyPack, where string) bool {
	tb.Helper()
	ns := namespace(tb, row)
	return bind(tb, ns, "SELECT * FROM Test_KeyPack WHERE "+where).Matches(instances(tb, ns)[0])
}

// compile parses and binds, and returns the error of either.
func compile(tb testing.TB, query string) error {
	tb.Helper()
	q, err := wql.Parse(query)
	if err != nil {
		if q != nil {
			tb.Errorf("Parse(%s) returns a query beside its error", query)
		}
		return err
	}
	s, err := q.Bind(namespace(tb), "RDLS01")
	if err != nil && s != nil {
		tb.Errorf("Bind(%s) returns a statement beside its error", query)
	}
	return err
}

// position returns the position of an *wql.Error, and its message.
func position(tb testing.TB, query string, err error) (int, string) {
	tb.Helper()
	var e *wql.Error
	if !errors.As(err, &e) {
		tb.Fatalf("%s: got %v, want a *wql.Error", query, err)
	}
	return e.Pos, e.Msg
}
