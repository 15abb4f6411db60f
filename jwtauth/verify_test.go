// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Covers RFC 7515 §5.2; RFC 7518 §3.2 (time), §3.4; RFC 8725 §3.1 (algorithms),
// §3.3; RFC 9068 §4 (signature); ASVS 5.0 §9.1.1, §9.1.2.
func TestAlgorithms(t *testing.T) {
	var keys []jwtauth.Key
	for _, a := range asymmetric {
		keys = append(keys, jwtauth.Key{ID: "key-of-" + string(a), Algorithm: a, Public: keyFor(a).public})
	}
	public := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) {
		i.Algorithms, i.Keys = asymmetric, jwtauth.StaticKeys(keys...)
	}))
	shared := newAuthenticator(t, secretConfig(symmetric...))
	for _, a := range asymmetric {
		valid := keyFor(a).token(object{"kid": "key-of-" + string(a)}, nil)
		check(t, public, a, valid, "")
		check(t, shared, string(a)+" with a shared secret", valid, jwtauth.ReasonAlgorithm)
		for _, other := range asymmetric {
			if other != a {
				crossed := keyFor(a).token(object{"kid": "key-of-" + string(other)}, nil)
				check(t, public, string(a)+" with the key for "+string(other), crossed, jwtauth.ReasonKey)
			}
		}
	}
	for _, a := range symmetric {
		valid := keyFor(a).token(nil, nil)
		check(t, shared, a, valid, "")
		check(t, shared, string(a)+" without kid", keyFor(a).token(object{"kid": nil}, nil), "")
		check(t, public, string(a)+" with public keys", valid, jwtauth.ReasonAlgorithm)
		forged := pair{a, append([]byte("x"), secret...), nil}.token(nil, nil)
		check(t, shared, string(a)+" with another secret", forged, jwtauth.ReasonSignature)
	}
}

// The claims of the RFC 9068 profile, one change at a time.
//
// Covers RFC 6750 §5.3 (lifetime, audience); RFC 7519 §2, §4 (unknown), §4.1.1,
// §4.1.3 (mismatch, form), §4.1.4, §4.1.5, §7.3; RFC 8725 §3.9; RFC 9068 §2.2,
// §2.2.3, §4 (iss, aud, exp); RFC 9700 §2.3 (audience); ASVS 5.0 §9.2.1,
// §9.2.3, §10.3.1, §10.3.2.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		audiences := func(n int) []any {
			list := []any{audience}
			for len(list) < n {
				list = append(list, "https://other.example.com")
			}
			return list
		}
		act := func(depth int) object {
			act := object{"sub": "agent"}
			for range depth - 1 {
				act = object{"sub": "agent", "act": act}
			}
			return act
		}
		long := strings.Repeat("x", 255)
		a := newAuthenticator(t, config())
		for want, changes := range map[gatehouse.Reason][]object{
			"": {
				nil,
				{"sub": long},
				{"sub": "ålice"},
				{"Custom": "ok"},
				{"nonce": "allowed in at+jwt"},
				{"aud": []any{audience}},
				{"aud": []any{"https://other.example.com", audience}},
				{"aud": audiences(32)},
				{"exp": now - 29, "iat": now - 60},
				{"exp": now + 24*3600},
				{"exp": float64(now) + 300.5},
				{"iat": now + 30},
				{"nbf": now + 30},
				{"nbf": now - 3600},
				{"scope": nil},
				{"scope": ""},
				{"tenant": nil},
				{"roles": []any{"admin", "Global Reader"}},
				{"roles": []any{long}},
				{"act": object{"sub": "agent"}},
				{"act": act(4)},
			},
			jwtauth.ReasonIssuer: {{"iss": nil}, {"iss": ""}, {"iss": issuerURL + "/"}},
			jwtauth.ReasonAudience: {
				{"aud": "https://other.example.com"},
				{"aud": audience + "/"},
				{"aud": audience + " "},
				{"aud": audience[:len(audience)-1]},
				{"aud": strings.ToUpper(audience)},
			},
			jwtauth.ReasonExpired:     {{"exp": 0}, {"exp": now - 30, "iat": now - 60}},
			jwtauth.ReasonNotYetValid: {{"iat": now + 31}, {"nbf": now + 31}},
			jwtauth.ReasonLifetime: {
				{"exp": 253402300799},
				{"exp": now + 24*3600 + 1},
				{"iat": now + 10, "exp": now + 10},
				{"iat": now + 10, "exp": now + 9},
				{"iat": 0, "exp": now + 300},
			},
			jwtauth.ReasonClaims: {
				{"iss": 1},
				{"iss": []any{issuerURL}},
				{"sub": nil},
				{"sub": ""},
				{"sub": 1},
				{"sub": long + "x"},
				{"sub": "a\nb"},
				{"sub": "a\x7f"},
				{"sub": "a\u0085"},
				{"sub": "a\u2028"},
				{"sub": "a\u2029"},
				{"client_id": nil},
				{"client_id": ""},
				{"client_id": 1},
				{"jti": nil},
				{"jti": ""},
				{"jti": 1},
				{"sid": 1},
				{"sid": ""},
				{"sid": []string{"f1"}},
				{"sid": "a\u0000b"},
				{"sid": true},
				{"sid": long + "x"},
				{"aud": nil},
				{"aud": ""},
				{"aud": []any{}},
				{"aud": []any{""}},
				{"aud": []any{audience, ""}},
				{"aud": []any{audience, 1}},
				{"aud": []any{[]any{audience}}},
				{"aud": 1},
				{"aud": object{audience: true}},
				{"aud": audiences(33)},
				{"exp": nil},
				{"exp": -1},
				{"exp": "9999999999"},
				{"exp": true},
				{"exp": []any{now + 300}},
				{"exp": 253402300800},
				{"iat": nil},
				{"iat": "1"},
				{"nbf": "1"},
				{"nbf": 1e19},
				{"auth_time": "1"},
				{"scope": "a  b"},
				{"scope": " a"},
				{"scope": "a\tb"},
				{"scope": `a"b`},
				{"scope": []any{"a"}},
				{"scope": 1},
				{"tenant": ""},
				{"tenant": 1},
				{"tenant": []any{"acme"}},
				{"roles": "admin"},
				{"roles": []any{""}},
				{"roles": []any{1}},
				{"roles": []any{"a\nb"}},
				{"roles": []any{long + "x"}},
				{"act": object{"iss": "x"}},
				{"act": "agent"},
				{"act": object{"sub": ""}},
				{"act": object{"sub": 1}},
				{"act": object{"sub": "agent", "iss": 1}},
				{"act": object{"sub": "agent", "ISS": "x"}},
				{"act": act(5)},
				// Names that only a reader that ignores case takes for a claim.
				{"ISS": issuerURL},
				{"Sid": "f1"},
				{"sub": nil, "SUB": "mallory"},
				{"TENANT": "acme", "tenant": nil},
				{"ſcope": "admin", "scope": nil},
			},
			jwtauth.ReasonMalformed:     {{"ſub": "mallory"}}, // a duplicate of sub
			gatehouse.ReasonUnconfirmed: {{"cnf": object{"jkt": "x"}}, {"cnf": object{}}, {"cnf": "x"}, {"cnf": []any{nil}}},
		} {
			for _, claims := range changes {
				check(t, a, claims, token(nil, claims), want)
			}
		}
	})
}

// A NumericDate is a plain decimal: json.Marshal cannot write the others.
//
// Covers RFC 7519 §2, §4.1.6; ASVS 5.0 §9.2.1.
func TestDates(t *testing.T) {
	a, k := newAuthenticator(t, config()), keyFor(jwtauth.ES256)
	for _, text := range []string{
		"1e10", "1E10", "1.5e9", "NaN", "Infinity", "01", "+1", "1.", ".5", "null", "[]", "{}", "0x10", "1_0",
		"9223372036854775808", "1e400", "18446744073709551616", "-0",
	} {
		for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
			payload := strings.TrimSuffix(goodClaims().with(object{name: nil}), "}") + `,"` + name + `":` + text + `}`
			if got := reason(t, a, k.sign(goodHeader(k.algorithm).with(nil), payload)); got == "" {
				t.Errorf("Verify accepted %s %s", name, text)
			}
		}
	}
}

// Covers RFC 7515 §4.1.1, §4.1.4, §4.1.9, §4.1.11; RFC 8725 §3.2, §3.6, §3.10
// (kid, jku), §3.11; RFC 9068 §2.1, §4 (typ, alg); ASVS 5.0 §9.1.3, §9.2.2.
func TestHeader(t *testing.T) {
	a := newAuthenticator(t, config())
	for want, changes := range map[gatehouse.Reason][]object{
		"": {
			nil,
			{"typ": "AT+JWT"},
			{"typ": "application/at+jwt"},
			{"typ": "Application/AT+jwt"},
			{"kid": nil},
			{"custom": "ok"},
			{"deep": []any{[]any{[]any{}}}},
		},
		jwtauth.ReasonType: {
			{"typ": nil},
			{"typ": "JWT"},
			{"typ": "jwt"},
			{"typ": "dpop+jwt"},
			{"typ": "logout+jwt"},
			{"typ": "secevent+jwt"},
			{"typ": "at+jwt "},
			{"typ": "x-at+jwt"},
		},
		jwtauth.ReasonAlgorithm: {
			{"alg": "none"},
			{"alg": "NONE"},
			{"alg": "es256"},
			{"alg": "ES256 "},
			{"alg": "ES384"},
			{"alg": "ES256K"},
			{"alg": "Ed25519"},
			{"alg": "ML-DSA-44"},
			{"alg": "RSA1_5"},
		},
		jwtauth.ReasonKey: {
			{"kid": "k2"}, {"kid": "K1"}, {"kid": "../../dev/null"}, {"kid": "' OR 1=1 --"}, {"kid": strings.Repeat("k", 256)},
		},
		jwtauth.ReasonMalformed: {
			{"typ": ""},
			{"typ": 1},
			{"alg": nil},
			{"alg": ""},
			{"alg": 1},
			{"alg": []any{"ES256"}},
			{"kid": ""},
			{"kid": 1},
			{"kid": "k1\n"},
			{"kid": "k1\x00"},
			{"kid": "ключ"},
			{"kid": strings.Repeat("k", 257)},
			{"ALG": "ES256"},
			{"ALG": "ES256", "alg": nil},
			{"KID": "k1", "kid": nil},
			{"TYP": "at+jwt", "typ": nil},
			{"\u212aid": "k1", "kid": nil}, // the Kelvin sign folds to k
			{"deep": []any{[]any{[]any{[]any{}}}}},
		},
		jwtauth.ReasonHeader: {
			{"crit": []any{}},
			{"crit": []any{"exp"}},
			{"crit": "b64"},
			{"Crit": []any{"exp"}},
			{"b64": true},
			{"b64": false},
			{"cty": "JWT"},
			{"zip": "DEF"},
			{"jwk": object{}},
			{"jku": "https://evil.example.com"},
			{"JKU": "https://evil.example.com"},
			{"x5u": "https://evil.example.com"},
			{"x5c": []any{}},
			{"x5t": "x"},
			{"x5t#S256": "x"},
			{"enc": "A256GCM"},
			{"epk": object{}},
			{"apu": "x"},
			{"apv": "x"},
			{"iv": "x"},
			{"tag": "x"},
			{"p2s": "x"},
			{"p2c": 1},
		},
	} {
		for _, header := range changes {
			check(t, a, header, token(header, nil), want)
		}
	}
}

// A name that differs from a known one only in case is rejected, whether or not
// the token has the known one.
func TestNamesInAnotherCase(t *testing.T) {
	a := newAuthenticator(t, config())
	for _, name := range []string{
		"iss", "sub", "client_id", "jti", "sid", "aud", "exp", "iat", "nbf", "auth_time", "scope", "tenant", "roles", "act", "cnf",
		"nonce", "at_hash", "c_hash", "s_hash", "events", "typ", "token_use", "azp", "cid",
	} {
		name = strings.ToUpper(name)
		check(t, a, name, token(nil, object{name: "x"}), jwtauth.ReasonClaims)
	}
	for _, name := range []string{"alg", "kid", "typ", "x5t", "x5t#s256"} {
		name = strings.ToUpper(name)
		check(t, a, name, token(object{name: "x"}, nil), jwtauth.ReasonMalformed)
	}
}

// The profile for providers that send JWT as typ, or no typ.
//
// Covers RFC 8725 §3.12.
func TestCompatibleProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.Profile, i.ScopeClaim = jwtauth.Compatible, "scp" }))
		for want, headers := range map[gatehouse.Reason][]object{
			"":                      {nil, {"typ": "JWT"}, {"typ": "jwt"}, {"typ": nil}, {"typ": "JWT", "x5t": "x", "x5t#S256": "x"}},
			jwtauth.ReasonType:      {{"typ": "logout+jwt"}, {"typ": "dpop+jwt"}},
			jwtauth.ReasonMalformed: {{"typ": "JWT", "x5t": 1}, {"typ": "JWT", "x5t#S256": 1}},
		} {
			for _, header := range headers {
				check(t, a, header, token(header, nil), want)
			}
		}
		now := time.Now().Unix()
		for want, changes := range map[gatehouse.Reason][]object{
			"": {
				{"jti": nil, "iat": nil, "client_id": nil},
				{"iat": nil, "exp": now + 24*3600 + 30},
				{"iat": nil, "exp": now + 10},
				{"iat": nil, "exp": now - 10},
				{"typ": "Bearer"},
				{"typ": "JWT"},
				{"typ": "at+jwt"},
				{"token_use": "access"},
				{"roles": "admin"},
				{"scp": []any{"a", "b"}},
				{"scp": "a b"},
			},
			jwtauth.ReasonLifetime: {{"iat": nil, "exp": now + 24*3600 + 31}},
			jwtauth.ReasonClaims: {
				{"sub": nil}, {"exp": nil}, {"aud": nil}, {"typ": 1}, {"token_use": 1}, {"scp": []any{"a b"}}, {"scp": []any{1}}, {"cid": 1, "client_id": nil},
			},
			jwtauth.ReasonType: {
				{"nonce": "x"},
				{"at_hash": "x"},
				{"c_hash": "x"},
				{"s_hash": "x"},
				{"events": object{}},
				{"typ": "ID"},
				{"typ": "Refresh"},
				{"token_use": "id"},
				{"typ": "Bearer", "nonce": "x"},
				{"typ": "Bearer", "token_use": "id"},
				{"typ": "ID", "token_use": "access"},
			},
			gatehouse.ReasonUnconfirmed: {{"cnf": object{}}},
		} {
			for _, claims := range changes {
				check(t, a, claims, token(object{"typ": "JWT"}, claims), want)
			}
		}
	})
}

// The cause tells an operator what to change, and has no text of the token.
func TestCauses(t *testing.T) {
	warm := newAuthenticator(t, config())
	cold := newAuthenticator(t, remoteConfig(&keyServer{serve: goodSet()}))
	slashed := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.URL += "/" }))
	cause := func(a *jwtauth.Authenticator, token, issuer, want string) {
		t.Helper()
		_, err := a.Verify(t.Context(), token)
		if e := rejected(t, err); e.Cause == nil || !strings.Contains(e.Cause.Error(), want) || e.Issuer != issuer {
			t.Errorf("Verify: cause %v, issuer %q, want %q, issuer %q", e.Cause, e.Issuer, want, issuer)
		}
	}
	now := time.Now().Unix()
	for _, test := range []struct {
		claims object
		want   string
	}{
		{object{"sub": nil}, "claim sub is missing"},
		{object{"aud": nil}, "claim aud is missing"},
		{object{"exp": nil}, "claim exp is missing"},
		{object{"client_id": nil}, "claim client_id is missing, which only Profile: Compatible accepts"},
		{object{"iat": nil}, "claim iat is missing, which only Profile: Compatible accepts"},
		{object{"jti": nil}, "claim jti is missing, which only Profile: Compatible accepts"},
		{object{"aud": "https://other.example.com"}, "claim aud does not contain " + audience},
		{object{"aud": 1}, "claim aud is malformed"},
		{object{"exp": now + 90_000}, "want 1 s to MaxLifetime 24h0m0s"},
		{object{"iat": 0, "exp": 1}, "expired at 1970-01-01T00:00:01Z"},
		{object{"nbf": now + 3600}, "claim nbf is in the future"},
		{object{"iat": now + 3600}, "claim iat is in the future"},
		{object{"cnf": object{}}, "claim cnf is not a JSON object with a member"},
	} {
		token := token(nil, test.claims)
		cause(warm, token, issuerURL, test.want)
		cause(cold, token, issuerURL, test.want+"; the signature was not verified, because no keys were fetched yet")
	}
	for want, token := range map[string]string{
		"set Profile: Compatible":                       token(object{"typ": "JWT"}, nil),
		"alg is none of [ES256]":                        token(object{"alg": "RS256"}, nil),
		"no key with this kid for this alg":             token(object{"kid": "k2"}, nil),
		`does not verify with key "k1"`:                 unsigned(token(nil, nil)) + strings.Repeat("A", 86),
		"differs from Issuer.URL by a slash at the end": token(nil, object{"iss": issuerURL + "/"}),
	} {
		cause(warm, token, issuerURL, want)
	}
	cause(slashed, token(nil, nil), issuerURL+"/", "differs from Issuer.URL by a slash at the end")
	cause(warm, token(nil, object{"iss": "https://other.example.com"}), "", "claim iss is no configured Issuer.URL")
}

// Covers RFC 8693 §4.1; RFC 8725 §3.8 (subject); ASVS 5.0 §8.3.3, §10.3.3,
// §10.3.4; OIDC Core §5.7; RFC 9068 §2.2 (client).
func TestPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		agents := gatehouse.NewActors(
			gatehouse.Actor{Subject: "agent", Client: "c2"}, gatehouse.Actor{Subject: "older", Issuer: "https://other.example.com"})
		act := object{"sub": "agent", "client_id": "c2", "act": object{"sub": "older", "iss": "https://other.example.com"}}
		compatible := func(i *jwtauth.Issuer) { i.Profile = jwtauth.Compatible }
		for name, test := range map[string]struct {
			config func(*jwtauth.Issuer)
			claims object
			want   func(*gatehouse.Principal)
		}{
			"minimal": {claims: object{"scope": nil, "tenant": nil}, want: func(p *gatehouse.Principal) {
				p.Scopes, p.Tenant = gatehouse.Scopes{}, ""
			}},
			"all claims": {claims: object{"roles": []any{"writer", "admin"}, "auth_time": now.Unix() - 60, "act": act}, want: func(p *gatehouse.Principal) {
				p.Roles, p.AuthTime, p.Actors = must(gatehouse.NewRoles("writer", "admin")), time.Unix(now.Unix()-60, 0), agents
			}},
			"service": {claims: object{"sub": "web"}, want: func(p *gatehouse.Principal) { p.Kind, p.Subject = gatehouse.KindService, "web" }},
			"configured claims": {config: func(i *jwtauth.Issuer) {
				i.Profile, i.ScopeClaim, i.TenantClaim, i.RolesClaim = jwtauth.Compatible, "scp", "org_id", "groups"
			}, claims: object{
				"scp": "mail:read", "org_id": "org-1", "groups": []any{"g1"}, "client_id": nil, "azp": "spa", "scope": "admin", "roles": []any{"root"},
			}, want: func(p *gatehouse.Principal) {
				p.Scopes, p.Tenant, p.Roles, p.Client = must(gatehouse.ParseScopes("mail:read")), "org-1", must(gatehouse.NewRoles("g1")), "spa"
			}},
			"client_id before azp and cid": {compatible, object{"azp": "spa", "cid": "cli"}, func(*gatehouse.Principal) {}},
			"azp before cid":               {compatible, object{"client_id": nil, "azp": "spa", "cid": "cli"}, func(p *gatehouse.Principal) { p.Client = "spa" }},
			"cid":                          {compatible, object{"client_id": nil, "cid": "cli"}, func(p *gatehouse.Principal) { p.Client = "cli" }},
		} {
			if test.config == nil {
				test.config = func(*jwtauth.Issuer) {}
			}
			want := gatehouse.Principal{
				Kind: gatehouse.KindUser, Subject: "alice", Issuer: issuerURL, Tenant: "acme", Client: "web", Method: jwtauth.Method,
				Credential: "token-1", Scopes: must(gatehouse.ParseScopes("reports:read")), Expires: time.Unix(now.Unix()+300, 0),
				Claims: must(gatehouse.NewClaims(goodClaims().with(test.claims))),
			}
			test.want(&want)
			got, err := newAuthenticator(t, issuerConfig(test.config)).Verify(t.Context(), token(nil, test.claims))
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b gatehouse.Principal) bool { return a == b })); err != nil || diff != "" {
				t.Errorf("%s: Verify error %v, principal (-want +got):\n%s", name, err, diff)
			}
		}
	})
}

// The claims of the principal are decoded by their exact names.
func TestPrincipalClaims(t *testing.T) {
	p, err := newAuthenticator(t, config()).Verify(t.Context(), token(nil, object{"plan": "gold"}))
	var folded struct{ Plan, Scope string }
	var exact struct {
		Plan string `json:"plan"`
	}
	if err := errors.Join(err, p.Claims.Decode(&folded), p.Claims.Decode(&exact)); err != nil {
		t.Fatal(err)
	}
	if folded.Plan != "" || folded.Scope != "" || exact.Plan != "gold" {
		t.Errorf("Decode = %+v and %+v, want no Plan and no Scope, and plan gold", folded, exact)
	}
}

// Issuer.Principal completes the principal, and cannot change what was proved.
func TestIssuerPrincipal(t *testing.T) {
	errPlan := errors.New("unknown plan")
	calls := 0
	a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) {
		i.Principal = func(claims gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
			calls++
			var custom struct {
				Plan string `json:"plan"`
			}
			if err := claims.Decode(&custom); err != nil || custom.Plan == "" {
				return gatehouse.Principal{}, errors.Join(err, errPlan)
			}
			p.Kind, p.Environment = gatehouse.KindAgent, custom.Plan
			p.Issuer, p.Method, p.Credential, p.Binding = "x", "x", "x", "x"
			p.Expires, p.Claims = time.Time{}, gatehouse.Claims{}
			return p, nil
		}
	}))
	valid := token(nil, object{"plan": "gold"})
	for range 3 {
		p, err := a.Verify(t.Context(), valid)
		if err != nil || p.Kind != gatehouse.KindAgent || p.Environment != "gold" || p.Issuer != issuerURL || p.Method != jwtauth.Method ||
			p.Credential != "token-1" || p.Binding != "" || p.Expires.IsZero() || p.Claims.String() == "{}" {
			t.Errorf("Verify = %+v, %v, want Kind and Environment of Issuer.Principal and the rest of the token", p, err)
		}
	}
	if calls != 1 {
		t.Errorf("Issuer.Principal was called %d times for one token, want 1", calls)
	}
	_, err := a.Verify(t.Context(), token(nil, nil))
	if e := rejected(t, err); e.Reason != jwtauth.ReasonClaims || !errors.Is(err, errPlan) || e.Credential != "token-1" {
		t.Errorf("Verify = %v with credential %q, want reason %s, cause %v, credential token-1", err, e.Credential, jwtauth.ReasonClaims, errPlan)
	}
}

// Each issuer has its own keys, audience, algorithms, profile and limits.
//
// Covers RFC 6750 §5.3 (audience); RFC 8725 §3.1 (algorithms), §3.8 (keys); RFC
// 9068 §4 (iss, keys); ASVS 5.0 §6.8.1.
func TestIssuersAreSeparate(t *testing.T) {
	const otherURL, otherAudience = "https://other.example.com", "https://api2.example.com"
	a := newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.Issuers = append(c.Issuers, jwtauth.Issuer{
			URL: otherURL, Audience: otherAudience, Algorithms: []jwtauth.Algorithm{jwtauth.ES384},
			Keys:    jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: jwtauth.ES384, Public: keyFor(jwtauth.ES384).public}),
			Profile: jwtauth.Compatible, MaxTokenBytes: 16 << 10, MaxLifetime: time.Hour,
		})
	}))
	other := func(a jwtauth.Algorithm, header, claims object) string {
		c := goodClaims()
		c["iss"], c["aud"] = otherURL, otherAudience
		return keyFor(a).sign(goodHeader(a).with(header), c.with(claims))
	}
	big := strings.Repeat("x", 6000)
	expires := object{"exp": time.Now().Unix() + 7200}
	for name, test := range map[string]struct {
		token string
		want  gatehouse.Reason
	}{
		"first":                            {token(nil, nil), ""},
		"second":                           {other(jwtauth.ES384, nil, nil), ""},
		"second with the key of the first": {other(jwtauth.ES256, nil, nil), jwtauth.ReasonAlgorithm},
		"second, audience of the first":    {other(jwtauth.ES384, nil, object{"aud": audience}), jwtauth.ReasonAudience},
		"first, typ of the second":         {token(object{"typ": "JWT"}, nil), jwtauth.ReasonType},
		"second, typ of the second":        {other(jwtauth.ES384, object{"typ": "JWT"}, nil), ""},
		"first, oversized":                 {token(nil, object{"big": big}), jwtauth.ReasonOversized},
		"second, large":                    {other(jwtauth.ES384, nil, object{"big": big}), ""},
		"first, oversized header":          {token(object{"big": big[:2000]}, nil), jwtauth.ReasonOversized},
		"second, large header":             {other(jwtauth.ES384, object{"big": big[:2000]}, nil), ""},
		"first, lifetime of 2 h":           {token(nil, expires), ""},
		"second, lifetime of 2 h":          {other(jwtauth.ES384, nil, expires), jwtauth.ReasonLifetime},
	} {
		check(t, a, name, test.token, test.want)
	}
}
