package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
	wsman "calkeeper/internal/wsman/client"
)

// What TestKilledWhileIssuing does: so many users, from so many session hosts at once, and so many kills meanwhile.
const (
	issuedUsers  = 10_000
	issueCallers = 64
	issueKills   = 5
)

// acknowledged is what session hosts were told: the ID of each user's CAL.
type acknowledged struct {
	mu   sync.Mutex
	cals map[string]uint32
}

func (a *acknowledged) add(t *testing.T, user string, id uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before, ok := a.cals[user]; ok && before != id {
		t.Errorf("%s was told of CAL %d, and now of %d", user, before, id)
	}
	a.cals[user] = id
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.cals)
}

// TestKilledWhileIssuing kills a license server again and again while CALs are issued. Every CAL that a session host was told of
// is there afterwards, and every counter and audit record says the same.
func TestKilledWhileIssuing(t *testing.T) {
	c := newCluster(t)
	c.target.stop(t)
	c.target.args = append(c.target.args, "--api-rate", "1000000")
	c.target.start(t, "")
	c.installUsers(t, c.target, issuedUsers)
	token := c.addHost(t, "rdsh1", licensing.PerUser)
	told := &acknowledged{cals: map[string]uint32{}}
	users := make(chan string)
	var callers sync.WaitGroup
	for range issueCallers {
		callers.Go(func() { issueTo(t, c.target, token, users, told) })
	}
	go func() {
		defer close(users)
		for i := range issuedUsers {
			users <- fmt.Sprintf(`FARM\user%05d`, i)
		}
	}()
	for kill := range issueKills {
		await(t, "the next CALs are issued", func() bool {
			return told.count() > (kill+1)*issuedUsers/(issueKills+2)+rand.IntN(500)
		})
		c.target.kill(t)
		c.target.start(t, "")
	}
	callers.Wait()
	c.target.kill(t)
	checkIssued(t, filepath.Join(c.dir, "target", "calkeeper.db"), told.cals)
}

// issueTo asks for CALs until each user has one: what is lost with the license server is asked again.
func issueTo(t *testing.T, p *process, token string, users <-chan string, told *acknowledged) {
	address := strings.TrimSuffix(p.address(t, "wsman"), "/wsman") + "/v1" // it stays the same over the kills
	host, err := client.New(client.Options{URL: address, Token: token})
	if err != nil {
		t.Error(err)
		return
	}
	for user := range users {
		for {
			answer, err := host.Request(t.Context(), wire.Request{User: user}, "")
			if err == nil {
				told.add(t, user, answer.License.ID)
				break
			}
			if licensing.KindOf(err) != licensing.Unavailable {
				t.Errorf("%s: %v", user, err)
				break
			}
			select {
			case <-time.After(5 * time.Millisecond): // the license server is being started again
			case <-t.Context().Done():
				return
			}
		}
	}
}

// checkIssued holds the database against what session hosts were told, and against itself.
func checkIssued(t *testing.T, path string, told map[string]uint32) {
	t.Helper()
	if len(told) != issuedUsers {
		t.Errorf("%d users were told of a CAL, want %d", len(told), issuedUsers)
	}
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.View(t.Context(), func(r store.Reader) error {
		rows := map[uint32]string{}
		perPack := map[uint32]uint32{}
		for cal, err := range r.CALs(store.CALFilter{}) {
			if err != nil {
				return err
			}
			rows[cal.ID] = cal.User
			perPack[cal.KeyPackID]++
		}
		for user, id := range told {
			if rows[id] != user {
				t.Errorf("%s was told of CAL %d, which is of %q", user, id, rows[id])
			}
		}
		if len(rows) != len(told) {
			t.Errorf("%d CALs are there, %d users were told of one", len(rows), len(told))
		}
		for pack, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			if pack.Issued != perPack[pack.ID] {
				t.Errorf("key pack %d counts %d issued CALs, there are %d", pack.ID, pack.Issued, perPack[pack.ID])
			}
		}
		return checkAudit(t, r, rows)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkAudit checks that the audit log has no gap, and one record of the issue of each CAL.
func checkAudit(t *testing.T, r store.Reader, rows map[uint32]string) error {
	issues := map[uint32]int{}
	var last uint64
	for {
		records, err := r.AuditRecords(last, 1000)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		for _, record := range records {
			if record.Seq != last+1 {
				t.Errorf("audit record %d follows %d", record.Seq, last)
			}
			last = record.Seq
			if record.Action == "issue" {
				issues[record.LicenseID]++
			}
		}
	}
	for id := range rows {
		if issues[id] != 1 {
			t.Errorf("the audit log has %d records of the issue of CAL %d", issues[id], id)
		}
	}
	if len(issues) != len(rows) {
		t.Errorf("the audit log has the issue of %d CALs, there are %d", len(issues), len(rows))
	}
	return nil
}

// installUsers sells and installs per user CALs on one license server.
func (c *cluster) installUsers(t *testing.T, p *process, count int) {
	t.Helper()
	var sale clearinghouse.Sale
	c.ask(t, &sale, "sell", "--program", "open", "--product-version", "7", "--product-type", "user", "--count", fmt.Sprint(count))
	p.want(t, done, keyPackClass, "InstallOpenLicenseKeyPack", nil, wsman.Text("sLicenseNumber", sale.Credentials.LicenseNumber),
		wsman.Text("sAuthorizationNumber", sale.Credentials.AuthorizationNumber), wsman.Uint32("ProductVersion", 7), wsman.Uint32("ProductType", 1),
		wsman.Uint32("LicenseCount", uint32(count)))
}

// addHost registers a session host on the target and returns its token.
func (c *cluster) addHost(t *testing.T, name string, mode licensing.ProductType) string {
	t.Helper()
	admin, err := client.New(client.Options{
		URL: strings.TrimSuffix(c.target.address(t, "wsman"), "/wsman") + "/v1", User: "Administrator", Password: password,
	})
	if err != nil {
		t.Fatal(err)
	}
	added, err := admin.AddHost(t.Context(), wire.NewHost{Name: name, ProductVersion: "ws2022", Mode: mode.ModeName()})
	if err != nil {
		t.Fatal(err)
	}
	c.secrets = append(c.secrets, added.Token)
	return added.Token
}
