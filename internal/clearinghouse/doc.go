// Package clearinghouse is the licensing authority: a double-entry ledger of CALs, and the signed statements that let
// license servers install key packs.
//
// Accounts are (entitlement, product type, holder); postings move whole CALs between them. What a customer bought stands on
// the account Sold as a negative number, so that every entitlement sums to zero, and what all others hold sums to the
// quantity sold. A conversion moves CALs between the two product types of one entitlement and one holder.
//
// The package must not know HTTP (see server and client), SQL (see sqlite), or how a license server keeps its key packs.
package clearinghouse
