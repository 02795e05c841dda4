package issuance_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/issuance"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// offline is a clearinghouse that cannot be reached.
type offline struct{}

func (offline) Perform(context.Context, clearinghouse.Operation) (clearinghouse.Signed, error) {
	return clearinghouse.Signed{}, &licensing.Fault{Kind: licensing.Unavailable, Msg: "offline", Err: clearinghouse.ErrNotSent}
}

func (offline) Poll(context.Context, uint64, time.Duration) ([]clearinghouse.Signed, error) {
	return nil, licensing.Faultf(licensing.Unavailable, "offline")
}

func (offline) Secret() keycode.Secret { return keycode.Secret{} }
func (offline) SigningKey() []byte     { return nil }

func (f *farm) inventory() *inventory.Service {
	return inventory.New(f.store, offline{}, inventory.Options{Now: f.options.Now, Random: f.random, Logger: f.options.Logger})
}

// TestInventoryLeavesWhatIsIssued: converting, removing and uninstalling never go below what is issued, and say so.
func TestInventoryLeavesWhatIsIssued(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	ctx, inv := context.Background(), f.inventory()
	host := f.host("rdsh.example.net", ws2022, perDevice)
	pool := f.install(ws2022, perDevice, 5)
	f.devices(host, 2)
	removeKind := func(n uint32) error {
		return inv.RemoveKind(ctx, "admin", inventory.Purchase{ProductVersion: uint32(ws2022), ProductType: uint32(perDevice), Count: n})
	}
	convert := func(n uint32) error {
		_, err := inv.Convert(ctx, "admin", pool, n)
		return err
	}
	for name, err := range map[string]error{
		"remove":                     inv.Remove(ctx, "admin", pool, 4),
		"remove the key pack":        inv.RemoveAll(ctx, "admin", pool),
		"remove by version and type": removeKind(4),
		"convert":                    convert(4),
	} {
		f.fails(err, licensing.OutOfRange)
		if err != nil && !strings.Contains(licensing.Message(err), "2 are issued") {
			t.Errorf("%s: the message does not say that 2 are issued: %s", name, licensing.Message(err))
		}
	}
	if pack := f.pack(pool); pack.Total != 5 || pack.Held != 0 || pack.Issued != 2 {
		t.Errorf("the key pack is %+v", &pack)
	}
	f.must(inv.Remove(ctx, "admin", pool, 1))
	f.must(removeKind(2))
	f.fails(inv.Remove(ctx, "admin", pool, 1), licensing.OutOfRange)
	f.issued(pool, 2)
	f.refuse(f.concurrent("xrdp", ws2022, perDevice), device("d9"), licensing.NoFreeCAL)
}

// TestInventoryLeavesOnDemandPacks: what the license server counts by itself is neither bought, moved nor verified.
func TestInventoryLeavesOnDemandPacks(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	ctx, inv := context.Background(), f.inventory()
	f.request(f.host("d", ws2022, perDevice), device("d1"), issuance.Issued)
	f.request(f.host("u", ws2022, perUser), user("ada"), issuance.Issued)
	packs := f.packs()
	if len(packs) != 2 {
		t.Fatalf("the key packs are %+v", packs)
	}
	for _, pack := range packs {
		f.fails(inv.Remove(ctx, "admin", pack.ID, 1), licensing.NotSupported)
		f.fails(inv.RemoveAll(ctx, "admin", pack.ID), licensing.NotSupported)
		_, err := inv.Convert(ctx, "admin", pack.ID, 1)
		f.fails(err, licensing.NotSupported)
		err = inv.RemoveKind(ctx, "admin", inventory.Purchase{
			ProductVersion: uint32(pack.ProductVersion), ProductType: uint32(pack.ProductType), Count: 1,
		})
		f.fails(err, licensing.NotFound)
	}
	verdicts, err := inv.Verify(ctx)
	f.must(err)
	if len(verdicts) != 0 {
		t.Errorf("verified are %+v", verdicts)
	}
	if after := f.packs(); len(after) != 2 || after[0] != packs[0] || after[1] != packs[1] {
		t.Errorf("the key packs have become %+v", after)
	}
}

// TestVerifySeesAWrongCounter: the CALs that are issued are compared with what their key pack counts.
func TestVerifySeesAWrongCounter(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	pool := f.install(ws2022, perDevice, 5)
	f.devices(f.host("rdsh.example.net", ws2022, perDevice), 2)
	for _, wrong := range []uint32{1, 2, 3} {
		f.change(pool, func(k *licensing.KeyPack) { k.Issued = wrong })
		verdicts, err := f.inventory().Verify(context.Background())
		f.must(err)
		if len(verdicts) != 1 {
			t.Fatalf("verified are %+v", verdicts)
		}
		if said := strings.Contains(strings.Join(verdicts[0].Wrong, "\n"), "2 CALs are issued"); said != (wrong != 2) {
			t.Errorf("the key pack counts %d: %q", wrong, verdicts[0].Wrong)
		}
	}
	f.change(pool, func(k *licensing.KeyPack) { k.Issued = 2 })
}
