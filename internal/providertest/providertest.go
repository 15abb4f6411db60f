// SPDX-License-Identifier: Apache-2.0

// Package providertest is an OpenID provider for tests of the packages oauth and
// signin. It behaves as the standards ask and checks that the client does.
package providertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/pkce"
)

// The provider and its client. ClientID and Secret contain characters that need
// escaping.
const (
	Issuer   = "https://as.example.com"
	ClientID = "web app"
	Secret   = "a secret+of the web app%"
)

// Object is a JSON object. In Server.Reply and for ID tokens, a nil member is
// left out.
type Object = map[string]any

// Keys returns the keyring of the provider.
var Keys = sync.OnceValue(func() *jwtauth.KeyRing {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	keys, err := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: private})
	if err != nil {
		panic(err)
	}
	return keys
})

// Server is the provider. It is an [http.RoundTripper] that answers without a
// network.
type Server struct {
	testing.TB
	Metadata Object
	Routes   map[string]http.HandlerFunc // by path; they replace the endpoints
	Reply    Object                      // replaces members of token responses
	Claims   func(Object)                // changes the claims of ID tokens
	Type     string                      // typ of ID tokens

	mu    sync.Mutex
	calls map[string]int
	codes map[string]url.Values // code -> authorization request
	seen  map[string]bool       // state, nonce and code_challenge of requests
}

// New returns a provider.
func New(t testing.TB) *Server {
	return &Server{
		TB: t, Routes: make(map[string]http.HandlerFunc), calls: make(map[string]int), codes: make(map[string]url.Values), seen: make(map[string]bool),
		Claims: func(Object) {}, Type: "JWT",
		Metadata: Object{
			"issuer": Issuer, "token_endpoint": Issuer + "/token", "authorization_endpoint": Issuer + "/auth?tenant=1",
			"revocation_endpoint": Issuer + "/revoke", "introspection_endpoint": Issuer + "/introspect",
			"end_session_endpoint": Issuer + "/end?x=1", "jwks_uri": Issuer + "/jwks",
			"authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": []string{"S256"},
		},
	}
}

// Config returns the configuration of the registered client.
func (s *Server) Config() oauth.Config {
	return oauth.Config{
		Issuer: Issuer, ClientID: ClientID, Secret: gatehouse.NewSecret([]byte(Secret)), Transport: s,
		Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
	}
}

// Client returns a client, which ends with the test.
func (s *Server) Client(changes ...func(*oauth.Config)) *oauth.Client {
	s.Helper()
	config := s.Config()
	for _, change := range changes {
		change(&config)
	}
	client, err := oauth.New(config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = client.Close() })
	return client
}

// RoundTrip implements [http.RoundTripper].
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

// Count returns the number of requests for a path.
func (s *Server) Count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	route := s.Routes[r.URL.Path]
	s.mu.Unlock()
	if origin := r.URL.Scheme + "://" + r.URL.Host; origin != Issuer {
		s.Errorf("request to %s, want origin %s", r.URL, Issuer)
	}
	switch r.URL.Path {
	case "/token", "/par", "/revoke", "/introspect": // secrets are in the body or in a header
		if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			s.Errorf("request %s %s with %v, want a form without a query", r.Method, r.URL, r.Header)
		}
	}
	if r.URL.Path == "/par" && r.ParseForm() == nil {
		pushed := maps.Clone(r.PostForm)
		pushed.Del("client_secret") // client authentication
		pushed.Del("client_assertion")
		s.check(pushed)
	}
	switch {
	case route != nil:
		route(w, r)
	case r.URL.Path == "/.well-known/openid-configuration":
		Answer(w, http.StatusOK, s.Metadata)
	case r.URL.Path == "/jwks":
		Keys().ServeHTTP(w, r)
	case r.URL.Path == "/token":
		s.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Answer writes a JSON response.
func Answer(w http.ResponseWriter, status int, body Object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Raw returns a handler that answers with text.
func Raw(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	id, password, ok := r.BasicAuth()
	if !ok || id != url.QueryEscape(ClientID) || password != url.QueryEscape(Secret) || r.PostFormValue("client_id") != "" {
		Answer(w, http.StatusUnauthorized, Object{"error": "invalid_client"})
		return
	}
	body := Object{"access_token": "access-1", "token_type": "bearer", "expires_in": 300, "refresh_token": "refresh-1"}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		s.mu.Lock()
		request := s.codes[r.PostFormValue("code")]
		delete(s.codes, r.PostFormValue("code"))
		s.mu.Unlock()
		verifier := gatehouse.NewSecret([]byte(r.PostFormValue("code_verifier")))
		if request == nil || pkce.CheckRequest(request.Get("code_challenge"), request.Get("code_challenge_method")) != nil ||
			pkce.Verify(request.Get("code_challenge"), verifier) != nil ||
			request.Get("redirect_uri") != r.PostFormValue("redirect_uri") || request.Get("resource") != r.PostFormValue("resource") {
			Answer(w, http.StatusBadRequest, Object{"error": "invalid_grant"})
			return
		}
		if strings.Contains(request.Get("scope"), "openid") {
			body["id_token"] = s.IDToken(request.Get("nonce"))
		}
	case "refresh_token":
		body["access_token"], body["refresh_token"] = "access-2", "refresh-2"
	}
	Answer(w, http.StatusOK, merge(body, s.Reply))
}

// IDToken returns an ID token about alice.
func (s *Server) IDToken(nonce string) string {
	now := time.Now().Unix()
	claims := Object{"iss": Issuer, "aud": ClientID, "sub": "alice", "nonce": nonce, "iat": now, "exp": now + 300, "sid": "s1", "auth_time": now - 5}
	s.Claims(claims)
	return Sign(s.Type, merge(claims, nil))
}

// LogoutToken returns a logout token for the session s1 of alice.
func LogoutToken(typ string, changes Object) string {
	now := time.Now().Unix()
	return Sign(typ, merge(Object{
		"iss": Issuer, "aud": ClientID, "sub": "alice", "iat": now, "exp": now + 60, "jti": "1", "sid": "s1",
		"events": Object{"http://schemas.openid.net/event/backchannel-logout": Object{}},
	}, changes))
}

// Sign signs a JWT with the key of the provider.
func Sign(typ string, claims Object) string {
	token, err := Keys().SignJWT(typ, claims)
	if err != nil {
		panic(err)
	}
	return string(token.Reveal())
}

// merge changes the members of an object and removes those that are nil then.
func merge(o, changes Object) Object {
	maps.Copy(o, changes)
	maps.DeleteFunc(o, func(_ string, value any) bool { return value == nil })
	return o
}

// check checks that nothing that protects one authorization request protects another
// one, and that the request contains no secret.
func (s *Server) check(request url.Values) {
	s.Helper()
	for _, name := range []string{"client_secret", "client_assertion", "code_verifier"} {
		if request.Has(name) {
			s.Errorf("authorization request with %s", name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		value := request.Get(name)
		if value != "" && s.seen[value] {
			s.Errorf("two authorization requests with the same %s", name)
		}
		s.seen[value] = true
	}
}

// Authorize does what the provider and the user do with an authorization request,
// and returns the parameters of the response.
func (s *Server) Authorize(address string) url.Values {
	s.Helper()
	u, err := url.Parse(address)
	if err != nil {
		s.Fatal(err)
	}
	q := u.Query()
	if u.Scheme+"://"+u.Host+u.Path != Issuer+"/auth" || q.Get("tenant") != "1" ||
		q.Get("response_type") != "code" || q.Get("client_id") != ClientID || len(q.Get("state")) != 43 {
		s.Fatalf("authorization request %s, want one to %s/auth?tenant=1 with response_type, client_id and state", address, Issuer)
	}
	s.check(q)
	code := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = q
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {Issuer}}
}
