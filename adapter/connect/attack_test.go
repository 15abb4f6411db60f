// SPDX-License-Identifier: Apache-2.0

package gateconnect_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/gatehouse-go/gatehouse"
	gateconnect "github.com/gatehouse-go/gatehouse/adapter/connect"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// post makes a unary call of the Connect protocol of each GET.
func post(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		if r.Method == http.MethodGet {
			r.Method = http.MethodPost
		}
		r.Header.Set("Content-Type", "application/json")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`""`)), 2
		server.ServeHTTP(w, r)
	})
}

func TestAttack(t *testing.T) {
	for _, test := range []struct {
		name, method string
		protocol     func(http.Handler) http.Handler
	}{
		{"gRPC, unary", list, rpctest.Handler},
		{"gRPC, stream", watch, rpctest.Handler},
		{"Connect, unary", list, post},
	} {
		t.Run(test.name, func(t *testing.T) {
			issuer := rpctest.Issuer(t, test.method)
			guard := newGuard(rpctest.Gate(rpctest.Tokens(issuer)), scopes.All("reports:read"))
			authtest.Attack(t, test.protocol(protect(guard, reports{hello, helloStream})), issuer)
		})
	}
}

// Each wrong wiring has findings: it accepts hostile calls.
func TestAttackFindsWrongWiring(t *testing.T) {
	racetest.Skip(t)
	for _, test := range []struct {
		name     string
		protocol func(http.Handler) http.Handler
		wire     func(*gatehouse.Gate, *gateconnect.Guard, reports) http.Handler
	}{
		{"no guard, gRPC", rpctest.Handler, func(_ *gatehouse.Gate, _ *gateconnect.Guard, s reports) http.Handler {
			return s.handler()
		}},
		{"no guard, Connect", post, func(_ *gatehouse.Gate, _ *gateconnect.Guard, s reports) http.Handler {
			return s.handler()
		}},
		{"public by mistake", post, func(gate *gatehouse.Gate, _ *gateconnect.Guard, s reports) http.Handler {
			return protect(must(gateconnect.New(gateconnect.Config{Gate: gate, Public: []string{list}})), s)
		}},
		{"handler beside the guard", post, func(_ *gatehouse.Gate, guard *gateconnect.Guard, s reports) http.Handler {
			guarded := protect(guard, s)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				guarded.ServeHTTP(w, r)
				s.handler().ServeHTTP(w, r)
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			issuer := rpctest.Issuer(t, list)
			gate := rpctest.Gate(rpctest.Tokens(issuer))
			service := reports{func(ctx context.Context, header http.Header) (string, error) {
				rpctest.Witness(ctx)
				return hello(ctx, header)
			}, helloStream}
			handler := test.protocol(test.wire(gate, newGuard(gate), service))
			if accepted := rpctest.Findings(handler, issuer)[authtest.Accepted]; accepted < 500 {
				t.Errorf("%d findings of hostile calls that reach the handler, want more", accepted)
			}
		})
	}
}

// A service with the interceptor and without Handler has no hostile calls, but no
// valid ones either.
func TestAttackOfServiceWithoutHandler(t *testing.T) {
	racetest.Skip(t)
	issuer := rpctest.Issuer(t, list)
	handler := post(reports{hello, helloStream}.handler(connect.WithInterceptors(newGuard(rpctest.Gate(rpctest.Tokens(issuer))))))
	if found := rpctest.Findings(handler, issuer); found[authtest.Accepted] > 0 || found[authtest.RejectedValid] == 0 {
		t.Errorf("findings = %v, want some of valid calls that are refused, and none of hostile ones that are accepted", found)
	}
}
