// Package bench measures a whole license server over real sockets, and the issuing of CALs also without one, each time beside a
// reference that does only what cannot be avoided: a bare net/http handler for requests and logons, the bare store or the same SQL and XML in a
// plain loop for lists, appends to a file for imports, the same SQL in a plain loop for the issuing of CALs, a bare net/http program
// for the start. What is measured and its reference take turns in short rounds, so that whatever else the machine does meets both
// alike; the ratio is what counts. docs/performance.md has results.
//
// It holds benchmarks only, and knows everything.
package bench
