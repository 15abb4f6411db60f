// SPDX-License-Identifier: Apache-2.0

package gateotel_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	gateotel "github.com/gatehouse-go/gatehouse/adapter/otel"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func newTokens(t *testing.T, issuers ...*authtest.Issuer) *jwtauth.Authenticator {
	t.Helper()
	var config jwtauth.Config
	for _, i := range issuers {
		config.Issuers = append(config.Issuers, jwtauth.Issuer{
			URL: i.URL, Audiences: []string{i.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.RemoteKeys(i.KeysURL), AnyTenant: true,
		})
	}
	tokens := must(jwtauth.New(config))
	t.Cleanup(func() { _ = tokens.Close() })
	return tokens
}

// newIntrospector returns an introspector whose endpoint accepts every token.
func newIntrospector(t *testing.T) *oauth.Introspector {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"active":true,"sub":"alice","aud":"https://api.example.com"}`)
	}))
	t.Cleanup(server.Close)
	client := must(oauth.New(oauth.Config{Issuer: server.URL, ClientID: "api", Secret: gatehouse.NewSecret([]byte("a long random secret"))}))
	opaque := must(oauth.NewIntrospector(oauth.IntrospectorConfig{
		Endpoints: []oauth.IntrospectionEndpoint{{Client: client, URL: server.URL + "/introspect", Audiences: []string{"https://api.example.com"}}},
		Cache:     time.Minute,
	}))
	t.Cleanup(func() { _ = opaque.Close() })
	return opaque
}

// The metrics of several authenticators are sums.
func TestWatch(t *testing.T) {
	good := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	down := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	down.Break(authtest.Down)
	telemetry, reader := newTelemetry(t, gateotel.Config{})
	first, second, third := newTokens(t, good, down), newTokens(t, good), newTokens(t, good)
	telemetry.WatchTokens(first)
	telemetry.WatchTokens(second)
	telemetry.WatchTokens(third)
	token := good.Token(nil)
	begun := time.Now()
	for _, a := range []*jwtauth.Authenticator{first, first, first, second} {
		if _, err := a.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := first.Verify(t.Context(), down.Token(nil)); err == nil {
		t.Fatal("a token without keys is accepted")
	}

	keys := must(apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme", CacheTTL: time.Second}))
	telemetry.WatchKeys(keys)
	issued := must(keys.Create(t.Context(), apikey.Request{Owner: "ci", Lifetime: time.Hour}))
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	request.Header.Set("X-Api-Key", string(issued.Secret.Reveal()))
	if _, err := keys.Authenticate(request); err != nil {
		t.Fatal(err)
	}
	opaque := newIntrospector(t)
	telemetry.WatchIntrospector(opaque)
	request = httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	request.Header.Set("Authorization", "Bearer opaque")
	for range 2 {
		if _, err := opaque.Authenticate(request); err != nil {
			t.Fatal(err)
		}
	}

	series := collect(t, reader)
	ageOf := func(i *authtest.Issuer) string { return "gatehouse.key_set.age{issuer=" + i.URL + "}" }
	if age, ok := series[ageOf(good)]; !ok || age <= 0 || age > time.Since(begun).Seconds() {
		t.Errorf("age = %v, %v, want more than 0 and less than %v", age, ok, time.Since(begun))
	}
	if age, ok := series[ageOf(down)]; ok {
		t.Errorf("age = %v, want none before the first fetch", age)
	}
	delete(series, ageOf(good))
	u := `{issuer=` + good.URL
	d := `{issuer=` + down.URL
	want := map[string]float64{
		"gatehouse.cache.lookups{cache=jwtauth,result=hit}":        2,
		"gatehouse.cache.lookups{cache=jwtauth,result=miss}":       2,
		"gatehouse.cache.lookups{cache=apikey,result=hit}":         0,
		"gatehouse.cache.lookups{cache=apikey,result=miss}":        1,
		"gatehouse.cache.lookups{cache=introspection,result=hit}":  1,
		"gatehouse.cache.lookups{cache=introspection,result=miss}": 1,
		"gatehouse.key_set.fetches" + u + ",result=success}":       2,
		"gatehouse.key_set.fetches" + u + ",result=failure}":       0,
		"gatehouse.key_set.fetches" + d + ",result=success}":       0,
		"gatehouse.key_set.fetches" + d + ",result=failure}":       1,
		"gatehouse.key_set.keys" + u + "}":                         1,
	}
	if diff := cmp.Diff(want, series); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// Whatever a caller sends, no attribute of a metric has a part of it.
func TestCallersChooseNoAttribute(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	telemetry, reader := newTelemetry(t, gateotel.Config{SpanIdentities: true})
	tokens := newTokens(t, issuer)
	keys := must(apikey.New(apikey.Config{Store: telemetry.APIKeys(struct{ apikey.Store }{apikey.NewMemory(0)}), Prefix: "acme", Observer: telemetry}))
	issued := must(keys.Create(t.Context(), apikey.Request{Owner: "chosen-owner", Tenant: "chosen-tenant", Lifetime: time.Hour}))
	telemetry.WatchTokens(tokens)
	telemetry.WatchKeys(keys)
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens, keys}, Realm: "test", Observer: telemetry}))
	mux := gate.Mux()
	mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {}, gatehouse.Authenticated)
	for n := range 20 {
		chosen := fmt.Sprint("chosen-", n)
		for name, value := range map[string]string{
			"Authorization": "Bearer " + issuer.Token(authtest.Claims{"sub": chosen, "client_id": chosen, "jti": chosen}),
			"authorization": "Bearer " + issuer.Token(authtest.Claims{"iss": "https://" + chosen, "sub": chosen}),
			"AUTHORIZATION": "Bearer " + issuer.TokenWith(authtest.Header{"kid": chosen}, nil),
			"X-Api-Key":     "acme_live_" + chosen,
			"x-api-key":     string(issued.Secret.Reveal()),
			"X-Other":       chosen,
		} {
			r := httptest.NewRequest(http.MethodGet, "/items/"+chosen+"?q="+chosen, http.NoBody)
			r.Host = chosen
			r.Header.Set(name, value)
			mux.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	series := collect(t, reader)
	if len(series) < 10 || len(series) > 30 {
		t.Errorf("%d series, want 10 to 30", len(series))
	}
	for name := range series {
		if strings.Contains(name, "chosen") || strings.Contains(name, issued.Key.ID) {
			t.Errorf("a caller chose an attribute of %s", name)
		}
	}
}
