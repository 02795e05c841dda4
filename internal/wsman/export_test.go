package wsman

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
)

// ParseDuration is parseDuration.
var ParseDuration = parseDuration

// FaultRow is a row of the table of faults, as far as a client can see which it is.
type FaultRow struct {
	Code, Subcode, Detail string
	WSMan                 uint32
}

// FaultRows returns the table.
func FaultRows() []FaultRow {
	var rows []FaultRow
	for _, r := range faults {
		rows = append(rows, FaultRow{r.code, r.subcode, r.detail, r.wsman})
	}
	return rows
}

// FaultTable returns the table in Markdown.
func FaultTable() string {
	name := func(s string) string {
		if s == "" {
			return "–"
		}
		return "`" + s + "`"
	}
	var b strings.Builder
	b.WriteString("| cause | WBEM status | HTTP | SOAP code | subcode | FaultDetail | WSManFault code | CIM status | category |\n" +
		strings.Repeat("| --- ", 9) + "|\n")
	for _, r := range faults {
		status, code := "", fmt.Sprint(r.wsman)
		if r.status != 0 {
			status = r.status.String()
		}
		switch {
		case r.wsman == 0:
			code = "the status, or 0x80041001"
		case r.wsman>>16 != 0: // an HRESULT, which is written in hexadecimal
			code = fmt.Sprintf("0x%08X (%d)", r.wsman, r.wsman)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %d | %d |\n", r.when, name(status), cmp.Or(r.http, http.StatusInternalServerError),
			name(r.code), name(r.subcode), name(r.detail), code, r.cimCode, r.category)
	}
	return b.String()
}

// OpenEnumerations returns how many enumerations a client may continue.
func (s *Server) OpenEnumerations() int {
	s.enumerations.mu.Lock()
	defer s.enumerations.mu.Unlock()
	return len(s.enumerations.open)
}
