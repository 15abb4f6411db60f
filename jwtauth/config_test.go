// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

type nilObserver struct{ gatehouse.Observer }

// forgetful keeps revocations for no time.
type forgetful struct{ jwtauth.Revocations }

func (forgetful) MaxLifetime() time.Duration { return 0 }

// Each mistake is an error that names the field.
//
// Covers RFC 7518 §3.2 (size); RFC 8414 §2 (issuer); RFC 8725 §3.2, §3.5; RFC
// 9068 §2.1; ASVS 5.0 §9.1.2.
func TestNewRejects(t *testing.T) {
	type change = func(*jwtauth.Config)
	issuer := func(f func(*jwtauth.Issuer)) change { return func(c *jwtauth.Config) { f(&c.Issuers[0]) } }
	sets := func(s jwtauth.KeySets) change { return func(c *jwtauth.Config) { c.KeySets = s } }
	algorithms := func(a ...jwtauth.Algorithm) change { return issuer(func(i *jwtauth.Issuer) { i.Algorithms = a }) }
	url := func(u string) change { return issuer(func(i *jwtauth.Issuer) { i.URL = u }) }
	roles := func(names ...string) change { return issuer(func(i *jwtauth.Issuer) { i.RolesClaims = names }) }
	require := func(marks ...jwtauth.Mark) change { return issuer(func(i *jwtauth.Issuer) { i.Require = marks }) }
	names := strings.Fields(strings.Repeat("a ", 33))
	for n := range names {
		names[n] += strconv.Itoa(n)
	}
	header := func(h string) change { return issuer(func(i *jwtauth.Issuer) { i.Header = h }) }
	plain := func(h string) change { return issuer(func(i *jwtauth.Issuer) { i.PlainHTTPHosts = []string{h} }) }
	discover := func(u string) change {
		return issuer(func(i *jwtauth.Issuer) {
			i.URL, i.Keys, i.PlainHTTPHosts = u, jwtauth.Discover(), []string{"keycloak:8080"}
		})
	}
	keys := func(k jwtauth.Keys, a ...jwtauth.Algorithm) change {
		return issuer(func(i *jwtauth.Issuer) {
			if i.Keys = k; a != nil {
				i.Algorithms = a
			}
		})
	}
	static := func(public any, a jwtauth.Algorithm) change {
		return keys(jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: a, Public: public}), a)
	}
	shared := func(secret []byte, a ...jwtauth.Algorithm) change {
		return keys(jwtauth.SharedSecret(gatehouse.NewSecret(secret)), a...)
	}
	es256, one, missing := keyFor(jwtauth.ES256).public, big.NewInt(1), filepath.Join(t.TempDir(), "missing.json")

	for want, changes := range map[string][]change{
		"Issuers: at least one":                                     {func(c *jwtauth.Config) { c.Issuers = nil }},
		"Issuers[1].URL: duplicate":                                 {func(c *jwtauth.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }},
		"Issuers[1].Tenants: requi":                                 {func(c *jwtauth.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]); c.Issuers[0].AnyTenant = true }},
		"Issuers[0]: no such server":                                {issuer(func(i *jwtauth.Issuer) { i.Err = errors.New("no such server") })},
		"Observer: is a nil *":                                      {func(c *jwtauth.Config) { c.Observer = (*nilObserver)(nil) }},
		"Transport: is a nil *":                                     {func(c *jwtauth.Config) { c.Transport = (*keyServer)(nil) }},
		"Revocations: is a nil *":                                   {func(c *jwtauth.Config) { c.Revocations = (*revocations)(nil) }},
		"Revocations: got MaxLif":                                   {func(c *jwtauth.Config) { c.Revocations = &revocations{maxLifetime: -1} }, func(c *jwtauth.Config) { c.Revocations = forgetful{} }},
		"Skew: got -1ns, want 0 to 5m0s":                            {func(c *jwtauth.Config) { c.Skew = -1 }},
		"Skew: got 5m0.000000001s, want 0 to 5m0s":                  {func(c *jwtauth.Config) { c.Skew = 5*time.Minute + 1 }},
		"CacheEntries: got -2, want -1 to 1000000":                  {func(c *jwtauth.Config) { c.CacheEntries = -2 }},
		"CacheEntries: got 1000001, want -1 to 1000000":             {func(c *jwtauth.Config) { c.CacheEntries = 1_000_001 }},
		"KeySets.FetchTimeout: got 1ns, want 10ms to 30s":           {sets(jwtauth.KeySets{FetchTimeout: 1})},
		"KeySets.FetchTimeout: got 30.000000001s, want 10ms to 30s": {sets(jwtauth.KeySets{FetchTimeout: 30*time.Second + 1})},
		"KeySets.MinInterval: got 1ms, want 1s to 5m0s":             {sets(jwtauth.KeySets{MinInterval: time.Millisecond})},
		"KeySets.MinInterval: got 1m0s, want 1s to 59s":             {sets(jwtauth.KeySets{MinInterval: time.Minute, Refresh: 59 * time.Second})},
		"KeySets.MinInterval: got 2h0m0s, want 1s to 1h0m0s":        {sets(jwtauth.KeySets{MinInterval: 2 * time.Hour, Refresh: 3 * time.Hour})},
		"KeySets.Refresh: got 1ms, want 1s to 24h0m0s":              {sets(jwtauth.KeySets{Refresh: time.Millisecond})},
		"KeySets.MaxStale: got 192h0m0s, want 1m0s to 168h0m0s":     {sets(jwtauth.KeySets{MaxStale: 8 * 24 * time.Hour})},

		"URL: required": {url("")},
		"URL: neither an absolute URL nor a name":                           {url("/x"), url("a\nb")},
		"URL: not an absolute URL":                                          {url("file:///etc/passwd")},
		"URL: plain http is for loopback addresses and PlainHTTPHosts only": {discover("http://auth.example.com"), discover("http://localhost.example.com"), discover("http://keycloak:8081"), discover("http://keycloak")},
		"URL: not an https URL":                                             {url("ftp://auth.example.com")},
		"URL: has user information":                                         {url("https://u@auth.example.com")},
		"URL: has a fragment":                                               {url("https://auth.example.com#a")},
		"URL: has a query":                                                  {url("https://auth.example.com?a"), url("https://auth.example.com?")},
		"URL: is a metadata":                                                {url("https://auth.example.com/.well-known/openid-configuration"), url("https://auth.example.com/t/.well-known/openid-configuration")},
		"Audiences: at least":                                               {issuer(func(i *jwtauth.Issuer) { i.Audiences = nil })},
		"Profile: got 2":                                                    {issuer(func(i *jwtauth.Issuer) { i.Profile = 2 })},
		"MaxLifetime: got 192h0m0s, want 0 to 168h0m0s": {issuer(func(i *jwtauth.Issuer) { i.MaxLifetime = 8 * 24 * time.Hour }), func(c *jwtauth.Config) {
			c.Revocations, c.Issuers[0].MaxLifetime = &revocations{maxLifetime: 9 * 24 * time.Hour}, 8*24*time.Hour
		}},
		"MaxLifetime: got -1ns, want 0 to 168h0m0s": {issuer(func(i *jwtauth.Issuer) { i.MaxLifetime = -1 })},
		"MaxLifetime: got 1h0m1s, but Config.Revocations keeps revocations for lifetimes up to 1h0m0s": {func(c *jwtauth.Config) {
			c.Revocations, c.Issuers[0].MaxLifetime = &revocations{}, time.Hour+time.Second
		}},
		"MaxTokenBytes: got 16385, want 0 to 16384": {issuer(func(i *jwtauth.Issuer) { i.MaxTokenBytes = 16<<10 + 1 })},
		"MaxTokenBytes: got -1, want 0 to 16384":    {issuer(func(i *jwtauth.Issuer) { i.MaxTokenBytes = -1 })},
		"Audiences[1]: must be":                     {issuer(func(i *jwtauth.Issuer) { i.Audiences = []string{"a", ""} })},
		"Clients[0]: must be":                       {issuer(func(i *jwtauth.Issuer) { i.Clients = []string{""} })},
		"Clients: requires Profile: Compatible":     {issuer(func(i *jwtauth.Issuer) { i.Clients = []string{"web"} })},
		"AcceptMissingAudience: requires Profile":   {issuer(func(i *jwtauth.Issuer) { i.AcceptMissingAudience = true })},
		"AcceptNonce: requires Profile":             {issuer(func(i *jwtauth.Issuer) { i.AcceptNonce = true })},
		"Tenants: at least one":                     {issuer(func(i *jwtauth.Issuer) { i.Tenants = []string{} })},
		"Tenants[0]: must be":                       {issuer(func(i *jwtauth.Issuer) { i.Tenants = []string{"a\n"} })},
		"AnyTenant: excludes Tenants":               {issuer(func(i *jwtauth.Issuer) { i.Tenants, i.AnyTenant = []string{"acme"}, true })},
		"AllowedScopes[0]: must be":                 {issuer(func(i *jwtauth.Issuer) { i.AllowedScopes = []string{""} })},
		"AllowedRoles[0]: must be":                  {issuer(func(i *jwtauth.Issuer) { i.AllowedRoles = []string{""} })},
		"Header: must be":                           {header("authorization"), header("Cookie"), header("a b")},
		"PlainHTTPHosts[1]: must be":                {issuer(func(i *jwtauth.Issuer) { i.PlainHTTPHosts = []string{"keycloak:80", "keycloak"} })},
		"PlainHTTPHosts[0]: must be": {
			plain("keycloak"), plain(":80"), plain("keycloak:"), plain("keycloak:0"), plain("keycloak:65536"), plain("Keycloak:80"), plain("*.example:80"),
			plain("http://keycloak:80"), plain("keycloak:80/realms"), plain("u@keycloak:80"), plain("::1:80"),
		},
		"ScopeClaims[1]: must be":                                            {issuer(func(i *jwtauth.Issuer) { i.ScopeClaims = []string{"scp", ""} }), issuer(func(i *jwtauth.Issuer) { i.ScopeClaims = []string{"scp", "a\nb"} })},
		"RolesClaims[0]: \"/a//b\" is a pointer with an empty step":          {roles("/a//b")},
		"RolesClaims[0]: \"/a/\" is a pointer with an empty step":            {roles("/a/")},
		"RolesClaims[0]: \"/a~2\" is a pointer with a ~":                     {roles("/a~2")},
		"RolesClaims[0]: \"/a~\" is a pointer with a ~":                      {roles("/a~")},
		"is a pointer with more than 15 steps":                               {roles(strings.Repeat("/a", 16))},
		"RolesClaims[0]: \"Scope\" differs from another claim only":          {roles("Scope")},
		"RolesClaims[1]: \"Groups\" differs from another claim only":         {roles("groups", "Groups")},
		"RolesClaims[32]: more than 32 different claims":                     {roles(names[:33]...)},
		"SubjectClaims[0]: must be":                                          {issuer(func(i *jwtauth.Issuer) { i.SubjectClaims = []string{""} })},
		"ClientClaims[0]: must be":                                           {issuer(func(i *jwtauth.Issuer) { i.ClientClaims = []string{""} })},
		"TenantClaim: \"/\" is a pointer":                                    {issuer(func(i *jwtauth.Issuer) { i.TenantClaim = "/" })},
		"Require[0]: exactly one of Claim and Header":                        {require(jwtauth.Mark{}), require(jwtauth.Mark{Claim: "a", Header: "b"})},
		"Require[0]: Equals excludes Values":                                 {require(jwtauth.Mark{Claim: "a", Equals: "b", Values: []string{"c"}})},
		"Require[0]: Values: at least one":                                   {require(jwtauth.Mark{Claim: "a", Values: []string{}})},
		"Require[0]: Claim: \"/\"":                                           {require(jwtauth.Mark{Claim: "/"})},
		"Require[0]: Equals: \"/\"":                                          {require(jwtauth.Mark{Claim: "a", Equals: "/"})},
		"Refuse[0]: exactly one":                                             {issuer(func(i *jwtauth.Issuer) { i.Refuse = []jwtauth.Mark{{}} })},
		"Services[0]: exactly one":                                           {issuer(func(i *jwtauth.Issuer) { i.Services = []jwtauth.Mark{{}} })},
		"Algorithms: at least one":                                           {algorithms()},
		`Algorithms: "none" is not supported`:                                {algorithms("none")},
		`Algorithms: "" is not supported`:                                    {algorithms("")},
		`Algorithms: "es256" is not supported`:                               {algorithms("es256")},
		`Algorithms: "ES256K" is not supported`:                              {algorithms(jwtauth.ES256, "ES256K"), static(es256, "ES256K")},
		"Keys: required":                                                     {keys(nil), keys((*jwtauth.KeyRing)(nil)), keys(jwtauth.RemoteKeys(""))},
		"Keys: at least one key":                                             {keys(jwtauth.StaticKeys())},
		"Keys: plain http is for loopback addresses and PlainHTTPHosts only": {keys(jwtauth.RemoteKeys("http://auth.example.com/jwks"))},
		"Keys: not an absolute URL":                                          {keys(jwtauth.RemoteKeys("file:///jwks"))},
		"Keys: open":                                                         {keys(jwtauth.KeyFile(missing))},
		"Keys: keyfunc: required":                                            {keys(jwtauth.Keyfunc(nil))},
		"Keys[0].Algorithm: required":                                        {keys(jwtauth.StaticKeys(jwtauth.Key{Public: es256}))},
		"Keys[1].Algorithm: required":                                        {keys(jwtauth.StaticKeys(jwtauth.Key{Public: es256}, jwtauth.Key{Public: es256}))},
		"Keys[1]: is a <nil>":                                                {keys(jwtauth.StaticKeys(jwtauth.Key{Algorithm: jwtauth.ES256}, jwtauth.Key{ID: "k1", Algorithm: jwtauth.ES384}))},
		"Keys[0]: is a <nil>":                                                {static(nil, jwtauth.ES256)},
		"Keys[0]: is a *rsa.PrivateKey":                                      {static(rsaKey(), jwtauth.RS256)},
		"Keys[0]: is a []uint8":                                              {static(secret, jwtauth.ES256)},
		"Keys[0]: is not 32 bytes":                                           {static(ed25519.PublicKey(secret[:31]), jwtauth.EdDSA)},
		"Keys[0]: is an RSA key of 1024 bits":                                {static(weakRSA(1024, 65537), jwtauth.RS256)},
		"Keys[0]: is an RSA key of 2047 bits":                                {static(weakRSA(2047, 65537), jwtauth.RS256)},
		"Keys[0]: is an RSA key of 16385 bits":                               {static(weakRSA(16385, 65537), jwtauth.RS256)},
		"Keys[0]: is an RSA key with an exponent":                            {static(weakRSA(2048, 1), jwtauth.RS256), static(weakRSA(2048, 65536), jwtauth.RS256)},
		"Keys[0]: is an Ed25519 key of low order":                            {static(make(ed25519.PublicKey, 32), jwtauth.EdDSA)},
		"Keys[0]: is an RSA key with an even modulus":                        {static(&rsa.PublicKey{N: new(big.Int).Lsh(one, 2047), E: 65537}, jwtauth.RS256)},
		"Keys[0]: is nil": {
			static((*rsa.PublicKey)(nil), jwtauth.RS256), static(&rsa.PublicKey{E: 65537}, jwtauth.RS256),
			static((*ecdsa.PublicKey)(nil), jwtauth.ES256), static(&ecdsa.PublicKey{}, jwtauth.ES256), static(&ecdsa.PublicKey{X: one, Y: one}, jwtauth.ES256),
			static(&ecdsa.PublicKey{Curve: elliptic.P256(), Y: one}, jwtauth.ES256), static(&ecdsa.PublicKey{Curve: elliptic.P256(), X: one}, jwtauth.ES256),
		},
		"Keys[0]: is not a point": {
			static(&must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)).PublicKey, jwtauth.ES256),
			static(&ecdsa.PublicKey{Curve: elliptic.P256(), X: one, Y: one}, jwtauth.ES256),
		},
		"Keys[0]: does not match any of the configured": {static(es256, jwtauth.ES384), keys(jwtauth.StaticKeys(jwtauth.Key{Algorithm: jwtauth.RS256, Public: keyFor(jwtauth.RS256).public}))},
		"Keys: HS256 requires a SharedSecret": {
			static(es256, jwtauth.HS256), keys(jwtauth.KeyFile(missing), jwtauth.HS256), keys(jwtauth.Discover(), jwtauth.ES256, jwtauth.HS256),
			keys(jwtauth.RemoteKeys("https://auth.example.com/jwks"), jwtauth.HS256),
			keys(jwtauth.Keyfunc(must(keyfunc.NewJWKSetJSON([]byte(`{"keys":[]}`)))), jwtauth.HS256),
		},
		"Keys: a shared secret is only for HS*":         {shared(secret[:64], jwtauth.ES256), shared(secret[:64], jwtauth.HS256, jwtauth.RS256)},
		"Keys: secret: got 0 bytes":                     {shared(nil, jwtauth.HS256)},
		"Keys: secret: got 31 bytes, HS256 requires at": {shared(secret[:31], jwtauth.HS256)},
		"Keys: secret: got 47 bytes, HS384 requires at": {shared(secret[:47], jwtauth.HS384)},
		"HS512 requires at least 64":                    {shared(secret[:63], jwtauth.HS512), shared(secret[:32], jwtauth.HS256, jwtauth.HS512)},
		"Keys: secret: is a published example": {
			shared([]byte("a-string-secret-at-least-256-bits-long"), jwtauth.HS256), shared([]byte("super-secret-jwt-token-with-at-least-32-characters-long"), jwtauth.HS256),
			shared([]byte("your-super-secret-jwt-token-with-at-least-32-characters-long"), jwtauth.HS256), shared([]byte(strings.Repeat("your-256-bit-secret", 2)), jwtauth.HS256),
			shared([]byte(strings.Repeat("your-512-bit-secret", 3)[:32]), jwtauth.HS256), shared(bytes.Repeat([]byte{0}, 32), jwtauth.HS256), shared([]byte(strings.Repeat("x", 64)), jwtauth.HS256),
		},
	} {
		for n, change := range changes {
			a, err := jwtauth.New(config(change))
			if got := fmt.Sprint(err); a != nil || !strings.Contains(got, want) || !strings.HasPrefix(got, "jwtauth: Config.") {
				t.Errorf("%s, %d: New error = %q, want jwtauth: Config.…%s", want, n, got, want)
			}
		}
	}
	newAuthenticator(t, config(func(c *jwtauth.Config) { // the limits
		c.Skew, c.CacheEntries, c.Issuers[0].MaxLifetime, c.Issuers[0].MaxTokenBytes = 5*time.Minute, 1_000_000, 7*24*time.Hour, 16<<10
		c.KeySets = jwtauth.KeySets{FetchTimeout: 30 * time.Second, MinInterval: time.Hour, Refresh: 24 * time.Hour, MaxStale: 7 * 24 * time.Hour}
	}))
	newAuthenticator(t, config(shared([]byte(strings.Repeat("mine-256-bit-secret", 2)), jwtauth.HS256))) // of the length of a published one
	_, err := jwtauth.New(config(func(c *jwtauth.Config) {
		c.Issuers[0].AnyTenant = true
		c.Issuers = append(c.Issuers, jwtauth.Issuer{Err: errors.New("no such server")})
	}))
	if got, want := fmt.Sprint(err), "jwtauth: Config.Issuers[1]: no such server"; got != want {
		t.Errorf("New with an Issuer.Err = %q, want %q", got, want)
	}
	_, err = jwtauth.New(jwtauth.Config{Skew: -1, Issuers: []jwtauth.Issuer{{}, {URL: "ftp://x"}}, Confirmers: []gatehouse.Confirmer{nil}})
	for _, want := range []string{
		"Config.Skew:", "Issuers[0].URL:", "Issuers[0].Audiences:", "Issuers[0].Algorithms:", "Issuers[0].Keys:", "Issuers[1].URL:", "Config.Confirmers:",
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("New with several mistakes = %v, want %s in it", err, want)
		}
	}
}

func weakRSA(bits int, e int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: e}
}

func TestConfigIsCopied(t *testing.T) {
	keys := []jwtauth.Key{{ID: "k1", Algorithm: jwtauth.ES256, Public: keyFor(jwtauth.ES256).public}}
	c := compatible(func(i *jwtauth.Issuer) {
		i.Clients, i.Require, i.Keys = []string{"web"}, []jwtauth.Mark{{Claim: "sub", Values: []string{"alice"}}}, jwtauth.StaticKeys(keys...)
		i.Tenants, i.AllowedScopes, i.AllowedRoles = []string{"acme"}, []string{"reports:read"}, []string{"admin"}
	})
	keys[0] = jwtauth.Key{ID: "k1", Algorithm: jwtauth.RS256, Public: keyFor(jwtauth.RS256).public}
	a := newAuthenticator(t, c)
	c.Issuers[0].Require[0].Values[0] = "bob"
	c.Issuers[0].Audiences[0], c.Issuers[0].Clients[0] = "https://other.example.com", "other"
	c.Issuers[0].Algorithms[0] = jwtauth.RS256
	c.Issuers[0].Tenants[0], c.Issuers[0].AllowedScopes[0], c.Issuers[0].AllowedRoles[0] = "x", "x", "x"
	for _, aud := range []any{audience, nil} {
		p, err := a.Verify(t.Context(), token(nil, object{"roles": []any{"admin"}, "aud": aud}))
		if err != nil || p.Scopes.Len() != 1 || p.Roles.Len() != 1 {
			t.Errorf("Verify after a change of the caller's Config = %+v, %v, want its scope and its role", p, err)
		}
	}
}
