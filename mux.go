// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Mux is an [http.ServeMux] in which every route declares its access: it has
// policies, or it is registered as public or optional. It is safe for
// concurrent use.
//
// The gate decides before it serves a route. The responses 404 and 405 and the redirects
// of ServeMux to a cleaned path also require an authenticated caller. Each request is
// reported as one event, with the caller and the outcome of the policies.
//
// A Mux may be mounted in another Mux of the same gate, or behind its
// [Gate.Handler]: it then does not authenticate again, and its policies decide
// on the caller that the outer gate has authenticated. Behind another gate it
// refuses every request with [ReasonOutsideGate].
//
// The pattern of the route is in [http.Request.Pattern], also for middleware
// outside the Mux, unless a handler between them copies the request, such as
// [http.StripPrefix], [http.TimeoutHandler] or a middleware that calls
// [http.Request.WithContext].
type Mux struct {
	gate   *Gate
	mux    *http.ServeMux
	mu     sync.Mutex
	routes []Route
}

// Route is one row of the route table of a [Mux].
type Route struct {
	Pattern string
	Access  Access
	Scopes  Scopes // required by its policies
}

// Access is the kind of access to a route.
type Access string

// The kinds of access.
const (
	AccessProtected Access = "protected" // callers that the policies of the route allow
	AccessOptional  Access = "optional"  // authenticated callers and anonymous requests
	AccessPublic    Access = "public"    // all requests; the gate does not authenticate them
)

// Mux returns a new mux of this gate. It serves [Config.Metadata] at its path.
func (g *Gate) Mux() *Mux {
	m := &Mux{gate: g, mux: http.NewServeMux()}
	if g.metadata != nil {
		m.Public(g.metadata.Path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.metadata.serve(w, r, m.Scopes())
		}))
	}
	return m
}

// Handle registers a handler for callers that every policy allows. To allow
// every authenticated caller, use [Authenticated]. It panics if a policy is
// nil, and like [http.ServeMux.Handle] if the pattern is malformed or
// conflicts.
func (m *Mux) Handle(pattern string, handler http.Handler, policy Policy, more ...Policy) {
	if typednil.Is(policy) {
		panic("gatehouse: Mux.Handle: " + pattern + ": nil policy: use Authenticated, or register the route with Public")
	}
	policies := append([]Policy{policy}, checkPolicies("Mux.Handle: "+pattern, more)...)
	m.register(pattern, handler, AccessProtected, policies)
}

// HandleFunc registers a function like [Mux.Handle].
func (m *Mux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request), policy Policy, more ...Policy) {
	m.Handle(pattern, http.HandlerFunc(handler), policy, more...)
}

// Optional registers a handler for authenticated callers and for anonymous
// requests: see [Gate.Optional].
func (m *Mux) Optional(pattern string, handler http.Handler) {
	m.register(pattern, handler, AccessOptional, nil)
}

// OptionalFunc registers a function like [Mux.Optional].
func (m *Mux) OptionalFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.Optional(pattern, http.HandlerFunc(handler))
}

// Public registers a handler without authentication. It receives the request
// unchanged, including credentials.
func (m *Mux) Public(pattern string, handler http.Handler) {
	m.register(pattern, handler, AccessPublic, nil)
}

// PublicFunc registers a function like [Mux.Public].
func (m *Mux) PublicFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.Public(pattern, http.HandlerFunc(handler))
}

func (m *Mux) register(pattern string, handler http.Handler, access Access, policies []Policy) {
	if typednil.Is(handler) {
		panic("gatehouse: Mux: " + pattern + ": nil handler")
	}
	m.mux.Handle(pattern, &route{m.gate, handler, access, policies})
	r := Route{Pattern: pattern, Access: access}
	for _, policy := range policies {
		if p, ok := policy.(interface{ Scopes() Scopes }); ok {
			r.Scopes = r.Scopes.union(p.Scopes())
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.routes = append(m.routes, r)
}

// Routes returns the routes, sorted by pattern.
func (m *Mux) Routes() []Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	routes := slices.Clone(m.routes)
	slices.SortFunc(routes, func(a, b Route) int { return strings.Compare(a.Pattern, b.Pattern) })
	return routes
}

// Scopes returns the scopes of all policies of all routes.
func (m *Mux) Scopes() Scopes {
	var all Scopes
	for _, r := range m.Routes() {
		all = all.union(r.Scopes)
	}
	return all
}

// ServeHTTP implements http.Handler: it serves the request by the route that
// matches.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Matching here keeps the responses of ServeMux itself (404, 405, redirects) behind
	// the gate. ServeMux later matches again and sets the path values.
	handler, pattern := m.mux.Handler(r)
	if _, ok := handler.(*route); ok || m.isPublic(pattern) {
		m.mux.ServeHTTP(w, r)
		return
	}
	m.gate.serve(w, r, m.mux, nil, false)
}

// isPublic reports whether pattern is that of a public route. ServeMux may redirect
// every caller to such a route.
func (m *Mux) isPublic(pattern string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.routes, func(r Route) bool { return r.Pattern == pattern && r.Access == AccessPublic })
}

// route is the handler that a Mux registers on its ServeMux. ServeMux sets the
// pattern and the path values of the requests before it calls route.
type route struct {
	gate     *Gate
	next     http.Handler
	access   Access
	policies []Policy
}

func (h *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.access == AccessPublic {
		h.next.ServeHTTP(w, r)
		return
	}
	h.gate.serve(w, r, h.next, h.policies, h.access == AccessOptional)
}
