// Package licensing is the domain of a Remote Desktop license server: key packs, client access licenses (CALs), product
// versions, license programs, and the rules about them.
//
// The package is pure. It must not know CIM, HTTP, SQL or any clock: instants are parameters.
//
// The numbers are those of the WMI classes Win32_TSLicenseKeyPack and Win32_TSLicenseServer in Microsoft's public
// documentation of TlsWmiProv; docs/decisions.md says what was chosen where it is silent.
package licensing
