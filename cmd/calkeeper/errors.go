package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"calkeeper/internal/cim"
	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// Exit codes, as --help has them.
const (
	exitOK = iota
	exitFailure
	exitUsage
	exitRefused
	exitUnreachable
	exitDenied
	exitWrong
	exitUnlicensed
)

// portAdvice is for an answer that is not in the protocol of the URL.
const portAdvice = "Check --server: https and http have different ports."

// outcomes maps errors to exit codes, and to what to do next where the error does not say it: the first that matches counts.
var outcomes = []struct {
	matches func(error) bool
	code    int
	advice  string
}{
	{is(context.Canceled), exitFailure, "What was asked for may have happened: look before you ask again."},
	{isType[usageError], exitUsage, ""},
	{isType[wrongError], exitWrong, ""},
	{is(client.ErrUnauthorized), exitDenied, "Check --user, and the password in --password-file or " + passwordVariable + "."},
	{is(client.ErrAccessDenied), exitDenied, ""},
	{isFault(licensing.Denied), exitDenied, ""},
	{isFault(licensing.Unlicensed), exitUnlicensed, ""},
	{isRefusal(cim.StatusAccessDenied), exitDenied, ""},
	{is(client.ErrNoService, client.ErrTimedOut), exitUnreachable, ""},
	{isFault(licensing.Unavailable), exitUnreachable, "Check whether the clearinghouse runs, and --dir."},
	{isType[refusal], exitRefused, ""},
	{is(client.ErrScheme), exitUnreachable, portAdvice},
	{isType[*client.Fault], exitRefused, ""},
	{isFault(licensing.Invalid, licensing.NotSupported, licensing.OutOfRange, licensing.NotFound, licensing.AlreadyExists,
		licensing.NotActivated, licensing.Limited), exitRefused, ""},
	{isType[x509.HostnameError], exitUnreachable, "Call it in --server by one of these names; or have it use this name, too: give it to `calkeeper serve` with --alias, and delete tls.crt and tls.key in the license server's directory, so that they are made anew."},
	{isUntrusted, exitUnreachable, "Trust it with --ca-file: calkeeper keeps its own as tls.crt in the license server's directory."},
	{isBroken, exitUnreachable, portAdvice + " If it is right, check whether the license server runs."},
	{isDial, exitUnreachable, "Check --server, and whether the license server runs."},
	{is(io.EOF, io.ErrUnexpectedEOF), exitUnreachable, portAdvice},
	{isType[tls.RecordHeaderError], exitUnreachable, portAdvice},
	{isType[unanswered], exitUnreachable, portAdvice + " If it is right, see the license server's log."},
}

// outcome returns the exit code for an error, and what to do next if the error does not say it.
func outcome(err error) (code int, advice string) {
	for _, o := range outcomes {
		if !o.matches(err) {
			continue
		}
		if u, ok := errors.AsType[unanswered](err); ok {
			return o.code, strings.ReplaceAll(o.advice, "--server", u.flag)
		}
		return o.code, o.advice
	}
	return exitFailure, ""
}

func isType[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func is(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}

func isFault(kinds ...licensing.Kind) func(error) bool {
	return func(err error) bool {
		f, ok := errors.AsType[*licensing.Fault](err)
		for _, k := range kinds {
			if ok && f.Kind == k {
				return true
			}
		}
		return false
	}
}

// isDial tells whether a connection failed; that this process cannot listen is another matter.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op != "listen" || isType[*net.DNSError](err)
}

// isBroken tells whether a connection ended too early: a server of HTTPS does that to a request in plain HTTP.
func isBroken(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "read" || op.Op == "write")
}

// isUntrusted tells whether the server's certificate was refused.
func isUntrusted(err error) bool {
	return isType[*tls.CertificateVerificationError](err) || isType[x509.UnknownAuthorityError](err) || isType[x509.CertificateInvalidError](err)
}

func isRefusal(s cim.Status) func(error) bool {
	return func(err error) bool {
		r, ok := errors.AsType[refusal](err)
		return ok && r.status == s
	}
}

// usageError is a wrong command line or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// usage makes a usageError of what the parser says, and tells where the right usage is.
func usage(err error) error {
	command := "calkeeper"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if path := parse.Context.Command(); path != "" {
			command += " " + withoutArguments(path)
		}
	}
	return usagef("%s\nSee `%s --help`.", withoutCodes(err.Error()), command)
}

// withoutArguments leaves the names of commands: the parser writes "keypack convert <id>".
func withoutArguments(path string) string {
	before, _, _ := strings.Cut(path, " <")
	return before
}

// codeLike are texts as long as a license code; the groups may be separated.
var codeLike = regexp.MustCompile(`\b[0-9A-Za-z]{5}([- ]?[0-9A-Za-z]{5}){2,}\b`)

// withoutCodes cuts what looks like a license code to its first group: a code typed in the wrong place is repeated by the parser.
func withoutCodes(s string) string {
	return codeLike.ReplaceAllStringFunc(s, func(found string) string {
		if strings.ContainsAny(found, "0123456789") {
			return found[:5] + "-…"
		}
		return found
	})
}

// exitCode ends the process with that code; what there is to say was said.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// wrongError says that what was checked is wrong.
type wrongError struct{ error }

// refusal is a method of a license server that returned something else than 0.
type refusal struct {
	method string
	status cim.Status
	advice string
}

// Error names the status and says what to do next.
func (r refusal) Error() string {
	name := r.status.String()
	if code := fmt.Sprintf("0x%08X", uint32(r.status)); code != name {
		name += " (" + code + ")"
	}
	return fmt.Sprintf("%s returned %s.\n%s", r.method, name, r.advice)
}
