package restapi_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

	"calkeeper/internal/issuance"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

// TestAudit reads the log in pages: every field of every record, and a head that belongs to each page.
func TestAudit(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	h.ask(users, http.MethodPost, licenses, `{"user":"ada"}`, http.StatusCreated, nil)
	h.ask(administrator, http.MethodPut, "/v1/accounts/bob", `{"role":"Auditor","password":"correct-horse"}`, http.StatusOK, nil)
	must(t, h.store.Update(t.Context(), func(tx store.Tx) error {
		return tx.Audit(store.AuditRecord{
			At: h.clock(), Actor: "ada\x1b", Action: "remove", KeyPackID: 4294967295, LicenseID: 17, Delta: -5, Detail: "<&>", Origin: store.Origin{Remote: "fd00::1", Mechanism: "Kerberos"},
		})
	}))
	var seen []wire.AuditRecord
	for _, caller := range []string{auditor, operator, administrator} {
		h.ask(caller, http.MethodGet, "/v1/audit", "", http.StatusOK, nil)
		seen = nil
		for after := uint64(0); ; {
			var page wire.AuditPage
			w := h.ask(caller, http.MethodGet, fmt.Sprintf("/v1/audit?limit=3&after=%d", after), "", http.StatusOK, &page)
			seen = append(seen, page.Records...)
			must(t, h.store.View(t.Context(), func(r store.Reader) error {
				head, err := r.AuditHead()
				if page.Head.Seq != head.Seq || page.Head.Hash != hex.EncodeToString(head.Hash) || page.Head.Unchained != 0 {
					t.Errorf("the head is %+v; want %s", page.Head, head)
				}
				return err
			}))
			if page.Next == 0 {
				if w.Header().Get("Link") != "" || seen[len(seen)-1].Hash != page.Head.Hash {
					t.Errorf("the last page has the link %q, and ends with %+v", w.Header().Get("Link"), seen[len(seen)-1])
				}
				break
			}
			if want := fmt.Sprintf(`</v1/audit?after=%d&limit=3>; rel="next"`, page.Next); w.Header().Get("Link") != want || len(page.Records) != 3 {
				t.Errorf("%d records, Link %q; want %q", len(page.Records), w.Header().Get("Link"), want)
			}
			after = page.Next
		}
	}
	found := map[string]bool{}
	must(t, h.store.View(t.Context(), func(r store.Reader) error {
		i := 0
		for want, err := range store.AllAudit(r) {
			must(t, err)
			got := seen[i]
			if got.Seq != want.Seq || !got.At.Equal(want.At) || got.Actor != want.Actor || got.Action != want.Action || got.KeyPackID != want.KeyPackID ||
				got.LicenseID != want.LicenseID || got.Delta != want.Delta || got.Detail != want.Detail || got.Remote != want.Remote || got.Mechanism != want.Mechanism ||
				got.Hash != hex.EncodeToString(want.Hash) {
				t.Errorf("got %+v; want %+v", got, want)
			}
			found[got.Actor+" "+got.Action+" "+got.Remote+" "+got.Mechanism] = true
			i++
		}
		if i != len(seen) {
			t.Errorf("%d records; want %d", len(seen), i)
		}
		return nil
	}))
	for _, want := range []string{"ada\x1b remove fd00::1 Kerberos", "admin logon 192.0.2.9 Basic", "admin set account 192.0.2.9 Basic", users + " issue 192.0.2.9 Token"} {
		if !found[want] {
			t.Errorf("there is no %q among %v", want, found)
		}
	}
	for query, says := range map[string]string{"limit=0": "query.limit", "limit=1001": "query.limit", "after=-1": "query.after", "after=9007199254740992": "query.after", "actor=ada": "query.actor"} {
		h.refused(auditor, http.MethodGet, "/v1/audit?"+query, "", http.StatusUnprocessableEntity, "invalid", says)
	}
	h.refused(users, http.MethodGet, "/v1/audit", "", http.StatusForbidden, "denied", "this is for accounts")
}
