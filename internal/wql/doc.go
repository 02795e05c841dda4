// Package wql is the WMI Query Language as far as it asks for instances, and for classes: it parses
//
//	SELECT * | property, ... FROM class [WHERE expression]
//	SELECT * FROM meta_class [WHERE expression]
//
// binds the names and constants of a query to a class of package cim, or to all of a namespace, and tells which instances or
// classes match. Event queries (WITHIN, GROUP) and associations (ASSOCIATORS OF, REFERENCES OF) are refused with an error that
// says so.
//
// The package is pure. It must not know which classes there are, where their instances come from, or which protocol
// carries the query.
//
// Sources: MS-WMI 2.2.1.1 for the grammar, and of the WMI documentation "WQL (SQL for WMI)", "WHERE Clause", "LIKE
// Operator", "Querying with WQL", "SELECT Statement for Schema Queries" and "WMI System Properties". The documentation wins where the two differ: it has NOT,
// quoted constants with backslash escapes, and the constant on the left.
package wql
