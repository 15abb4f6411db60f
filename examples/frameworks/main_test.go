// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v5"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newIssuer(t *testing.T) *authtest.Issuer {
	return authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Target: "/reports", Scope: "reports:read"})
}

// wired returns the API behind a router, with all that is in front of it.
func wired(wire func(*gatehouse.Gate) http.Handler, gate *gatehouse.Gate) (http.Handler, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return inFront(wire(gate), sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))), spans
}

func TestAttack(t *testing.T) {
	for name, wire := range routers() {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			handler, _ := wired(wire, must(newGate(issuer.URL, issuer.Audience)))
			authtest.Attack(t, handler, issuer)
		})
	}
}

// Each wrong wiring has findings: hostile requests reach the handler.
func TestAttackFindsWrongWiring(t *testing.T) {
	handler := authtest.Witness(http.HandlerFunc(reports))
	for name, wire := range map[string]func(*gatehouse.Gate) http.Handler{
		"chi, route outside of the group": func(gate *gatehouse.Gate) http.Handler {
			router := chi.NewRouter()
			router.Group(func(router chi.Router) { router.Use(gate.Handler) })
			router.Method(http.MethodGet, "/reports", handler)
			return router
		},
		"chain, built and not used": func(gate *gatehouse.Gate) http.Handler {
			mux := http.NewServeMux()
			_ = chain{gate.Handler}.then(mux)
			mux.Handle("GET /reports", handler)
			return mux
		},
		"gin, middleware without Abort": func(gate *gatehouse.Gate) http.Handler {
			router := gin.New()
			router.Use(func(c *gin.Context) {
				gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { c.Request = r })).ServeHTTP(c.Writer, c.Request)
			})
			router.GET("/reports", gin.WrapH(handler))
			return router
		},
		"echo, middleware that always calls the next": func(gate *gatehouse.Gate) http.Handler {
			router := echo.New()
			router.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error {
					gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { c.SetRequest(r) })).ServeHTTP(c.Response(), c.Request())
					return next(c)
				}
			})
			router.GET("/reports", echo.WrapHandler(handler))
			return router
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			handler, _ := wired(wire, must(newGate(issuer.URL, issuer.Audience)))
			accepted := 0
			for attempt := range authtest.Attacks(issuer) {
				for _, finding := range attempt.Try(handler) {
					if finding.Kind == authtest.Accepted {
						accepted++
					}
				}
			}
			if accepted < 500 {
				t.Errorf("%d findings of hostile requests that reach the handler, want more", accepted)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	for name, wire := range routers() {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			handler, spans := wired(wire, must(newGate(issuer.URL, issuer.Audience)))
			token := "Bearer " + issuer.Token(authtest.Claims{"sub": "alice", "tenant": "acme"})
			for _, test := range []struct {
				name, path, authorization string
				status                    int
				body                      string
			}{
				{"public", "/healthz", "", 200, "ok\n"},
				{"right", "/reports", token, 200, `alice reads the reports of "acme"` + "\n"},
				{"no credential", "/reports", "", 401, ""},
				{"scope missing", "/reports", "Bearer " + issuer.Token(authtest.Claims{"scope": nil}), 403, ""},
				{"right tenant", "/tenants/acme/reports", token, 200, `alice reads the reports of "acme"` + "\n"},
				{"another tenant", "/tenants/globex/reports", token, 403, ""},
				{"stream without a credential", "/events", "", 401, ""},
				{"socket without a credential", "/socket", "", 401, ""},
			} {
				r := httptest.NewRequest(http.MethodGet, test.path, http.NoBody)
				r.Header.Set("Origin", "https://app.example.com")
				if test.authorization != "" {
					r.Header.Set("Authorization", test.authorization)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != test.status || test.body != "" && w.Body.String() != test.body {
					t.Errorf("%s: GET %s = %d %q, want %d %q", test.name, test.path, w.Code, w.Body, test.status, test.body)
				}
				if got := w.Header().Get("Access-Control-Allow-Origin"); got != "https://app.example.com" {
					t.Errorf("%s: Access-Control-Allow-Origin = %q: the script cannot read the response", test.name, got)
				}
				if test.status == 401 && (w.Header().Get("WWW-Authenticate") == "" || !strings.Contains(strings.ToLower(w.Header().Get("Access-Control-Expose-Headers")), "www-authenticate")) {
					t.Errorf("%s: header = %v, want a challenge that the script can read", test.name, w.Header())
				}
			}
			if got := len(spans.Ended()); got != 8 {
				t.Errorf("%d spans, want one for each request", got)
			}
		})
	}
}

// A preflight request has no credential, and CORS answers it in front of the gate.
func TestPreflightPassesNoGate(t *testing.T) {
	for name, wire := range routers() {
		handler, _ := wired(wire, must(newGate("https://auth.example.com", "https://api.example.com")))
		r := httptest.NewRequest(http.MethodOptions, "/reports", http.NoBody)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Access-Control-Request-Headers", "authorization")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Headers") != "authorization" {
			t.Errorf("%s: OPTIONS = %d %v, want 204 and the header allowed", name, w.Code, w.Header())
		}
	}
}

// caller is an authenticator of the scheme Toy, whose credential expires soon.
type caller struct{ expires time.Time }

func (caller) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Toy"}}}
}

func (c caller) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	subject, err := gatehouse.Authorization(r, "Toy")
	if err != nil {
		return gatehouse.Proof{}, err
	}
	return gatehouse.NewProof(&gatehouse.Principal{Method: "toy", Subject: subject, Expires: c.expires}), nil
}

// Streams work through everything in front of them, and end with the credential.
func TestStreamsEndWithCredential(t *testing.T) {
	for name, wire := range routers() {
		t.Run(name, func(t *testing.T) {
			for lifetime := 500 * time.Millisecond; !streamsEnd(t, wire, lifetime); lifetime *= 2 {
			}
		})
	}
}

// streamsEnd is false if the credential ended before both streams began.
func streamsEnd(t *testing.T, wire func(*gatehouse.Gate) http.Handler, lifetime time.Duration) bool {
	t.Helper()
	expires := time.Now().Add(lifetime)
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{caller{expires}}, Realm: "frameworks"}))
	handler, _ := wired(wire, gate)
	server := httptest.NewServer(handler)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	connection, response, err := websocket.Dial(ctx, server.URL+"/socket", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Toy alice"}}})
	if err != nil {
		if time.Now().After(expires) {
			return false
		}
		t.Fatalf("Dial() = %v, %v", response, err)
	}
	defer func() { _ = connection.CloseNow() }()
	_ = connection.Write(ctx, websocket.MessageText, []byte("hello")) // Read returns the error
	_, message, errSocket := connection.Read(ctx)

	r := must(http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/events", http.NoBody))
	r.Header.Set("Authorization", "Toy alice")
	stream := must(server.Client().Do(r))
	defer func() { _ = stream.Body.Close() }()
	events := bufio.NewReader(stream.Body)
	line, errEvents := events.ReadString('\n')
	if (errSocket != nil || errEvents != nil || line != "data: hello, alice\n") && time.Now().After(expires) {
		return false
	}
	if errSocket != nil || string(message) != "hello" {
		t.Errorf("Read() = %q, %v, want an echo", message, errSocket)
	}
	if errEvents != nil || line != "data: hello, alice\n" {
		t.Errorf("first event = %q, %v, want a greeting", line, errEvents)
	}
	if _, err := io.Copy(io.Discard, events); err != nil || ctx.Err() != nil {
		t.Errorf("end of the events: %v, want the end of the response", err)
	}
	if _, _, err := connection.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("Read(expired) error = %v, want policy violation", err)
	}
	return true
}
