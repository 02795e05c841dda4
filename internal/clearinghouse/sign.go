package clearinghouse

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	"calkeeper/internal/licensing"
)

// Signed is a JSON document with the clearinghouse's Ed25519 signature (RFC 8032) over its purpose and its exact bytes.
type Signed struct {
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature"`
}

// Purpose separates the kinds of signed documents, so that one can never pass for another.
type Purpose string

// The purposes.
const (
	PurposeActivation Purpose = "calkeeper activation v1"
	PurposeGrant      Purpose = "calkeeper grant v1"
	PurposeNotice     Purpose = "calkeeper notice v1"
)

// Sign encodes document as JSON and signs it.
func Sign(key ed25519.PrivateKey, purpose Purpose, document any) (Signed, error) {
	payload, err := json.Marshal(document)
	if err != nil {
		return Signed{}, fmt.Errorf("sign %s: %w", purpose, err)
	}
	return Signed{payload, ed25519.Sign(key, signedBytes(purpose, payload))}, nil
}

// Verify checks the signature and decodes the document into v.
func (s Signed) Verify(key ed25519.PublicKey, purpose Purpose, v any) error {
	if !ed25519.Verify(key, signedBytes(purpose, s.Payload), s.Signature) {
		return fmt.Errorf("the signature is not the clearinghouse's over this %s", purpose)
	}
	if err := json.Unmarshal(s.Payload, v); err != nil {
		return fmt.Errorf("signed %s: %w", purpose, err)
	}
	return nil
}

func signedBytes(purpose Purpose, payload []byte) []byte {
	return append([]byte(string(purpose)+"\n"), payload...)
}

// Activation is the signed answer to an activation.
type Activation struct {
	LicenseServerID string    `json:"licenseServerId"`
	ProductID       string    `json:"productId"`
	Organization    string    `json:"organization"`
	At              time.Time `json:"at"`
}

// Grant is the signed statement that lets a license server install a key pack. For a return it is the receipt.
type Grant struct {
	Key             string                   `json:"key"` // the operation's idempotency key
	Kind            OperationKind            `json:"kind"`
	LicenseServerID string                   `json:"licenseServerId"`
	SourceID        string                   `json:"sourceId,omitempty"` // of an import
	Entitlement     string                   `json:"entitlement"`
	Program         licensing.Program        `json:"program"`
	ProductVersion  licensing.ProductVersion `json:"productVersion"`
	ProductType     licensing.ProductType    `json:"productType"`
	Count           uint32                   `json:"count"`
	Expires         time.Time                `json:"expires,omitzero"` // zero for perpetual CALs
	Serial          uint32                   `json:"serial,omitempty"` // of the offline code
	// NoticeSeq is the newest notice for this license server that the ledger had posted before: it is applied first.
	NoticeSeq uint64    `json:"noticeSeq"`
	At        time.Time `json:"at"`
}

// Notice tells a license server to release CALs, because an import has moved them to another.
type Notice struct {
	Seq             uint64                   `json:"seq"` // counts from 1 for each license server, without gaps
	LicenseServerID string                   `json:"licenseServerId"`
	Entitlement     string                   `json:"entitlement"`
	ProductVersion  licensing.ProductVersion `json:"productVersion"`
	ProductType     licensing.ProductType    `json:"productType"`
	Count           uint32                   `json:"count"`
	TargetID        string                   `json:"targetId"`
	Transfer        string                   `json:"transfer"`
	At              time.Time                `json:"at"`
}

const (
	purposeAnswer  Purpose = "calkeeper answer v1"
	purposeRefusal Purpose = "calkeeper refusal v1"
)

func signAnswer(key ed25519.PrivateKey, answer []byte) []byte {
	return ed25519.Sign(key, signedBytes(purposeAnswer, answer))
}

// VerifyAnswer tells whether the clearinghouse signed an answer; see Service.SignAnswer.
func VerifyAnswer(key ed25519.PublicKey, answer, signature []byte) bool {
	return len(signature) == ed25519.SignatureSize && ed25519.Verify(key, signedBytes(purposeAnswer, answer), signature)
}
