package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"calkeeper/internal/printable"
)

// maxSecret is the most that is read of a password or code, in bytes.
const maxSecret = 4096

// terminal is what a command reads from and prints to.
type terminal struct {
	in, out, err *os.File
	json         bool
}

// print prints v as JSON, or what human prints.
func (t *terminal) print(v any, human func(w io.Writer)) error {
	if t.json {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return err
		}
		_, err := io.WriteString(t.out, printable.JSON(b.String()))
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	human(w)
	return w.Flush()
}

// progress tells what is under way, to somebody who waits at a terminal.
func (t *terminal) progress(format string, args ...any) {
	if term.IsTerminal(int(t.err.Fd())) {
		fmt.Fprintf(t.err, format+"\n", args...)
	}
}

// secret returns a password: from the file, from the environment variable, or typed in without being shown, twice if it is new.
func (t *terminal) secret(ctx context.Context, file, variable, prompt string, isNew bool) (string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", usageError{err}
		}
		defer f.Close()
		return firstLine(f)
	}
	if s := os.Getenv(variable); s != "" {
		return s, nil
	}
	if !term.IsTerminal(int(t.in.Fd())) {
		return "", usagef("there is no password: set %s, or give --password-file, or run this at a terminal", variable)
	}
	password, err := t.ask(ctx, prompt+": ")
	if err != nil || !isNew {
		return password, err
	}
	again, err := t.ask(ctx, "The same again: ")
	if err == nil && again != password {
		err = usagef("the two passwords differ")
	}
	return password, err
}

// ask reads what is typed without showing it. When ctx ends, the terminal shows again what is typed.
func (t *terminal) ask(ctx context.Context, prompt string) (string, error) {
	input := int(t.in.Fd())
	before, err := term.GetState(input)
	if err != nil {
		return "", err
	}
	fmt.Fprint(t.err, prompt)
	defer fmt.Fprintln(t.err)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(input)
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return string(a.text), a.err
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted: nothing was asked for yet"), term.Restore(input, before))
	}
}

// code returns a license code as typed; "-" stands for the first line of standard input, which no other user sees.
func (t *terminal) code(argument string) (string, error) {
	if argument != "-" {
		return typed(argument), nil
	}
	line, err := firstLine(t.in)
	return typed(line), err
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
