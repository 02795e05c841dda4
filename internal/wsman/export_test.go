package wsman

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
