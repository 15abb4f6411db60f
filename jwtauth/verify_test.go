// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

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
		check(t, shared, string(a)+" with a part of the signature", valid[:len(unsigned(valid))+20], jwtauth.ReasonSignature)
	}
	// Covers RFC 7518 §3.5.
	salted := &jwt.SigningMethodRSAPSS{SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA, Options: &rsa.PSSOptions{SaltLength: 20}}
	input := strings.TrimSuffix(unsigned(keyFor(jwtauth.PS256).token(object{"kid": "key-of-PS256"}, nil)), ".")
	check(t, public, "PS256 with a salt of 20 bytes", input+"."+b64(must(salted.Sign(input, rsaKey()))), jwtauth.ReasonSignature)
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
		var foreign []object
		for name := range strings.FieldsSeq("iss sub client_id jti sid aud exp iat nbf auth_time scope tenant roles act cnf " +
			"nonce at_hash c_hash s_hash events typ token_use azp cid appid") {
			foreign = append(foreign, object{strings.ToUpper(name): "x"})
		}
		long, longSubject := strings.Repeat("x", 255), strings.Repeat("x", 512)
		changes{
			"": slices.Concat(
				each("sub", "alice", longSubject, "ålice"), each("Custom", "ok"), each("nonce", "allowed in at+jwt"),
				each("aud", []any{audience}, []any{"https://other.example.com", audience}, audiences(32)),
				each("exp", now+24*3600, float64(now)+300.5), each("iat", now+30), each("nbf", now+30, now-3600),
				each("scope", nil, ""), each("act", act(1), act(4)),
				// Malformed values count as none: see TestPrincipal.
				each("tenant", nil, "", 1, []any{"acme"}), each("roles", []any{"admin", "Global Reader"}, []any{long}, "admin", []any{long + "x"}),
				list(object{"exp": now - 29, "iat": now - 60}),
			),
			jwtauth.ReasonIssuer: each("iss", nil, "", issuerURL+"/"),
			jwtauth.ReasonAudience: each("aud", "https://other.example.com", audience+"/", audience+" ", audience[:len(audience)-1], strings.ToUpper(audience),
				[]any{"a", audience + "/"}, []any{audience[:len(audience)-1], "a"}, []any{strings.ToUpper(audience)}, []any{"a " + audience}, []any{" " + audience}),
			jwtauth.ReasonExpired:     list(object{"exp": 0}, object{"exp": now - 30, "iat": now - 60}),
			jwtauth.ReasonNotYetValid: list(object{"iat": now + 31}, object{"nbf": now + 31}),
			jwtauth.ReasonLifetime: list(object{"exp": 253402300799}, object{"exp": now + 24*3600 + 1},
				object{"iat": now + 10, "exp": now + 10}, object{"iat": now + 10, "exp": now + 9}, object{"iat": 0, "exp": now + 300}),
			jwtauth.ReasonClaims: slices.Concat(
				each("iss", 1, []any{issuerURL}),
				each("sub", nil, "", 1, longSubject+"x", "a\nb", "a\x7f", "a\u0085", "a\u2028", "a\u2029"),
				each("client_id", nil, "", 1), list(object{"client_id": nil, "azp": "web"}), each("jti", nil, "", 1),
				each("sid", 1, "", []string{"f1"}, "a\u0000b", true, long+"x"),
				each("aud", nil, "", []any{}, []any{""}, []any{audience, ""}, []any{audience, 1}, []any{[]any{audience}}, 1, object{audience: true}, audiences(33)),
				each("exp", nil, -1, "9999999999", true, []any{now + 300}, 253402300800),
				each("iat", nil, "1"), each("nbf", "1", 1e19), each("auth_time", "1"),
				each("scope", "a  b", " a", "a\tb", `a"b`, []any{"a"}, 1),
				each("act", "agent", object{"iss": "x"}, object{"sub": ""}, object{"sub": 1}, object{"sub": "agent", "iss": 1}, object{"sub": "agent", "ISS": "x"}, json.RawMessage(`{"sub":"agent","ISS":"x"}`), act(5)),
				// Names that only a reader that ignores case takes for a claim.
				foreign, list(object{"Sid": "f1"}, object{"AppId": "x"}, object{"sub": nil, "SUB": "mallory"}, object{"TENANT": "acme", "tenant": nil}, object{"ſcope": "admin", "scope": nil}),
			),
			jwtauth.ReasonMalformed:     each("ſub", "mallory"), // a duplicate of sub
			gatehouse.ReasonUnconfirmed: each("cnf", object{"jkt": "x"}, object{}, "x", []any{nil}),
		}.check(t, newAuthenticator(t, config()), "", nil)
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
	const evil = "https://evil.example.com"
	for want, changes := range map[gatehouse.Reason][]object{
		"": slices.Concat(each("typ", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"), each("kid", nil), each("custom", "ok"),
			each("deep", []any{[]any{[]any{}}}, make([]int, 28))),
		jwtauth.ReasonType:      each("typ", nil, "JWT", "jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "at+jwt ", "x-at+jwt", "application-at+jwt"),
		jwtauth.ReasonAlgorithm: each("alg", "none", "NONE", "es256", "ES256 ", "ES384", "ES256K", "Ed25519", "ML-DSA-44", "RSA1_5"),
		jwtauth.ReasonKey:       each("kid", "k2", "K1", "k", "k11", "../../dev/null", "' OR 1=1 --", strings.Repeat("k", 256)),
		jwtauth.ReasonMalformed: slices.Concat(
			each("typ", "", 1), each("alg", nil, "", 1, []any{"ES256"}),
			each("kid", "", 1, "k1\n", "k1\x00", "ключ", strings.Repeat("k", 257)), each("deep", []any{[]any{[]any{[]any{}}}}, make([]int, 30)),
			list(object{"ALG": "ES256"}, object{"ALG": "ES256", "alg": nil}, object{"KID": "k1", "kid": nil}, object{"TYP": "at+jwt", "typ": nil},
				object{"KID": "x"}, object{"TYP": "x"}, object{"X5T": "x"}, object{"X5T#S256": "x"}, object{"\u212aid": "k1", "kid": nil}), // the Kelvin sign folds to k
		),
		jwtauth.ReasonHeader: slices.Concat(
			each("crit", []any{}, []any{"exp"}, "b64"), each("Crit", []any{"exp"}), each("b64", true, false), each("cty", "JWT"), each("zip", "DEF"),
			each("jwk", object{}), each("jku", evil), each("JKU", evil), each("x5u", evil), each("x5c", []any{}), each("x5t", "x"), each("x5t#S256", "x"),
			each("enc", "A256GCM"), each("epk", object{}), each("apu", "x"), each("apv", "x"), each("iv", "x"), each("tag", "x"), each("p2s", "x"), each("p2c", 1),
		),
	} {
		for _, header := range changes {
			check(t, a, header, token(header, nil), want)
		}
	}
}

// The profile for providers that send JWT as typ, or no typ.
//
// Covers RFC 8725 §3.12.
func TestCompatibleProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.Profile, i.ScopeClaims = jwtauth.Compatible, []string{"scp"} }))
		var forbidden []object
		for name := range strings.FieldsSeq("crit b64 cty zip jwk jku x5u x5c enc epk apu apv iv tag p2s p2c") {
			forbidden = append(forbidden, object{"header": object{"typ": "JWT", name: "x"}})
		}
		changes{
			"":                      each("header", object{"typ": "at+jwt"}, object{"typ": "jwt"}, object{"typ": nil}, object{"typ": "JWT", "x5t": "x", "x5t#S256": "x"}),
			jwtauth.ReasonType:      each("header", object{"typ": "logout+jwt"}, object{"typ": "dpop+jwt"}, object{"typ": "application/jwt"}),
			jwtauth.ReasonMalformed: each("header", object{"typ": "JWT", "x5t": 1}, object{"typ": "JWT", "x5t#S256": 1}, object{"typ": "JWT", "x5t": 1, "x5t#S256": "x"}),
			jwtauth.ReasonHeader:    forbidden,
		}.check(t, a, "", nil)
		now := time.Now().Unix()
		changes{
			"": slices.Concat(
				each("typ", "Bearer", "bearer", "JWT", "at+jwt", null), each("token_use", "access", null),
				list(object{}, object{"typ": "Bearer", "nonce": "x"}, object{"token_use": "access", "nonce": "x"}, object{"header": object{"typ": "at+jwt"}, "nonce": "x"}),
				each("auth_time", "2026-11-28T03:00:00.000Z", true, -1), each("roles", 1, object{"admin": true}), each("tenant", 1),
				list(object{"jti": null, "iat": null, "client_id": null, "sid": null, "nbf": null, "scp": null, "roles": null, "tenant": null, "act": null, "auth_time": null}),
				each("roles", "admin"), each("scp", []any{"a", "b"}, "a b"),
				list(object{"jti": nil, "iat": nil, "client_id": nil}, object{"iat": nil, "exp": now + 24*3600 + 30},
					object{"iat": nil, "exp": now + 10}, object{"iat": nil, "exp": now - 10}),
			),
			jwtauth.ReasonLifetime: list(object{"iat": nil, "exp": now + 24*3600 + 31}),
			jwtauth.ReasonClaims: slices.Concat(each("sub", nil, null), each("exp", nil, null), each("aud", nil, null, "", []any{}), each("typ", 1), each("token_use", 1),
				each("scp", []any{"a b"}, []any{1}), list(object{"cid": 1, "client_id": nil})),
			jwtauth.ReasonType: slices.Concat(each("nonce", "x"), each("at_hash", "x"), each("c_hash", "x"), each("s_hash", "x"), each("events", object{}),
				each("typ", "ID", "Refresh"), each("token_use", "id"),
				each("nonce", null), each("at_hash", null), each("events", null), each("c_hash", null), each("s_hash", null), each("typ", "DPoP"),
				list(object{"typ": "Bearer", "token_use": "id"}, object{"typ": "ID", "token_use": "access"}, object{"typ": "Bearer", "at_hash": "x"},
					object{"typ": "bearer", "nonce": "x"}, object{"token_use": "Access", "nonce": "x"}, object{"typ": "JWT", "nonce": "x"}, object{"typ": "DPoP", "nonce": "x"},
					object{"typ": "access", "nonce": "x"}, object{"token_use": "Bearer", "nonce": "x"}, object{"token_use": "DPoP", "cnf": object{"jkt": "x"}})),
			gatehouse.ReasonUnconfirmed: append(each("cnf", object{}, null), object{"typ": "DPoP", "cnf": object{"jkt": "x"}}, object{"typ": "DPoP", "cnf": object{"jkt": "x"}, "nonce": "x"}),
		}.check(t, a, "", object{"typ": "JWT"})
	})
}

// The cause tells an operator what to change, and has no text of the token.
func TestCauses(t *testing.T) {
	warm := newAuthenticator(t, config())
	cold := newAuthenticator(t, remoteConfig(&keyServer{serve: goodSet()}))
	slashed := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.URL += "/" }))
	lenient := newAuthenticator(t, compatible(func(i *jwtauth.Issuer) {
		i.Clients = []string{"web"}
	}))
	errorOf := func(_ gatehouse.Principal, err error) error { return err }
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
		{object{"client_id": nil}, "claim client_id is missing: required unless Profile is Compatible"},
		{object{"iat": nil}, "claim iat is missing: required unless Profile is Compatible"},
		{object{"jti": nil}, "claim jti is missing: required unless Profile is Compatible"},
		{object{"aud": "https://other.example.com"}, "claim aud contains none of Audiences " + audience},
		{object{"aud": 1}, "claim aud is malformed"},
		{object{"aud": ""}, "claim aud is empty"},
		{object{"aud": []any{}}, "claim aud is empty"},
		{object{"aud": []any{""}}, "claim aud is malformed"},
		{object{"sub": 1}, "claim sub is malformed"},
		{object{"jti": 1}, "claim jti is malformed"},
		{object{"exp": "x"}, "claim exp is malformed"},
		{object{"exp": now + 90_000}, "must be 1 s to MaxLifetime 24h0m0s"},
		{object{"iat": 0, "exp": 1}, "expired at 1970-01-01T00:00:01Z"},
		{object{"nbf": now + 3600}, "claim nbf is in the future"},
		{object{"iat": now + 3600}, "claim iat is in the future"},
		{object{"cnf": object{}}, "claim cnf: not a JSON object with at least one member"},
	} {
		token := token(nil, test.claims)
		cause(warm, token, issuerURL, test.want)
		// The jti of a token that is not verified is not in the audit log.
		for name, err := range map[string]error{
			"no keys":           errorOf(cold.Verify(t.Context(), token)),
			"another signature": errorOf(warm.Verify(t.Context(), unsigned(token)+strings.Repeat("A", 86))),
		} {
			if e := rejected(t, err); e.Credential != "" {
				t.Errorf("%s: Verify(%v) = error with credential %q, want none", name, test.claims, e.Credential)
			}
		}
		cause(cold, token, issuerURL, test.want+"; the signature was not verified, because no keys were fetched yet")
	}
	for want, token := range map[string]string{
		"set Profile: Compatible":                          token(object{"typ": "JWT"}, nil),
		"alg: not one of [ES256]":                          token(object{"alg": "RS256"}, nil),
		"no key with the kid and alg":                      token(object{"kid": "k2"}, nil),
		`signature: invalid for key "k1"`:                  unsigned(token(nil, nil)) + strings.Repeat("A", 86),
		"differs from Issuer.URL only by a trailing slash": token(nil, object{"iss": issuerURL + "/"}),
	} {
		cause(warm, token, issuerURL, want)
	}
	for want, claims := range map[string]object{
		"claim at_hash is present":                                          {"at_hash": "x"},
		"claim events is present":                                           {"events": object{}},
		"claim nonce is present; set AcceptNonce":                           {"nonce": "x"},
		"claim typ is DPoP, and claim cnf is missing":                       {"typ": "DPoP"},
		"claim typ is ID":                                                   {"typ": "ID"},
		"claim token_use is id":                                             {"token_use": "id"},
		"claim token_use is none of Bearer, access, at+jwt, JWT":            {"token_use": "secret-value"},
		"claims client_id and azp differ":                                   {"azp": "cli"},
		"claim aud is missing, and client_id or azp is none of Clients web": {"aud": nil, "client_id": "cli"},
	} {
		cause(lenient, token(object{"typ": "JWT"}, claims), issuerURL, want)
	}
	for want, m := range map[string]jwtauth.Mark{
		"Require[0]: claim x is missing":                    {Claim: "x"},
		"Require[0]: header parameter kid is none of a, b":  {Header: "kid", Values: []string{"a", "b"}},
		"Require[0]: claim sub does not equal claim /x/y":   {Claim: "sub", Equals: "/x/y"},
		"Refuse[0]: claim jti is present":                   {Claim: "jti"},
		"Refuse[0]: header parameter typ is JWT or at+jwt":  {Header: "typ", Values: []string{"JWT", "at+jwt"}},
		"Refuse[0]: claim client_id equals claim client_id": {Claim: "client_id", Equals: "client_id"},
	} {
		cause(newAuthenticator(t, compatible(func(i *jwtauth.Issuer) {
			if strings.HasPrefix(want, "Require") {
				i.Require = []jwtauth.Mark{m}
			} else {
				i.Refuse = []jwtauth.Mark{m}
			}
		})), token(nil, nil), issuerURL, "not an access token: "+want)
	}
	cause(lenient, token(object{"typ": "logout+jwt"}, nil), issuerURL, "typ: neither at+jwt nor JWT: the token is of another kind")
	cause(newAuthenticator(t, compatible(func(*jwtauth.Issuer) {})), token(nil, object{"aud": nil}), issuerURL, "claim aud is missing: set Clients if")
	cause(newAuthenticator(t, compatible(func(i *jwtauth.Issuer) { i.Audiences, i.Clients = nil, []string{"web"} })), token(nil, nil), issuerURL,
		"claim aud is present: set Audiences to accept it")
	cause(newAuthenticator(t, compatible(func(i *jwtauth.Issuer) { i.SubjectClaims = []string{"sub", "common_name"} })), token(nil, object{"sub": ""}), issuerURL,
		"no claim for the subject: sub, common_name are missing or empty")
	tenants := issuerConfig(func(i *jwtauth.Issuer) { i.Tenants = []string{"t1", "t2", "t3", "t4", "t5", "t6", "t7"} })
	cause(newAuthenticator(t, tenants), token(nil, nil), issuerURL, "the tenant is none of Tenants t1, t2, t3, t4, t5 and 2 more")
	cause(newAuthenticator(t, tenants), token(nil, object{"tenant": nil}), issuerURL, "the token has no tenant, want one of Tenants t1, ")
	tenants.Issuers[0].Tenants = tenants.Issuers[0].Tenants[:5]
	cause(newAuthenticator(t, tenants), token(nil, object{"tenant": nil}), issuerURL, "want one of Tenants t1, t2, t3, t4, t5: set TenantClaim or Principal")
	cause(warm, unsigned(token(nil, nil))+"SIGNATURE_REMOVED_BY_GOOGLE", issuerURL, "signature: removed by Google Cloud")
	cause(warm, token(nil, object{"scope": 1}), issuerURL, "claim scope is malformed")
	cause(warm, token(nil, object{"iss": 1}), "", "claim iss is malformed")
	cause(slashed, token(nil, nil), issuerURL+"/", "differs from Issuer.URL only by a trailing slash")
	cause(warm, token(nil, object{"iss": "https://other.example.com"}), "", "claim iss: not a configured Issuer.URL: "+issuerURL)
}

// What the settings of an issuer make of the claims.
//
// Covers RFC 8693 §4.1; RFC 8725 §3.8 (subject); ASVS 5.0 §8.3.3, §10.3.3,
// §10.3.4; OIDC Core §5.7; RFC 9068 §2.2 (client).
func TestPrincipal(t *testing.T) {
	type issuer = jwtauth.Issuer
	type principal = gatehouse.Principal
	now := time.Now().Unix()
	roles := func(names ...string) gatehouse.Roles { return must(gatehouse.NewRoles(names...)) }
	client := func(id string) func(*principal) { return func(p *principal) { p.Client = id } }
	service := func(p *principal) { p.Kind = gatehouse.KindService }
	grant := []jwtauth.Mark{{Claim: "x"}, {Claim: "gty", Values: []string{"client-credentials"}}}
	for name, test := range map[string]struct {
		issuer func(*issuer)    // nil for RFC 9068, otherwise changes of an issuer with Compatible
		claims object           // changes
		want   func(*principal) // changes, nil for none
	}{
		"minimal": {nil, object{"scope": nil, "tenant": nil}, func(p *principal) { p.Scopes, p.Tenant = gatehouse.Scopes{}, "" }},
		"all claims": {nil, object{
			"roles": []any{"writer", "admin"}, "auth_time": now - 60, "act": object{"sub": "agent", "client_id": "c2", "act": object{"sub": "older", "iss": "https://other.example.com"}},
		}, func(p *principal) {
			p.Roles, p.AuthTime = roles("writer", "admin"), time.Unix(now-60, 0)
			p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "agent", Client: "c2"}, gatehouse.Actor{Subject: "older", Issuer: "https://other.example.com"})
		}},
		"service": {nil, object{"sub": "web"}, func(p *principal) { p.Kind, p.Subject = gatehouse.KindService, "web" }},
		"configured claims": {func(i *issuer) {
			i.TenantClaim, i.ScopeClaims, i.RolesClaims = "org_id", []string{"scp"}, []string{"groups"}
		}, object{"scp": "mail:read", "org_id": "org-1", "groups": []any{"g1"}, "scope": "admin", "roles": []any{"root"}}, func(p *principal) {
			p.Scopes, p.Tenant, p.Roles = must(gatehouse.ParseScopes("mail:read")), "org-1", roles("g1")
		}},
		"malformed tenant and roles":   {func(*issuer) {}, object{"tenant": 1, "roles": []any{"admin", 1}}, func(p *principal) { p.Tenant = "" }},
		"client_id before azp and cid": {func(*issuer) {}, object{"azp": "spa", "cid": "cli"}, nil},
		"azp before cid":               {func(*issuer) {}, object{"client_id": nil, "azp": "spa", "cid": "cli"}, client("spa")},
		"cid before appid":             {func(*issuer) {}, object{"client_id": nil, "cid": "cli", "appid": "app"}, client("cli")},
		"appid":                        {func(*issuer) {}, object{"client_id": nil, "appid": "app"}, client("app")},
		"no client is no service":      {func(*issuer) {}, object{"client_id": nil}, client("")},
		"ClientClaims":                 {func(i *issuer) { i.ClientClaims = []string{"x", "azp"} }, object{"azp": "spa"}, client("spa")},
		"no ClientClaims":              {func(i *issuer) { i.ClientClaims = []string{} }, object{"azp": "spa"}, client("")},
		"SubjectClaims":                {func(i *issuer) { i.SubjectClaims = []string{"uid", "sub"} }, object{"uid": "u1"}, func(p *principal) { p.Subject = "u1" }},
		"SubjectClaims, null":          {func(i *issuer) { i.SubjectClaims = []string{"uid", "sub"} }, object{"uid": null}, nil},
		"union of scopes": {func(i *issuer) { i.ScopeClaims = []string{"scope", "permissions"} }, object{"permissions": []any{"write:x"}}, func(p *principal) {
			p.Scopes = must(gatehouse.ParseScopes("reports:read write:x"))
		}},
		"union of roles": {func(i *issuer) { i.RolesClaims = []string{"/realm_access/roles", "/resource_access/api~1v1/roles"} }, object{
			"realm_access": object{"roles": []any{"admin"}}, "resource_access": object{"api/v1": object{"roles": []any{"reader"}}}, "roles": []any{"root"},
		}, func(p *principal) { p.Roles = roles("admin", "reader") }},
		"a name that is a URL": {func(i *issuer) { i.RolesClaims = []string{"https://acme.example/roles"} }, object{"https://acme.example/roles": []any{"admin"}}, func(p *principal) {
			p.Roles = roles("admin")
		}},
		"names of an object": {func(i *issuer) { i.RolesClaims, i.RolesAreNames = []string{"urn:roles", "groups"}, true }, object{
			"urn:roles": object{"admin": object{"99": "acme.example"}, "reader": object{}}, "groups": []any{"g"},
		}, func(p *principal) { p.Roles = roles("admin", "g", "reader") }},
		"nested tenant": {func(i *issuer) { i.TenantClaim = "/o/id" }, object{"o": object{"id": "org_1"}}, func(p *principal) { p.Tenant = "org_1" }},
		"AllowedScopes and AllowedRoles": {func(i *issuer) {
			i.AllowedScopes, i.AllowedRoles = []string{"reports:read", "x"}, []string{"reader"}
		}, object{"scope": "admin reports:read", "roles": []any{"admin", "reader"}}, func(p *principal) { p.Roles = roles("reader") }},
		"a role that is mapped from a scope that is not allowed": {func(i *issuer) {
			i.AllowedScopes, i.AllowedRoles = []string{"reports:read"}, []string{"reader"}
			i.Principal = func(_ gatehouse.Claims, p principal) (principal, error) {
				if p.Scopes.Has("admin") && p.Roles.Has("root") {
					p.Roles = roles("reader")
				}
				return p, nil
			}
		}, object{"scope": "admin reports:read", "roles": []any{"root"}}, func(p *principal) { p.Roles = roles("reader") }},
		"none allowed": {func(i *issuer) {
			i.AllowedScopes, i.AllowedRoles = []string{}, []string{}
			i.Principal = func(_ gatehouse.Claims, p principal) (principal, error) { p.Roles = roles("admin"); return p, nil }
		}, nil, func(p *principal) { p.Scopes = gatehouse.Scopes{} }},
		"a service by azp":        {func(*issuer) {}, object{"client_id": nil, "azp": "alice"}, func(p *principal) { p.Kind, p.Client = gatehouse.KindService, "alice" }},
		"a service by a mark":     {func(i *issuer) { i.Services = grant }, object{"gty": "client-credentials"}, service},
		"a user without the mark": {func(i *issuer) { i.Services = grant }, object{"gty": "password"}, nil},
		"always a service":        {func(i *issuer) { i.Services = []jwtauth.Mark{{Claim: "iss"}} }, nil, service},
		"auth_time":               {func(*issuer) {}, object{"auth_time": 1000}, func(p *principal) { p.AuthTime = time.Unix(1000, 0) }},
		"auth_time as text":       {func(*issuer) {}, object{"auth_time": "2026-11-28T03:00:00.000Z"}, nil},
	} {
		c := config()
		if test.issuer != nil {
			c = compatible(test.issuer)
		}
		payload := object{"iat": now, "exp": now + 300}
		maps.Copy(payload, test.claims)
		want := principal{
			Kind: gatehouse.KindUser, Subject: "alice", Issuer: issuerURL, Tenant: "acme", Client: "web", Method: jwtauth.Method,
			Credential: "token-1", Scopes: must(gatehouse.ParseScopes("reports:read")), Expires: time.Unix(now+300, 0),
			Claims: must(gatehouse.NewClaims(goodClaims().with(payload))),
		}
		if test.want != nil {
			test.want(&want)
		}
		got, err := newAuthenticator(t, c).Verify(t.Context(), token(nil, payload))
		equal(t, name+": error of Verify", err, nil)
		equal(t, name+": principal", got, want)
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
	equal(t, "calls of Issuer.Principal for one token", calls, 1)
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
	const otherAudience = "https://api2.example.com"
	a := newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.Issuers[0].AnyTenant = true
		c.Issuers = append([]jwtauth.Issuer{{
			URL: otherURL, Tenants: []string{"acme"}, Audiences: []string{otherAudience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES384},
			Keys:    jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: jwtauth.ES384, Public: keyFor(jwtauth.ES384).public}),
			Profile: jwtauth.Compatible, MaxTokenBytes: 16 << 10, MaxLifetime: time.Hour,
		}}, c.Issuers...)
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
		"first, another tenant":            {token(nil, object{"tenant": "globex"}), ""},
		"second, another tenant":           {other(jwtauth.ES384, nil, object{"tenant": "globex"}), jwtauth.ReasonTenant},
		"second, no tenant":                {other(jwtauth.ES384, nil, object{"tenant": nil}), jwtauth.ReasonTenant},
		"second, audience of the first":    {other(jwtauth.ES384, nil, object{"aud": audience}), jwtauth.ReasonAudience},
		"first, typ of the second":         {token(object{"typ": "JWT"}, nil), jwtauth.ReasonType},
		"second, typ of the second":        {other(jwtauth.ES384, object{"typ": "JWT"}, nil), ""},
		"first, oversized":                 {token(nil, object{"big": big}), jwtauth.ReasonOversized},
		"second, large":                    {other(jwtauth.ES384, nil, object{"big": big}), ""},
		"first, header of a quarter":       {token(object{"big": big[:1536-len(goodHeader(jwtauth.ES256).with(object{"big": ""}))]}, nil), ""},
		"first, oversized header":          {token(object{"big": big[:2000]}, nil), jwtauth.ReasonOversized},
		"second, large header":             {other(jwtauth.ES384, object{"big": big[:2000]}, nil), ""},
		"first, lifetime of 2 h":           {token(nil, expires), ""},
		"second, lifetime of 2 h":          {other(jwtauth.ES384, nil, expires), jwtauth.ReasonLifetime},
	} {
		check(t, a, name, test.token, test.want)
	}
	valid := token(nil, nil)
	for limit, want := range map[int]gatehouse.Reason{len(valid): "", len(valid) - 1: jwtauth.ReasonOversized} {
		check(t, newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.MaxTokenBytes = limit })), limit, valid, want)
	}
}

// A provider may send 1,000 roles and permissions in one token.
func TestLargeRoleLists(t *testing.T) {
	var roles, permissions []string
	for n := range 1000 {
		roles, permissions = append(roles, strconv.Itoa(n)), append(permissions, "p"+strconv.Itoa(n))
	}
	a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.MaxTokenBytes = 16 << 10 }))
	p, err := a.Verify(t.Context(), token(nil, object{"roles": roles, "scope": strings.Join(permissions, " ")}))
	if err != nil || p.Roles.Len() != 1000 || p.Scopes.Len() != 1000 {
		t.Errorf("Verify = %d roles, %d scopes, %v, want 1000 of each", p.Roles.Len(), p.Scopes.Len(), err)
	}
	check(t, a, "permissions as an array", token(nil, object{"roles": roles[:900], "permissions": permissions[:900]}), "")
}
