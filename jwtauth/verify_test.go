// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// all configures every asymmetric algorithm, or every symmetric one.
func all(symmetric bool) jwtauth.Config {
	return config(func(c *jwtauth.Config) {
		i := &c.Issuers[0]
		i.Algorithms = nil
		if symmetric {
			i.Algorithms = []jwtauth.Algorithm{jwtauth.HS256, jwtauth.HS384, jwtauth.HS512}
			i.Keys = jwtauth.SharedSecret(gatehouse.NewSecret(secret))
			return
		}
		var keys []jwtauth.Key
		for _, a := range []jwtauth.Algorithm{
			jwtauth.RS256, jwtauth.RS384, jwtauth.RS512, jwtauth.PS256, jwtauth.PS384, jwtauth.PS512,
			jwtauth.ES256, jwtauth.ES384, jwtauth.ES512, jwtauth.EdDSA,
		} {
			i.Algorithms = append(i.Algorithms, a)
			keys = append(keys, jwtauth.Key{ID: "key of " + string(a), Algorithm: a, Public: keyFor(a).public})
		}
		for n := range keys {
			keys[n].ID = strings.ReplaceAll(keys[n].ID, " ", "-")
		}
		i.Keys = jwtauth.StaticKeys(keys...)
	})
}

func TestAlgorithms(t *testing.T) {
	asymmetric, symmetric := newAuthenticator(t, all(false)), newAuthenticator(t, all(true))
	for _, a := range all(false).Issuers[0].Algorithms {
		good := keyFor(a).sign(goodHeader(a).with(object{"kid": "key-of-" + string(a)}), goodClaims().with(nil))
		if got := reason(t, asymmetric, good); got != "" {
			t.Errorf("%s: %s", a, got)
		}
		if got := reason(t, symmetric, good); got != jwtauth.ReasonAlgorithm {
			t.Errorf("%s where HS* is expected: %q", a, got)
		}
		// The right algorithm by the key of another.
		for _, other := range all(false).Issuers[0].Algorithms {
			if other == a {
				continue
			}
			crossed := keyFor(a).sign(goodHeader(a).with(object{"kid": "key-of-" + string(other)}), goodClaims().with(nil))
			if got := reason(t, asymmetric, crossed); got != jwtauth.ReasonKey {
				t.Errorf("%s with the key for %s: %q", a, other, got)
			}
		}
	}
	for _, a := range all(true).Issuers[0].Algorithms {
		good := keyFor(a).sign(goodHeader(a).with(nil), goodClaims().with(nil))
		if got := reason(t, symmetric, good); got != "" {
			t.Errorf("%s: %s", a, got)
		}
		unnamed := keyFor(a).sign(goodHeader(a).with(object{"kid": nil}), goodClaims().with(nil))
		if got := reason(t, symmetric, unnamed); got != "" {
			t.Errorf("%s without kid: %s", a, got)
		}
		if got := reason(t, asymmetric, good); got != jwtauth.ReasonAlgorithm {
			t.Errorf("%s where it is not expected: %q", a, got)
		}
		forged := pair{a, append([]byte("x"), secret...), nil}.sign(goodHeader(a).with(nil), goodClaims().with(nil))
		if got := reason(t, symmetric, forged); got != jwtauth.ReasonSignature {
			t.Errorf("%s with another secret: %q", a, got)
		}
	}
}

// The claims of the RFC 9068 profile, one change at a time.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		many := func(n int) []any {
			list := []any{audience}
			for len(list) < n {
				list = append(list, "https://other.example.com")
			}
			return list
		}
		const (
			ok        gatehouse.Reason = ""
			claims                     = jwtauth.ReasonClaims
			malformed                  = jwtauth.ReasonMalformed
			expired                    = jwtauth.ReasonExpired
			early                      = jwtauth.ReasonNotYetValid
			lifetime                   = jwtauth.ReasonLifetime
			other                      = jwtauth.ReasonAudience
		)
		long := strings.Repeat("x", 255)
		a := newAuthenticator(t, config())
		for _, test := range []struct {
			claims object
			want   gatehouse.Reason
		}{
			{nil, ok},
			{object{"iss": nil}, jwtauth.ReasonIssuer},
			{object{"iss": ""}, jwtauth.ReasonIssuer},
			{object{"iss": issuerURL + "/"}, jwtauth.ReasonIssuer},
			{object{"iss": 1}, claims},
			{object{"iss": []any{issuerURL}}, claims},
			{object{"sub": nil}, claims},
			{object{"sub": ""}, claims},
			{object{"sub": 1}, claims},
			{object{"sub": long}, ok},
			{object{"sub": long + "x"}, claims},
			{object{"sub": "a\nb"}, claims},
			{object{"sub": "a\x7f"}, claims},
			{object{"sub": "a\u0085"}, claims},
			{object{"sub": "a\u2028"}, claims},
			{object{"sub": "a\u2029"}, claims},
			{object{"sub": "ålice"}, ok},
			{object{"client_id": nil}, claims},
			{object{"client_id": ""}, claims},
			{object{"client_id": 1}, claims},
			{object{"jti": nil}, claims},
			{object{"jti": ""}, claims},
			{object{"jti": 1}, claims},
			{object{"aud": nil}, claims},
			{object{"aud": ""}, claims},
			{object{"aud": []any{}}, claims},
			{object{"aud": []any{""}}, claims},
			{object{"aud": []any{audience, ""}}, claims},
			{object{"aud": []any{audience, 1}}, claims},
			{object{"aud": []any{[]any{audience}}}, claims},
			{object{"aud": 1}, claims},
			{object{"aud": object{audience: true}}, claims},
			{object{"aud": []any{audience}}, ok},
			{object{"aud": []any{"https://other.example.com", audience}}, ok},
			{object{"aud": many(32)}, ok},
			{object{"aud": many(33)}, claims},
			{object{"aud": "https://other.example.com"}, other},
			{object{"aud": audience + "/"}, other},
			{object{"aud": audience + " "}, other},
			{object{"aud": audience[:len(audience)-1]}, other},
			{object{"aud": strings.ToUpper(audience)}, other},

			{object{"exp": nil}, claims},
			{object{"exp": 0}, expired},
			{object{"exp": -1}, claims},
			{object{"exp": "9999999999"}, claims},
			{object{"exp": true}, claims},
			{object{"exp": []any{now + 300}}, claims},
			{object{"exp": now - 29, "iat": now - 60}, ok},
			{object{"exp": now - 30, "iat": now - 60}, expired},
			{object{"exp": 253402300799}, lifetime},
			{object{"exp": 253402300800}, claims},
			{object{"exp": now + 24*3600}, ok},
			{object{"exp": now + 24*3600 + 1}, lifetime},
			{object{"exp": float64(now) + 300.5}, ok},
			{object{"iat": nil}, claims},
			{object{"iat": now + 30}, ok},
			{object{"iat": now + 31}, early},
			{object{"iat": "1"}, claims},
			{object{"iat": now + 10, "exp": now + 10}, lifetime},
			{object{"iat": now + 10, "exp": now + 9}, lifetime},
			{object{"iat": 0, "exp": now + 300}, lifetime},
			{object{"nbf": now + 30}, ok},
			{object{"nbf": now + 31}, early},
			{object{"nbf": "1"}, claims},
			{object{"nbf": 1e19}, claims},
			{object{"nbf": now - 3600}, ok},
			{object{"auth_time": "1"}, claims},

			{object{"scope": nil}, ok},
			{object{"scope": ""}, ok},
			{object{"scope": "a  b"}, claims},
			{object{"scope": " a"}, claims},
			{object{"scope": "a\tb"}, claims},
			{object{"scope": `a"b`}, claims},
			{object{"scope": []any{"a"}}, claims},
			{object{"scope": 1}, claims},
			{object{"tenant": nil}, ok},
			{object{"tenant": ""}, claims},
			{object{"tenant": 1}, claims},
			{object{"tenant": []any{"acme"}}, claims},
			{object{"roles": []any{"admin", "Global Reader"}}, ok},
			{object{"roles": "admin"}, claims},
			{object{"roles": []any{""}}, claims},
			{object{"roles": []any{1}}, claims},
			{object{"roles": []any{"a\nb"}}, claims},
			{object{"roles": []any{long}}, ok},
			{object{"roles": []any{long + "x"}}, claims},
			{object{"act": object{"sub": "agent"}}, ok},
			{object{"act": object{"iss": "x"}}, claims},
			{object{"act": "agent"}, claims},
			{object{"act": object{"sub": ""}}, claims},
			{object{"act": nest(4)}, ok},
			{object{"act": nest(5)}, claims},
			{object{"cnf": object{"jkt": "x"}}, gatehouse.ReasonUnconfirmed},
			{object{"cnf": object{}}, gatehouse.ReasonUnconfirmed},
			{object{"cnf": "x"}, gatehouse.ReasonUnconfirmed},
			{object{"ISS": issuerURL}, claims},    // before iss
			{object{"ſub": "mallory"}, malformed}, // after sub
			{object{"sub": nil, "SUB": "mallory"}, claims},
			{object{"TENANT": "acme", "tenant": nil}, claims},
			{object{"ſcope": "admin", "scope": nil}, claims},
			{object{"Custom": "fine"}, ok},
			{object{"nonce": "allowed in at+jwt"}, ok},
		} {
			if got := reason(t, a, token(nil, test.claims)); got != test.want {
				t.Errorf("%v: got %q, want %q", test.claims, got, test.want)
			}
		}
	})
}

func nest(depth int) object {
	act := object{"sub": "agent"}
	for range depth - 1 {
		act = object{"sub": "agent", "act": act}
	}
	return act
}

// What an operator reads is enough to mend the configuration of either side, and
// holds nothing of the token.
func TestCauses(t *testing.T) {
	a := newAuthenticator(t, config())
	cold := newAuthenticator(t, remoteConfig(&keyServer{serve: goodSet()}))
	now := time.Now().Unix()
	for _, test := range []struct {
		header, claims object
		want           string
	}{
		{nil, object{"sub": nil}, "claim sub is missing"},
		{nil, object{"aud": nil}, "claim aud is missing"},
		{nil, object{"exp": nil}, "claim exp is missing"},
		{nil, object{"client_id": nil}, "claim client_id is missing, which only Profile: Compatible accepts"},
		{nil, object{"iat": nil}, "claim iat is missing, which only Profile: Compatible accepts"},
		{nil, object{"jti": nil}, "claim jti is missing, which only Profile: Compatible accepts"},
		{nil, object{"aud": "https://somebody.example.com"}, "claim aud does not contain " + audience},
		{nil, object{"aud": 1}, "claim aud is malformed"},
		{nil, object{"exp": now + 90_000}, "want 1 s to MaxLifetime 24h0m0s"},
		{nil, object{"iat": 0, "exp": 1}, "expired at 1970-01-01T00:00:01Z"},
		{nil, object{"nbf": now + 3600}, "claim nbf is in the future"},
		{nil, object{"iat": now + 3600}, "claim iat is in the future"},
		{nil, object{"cnf": object{}}, "claim cnf is not a JSON object with a member"},
	} {
		token := token(test.header, test.claims)
		_, warm := a.Verify(t.Context(), token)
		if e, ok := errors.AsType[*gatehouse.Error](warm); !ok || e.Cause == nil || !strings.Contains(e.Cause.Error(), test.want) || e.Issuer != issuerURL {
			t.Errorf("%v: got %v, cause %v", test.claims, warm, errors.Unwrap(warm))
		}
		_, err := cold.Verify(t.Context(), token)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Cause == nil || !strings.Contains(e.Cause.Error(), test.want) ||
			!strings.Contains(e.Cause.Error(), "no keys were fetched yet") {
			t.Errorf("%v, cold: got %v, cause %v", test.claims, err, errors.Unwrap(err))
		}
	}
	for want, token := range map[string]string{
		"set Profile: Compatible":                       token(object{"typ": "JWT"}, nil),
		"alg is none of [ES256]":                        token(object{"alg": "RS256"}, nil),
		"no key with this kid for this alg":             token(object{"kid": "k2"}, nil),
		`does not verify with key "k1"`:                 unsigned(token(nil, nil)) + strings.Repeat("A", 86),
		"differs from Issuer.URL by a slash at the end": token(nil, object{"iss": issuerURL + "/"}),
	} {
		_, err := a.Verify(t.Context(), token)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Cause == nil || !strings.Contains(e.Cause.Error(), want) || e.Issuer != issuerURL {
			t.Errorf("%s: got %v, cause %v", want, err, errors.Unwrap(err))
		}
	}
	slashed := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Issuers[0].URL += "/" }))
	_, err := slashed.Verify(t.Context(), token(nil, nil))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != jwtauth.ReasonIssuer || e.Issuer != issuerURL+"/" {
		t.Errorf("got %v", err)
	}
}

// A name that only a reader which folds case takes for that of a claim or of a
// header parameter is refused, whether or not the right one is there too.
func TestFoldedNames(t *testing.T) {
	a := newAuthenticator(t, config())
	for _, name := range []string{
		"iss", "sub", "client_id", "jti", "aud", "exp", "iat", "nbf", "auth_time", "scope", "tenant", "roles", "act", "cnf",
		"nonce", "at_hash", "c_hash", "s_hash", "events", "typ", "token_use", "azp", "cid",
	} {
		if got := reason(t, a, token(nil, object{strings.ToUpper(name): "x"})); got != jwtauth.ReasonClaims {
			t.Errorf("%s: got %q", strings.ToUpper(name), got)
		}
	}
	for _, name := range []string{"alg", "kid", "typ", "x5t", "x5t#s256"} {
		if got := reason(t, a, token(object{strings.ToUpper(name): "x"}, nil)); got != jwtauth.ReasonMalformed {
			t.Errorf("%s: got %q", strings.ToUpper(name), got)
		}
	}
}

// A date in a form of its own can only be written by hand.
func TestDates(t *testing.T) {
	a := newAuthenticator(t, config())
	good := token(nil, nil)
	if got := reason(t, a, good); got != "" {
		t.Fatal(got)
	}
	for _, text := range []string{
		"1e10", "1E10", "1.5e9", "NaN", "Infinity", "01", "+1", "1.", ".5", "null", "[]", "{}", "0x10", "1_0",
		"9223372036854775808", "1e400", "18446744073709551616", "-0",
	} {
		k := keyFor(jwtauth.ES256)
		for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
			payload := strings.TrimSuffix(goodClaims().with(object{name: nil}), "}") + `,"` + name + `":` + text + `}`
			if got := reason(t, a, k.sign(goodHeader(k.algorithm).with(nil), payload)); got == "" {
				t.Errorf("%s %s: accepted", name, text)
			}
		}
	}
}

func TestHeader(t *testing.T) {
	a := newAuthenticator(t, config())
	const (
		ok        gatehouse.Reason = ""
		malformed                  = jwtauth.ReasonMalformed
		forbidden                  = jwtauth.ReasonHeader
		algorithm                  = jwtauth.ReasonAlgorithm
		kind                       = jwtauth.ReasonType
		unknown                    = jwtauth.ReasonKey
	)
	for _, test := range []struct {
		header object
		want   gatehouse.Reason
	}{
		{nil, ok},
		{object{"typ": "AT+JWT"}, ok},
		{object{"typ": "application/at+jwt"}, ok},
		{object{"typ": "Application/AT+jwt"}, ok},
		{object{"typ": nil}, kind},
		{object{"typ": "JWT"}, kind},
		{object{"typ": "jwt"}, kind},
		{object{"typ": "dpop+jwt"}, kind},
		{object{"typ": "logout+jwt"}, kind},
		{object{"typ": "secevent+jwt"}, kind},
		{object{"typ": "at+jwt "}, kind},
		{object{"typ": "x-at+jwt"}, kind},
		{object{"typ": ""}, malformed},
		{object{"typ": 1}, malformed},
		{object{"alg": nil}, malformed},
		{object{"alg": ""}, malformed},
		{object{"alg": 1}, malformed},
		{object{"alg": []any{"ES256"}}, malformed},
		{object{"alg": "none"}, algorithm},
		{object{"alg": "NONE"}, algorithm},
		{object{"alg": "es256"}, algorithm},
		{object{"alg": "ES256 "}, algorithm},
		{object{"alg": "ES384"}, algorithm},
		{object{"alg": "ES256K"}, algorithm},
		{object{"alg": "Ed25519"}, algorithm},
		{object{"alg": "ML-DSA-44"}, algorithm},
		{object{"alg": "RSA1_5"}, algorithm},
		{object{"kid": nil}, ok},
		{object{"kid": ""}, malformed},
		{object{"kid": 1}, malformed},
		{object{"kid": "k2"}, unknown},
		{object{"kid": "K1"}, unknown},
		{object{"kid": "../../dev/null"}, unknown},
		{object{"kid": "' OR 1=1 --"}, unknown},
		{object{"kid": "k1\n"}, malformed},
		{object{"kid": "k1\x00"}, malformed},
		{object{"kid": "ключ"}, malformed},
		{object{"kid": strings.Repeat("k", 256)}, unknown},
		{object{"kid": strings.Repeat("k", 257)}, malformed},
		{object{"crit": []any{}}, forbidden},
		{object{"crit": []any{"exp"}}, forbidden},
		{object{"crit": "b64"}, forbidden},
		{object{"Crit": []any{"exp"}}, forbidden},
		{object{"b64": true}, forbidden},
		{object{"b64": false}, forbidden},
		{object{"cty": "JWT"}, forbidden},
		{object{"zip": "DEF"}, forbidden},
		{object{"jwk": object{}}, forbidden},
		{object{"jku": "https://evil.example.com"}, forbidden},
		{object{"JKU": "https://evil.example.com"}, forbidden},
		{object{"x5u": "https://evil.example.com"}, forbidden},
		{object{"x5c": []any{}}, forbidden},
		{object{"x5t": "x"}, forbidden},
		{object{"x5t#S256": "x"}, forbidden},
		{object{"enc": "A256GCM"}, forbidden},
		{object{"epk": object{}}, forbidden},
		{object{"apu": "x"}, forbidden},
		{object{"apv": "x"}, forbidden},
		{object{"iv": "x"}, forbidden},
		{object{"tag": "x"}, forbidden},
		{object{"p2s": "x"}, forbidden},
		{object{"p2c": 1}, forbidden},
		{object{"ALG": "ES256"}, malformed},
		{object{"KID": "k1", "kid": nil}, malformed},
		{object{"TYP": "at+jwt", "typ": nil}, malformed},
		{object{"ALG": "ES256", "alg": nil}, malformed},
		{object{"\u212aid": "k1", "kid": nil}, malformed}, // the Kelvin sign folds to k
		{object{"custom": "fine"}, ok},
		{object{"deep": []any{[]any{[]any{}}}}, ok},
		{object{"deep": []any{[]any{[]any{[]any{}}}}}, malformed},
	} {
		if got := reason(t, a, token(test.header, nil)); got != test.want {
			t.Errorf("%v: got %q, want %q", test.header, got, test.want)
		}
	}
}

// The profile for providers that send JWT, or nothing, as typ.
func TestCompatible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, config(func(c *jwtauth.Config) {
			c.Issuers[0].Profile = jwtauth.Compatible
			c.Issuers[0].ScopeClaim = "scp"
		}))
		now := time.Now().Unix()
		jwt := object{"typ": "JWT"}
		const ok, kind, claims = gatehouse.Reason(""), jwtauth.ReasonType, jwtauth.ReasonClaims
		for _, test := range []struct {
			header, claims object
			want           gatehouse.Reason
		}{
			{jwt, nil, ok},
			{object{"typ": "jwt"}, nil, ok},
			{object{"typ": nil}, nil, ok},
			{nil, nil, ok},
			{object{"typ": "JWT", "x5t": "x", "x5t#S256": "x"}, nil, ok},
			{object{"typ": "JWT", "x5t": 1}, nil, jwtauth.ReasonMalformed},
			{object{"typ": "logout+jwt"}, nil, kind},
			{object{"typ": "dpop+jwt"}, nil, kind},
			{jwt, object{"jti": nil, "iat": nil, "client_id": nil}, ok},
			{jwt, object{"iat": nil, "exp": now + 24*3600 + 30}, ok},
			{jwt, object{"iat": nil, "exp": now + 10}, ok},
			{jwt, object{"iat": nil, "exp": now - 10}, ok},
			{jwt, object{"iat": nil, "exp": now + 24*3600 + 31}, jwtauth.ReasonLifetime},
			{jwt, object{"sub": nil}, claims},
			{jwt, object{"exp": nil}, claims},
			{jwt, object{"aud": nil}, claims},
			{jwt, object{"nonce": "x"}, kind},
			{jwt, object{"at_hash": "x"}, kind},
			{jwt, object{"c_hash": "x"}, kind},
			{jwt, object{"s_hash": "x"}, kind},
			{jwt, object{"events": object{}}, kind},
			{jwt, object{"typ": "ID"}, kind},
			{jwt, object{"typ": "Refresh"}, kind},
			{jwt, object{"typ": "Bearer"}, ok},
			{jwt, object{"typ": "JWT"}, ok},
			{jwt, object{"typ": "at+jwt"}, ok},
			{jwt, object{"typ": 1}, claims},
			{jwt, object{"typ": "Bearer", "nonce": "x"}, kind},
			{jwt, object{"typ": "Bearer", "token_use": "id"}, kind},
			{jwt, object{"typ": "ID", "token_use": "access"}, kind},
			{jwt, object{"token_use": "id"}, kind},
			{jwt, object{"token_use": "access"}, ok},
			{jwt, object{"roles": "admin"}, ok},
			{jwt, object{"scp": []any{"a", "b"}}, ok},
			{jwt, object{"scp": []any{"a b"}}, claims},
			{jwt, object{"scp": []any{1}}, claims},
			{jwt, object{"scp": "a b"}, ok},
			{jwt, object{"cid": 1, "client_id": nil}, claims},
			{jwt, object{"cnf": object{}}, gatehouse.ReasonUnconfirmed},
		} {
			if got := reason(t, a, token(test.header, test.claims)); got != test.want {
				t.Errorf("%v %v: got %q, want %q", test.header, test.claims, got, test.want)
			}
		}
	})
}

// What a token says becomes the principal, and nothing else does.
func TestPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, config())
		now := time.Now()
		p, err := a.Verify(t.Context(), token(nil, object{
			"roles": []any{"writer", "admin"}, "auth_time": now.Unix() - 60, "plan": "gold",
			"act": object{"sub": "agent", "client_id": "c2", "act": object{"sub": "older", "iss": "https://other.example.com"}},
		}))
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind != gatehouse.KindUser || p.Subject != "alice" || p.Issuer != issuerURL || p.Tenant != "acme" || p.Client != "web" ||
			p.Method != jwtauth.Method || p.Credential != "token-1" || p.Scopes.String() != "reports:read" ||
			!p.Roles.Has("admin") || !p.Roles.Has("writer") || p.Roles.Len() != 2 || p.Binding != "" ||
			p.Expires.Unix() != now.Unix()+300 || p.AuthTime.Unix() != now.Unix()-60 {
			t.Errorf("got %+v", p)
		}
		actor, _ := p.Actors.Current()
		if actor != (gatehouse.Actor{Subject: "agent", Client: "c2"}) || p.Actors.Len() != 2 {
			t.Errorf("got actors %+v", p.Actors)
		}
		var custom struct{ Plan, Scope string }
		if err := p.Claims.Decode(&custom); err != nil || custom.Plan != "" || custom.Scope != "" {
			t.Errorf("names were folded: %+v, %v", custom, err)
		}
		var exact struct {
			Plan string `json:"plan"`
		}
		if err := p.Claims.Decode(&exact); err != nil || exact.Plan != "gold" {
			t.Errorf("got %+v, %v", exact, err)
		}
		service, err := a.Verify(t.Context(), token(nil, object{"sub": "web"}))
		if err != nil || service.Kind != gatehouse.KindService {
			t.Errorf("got %+v, %v", service, err)
		}
	})
}

func TestClaimNames(t *testing.T) {
	a := newAuthenticator(t, config(func(c *jwtauth.Config) {
		i := &c.Issuers[0]
		i.Profile, i.ScopeClaim, i.TenantClaim, i.RolesClaim = jwtauth.Compatible, "scp", "org_id", "groups"
	}))
	p, err := a.Verify(t.Context(), token(nil, object{
		"scp": "mail:read", "org_id": "org-1", "groups": []any{"g1"}, "client_id": nil, "azp": "spa", "scope": "admin", "roles": []any{"root"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if p.Scopes.String() != "mail:read" || p.Tenant != "org-1" || !p.Roles.Has("g1") || p.Roles.Len() != 1 || p.Client != "spa" {
		t.Errorf("got %+v", p)
	}
}

// What is called client_id is the client, whatever else is called so.
func TestClientNames(t *testing.T) {
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Issuers[0].Profile = jwtauth.Compatible }))
	for want, claims := range map[string]object{
		"web": {"azp": "spa", "cid": "cli"},
		"spa": {"client_id": nil, "azp": "spa", "cid": "cli"},
		"cli": {"client_id": nil, "cid": "cli"},
	} {
		p, err := a.Verify(t.Context(), token(nil, claims))
		if err != nil || p.Client != want {
			t.Errorf("%v: got %+v, %v", claims, p, err)
		}
	}
}

// The application completes the principal, but cannot change what was proved.
func TestMapping(t *testing.T) {
	refused := errors.New("unknown plan")
	calls := 0
	a := newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.Issuers[0].Principal = func(claims gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
			calls++
			var custom struct {
				Agent bool   `json:"agent"`
				Plan  string `json:"plan"`
			}
			if err := claims.Decode(&custom); err != nil {
				return gatehouse.Principal{}, err
			}
			if custom.Plan == "" {
				return gatehouse.Principal{}, refused
			}
			if custom.Agent {
				p.Kind = gatehouse.KindAgent
			}
			p.Environment = custom.Plan
			p.Issuer, p.Method, p.Credential, p.Binding = "x", "x", "x", "x"
			p.Expires, p.Claims = time.Time{}, gatehouse.Claims{}
			return p, nil
		}
	}))
	good := token(nil, object{"agent": true, "plan": "gold"})
	for range 3 {
		p, err := a.Verify(t.Context(), good)
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind != gatehouse.KindAgent || p.Environment != "gold" || p.Issuer != issuerURL || p.Method != jwtauth.Method ||
			p.Credential != "token-1" || p.Binding != "" || p.Expires.IsZero() || p.Claims.String() == "{}" {
			t.Errorf("got %+v", p)
		}
	}
	if calls != 1 {
		t.Errorf("mapped %d times", calls)
	}
	_, err := a.Verify(t.Context(), token(nil, nil))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != gatehouse.CodeInvalidToken || !errors.Is(err, refused) || e.Credential != "token-1" {
		t.Errorf("got %v", err)
	}
}

// Each issuer has its own keys, audience, algorithms and limits.
func TestIssuersAreApart(t *testing.T) {
	const otherURL = "https://other.example.com"
	a := newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.Issuers = append(c.Issuers, jwtauth.Issuer{
			URL: otherURL, Audience: "https://api2.example.com", Algorithms: []jwtauth.Algorithm{jwtauth.ES384},
			Keys:    jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: jwtauth.ES384, Public: keyFor(jwtauth.ES384).public}),
			Profile: jwtauth.Compatible, MaxTokenBytes: 16 << 10, MaxLifetime: time.Hour,
		})
	}))
	other := func(k pair, header, claims object) string {
		c := goodClaims()
		c["iss"], c["aud"] = otherURL, "https://api2.example.com"
		return k.sign(goodHeader(k.algorithm).with(header), c.with(claims))
	}
	es256, es384 := keyFor(jwtauth.ES256), keyFor(jwtauth.ES384)
	big := strings.Repeat("x", 6000)
	for name, test := range map[string]struct {
		token string
		want  gatehouse.Reason
	}{
		"first":                   {token(nil, nil), ""},
		"second":                  {other(es384, nil, nil), ""},
		"second by first's key":   {other(es256, nil, nil), jwtauth.ReasonAlgorithm},
		"second for first's api":  {other(es384, nil, object{"aud": audience}), jwtauth.ReasonAudience},
		"first, second's type":    {token(object{"typ": "JWT"}, nil), jwtauth.ReasonType},
		"second, its type":        {other(es384, object{"typ": "JWT"}, nil), ""},
		"first, too large":        {token(nil, object{"big": big}), jwtauth.ReasonOversized},
		"second, large":           {other(es384, nil, object{"big": big}), ""},
		"first, header too large": {token(object{"big": big[:2000]}, nil), jwtauth.ReasonOversized},
		"second, large header":    {other(es384, object{"big": big[:2000]}, nil), ""},
		"first, long":             {token(nil, object{"exp": time.Now().Unix() + 7200}), ""},
		"second, too long":        {other(es384, nil, object{"exp": time.Now().Unix() + 7200}), jwtauth.ReasonLifetime},
	} {
		if got := reason(t, a, test.token); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
