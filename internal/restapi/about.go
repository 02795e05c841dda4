package restapi

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"calkeeper/internal/restapi/wire"
)

const serverTag = "server"

type serverOutput struct{ Body wire.Server }

func (s *server) serverRoutes() {
	register(s, operation{
		id: "get-server", method: http.MethodGet, path: "/v1/server", tag: serverTag, access: anyone,
		summary: "Say which license server this is", success: []int{http.StatusOK},
	}, func(ctx context.Context, _ *exchange, _ *nothing) (*serverOutput, error) {
		activated, err := s.Activated(ctx)
		return &serverOutput{wire.Server{
			Name: s.ServerName, Version: s.Version, Activated: activated,
			ReceiptKey: base64.StdEncoding.EncodeToString(s.ReceiptKey.Public().(ed25519.PublicKey)),
		}}, err
	})
	register(s, operation{
		id: "get-openapi", method: http.MethodGet, path: "/openapi.json", tag: serverTag, access: anyone,
		summary: "Get this document", success: []int{http.StatusOK}, content: []string{openAPIType},
	}, func(context.Context, *exchange, *nothing) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			ctx.SetHeader("Content-Type", openAPIType)
			_, _ = ctx.BodyWriter().Write(s.document)
		}}, nil
	})
	if s.Metrics == nil {
		return
	}
	register(s, operation{
		id: "get-metrics", method: http.MethodGet, path: "/metrics", tag: serverTag, access: anyAccount,
		summary: "Get metrics for Prometheus", success: []int{http.StatusOK}, content: []string{"text/plain"},
	}, func(context.Context, *exchange, *nothing) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			s.Metrics.ServeHTTP(w, r)
		}}, nil
	})
}

const openAPIType = "application/openapi+json"
