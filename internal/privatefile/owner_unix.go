//go:build unix

package privatefile

import (
	"os"
	"syscall"
)

// keepOwner gives f the owner of the file that it replaces, or of the directory. Only root can, and needs to.
func keepOwner(f *os.File, path, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		if info, err = os.Stat(dir); err != nil {
			return err
		}
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
