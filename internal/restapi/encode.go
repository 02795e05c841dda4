package restapi

import (
	"encoding/hex"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

// each encodes the members of a list. The result is not nil, so that JSON has [].
func each[From, To any](list []From, encode func(From) To) []To {
	out := make([]To, len(list))
	for i, v := range list {
		out[i] = encode(v)
	}
	return out
}

func encodeDevice(d licensing.Device) *wire.Device {
	if d.IsZero() {
		return nil
	}
	return &wire.Device{ID: d.ID, Name: d.Name}
}

func encodeLicense(c licensing.CAL) wire.License {
	return wire.License{
		ID: c.ID, KeyPackID: c.KeyPackID, ProductVersion: c.ProductVersion.ShortName(), Type: c.ProductType.ModeName(), Status: c.Status.String(),
		User: c.User, Device: encodeDevice(c.Device), Host: c.Host, Validated: c.Validated, Issued: c.Issued.UTC(), Expires: c.Expires.UTC(),
	}
}

func encodeLease(l licensing.Lease) wire.Lease {
	return wire.Lease{
		ID: l.ID, License: l.CAL, Host: l.Host, User: l.User, Device: encodeDevice(l.Device), Session: l.Session, Provisional: l.Provisional,
		Opened: l.Opened.UTC(), Expires: l.Expires.UTC(),
	}
}

func encodeAnswer(a issuance.Answer) wire.Answer {
	out := wire.Answer{Outcome: string(a.Outcome), License: encodeLicense(a.CAL), OverUsed: a.OverUsed, Warning: a.Warning}
	if a.Lease != nil {
		l := encodeLease(*a.Lease)
		out.Lease = &l
	}
	return out
}

func encodeEnded(e issuance.Ended) wire.Ended { return wire.Ended{Leases: e.Leases, Licenses: e.CALs} }

func encodeRevocation(r issuance.Revocation) wire.Revocation {
	return wire.Revocation{RevokableCALs: r.RevokableCALs, NextRevokeAllowedOn: r.NextRevokeAllowedOn.UTC()}
}

func encodeDenial(d licensing.Denial) wire.Denial {
	return wire.Denial{
		Seq: d.Seq, At: d.At.UTC(), Host: d.Host, User: d.User, Device: encodeDevice(d.Device), ProductVersion: d.ProductVersion.ShortName(),
		Type: d.ProductType.ModeName(), Reason: string(d.Reason), Detail: d.Detail,
	}
}

func encodeCounter(c issuance.Counter) wire.Counter {
	return wire.Counter{
		ProductVersion: c.ProductVersion.ShortName(), Type: c.ProductType.ModeName(), Installed: c.Installed, Issued: c.Issued,
		Available: c.Available, OverUsed: c.OverUsed, Temporary: c.Temporary, Denied: c.Denied,
	}
}

func encodeDenialCount(d store.DenialCount) wire.DenialCount {
	return wire.DenialCount{
		ProductVersion: d.ProductVersion.ShortName(), Type: d.ProductType.ModeName(), Reason: string(d.Reason), Count: d.Count,
	}
}

func encodeKeyPack(k licensing.KeyPack) wire.KeyPack {
	return wire.KeyPack{
		ID: k.ID, Kind: k.Type.String(), ProductVersion: k.ProductVersion.ShortName(), Type: k.ProductType.ModeName(),
		Total: k.Total, Issued: k.Issued, Held: k.Held, Available: k.Available(), Installed: k.Installed.UTC(), Expires: k.Expires.UTC(),
		OverUse: wire.OverUse{Policy: string(k.OverUse.Policy), WarnAt: k.OverUse.WarnAt, DenyBeyond: k.OverUse.DenyBeyond}, Flag: k.Flag,
	}
}

func encodeHost(h licensing.Host) wire.Host {
	return wire.Host{
		Name: h.Name, ProductVersion: h.ProductVersion.ShortName(), Mode: h.Mode.ModeName(), Concurrent: h.Concurrent,
		LeaseTTLSeconds: uint32(h.LeaseTTL / time.Second), LicenseServers: h.LicenseServers, Certificate: hex.EncodeToString(h.Certificate), Added: h.Added.UTC(),
	}
}

func encodeEvent(r store.AuditRecord) wire.Event {
	return wire.Event{
		Seq: r.Seq, At: r.At.UTC(), Actor: r.Actor, Action: r.Action, KeyPackID: r.KeyPackID, LicenseID: r.LicenseID, Detail: r.Detail,
	}
}
