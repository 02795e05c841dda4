package storetest

import (
	"errors"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

func testOrganizations(t *testing.T, h Harness) {
	f := fixture{t, h.Open(t)}
	if got := f.content(); len(got.organizations)+len(got.servers)+len(got.entitlements)+len(got.entries) != 0 {
		t.Errorf("a new store has content: %+v", got)
	}
	north, south := organization("north"), organization("south")
	// The zone and the nanoseconds must not come back.
	inserted := north
	inserted.Created = north.Created.Add(789 * time.Nanosecond).In(time.FixedZone("far", 9*3600))
	silent := clearinghouse.Organization{ID: "silent"}
	mute := clearinghouse.Organization{ID: "mute", EnrolmentHash: []byte{}}
	f.update(func(tx clearinghouse.Tx) error {
		return errors.Join(tx.InsertOrganization(inserted), tx.InsertOrganization(south), tx.InsertOrganization(silent), tx.InsertOrganization(mute))
	})
	mute.EnrolmentHash = nil

	equal(t, "Organization", read(f, func(r clearinghouse.Reader) (clearinghouse.Organization, error) { return r.Organization("north") }), north)
	equal(t, "an organization without anything", read(f, func(r clearinghouse.Reader) (clearinghouse.Organization, error) { return r.Organization("silent") }), silent)
	equal(t, "OrganizationByEnrolment", read(f, func(r clearinghouse.Reader) (clearinghouse.Organization, error) {
		return r.OrganizationByEnrolment(south.EnrolmentHash)
	}), south)
	equal(t, "Organizations", f.content().organizations, []clearinghouse.Organization{mute, north, silent, south})

	again := organization("another")
	again.ID = "north"
	f.refused(licensing.AlreadyExists, "an organization's ID twice", func(tx clearinghouse.Tx) error { return tx.InsertOrganization(again) })
	again = north
	again.ID = "east"
	f.refused(licensing.AlreadyExists, "an enrolment key twice", func(tx clearinghouse.Tx) error { return tx.InsertOrganization(again) })
}

func testServers(t *testing.T, h Harness) {
	f := fixture{t, h.Open(t)}
	f.update(func(tx clearinghouse.Tx) error {
		return errors.Join(tx.InsertOrganization(organization("north")), tx.InsertOrganization(organization("south")))
	})
	want := []clearinghouse.Server{
		server("north", "first"),
		server("south", "second"),
		// A server that waits for the operator's approval has neither an organization nor a license server ID.
		{ProductID: "third", Name: "third", State: clearinghouse.ServerWaiting},
		{ProductID: "fourth", Names: []string{}, State: clearinghouse.ServerWaiting},
		server("north", "fifth"),
	}
	want[0].ID = 4000 // of no effect: the store assigns it
	f.update(func(tx clearinghouse.Tx) error {
		for i := range want {
			id, err := tx.InsertServer(want[i])
			if err != nil {
				return err
			}
			want[i].ID = id
		}
		return nil
	})
	want[3].Names = nil
	for i, s := range want {
		if s.ID == 0 || i > 0 && s.ID <= want[i-1].ID {
			t.Errorf("server %d got the ID %d; IDs start above 0 and ascend", i, s.ID)
		}
	}
	servers := func(organization string) []clearinghouse.Server {
		return read(f, func(r clearinghouse.Reader) ([]clearinghouse.Server, error) { return r.Servers(organization) })
	}
	equal(t, "Servers of all", servers(""), want)
	equal(t, "Servers of north", servers("north"), []clearinghouse.Server{want[0], want[4]})
	equal(t, "Servers of an organization that is not known", servers("west"), nil)

	changed := clearinghouse.Server{
		ID: want[0].ID, ProductID: "new product", LicenseServerID: "new ID", Organization: "south", Name: "renamed",
		Names: []string{"renamed"}, Contact: licensing.Contact{EMail: "a@example.org", OrgUnit: "o", Address: "a", City: "c", State: "s"},
		State: clearinghouse.ServerDeactivated, NoticeSeq: 9, AckedSeq: 8, LastContact: start.Add(48 * time.Hour),
	}
	f.update(func(tx clearinghouse.Tx) error { return tx.UpdateServer(changed) })
	for what, get := range map[string]func(clearinghouse.Reader) (clearinghouse.Server, error){
		"Server":                  func(r clearinghouse.Reader) (clearinghouse.Server, error) { return r.Server(changed.ID) },
		"ServerByProductID":       func(r clearinghouse.Reader) (clearinghouse.Server, error) { return r.ServerByProductID("new product") },
		"ServerByLicenseServerID": func(r clearinghouse.Reader) (clearinghouse.Server, error) { return r.ServerByLicenseServerID("new ID") },
	} {
		equal(t, what+" after UpdateServer", read(f, get), changed)
	}
	equal(t, "the other servers after UpdateServer", servers("")[1:], want[1:])
	f.refused(licensing.NotFound, "the product ID of before", func(tx clearinghouse.Tx) error {
		_, err := tx.ServerByProductID(want[0].ProductID)
		return err
	})
	f.refused(licensing.NotFound, "no license server ID, though servers have none", func(tx clearinghouse.Tx) error {
		_, err := tx.ServerByLicenseServerID("")
		return err
	})
}

func testServerConflicts(t *testing.T, h Harness) {
	w := newWorld(t, h)
	before := w.content()
	first, second := before.servers[0], before.servers[1]
	for _, c := range []struct {
		what   string
		kind   licensing.Kind
		change func(s *clearinghouse.Server)
	}{
		{"the product ID of another", licensing.AlreadyExists, func(s *clearinghouse.Server) { s.ProductID = first.ProductID }},
		{"the license server ID of another", licensing.AlreadyExists, func(s *clearinghouse.Server) { s.LicenseServerID = first.LicenseServerID }},
		{"an organization that is not known", licensing.NotFound, func(s *clearinghouse.Server) { s.Organization = "west" }},
	} {
		inserted := server("north", "third")
		c.change(&inserted)
		w.refused(c.kind, "insert with "+c.what, func(tx clearinghouse.Tx) error {
			_, err := tx.InsertServer(inserted)
			return err
		})
		updated := second
		c.change(&updated)
		w.refused(c.kind, "update with "+c.what, func(tx clearinghouse.Tx) error { return tx.UpdateServer(updated) })
	}
	w.refused(licensing.NotFound, "update of a server that is not known", func(tx clearinghouse.Tx) error {
		s := server("north", "third")
		s.ID = second.ID + 1
		return tx.UpdateServer(s)
	})
	equalContent(t, "content after what was refused", w.content(), before)
}

func testEntitlements(t *testing.T, h Harness) {
	f := fixture{t, h.Open(t)}
	want := []clearinghouse.Entitlement{agreement("a", "north", "1234567"), open("b", "south", "12345678"), retail("c", "north")}
	f.update(func(tx clearinghouse.Tx) error {
		errs := []error{tx.InsertOrganization(organization("north")), tx.InsertOrganization(organization("south"))}
		for _, e := range want {
			errs = append(errs, tx.InsertEntitlement(e))
		}
		return errors.Join(errs...)
	})
	for _, e := range want {
		equal(t, "Entitlement "+e.ID, read(f, func(r clearinghouse.Reader) (clearinghouse.Entitlement, error) { return r.Entitlement(e.ID) }), e)
	}
	equal(t, "Entitlements of all", f.content().entitlements, want)
	of := func(organization string) []clearinghouse.Entitlement {
		return read(f, func(r clearinghouse.Reader) ([]clearinghouse.Entitlement, error) { return r.Entitlements(organization) })
	}
	equal(t, "Entitlements of south", of("south"), want[1:2])
	equal(t, "number of north's entitlements", len(of("north")), 2)
	equal(t, "Entitlements of an organization that is not known", of("west"), nil)
}

func testEntitlementConflicts(t *testing.T, h Harness) {
	f := fixture{t, h.Open(t)}
	f.update(func(tx clearinghouse.Tx) error {
		return errors.Join(
			tx.InsertOrganization(organization("north")), tx.InsertOrganization(organization("south")),
			tx.InsertEntitlement(agreement("a", "north", "1234567")),
			tx.InsertEntitlement(open("o", "north", "12345678")),
			tx.InsertEntitlement(retail("r", "north")),
		)
	})
	with := func(e clearinghouse.Entitlement, change func(e *clearinghouse.Entitlement)) clearinghouse.Entitlement {
		change(&e)
		return e
	}
	for _, c := range []struct {
		what        string
		entitlement clearinghouse.Entitlement
		kind        licensing.Kind // Internal means accepted
	}{
		{"the ID of another", agreement("o", "south", "7654321"), licensing.AlreadyExists},
		{"the agreement of another", agreement("a2", "north", "1234567"), licensing.AlreadyExists},
		{"the license number of another", with(open("o2", "north", "12345678"), func(e *clearinghouse.Entitlement) { e.SecretHash = hash("other") }), licensing.AlreadyExists},
		{"the retail code of another", with(retail("r", "north"), func(e *clearinghouse.Entitlement) { e.ID = "r2" }), licensing.AlreadyExists},
		{"the retail code of another organization's", with(retail("r", "south"), func(e *clearinghouse.Entitlement) { e.ID = "r3" }), licensing.AlreadyExists},
		{"an organization that is not known", agreement("a3", "west", "1234567"), licensing.NotFound},
		{"the agreement of another, of another product version", with(agreement("a4", "north", "1234567"), func(e *clearinghouse.Entitlement) { e.ProductVersion = licensing.WindowsServer2012 }), licensing.Internal},
		{"the agreement of another, of another type", with(agreement("a5", "north", "1234567"), func(e *clearinghouse.Entitlement) { e.AgreementType = licensing.Select }), licensing.Internal},
		{"the agreement of another organization's", agreement("a6", "south", "1234567"), licensing.Internal},
		{"the license number of another, of another product version", with(open("o3", "north", "12345678"), func(e *clearinghouse.Entitlement) { e.ProductVersion = licensing.WindowsServer2012 }), licensing.Internal},
		{"the first group of another retail code", retail("r4", "north"), licensing.Internal},
	} {
		before := f.content()
		insert := func(tx clearinghouse.Tx) error { return tx.InsertEntitlement(c.entitlement) }
		if c.kind == licensing.Internal {
			f.update(insert)
			continue
		}
		f.refused(c.kind, c.what, insert)
		equalContent(t, "content after "+c.what, f.content(), before)
	}
}

func testFindEntitlements(t *testing.T, h Harness) {
	f := fixture{t, h.Open(t)}
	newer := agreement("a2022", "north", "1234567")
	older := agreement("a2012", "north", "1234567")
	older.ProductVersion = licensing.WindowsServer2012
	otherType := agreement("select", "north", "1234567")
	otherType.AgreementType = licensing.Select
	others := []clearinghouse.Entitlement{
		otherType, agreement("elsewhere", "south", "1234567"), agreement("other", "north", "7654321"),
		open("o", "north", "12345678"), open("same number", "north", "1234567"), retail("r", "north"), retail("r2", "north"), retail("r3", "south"),
	}
	f.update(func(tx clearinghouse.Tx) error {
		errs := []error{tx.InsertOrganization(organization("north")), tx.InsertOrganization(organization("south"))}
		for _, e := range append(others, newer, older) {
			errs = append(errs, tx.InsertEntitlement(e))
		}
		return errors.Join(errs...)
	})
	match := func(e clearinghouse.Entitlement) clearinghouse.Entitlement {
		return clearinghouse.Entitlement{Program: e.Program, AgreementType: e.AgreementType, Number: e.Number, SecretHash: e.SecretHash}
	}
	noType := match(open("", "", "12345678"))
	noType.AgreementType = licensing.School
	noType.SecretHash = hash("some other authorization number")
	noNumber := match(retail("r2", ""))
	noNumber.Number = "other"
	for _, c := range []struct {
		what, organization string
		match              clearinghouse.Entitlement
		ids                []string
	}{
		{"an agreement, of any product version", "north", match(newer), []string{"a2012", "a2022"}},
		{"an agreement of another type", "north", match(otherType), []string{"select"}},
		{"an agreement of another organization", "south", match(newer), []string{"elsewhere"}},
		{"an agreement number that is not known", "north", match(agreement("", "", "0000000")), nil},
		{"an open license, whatever its secret and type", "north", noType, []string{"o"}},
		{"an open license of another organization", "south", noType, nil},
		{"an open license with an agreement's number", "north", match(open("", "", "1234567")), []string{"same number"}},
		{"a retail code, whatever its number", "north", noNumber, []string{"r2"}},
		{"a retail code of another organization", "south", noNumber, nil},
		{"a retail code that is not known", "north", match(retail("r4", "")), nil},
		{"a retail code without a hash", "north", clearinghouse.Entitlement{Program: licensing.Retail, Number: "ABCDE"}, nil},
		{"no program", "north", clearinghouse.Entitlement{Number: "1234567"}, nil},
		{"no organization", "", match(newer), nil},
	} {
		found := map[string]bool{}
		for _, e := range read(f, func(r clearinghouse.Reader) ([]clearinghouse.Entitlement, error) {
			return r.FindEntitlements(c.organization, c.match)
		}) {
			found[e.ID] = true
		}
		want := map[string]bool{}
		for _, id := range c.ids {
			want[id] = true
		}
		equal(t, "FindEntitlements for "+c.what, found, want)
	}
}
