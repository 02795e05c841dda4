package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/privatefile"
)

// EmbeddedDir is the directory of the embedded clearinghouse, in that of its license server.
const EmbeddedDir = "clearinghouse"

// enrolmentFile holds the enrolment key that an embedded clearinghouse has made for its own license server.
const enrolmentFile = "enrolment.key"

// HasLicenseServer tells whether a license server has run in the directory.
func HasLicenseServer(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, database))
	return err == nil
}

// HasClearinghouse tells whether a clearinghouse has run in the directory.
func HasClearinghouse(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, clearinghouseDatabase))
	return err == nil
}

// LoadAuthority reads the document of a clearinghouse: authority.json.
func LoadAuthority(path string) (*clearinghouse.Authority, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the authority document: %w", err)
	}
	var a clearinghouse.Authority
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("%s is no authority document: %w", path, err)
	}
	if err := a.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &a, nil
}

// StartEmbeddedClearinghouse runs a clearinghouse for a license server in the same process, which it enrolls: the first
// start makes an organization of that name, and keeps its enrolment key in the directory.
func StartEmbeddedClearinghouse(ctx context.Context, dir, listen, organization string, log *slog.Logger) (_ *Clearinghouse, enrolmentKey string, err error) {
	c, err := StartClearinghouse(ctx, ClearinghouseOptions{Dir: dir, Listen: listen, Logger: log})
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(dir, enrolmentFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		o, createErr := c.Service.CreateOrganization(ctx, organization)
		text = []byte(o.EnrolmentKey + "\n")
		if err = createErr; err == nil {
			err = privatefile.Write(path, text)
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, c.Stop(ctx))
	}
	return c, strings.TrimSpace(string(text)), nil
}
