package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"calkeeper/internal/app"
	"calkeeper/internal/auditfile"
	"calkeeper/internal/auditing"
	"calkeeper/internal/printable"
	"calkeeper/internal/privatefile"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List audit records."`
	Verify auditVerifyCmd `cmd:"" help:"Check that the log is what was recorded."`
	Export auditExportCmd `cmd:"" help:"Write the whole log as JSON lines or csv."`
}

// Help is shown by --help.
func (auditCmd) Help() string {
	return `Example:
  calkeeper audit list --server https://ls.example.org:5986/wsman`
}

type auditListCmd struct {
	auditConnection
	After  *uint64 `placeholder:"SEQ" help:"Begin after this record; without it, the last ones are listed."`
	Limit  int     `default:"100" placeholder:"N" help:"At most so many. Default: ${default}."`
	Actor  string  `placeholder:"NAME" help:"Only what this account, session host, clearinghouse or calkeeper itself did, compared without case."`
	Action string  `placeholder:"ACTION" help:"Only this action, such as logon."`
}

// Help is shown by --help.
func (auditListCmd) Help() string {
	return `Examples:
  calkeeper audit list --action "logon refused"
  calkeeper audit list --after 0 --limit 1000 --output json
  calkeeper audit list --dir /var/lib/calkeeper --actor ada`
}

// Run lists audit records.
func (c *auditListCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) error {
	if c.Limit < 1 {
		return usagef("--limit is %d; it must be 1 or more", c.Limit)
	}
	list := []wire.AuditRecord{}
	err := c.read(ctx, t, logs, func(pages auditing.Pages) error {
		after, err := c.begin(ctx, pages)
		if err != nil {
			return err
		}
		_, records, err := auditing.Records(ctx, pages, after)
		if err != nil {
			return err
		}
		for r, err := range records {
			if err != nil {
				return err
			}
			if !c.matches(r) {
				continue
			}
			if list = append(list, auditfile.Encode(r)); len(list) > c.Limit {
				list = slices.Delete(list, 0, 1)
			}
			if c.After != nil && len(list) == c.Limit {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "SEQ\tTIME\tACTOR\tACTION\tFROM\tMECHANISM\tKEY PACK\tCAL\tDELTA\tDETAIL")
		for _, r := range list {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Seq, at(r.At), shownText(r.Actor), shownText(r.Action), shownText(r.Remote), shownText(r.Mechanism),
				shownNumber(r.KeyPackID, "%d"), shownNumber(r.LicenseID, "%d"), shownNumber(r.Delta, "%+d"), printable.Text(r.Detail))
		}
	})
}

// begin returns the record after which reading begins: where all match, the last ones are found without the rest.
func (c *auditListCmd) begin(ctx context.Context, pages auditing.Pages) (uint64, error) {
	switch {
	case c.After != nil:
		return *c.After, nil
	case c.Actor != "" || c.Action != "":
		return 0, nil
	}
	page, err := pages(ctx, 0, 1)
	return page.Head.Seq - min(page.Head.Seq, uint64(c.Limit)), err
}

func (c *auditListCmd) matches(r store.AuditRecord) bool {
	return (c.Actor == "" || strings.EqualFold(r.Actor, c.Actor)) && (c.Action == "" || strings.EqualFold(r.Action, c.Action))
}

func shownText(s string) string { return or(printable.Text(s), "-") }

func shownNumber[N uint32 | int64](n N, format string) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf(format, n)
}

type auditVerifyCmd struct {
	auditConnection
	Head string `placeholder:"SEQ:HASH" help:"The log must still have this head, which was noted earlier."`
	File string `placeholder:"FILE" help:"Verify JSON lines that audit export has written, without a license server."`
}

// Help is shown by --help.
func (auditVerifyCmd) Help() string {
	return `Exit code 6 means that the log is not what was recorded. What is not seen without an earlier head is a log that somebody has written anew from some record on: note heads elsewhere.

Examples:
  calkeeper audit verify --head 1204:7b79210090d61041a79a6fbaa0febf5a6a0dc3d1baa4e791ead03827e5671fd9
  calkeeper audit verify --dir /var/lib/calkeeper
  calkeeper audit verify --file audit.jsonl`
}

// verifiedJSON is what was found.
type verifiedJSON struct {
	Records   uint64    `json:"records"`
	Unchained uint64    `json:"unchained"`
	Head      string    `json:"head,omitempty"` // only of a log without a flaw
	Flaw      *flawJSON `json:"flaw,omitempty"`
}

type flawJSON struct {
	Seq uint64 `json:"seq"`
	Why string `json:"why"`
}

// Run verifies.
func (c *auditVerifyCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) error {
	noted, err := notedHead(c.Head)
	if err != nil {
		return err
	}
	if c.File != "" && c.Dir != "" {
		return usagef("--file and --dir exclude each other")
	}
	var v store.AuditVerification
	if c.File != "" {
		v, err = verifyFile(c.File, noted)
	} else {
		err = c.read(ctx, t, logs, func(pages auditing.Pages) (err error) {
			v, err = auditing.Verify(ctx, pages, noted)
			return err
		})
	}
	if err != nil {
		return err
	}
	return showVerification(t, v)
}

// verifyFile verifies exported JSON lines.
func verifyFile(path string, noted store.AuditHead) (v store.AuditVerification, err error) {
	f, err := os.Open(path)
	if err != nil {
		return v, usageError{err}
	}
	defer f.Close()
	head, records, err := auditfile.Read(f)
	if errors.Is(err, auditfile.ErrNoExport) {
		return v, usagef("%s: %w", path, err)
	}
	if err == nil {
		v, err = store.VerifyAudit(records, head, noted)
	}
	if bad, ok := errors.AsType[*auditfile.LineError](err); ok {
		return v, wrongError{fmt.Errorf("%s: %w", path, bad)}
	}
	return v, err
}

func showVerification(t *terminal, v store.AuditVerification) error {
	out := verifiedJSON{Records: v.Records, Unchained: v.Unchained}
	if v.Flaw == nil {
		out.Head = v.Head.String()
	} else {
		out.Flaw = &flawJSON{v.Flaw.Seq, v.Flaw.Why}
	}
	err := t.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "records read:\t%d\nfrom before the chain:\t%d\n", out.Records, out.Unchained)
		if out.Flaw == nil {
			fmt.Fprintf(w, "head:\t%s\n", out.Head)
		}
	})
	if err == nil && v.Flaw != nil {
		err = wrongError{fmt.Errorf("the audit log is not what was recorded: record %d: %s", v.Flaw.Seq, v.Flaw.Why)}
	}
	return err
}

type auditExportCmd struct {
	auditConnection
	File   string           `required:"" placeholder:"FILE" help:"Write the log to this file, which only its owner may read; - is the standard output."`
	Format auditfile.Format `enum:",jsonl,csv" default:"" placeholder:"FORMAT" help:"jsonl or csv. Default: what the name of the file ends with."`
}

// Help is shown by --help.
func (auditExportCmd) Help() string {
	return `JSON lines can be verified later with audit verify --file; a csv is for a spreadsheet. In a csv, an apostrophe stands before a text that a spreadsheet would take for a formula, and before one that begins with an apostrophe. A file that is there is replaced.

Examples:
  calkeeper audit export --file audit.jsonl
  calkeeper audit export --dir /var/lib/calkeeper --format csv --file -`
}

// auditExportedJSON says what was written.
type auditExportedJSON struct {
	File string `json:"file"`
	Head string `json:"head"`
}

// Run exports.
func (c *auditExportCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) error {
	format := c.Format
	for _, f := range []auditfile.Format{auditfile.JSONLines, auditfile.CSV} {
		if format == "" && strings.HasSuffix(strings.ToLower(c.File), "."+string(f)) {
			format = f
		}
	}
	if format == "" {
		return usagef("give --format, or a --file whose name ends with .jsonl or .csv")
	}
	var head store.AuditHead
	err := c.read(ctx, t, logs, func(pages auditing.Pages) error {
		return c.to(t, func(w io.Writer) (err error) {
			h, records, err := auditing.Records(ctx, pages, 0)
			if err == nil {
				err = auditfile.Write(w, format, h, records)
			}
			head = h
			return err
		})
	})
	if err != nil {
		return err
	}
	if c.File == "-" {
		fmt.Fprintf(t.err, "head: %s\n", head)
		return nil
	}
	return t.print(auditExportedJSON{c.File, head.String()}, func(w io.Writer) {
		fmt.Fprintf(w, "file:\t%s\nhead:\t%s\n", c.File, head)
	})
}

// to calls write with where the log is to be written. A file is there when it is complete.
func (c *auditExportCmd) to(t *terminal, write func(io.Writer) error) (err error) {
	if c.File == "-" {
		return write(t.out)
	}
	f, err := privatefile.Create(c.File)
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}
