// SPDX-License-Identifier: Apache-2.0

package gateconnect_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse-go/gatehouse"
	gateconnect "github.com/gatehouse-go/gatehouse/adapter/connect"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// In an application these come from the generated package.
const (
	greetProcedure  = "/acme.Greeter/Greet"
	reportProcedure = "/acme.Greeter/Report"
)

func greet(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[wrapperspb.StringValue], error) {
	p, _ := gatehouse.FromContext(ctx)
	return connect.NewResponse(wrapperspb.String("Hello, " + p.Subject)), nil
}

// newHandler is a service: each caller may greet, and those with a scope may report.
func newHandler(issuer, audience string) (http.Handler, error) {
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
	}}})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "greeter"})
	if err != nil {
		return nil, err
	}
	guard, err := gateconnect.New(gateconnect.Config{Gate: gate, Methods: map[string][]gatehouse.Policy{
		greetProcedure:  {gatehouse.Authenticated},
		reportProcedure: {scopes.All("reports:read")},
	}})
	if err != nil {
		return nil, err
	}
	service := http.NewServeMux()
	service.Handle(greetProcedure, connect.NewUnaryHandler(greetProcedure, greet, connect.WithInterceptors(guard)))
	service.Handle(reportProcedure, connect.NewUnaryHandler(reportProcedure, greet, connect.WithInterceptors(guard)))
	return guard.Handler(service), nil
}

func Example() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()
	handler, err := newHandler(issuer.URL, issuer.Audience)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	call := func(procedure, authorization string) {
		client := connect.NewClient[emptypb.Empty, wrapperspb.StringValue](server.Client(), server.URL+procedure)
		request := connect.NewRequest(new(emptypb.Empty))
		if authorization != "" {
			request.Header().Set("Authorization", authorization)
		}
		if response, err := client.CallUnary(context.Background(), request); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println(response.Msg.GetValue())
		}
	}
	token := "Bearer " + issuer.Token(authtest.Claims{"sub": "alice"})
	call(greetProcedure, "")
	call(greetProcedure, token)
	call(reportProcedure, token)
	// Output:
	// unauthenticated: This resource requires authentication.
	// Hello, alice
	// permission_denied: The request requires higher privileges than the credential provides.
}
