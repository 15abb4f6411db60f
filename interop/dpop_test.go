// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/interop/dpoppeer"
	"github.com/gatehouse-go/gatehouse/interop/node"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

var nonceKey = gatehouse.NewSecret([]byte("0123456789abcdef0123456789abcdef"))

// boundAPI is an API that accepts DPoP-bound tokens of a provider.
type boundAPI struct {
	recorder
	url   string
	proof string // of the last request
}

func newBoundAPI(t *testing.T, p *provider.Provider) *boundAPI {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	a := &boundAPI{url: "http://" + server.Listener.Addr().String()}
	proofs := must(dpop.New(dpop.Config{PublicOrigin: a.url, Replays: dpop.NewMemory(0), NonceKeys: []gatehouse.Secret{nonceKey}}))
	tokens := must(jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{issuer(p, jwtauth.ES256, jwtauth.Discover())}, Confirmers: []gatehouse.Confirmer{proofs},
	}))
	t.Cleanup(func() { _ = tokens.Close() })
	mux := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "interop", Observer: &a.recorder})).Mux()
	mux.HandleFunc("GET /{path...}", func(w http.ResponseWriter, r *http.Request) {
		who, _ := gatehouse.FromContext(r.Context())
		_, _ = w.Write([]byte(who.Subject + " " + string(who.Binding)))
	}, gatehouse.Bound(dpop.Binding))
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.proof = r.Header.Get("DPoP")
		a.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	return a
}

// get uses a token at the API with proofs of a key, and returns the status.
func (a *boundAPI) get(t *testing.T, key *dpop.Key, token gatehouse.Secret) int {
	t.Helper()
	transport := must(dpop.NewTransport(dpop.TransportConfig{
		Key: key, Origins: []string{a.url}, Token: func(context.Context) (gatehouse.Secret, error) { return token, nil },
	}))
	response, _ := send(t, &http.Client{Transport: transport, Timeout: time.Minute}, a.url+"/reports?page=2", http.Header{})
	return response.StatusCode
}

// TestDPoPClients accepts what certified clients send, with keys of each kind, and
// rejects what a thief of their tokens and proofs sends.
//
// Covers RFC 9449 §7.1, §9.
func TestDPoPClients(t *testing.T) {
	t.Parallel()
	node.Require(t)
	p := sharedProvider(t)
	peer := dpoppeer.Start(t)
	api, other := newBoundAPI(t, p), newBoundAPI(t, p)
	for _, library := range []string{dpoppeer.OAuth4webapi, dpoppeer.OpenIDClient} {
		for _, algorithm := range []string{"ES256", "PS256", "Ed25519"} {
			t.Run(library+"/"+algorithm, func(t *testing.T) {
				slowUnlessES256(t, jwtauth.Algorithm(algorithm))
				session := peer.Login(t, dpoppeer.Login{
					Library: library, Algorithm: algorithm, Issuer: p.Issuer, Client: machine.ID, Secret: machine.Secret,
					Resource: resource(jwtauth.ES256), Scope: "reports:read",
				})
				if !strings.EqualFold(session.Type, "DPoP") {
					t.Fatalf("token_type %q, want DPoP", session.Type)
				}
				for _, path := range []string{"/", "/reports?page=2", "/a%2Fb/%C3%A9", "/a/./b", "/reports"} {
					if status, body := session.Get(t, api.url+path); status != http.StatusOK || body != machine.ID+" dpop" {
						t.Fatalf("GET %s = %d %q (%s), want 200", path, status, body, api.why())
					}
				}
				for _, test := range []struct {
					name   string
					api    *boundAPI
					header http.Header
					status int
					why    gatehouse.Reason
				}{
					{"replayed", api, http.Header{"Authorization": {"DPoP " + session.Token}, "Dpop": {api.proof}}, 401, dpop.ReasonReplayed},
					{"at another origin", other, http.Header{"Authorization": {"DPoP " + session.Token}, "Dpop": {api.proof}}, 401, dpop.ReasonURL},
					{"as Bearer", api, http.Header{"Authorization": {"Bearer " + session.Token}}, 401, gatehouse.ReasonUnconfirmed},
				} {
					test.api.why()
					response, _ := send(t, http.DefaultClient, test.api.url+"/reports", test.header)
					if why := test.api.why(); response.StatusCode != test.status || why != test.why {
						t.Errorf("%s: %d %s, want %d %s", test.name, response.StatusCode, why, test.status, test.why)
					}
					hostile.Add(1)
				}
			})
		}
	}
}

// TestDPoPTransport gets a token from a certified authorization server that requires
// nonces, and uses it at an API that does.
//
// Covers RFC 9449 §8 (retry).
func TestDPoPTransport(t *testing.T) {
	t.Parallel()
	p := ownProvider(t, provider.Options{
		Clients: []provider.Client{machine}, DPoPNonce: true,
		Resources: []provider.Resource{{URI: resource(jwtauth.ES256), Algorithm: "ES256", Scope: "reports:read"}},
	})
	key := must(dpop.GenerateKey())
	server := must(dpop.NewTransport(dpop.TransportConfig{Key: key, Origins: []string{p.Issuer}}))
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource(jwtauth.ES256)}, "scope": {"reports:read"}}
	var token provider.Token
	for range 2 { // with the nonce of the first attempt, and with that of the last response
		request := must(http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/token", strings.NewReader(form.Encode())))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(url.QueryEscape(machine.ID), url.QueryEscape(machine.Secret))
		response, err := (&http.Client{Transport: server, Timeout: time.Minute}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(response.Body).Decode(&token)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || token.TokenType != "DPoP" {
			t.Fatalf("token endpoint: %s, token_type %q, %v, want a DPoP token", response.Status, token.TokenType, err)
		}
	}
	api, access := newBoundAPI(t, p), gatehouse.NewSecret([]byte(token.AccessToken))
	for name, test := range map[string]struct {
		key    *dpop.Key
		status int
	}{"its key": {key, 200}, "another key": {must(dpop.GenerateKey()), 401}} {
		if got := api.get(t, test.key, access); got != test.status {
			t.Errorf("GET with %s = %d (%s), want %d", name, got, api.why(), test.status)
		}
	}
}

// TestDPoPProofsOfJose compares the verifier with jose: what it accepts, jose accepts
// too, and both accept the valid proofs.
func TestDPoPProofsOfJose(t *testing.T) {
	t.Parallel()
	node.Require(t)
	peer := dpoppeer.Start(t)
	private, key := newProofKey()
	const origin, path, token = "https://api.example.com", "/reports", "token"
	target := must(url.Parse(origin + path))
	verifier := must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: dpop.NewMemory(0)}))
	genuine := must(key.Proof(dpop.ProofRequest{Method: http.MethodGet, URL: target, AccessToken: token}))
	parts := strings.Split(genuine, ".")
	head, body := object(t, decode(parts[0])), object(t, decode(parts[1]))
	sign := func(header, claims map[string]any) string {
		return signES256(private, asJSON(head, header), asJSON(body, claims))
	}
	fresh := func() map[string]any { return map[string]any{"jti": rand.Text()} }
	accepted, strict := 0, map[string]int{}
	try := func(name, proof string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("DPoP", proof)
		_, err := verifier.Confirm(r, token, key.Thumbprint(), time.Now())
		valid, why := peer.Verify(t, proof, origin+path, token, []string{"ES256", "PS256", "EdDSA", "Ed25519"})
		e, _ := errors.AsType[*gatehouse.Error](err)
		switch {
		case err == nil && !valid:
			t.Errorf("%s: accepted, but jose says %s: %s", name, why, proof)
		case err == nil:
			accepted++
		case valid:
			strict[string(e.Reason)+" "+name]++
		default:
			hostile.Add(1)
		}
	}
	values := []any{nil, "", "x", "GET", "ES256", "none", "JWT", 0, 1, -1, 1.5, 1e300, true, []any{}, []any{"GET"}, map[string]any{}, origin, origin + path, "ß\u0000"}
	try("valid", genuine)
	for _, member := range []string{"typ", "alg", "jwk", "crit", "b64", "kid", "jku"} {
		for _, value := range values {
			try("header "+member, sign(map[string]any{member: value}, fresh()))
		}
	}
	for _, claim := range []string{"htm", "htu", "jti", "iat", "ath", "exp", "nbf", "other"} {
		for _, value := range values {
			changes := fresh()
			changes[claim] = value
			try("claim "+claim, sign(nil, changes))
		}
	}
	for _, member := range []string{"kty", "crv", "x", "y", "d", "alg", "use", "key_ops", "n"} {
		for _, value := range values {
			jwk := json.RawMessage(asJSON(head["jwk"].(map[string]any), map[string]any{member: value}))
			try("jwk "+member, sign(map[string]any{"jwk": jwk}, fresh()))
		}
	}
	for n := range len(genuine) {
		if n%7 == 0 { // a changed character anywhere
			changed := []byte(genuine)
			changed[n] = map[bool]byte{true: 'B', false: 'A'}[changed[n] == 'A']
			try("changed character", string(changed))
		}
	}
	if accepted < 10 {
		t.Errorf("%d proofs accepted, want the valid ones", accepted)
	}
	for _, what := range slices.Sorted(maps.Keys(strict)) {
		t.Logf("stricter than jose: %s (%d)", what, strict[what])
	}
}

// newProofKey returns a key for ES256 in both forms.
func newProofKey() (*ecdsa.PrivateKey, *dpop.Key) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return private, must(dpop.NewKey(dpop.ES256, private))
}

// asJSON returns the JSON of an object with changes; nil removes a member.
func asJSON(members, changes map[string]any) string {
	members = maps.Clone(members)
	for name, value := range changes {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
	return string(must(json.Marshal(members)))
}

// TestDPoPSignIn logs a user in at a certified authorization server with a key: the
// tokens of the session are bound to it, before and after a refresh.
//
// Covers RFC 9449 §5, §10.
func TestDPoPSignIn(t *testing.T) {
	t.Parallel()
	key := must(dpop.GenerateKey())
	for _, registered := range []provider.Client{webapp, nativeClient} {
		t.Run(registered.ID, func(t *testing.T) {
			t.Parallel()
			p := ownProvider(t, provider.Options{
				Clients: []provider.Client{registered}, DPoPNonce: true,
				Resources: []provider.Resource{{URI: resource(jwtauth.ES256), Algorithm: "ES256", Scope: "reports:read"}},
			})
			config := oauth.Config{Issuer: p.Issuer, ClientID: registered.ID, DPoP: key}
			if config.Auth = oauth.Public; registered.Secret != "" {
				config.Auth, config.Secret = oauth.SecretBasic, gatehouse.NewSecret([]byte(registered.Secret))
			}
			client := newClient(t, config)
			scopes := must(gatehouse.ParseScopes("openid offline_access reports:read"))
			redirect := registered.RedirectURIs[0]
			transaction := do(client.Authorize(t.Context(), oauth.AuthorizationRequest{
				RedirectURI: redirect, Scopes: scopes, Resources: []string{resource(jwtauth.ES256)}, Params: url.Values{"prompt": {"consent"}},
			}))(t)
			callback := provider.NewBrowser(t, "ada").Visit(t, transaction.URL, redirect)
			api, tokens := newBoundAPI(t, p), do(client.Redeem(t.Context(), transaction, callback.Query()))(t).Tokens
			for range 3 {
				if !tokens.DPoP || tokens.Refresh.Len() == 0 {
					t.Fatalf("tokens %+v, want bound ones with a refresh token", tokens)
				}
				if got := api.get(t, key, tokens.Access); got != http.StatusOK {
					t.Errorf("API with the token of the session = %d (%s), want 200", got, api.why())
				}
				tokens = do(client.Refresh(t.Context(), tokens))(t)
			}
			// The refresh token of a public client is worth nothing without the key.
			thief := config
			thief.DPoP = must(dpop.GenerateKey())
			if _, err := newClient(t, thief).Refresh(t.Context(), tokens); (err == nil) != (registered.Secret != "") {
				t.Errorf("Refresh with another key error = %v", err)
			}
		})
	}
}
