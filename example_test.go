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

// tickets is an authenticator of random tickets that are stored as hashes. Those
// of the packages jwtauth and apikey are used in the same way.
type tickets map[[sha256.Size]byte]*gatehouse.Principal

const (
	methodTicket  gatehouse.Method = "ticket"
	reasonUnknown gatehouse.Reason = "ticket_unknown"
)

// Reads declares the Authorization header with the scheme Bearer.
func (t tickets) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}}
}

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
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reasonUnknown}
	}
	return gatehouse.NewProof(p), nil
}

func Example() {
	reader, err := gatehouse.ParseScopes("reports:read")
	if err != nil {
		log.Fatal(err)
	}
	known := tickets{
		sha256.Sum256([]byte("ticket_f3Jq0nTq6Zc")): {
			Kind: gatehouse.KindUser, Subject: "ada", Tenant: "acme", Method: methodTicket, Credential: "ticket-1", Scopes: reader,
		},
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{known},
		Realm:          "acme",
		Observer: gatehouse.Log(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				switch a.Key {
				case slog.TimeKey, "duration", "host", "method", "path":
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
		fmt.Fprintf(w, "%s of %s, Authorization %q", p.Subject, p.Tenant, r.Header["Authorization"])
	})
	mux := gate.Mux()
	mux.Handle("GET /reports", reports, scopes.All("reports:read"))
	mux.Handle("POST /reports", reports, scopes.All("reports:write"))
	mux.Handle("GET /tenants/{tenant}/reports", reports, tenant.FromPath("tenant"), scopes.All("reports:read"))
	mux.PublicFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })

	for _, try := range []struct{ method, path, authorization string }{
		{"GET", "/healthz", ""},
		{"GET", "/reports", ""},
		{"GET", "/unknown", ""},
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
		mux.ServeHTTP(w, r)
		body, _, _ := strings.Cut(w.Body.String(), ",\"error_description\"")
		fmt.Println(try.method, try.path, w.Code, body)
	}

	// Output:
	// GET /healthz 200 ok
	// level=INFO msg="gatehouse: rejected" reason=no_credentials error=missing_credentials status=401 route="GET /reports"
	// GET /reports 401 {"error":"missing_credentials"
	// level=INFO msg="gatehouse: rejected" reason=no_credentials error=missing_credentials status=401
	// GET /unknown 401 {"error":"missing_credentials"
	// GET /reports 200 ada of acme, Authorization []
	// level=WARN msg="gatehouse: rejected" reason=ticket_unknown error=invalid_token status=401 route="GET /reports"
	// GET /reports 401 {"error":"invalid_token"
	// level=WARN msg="gatehouse: rejected" reason=malformed_credentials error=invalid_request status=400 route="GET /reports"
	// GET /reports 400 {"error":"invalid_request"
	// level=WARN msg="gatehouse: denied" reason=scopes_missing error=insufficient_scope status=403 route="POST /reports" subject=ada tenant=acme proof=ticket credential=ticket-1 cause="scopes: needs \"reports:write\", has \"reports:read\""
	// POST /reports 403 {"error":"insufficient_scope"
	// level=WARN msg="gatehouse: denied" reason=tenant_mismatch error=access_denied status=403 route="GET /tenants/{tenant}/reports" subject=ada tenant=acme proof=ticket credential=ticket-1 cause="tenant: the request names another tenant than that of the caller"
	// GET /tenants/globex/reports 403 {"error":"access_denied"
}
