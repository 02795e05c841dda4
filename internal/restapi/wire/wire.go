// Package wire is what restapi and restapi/client must agree on: the JSON of requests, answers and problems. The tags beside
// `json` are what the OpenAPI document says and the server checks. docs/api.md describes all of it for others.
//
// Versions are short names such as "ws2022", types and modes "per-device" and "per-user", times RFC 3339 in UTC.
package wire

import "time"

// Headers and media types.
const (
	IdempotencyKeyHeader = "Idempotency-Key" // draft-ietf-httpapi-idempotency-key-header
	RequestIDHeader      = "X-Request-Id"
	JSON                 = "application/json"
	ProblemJSON          = "application/problem+json" // RFC 9457
	EventStream          = "text/event-stream"
)

// Bounds of pages and polls.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	MaxWait      = 60 // seconds
)

// Device is a client device as a session host sees it.
type Device struct {
	ID   string `json:"id,omitempty" maxLength:"128" example:"ip:192.0.2.7" doc:"What identifies it: a hardware ID, or ip: and its address where there is nothing better."`
	Name string `json:"name,omitempty" maxLength:"128" example:"DEV1" doc:"A label that the client chooses; it identifies the device if there is no ID."`
}

// SessionHost is what a session host that is not registered says of itself.
type SessionHost struct {
	Version string `json:"version" maxLength:"32" example:"ws2022" doc:"A CAL must be at least as new: ws2008, ws2012, ws2016, ws2019, ws2022, ws2025."`
	Mode    string `json:"mode" maxLength:"32" example:"per-user" doc:"per-device or per-user."`
}

// Request asks about a license for a device or a user of a session host.
type Request struct {
	User        string       `json:"user,omitempty" maxLength:"256" example:"EXAMPLE\\ada" doc:"ada, DOMAIN\\ada or ada@realm; needed by a per-user host."`
	Device      *Device      `json:"device,omitempty" doc:"Needed by a per-device host."`
	Session     string       `json:"session,omitempty" maxLength:"128" example:":10" doc:"What the host calls the session, such as a display; left out while it is not known."`
	Provisional bool         `json:"provisional,omitempty" doc:"The logon is not complete: what is issued lapses unless it is validated."`
	Receipt     bool         `json:"receipt,omitempty" doc:"Asks for a signed receipt in the answer."`
	SessionHost *SessionHost `json:"sessionHost,omitempty" doc:"Only of a host that is not registered, while the license server answers such."`
}

// License is an issued CAL.
type License struct {
	ID             uint32    `json:"id" format:"int64" doc:"LicenseId of Win32_TSIssuedLicense."`
	KeyPackID      uint32    `json:"keyPackId" format:"int64"`
	ProductVersion string    `json:"productVersion" example:"ws2022" doc:"Of the CAL; it may be newer than the session host."`
	Type           string    `json:"type" enum:"per-device,per-user"`
	Status         string    `json:"status" enum:"temporary,active,revoked,pending,concurrent"`
	User           string    `json:"user,omitempty"`
	Device         *Device   `json:"device,omitempty"`
	Host           string    `json:"host" doc:"The session host that asked last."`
	Validated      bool      `json:"validated" doc:"Of a temporary CAL: its device has authenticated a user."`
	Issued         time.Time `json:"issued"`
	Expires        time.Time `json:"expires"`
}

// Lease is a session that uses a CAL.
type Lease struct {
	ID          uint64    `json:"id"`
	License     uint32    `json:"license" format:"int64" doc:"The ID of the CAL."`
	Host        string    `json:"host"`
	User        string    `json:"user,omitempty"`
	Device      *Device   `json:"device,omitempty"`
	Session     string    `json:"session,omitempty"`
	Provisional bool      `json:"provisional" doc:"The logon is not complete."`
	Opened      time.Time `json:"opened"`
	Expires     time.Time `json:"expires" doc:"When the session counts as dead unless the lease is renewed."`
}

// Answer is what a session host gets.
type Answer struct {
	Outcome  string  `json:"outcome" enum:"issued,held,renewed,upgraded,takenOver,validated"`
	License  License `json:"license"`
	Lease    *Lease  `json:"lease,omitempty" doc:"Only for a host that counts sessions."`
	OverUsed bool    `json:"overUsed" doc:"The CAL is beyond what is installed."`
	Warning  string  `json:"warning,omitempty" doc:"What an administrator should know."`
	Receipt  string  `json:"receipt,omitempty" doc:"A compact JWS (RFC 7515, EdDSA)."`
}

// Ended says what a release has done.
type Ended struct {
	Leases   int `json:"leases" doc:"How many sessions were ended."`
	Licenses int `json:"licenses" doc:"How many CALs are free again."`
}

// Revocation says how far revoking may go on.
type Revocation struct {
	RevokableCALs       uint32    `json:"revokableCals" format:"int64" doc:"How many CALs of the same version may be revoked now."`
	NextRevokeAllowedOn time.Time `json:"nextRevokeAllowedOn" doc:"When the next may be, if none may be now; else the present."`
}

// LicensePage is a page of issued CALs by ascending ID.
type LicensePage struct {
	Licenses []License `json:"licenses" nullable:"false"`
	Next     uint32    `json:"next,omitempty" format:"int64" doc:"The value of after for the next page; absent at the end."`
}

// LeasePage is a page of leases by ascending ID.
type LeasePage struct {
	Leases []Lease `json:"leases" nullable:"false"`
	Next   uint64  `json:"next,omitempty" doc:"The value of after for the next page; absent at the end."`
}

// Denial is a request for a CAL that was refused.
type Denial struct {
	Seq            uint64    `json:"seq"`
	At             time.Time `json:"at"`
	Host           string    `json:"host"`
	User           string    `json:"user,omitempty"`
	Device         *Device   `json:"device,omitempty"`
	ProductVersion string    `json:"productVersion" doc:"Of the session host."`
	Type           string    `json:"type" enum:"per-device,per-user"`
	Reason         string    `json:"reason" enum:"no-free-cal,no-key-pack,over-use-limit,temporary-expired,not-activated"`
	Detail         string    `json:"detail"`
}

// DenialPage is a page of denials, oldest first.
type DenialPage struct {
	Denials []Denial `json:"denials" nullable:"false"`
	Next    uint64   `json:"next,omitempty" doc:"The value of after for the next page; absent at the end."`
}

// Counter counts the CALs of one version and type.
type Counter struct {
	ProductVersion string `json:"productVersion"`
	Type           string `json:"type" enum:"per-device,per-user"`
	Installed      uint64 `json:"installed" doc:"In installed key packs."`
	Issued         uint64 `json:"issued" doc:"From them."`
	Available      uint64 `json:"available"`
	OverUsed       uint64 `json:"overUsed" doc:"Per user CALs beyond what is installed."`
	Temporary      uint64 `json:"temporary"`
	Denied         uint64 `json:"denied" doc:"Requests, since ever."`
}

// DenialCount is how often CALs of one kind were refused for one reason, since ever.
type DenialCount struct {
	ProductVersion string `json:"productVersion" doc:"Of the session host."`
	Type           string `json:"type" enum:"per-device,per-user"`
	Reason         string `json:"reason" enum:"no-free-cal,no-key-pack,over-use-limit,temporary-expired,not-activated"`
	Count          uint64 `json:"count"`
}

// Counters are all counters by version and type, and the denials by reason.
type Counters struct {
	Counters []Counter     `json:"counters" nullable:"false"`
	Denials  []DenialCount `json:"denials" nullable:"false"`
}

// OverUse says what happens when more per user CALs are asked for than there are; empty, the license server's default holds.
type OverUse struct {
	Policy     string `json:"policy,omitempty" enum:"allow,deny"`
	WarnAt     uint32 `json:"warnAt,omitempty" format:"int64" maximum:"100000" doc:"At how many percent of the CALs the license server begins to warn; 0 never."`
	DenyBeyond uint32 `json:"denyBeyond,omitempty" format:"int64" maximum:"100000" doc:"Up to how many percent of the CALs are issued under deny: 100 allows no over-use."`
}

// KeyPack is a number of CALs of one version and type.
type KeyPack struct {
	ID             uint32    `json:"id" format:"int64"`
	Kind           string    `json:"kind" enum:"unknown,retail,volume,concurrent,temporary,open,built-in,over-used"`
	ProductVersion string    `json:"productVersion"`
	Type           string    `json:"type" enum:"per-device,per-user,built-in"`
	Total          uint32    `json:"total" format:"int64" doc:"4294967295 stands for no bound."`
	Issued         uint32    `json:"issued" format:"int64"`
	Held           uint32    `json:"held" format:"int64" doc:"Promised to a conversion under way."`
	Available      uint32    `json:"available" format:"int64"`
	Installed      time.Time `json:"installed"`
	Expires        time.Time `json:"expires"`
	OverUse        OverUse   `json:"overUse"`
	Flag           string    `json:"flag,omitempty" doc:"Why the clearinghouse does not stand behind it."`
}

// KeyPacks are the key packs that CALs are counted in.
type KeyPacks struct {
	KeyPacks []KeyPack `json:"keyPacks" nullable:"false"`
}

// NewHost registers a session host.
type NewHost struct {
	Name            string `json:"name" minLength:"1" maxLength:"253" example:"rds1.example.com" doc:"Host name, fully qualified domain name or IP address."`
	ProductVersion  string `json:"productVersion" maxLength:"32" example:"ws2022" doc:"ws2008, ws2012, ws2016, ws2019, ws2022, ws2025."`
	Mode            string `json:"mode" maxLength:"32" example:"per-user" doc:"per-device or per-user."`
	Concurrent      bool   `json:"concurrent,omitempty" doc:"A CAL is used as long as a session lives, not for a term."`
	LeaseTTLSeconds uint32 `json:"leaseTtlSeconds,omitempty" format:"int64" maximum:"2592000" doc:"Of a session that nobody renews; only with concurrent, 3600 if left out."`
	Certificate     string `json:"certificate,omitempty" maxLength:"95" doc:"SHA-256 of the DER of its client certificate, 64 hexadecimal digits, colons allowed; without it the host gets a token."`
}

// Host is a registered session host.
type Host struct {
	Name            string    `json:"name"`
	ProductVersion  string    `json:"productVersion"`
	Mode            string    `json:"mode" enum:"per-device,per-user"`
	Concurrent      bool      `json:"concurrent"`
	LeaseTTLSeconds uint32    `json:"leaseTtlSeconds,omitempty" format:"int64"`
	LicenseServers  []string  `json:"licenseServers,omitempty" doc:"That it is set to ask, first the first; absent for this one alone."`
	Certificate     string    `json:"certificate,omitempty" doc:"SHA-256 of its client certificate; absent if it has a token."`
	Added           time.Time `json:"added"`
}

// AddedHost is a session host that was registered.
type AddedHost struct {
	Host  Host   `json:"host"`
	Token string `json:"token,omitempty" doc:"Shown this once. Absent if the host has a certificate."`
}

// Token is the new token of a session host.
type Token struct {
	Token string `json:"token" doc:"Shown this once."`
}

// Hosts are the registered session hosts by name.
type Hosts struct {
	Hosts []Host `json:"hosts" nullable:"false"`
}

// Account is a local account, or a Kerberos principal that has a role.
type Account struct {
	Name        string    `json:"name" doc:"With an @ a Kerberos principal: user@REALM."`
	Role        string    `json:"role" enum:"Administrator,Operator,Auditor"`
	Password    bool      `json:"password" doc:"It has one."`
	NTLM        bool      `json:"ntlm" doc:"It can log on with NTLM: the license server keeps its NT hash, encrypted."`
	Certificate string    `json:"certificate,omitempty" doc:"SHA-256 of the client certificate that it can log on with."`
	Changed     time.Time `json:"changed"`
}

// AccountChange says what is to be different about an account.
type AccountChange struct {
	Role        string  `json:"role,omitempty" enum:"Administrator,Operator,Auditor"`
	Password    string  `json:"password,omitempty" maxLength:"1024" doc:"8 to 1024 bytes."`
	NTLM        *bool   `json:"ntlm,omitempty" nullable:"false" doc:"To let it log on with NTLM needs the password, the present or a new one."`
	Certificate *string `json:"certificate,omitempty" nullable:"false" maxLength:"95" doc:"SHA-256 of the DER of its client certificate, 64 hexadecimal digits, colons allowed; empty: none any more."`
}

// Accounts are all accounts by name.
type Accounts struct {
	Accounts []Account `json:"accounts" nullable:"false"`
}

// Event is an audit record about a CAL, or a denial.
type Event struct {
	Seq       uint64    `json:"seq"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor" doc:"The session host or account that asked, or calkeeper."`
	Action    string    `json:"action" example:"issue"`
	KeyPackID uint32    `json:"keyPackId,omitempty" format:"int64"`
	LicenseID uint32    `json:"licenseId,omitempty" format:"int64"`
	Detail    string    `json:"detail"`
}

// EventPage are the events after one, oldest first.
type EventPage struct {
	Events []Event `json:"events" nullable:"false"`
	Next   uint64  `json:"next" doc:"The value of after from which to go on."`
}

// AuditRecord is one record of the audit log. All members are always there.
type AuditRecord struct {
	Seq       uint64    `json:"seq"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor" doc:"An account, a session host, clearinghouse, or calkeeper."`
	Action    string    `json:"action" example:"logon"`
	KeyPackID uint32    `json:"keyPackId" format:"int64" doc:"0 if no key pack is concerned."`
	LicenseID uint32    `json:"licenseId" format:"int64" doc:"0 if no license is concerned."`
	Delta     int64     `json:"delta" doc:"By how many the total of the key pack has changed."`
	Detail    string    `json:"detail"`
	Remote    string    `json:"remote" doc:"IP address of the caller, local for the command line on the license server's machine; empty for what the license server does on its own."`
	Mechanism string    `json:"mechanism" doc:"By which the caller was authenticated: Basic, Certificate, Token, NTLM, Kerberos."`
	Hash      string    `json:"hash" doc:"Chains the record to all before it: SHA-256, hexadecimal digits. Empty for one from before there was a chain."`
}

// AuditHead is the end of the audit log's hash chain.
type AuditHead struct {
	Seq       uint64 `json:"seq" doc:"Of the newest record."`
	Hash      string `json:"hash" doc:"Of the newest record."`
	Unchained uint64 `json:"unchained" doc:"The seq up to which records are from before there was a chain; 0 if it was there from the beginning."`
}

// AuditPage are the audit records after one, oldest first.
type AuditPage struct {
	Records []AuditRecord `json:"records" nullable:"false"`
	Next    uint64        `json:"next,omitempty" doc:"The value of after for the next page; absent at the end."`
	Head    AuditHead     `json:"head" doc:"The end of the chain at the moment at which the records were read."`
}

// Server is what the license server says of itself.
type Server struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Activated  bool   `json:"activated"`
	ReceiptKey string `json:"receiptKey" doc:"The Ed25519 public key that verifies receipts, base64."`
}

// ProblemTypePrefix is what the types of problems begin with; the kind of the fault follows, with hyphens.
const ProblemTypePrefix = "urn:calkeeper:problem:"

// Problem is an error (RFC 9457).
type Problem struct {
	Type     string `json:"type" doc:"urn:calkeeper:problem: and the kind of the fault, or about:blank where the status says all."`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty" doc:"What was wrong, where, and what would be right."`
	Instance string `json:"instance,omitempty" doc:"urn:calkeeper:request: and the request's ID, which the log has too."`
	Reason   string `json:"reason,omitempty" enum:"no-free-cal,no-key-pack,over-use-limit,temporary-expired,not-activated" doc:"Why there is no license; only of the type unlicensed."`
	// Revocation is beside a refusal to revoke.
	Revocation *Revocation `json:"revocation,omitempty" doc:"Only of a refusal to revoke."`
}
