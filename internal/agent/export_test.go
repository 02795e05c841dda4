package agent

import (
	"net/netip"
	"reflect"
	"time"

	"calkeeper/internal/licensing"
)

// What the tests look at from outside.
type (
	Process       = process
	SessionRecord = sessionRecord
	LogonRecord   = logonRecord
	ReceiptRecord = receiptRecord
)

// Files of the state directory.
func SessionFile(r SessionRecord) string {
	return sessionsRoom + "/" + sessionName(r.Session, r.Leader)
}
func LogonFile(r LogonRecord) string { return logonsRoom + "/" + logonName(r.User, r.Device) }
func ReceiptFile(r ReceiptRecord) string {
	return receiptsRoom + "/" + receiptName(r.Type, r.User, r.Device)
}

// ParseSocket returns the fields of a line of /proc/net/tcp that addresses are searched by.
func ParseSocket(line []byte) (local, remote netip.AddrPort, state uint8, unread, inode uint64, err error) {
	s, err := parseSocket(line)
	return s.local, s.remote, s.state, s.unread, s.inode, err
}

// ParseStat reads the state of a process; it returns the name too.
func ParseStat(text []byte) (p Process, parent int, name string, dead bool, err error) {
	p, err = parseStat(text)
	return p, p.parent, p.name, p.dead, err
}

// AllowedOffline tells whether a user may log on without the license server.
func (a *Agent) AllowedOffline(user string, d licensing.Device, now time.Time) bool {
	return a.offline(user, d, now) == nil
}

// SettingNames returns the keys of a configuration file.
func SettingNames() (names []string) {
	for f := range reflect.TypeFor[file]().Fields() {
		names = append(names, f.Tag.Get("toml"))
	}
	return names
}
