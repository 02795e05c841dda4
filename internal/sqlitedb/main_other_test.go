//go:build !linux

package sqlitedb_test

func childRoles() map[string]func(string) error {
	return map[string]func(string) error{"write forever": writeForever}
}
