// SPDX-License-Identifier: Apache-2.0

package gateotel_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/gatehouse-go/gatehouse"
	gateotel "github.com/gatehouse-go/gatehouse/adapter/otel"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// newServer is a service with metrics of its decisions, key sets, caches and its store.
func newServer(issuer, audience string, store apikey.Store, provider metric.MeterProvider) (http.Handler, error) {
	// snippet: otel
	telemetry, err := gateotel.New(gateotel.Config{
		MeterProvider: provider,
		Observer:      gatehouse.Log(slog.New(slog.DiscardHandler)), // your logger
	})
	if err != nil {
		return nil, err
	}
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers:  []jwtauth.Issuer{{URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover()}},
		Observer: telemetry,
	})
	if err != nil {
		return nil, err
	}
	keys, err := apikey.New(apikey.Config{Store: telemetry.APIKeys(store), Prefix: "acme", Observer: telemetry})
	if err != nil {
		return nil, err
	}
	telemetry.WatchTokens(tokens)
	telemetry.WatchKeys(keys)
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens, keys},
		Realm:          "reports",
		Observer:       telemetry,
	})
	// end snippet
	if err != nil {
		return nil, err
	}
	return gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "the reports")
	})), nil
}

func Example() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()
	reader := sdkmetric.NewManualReader() // your exporter
	server, err := newServer(issuer.URL, issuer.Audience, apikey.NewMemory(0), sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		log.Fatal(err)
	}
	for _, token := range []string{issuer.Token(nil), issuer.ExpiredToken(nil)} {
		r := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		server.ServeHTTP(httptest.NewRecorder(), r)
	}

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		log.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if decisions, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "gatehouse.decisions" {
			for _, p := range decisions.DataPoints {
				decision, _ := p.Attributes.Value("gatehouse.decision")
				reason, _ := p.Attributes.Value("gatehouse.reason")
				fmt.Println(decision.AsString(), reason.AsString(), p.Value)
			}
		}
	}
	// Unordered output:
	// allowed  1
	// rejected jwtauth_expired 1
}
