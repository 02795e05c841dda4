package sqlitedb_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/sqlitedb"
)

// childVariable tells a re-executed test binary to run one of the functions of
// childRoles instead of the tests, on the database named by its argument.
const childVariable = "SQLITEDB_TEST_CHILD"

func TestMain(m *testing.M) {
	role := os.Getenv(childVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := childRoles()[role](os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child returns the command that runs role on the database at path.
func child(t *testing.T, role, path string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], path)
	cmd.Env = append(os.Environ(), childVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// writeForever is a child role: four goroutines insert items and print the ID of
// each one that was acknowledged, until the process is killed.
func writeForever(path string) error {
	db, err := sqlitedb.Open(context.Background(), path, options())
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				var id int64
				err := db.Update(context.Background(), func(conn *sqlite.Conn) (err error) {
					id, err = appendItem(conn, "by the child")
					return err
				})
				if err == nil {
					_, err = fmt.Println(id)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}
