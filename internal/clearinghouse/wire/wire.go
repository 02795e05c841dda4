// Package wire is what clearinghouse/server and clearinghouse/client must agree on: paths, headers, the MAC of requests and
// the signature of answers. docs/clearinghouse.md describes it for others.
package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"calkeeper/internal/keycode"
)

// Paths of what license servers ask.
const (
	AuthorityPath  = "/v1/authority"
	ActivatePath   = "/v1/activate"
	ReactivatePath = "/v1/reactivate"
	DeactivatePath = "/v1/deactivate"
	PerformPath    = "/v1/operations"
	PollPath       = "/v1/notices"
	OperatorPath   = "/operator/v1/"
)

// Names of the operator's functions, under OperatorPath.
const (
	CreateOrganization = "create-organization"
	Organizations      = "organizations"
	Sell               = "sell"
	IssueCode          = "issue-code"
	ActivationCode     = "activation-code"
	DeactivationCode   = "deactivation-code"
	CancelCode         = "cancel-code"
	Approve            = "approve"
	Entitlements       = "entitlements"
	Servers            = "servers"
	Transfers          = "transfers"
	Codes              = "codes"
	Ledger             = "ledger"
	Check              = "check"
)

// Headers.
const (
	ProductIDHeader = "Calkeeper-Product-Id"
	NonceHeader     = "Calkeeper-Nonce"     // random text chosen by the license server
	MACHeader       = "Calkeeper-Mac"       // of the request, hexadecimal
	SignatureHeader = "Calkeeper-Signature" // of the answer, base64
)

// MAC returns the HMAC-SHA256 that proves who makes a request.
func MAC(secret keycode.Secret, path, productID, nonce string, body []byte) []byte {
	key := secret.Derive("calkeeper request v1")
	sum := sha256.Sum256(body)
	m := hmac.New(sha256.New, key[:])
	fmt.Fprintf(m, "%s\n%s\n%s\n%x", path, productID, nonce, sum)
	return m.Sum(nil)
}

// SignedAnswer returns the bytes of an answer that are signed: path, product ID and nonce make it the answer to one request of
// one license server.
func SignedAnswer(path, productID, nonce string, status int, body []byte) []byte {
	return append(fmt.Appendf(nil, "%s\n%s\n%s\n%d\n", path, productID, nonce, status), body...)
}

// Problem is an error on the wire (RFC 9457). Title is the kind of the fault.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Poll asks for notices.
type Poll struct {
	After            uint64 `json:"after"`
	WaitMilliseconds int64  `json:"waitMilliseconds"`
}

// Name names a new organization.
type Name struct {
	Name string `json:"name"`
}

// Owner restricts a list to an organization's ID; empty means all.
type Owner struct {
	Organization string `json:"organization"`
}

// Enrollee is a license server to approve or activate.
type Enrollee struct {
	ProductID    string `json:"productId"`
	Organization string `json:"organization"`
	Name         string `json:"name"`
}

// LicenseServer names a license server by its ID.
type LicenseServer struct {
	LicenseServerID string `json:"licenseServerId"`
}

// Serial names an offline code.
type Serial struct {
	Serial uint32 `json:"serial"`
}

// Page is a part of a list.
type Page struct {
	After uint64 `json:"after"`
	Limit int    `json:"limit"`
}
