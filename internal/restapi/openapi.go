package restapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"calkeeper/internal/restapi/wire"
)

// Names of the security schemes.
const (
	tokenScheme       = "token"
	certificateScheme = "certificate"
	accountScheme     = "account"
)

// route is what is checked of a request before it is read.
type route struct {
	access access
	body   bool
}

// operation is one operation of the API.
type operation struct {
	id, method, path string
	tag, summary     string
	description      string
	access           access
	success          []int             // statuses; the first is the usual one
	content          []string          // media types of the answer, if it is not JSON of the output type only
	refusals         []int             // statuses of problems beside those that every operation has
	answer           reflect.Type      // of JSON beside other content
	header           map[string]string // of the answer, by name: what it says
}

// register adds an operation. f gets the caller's exchange and the decoded request.
func register[I, O any](s *server, op operation, f func(context.Context, *exchange, *I) (*O, error)) {
	_, body := reflect.TypeFor[I]().FieldByName("Body")
	s.routes[op.method+" "+op.path] = route{op.access, body}
	huma.Register(s.api, huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Tags: []string{op.tag}, Summary: op.summary, Description: op.description,
		DefaultStatus: op.success[0], Responses: s.responses(op, body), Security: security(op.access),
		BodyReadTimeout: -1, // it is read already
	}, func(ctx context.Context, in *I) (*O, error) {
		x := exchangeOf(ctx)
		out, err := f(ctx, x, in)
		if err != nil {
			return nil, x.refuse(err)
		}
		return out, nil
	})
}

// security documents how those who may use a route say who they are; nothing needs to be said where strangers may.
func security(to access) (list []map[string][]string) {
	if to&hosts != 0 {
		list = append(list, map[string][]string{tokenScheme: {}}, map[string][]string{certificateScheme: {}})
	}
	if to&anyAccount != 0 {
		list = append(list, map[string][]string{accountScheme: {}})
	}
	if to&strangers != 0 {
		list = append(list, map[string][]string{})
	}
	return list
}

// responses documents the answers of an operation.
func (s *server) responses(op operation, body bool) map[string]*huma.Response {
	schemas := s.api.OpenAPI().Components.Schemas
	responses := map[string]*huma.Response{}
	for _, status := range op.success {
		r := &huma.Response{Description: http.StatusText(status), Headers: map[string]*huma.Param{}, Content: map[string]*huma.MediaType{}}
		for name, description := range op.header {
			r.Headers[name] = &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
		}
		for _, mediaType := range op.content {
			r.Content[mediaType] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
		if op.answer != nil {
			r.Content[wire.JSON] = &huma.MediaType{Schema: schemas.Schema(op.answer, true, "")}
		}
		responses[strconv.Itoa(status)] = r
	}
	refusals := append([]int{
		http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
		http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusForbidden,
	}, op.refusals...)
	if body {
		refusals = append(refusals, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	for _, status := range refusals {
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{
				wire.ProblemJSON: {Schema: schemas.Schema(reflect.TypeFor[wire.Problem](), true, "")},
			},
		}
	}
	return responses
}

// openAPI begins the document.
func (s *server) openAPI() {
	scheme := func(description, kind, name string) *huma.SecurityScheme {
		return &huma.SecurityScheme{Type: kind, Scheme: name, Description: description}
	}
	format := huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}
	s.api = humago.New(s.mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "calkeeper", Version: s.Version,
				Description: "The REST API of a license server: session hosts ask for client access licenses, accounts see and administer them. " +
					"Every answer has the header " + wire.RequestIDHeader + ", whose value the log has too.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					tokenScheme:       scheme("The token of a session host.", "http", "bearer"),
					accountScheme:     scheme("User and password of an account.", "http", "basic"),
					certificateScheme: scheme("The client certificate that a session host was registered with.", "mutualTLS", ""),
				},
			},
			Tags: []*huma.Tag{
				{Name: licenseTag, Description: "Client access licenses (CALs)."},
				{Name: leaseTag, Description: "Sessions that use CALs, of session hosts that count sessions."},
				{Name: hostTag, Description: "The license server security group."},
				{Name: accountTag, Description: "Who may use the license server, apart from session hosts."},
				{Name: auditTag, Description: "Who has done what, chained by hashes."},
				{Name: statisticsTag, Description: "Counters, denials and events."},
				{Name: serverTag, Description: "The license server itself."},
			},
		},
		Formats:                      map[string]huma.Format{wire.JSON: format, "json": format}, // the second for types that end with +json
		DefaultFormat:                wire.JSON,
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{transform},
	})
}

// marshal writes a whole answer at once. That nobody reads it any more is no error.
func marshal(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, _ = w.Write(b.Bytes())
	return nil
}

// describe finishes the document, after the last operation.
func (s *server) describe() {
	s.members = memberNames(s.api.OpenAPI())
	var err error
	if s.document, err = json.Marshal(s.api.OpenAPI()); err != nil {
		panic("restapi: the OpenAPI document: " + err.Error()) // it is made of this package's own types
	}
}
