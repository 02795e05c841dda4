package restapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"calkeeper/internal/issuance"
	"calkeeper/internal/restapi"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// BenchmarkRequest asks for licenses over HTTP, of a database on the disk: each is a new one, and over-use is allowed.
func BenchmarkRequest(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			h := openHouse(b, b.TempDir(), issuance.Policies{}, func(o *restapi.Options) { o.Limits.Rate, o.Limits.Burst, o.Logger = 1e9, 1e9, nil })
			c, err := client.New(client.Options{URL: h.serve() + "/v1", Token: h.secrets[users]})
			must(b, err)
			defer c.Close()
			var n atomic.Int64
			work := make(chan struct{}, callers)
			var done sync.WaitGroup
			for range callers {
				done.Go(func() {
					for range work {
						i := n.Add(1)
						if _, err := c.Request(b.Context(), wire.Request{User: fmt.Sprint("user", i)}, fmt.Sprint("key", i)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			done.Wait()
		})
	}
}

// BenchmarkHandler is what the API costs beside the use-case: a request that is refused for its content.
func BenchmarkHandler(b *testing.B) {
	h := openHouse(b, scratch(b), issuance.Policies{}, func(o *restapi.Options) { o.Limits.Rate, o.Limits.Burst, o.Logger = 1e9, 1e9, nil })
	r := h.request(users, http.MethodPost, licenses, `{}`)
	for b.Loop() {
		w := httptest.NewRecorder()
		again := r.Clone(r.Context())
		again.Body = body(`{"user":"ada\u0007","device":{"id":"ip:192.0.2.7"}}`)
		h.handler.ServeHTTP(w, again)
		if w.Code != http.StatusUnprocessableEntity {
			b.Fatal(w.Code, w.Body)
		}
	}
}

type stringBody struct{ *strings.Reader }

func (stringBody) Close() error { return nil }

func body(s string) stringBody { return stringBody{strings.NewReader(s)} }
