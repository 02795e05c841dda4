package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// httpServer serves one listener until it is stopped.
type httpServer struct {
	http.Server
	address string
	cancel  context.CancelFunc // ends requests that wait, such as polls
	silent  sync.Map           // net.Conn: those that have not sent anything yet; Shutdown would give them 5 seconds
	done    chan struct{}
}

func serveHTTP(listener net.Listener, h http.Handler, log *slog.Logger) *httpServer {
	ctx, cancel := context.WithCancel(context.Background())
	s := &httpServer{
		Server: http.Server{
			Handler: h, BaseContext: func(net.Listener) context.Context { return ctx },
			ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ConnContext: withConnection,
		},
		address: listener.Addr().String(), cancel: cancel, done: make(chan struct{}),
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.silent.Store(c, nil)
		} else {
			s.silent.Delete(c)
		}
	}
	go func() {
		defer close(s.done)
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serving has ended", "address", s.address, "error", err)
		}
	}()
	return s
}

// stop waits for the requests under way. A nil server is stopped already.
func (s *httpServer) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.cancel()
	s.silent.Range(func(c, _ any) bool {
		c.(net.Conn).Close()
		return true
	})
	err := s.Shutdown(ctx)
	<-s.done
	return err
}

// dividing returns the handler of one listener: WS-Management, except what is of the REST API. It is no http.ServeMux, which
// would redirect what either of them refuses.
func dividing(wsman, api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/metrics", path == "/openapi.json", path == apiPath, strings.HasPrefix(path, apiPath+"/"):
			api.ServeHTTP(w, r)
		default:
			wsman.ServeHTTP(w, r)
		}
	})
}

// hostOf returns host:port of a URL.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// maxAddresses bounds how many addresses of a machine with many interfaces are registered.
const maxAddresses = 32

// addresses returns the IP addresses under which others may know a server that listens there: those that it listens on, or, if
// that is all of them, those of the machine that are neither loopback nor link-local.
func addresses(listen ...string) []string {
	var list []string
	for _, hostPort := range listen {
		host, _, err := net.SplitHostPort(hostPort)
		if err != nil {
			continue
		}
		ip := net.ParseIP(host)
		if ip != nil && !ip.IsUnspecified() {
			list = append(list, ip.String())
			continue
		}
		if host != "" && ip == nil {
			continue // a name: the server has one
		}
		interfaces, err := net.InterfaceAddrs()
		if err != nil {
			continue
		}
		for _, a := range interfaces {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				list = append(list, n.IP.String())
			}
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxAddresses)]
}
