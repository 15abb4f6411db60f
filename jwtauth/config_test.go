// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Each mistake is an error that names the field.
func TestNewRejects(t *testing.T) {
	issuer := func(f func(*jwtauth.Issuer)) func(*jwtauth.Config) {
		return func(c *jwtauth.Config) { f(&c.Issuers[0]) }
	}
	algorithms := func(a ...jwtauth.Algorithm) func(*jwtauth.Config) {
		return issuer(func(i *jwtauth.Issuer) { i.Algorithms = a })
	}
	keys := func(k jwtauth.Keys, a ...jwtauth.Algorithm) func(*jwtauth.Config) {
		return issuer(func(i *jwtauth.Issuer) {
			i.Keys = k
			if a != nil {
				i.Algorithms = a
			}
		})
	}
	static := func(public any, a jwtauth.Algorithm) func(*jwtauth.Config) {
		return keys(jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: a, Public: public}), a)
	}
	shared := func(n int, a ...jwtauth.Algorithm) func(*jwtauth.Config) {
		return keys(jwtauth.SharedSecret(gatehouse.NewSecret(secret[:n])), a...)
	}
	url := func(u string) func(*jwtauth.Config) { return issuer(func(i *jwtauth.Issuer) { i.URL = u }) }
	missing := filepath.Join(t.TempDir(), "missing.json")

	for _, test := range []struct {
		name   string
		change func(*jwtauth.Config)
		want   string
	}{
		{"no issuer", func(c *jwtauth.Config) { c.Issuers = nil }, "Config.Issuers: at least one"},
		{"issuer twice", func(c *jwtauth.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, "Issuers[1].URL: duplicate"},
		{"negative skew", func(c *jwtauth.Config) { c.Skew = -1 }, "Config.Skew"},
		{"large skew", func(c *jwtauth.Config) { c.Skew = 5*time.Minute + 1 }, "Config.Skew"},
		{"negative cache", func(c *jwtauth.Config) { c.CacheEntries = -2 }, "Config.CacheEntries"},
		{"large cache", func(c *jwtauth.Config) { c.CacheEntries = 1_000_001 }, "Config.CacheEntries"},
		{"short fetch", func(c *jwtauth.Config) { c.KeySets.FetchTimeout = 1 }, "KeySets.FetchTimeout"},
		{"long fetch", func(c *jwtauth.Config) { c.KeySets.FetchTimeout = time.Minute }, "KeySets.FetchTimeout"},
		{"short interval", func(c *jwtauth.Config) { c.KeySets.MinInterval = time.Millisecond }, "KeySets.MinInterval"},
		{"short refresh", func(c *jwtauth.Config) { c.KeySets.Refresh = time.Millisecond }, "KeySets.Refresh"},
		{"long stale", func(c *jwtauth.Config) { c.KeySets.MaxStale = 8 * 24 * time.Hour }, "KeySets.MaxStale"},
		{"empty URL", url(""), "Issuers[0].URL: required"},
		{"relative URL", url("/x"), "URL: not an absolute URL"},
		{"plain http", url("http://auth.example.com"), "URL: plain http"},
		{"other scheme", url("ftp://auth.example.com"), "URL: not an https URL"},
		{"file", url("file:///etc/passwd"), "URL: not an absolute URL"},
		{"user in URL", url("https://u@auth.example.com"), "URL: has user information"},
		{"fragment", url("https://auth.example.com#a"), "URL: has a fragment"},
		{"query", url("https://auth.example.com?a"), "URL: has a query"},
		{"empty query", url("https://auth.example.com?"), "URL: has a query"},
		{"metadata", url("https://auth.example.com/.well-known/openid-configuration"), "URL: is a metadata address"},
		{"almost loopback", url("http://localhost.example.com"), "URL: plain http"},
		{"empty audience", issuer(func(i *jwtauth.Issuer) { i.Audience = "" }), "Audience: required"},
		{"no algorithm", algorithms(), "Algorithms: at least one"},
		{"none", algorithms("none"), `Algorithms: "none" is not supported`},
		{"empty algorithm", algorithms(""), `Algorithms: "" is not supported`},
		{"lower case", algorithms("es256"), `Algorithms: "es256" is not supported`},
		{"unsupported beside ES256", algorithms("ES256K", jwtauth.ES256), `Algorithms: "ES256K" is not supported`},
		{"no keys", keys(nil), "Keys: required"},
		{"profile", issuer(func(i *jwtauth.Issuer) { i.Profile = 2 }), "Profile: got 2, want RFC9068"},
		{"lifetime", issuer(func(i *jwtauth.Issuer) { i.MaxLifetime = 8 * 24 * time.Hour }), "MaxLifetime"},
		{"negative lifetime", issuer(func(i *jwtauth.Issuer) { i.MaxLifetime = -1 }), "MaxLifetime"},
		{"token bytes", issuer(func(i *jwtauth.Issuer) { i.MaxTokenBytes = 16<<10 + 1 }), "MaxTokenBytes"},
		{"negative bytes", issuer(func(i *jwtauth.Issuer) { i.MaxTokenBytes = -1 }), "MaxTokenBytes"},

		{"no static key", keys(jwtauth.StaticKeys()), "Keys: at least one key"},
		{"nil key", static(nil, jwtauth.ES256), "Keys[0]: is a <nil>"},
		{"nil RSA", static((*rsa.PublicKey)(nil), jwtauth.RS256), "Keys[0]: is nil"},
		{"nil EC", static((*ecdsa.PublicKey)(nil), jwtauth.ES256), "Keys[0]: is nil"},
		{"empty EC", static(&ecdsa.PublicKey{}, jwtauth.ES256), "Keys[0]: is nil"},
		{"empty RSA", static(&rsa.PublicKey{E: 65537}, jwtauth.RS256), "Keys[0]: is nil"},
		{"EC without X", static(&ecdsa.PublicKey{Curve: elliptic.P256(), Y: big.NewInt(1)}, jwtauth.ES256), "Keys[0]: is nil"},
		{"EC without Y", static(&ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1)}, jwtauth.ES256), "Keys[0]: is nil"},
		{"EC without curve", static(&ecdsa.PublicKey{X: big.NewInt(1), Y: big.NewInt(1)}, jwtauth.ES256), "Keys[0]: is nil"},
		{"private key", static(rsaKey(), jwtauth.RS256), "want *rsa.PublicKey"},
		{"symmetric key", static(secret, jwtauth.ES256), "want *rsa.PublicKey"},
		{"static HS256", static(keyFor(jwtauth.ES256).public, jwtauth.HS256), "HS256 needs a SharedSecret"},
		{"HS256 file", keys(jwtauth.KeyFile(missing), jwtauth.HS256), "HS256 needs a SharedSecret"},
		{"HS256 keyfunc", keys(jwtauth.Keyfunc(must(keyfunc.NewJWKSetJSON([]byte(`{"keys":[]}`)))), jwtauth.HS256), "HS256 needs a SharedSecret"},
		{"key without algorithm", keys(jwtauth.StaticKeys(jwtauth.Key{Public: keyFor(jwtauth.ES256).public})), "Keys[0].Algorithm: required"},
		{"key for another algorithm", keys(jwtauth.StaticKeys(jwtauth.Key{Algorithm: jwtauth.RS256, Public: keyFor(jwtauth.RS256).public})), "none of the configured algorithms"},
		{"P-256 for ES384", static(keyFor(jwtauth.ES256).public, jwtauth.ES384), "none of the configured algorithms"},
		{"P-224", static(&must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)).PublicKey, jwtauth.ES256), "not a point on an accepted curve"},
		{"off the curve", static(&ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, jwtauth.ES256), "not a point"},
		{"short Ed25519", static(ed25519.PublicKey(secret[:31]), jwtauth.EdDSA), "not 32 bytes"},
		{"1024 bits", static(weakRSA(1024, 65537), jwtauth.RS256), "RSA key of 1024 bits"},
		{"2047 bits", static(weakRSA(2047, 65537), jwtauth.RS256), "RSA key of 2047 bits"},
		{"huge RSA", static(weakRSA(16385, 65537), jwtauth.RS256), "RSA key of 16385 bits"},
		{"e=1", static(weakRSA(2048, 1), jwtauth.RS256), "exponent"},
		{"e even", static(weakRSA(2048, 65536), jwtauth.RS256), "exponent"},
		{"even modulus", static(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}, jwtauth.RS256), "even modulus"},

		{"HS256, 31 bytes", shared(31, jwtauth.HS256), "has 31 bytes, HS256 needs at least 32"},
		{"HS384, 47 bytes", shared(47, jwtauth.HS384), "HS384 needs at least 48"},
		{"HS512, 63 bytes", shared(63, jwtauth.HS512), "HS512 needs at least 64"},
		{"HS256 and HS512, 32 bytes", shared(32, jwtauth.HS256, jwtauth.HS512), "HS512 needs at least 64"},
		{"empty secret", keys(jwtauth.SharedSecret(gatehouse.Secret{}), jwtauth.HS256), "has 0 bytes"},
		{"secret for ES256", shared(64, jwtauth.ES256), "a shared secret is for HS* only"},
		{"secret for both", shared(64, jwtauth.HS256, jwtauth.RS256), "a shared secret is for HS* only"},
		{
			"published secret",
			keys(jwtauth.SharedSecret(gatehouse.NewSecret([]byte("a-string-secret-at-least-256-bits-long"))), jwtauth.HS256),
			"is a published example",
		},

		{"remote http", keys(jwtauth.RemoteKeys("http://auth.example.com/jwks")), "Keys: plain http"},
		{"remote file", keys(jwtauth.RemoteKeys("file:///jwks")), "Keys: not an absolute URL"},
		{"remote empty", keys(jwtauth.RemoteKeys("")), "Keys: required"},
		{"remote HS256", keys(jwtauth.RemoteKeys("https://auth.example.com/jwks"), jwtauth.HS256), "HS256 needs a SharedSecret"},
		{"discovered HS256", keys(jwtauth.Discover(), jwtauth.ES256, jwtauth.HS256), "HS256 needs a SharedSecret"},
		{"nil keyfunc", keys(jwtauth.Keyfunc(nil)), "the keyfunc is nil"},
		{"no such file", keys(jwtauth.KeyFile(missing)), "Keys: open"},
	} {
		a, err := jwtauth.New(config(test.change))
		if got := fmt.Sprint(err); a != nil || !strings.Contains(got, test.want) || !strings.HasPrefix(got, "jwtauth: Config.") {
			t.Errorf("%s: New error = %q, want jwtauth: Config.…%s", test.name, got, test.want)
		}
	}
	_, err := jwtauth.New(jwtauth.Config{
		Skew: -1, Issuers: []jwtauth.Issuer{{}, {URL: "ftp://x"}}, Confirmers: []gatehouse.Confirmer{nil},
	})
	for _, want := range []string{
		"Config.Skew:", "Issuers[0].URL:", "Issuers[0].Audience:", "Issuers[0].Algorithms:", "Issuers[0].Keys:", "Issuers[1].URL:", "Config.Confirmers:",
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

// Signatures for a key of low order can be forged.
func TestLowOrderKeys(t *testing.T) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		_, err := jwtauth.New(issuerConfig(func(i *jwtauth.Issuer) {
			i.Algorithms = []jwtauth.Algorithm{jwtauth.EdDSA}
			i.Keys = jwtauth.StaticKeys(jwtauth.Key{Algorithm: jwtauth.EdDSA, Public: ed25519.PublicKey(must(hex.DecodeString(y)))})
		}))
		if err == nil || !strings.Contains(err.Error(), "low order") {
			t.Errorf("New with key %s = %v, want a key of low order", y, err)
		}
	}
}

func TestConfigIsCopied(t *testing.T) {
	c := config()
	a := newAuthenticator(t, c)
	c.Issuers[0].Audience = "https://other.example.com"
	c.Issuers[0].Algorithms[0] = jwtauth.RS256
	check(t, a, "after a change of the caller's Config", token(nil, nil), "")
}

func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jwks.json")
	key := ecJWK("k1", keyFor(jwtauth.ES256))
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"one key":        {`{"keys":[` + key + `]}`, true},
		"an invalid key": {`{"keys":[` + key + `,{"kty":"oct","k":"AA"}]}`, false},
		"no key":         {`{"keys":[]}`, false},
		"too large":      {`{"keys":[` + strings.Repeat(" ", 512<<10) + key + `]}`, false},
		"not a key set":  {`keys`, false},
	} {
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := jwtauth.New(issuerConfig(func(i *jwtauth.Issuer) { i.Keys = jwtauth.KeyFile(file) }))
		if (err == nil) != test.ok {
			t.Errorf("%s: New = %v, want accepted: %v", name, err, test.ok)
		}
		if err == nil {
			check(t, a, name, token(nil, nil), "")
		}
	}
}
