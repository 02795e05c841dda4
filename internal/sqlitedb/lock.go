package sqlitedb

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// errLocked is returned by lockExclusive when another holder has the lock.
var errLocked = errors.New("locked")

// acquireLock creates the file at path if need be and locks it for as long as
// the returned file stays open. The file itself is never removed: whoever
// removed it could remove the one that a third process has just locked. It
// holds the owner's process ID, for the message and for administrators only.
//
// A lock on the database file itself would not do: it would be lost as soon as
// any descriptor of that file is closed in this process, or collide with
// SQLite's own locks.
func acquireLock(path string) (*os.File, error) {
	f, err := lockExclusive(path)
	if errors.Is(err, errLocked) {
		content, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(content))); err == nil {
			return nil, fmt.Errorf("%w (process ID %d)", ErrInUse, pid)
		}
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	// The disk may be full; the lock holds all the same.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
