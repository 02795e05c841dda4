package gss

import (
	"crypto"
	"crypto/md5"
	_ "crypto/sha256" // the hashes of EndPoint
	_ "crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"fmt"
)

// BindingsPolicy says what channel bindings (RFC 5056) an initiator has to send.
type BindingsPolicy string

// The policies, as Windows Remote Management names them (CbtHardeningLevel).
const (
	Relaxed BindingsPolicy = "relaxed" // those that are sent must match
	Strict  BindingsPolicy = "strict"  // over TLS they must be sent, too
	Off     BindingsPolicy = "off"     // they are not looked at, which a proxy that ends TLS needs
)

// ChannelBindings are those that this side sees: the TLS channel that the tokens come through.
type ChannelBindings struct {
	Policy BindingsPolicy
	// EndPoint is the hash of this server's certificate as EndPoint makes it, nil without TLS.
	EndPoint []byte
}

// EndPoint returns the hash of a server certificate for tls-server-end-point (RFC 5929, section 4.1): that of the certificate's
// signature, or SHA-256 in place of MD5 and SHA-1, and where the signature has none.
func EndPoint(certificate *x509.Certificate) []byte {
	hash := crypto.SHA256
	switch certificate.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write(certificate.Raw)
	return h.Sum(nil)
}

// Check holds what an initiator has sent against the policy: the MD5 of its gss_channel_bindings_struct (RFC 4121, section 4.1.1.2;
// MS-NLMP 2.2.2.1, MsvAvChannelBindings). Empty, or 16 zeros, is none. The error wraps ErrBadBindings.
func (b ChannelBindings) Check(sent []byte) error {
	var zero [md5.Size]byte
	none := len(sent) == 0 || subtle.ConstantTimeCompare(sent, zero[:]) == 1
	switch {
	case b.Policy == Off:
		return nil
	case none && b.Policy == Strict && b.EndPoint != nil:
		return fmt.Errorf("%w: none were sent, and the policy is strict", ErrBadBindings)
	case none:
		return nil
	case b.EndPoint == nil:
		return fmt.Errorf("%w: they were sent for TLS, which does not end here", ErrBadBindings)
	case subtle.ConstantTimeCompare(sent, b.sum()) != 1:
		return fmt.Errorf("%w: they are of another channel", ErrBadBindings)
	}
	return nil
}

// sum is the MD5 of a gss_channel_bindings_struct with no addresses and the end point as application data.
func (b ChannelBindings) sum() []byte {
	data := append([]byte("tls-server-end-point:"), b.EndPoint...)
	bindings := make([]byte, 16, 20+len(data)) // types and lengths of two addresses: none
	bindings = binary.LittleEndian.AppendUint32(bindings, uint32(len(data)))
	sum := md5.Sum(append(bindings, data...))
	return sum[:]
}
