package clearinghouse

import (
	"errors"

	"calkeeper/internal/licensing"
)

// ErrNotSent is in the chain of an Unavailable fault when the request has certainly not reached the clearinghouse, so that
// nothing can come of it.
var ErrNotSent = errors.New("the request was not sent")

// OperationKind is what a license server asks for.
type OperationKind string

// The kinds of operations. The first four end in a grant to install; the others tell what has happened already.
const (
	Install     OperationKind = "install"     // from the pool, by credentials or by an offline code
	Import      OperationKind = "import"      // from another license server, by credentials or by an offline code
	Convert     OperationKind = "convert"     // between per device and per user
	Reinstall   OperationKind = "reinstall"   // what the ledger says this server holds and its database has lost
	Return      OperationKind = "return"      // CALs were removed: they go back to the pool
	Redeem      OperationKind = "redeem"      // an offline code was used while the clearinghouse was out of reach
	Acknowledge OperationKind = "acknowledge" // a grant was installed
)

// Operation is what a license server asks of the clearinghouse. Asked again with the same Key it has no second effect and
// the same answer. Which fields are set follows from Kind.
type Operation struct {
	Key         string                `json:"key"` // chosen by the license server: 16 to 64 letters, digits, hyphens
	Kind        OperationKind         `json:"kind"`
	Credentials licensing.Credentials `json:"credentials,omitzero"` // of install, import, reinstall without Code

	ProductVersion licensing.ProductVersion `json:"productVersion,omitempty"`
	ProductType    licensing.ProductType    `json:"productType,omitempty"` // of convert: the present one
	Count          uint32                   `json:"count,omitempty"`

	SourceName string `json:"sourceName,omitempty"` // of import
	SourceID   string `json:"sourceId,omitempty"`

	Code        string    `json:"code,omitempty"`        // of install, import, reinstall, redeem: 35 characters
	TargetID    string    `json:"targetId,omitempty"`    // of redeem: the license server ID when the code was used
	Entitlement string    `json:"entitlement,omitempty"` // of convert and return
	Grant       string    `json:"grant,omitempty"`       // Key of another operation: of acknowledge, the one that was granted; of redeem, the attempt that got no answer
	Installed   []Holding `json:"installed,omitempty"`   // of reinstall and redeem: all that this server has installed now
}

// Holding is how many CALs of one entitlement and type a license server has installed.
type Holding struct {
	Entitlement string                `json:"entitlement"`
	ProductType licensing.ProductType `json:"productType"`
	Count       uint32                `json:"count"`
}
