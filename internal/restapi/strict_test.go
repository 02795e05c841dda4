package restapi_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"calkeeper/internal/issuance"
)

// TestBodies sends what is no request, or is one in more than one way.
func TestBodies(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"no JSON":               {`user=ada`, 400, "not JSON"},
		"blank":                 {"  \n", 400, "empty"},
		"cut off":               {`{"user":"ada"`, 400, "not JSON"},
		"a trailing comma":      {`{"user":"ada",}`, 400, "not JSON"},
		"no colon":              {`{"user" "ada"}`, 400, "not JSON"},
		"two values":            {`{"user":"ada"}{"user":"bob"}`, 400, "more"},
		"a comment":             {`{"user":"ada"}//`, 400, "more"},
		"an array":              {`["ada"]`, 422, "expected object"},
		"a string":              {`"ada"`, 422, "expected object"},
		"null":                  {`null`, 422, ""},
		"not UTF-8":             {"{\"user\":\"\xff\"}", 400, "UTF-8"},
		"half a pair":           {`{"user":"\ud800"}`, 422, "body.user"},
		"a byte order mark":     {"\ufeff{\"user\":\"ada\"}", 400, "not JSON"},
		"twice":                 {`{"user":"ada","user":"bob"}`, 422, `"user" twice`},
		"twice within":          {`{"device":{"id":"a","id":"b"}}`, 422, `body.device has the member "id" twice`},
		"other letters":         {`{"User":"ada"}`, 422, `"User"`},
		"unknown":               {`{"user":"ada","admin":true}`, 422, `"admin"`},
		"known elsewhere":       {`{"user":"ada","mode":"per-user"}`, 422, "body.mode"},
		"deep":                  {`{"device":{"id":{"id":{"id":1}}}}`, 422, "deep"},
		"very deep":             {strings.Repeat("[", 60_000), 422, "deep"},
		"a number for text":     {`{"user":7}`, 422, "body.user"},
		"text for a truth":      {`{"user":"ada","receipt":"yes"}`, 422, "body.receipt"},
		"a huge number":         {`{"user":1e999}`, 400, ""},
		"a long number":         {`{"user":` + strings.Repeat("9", 60_000) + `}`, 400, ""},
		"a long name":           {`{"user":"` + strings.Repeat("a", 257) + `"}`, 422, "body.user"},
		"a long device":         {`{"user":"ada","device":{"id":"` + strings.Repeat("a", 129) + `"}}`, 422, "body.device.id"},
		"a control character":   {`{"user":"a\u0000da"}`, 422, "U+0000"},
		"a bidirectional trick": {`{"user":"ada\u202e"}`, 422, "U+202E"},
		"nobody":                {`{}`, 422, "user is missing"},
		"too long":              {`{"user":"` + strings.Repeat("a", 65_536) + `"}`, 413, "65536"},
	} {
		kind := "invalid"
		if c.status == http.StatusRequestEntityTooLarge {
			kind = ""
		}
		t.Run(name, func(t *testing.T) {
			h.refused(users, http.MethodPost, licenses, c.body, c.status, kind, c.says)
		})
	}
	h.refused(users, http.MethodPost, licenses, "", http.StatusUnsupportedMediaType, "", "Content-Type")
}

func TestContentType(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	for contentType, want := range map[string]int{
		"application/json":                   200,
		"application/json; charset=utf-8":    200,
		"Application/JSON;charset=\"UTF-8\"": 200,
		"application/json; charset=utf-16":   415,
		"application/problem+json":           415,
		"text/plain":                         415,
		"application/x-www-form-urlencoded":  415,
		"application/json, text/plain":       415,
		"":                                   415,
		"json":                               415,
		"\xff":                               415,
	} {
		r := h.request(users, http.MethodPost, licenses, `{"user":"ada"}`)
		r.Header["Content-Type"] = []string{contentType}
		w := h.do(r)
		if w.Code == http.StatusCreated {
			w.Code = http.StatusOK
		}
		if w.Code != want {
			t.Errorf("%q: %d, want %d", contentType, w.Code, want)
		}
	}
}

func TestQueries(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	for query, c := range map[string]struct {
		status int
		says   string
	}{
		"limit=0":                            {422, "query.limit"},
		"limit=1001":                         {422, "query.limit"},
		"limit=-1":                           {422, "query.limit"},
		"limit=x":                            {422, "query.limit"},
		"limit=1e3":                          {422, "query.limit"},
		"after=-1":                           {422, "query.after"},
		"after=4294967296":                   {422, "query.after"},
		"after=" + "9999999999999999999999":  {422, "query.after"},
		"keyPack=4294967297":                 {422, "query.keyPack"},
		"status=Active":                      {422, "query.status"},
		"unknown=1":                          {422, "query.unknown"},
		"limit=1&limit=2":                    {422, `"limit" is given 2 times`},
		"limit=%zz":                          {400, "query"},
		"a;b":                                {400, "query"},
		"search=%ff":                         {400, "UTF-8"},
		"search=%00":                         {422, "control character"},
		"search=" + strings.Repeat("a", 257): {422, "query.search"},
	} {
		h.refused(auditor, http.MethodGet, licenses+"?"+query, "", c.status, "invalid", c.says)
	}
	h.ask(auditor, http.MethodGet, licenses+"?search=%27%22%5C%25_%5B&limit=&status=", "", http.StatusOK, nil)
}

// broken is a body whose end never comes.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestBrokenBody(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	for _, c := range []struct {
		err    error
		status int
		kind   string
	}{
		{io.ErrUnexpectedEOF, http.StatusBadRequest, "invalid"},
		{errors.New("invalid byte in chunk length"), http.StatusBadRequest, "invalid"},
		{os.ErrDeadlineExceeded, http.StatusRequestTimeout, ""},
	} {
		r := h.request(users, http.MethodPost, licenses, "{}")
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader([]byte(`{"user`)), broken{c.err}))
		h.refusal(r, c.status, c.kind, "")
	}
}

func TestCrossOrigin(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	r := h.request(administrator, http.MethodPost, "/v1/hosts/rds1.example.com/token", "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	h.refusal(r, http.StatusForbidden, "denied", "another site")
	r = h.request(administrator, http.MethodGet, "/v1/hosts", "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if w := h.do(r); w.Code != http.StatusOK {
		t.Errorf("reading is answered with %d", w.Code)
	}
}

// TestBrokenConnections writes bodies by hand that net/http cannot read: they are the caller's fault.
func TestBrokenConnections(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	address := strings.TrimPrefix(h.serve(), "http://")
	for name, body := range map[string]string{
		"no chunk":          "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"a huge chunk":      "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
		"ends within":       "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
		"shorter than said": "Content-Length: 50\r\n\r\n{",
	} {
		c, err := net.Dial("tcp", address)
		must(t, err)
		_, err = io.WriteString(c, "POST "+licenses+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer "+h.secrets[users]+"\r\n"+body)
		must(t, err)
		must(t, c.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(c)
		must(t, err)
		must(t, c.Close())
		if !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), "could not be read") {
			t.Errorf("%s: %s", name, answer)
		}
	}
}
