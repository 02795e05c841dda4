package auditfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"calkeeper/internal/store"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 16 << 20

// ErrNoExport means that the first line is not that of an exported audit log.
var ErrNoExport = errors.New("this is no audit log that was exported as JSON lines: its first line is no head of a chain")

// LineError is a line that is not as Write has written it.
type LineError struct {
	Line int // from 1
	Err  error
}

// Error says which line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with it.
func (e *LineError) Unwrap() error { return e.Err }

// errOtherwise is about a line that Write had written otherwise, with a member twice for example, of which others may read the other one.
var errOtherwise = errors.New("it is not as it was exported")

// Read returns the head that JSON lines begin with, and an iterator over the records, which is read once. An error is its last element: a
// *LineError, or that of r. Errors: ErrNoExport, or that of r.
func Read(r io.Reader) (store.AuditHead, iter.Seq2[store.AuditRecord, error], error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	lines.Split(wholeLines)
	if !lines.Scan() {
		if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			return store.AuditHead{}, nil, err
		}
		return store.AuditHead{}, nil, ErrNoExport
	}
	head, err := parseHead(lines.Bytes())
	if err != nil {
		return store.AuditHead{}, nil, ErrNoExport
	}
	return head, func(yield func(store.AuditRecord, error) bool) {
		n := 2
		for ; lines.Scan(); n++ {
			record, err := parseRecord(lines.Bytes())
			if err != nil {
				yield(store.AuditRecord{}, &LineError{n, err})
				return
			}
			if !yield(record, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(store.AuditRecord{}, &LineError{n, errOtherwise})
		case err != nil:
			yield(store.AuditRecord{}, err)
		}
	}, nil
}

// wholeLines splits into lines with their ends. What is behind the last one is a line, too: one that was cut off.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func parseHead(text []byte) (store.AuditHead, error) {
	return parse(text, func(v headLine) (store.AuditHead, error) { return DecodeHead(v.Head) }, func(h store.AuditHead) any { return headLine{EncodeHead(h)} })
}

func parseRecord(text []byte) (store.AuditRecord, error) {
	return parse(text, Decode, func(r store.AuditRecord) any { return Encode(r) })
}

// parse reads what line has written, and nothing else.
func parse[Line, T any](text []byte, decode func(Line) (T, error), encode func(T) any) (v T, err error) {
	var parsed Line
	if json.Unmarshal(text, &parsed) != nil {
		return v, errOtherwise
	}
	if v, err = decode(parsed); err != nil {
		return v, err
	}
	if again, err := line(encode(v)); err != nil || again != string(text) {
		return v, errOtherwise
	}
	return v, nil
}
