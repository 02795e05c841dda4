// Package auditing reads the audit log in pages, and verifies it while it grows. What the records mean, and how they are chained, store
// says; the package must know neither a protocol nor a file.
package auditing

import (
	"context"
	"fmt"
	"iter"

	"calkeeper/internal/store"
)

// Page is some records, oldest first, and what belongs to them.
type Page struct {
	Records []store.AuditRecord
	More    bool            // there are records after them
	Head    store.AuditHead // the end of the chain at the moment at which they were read
}

// Pages returns the page of at most limit records whose Seq is greater than after: Log.Page, or one who asks a license server.
type Pages func(ctx context.Context, after uint64, limit int) (Page, error)

// PageSize is how many records are asked for at once.
const PageSize = 1000

// Log is a license server's audit log.
type Log struct{ store store.Store }

// New returns the log that is in a store.
func New(s store.Store) *Log { return &Log{s} }

// Page returns at most limit records whose Seq is greater than after, all of one moment with the head.
func (l *Log) Page(ctx context.Context, after uint64, limit int) (p Page, err error) {
	if limit < 1 {
		limit = 0
	}
	err = l.store.View(ctx, func(r store.Reader) error {
		if p.Head, err = r.AuditHead(); err != nil {
			return err
		}
		p.Records, err = r.AuditRecords(after, limit+1)
		return err
	})
	if len(p.Records) > limit {
		p.Records, p.More = p.Records[:limit], true
	}
	return p, err
}

// Records returns the records whose Seq is greater than after, up to the head of the first page, which it returns, too: what is recorded
// while they are read is left out. A record beyond the head of its own page is not: nothing that the license server has recorded is there.
// An error of the iterator is its last element.
func Records(ctx context.Context, pages Pages, after uint64) (store.AuditHead, iter.Seq2[store.AuditRecord, error], error) {
	first, err := pages(ctx, after, PageSize)
	if err != nil {
		return store.AuditHead{}, nil, err
	}
	return first.Head, func(yield func(store.AuditRecord, error) bool) {
		last := after
		for page := first; ; {
			for _, r := range page.Records {
				if r.Seq > first.Head.Seq && r.Seq <= page.Head.Seq || !yield(r, nil) {
					return
				}
				last = max(last, r.Seq)
			}
			if !page.More {
				return
			}
			asked := last
			page, err = pages(ctx, asked, PageSize)
			if err == nil && page.More && (len(page.Records) == 0 || page.Records[len(page.Records)-1].Seq <= asked) {
				err = fmt.Errorf("the page of the audit log after record %d does not go on", asked)
			}
			if err != nil {
				yield(store.AuditRecord{}, err)
				return
			}
		}
	}, nil
}

// Verify holds the whole log against its chain, as it was when the first page was read, and against an earlier head that was noted
// elsewhere, unless that is the zero value.
func Verify(ctx context.Context, pages Pages, noted store.AuditHead) (store.AuditVerification, error) {
	head, records, err := Records(ctx, pages, 0)
	if err != nil {
		return store.AuditVerification{}, err
	}
	return store.VerifyAudit(records, head, noted)
}
