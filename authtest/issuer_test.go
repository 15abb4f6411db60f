// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/authtest"
)

var asymmetric = []string{
	"ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
}

// verify verifies a token against the published keys with golang-jwt.
func verify(issuer *authtest.Issuer, token string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(
		jwt.WithIssuer(issuer.URL), jwt.WithAudience(issuer.Audience), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithValidMethods(issuer.Algorithms),
	).ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		if issuer.Secret.Len() > 0 {
			return issuer.Secret.Reveal(), nil
		}
		for _, k := range issuer.Keys() {
			if k.ID == t.Header["kid"] && k.Algorithm == t.Header["alg"] {
				return k.Public, nil
			}
		}
		return nil, errors.New("no such key")
	})
	return claims, err
}

func TestTokenVerifies(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: asymmetric})
	for _, algorithm := range asymmetric {
		token := issuer.TokenWith(authtest.Header{"alg": algorithm}, authtest.Claims{"scope": "a b"})
		claims, err := verify(issuer, token)
		if err != nil {
			t.Errorf("%s: verify(Token) error = %v, want nil", algorithm, err)
			continue
		}
		for _, name := range []string{"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope"} {
			if claims[name] == nil {
				t.Errorf("%s: Token has no %s", algorithm, name)
			}
		}
	}
	for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
		issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{algorithm}})
		if _, err := verify(issuer, issuer.Token(nil)); err != nil {
			t.Errorf("%s: verify(Token) error = %v, want nil", algorithm, err)
		}
		if keys := issuer.KeySet(); string(keys) != `{"keys":[]}` {
			t.Errorf("%s: KeySet = %s, want no keys", algorithm, keys)
		}
	}
}

func TestTokenClaims(t *testing.T) {
	own := authtest.Claims{"tenant": "acme", "sub": "carol"}
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{
		Path: "/tenants/acme", Audience: "urn:api", Type: "JWT", Scope: "read", Claims: own,
	})
	own["tenant"] = "globex" // the issuer has a copy
	claims := must(verify(issuer, issuer.Token(authtest.Claims{"client_id": nil, "sub": "<bob>", "n": 1})))
	if lifetime := claims["exp"].(float64) - claims["iat"].(float64); lifetime != 300 {
		t.Errorf("Token is valid for %v s, want 300", lifetime)
	}
	for name, want := range map[string]any{
		"iss": issuer.URL, "aud": "urn:api", "tenant": "acme", "sub": "<bob>", "n": 1.0, "client_id": nil, "scope": "read",
	} {
		if claims[name] != want {
			t.Errorf("claim %s = %v, want %v", name, claims[name], want)
		}
	}
	if !strings.HasSuffix(issuer.URL, "/tenants/acme") {
		t.Errorf("URL = %s, want the path /tenants/acme", issuer.URL)
	}
	token := issuer.TokenWith(authtest.Header{"typ": "at+jwt", "kid": "unknown", "x": 1}, nil)
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if h := must(parsed, err).Header; h["typ"] != "at+jwt" || h["kid"] != "unknown" || h["x"] != 1.0 || h["alg"] != "RS256" {
		t.Errorf("header = %v, want at+jwt, unknown, 1 and RS256", h)
	}
}

func TestInvalidTokens(t *testing.T) {
	for _, algorithms := range [][]string{{"RS256"}, {"ES256"}, {"EdDSA"}, {"HS256"}} {
		issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: algorithms})
		for name, test := range map[string]struct {
			token string
			want  error
		}{
			"expired":  {issuer.ExpiredToken(nil), jwt.ErrTokenExpired},
			"foreign":  {issuer.ForeignToken(nil), jwt.ErrTokenSignatureInvalid},
			"unsigned": {issuer.UnsignedToken(nil), jwt.ErrTokenSignatureInvalid},
			"confused": {issuer.ConfusedToken(nil), jwt.ErrTokenSignatureInvalid},
			"ID token": {issuer.IDToken(nil), jwt.ErrTokenInvalidAudience},
		} {
			if _, err := verify(issuer, test.token); !errors.Is(err, test.want) {
				t.Errorf("%s: verify(%s) error = %v, want %v", algorithms[0], name, err, test.want)
			}
		}
		expired, _ := verify(issuer, issuer.ExpiredToken(nil))
		if past := time.Since(time.Unix(int64(expired["exp"].(float64)), 0)); past < time.Hour || past > time.Hour+time.Minute || expired["exp"].(float64)-expired["iat"].(float64) != 300 {
			t.Errorf("%s: ExpiredToken = %v, want it expired for an hour and valid for 300 s", algorithms[0], expired)
		}
		secret := []byte(issuer.URL)
		for _, k := range issuer.Keys() {
			secret = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(k.Public))})
		}
		if _, err := jwt.Parse(issuer.ConfusedToken(nil), func(*jwt.Token) (any, error) { return secret, nil }, jwt.WithValidMethods([]string{"HS256"})); err != nil {
			t.Errorf("%s: Parse(ConfusedToken) with the public key as a secret error = %v, want nil", algorithms[0], err)
		}
		id, _ := verify(issuer, issuer.IDToken(nil))
		for _, name := range []string{"nonce", "at_hash", "auth_time", "iat", "exp", "sub"} {
			if id[name] == nil {
				t.Errorf("%s: IDToken has no %s", algorithms[0], name)
			}
		}
		if id["aud"] != "authtest-client" || id["client_id"] != nil || id["jti"] != nil {
			t.Errorf("%s: IDToken = %v, want the client as aud and no client_id or jti", algorithms[0], id)
		}
		if _, err := verify(issuer, issuer.IDToken(authtest.Claims{"aud": issuer.Audience})); err != nil {
			t.Errorf("%s: verify(ID token) error = %v, want nil", algorithms[0], err)
		}
	}
}

func TestRotateAndWithdraw(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256", "EdDSA"}})
	before := issuer.Token(nil)
	issuer.Rotate()
	after := issuer.TokenWith(authtest.Header{"alg": "EdDSA"}, nil)
	if n := len(issuer.Keys()); n != 4 {
		t.Errorf("%d keys after Rotate, want 4", n)
	}
	for _, token := range []string{before, after} {
		if _, err := verify(issuer, token); err != nil {
			t.Errorf("verify after Rotate error = %v, want nil", err)
		}
	}
	issuer.Withdraw()
	if _, err := verify(issuer, before); err == nil {
		t.Error("verify(token of a withdrawn key) error = nil, want one")
	}
	if _, err := verify(issuer, after); err != nil {
		t.Errorf("verify(token of the current key) error = %v, want nil", err)
	}
	old := issuer.TokenWith(authtest.Header{"kid": "es256-1"}, nil)
	if _, err := verify(issuer, old); err == nil {
		t.Error("verify(kid of a withdrawn key) error = nil, want one")
	}
	issuer.Rotate()
	issuer.Rotate()
	issuer.Withdraw()
	var published []string
	for _, k := range issuer.Keys() {
		published = append(published, k.ID)
	}
	if want := []string{"es256-4", "eddsa-4"}; !slices.Equal(published, want) {
		t.Errorf("keys after Rotate, Rotate and Withdraw = %q, want %q", published, want)
	}
}

func get(t *testing.T, url string) ([]byte, *http.Response, error) {
	t.Helper()
	return getWithin(t, 30*time.Second, url)
}

func getWithin(t *testing.T, timeout time.Duration, url string) ([]byte, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	response, err := http.DefaultTransport.RoundTrip(must(http.NewRequestWithContext(ctx, http.MethodGet, url, nil)))
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return body, response, err
}

func TestMetadata(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Path: "/a/b", Algorithms: []string{"ES256"}})
	origin := strings.TrimSuffix(issuer.URL, "/a/b")
	for _, url := range []string{
		issuer.URL + "/.well-known/openid-configuration",
		origin + "/.well-known/openid-configuration/a/b",
		origin + "/.well-known/oauth-authorization-server/a/b",
	} {
		body, _, err := get(t, url)
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			Issuer string `json:"issuer"`
			Keys   string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(body, &document); err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if document.Issuer != issuer.URL || document.Keys != issuer.KeysURL {
			t.Errorf("%s = %+v, want %s and %s", url, document, issuer.URL, issuer.KeysURL)
		}
	}
	if n := issuer.MetadataFetches(); n != 3 {
		t.Errorf("MetadataFetches = %d, want 3", n)
	}
	issuer.BreakMetadata(authtest.Status(http.StatusNotFound))
	if _, response, err := get(t, issuer.URL+"/.well-known/openid-configuration"); err != nil || response.StatusCode != 404 {
		t.Errorf("GET of broken metadata = %v, %v, want status 404", response, err)
	}
}

func TestFaults(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	document := string(issuer.KeySet())
	type answer struct {
		body   string
		status int
		header http.Header
	}
	complete := func(a answer) bool { return a.body == document }
	const short, long = 200 * time.Millisecond, 30 * time.Second
	for _, test := range []struct {
		name    string
		fault   authtest.Fault
		timeout time.Duration
		want    func(answer) bool // nil for an error
	}{
		{"none", nil, long, complete},
		{"Down", authtest.Down, long, nil},
		{"Hanging", authtest.Hanging, short, nil},
		{"Trickling", authtest.Trickling(50 * time.Millisecond), short, nil},
		{"Delayed", authtest.Delayed(time.Hour), short, nil},
		{"Delayed by a millisecond", authtest.Delayed(time.Millisecond), long, complete},
		{"Cut", authtest.Cut, long, nil},
		{"Status", authtest.Status(502), long, func(a answer) bool { return a.status == 502 }},
		{"HTML", authtest.HTML, long, func(a answer) bool {
			return a.status == 200 && !json.Valid([]byte(a.body)) && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
		}},
		{"HTMLType", authtest.HTMLType, long, func(a answer) bool {
			return complete(a) && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
		}},
		{"Truncated", authtest.Truncated, long, func(a answer) bool { return a.status == 200 && !json.Valid([]byte(a.body)) }},
		{"Document", authtest.Document("null"), long, func(a answer) bool { return a.body == "null" }},
		{"Huge", authtest.Huge, long, func(a answer) bool { return len(a.body) == 64<<20+len(document) }},
		{"ManyKeys", authtest.ManyKeys, long, func(a answer) bool {
			return json.Valid([]byte(a.body)) && strings.Count(a.body, `"kid"`) == 100_001
		}},
		{"Redirected", authtest.Redirected("http://192.0.2.1/"), long, func(a answer) bool {
			return a.status == 302 && a.header.Get("Location") == "http://192.0.2.1/"
		}},
	} {
		issuer.Break(test.fault)
		before := issuer.KeyFetches()
		body, response, err := getWithin(t, test.timeout, issuer.KeysURL)
		if test.want == nil && err == nil || test.want != nil && (err != nil || !test.want(answer{string(body), response.StatusCode, response.Header})) {
			t.Errorf("%s: GET = %.100q, %v", test.name, body, err)
		}
		if issuer.KeyFetches() != before+1 {
			t.Errorf("%s: KeyFetches = %d, want %d", test.name, issuer.KeyFetches(), before+1)
		}
	}
}

func TestOddKeysAreServed(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "ES384", "EdDSA"} {
		issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{algorithm}})
		for range 2 {
			if err := issuer.PublishOddKeys(); err != nil {
				t.Fatal(err)
			}
		}
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(issuer.KeySet(), &set); err != nil {
			t.Fatal(err)
		}
		if len(set.Keys) < 19 || len(set.Keys) > 25 {
			t.Errorf("%s: %d keys, want 19 to 25", algorithm, len(set.Keys))
		}
		another := map[string]string{"RS256": "RS512", "ES256": "ES384", "ES384": "RS256", "EdDSA": "RS256"}[algorithm]
		for id, want := range map[string]map[string]any{
			"use enc":             {"use": "enc", "alg": algorithm},
			"use unknown":         {"use": "tls"},
			"key_ops encrypt":     {"use": nil, "key_ops": []any{"encrypt", "wrapKey"}},
			"key_ops sign":        {"use": nil, "key_ops": []any{"sign"}},
			"key_ops empty":       {"use": nil, "key_ops": []any{}},
			"alg of another":      {"use": "sig", "alg": another},
			"oct":                 {"kty": "oct", "alg": "HS256"},
			"oct of one byte":     {"k": "aw"},
			"x5u":                 {"use": "enc", "x5u": issuer.URL + "/.authtest/attacker/odd%20key:%20x5u%20of%20the%20attacker"},
			"kty unknown":         {"kty": "XYZ"},
			"kty missing":         {"kty": nil, "crv": "P-256"},
			"curve unknown":       {"kty": "OKP", "crv": "Ed448"},
			"point off the curve": {"kty": "EC", "x": "AAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "y": "AAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
			"modulus not base64":  {"kty": "RSA", "n": "!!!"},
			"modulus a number":    {"kty": "RSA", "n": 65537.0},
		} {
			n := slices.IndexFunc(set.Keys, func(k map[string]any) bool { return k["kid"] == "odd: "+id })
			for name := range want {
				if diff := cmp.Diff(want[name], set.Keys[n][name]); diff != "" {
					t.Errorf("%s: %s of the key %s (-want +got):\n%s", algorithm, name, id, diff)
				}
			}
		}
		for id, first := range map[string]string{
			"one kid, two types": map[bool]string{true: "EdDSA", false: "ES256"}[algorithm[:2] == "ES"], "one kid, two of a type": algorithm,
		} {
			var twins []any
			for _, key := range set.Keys {
				if key["kid"] == "odd: "+id {
					twins = append(twins, key["alg"])
				}
			}
			if diff := cmp.Diff([]any{first, algorithm}, twins); diff != "" {
				t.Errorf("%s: algorithms of the keys %s (-want +got):\n%s", algorithm, id, diff)
			}
		}
		if n := slices.IndexFunc(set.Keys, func(k map[string]any) bool { return k["kid"] == "odd: private parts" }); set.Keys[n]["d"] == nil {
			t.Errorf("%s: the key with private parts has no d: %v", algorithm, set.Keys[n])
		}
	}
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"HS256"}})
	if err := issuer.PublishOddKeys(); err == nil {
		t.Error("PublishOddKeys(HS256) error = nil, want one")
	}
}

func TestConcurrentUse(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for range 5 {
				switch n {
				case 0:
					issuer.Rotate()
				case 1:
					issuer.Withdraw()
				case 2:
					issuer.Break(authtest.HTML)
				}
				if token, foreign := issuer.Token(nil), issuer.ForeignToken(nil); strings.Count(token, ".") != 2 || strings.Count(foreign, ".") != 2 {
					t.Errorf("Token() = %q, ForeignToken() = %q, want JWTs", token, foreign)
				}
				if set := issuer.KeySet(); !json.Valid(set) {
					t.Errorf("KeySet() = %s, want JSON", set)
				}
				if body, response, err := get(t, issuer.KeysURL); err != nil || response.StatusCode != http.StatusOK || len(body) == 0 {
					t.Errorf("GET %s = %s, %v, want a set or HTML", issuer.KeysURL, body, err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := verify(issuer, issuer.Token(nil)); err != nil {
		t.Error(err)
	}
}

func TestIssuerConfigErrors(t *testing.T) {
	for name, test := range map[string]struct {
		config authtest.IssuerConfig
		want   []string
	}{
		"algorithm": {authtest.IssuerConfig{Algorithms: []string{"RS256", "none"}}, []string{`Algorithms[1]: unknown algorithm "none"`}},
		"twice":     {authtest.IssuerConfig{Algorithms: []string{"RS256", "RS256"}}, []string{"Algorithms[1]: RS256 occurs twice"}},
		"mixed":     {authtest.IssuerConfig{Algorithms: []string{"RS256", "HS256"}}, []string{"HS256, HS384 and HS512 cannot be combined"}},
		"paths": {
			authtest.IssuerConfig{Path: "a/", Target: "x", Scope: "a  b"},
			[]string{"IssuerConfig.Path", "IssuerConfig.Target", "IssuerConfig.Scope"},
		},
	} {
		issuer, err := authtest.StartIssuer(test.config)
		if err == nil {
			issuer.Close()
			t.Errorf("StartIssuer(%s) error = nil, want one", name)
			continue
		}
		if slices.ContainsFunc(test.want, func(s string) bool { return !strings.Contains(err.Error(), s) }) {
			t.Errorf("StartIssuer(%s) error = %v, want %q", name, err, test.want)
		}
	}
}
