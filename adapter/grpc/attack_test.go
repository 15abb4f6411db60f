// SPDX-License-Identifier: Apache-2.0

package gategrpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/gatehouse-go/gatehouse"
	gategrpc "github.com/gatehouse-go/gatehouse/adapter/grpc"
	"github.com/gatehouse-go/gatehouse/adapter/grpc/gategrpctest"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
	"github.com/gatehouse-go/gatehouse/scopes"
)

func TestAttack(t *testing.T) {
	for _, method := range []string{list, watch} {
		t.Run(method, func(t *testing.T) {
			issuer := rpctest.Issuer(t, method)
			server := grpc.NewServer(intercept(newInterceptor(rpctest.Gate(rpctest.Tokens(issuer)), scopes.All("reports:read")))...)
			reports{hello, helloStream}.register(server)
			authtest.Attack(t, gategrpctest.Handler(server), issuer)
		})
	}
}

// Each wrong wiring has findings: it accepts hostile calls.
func TestAttackFindsWrongWiring(t *testing.T) {
	racetest.Skip(t)
	for _, test := range []struct {
		name, method string
		server       func(gate *gatehouse.Gate, interceptor *gategrpc.Interceptor) *grpc.Server
	}{
		{"no interceptor for streams", watch, func(_ *gatehouse.Gate, i *gategrpc.Interceptor) *grpc.Server {
			return grpc.NewServer(grpc.UnaryInterceptor(i.Unary))
		}},
		{"no interceptor for unary calls", list, func(_ *gatehouse.Gate, i *gategrpc.Interceptor) *grpc.Server {
			return grpc.NewServer(grpc.StreamInterceptor(i.Stream))
		}},
		{"public by mistake", list, func(gate *gatehouse.Gate, _ *gategrpc.Interceptor) *grpc.Server {
			return grpc.NewServer(intercept(must(gategrpc.New(gategrpc.Config{Gate: gate, Public: []string{list}})))...)
		}},
		{"error discarded", list, func(_ *gatehouse.Gate, i *gategrpc.Interceptor) *grpc.Server {
			return grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				response, err := i.Unary(ctx, request, info, handler)
				if err != nil {
					return handler(ctx, request)
				}
				return response, nil
			}))
		}},
		{"handler runs behind the refusal", list, func(_ *gatehouse.Gate, i *gategrpc.Interceptor) *grpc.Server {
			return grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				response, err := handler(ctx, request)
				if _, refusal := i.Unary(ctx, request, info, func(context.Context, any) (any, error) { return nil, nil }); refusal != nil { //nolint:nilnil // a handler without a result
					return nil, refusal
				}
				return response, err
			}))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			issuer := rpctest.Issuer(t, test.method)
			gate := rpctest.Gate(rpctest.Tokens(issuer))
			server := test.server(gate, newInterceptor(gate))
			reports{func(ctx context.Context) (string, error) {
				gategrpctest.Witness(ctx)
				return hello(ctx)
			}, helloStream}.register(server)
			if accepted := rpctest.Findings(gategrpctest.Handler(server), issuer)[authtest.Accepted]; accepted < 500 {
				t.Errorf("%d findings of hostile calls that reach the handler, want more", accepted)
			}
		})
	}
}
