// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"crypto/sha256"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// tickets is an authenticator for random tickets that are kept as hashes. Those
// of the packages jwtauth and apikey are used in the same way.
type tickets map[[sha256.Size]byte]*gatehouse.Principal

func (t tickets) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	ticket, err := gatehouse.Authorization(r, "Bearer")
	if err != nil {
		return gatehouse.Proof{}, err // no credential of this kind, or a malformed one
	}
	if !strings.HasPrefix(ticket, "ticket_") {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials // of another authenticator
	}
	p, ok := t[sha256.Sum256([]byte(ticket))]
	if !ok {
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonTokenRevoked}
	}
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceHeader, Name: "Authorization"}, nil
}

func Example() {
	reader, err := gatehouse.ParseScopes("reports:read")
	if err != nil {
		log.Fatal(err)
	}
	known := tickets{
		sha256.Sum256([]byte("ticket_f3Jq0nTq6Zc")): {
			Kind: gatehouse.KindUser, Subject: "ada", Tenant: "acme",
			Method: gatehouse.MethodAPIKey, Credential: "ticket-1", Scopes: reader,
		},
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{known},
		Realm:          "acme",
		Observer: gatehouse.Log(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey || a.Key == "duration" || a.Key == "host" {
					return slog.Attr{} // so that the output below is the same every time
				}
				return a
			},
		}))),
	})
	if err != nil {
		log.Fatal(err)
	}

	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "%s of %s, without %q", p.Subject, p.Tenant, r.Header["Authorization"])
	})
	mux := http.NewServeMux()
	mux.Handle("GET /reports", gatehouse.Require(scopes.All("reports:read"))(reports))
	mux.Handle("POST /reports", gatehouse.Require(scopes.All("reports:write"))(reports))
	mux.Handle("GET /tenants/{tenant}/reports", gatehouse.Require(tenant.FromPath("tenant"), scopes.All("reports:read"))(reports))

	root := http.NewServeMux() // what is open to everyone stands outside the gate
	root.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") })
	root.Handle("/", gate.Handler(mux))

	for _, try := range []struct{ method, path, authorization string }{
		{"GET", "/healthz", ""},
		{"GET", "/reports", ""},
		{"GET", "/reports", "Bearer ticket_f3Jq0nTq6Zc"},
		{"GET", "/reports", "Bearer ticket_stolen"},
		{"GET", "/reports", "Bearer something else"},
		{"POST", "/reports", "Bearer ticket_f3Jq0nTq6Zc"},
		{"GET", "/tenants/globex/reports", "Bearer ticket_f3Jq0nTq6Zc"},
	} {
		r := httptest.NewRequest(try.method, try.path, nil)
		if try.authorization != "" {
			r.Header.Set("Authorization", try.authorization)
		}
		w := httptest.NewRecorder()
		root.ServeHTTP(w, r)
		body, _, _ := strings.Cut(w.Body.String(), ",\"error_description\"")
		fmt.Println(w.Code, body)
	}

	// Output:
	// 200 fine
	// level=INFO msg="gatehouse: refused" reason=no_credentials error=missing_credentials status=401 method=GET path=/reports
	// 401 {"error":"missing_credentials"
	// 200 ada of acme, without []
	// level=WARN msg="gatehouse: refused" reason=token_revoked error=invalid_token status=401 method=GET path=/reports
	// 401 {"error":"invalid_token"
	// level=WARN msg="gatehouse: refused" reason=malformed_credentials error=invalid_request status=400 method=GET path=/reports
	// 400 {"error":"invalid_request"
	// level=WARN msg="gatehouse: denied" reason=scope_missing error=insufficient_scope status=403 method=POST path=/reports subject=ada tenant=acme proof=api_key credential=ticket-1 cause="needs \"reports:write\", has \"reports:read\""
	// 403 {"error":"insufficient_scope"
	// level=WARN msg="gatehouse: denied" reason=tenant_mismatch error=access_denied status=403 method=GET path=/tenants/globex/reports subject=ada tenant=acme proof=api_key credential=ticket-1 cause="tenant: the request names a tenant to which the caller does not belong"
	// 403 {"error":"access_denied"
}
