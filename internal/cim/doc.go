// Package cim is the object model of Windows Management Instrumentation: classes with typed properties and methods,
// their values, datetimes and object paths, and MOF, the language that describes them.
//
// A class is derived once, at start, from a Go struct: its fields are the properties (tag `cim:"KeyPackId,key"`), and its
// methods are Go functions with an input struct and an output struct. Nothing writes the schema a second time.
//
// The package is pure. It must not know which classes there are, which protocol carries them, or where they are stored.
//
// Sources: DSP0004 (CIM Infrastructure), MS-WMI, and the WMI documentation of qualifiers and of WBEM status codes.
package cim
