package cim

import "fmt"

// Status is a WBEM status code, an HRESULT (MS-WMI 2.2.11, WBEMSTATUS).
type Status uint32

// The status codes that a provider or a protocol front end gives.
const (
	StatusOK                      Status = 0
	StatusFailed                  Status = 0x80041001
	StatusNotFound                Status = 0x80041002
	StatusAccessDenied            Status = 0x80041003
	StatusTypeMismatch            Status = 0x80041005
	StatusInvalidParameter        Status = 0x80041008
	StatusNotAvailable            Status = 0x80041009
	StatusNotSupported            Status = 0x8004100C
	StatusInvalidNamespace        Status = 0x8004100E
	StatusInvalidClass            Status = 0x80041010
	StatusInvalidOperation        Status = 0x80041016
	StatusInvalidQuery            Status = 0x80041017
	StatusAlreadyExists           Status = 0x80041019
	StatusReadOnly                Status = 0x80041023
	StatusProviderNotCapable      Status = 0x80041024
	StatusIllegalNull             Status = 0x80041028
	StatusValueOutOfRange         Status = 0x8004102B
	StatusInvalidMethod           Status = 0x8004102E
	StatusInvalidMethodParameters Status = 0x8004102F
	StatusCallCancelled           Status = 0x80041032
	StatusInvalidObjectPath       Status = 0x8004103A
	StatusServerTooBusy           Status = 0x80041045
)

var statusNames = map[Status]string{
	StatusOK:                      "WBEM_S_NO_ERROR",
	StatusFailed:                  "WBEM_E_FAILED",
	StatusNotFound:                "WBEM_E_NOT_FOUND",
	StatusAccessDenied:            "WBEM_E_ACCESS_DENIED",
	StatusTypeMismatch:            "WBEM_E_TYPE_MISMATCH",
	StatusInvalidParameter:        "WBEM_E_INVALID_PARAMETER",
	StatusNotAvailable:            "WBEM_E_NOT_AVAILABLE",
	StatusNotSupported:            "WBEM_E_NOT_SUPPORTED",
	StatusInvalidNamespace:        "WBEM_E_INVALID_NAMESPACE",
	StatusInvalidClass:            "WBEM_E_INVALID_CLASS",
	StatusInvalidOperation:        "WBEM_E_INVALID_OPERATION",
	StatusInvalidQuery:            "WBEM_E_INVALID_QUERY",
	StatusAlreadyExists:           "WBEM_E_ALREADY_EXISTS",
	StatusReadOnly:                "WBEM_E_READ_ONLY",
	StatusProviderNotCapable:      "WBEM_E_PROVIDER_NOT_CAPABLE",
	StatusIllegalNull:             "WBEM_E_ILLEGAL_NULL",
	StatusValueOutOfRange:         "WBEM_E_VALUE_OUT_OF_RANGE",
	StatusInvalidMethod:           "WBEM_E_INVALID_METHOD",
	StatusInvalidMethodParameters: "WBEM_E_INVALID_METHOD_PARAMETERS",
	StatusCallCancelled:           "WBEM_E_CALL_CANCELLED",
	StatusInvalidObjectPath:       "WBEM_E_INVALID_OBJECT_PATH",
	StatusServerTooBusy:           "WBEM_E_SERVER_TOO_BUSY",
}

// String returns the symbolic name, or the code in hexadecimal when it has none here.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("0x%08X", uint32(s))
}

// Error is a request that the object model refuses: the protocol front end turns it into a fault. What a method itself
// decides is its ReturnValue, never an Error.
type Error struct {
	Status Status
	Msg    string // what was wrong, where, and what would be right
}

// Error returns the message.
func (e *Error) Error() string { return e.Msg }

// Errorf returns an Error with a formatted message.
func Errorf(status Status, format string, args ...any) *Error {
	return &Error{Status: status, Msg: fmt.Sprintf(format, args...)}
}

// KeyError tells that the keys given do not name an instance: one is missing, or one is not a key of the class.
type KeyError struct {
	Class      string
	Missing    string // the key property that was not given, or empty
	Unexpected string // the name that is no key of the class, or empty
}

// Error says which key is wrong.
func (e *KeyError) Error() string {
	if e.Missing != "" {
		return fmt.Sprintf("%s needs the key %s, which was not given", e.Class, e.Missing)
	}
	return fmt.Sprintf("%s has no key %q", e.Class, e.Unexpected)
}
