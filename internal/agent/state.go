package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/privatefile"
)

// state is the directory in which the agent remembers what has to outlive a hook. Each record is a file of its own, written as
// a whole, so that a hook that dies leaves all records of before and after, and two hooks do not get into each other's way.
type state string

// The rooms of the directory.
const (
	receiptsRoom = "receipts" // the last signed answer for each holder
	logonsRoom   = "logons"   // logons between account and open_session, and those that were allowed offline
	sessionsRoom = "sessions" // sessions between open_session and close_session
)

const (
	maxRecord  = 16 << 10
	maxRecords = 1 << 16 // of one room
)

// receiptRecord is the last signed answer for a user, or for a user at a device.
type receiptRecord struct {
	User    string           `json:"user"`
	Device  licensing.Device `json:"device"`
	Type    string           `json:"type"` // of the CAL: per-user or per-device
	At      time.Time        `json:"at"`
	Receipt string           `json:"receipt"`
}

// logonRecord is a logon that was allowed and is not a session yet.
type logonRecord struct {
	User   string           `json:"user"`
	Device licensing.Device `json:"device"`
	At     time.Time        `json:"at"`
	// Offline tells that the license server does not know of it.
	Offline bool `json:"offline,omitempty"`
}

// sessionRecord is a session that has been opened.
type sessionRecord struct {
	Session string           `json:"session"`
	User    string           `json:"user"`
	Device  licensing.Device `json:"device"`
	Service string           `json:"service,omitempty"`
	Leader  process          `json:"leader"`
	Boot    string           `json:"boot,omitempty"`
	Opened  time.Time        `json:"opened"`
	// Unsettled tells that the license server has not confirmed it.
	Unsettled bool `json:"unsettled,omitempty"`
	// Closed tells that it is over, and that the license server does not know it yet.
	Closed bool `json:"closed,omitempty"`
}

// check tells whether the names in a record are some that can be sent.
func checkRecord(user string, d licensing.Device, session string) error {
	if _, err := licensing.UserKey(user); err != nil {
		return err
	}
	if _, err := licensing.DeviceKey(d); err != nil && !d.IsZero() {
		return err
	}
	return licensing.CheckSession(session)
}

func (r *receiptRecord) check() error { return checkRecord(r.User, r.Device, "") }
func (r *logonRecord) check() error   { return checkRecord(r.User, r.Device, "") }
func (r *sessionRecord) check() error {
	if r.Session == "" || r.Leader.PID <= 0 {
		return errors.New("session or leader is missing")
	}
	return checkRecord(r.User, r.Device, r.Session)
}

// fileName makes a name of what can hold any characters.
func fileName(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00"))) // no part has a zero byte: see checkRecord
	return hex.EncodeToString(sum[:16])
}

func userKey(user string) string {
	key, err := licensing.UserKey(user)
	if err != nil {
		return "" // a user whose name was checked has one
	}
	return key
}

func deviceKey(d licensing.Device) string {
	key, err := licensing.DeviceKey(d)
	if err != nil {
		return "" // no device
	}
	return key
}

func receiptName(licenseType, user string, d licensing.Device) string {
	if licenseType == perDevice {
		return fileName(licenseType, userKey(user), deviceKey(d))
	}
	return fileName(perUser, userKey(user))
}

// logonName begins with what all logons of a user have in common.
func logonName(user string, d licensing.Device) string {
	return logonPrefix(user) + fileName(deviceKey(d))
}

func logonPrefix(user string) string { return fileName(userKey(user)) + "-" }

func sessionName(session string, leader process) string {
	return fileName(session, fmt.Sprint(leader.PID), fmt.Sprint(leader.Start))
}

// put writes a record. It is durable then.
func (s state) put(room, name string, record any) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	dir := filepath.Join(string(s), room)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	return privatefile.Write(filepath.Join(dir, name), append(text, '\n'))
}

// check refuses a directory into which others could put records of their own.
func (s state) check() error {
	info, err := os.Stat(string(s))
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("others may write into %s (its mode is %#o): chmod 700 it", string(s), mode)
	}
	return nil
}

// get reads a record. The error is fs.ErrNotExist if there is none.
func get[T any, P interface {
	*T
	check() error
}](s state, room, name string) (record T, err error) {
	if err := s.check(); err != nil {
		return record, err
	}
	path := filepath.Join(string(s), room, name)
	f, err := os.Open(path)
	if err != nil {
		return record, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return record, fmt.Errorf("%s: %w: %w", path, errRecord, err)
	}
	if err := P(&record).check(); err != nil {
		return record, fmt.Errorf("%s: %w: %w", path, errRecord, err)
	}
	return record, nil
}

// errRecord says that a file of the state is not one that the agent has written.
var errRecord = errors.New("this is no record of the agent")

// named is a record with the name of its file.
type named[T any] struct {
	name   string
	record T
}

// list reads the records of a room whose names begin with a prefix. Files that hold none are told by their names.
func list[T any, P interface {
	*T
	check() error
}](s state, room, prefix string) (records []named[T], broken []string, err error) {
	d, err := os.Open(filepath.Join(string(s), room))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxRecords)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(name, ".") {
			continue
		}
		switch record, err := get[T, P](s, room, name); {
		case err == nil:
			records = append(records, named[T]{name, record})
		case errors.Is(err, errRecord):
			broken = append(broken, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, nil, err
		}
	}
	return records, broken, nil
}

// remove forgets a record; one that is not there is forgotten already. Without a name there is nothing to forget.
func (s state) remove(room, name string) error {
	if name == "" {
		return nil
	}
	if err := os.Remove(filepath.Join(string(s), room, name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep removes what hooks that died while they wrote have left, if it is older than that.
func (s state) sweep(before time.Time) error {
	for _, room := range []string{receiptsRoom, logonsRoom, sessionsRoom} {
		left, err := filepath.Glob(filepath.Join(string(s), room, ".new-*"))
		if err != nil {
			return err
		}
		for _, path := range left {
			if info, err := os.Lstat(path); err == nil && info.ModTime().Before(before) {
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}

// clockRecord is the latest time that the agent has seen.
type clockRecord struct {
	Seen time.Time `json:"seen"`
}

func (*clockRecord) check() error { return nil }

const clockName = "clock"

// lastSeen returns the latest time that was noted; the zero time if none was.
func (s state) lastSeen() (time.Time, error) {
	c, err := get[clockRecord](s, "", clockName)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return c.Seen, err
}

// see notes that it is so late, if the last note is not from this minute.
func (s state) see(now time.Time) error {
	if seen, err := s.lastSeen(); err == nil && !seen.After(now) && now.Sub(seen) < time.Minute {
		return nil
	}
	return s.put("", clockName, clockRecord{now})
}
