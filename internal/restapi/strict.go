package restapi

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"calkeeper/internal/licensing"
)

// maxDepth is how deep the JSON of a request is nested: an object in an object.
const maxDepth = 2

// checkJSON refuses a body that two readers of JSON could understand in two ways (RFC 8259, sections 4 and 8): members that are
// given twice, names in other letters than the API's, which Go's reader takes for the same, and text that is not Unicode. What
// the members may be, huma checks.
func (s *server) checkJSON(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return malformed("the body is empty; it must be a JSON object")
	}
	if !utf8.Valid(body) {
		return malformed("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := s.checkValue(d, "body", 0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed("after the JSON object there is more")
	}
	return nil
}

func (s *server) checkValue(d *json.Decoder, where string, depth int) error {
	token, err := d.Token()
	if err != nil {
		return notJSON(where)
	}
	switch t := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return licensing.Faultf(licensing.Invalid, "%s: nothing is nested so deep", where)
		}
		if t == '{' {
			return s.checkObject(d, where, depth)
		}
		for d.More() {
			if err := s.checkValue(d, where+"[]", depth+1); err != nil {
				return err
			}
		}
		return end(d, where)
	case string:
		return checkString(t, where)
	}
	return nil
}

func (s *server) checkObject(d *json.Decoder, where string, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		switch {
		case err != nil || !ok:
			return notJSON(where)
		case !s.members[name]:
			return licensing.Faultf(licensing.Invalid, "%s has the member %q, which the API does not know", where, shorten(name, 32))
		case seen[name]:
			return licensing.Faultf(licensing.Invalid, "%s has the member %q twice", where, name)
		}
		seen[name] = true
		if err := s.checkValue(d, where+"."+name, depth+1); err != nil {
			return err
		}
	}
	return end(d, where)
}

func end(d *json.Decoder, where string) error {
	if _, err := d.Token(); err != nil {
		return notJSON(where)
	}
	return nil
}

func notJSON(where string) error { return malformed(where + ": this is not JSON, or not all of it") }

// checkString refuses what stands for half a character, which the reader replaces with U+FFFD: two names would become one.
func checkString(text, where string) error {
	if strings.ContainsRune(text, utf8.RuneError) {
		return licensing.Faultf(licensing.Invalid, "%s has a character that is none (U+FFFD, or half a surrogate pair)", where)
	}
	return nil
}

// memberNames returns every name that a member of a request can have.
func memberNames(api *huma.OpenAPI) map[string]bool {
	names := map[string]bool{}
	var add func(*huma.Schema)
	add = func(schema *huma.Schema) {
		if schema.Ref != "" {
			schema = api.Components.Schemas.SchemaFromRef(schema.Ref)
		}
		for name, member := range schema.Properties {
			names[name] = true
			add(member)
		}
	}
	for _, item := range api.Paths {
		for _, op := range []*huma.Operation{item.Post, item.Put} {
			if op != nil && op.RequestBody != nil {
				for _, content := range op.RequestBody.Content {
					add(content.Schema)
				}
			}
		}
	}
	return names
}
