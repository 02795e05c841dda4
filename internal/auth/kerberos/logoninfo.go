package kerberos

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"calkeeper/internal/auth/gss"
)

// groupEnabled is SE_GROUP_ENABLED (MS-PAC 2.2.1): the group counts for the user's rights.
const groupEnabled = 0x4

// membership is in a group of a domain, or anywhere: GROUP_MEMBERSHIP (MS-PAC 2.2.2) or KERB_SID_AND_ATTRIBUTES (2.2.1).
type membership struct {
	sid        string
	attributes uint32
}

// parseLogonInfo returns the SIDs of a KERB_VALIDATION_INFO (MS-PAC 2.5): the user's, then those of enabled groups, each once.
//
// gokrb5 can read it, too, but makes room for as many elements as a count says, for which there may be no memory.
func parseLogonInfo(data []byte) ([]string, error) {
	const head = 8 + 8 + 4 // of type serialization (MS-RPCE 2.2.6), and the pointer to all
	r := ndr{left: data}
	r.skip(head)
	r.skip(6 * 8) // times
	var texts [8]uint32
	for i := range 6 {
		texts[i] = r.stringPointer()
	}
	r.skip(4) // counts of logons
	user := r.uint32()
	r.skip(4) // primary group
	r.skip(4) // each array repeats its count
	groups := r.uint32()
	r.skip(4 + 16) // flags, session key
	texts[6], texts[7] = r.stringPointer(), r.stringPointer()
	domain := r.uint32()
	r.skip(8 + 4 + 4 + 8 + 8 + 4 + 4 + 4) // reserved, account control, status, times, failures, reserved, count
	extra, resourceDomain := r.uint32(), r.uint32()
	r.skip(4)
	resourceGroups := r.uint32()

	// What the pointers point to, in their order.
	for _, pointer := range texts[:6] {
		r.skipString(pointer)
	}
	memberships := r.relative(groups)
	for _, pointer := range texts[6:] {
		r.skipString(pointer)
	}
	sid := r.sid(domain)
	for i := range memberships {
		memberships[i].sid = sid + memberships[i].sid
	}
	if user != 0 { // else it is of another domain, and the first of the extra ones
		memberships = slices.Insert(memberships, 0, membership{fmt.Sprintf("%s-%d", sid, user), groupEnabled})
	}
	memberships = append(memberships, r.absolute(extra)...)
	sid = r.sid(resourceDomain)
	for _, m := range r.relative(resourceGroups) {
		memberships = append(memberships, membership{sid + m.sid, m.attributes})
	}
	if r.bad {
		return nil, refuse(gss.ErrDefectiveToken, "the logon information of the PAC is malformed")
	}
	var list []string
	for _, m := range memberships {
		if m.attributes&groupEnabled != 0 && !slices.Contains(list, m.sid) {
			list = append(list, m.sid)
		}
	}
	return list, nil
}

// ndr reads little-endian NDR (C706, chapter 14), as far as it is in KERB_VALIDATION_INFO: there, all is aligned to 4 bytes.
type ndr struct {
	left []byte
	bad  bool // something was not there
}

func (r *ndr) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.left)) {
		r.bad = true
		return nil
	}
	b := r.left[:n]
	r.left = r.left[n:]
	return b
}

func (r *ndr) skip(n uint64) { r.take(n) }

func (r *ndr) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// stringPointer reads an RPC_UNICODE_STRING's fixed part: two lengths, and the pointer, 0 for none.
func (r *ndr) stringPointer() uint32 {
	r.skip(4)
	return r.uint32()
}

func (r *ndr) skipString(pointer uint32) {
	if pointer == 0 {
		return
	}
	r.skip(4 + 4) // maximum, offset
	units := uint64(r.uint32())
	r.skip(2*units + units%2*2)
}

// count reads the length of an array of elements that have size bytes at least.
func (r *ndr) count(size int) int {
	n := r.uint32()
	if uint64(n)*uint64(size) > uint64(len(r.left)) {
		r.bad = true
		return 0
	}
	return int(n)
}

// relative reads an array of GROUP_MEMBERSHIP, whose SIDs lack those of the domain.
func (r *ndr) relative(pointer uint32) (list []membership) {
	if pointer == 0 {
		return nil
	}
	for range r.count(8) {
		rid, attributes := r.uint32(), r.uint32()
		list = append(list, membership{fmt.Sprintf("-%d", rid), attributes})
	}
	return list
}

// absolute reads an array of KERB_SID_AND_ATTRIBUTES.
func (r *ndr) absolute(pointer uint32) (list []membership) {
	if pointer == 0 {
		return nil
	}
	var pointers []uint32
	for range r.count(8) {
		pointers = append(pointers, r.uint32())
		list = append(list, membership{attributes: r.uint32()})
	}
	for i, p := range pointers {
		if p == 0 {
			r.bad = true
		}
		list[i].sid = r.sid(p)
	}
	return list
}

// sid reads an RPC_SID (MS-DTYP 2.4.2.3), empty if there is none.
func (r *ndr) sid(pointer uint32) string {
	if pointer == 0 {
		return ""
	}
	n := r.count(4)
	head := r.take(8)
	if head == nil || head[0] != 1 || int(head[1]) != n {
		r.bad = true
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "S-1-%d", uint64(binary.BigEndian.Uint16(head[2:]))<<32|uint64(binary.BigEndian.Uint32(head[4:])))
	for range n {
		fmt.Fprintf(&b, "-%d", r.uint32())
	}
	return b.String()
}
