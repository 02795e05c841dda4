// Package tlswmiprov is the WMI provider of a license server: the classes Win32_TSLicenseKeyPack, Win32_TSLicenseServer,
// Win32_TSIssuedLicense and Win32_TSLicenseReport* of root/cimv2, over the use-cases, and Win32_TerminalServiceSetting of
// root/cimv2/TerminalServices for the registered session hosts. It is named after the DLL whose public documentation it
// follows. Each class is one Go struct, each method one Go function that decodes, calls one use-case, and
// encodes. Who may do what is said in one place, access.go.
//
// What a method decides is its ReturnValue; see returnValue. Only who calls, and whether the instance is there, is a fault.
package tlswmiprov

import (
	"context"
	"errors"
	"log/slog"

	"calkeeper/internal/activation"
	"calkeeper/internal/auth"
	"calkeeper/internal/cim"
	"calkeeper/internal/discovery"
	"calkeeper/internal/inventory"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/reporting"
	"calkeeper/internal/store"
)

// Namespace is where the classes of the license server are.
const Namespace = "root/cimv2"

// providerName is the provider qualifier of the classes.
const providerName = "Win32_WIN32_TERMSERVLICENSING_Prov"

// Provider serves the classes of one license server.
type Provider struct {
	Activation *activation.Service
	Discovery  *discovery.Service
	Inventory  *inventory.Service
	Issuance   *issuance.Service
	Reporting  *reporting.Service
	Version    string // of this program
	Logger     *slog.Logger
}

// Namespace returns the classes of the license server.
func (p *Provider) Namespace() (*cim.Namespace, error) {
	var classes []*cim.Class
	for _, define := range []func() (*cim.Class, error){
		p.licenseServer, p.keyPack, p.issuedLicense, p.licenseReport,
		func() (*cim.Class, error) { return define[ReportEntry]() },
		func() (*cim.Class, error) { return define[ReportSummaryEntry]() },
		func() (*cim.Class, error) { return define[ReportPerDeviceEntry]() },
		func() (*cim.Class, error) { return define[ReportFailedPerUserEntry]() },
		func() (*cim.Class, error) { return define[ReportFailedPerUserSummaryEntry]() },
	} {
		class, err := define()
		if err != nil {
			return nil, err
		}
		classes = append(classes, class)
	}
	return cim.NewNamespace(Namespace, classes...)
}

// define derives the class of a struct that knows its name. Who may do what with it, authorize says.
func define[T cim.Named](options ...cim.Option) (*cim.Class, error) {
	var t T
	return cim.Define[T](t.CIMClassName(), append(options, cim.Authorizes(authorize))...)
}

// returnValues is the one place where faults become ReturnValues.
var returnValues = map[licensing.Kind]cim.Status{
	licensing.Internal:      cim.StatusFailed,
	licensing.Invalid:       cim.StatusInvalidParameter,
	licensing.NotSupported:  cim.StatusNotSupported,
	licensing.OutOfRange:    cim.StatusValueOutOfRange,
	licensing.NotFound:      cim.StatusNotFound,
	licensing.AlreadyExists: cim.StatusAlreadyExists,
	licensing.NotActivated:  cim.StatusInvalidOperation,
	licensing.Unavailable:   cim.StatusNotAvailable,
	licensing.Denied:        cim.StatusAccessDenied,
	licensing.Limited:       cim.StatusFailed,
	licensing.Unlicensed:    cim.StatusFailed,
}

// returnValue returns the ReturnValue for an error of a method, and logs why it failed: the caller sees only the number.
func (p *Provider) returnValue(ctx context.Context, method string, err error) uint32 {
	if err == nil {
		return uint32(cim.StatusOK)
	}
	if errors.Is(err, errNoMoreData) {
		return noMoreData
	}
	kind := licensing.KindOf(err)
	status := returnValues[kind]
	level := slog.LevelInfo
	if kind == licensing.Internal {
		level = slog.LevelError
	}
	p.Logger.Log(ctx, level, "method failed", "method", method, "user", auth.FromContext(ctx).User, "returnValue", status.String(), "reason", err.Error())
	return uint32(status)
}

// notFound turns a NotFound fault about an instance into the object model's error.
func notFound(err error) error {
	if err != nil && licensing.KindOf(err) == licensing.NotFound {
		return cim.Errorf(cim.StatusNotFound, "%s", licensing.Message(err))
	}
	return err
}

// listError turns a fault of a list that is read bit by bit into the object model's error.
func listError(err error) error {
	switch {
	case errors.Is(err, store.ErrSnapshotEnded):
		return cim.Errorf(cim.StatusCallCancelled, "%s", licensing.Message(err))
	case err != nil && licensing.KindOf(err) == licensing.Limited:
		return cim.Errorf(cim.StatusServerTooBusy, "%s", licensing.Message(err))
	}
	return err
}

// none is the output of a method that has none, and the input of one that takes none.
type none struct{}

// unsupported is a method that servers have answered with WBEM_E_NOT_SUPPORTED since Windows Server 2012.
func unsupported[In, Out any](name string) cim.Option {
	return cim.StaticMethod(name, func(context.Context, In) (out Out, err error) {
		return out, licensing.Faultf(licensing.NotSupported, "%s is not supported since Windows Server 2012", name)
	})
}
