package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func report(i int) licensing.Report {
	return licensing.Report{
		FileName: fmt.Sprintf("report %d", i), Generated: noon().Add(time.Duration(i) * time.Hour), Installed: 4294967295, Issued: uint32(i),
	}
}

// readReports reads all reports, and checks that each is found by its name.
func readReports(r store.Reader) ([]licensing.Report, error) {
	all, err := r.Reports()
	if err != nil {
		return nil, err
	}
	for i, want := range all {
		if i > 0 && all[i-1].FileName >= want.FileName {
			return nil, fmt.Errorf("in Reports %q comes after %q", want.FileName, all[i-1].FileName)
		}
		one, err := r.Report(want.FileName)
		if err := errors.Join(err, differ("Report of what Reports listed", one, want)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func testReports(t *testing.T, h Harness) {
	s := h.open(t)
	update(t, s, func(tx store.Tx) error {
		none := func(r licensing.Report, err error) error {
			return fault("Report that is not there", err, licensing.NotFound)
		}
		return errors.Join(tx.InsertReport(report(2)), tx.InsertReport(report(1)),
			fault("InsertReport again", tx.InsertReport(report(2)), licensing.AlreadyExists),
			fault("InsertReport without an instant", tx.InsertReport(licensing.Report{FileName: "report 3"}), licensing.Invalid),
			none(tx.Report("REPORT 2")), none(tx.Report("")), none(tx.Report("report 3")),
			fault("DeleteReport that is not there", tx.DeleteReport("Report 2"), licensing.NotFound),
			fault("Report of no text", second(tx.Report("\xff")), licensing.NotFound))
	})
	if err := differ("Reports", contentOf(t, s).Reports, []licensing.Report{report(1), report(2)}); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return tx.DeleteReport(report(1).FileName) })
	if err := differ("Reports", contentOf(t, s).Reports, []licensing.Report{report(2)}); err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }

func (s step) report() licensing.Report {
	return licensing.Report{FileName: s.key(), Generated: s.Issued.Expires, Installed: s.Number, Issued: s.Number / 2}
}

// changeReport is apply for the methods of store.ReportWriter.
func (m *model) changeReport(tx store.Tx, s step) (changed bool, wrong error) {
	r := s.report()
	at, known := slices.BinarySearchFunc(m.Reports, r.FileName, func(o licensing.Report, name string) int { return strings.Compare(o.FileName, name) })
	switch {
	case s.Method == "InsertReport" && known:
		return false, fault(s.Method, tx.InsertReport(r), licensing.AlreadyExists)
	case s.Method == "InsertReport":
		m.Reports = slices.Insert(m.Reports, at, r)
		return true, tx.InsertReport(r)
	case !known:
		return false, fault(s.Method, tx.DeleteReport(r.FileName), licensing.NotFound)
	}
	m.Reports = nilIfNone(slices.Delete(m.Reports, at, at+1))
	return true, tx.DeleteReport(r.FileName)
}
