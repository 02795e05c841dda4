package inventory

import (
	"context"
	"fmt"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Verdict is what the evidence says about one key pack.
type Verdict struct {
	KeyPack licensing.KeyPack
	Granted uint32   // CALs that the signed grants and the offline code give
	Removed uint32   // CALs that were released, converted or removed since
	Wrong   []string // what does not agree, in words; empty for a good pack
}

// Verify checks every installed key pack against its evidence: the grants and notices carry the clearinghouse's signature,
// the audit records lead from what was granted to what the pack has,
// and the CALs that are issued are as many as it counts.
func (s *Service) Verify(ctx context.Context) ([]Verdict, error) {
	var verdicts []Verdict
	err := s.store.View(ctx, func(r store.Reader) error {
		audited, err := auditedChanges(r)
		if err != nil {
			return err
		}
		issued, err := countIssued(r)
		if err != nil {
			return err
		}
		for pack, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			if pack.OnDemand() {
				continue // it was not granted
			}
			documents, err := r.Documents(pack.ID)
			if err != nil {
				return err
			}
			v := s.verify(pack, documents, audited[pack.ID])
			if n := issued[pack.ID]; n != pack.Issued {
				v.Wrong = append(v.Wrong, fmt.Sprintf("%d CALs are issued, but the pack counts %d", n, pack.Issued))
			}
			verdicts = append(verdicts, v)
		}
		return nil
	})
	return verdicts, err
}

// countIssued counts the CALs of each key pack.
func countIssued(r store.Reader) (map[uint32]uint32, error) {
	issued := map[uint32]uint32{}
	for c, err := range r.CALs(store.CALFilter{}) {
		if err != nil {
			return nil, err
		}
		if c.Counted() {
			issued[c.KeyPackID]++
		}
	}
	return issued, nil
}

// changes sums the audit records about one key pack.
type changes struct{ added, taken int64 }

func auditedChanges(r store.Reader) (map[uint32]changes, error) {
	const page = 1000
	sums := map[uint32]changes{}
	var after uint64
	for {
		records, err := r.AuditRecords(after, page)
		if err != nil || len(records) == 0 {
			return sums, err
		}
		for _, a := range records {
			c := sums[a.KeyPackID]
			c.added += max(a.Delta, 0)
			c.taken -= min(a.Delta, 0)
			sums[a.KeyPackID], after = c, a.Seq
		}
	}
}

func (s *Service) verify(pack licensing.KeyPack, documents []store.Document, c changes) Verdict {
	v := Verdict{KeyPack: pack, Removed: uint32(c.taken)}
	wrong := func(format string, args ...any) { v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...)) }
	for _, d := range documents {
		signed := clearinghouse.Signed{Payload: d.Payload, Signature: d.Signature}
		if d.Kind == "release" {
			var n clearinghouse.Notice
			if err := signed.Verify(s.clearinghouse.SigningKey(), clearinghouse.PurposeNotice, &n); err != nil {
				wrong("the release of %s: %v", d.Received.Format("2006-01-02"), err)
			}
			continue
		}
		var g clearinghouse.Grant
		if err := signed.Verify(s.clearinghouse.SigningKey(), clearinghouse.PurposeGrant, &g); err != nil {
			wrong("the grant of %s: %v", d.Received.Format("2006-01-02"), err)
			continue
		}
		v.Granted += g.Count
		if g.ProductVersion != pack.ProductVersion || g.ProductType != pack.ProductType || g.Entitlement != pack.Entitlement {
			wrong("the grant is for %s %s of entitlement %s", g.ProductVersion, g.ProductType, g.Entitlement)
		}
	}
	switch {
	case pack.Flag != "":
		wrong("the clearinghouse does not stand behind it: %s", pack.Flag)
	case len(documents) == 0 && pack.Code != "":
		v.Granted = uint32(c.added) // the code was verified when it was used; the clearinghouse has not seen it yet
	case v.Granted == 0:
		wrong("there is no grant for it")
	}
	if int64(v.Granted) != c.added {
		wrong("%d CALs were granted, the audit log has %d installed", v.Granted, c.added)
	}
	if c.added-c.taken != int64(pack.Total) {
		wrong("%d CALs were installed and %d removed, but the pack has %d", c.added, c.taken, pack.Total)
	}
	return v
}
