package restapi

import (
	"net/http"
	"slices"

	"calkeeper/internal/auth"
)

// Route is one route of the API, as tests see it.
type Route struct {
	Pattern                                   string
	Strangers, Hosts, Auditors, Administrator bool
	Body                                      bool
}

// Routes returns the routes that a handler of New has.
func Routes(h http.Handler) []Route {
	var list []Route
	for pattern, r := range h.(*server).routes {
		list = append(list, Route{
			pattern, r.access&strangers != 0, r.access&hosts != 0, r.access&auditors != 0, r.access&administrators != 0, r.body,
		})
	}
	slices.SortFunc(list, func(a, b Route) int { return len(a.Pattern) - len(b.Pattern) })
	return list
}

// Admit tells whether an authenticated caller may use a route.
func Admit(h http.Handler, i auth.Identity, pattern string) error {
	s := h.(*server)
	var x exchange
	x.account(i)
	return s.admit(&x.caller, s.routes[pattern].access)
}

// Waiting returns how many requests wait for events.
func Waiting(h http.Handler) int {
	s := h.(*server)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, of := range s.waiting {
		n += of
	}
	return n
}

// Remembered returns how many addresses with failed authentications are remembered.
func Remembered(h http.Handler) int {
	l := h.(*server).failures
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clients.Len()
}
