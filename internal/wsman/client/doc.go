// Package client calls WMI classes over WS-Management: it identifies a server, gets, enumerates and queries instances,
// changes them, and invokes methods. It works against any server that knows the resource URIs of WMI: Windows, OMI,
// openwsman, and the server of this module.
//
// A caller needs no class definitions: an [Instance] is what the server sent, names and text in order, and a [Value] to be
// sent is text with a name. What the server refuses is a [*Fault].
//
// The client authenticates with Basic, on the first request, and so wants TLS; [New] refuses plain HTTP to another
// machine unless it is told otherwise. It follows no redirects, which would carry the password elsewhere, and its errors
// never contain the password.
//
// The package must not know which classes there are, nor anything of licensing.
//
// Sources: DSP0226 (WS-Management), DSP0227 and DSP0230 (its CIM binding and mapping), MS-WSMV (resource URIs, faults),
// WS-Transfer, WS-Enumeration, RFC 7617 (Basic).
package client
