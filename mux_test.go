// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// needs is a policy that names a scope.
type needs struct{ scope string }

func (n needs) Authorize(_ *http.Request, p gatehouse.Principal) error {
	if p.Scopes.Has(n.scope) {
		return nil
	}
	return &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: reasonScope, Scopes: n.Scopes()}
}

func (n needs) Scopes() gatehouse.Scopes { return scopeSet(n.scope) }

// say writes a name, the caller and the path value x.
func say(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		_, _ = fmt.Fprintf(w, "%s %s %s %s", name, p.Subject, r.PathValue("x"), r.Header.Get("Authorization"))
	})
}

func newMux(t *testing.T) (*gatehouse.Gate, *gatehouse.Mux, *events) {
	t.Helper()
	gate, seen := observed(t, goodToken())
	mux := gate.Mux()
	mux.Handle("GET /reports", say("reports"), gatehouse.Authenticated)
	mux.HandleFunc("POST /reports", say("create").ServeHTTP, needs{"reports:read"}, needs{"reports:write"})
	mux.Handle("/items/{x}", say("item"), gatehouse.PolicyFunc(func(r *http.Request, _ gatehouse.Principal) error {
		if r.PathValue("x") == "secret" {
			return errors.New("not this one")
		}
		return nil
	}))
	mux.Handle("GET /dir/", say("dir"), gatehouse.Authenticated)
	mux.OptionalFunc("GET /news", say("news").ServeHTTP)
	mux.PublicFunc("GET /healthz", say("healthz").ServeHTTP)
	mux.Public("/static/", say("static"))
	return gate, mux, seen
}

// Each route answers only the callers that its registration names, and what
// matches no route answers only an authenticated caller.
func TestMux(t *testing.T) {
	_, mux, seen := newMux(t)
	for _, test := range []struct {
		request string
		token   string
		status  int
		body    string // of a handler, or the error code
		pattern string
		reason  gatehouse.Reason
	}{
		{"GET /reports", "good", 200, "reports ada  ", "GET /reports", ""},
		{"HEAD /reports", "good", 200, "reports ada  ", "GET /reports", ""},
		{"GET /reports", "bad", 401, "invalid_token", "GET /reports", reasonToken},
		{"GET /reports", "", 401, "missing_credentials", "GET /reports", gatehouse.ReasonNoCredentials},
		{"HEAD /reports", "", 401, "", "GET /reports", gatehouse.ReasonNoCredentials},
		{"POST /reports", "good", 403, "insufficient_scope", "POST /reports", reasonScope},
		{"GET /items/1", "good", 200, "item ada 1 ", "/items/{x}", ""},
		{"GET /items/secret", "good", 403, "access_denied", "/items/{x}", gatehouse.ReasonPolicyRefused},
		{"GET /items/secret", "", 401, "missing_credentials", "/items/{x}", gatehouse.ReasonNoCredentials},
		{"GET /news", "good", 200, "news ada  ", "GET /news", ""},
		{"GET /news", "", 200, "news   ", "GET /news", ""},
		{"GET /news", "bad", 401, "invalid_token", "GET /news", reasonToken},
		{"GET /healthz", "", 200, "healthz   ", "GET /healthz", ""},
		{"GET /healthz", "bad", 200, "healthz   Bearer bad", "GET /healthz", ""},
		{"GET /static/a", "", 200, "static   ", "/static/", ""},
		{"GET /static", "", 307, "", "", ""},
		{"GET /unknown", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
		{"GET /unknown", "good", 404, "", "", ""},
		{"DELETE /reports", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
		{"DELETE /reports", "good", 405, "", "", ""},
		{"OPTIONS /reports", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
		{"OPTIONS /reports", "good", 405, "", "", ""},
		{"POST /healthz", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
		{"GET /dir", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
		{"GET /dir", "good", 307, "", "", ""},
		{"GET //reports", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
		{"GET //news", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
		{"GET //reports", "good", 307, "", "", ""},
		{"GET /x/../reports", "", 401, "missing_credentials", "", gatehouse.ReasonNoCredentials},
	} {
		t.Run(test.request+" "+test.token, func(t *testing.T) {
			seen.all = nil
			method, path, _ := strings.Cut(test.request, " ")
			r := httptest.NewRequest(method, "http://api.example.com"+path, nil)
			if test.token != "" {
				r.Header.Set("Authorization", "Bearer "+test.token)
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != test.status {
				t.Errorf("status = %d, want %d; body %s", w.Code, test.status, w.Body)
			}
			if code := errorCode(t, w.Body.Bytes()); test.body != "" && code != test.body && w.Body.String() != test.body {
				t.Errorf("body = %q, want %q", w.Body, test.body)
			}
			if test.status == 405 && w.Header().Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow = %q", w.Header().Get("Allow"))
			}
			if got := r.Pattern; test.pattern != "" && got != test.pattern {
				t.Errorf("Pattern = %q, want %q", got, test.pattern)
			}
			public := strings.HasPrefix(path, "/static") || test.request == "GET /healthz"
			if public {
				equal(t, "events of a public route", len(seen.all), 0)
				return
			}
			if event := seen.only(t); event.Reason != test.reason || event.Route != test.pattern {
				t.Errorf("event = %+v, want reason %q and route %q", event, test.reason, test.pattern)
			}
		})
	}
}

func TestMuxRoutes(t *testing.T) {
	_, mux, _ := newMux(t)
	want := []gatehouse.Route{
		{"/items/{x}", gatehouse.AccessProtected, gatehouse.Scopes{}},
		{"/static/", gatehouse.AccessPublic, gatehouse.Scopes{}},
		{"GET /dir/", gatehouse.AccessProtected, gatehouse.Scopes{}},
		{"GET /healthz", gatehouse.AccessPublic, gatehouse.Scopes{}},
		{"GET /news", gatehouse.AccessOptional, gatehouse.Scopes{}},
		{"GET /reports", gatehouse.AccessProtected, gatehouse.Scopes{}},
		{"POST /reports", gatehouse.AccessProtected, scopeSet("reports:read", "reports:write")},
	}
	if got := mux.Routes(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Routes = %v, want %v", got, want)
	}
	mux.Routes()[0].Pattern = "changed"
	if mux.Routes()[0].Pattern != want[0].Pattern {
		t.Error("Routes returns its own slice")
	}
	equal(t, "Scopes", mux.Scopes(), scopeSet("reports:read", "reports:write"))
}

// RFC 9728 §2: scopes_supported has the configured scopes, then those of the routes. The
// muxes of one gate serve one document, each with its own scopes, which do not change the
// document without them.
func TestMuxServesMetadata(t *testing.T) {
	metadata := must(gatehouse.NewMetadata(gatehouse.ProtectedResource{
		Resource: "https://api.example.com/v1", Scopes: []string{"z", "a:read"}, Extra: map[string]any{"x": 1},
	}))
	configured := *metadata
	gate := newGate(t, gatehouse.Config{Authenticators: list{goodToken()}, Metadata: &configured})
	configured = gatehouse.Metadata{} // New has a copy
	first, second := gate.Mux(), gate.Mux()
	first.Handle("GET /x", say("x"), needs{"a:read"})
	second.Handle("GET /x", say("x"), needs{"c:read"}, needs{"b:read"})
	bare := must(gatehouse.NewMetadata(gatehouse.ProtectedResource{Resource: "https://api.example.com/v1", Extra: map[string]any{"x": 1}}))
	third := newGate(t, gatehouse.Config{Authenticators: list{goodToken()}, Metadata: bare}).Mux()
	third.Handle("GET /x", say("x"), needs{"a:read"})
	for _, test := range []struct {
		handler http.Handler
		scopes  string
	}{
		{first, `,"scopes_supported":["z","a:read"]`},
		{second, `,"scopes_supported":["z","a:read","b:read","c:read"]`},
		{metadata, `,"scopes_supported":["z","a:read"]`},
		{third, `,"scopes_supported":["a:read"]`},
		{bare, ""},
	} {
		w := httptest.NewRecorder()
		test.handler.ServeHTTP(w, httptest.NewRequest("GET", metadata.URL, nil))
		equal(t, "document", w.Body.String(), `{"bearer_methods_supported":["header"],"resource":"https://api.example.com/v1"`+test.scopes+`,"x":1}`)
	}
}

func TestMuxRejectsInvalidRoutes(t *testing.T) {
	_, mux, _ := newMux(t)
	const name = "GET /x"
	var typedNil *needs
	nilPolicy := "gatehouse: Mux.Handle: " + name + ": nil policy: use Authenticated, or register the route with Public"
	mustPanic(t, nilPolicy, func() { mux.Handle(name, say("x"), nil) })
	mustPanic(t, nilPolicy, func() { mux.HandleFunc(name, say("x").ServeHTTP, gatehouse.PolicyFunc(nil)) })
	mustPanic(t, nilPolicy, func() { mux.Handle(name, say("x"), typedNil) })
	mustPanic(t, "gatehouse: Mux.Handle: "+name+": nil policy", func() { mux.Handle(name, say("x"), allow, nil) })
	for what, register := range map[string]func(){
		"Handle":       func() { mux.Handle(name, nil, allow) },
		"HandleFunc":   func() { mux.HandleFunc(name, nil, allow) },
		"Public":       func() { mux.Public(name, nil) },
		"PublicFunc":   func() { mux.PublicFunc(name, nil) },
		"Optional":     func() { mux.Optional(name, http.HandlerFunc(nil)) },
		"OptionalFunc": func() { mux.OptionalFunc(name, nil) },
	} {
		t.Run(what, func(t *testing.T) { mustPanic(t, "gatehouse: Mux: "+name+": nil handler", register) })
	}
}

// A mux of the same gate decides on the caller that the outer one has
// authenticated; one of another gate refuses.
func TestMuxNested(t *testing.T) {
	own, inner, seen := newMux(t)
	outerGate, _ := observed(t, goodToken())
	same := http.NewServeMux()
	same.Handle("/api/", http.StripPrefix("/api", inner))
	nest := func(gate *gatehouse.Gate) http.Handler {
		outer := gate.Mux()
		outer.Handle("/", inner, gatehouse.Authenticated)
		return outer
	}
	for _, test := range []struct {
		name    string
		handler http.Handler
		path    string
		token   string
		status  int
		body    string
		pattern string
		events  int
	}{
		{"mux of the same gate", nest(own), "/reports", "good", 200, "reports ada  ", "GET /reports", 1},
		{"mux of the same gate, no caller", nest(own), "/reports", "", 401, "missing_credentials", "/", 1},
		{"mux of the same gate, denied", nest(own), "/items/secret", "good", 403, "access_denied", "/items/{x}", 2},
		{"mux of the same gate, unmatched", nest(own), "/unknown", "good", 404, "", "/", 1},
		{"handler of the same gate", own.Handler(inner), "/news", "good", 200, "news ada  ", "GET /news", 1},
		{"optional handler of the same gate", own.Optional(inner), "/news", "", 200, "news   ", "GET /news", 1},
		{"optional handler of the same gate, protected route", own.Optional(inner), "/reports", "", 401, "missing_credentials", "GET /reports", 2},
		{"handler of another gate", outerGate.Handler(inner), "/reports", "good", 401, "missing_credentials", "GET /reports", 1},
		{"in a ServeMux", same, "/api/reports", "good", 200, "reports ada  ", "/api/", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen.all = nil
			r := httptest.NewRequest("GET", test.path, nil)
			if test.token != "" {
				r.Header.Set("Authorization", "Bearer "+test.token)
			}
			w := httptest.NewRecorder()
			test.handler.ServeHTTP(w, r)
			if code := errorCode(t, w.Body.Bytes()); w.Code != test.status || test.body != "" && code != test.body && w.Body.String() != test.body {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, test.status, test.body)
			}
			equal(t, "Pattern outside", r.Pattern, test.pattern)
			equal(t, "number of events", len(seen.all), test.events)
			if test.name == "handler of another gate" {
				equal(t, "Reason", seen.only(t).Reason, gatehouse.ReasonOutsideGate)
			}
		})
	}
}

// Middleware outside the gate sees the pattern that matched inside, also after a
// panic of the handler.
func TestPatternIsCopiedBack(t *testing.T) {
	panics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	gate := gateOf(t, goodToken())
	plain := http.NewServeMux()
	plain.Handle("GET /reports", panics)
	routes := gate.Mux()
	routes.Handle("GET /reports", panics, gatehouse.Authenticated)
	for name, handler := range map[string]http.Handler{"Handler around a ServeMux": gate.Handler(plain), "Mux": routes} {
		r := request("Authorization", "Bearer good")
		func() {
			defer func() { equal(t, name+": panic", recover(), any(http.ErrAbortHandler)) }()
			handler.ServeHTTP(httptest.NewRecorder(), r)
		}()
		equal(t, name+": Pattern", r.Pattern, "GET /reports")
	}
}

// The header of a proof goes with the refusal of a policy, and not with that of a
// failing observer.
func TestMuxDenialCarriesTheProofHeader(t *testing.T) {
	accept := acceptsWith(user(), http.Header{"dpop-nonce": {"n-1"}})
	for _, test := range []struct {
		err    error // of the observer
		status int
		nonce  string
	}{{nil, 403, "n-1"}, {errors.New("disk full"), 503, ""}} {
		gate := newGate(t, gatehouse.Config{Authenticators: list{accept}, Observer: &events{err: test.err}})
		mux := gate.Mux()
		mux.Handle("/", say("x"), deny(errors.New("no")))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, request())
		if got := w.Header().Get("DPoP-Nonce"); w.Code != test.status || got != test.nonce {
			t.Errorf("observer error %v: %d, DPoP-Nonce %q; want %d, %q", test.err, w.Code, got, test.status, test.nonce)
		}
	}
}
