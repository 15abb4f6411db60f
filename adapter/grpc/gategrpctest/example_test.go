// SPDX-License-Identifier: Apache-2.0

package gategrpctest_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse-go/gatehouse"
	gategrpc "github.com/gatehouse-go/gatehouse/adapter/grpc"
	"github.com/gatehouse-go/gatehouse/adapter/grpc/gategrpctest"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// newServer is the function under test.
func newServer(tokens gatehouse.Authenticator) (*grpc.Server, error) {
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "health"})
	if err != nil {
		return nil, err
	}
	interceptor, err := gategrpc.New(gategrpc.Config{Gate: gate, Methods: map[string][]gatehouse.Policy{
		grpc_health_v1.Health_Check_FullMethodName: {gatehouse.Authenticated},
		grpc_health_v1.Health_List_FullMethodName:  {gatehouse.Authenticated},
		grpc_health_v1.Health_Watch_FullMethodName: {gatehouse.Authenticated},
	}})
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(interceptor.Unary), grpc.StreamInterceptor(interceptor.Stream))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server, interceptor.Check(server)
}

// Attack sends a thousand hostile calls to a method of a server.
func TestServer(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{
		Algorithms: []string{"ES256"}, Target: grpc_health_v1.Health_Check_FullMethodName,
	})
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	server, err := newServer(tokens)
	if err != nil {
		t.Fatal(err)
	}
	authtest.Attack(t, gategrpctest.Handler(server), issuer)
}
