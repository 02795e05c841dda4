// Package wql is the WMI Query Language as far as it asks for instances: it parses
//
//	SELECT * | property, ... FROM class [WHERE expression]
//
// binds the names and constants of a query to a class of package cim, and tells which instances match. Event queries
// (WITHIN, GROUP), schema queries (meta_class, ISA) and associations (ASSOCIATORS OF, REFERENCES OF) are refused with an
// error that says so.
//
// The package is pure. It must not know which classes there are, where their instances come from, or which protocol
// carries the query.
//
// Sources: MS-WMI 2.2.1.1 for the grammar, and of the WMI documentation "WQL (SQL for WMI)", "WHERE Clause", "LIKE
// Operator", "Querying with WQL" and "WMI System Properties". The documentation wins where the two differ: it has NOT,
// quoted constants with backslash escapes, and the constant on the left.
package wql
