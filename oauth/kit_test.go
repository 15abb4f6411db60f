// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

const (
	issuer    = providertest.Issuer
	clientID  = providertest.ClientID
	redirect  = "https://app.example.com/callback"
	wellKnown = "/.well-known/openid-configuration"
)

type object = providertest.Object

var (
	answer = providertest.Answer
	raw    = providertest.Raw
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func scopes(text string) gatehouse.Scopes { return must(gatehouse.ParseScopes(text)) }

func secret(text string) gatehouse.Secret { return gatehouse.NewSecret([]byte(text)) }

// reveal returns a token, which prints redacted otherwise.
func reveal(s gatehouse.Secret) string { return string(s.Reveal()) }

// statusOf returns the status of the response to an error, 0 if it is no Error.
func statusOf(err error) int {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Code.Status()
	}
	return 0
}

func reasonOf(err error) gatehouse.Reason {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Reason
	}
	return ""
}

// login is an authorization request and its response.
type login struct {
	*providertest.Server
	client      *oauth.Client
	transaction *oauth.Transaction
	response    url.Values
}

func newLogin(t testing.TB, changes ...func(*oauth.AuthorizationRequest)) *login {
	t.Helper()
	l := &login{Server: providertest.New(t)}
	l.client = l.Client()
	l.begin(changes...)
	return l
}

// begin makes an authorization request, to which the provider agrees.
func (l *login) begin(changes ...func(*oauth.AuthorizationRequest)) {
	l.Helper()
	request := oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid reports:read")}
	for _, change := range changes {
		change(&request)
	}
	var err error
	if l.transaction, err = l.client.Authorize(l.Context(), request); err != nil {
		l.Fatal(err)
	}
	if strings.HasPrefix(l.transaction.URL, issuer) {
		l.response = l.Authorize(l.transaction.URL)
	}
}

// query returns the parameters of the authorization request.
func (l *login) query() url.Values { return must(url.Parse(l.transaction.URL)).Query() }

func (l *login) redeem() (oauth.Result, error) {
	return l.client.Redeem(l.Context(), l.transaction, l.response)
}

// down is an endpoint that answers with 503.
func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }

// keyless is a client without keys for ID tokens.
func keyless(c *oauth.Config) {
	c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + "/token"}
}

// hanging is an endpoint that does not answer.
func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func claim(name string, value any) func(*login) {
	return func(l *login) { l.Claims = func(claims object) { claims[name] = value } }
}

// forged is an ID token with the signature of another one.
func forged() string {
	now := time.Now().Unix()
	sign := func(sub string) string {
		return providertest.Sign("JWT", object{"iss": issuer, "aud": clientID, "sub": sub, "iat": now, "exp": now + 60})
	}
	one, two := sign("alice"), sign("eve")
	return one[:strings.LastIndexByte(one, '.')] + two[strings.LastIndexByte(two, '.'):]
}

func newClient(t testing.TB, c oauth.Config) *oauth.Client {
	t.Helper()
	client, err := oauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
