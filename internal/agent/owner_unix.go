//go:build unix

package agent

import (
	"os"
	"syscall"
)

// ownerOf returns the user that a file belongs to, -1 if nobody knows.
func ownerOf(path string) int64 {
	info, err := os.Lstat(path)
	if err != nil {
		return -1
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(owner.Uid)
	}
	return -1
}
