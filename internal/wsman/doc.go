// Package wsman is a WS-Management server over namespaces of package cim: an http.Handler that answers Identify, Get, Put,
// Enumerate, Pull, Release and Invoke, and the class fetch of PowerShell, the way Windows Remote Management does.
//
// A [Server] takes any [cim.Namespace]. It must not know which classes there are, who its callers may be (an
// [Authenticator] tells), or how a connection is sealed (a handler in front of it does that).
//
// What a method itself decides is its ReturnValue, with HTTP status 200; everything else that goes wrong is a SOAP fault,
// and one table in fault.go says which.
//
// Decisions where the documents leave a choice:
//   - A DMTF resource URI without the selector __cimnamespace means root/cimv2 (Windows says root/hardware, OMI interop).
//   - An enumeration context is repeated, not renewed, from Pull to Pull, and belongs to the identity that opened it.
//   - An operation that runs into its time limit ends its enumeration. The Expires that a client wishes for is not granted:
//     an enumeration expires when it has been idle for a while.
//   - Instances carry the URI of the form that was asked for, with namespace and class spelled as the server does.
//   - A projection (SELECT A, B) makes w:XmlFragment elements under a wmi URI, and shorter instances under a DMTF URI.
//   - OperationID is not repeated, because a reply that was lost is not kept (MS-WSMV 3.1.4.1.39).
//   - A static method takes selectors and ignores them, if they name an instance of the class.
//
// Sources: DSP0226 (WS-Management), DSP0227 (CIM binding), DSP0230 (WS-CIM mapping), MS-WSMV, WS-Addressing 2004/08,
// WS-Transfer 2004/09, WS-Enumeration 2004/09, and of the Windows SDK the header wsmerror.h.
package wsman
