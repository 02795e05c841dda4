package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func activeCAL(holder string) licensing.CAL {
	return licensing.CAL{
		KeyPackID: licensing.FirstKeyPackID, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerDevice,
		Status: licensing.StatusActive, Holder: holder, User: `EXAMPLE\Łukasz`, Device: licensing.Device{ID: "HWID-1", Name: "LAPTOP-日本"},
		Host: hostName(0), Issued: noon(), Expires: noon().Add(licensing.ShortestTerm),
	}
}

// calOf returns a CAL with another status.
func calOf(holder string, status licensing.LicenseStatus) licensing.CAL {
	c := activeCAL(holder)
	c.Status = status
	return c
}

func lease(cal uint32, session string) licensing.Lease {
	return licensing.Lease{
		CAL: cal, Host: hostName(0), User: `EXAMPLE\Ada`, UserKey: "ada@example", Device: licensing.Device{ID: "HWID-1", Name: "LAPTOP-1"},
		DeviceKey: "id:hwid-1", Session: session, Provisional: session == "", Opened: noon(), Expires: noon().Add(time.Hour),
	}
}

// credential returns a SHA-256.
func credential(i int) []byte {
	hash := sha256.Sum256([]byte{byte(i)})
	return hash[:]
}

// host returns a session host with a token.
func host(i int) licensing.Host {
	return licensing.Host{
		Name: hostName(i), ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerUser, Concurrent: true,
		LeaseTTL: licensing.DefaultLeaseTTL, TokenHash: credential(i), Added: noon(), LicenseServers: []string{"ls1.example.com", "192.0.2.1", "2001:db8::1"}[:i%3+1],
	}
}

func denial(detail string) licensing.Denial {
	return licensing.Denial{
		At: noon(), Host: hostName(0), User: `EXAMPLE\Łukasz`, Device: licensing.Device{ID: "HWID-1", Name: "LAPTOP-日本"},
		ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser, Reason: licensing.NoFreeCAL, Detail: detail,
	}
}

func answer(host, key int, body string) store.Answer {
	return store.Answer{Host: hostName(host), Key: answerKey(key), Fingerprint: credential(key), Body: []byte(body), At: noon()}
}

// fillIssued writes something of everything that belongs to CALs; i tells one call from another.
func fillIssued(tx store.Tx, keyPackID uint32, i int) error {
	c := calOf(holderName(i), licensing.StatusConcurrent)
	c.KeyPackID = keyPackID
	id, err := tx.InsertCAL(c)
	if err != nil {
		return err
	}
	revoked := calOf(holderName(i), licensing.StatusRevoked)
	revoked.KeyPackID = keyPackID
	_, err = tx.InsertCAL(revoked)
	_, errLease := tx.PutLease(lease(id, fmt.Sprintf(":%d", i)))
	return errors.Join(err, errLease,
		tx.AddIssued(keyPackID, 1),
		tx.SpendTemporary(holderName(i), licensing.WindowsServer2022, noon()),
		tx.PutHost(host(i)),
		tx.InsertDenial(denial(fmt.Sprintf("the one of %d", i))),
		tx.PutAnswer(answer(i, 1, `{"license":1}`)),
	)
}

// insertCALs inserts CALs in one transaction and returns them with their IDs.
func insertCALs(t *testing.T, s store.Store, cals ...licensing.CAL) []licensing.CAL {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		for i := range cals {
			id, err := tx.InsertCAL(cals[i])
			if err != nil {
				return err
			}
			cals[i].ID = id
		}
		return nil
	})
	return cals
}

// putLeases stores leases in one transaction and returns them with their IDs.
func putLeases(t *testing.T, s store.Store, leases ...licensing.Lease) []licensing.Lease {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		for i := range leases {
			id, err := tx.PutLease(leases[i])
			if err != nil {
				return err
			}
			leases[i].ID = id
		}
		return nil
	})
	return leases
}
