// SPDX-License-Identifier: Apache-2.0

package gategrpc_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse-go/gatehouse"
	gategrpc "github.com/gatehouse-go/gatehouse/adapter/grpc"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// snippet: server
// newServer is a server of the health service: each caller may check, and those with a
// scope may watch and list.
func newServer(issuer, audience string) (*grpc.Server, error) {
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
	}}})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "health"})
	if err != nil {
		return nil, err
	}
	interceptor, err := gategrpc.New(gategrpc.Config{
		Gate: gate,
		Methods: map[string][]gatehouse.Policy{
			grpc_health_v1.Health_Check_FullMethodName: {gatehouse.Authenticated},
			grpc_health_v1.Health_List_FullMethodName:  {scopes.All("health:read")},
			grpc_health_v1.Health_Watch_FullMethodName: {scopes.All("health:read")},
		},
	})
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(interceptor.Unary), grpc.StreamInterceptor(interceptor.Stream))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server, interceptor.Check(server)
}

// end snippet

func Example() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()
	server, err := newServer(issuer.URL, issuer.Audience)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	client := grpc_health_v1.NewHealthClient(connection)
	ctx := context.Background()

	_, err = client.Check(ctx, new(grpc_health_v1.HealthCheckRequest))
	fmt.Println(status.Code(err), status.Convert(err).Message())

	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+issuer.Token(nil))
	answer, err := client.Check(ctx, new(grpc_health_v1.HealthCheckRequest))
	fmt.Println(status.Code(err), answer.GetStatus())

	_, err = client.List(ctx, new(grpc_health_v1.HealthListRequest))
	fmt.Println(status.Code(err), status.Convert(err).Message())
	// Output:
	// Unauthenticated This resource requires authentication.
	// OK SERVING
	// PermissionDenied The request requires higher privileges than the credential provides.
}
