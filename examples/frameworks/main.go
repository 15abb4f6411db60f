// SPDX-License-Identifier: Apache-2.0

// Frameworks is one API behind four routers: chi, http.ServeMux with a chain of
// middleware, gin and echo. In front of each are tracing, CORS and compression, and
// behind the gate are server-sent events and a WebSocket.
//
//	ISSUER=https://auth.example.com AUDIENCE=https://api.example.com go run . -router chi
package main

import (
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// routers returns the functions that wire the API, by the name of the router.
func routers() map[string]func(*gatehouse.Gate) http.Handler {
	return map[string]func(*gatehouse.Gate) http.Handler{
		"chi": withChi, "chain": withChain, "gin": withGin, "echo": withEcho,
	}
}

func main() {
	router := flag.String("router", "chi", "chi, chain, gin or echo")
	flag.Parse()
	wire, ok := routers()[*router]
	if !ok {
		log.Fatalf("no router %q", *router)
	}
	gate, err := newGate(os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr: "127.0.0.1:8080", Handler: inFront(wire(gate), otel.GetTracerProvider()),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
		WriteTimeout: time.Minute, // the streams of GET /events end with it too
	}
	log.Fatal(server.ListenAndServe())
}

func newGate(issuer, audience string) (*gatehouse.Gate, error) {
	observer := gatehouse.Log(slog.Default())
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256, jwtauth.RS256}, Keys: jwtauth.Discover(),
		}},
		Observer: observer,
	})
	if err != nil {
		return nil, err
	}
	return gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "frameworks", Observer: observer})
}

// healthz is public.
func healthz(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// reports are those of the tenant of the caller, and not of the path.
func reports(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s reads the reports of %q\n", p.Subject, p.Tenant)
}
