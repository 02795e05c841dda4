package sqlite

import (
	"fmt"
	"strconv"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

const selectTransfer = `SELECT key, entitlement, product_type, count, source, target, at, notice_seq, released, acknowledged
	FROM transfers `

func scanTransfer(r *row) clearinghouse.Transfer {
	return clearinghouse.Transfer{
		Key: r.text(), Entitlement: r.text(), ProductType: licensing.ProductType(r.uint32()), Count: r.uint32(),
		Source: r.uint32(), Target: r.uint32(), At: r.time(), NoticeSeq: r.uint64(), Released: r.time(), Acknowledged: r.time(),
	}
}

func (r reader) Transfer(key string) (clearinghouse.Transfer, error) {
	missing := licensing.Faultf(licensing.NotFound, "the transfer %q is not known", key)
	return one(r, "transfer", missing, selectTransfer+`WHERE key = ?`, scanTransfer, key)
}

func (r reader) Transfers() ([]clearinghouse.Transfer, error) {
	return all(r, "transfers", selectTransfer+`ORDER BY id`, scanTransfer)
}

func (t tx) InsertTransfer(v clearinghouse.Transfer) error {
	return t.insert("insert transfer", "the transfer "+strconv.Quote(v.Key),
		`INSERT INTO transfers (key, entitlement, product_type, count, source, target, at, notice_seq, released, acknowledged)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Key, v.Entitlement, v.ProductType, v.Count, v.Source, v.Target, instant(v.At), v.NoticeSeq, instant(v.Released),
		instant(v.Acknowledged))
}

func (t tx) UpdateTransfer(v clearinghouse.Transfer) error {
	return t.update("update transfer", "the transfer "+strconv.Quote(v.Key),
		`UPDATE transfers SET entitlement = ?, product_type = ?, count = ?, source = ?, target = ?, at = ?, notice_seq = ?,
			released = ?, acknowledged = ? WHERE key = ?`,
		v.Entitlement, v.ProductType, v.Count, v.Source, v.Target, instant(v.At), v.NoticeSeq, instant(v.Released),
		instant(v.Acknowledged), v.Key)
}

// ReleaseTransfers leaves those alone that are released already, and those without a notice.
func (t tx) ReleaseTransfers(source uint32, seq uint64, at time.Time) error {
	if at.IsZero() {
		return &licensing.Fault{Kind: licensing.Internal, Op: "release transfers", Msg: "the time of the release is missing"}
	}
	return t.insert("release transfers", "the release",
		`UPDATE transfers SET released = ? WHERE source = ? AND notice_seq BETWEEN 1 AND ? AND released IS NULL`,
		instant(at), source, bound(seq))
}

func scanNotice(r *row) clearinghouse.QueuedNotice {
	return clearinghouse.QueuedNotice{
		Server: r.uint32(), Seq: r.uint64(), Signed: clearinghouse.Signed{Payload: r.bytes(), Signature: r.bytes()},
	}
}

// Notices returns the first notices after that sequence number, at most limit; none if limit is not positive.
func (r reader) Notices(server uint32, after uint64, limit int) ([]clearinghouse.QueuedNotice, error) {
	return all(r, "notices",
		`SELECT server, seq, payload, signature FROM notices WHERE server = ? AND seq > ? ORDER BY seq LIMIT `+limited,
		scanNotice, server, bound(after), max(limit, 0))
}

func (t tx) InsertNotice(n clearinghouse.QueuedNotice) error {
	return t.insert("insert notice", fmt.Sprintf("notice %d for license server %d", n.Seq, n.Server),
		`INSERT INTO notices (server, seq, payload, signature) VALUES (?, ?, ?, ?)`,
		n.Server, n.Seq, n.Signed.Payload, n.Signed.Signature)
}

const selectCode = `SELECT serial, import, first_group, entitlement, product_type, count, target, source, state, redeem_key,
	issued FROM codes `

func scanCode(r *row) clearinghouse.Code {
	return clearinghouse.Code{
		Serial: r.uint32(), Import: r.bool(), FirstGroup: r.text(), Entitlement: r.text(),
		ProductType: licensing.ProductType(r.uint32()), Count: r.uint32(), Target: r.uint32(), Source: r.uint32(),
		State: clearinghouse.CodeState(r.text()), RedeemKey: r.text(), Issued: r.time(),
	}
}

func (r reader) Code(serial uint32) (clearinghouse.Code, error) {
	missing := licensing.Faultf(licensing.NotFound, "no code with the serial %d was given out", serial)
	return one(r, "code", missing, selectCode+`WHERE serial = ?`, scanCode, serial)
}

func (r reader) OpenCodes(source uint32, entitlement string, t licensing.ProductType) ([]clearinghouse.Code, error) {
	return all(r, "open codes", selectCode+`WHERE import = 1 AND state = 'issued' AND source = ? AND entitlement = ?
		AND product_type = ? ORDER BY serial`, scanCode, source, entitlement, t)
}

func (r reader) Codes() ([]clearinghouse.Code, error) {
	return all(r, "codes", selectCode+`ORDER BY serial`, scanCode)
}

// NextSerial counts from 1. A serial whose transaction was rolled back was never seen outside and is given out again; one
// that was committed never is, whatever became of it.
func (t tx) NextSerial() (uint32, error) {
	last, err := all(t.reader, "next serial", `SELECT last FROM serials`, (*row).uint32)
	if err != nil {
		return 0, err
	}
	if len(last) != 1 {
		return 0, &licensing.Fault{Kind: licensing.Internal, Op: "next serial", Msg: "the counter of serials is missing"}
	}
	next := last[0] + 1
	if next == 0 {
		return 0, &licensing.Fault{Kind: licensing.OutOfRange, Op: "next serial", Msg: "all 4294967295 serials are used"}
	}
	return next, t.update("next serial", "the counter of serials", `UPDATE serials SET last = ?`, next)
}

func (t tx) InsertCode(c clearinghouse.Code) error {
	return t.insert("insert code", fmt.Sprintf("the code with the serial %d", c.Serial),
		`INSERT INTO codes (serial, import, first_group, entitlement, product_type, count, target, source, state, redeem_key,
			issued) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Serial, c.Import, c.FirstGroup, c.Entitlement, c.ProductType, c.Count, c.Target, optionalID(c.Source), c.State,
		c.RedeemKey, instant(c.Issued))
}

func (t tx) UpdateCode(c clearinghouse.Code) error {
	return t.update("update code", fmt.Sprintf("the code with the serial %d", c.Serial),
		`UPDATE codes SET import = ?, first_group = ?, entitlement = ?, product_type = ?, count = ?, target = ?, source = ?,
			state = ?, redeem_key = ?, issued = ? WHERE serial = ?`,
		c.Import, c.FirstGroup, c.Entitlement, c.ProductType, c.Count, c.Target, optionalID(c.Source), c.State, c.RedeemKey,
		instant(c.Issued), c.Serial)
}

func scanSettled(r *row) clearinghouse.Settled {
	return clearinghouse.Settled{
		Server: r.uint32(), Key: r.text(), RequestHash: r.bytes(),
		Response: clearinghouse.Signed{Payload: r.bytes(), Signature: r.bytes()}, At: r.time(),
	}
}

func (r reader) Settled(server uint32, key string) (clearinghouse.Settled, error) {
	missing := licensing.Faultf(licensing.NotFound, "license server %d has no settled operation %q", server, key)
	return one(r, "settled", missing,
		`SELECT server, key, request_hash, payload, signature, at FROM settled WHERE server = ? AND key = ?`,
		scanSettled, server, key)
}

func (t tx) InsertSettled(s clearinghouse.Settled) error {
	return t.insert("insert settled", fmt.Sprintf("the settled operation %q of license server %d", s.Key, s.Server),
		`INSERT INTO settled (server, key, request_hash, payload, signature, at) VALUES (?, ?, ?, ?, ?, ?)`,
		s.Server, s.Key, s.RequestHash, s.Response.Payload, s.Response.Signature, instant(s.At))
}
