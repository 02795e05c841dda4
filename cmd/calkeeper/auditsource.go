package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"calkeeper/internal/app"
	"calkeeper/internal/auditfile"
	"calkeeper/internal/auditing"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/store"
)

// auditConnection says where the audit log is: at a license server that runs, or in the directory of one that does not.
type auditConnection struct {
	connection
	Dir string `placeholder:"DIR" help:"Read the log in this directory of a license server that is not running, without logging on."`
}

// read calls f with the pages of the log.
func (c *auditConnection) read(ctx context.Context, t *terminal, logs app.LogSettings, f func(auditing.Pages) error) (err error) {
	if c.Dir == "" {
		return c.ask(ctx, t, func(api *client.Client) error { return f(patient(askedPages(api))) })
	}
	if !app.HasLicenseServer(c.Dir) {
		return usagef("no license server has run in %s: give its directory with --dir", c.Dir)
	}
	log, err := logs.Resolve(slog.LevelWarn)
	if err != nil {
		return usageError{err}
	}
	l, closing, err := app.OpenAudit(ctx, c.Dir, log.Logger(t.err))
	if err != nil {
		return inUse(err, "If the license server runs, leave out --dir: then it is asked itself")
	}
	defer func() { err = errors.Join(err, closing()) }()
	return f(l.Page)
}

// askedPages asks a license server.
func askedPages(api *client.Client) auditing.Pages {
	return func(ctx context.Context, after uint64, limit int) (p auditing.Page, err error) {
		page, err := api.Audit(ctx, after, limit)
		if err != nil {
			return p, err
		}
		p.More = page.Next != 0
		if p.Head, err = auditfile.DecodeHead(page.Head); err != nil {
			return p, fmt.Errorf("the license server's answer: %w", err)
		}
		for _, r := range page.Records {
			record, err := auditfile.Decode(r)
			if err != nil {
				return p, wrongError{err}
			}
			p.Records = append(p.Records, record)
		}
		return p, nil
	}
}

// patience is how often, and pause how long, a page is waited for that the license server has no time for.
const (
	patience = 30
	pause    = time.Second
)

// patient waits when the license server says that it was asked too often, which a long log on a fast machine comes to. The first page is
// not waited for: there it can be a logon that is held back.
func patient(pages auditing.Pages) auditing.Pages {
	return func(ctx context.Context, after uint64, limit int) (auditing.Page, error) {
		p, err := pages(ctx, after, limit)
		for n := 0; after > 0 && n < patience && licensing.KindOf(err) == licensing.Limited; n++ {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return p, ctx.Err()
			}
			p, err = pages(ctx, after, limit)
		}
		return p, err
	}
}

// notedHead reads the argument of --head; the zero value is none.
func notedHead(text string) (store.AuditHead, error) {
	if text == "" {
		return store.AuditHead{}, nil
	}
	h, err := store.ParseAuditHead(text)
	if err == nil && h.Seq == 0 {
		err = errors.New("record 0 there never was")
	}
	if err != nil {
		return h, usagef("--head: %w", err)
	}
	return h, nil
}
