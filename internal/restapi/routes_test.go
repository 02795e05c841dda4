package restapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/auth"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi"
	"calkeeper/internal/restapi/wire"
)

// access is who may use which route. A route that is missing here fails the test.
var access = map[string]string{ // s: strangers, h: session hosts, r: auditors, o: operators, a: administrators
	"POST /v1/licenses":                "sh",
	"POST /v1/licenses/validate":       "sh",
	"POST /v1/licenses/renew":          "sh",
	"POST /v1/licenses/release":        "sh",
	"GET /v1/licenses":                 "hroa",
	"GET /v1/licenses/{id}":            "hroa",
	"POST /v1/licenses/{id}/revoke":    "oa",
	"DELETE /v1/licenses/{id}":         "oa",
	"GET /v1/leases":                   "hroa",
	"POST /v1/leases/{id}/renew":       "h",
	"DELETE /v1/leases/{id}":           "hoa",
	"GET /v1/hosts":                    "roa",
	"POST /v1/hosts":                   "a",
	"POST /v1/hosts/{name}/token":      "a",
	"GET /v1/accounts":                 "a",
	"GET /v1/accounts/{name}":          "a",
	"PUT /v1/accounts/{name}":          "a",
	"DELETE /v1/accounts/{name}":       "a",
	"DELETE /v1/hosts/{name}":          "a",
	"GET /v1/audit":                    "roa",
	"GET /v1/denials":                  "roa",
	"GET /v1/counters":                 "roa",
	"GET /v1/keypacks":                 "roa",
	"PUT /v1/keypacks/{id}/over-use":   "a",
	"GET /v1/events":                   "hroa",
	"GET /v1/server":                   "hroa",
	"GET /openapi.json":                "hroa",
	"GET /metrics":                     "roa",
	"POST /v1/licenses/{id}/no-such":   "",
	"PATCH /v1/licenses/{id}":          "",
	"GET /v1/licenses/{id}/revoke":     "",
	"GET /v1":                          "",
	"GET /v1/":                         "",
	"GET /v1/licenses/":                "",
	"GET //v1/licenses":                "",
	"GET /v1/../v1/licenses":           "",
	"GET /openapi.yaml":                "",
	"GET /docs":                        "",
	"GET /schemas/{id}":                "",
	"OPTIONS /v1/licenses":             "",
	"GET /v1/licenses/validate/{name}": "",
}

// target fills in a pattern.
func target(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{id}", "4000000000", "{name}", "nobody.example.com").Replace(path)
}

// TestEveryRouteWithoutCredentials asks for every route, and for some that are none.
func TestEveryRouteWithoutCredentials(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	for _, r := range restapi.Routes(h.handler) {
		if _, ok := access[r.Pattern]; !ok {
			t.Errorf("%s is new: say in the test who may use it", r.Pattern)
		}
	}
	for pattern := range access {
		for _, body := range []string{"", "{}", "x"} {
			method, path := target(pattern)
			w := h.do(h.request("", method, path, body))
			if w.Code != http.StatusUnauthorized {
				t.Errorf("%s: %d", pattern, w.Code)
			}
			if got := w.Header().Values("WWW-Authenticate"); !slices.Equal(got, []string{`Basic realm="calkeeper", charset="UTF-8"`, `Bearer realm="calkeeper"`}) {
				t.Errorf("%s: WWW-Authenticate is %q", pattern, got)
			}
		}
	}
}

// TestWhoMayUseARoute asks as each kind of caller. What is refused must be the role, before the body is looked at; what is not
// refused may still be wrong.
func TestWhoMayUseARoute(t *testing.T) {
	h := newHouse(t, issuance.Policies{AnyHost: true}, nil)
	for pattern, may := range access {
		method, path := target(pattern)
		for letter, caller := range map[string]string{"s": "", "h": users, "r": auditor, "o": operator, "a": administrator} {
			w := h.do(h.request(caller, method, path, ""))
			denied := w.Code == http.StatusForbidden || w.Code == http.StatusUnauthorized
			switch {
			case may == "" && w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed:
				t.Errorf("%s of %q: %d, but there is no such route", pattern, caller, w.Code)
			case may == "":
			case strings.Contains(may, letter) && (denied || w.Code == http.StatusMethodNotAllowed || w.Code >= 500):
				t.Errorf("%s of %q: %d", pattern, caller, w.Code)
			case !strings.Contains(may, letter) && !denied:
				t.Errorf("%s of %q: %d, want a refusal", pattern, caller, w.Code)
			}
		}
	}
}

// TestWithoutRole: an authenticated caller whose account has no role here may use no route.
func TestWithoutRole(t *testing.T) {
	h := newHouse(t, issuance.Policies{AnyHost: true}, nil)
	for _, r := range restapi.Routes(h.handler) {
		for _, role := range []auth.Role{"", "administrator"} {
			err := restapi.Admit(h.handler, auth.Identity{User: "eve", Role: role, Mechanism: "Kerberos"}, r.Pattern)
			if err == nil || licensing.KindOf(err) != licensing.Denied || !strings.Contains(err.Error(), "eve has no role") {
				t.Errorf("%s with the role %q: %v, want a refusal", r.Pattern, role, err)
			}
		}
	}
}

// TestRefusalSaysWhom: a refusal says whom a route is for.
func TestRefusalSaysWhom(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	for _, c := range []struct{ caller, method, path, says string }{
		{auditor, http.MethodPost, "/v1/licenses/1/revoke", "audit may read only: this is for operators and administrators"},
		{auditor, http.MethodPost, "/v1/hosts", "audit may read only: this is for administrators"},
		{operator, http.MethodPost, "/v1/hosts", "this is for administrators"},
		{operator, http.MethodPost, "/v1/licenses", "only session hosts may ask for this"},
		{users, http.MethodDelete, "/v1/licenses/1", "this is for operators and administrators"},
		{users, http.MethodGet, "/v1/hosts", "this is for accounts"},
	} {
		h.refused(c.caller, c.method, c.path, "", http.StatusForbidden, "denied", c.says)
	}
}

func TestMethodNotAllowed(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	r := h.request(administrator, http.MethodPatch, "/v1/leases/1", "")
	w := h.do(r)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "DELETE" {
		t.Errorf("%d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestHead(t *testing.T) {
	s := newHouse(t, issuance.Policies{}, nil)
	url := s.serve()
	for _, accept := range []string{wire.JSON, wire.EventStream} {
		r, err := http.NewRequest(http.MethodHead, url+"/v1/events?wait=60", nil)
		must(t, err)
		r.Header.Set("Accept", accept)
		s.as(administrator, r)
		response, err := http.DefaultClient.Do(r)
		must(t, err)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", accept, response.StatusCode)
		}
	}
}

// TestOpenAPI holds the document to OpenAPI 3.1.0 in structure, to the routes, and to what every operation answers.
func TestOpenAPI(t *testing.T) {
	h := newHouse(t, issuance.Policies{}, nil)
	var document map[string]any
	w := h.ask(users, http.MethodGet, "/openapi.json", "", http.StatusOK, &document)
	if got := w.Header().Get("Content-Type"); got != "application/openapi+json" {
		t.Errorf("the document is of the type %q", got)
	}
	if document["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", document["openapi"])
	}
	info := document["info"].(map[string]any)
	if info["title"] == "" || info["version"] != "1.2.3" {
		t.Errorf("info is %v", info)
	}
	components := document["components"].(map[string]any)
	schemes := components["securitySchemes"].(map[string]any)
	documented := map[string]bool{}
	ids := map[string]bool{}
	for path, item := range document["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			pattern := strings.ToUpper(method) + " " + path
			documented[pattern] = true
			checkOperation(t, pattern, operation.(map[string]any))
			for _, requirement := range operation.(map[string]any)["security"].([]any) {
				for name := range requirement.(map[string]any) {
					if schemes[name] == nil {
						t.Errorf("%s: there is no security scheme %s", pattern, name)
					}
				}
			}
			id := operation.(map[string]any)["operationId"].(string)
			if ids[id] {
				t.Errorf("there are two operations %s", id)
			}
			ids[id] = true
		}
	}
	for _, r := range restapi.Routes(h.handler) {
		if !documented[r.Pattern] {
			t.Errorf("%s is not in the document", r.Pattern)
		}
		delete(documented, r.Pattern)
	}
	if len(documented) > 0 {
		t.Errorf("these are in the document, and nowhere else: %v", documented)
	}
	checkReferences(t, document, document)
}

func checkOperation(t *testing.T, pattern string, operation map[string]any) {
	t.Helper()
	if operation["summary"] == nil || len(operation["tags"].([]any)) != 1 {
		t.Errorf("%s has no summary, or not one tag", pattern)
	}
	responses := operation["responses"].(map[string]any)
	successes := 0
	for status, response := range responses {
		content, _ := response.(map[string]any)["content"].(map[string]any)
		switch {
		case response.(map[string]any)["description"] == nil:
			t.Errorf("%s: %s has no description", pattern, status)
		case status < "400":
			successes++
			if status != "204" && len(content) == 0 {
				t.Errorf("%s: %s has no content", pattern, status)
			}
		default:
			schema, _ := json.Marshal(content[wire.ProblemJSON])
			if string(schema) != `{"schema":{"$ref":"#/components/schemas/Problem"}}` {
				t.Errorf("%s: %s is %s", pattern, status, schema)
			}
		}
	}
	if successes == 0 {
		t.Errorf("%s never succeeds", pattern)
	}
	for _, status := range []string{"401", "403", "422", "429", "500", "503"} {
		if responses[status] == nil {
			t.Errorf("%s: %s is missing", pattern, status)
		}
	}
	if strings.Contains(pattern, "{") && !strings.Contains(pattern, "over-use") && responses["404"] == nil {
		t.Errorf("%s: 404 is missing", pattern)
	}
	if operation["requestBody"] != nil && (responses["413"] == nil || responses["415"] == nil) {
		t.Errorf("%s: 413 or 415 is missing", pattern)
	}
	inPath := 0
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		p := p.(map[string]any)
		if p["in"] == "path" {
			inPath++
			if p["required"] != true || !strings.Contains(pattern, "{"+p["name"].(string)+"}") {
				t.Errorf("%s: the parameter %v", pattern, p)
			}
		}
		if p["schema"] == nil {
			t.Errorf("%s: the parameter %v has no schema", pattern, p["name"])
		}
	}
	if inPath != strings.Count(pattern, "{") {
		t.Errorf("%s: %d parameters in the path", pattern, inPath)
	}
}

// checkReferences follows every $ref, and refuses types that JSON Schema has not.
func checkReferences(t *testing.T, document map[string]any, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			at := any(document)
			for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
				at = at.(map[string]any)[name]
				if at == nil {
					t.Fatalf("%s leads nowhere", ref)
				}
			}
		}
		for _, member := range v {
			checkReferences(t, document, member)
		}
	case []any:
		for _, member := range v {
			checkReferences(t, document, member)
		}
	}
}
