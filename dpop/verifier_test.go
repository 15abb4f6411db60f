// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// The proof of RFC 9449 section 7.1, figure 13, and the moment at which it was made.
const (
	rfcProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5Ijoi" +
		"OVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1Ijoi" +
		"aHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0" +
		"NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	rfcThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

// Covers RFC 9449 §6.1.
func TestRFC9449Example(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The clock of the bubble is at 2000-01-01.
		time.Sleep(time.Until(time.Unix(1562262618, 0)))
		v := newVerifier(func(c *dpop.Config) { c.PublicOrigin = "https://resource.example.org" })
		check(t, v, request("GET", "/protectedresource", rfcProof), rfcThumbprint, "")
		check(t, v, request("GET", "/protectedresource", rfcProof), rfcThumbprint, dpop.ReasonReplayed)
	})
}

// Every check of RFC 9449 section 4.3, and what attackers change.
//
// Covers RFC 9449 §4.2 (public, ath), §4.3 (jwt, claims, typ, alg, signature, htm, iat), §6, §7, §7.1, §11.1 (size), §11.5, §11.6.
func TestProofs(t *testing.T) {
	c, other := newClient("ES256"), newClient("ES256")
	private := c.jwk().with(object{"d": base64.RawURLEncoding.EncodeToString(must(c.private.(*ecdsa.PrivateKey).Bytes()))})
	raw := func(header, payload string) func() string { return func() string { return c.sign(header, payload) } }
	changed := func(header, claims object) func() string { return func() string { return c.proof(header, claims) } }
	hmac := func() string {
		input := encode(c.header().with(object{"alg": "HS256"}).String()) + "." + encode(c.claims().String())
		return input + "." + base64.RawURLEncoding.EncodeToString(must(jwt.SigningMethodHS256.Sign(input, []byte(c.jwk().String()))))
	}
	edit := func(f func(string) string) func() string { return func() string { return f(c.valid()) } }
	iat := func(seconds int64) func() string {
		return func() string { return c.proof(nil, object{"iat": time.Now().Unix() + seconds}) }
	}
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	deep, many := json.RawMessage(strings.Repeat("[", 9)+strings.Repeat("]", 9)), object{}
	for n := range 64 {
		many[strconv.Itoa(n)] = n
	}
	type row struct {
		name  string
		proof func() string
		want  gatehouse.Reason
	}
	rows := []row{
		{"valid", c.valid, ""},
		{"other claims and parameters", changed(object{"kid": "1", "x": object{}}, object{"sub": "alice", "x": []int{1}}), ""},

		{"empty", edit(func(string) string { return "" }), dpop.ReasonMalformed},
		{"no JWT", edit(func(string) string { return "proof" }), dpop.ReasonMalformed},
		{"two segments", edit(func(p string) string { return p[:strings.LastIndex(p, ".")] }), dpop.ReasonMalformed},
		{"four segments", edit(func(p string) string { return p + ".AA" }), dpop.ReasonMalformed},
		{"two proofs in one field", edit(func(p string) string { return p + ", " + p }), dpop.ReasonMalformed},
		{"padded", edit(func(p string) string { return p + "==" }), dpop.ReasonMalformed},
		{"space behind", edit(func(p string) string { return p + " " }), dpop.ReasonMalformed},
		{"no signature", edit(func(p string) string { return p[:strings.LastIndex(p, ".")+1] }), dpop.ReasonMalformed},
		{"JSON serialization", edit(func(string) string { return `{"payload":"","protected":"","signature":""}` }), dpop.ReasonMalformed},
		{"8 KiB", func() string { return padded(c, 8<<10, nil) }, ""},
		{"over 8 KiB", func() string { return padded(c, 8<<10+1, nil) }, dpop.ReasonMalformed},
		{"deep header", changed(object{"x": deep}, nil), dpop.ReasonMalformed},
		{"deep claims", changed(nil, object{"x": deep}), dpop.ReasonMalformed},
		{"wide header", changed(many, nil), dpop.ReasonMalformed},
		{"wide claims", changed(nil, many), dpop.ReasonMalformed},
		{"header is no object", raw(`["dpop+jwt"]`, c.claims().String()), dpop.ReasonMalformed},
		{"payload is no object", raw(c.header().String(), `"x"`), dpop.ReasonMalformed},
		{"something behind the header", raw(c.header().String()+"{}", c.claims().String()), dpop.ReasonMalformed},
		{"something behind the claims", func() string { return c.sign(c.header().String(), c.claims().String()+"{}") }, dpop.ReasonMalformed},
		{"alg twice", raw(strings.Replace(c.header().String(), `{`, `{"alg":"ES256",`, 1), c.claims().String()), dpop.ReasonMalformed},
		{"htm twice", raw(c.header().String(), strings.Replace(c.claims().String(), `{`, `{"htm":"GET",`, 1)), dpop.ReasonMalformed},

		{"alg none, no signature", func() string {
			return encode(c.header().with(object{"alg": "none"}).String()) + "." + encode(c.claims().String()) + "."
		}, dpop.ReasonAlgorithm},
		{"alg HS256", hmac, dpop.ReasonAlgorithm},
		{"alg not configured", newClient("ES384").valid, dpop.ReasonAlgorithm},
		{"alg of another curve", func() string { return newClient("ES384").proof(object{"alg": "ES256"}, nil) }, dpop.ReasonAlgorithm},

		{"alg none, no jwk", changed(object{"alg": "none", "jwk": nil}, nil), dpop.ReasonAlgorithm},

		{"jwk null", raw(strings.Replace(c.header().with(object{"jwk": 0}).String(), `"jwk":0`, `"jwk":null`, 1), c.claims().String()), dpop.ReasonKey},

		{"proof of another key", other.valid, dpop.ReasonOtherKey},
		{"key of the token, signed by another", func() string { return other.proof(object{"jwk": c.jwk()}, nil) }, dpop.ReasonSignature},
		{"signature changed", edit(flip), dpop.ReasonSignature},
		{"signature of another proof", edit(func(p string) string {
			return p[:strings.LastIndex(p, ".")] + c.valid()[strings.LastIndex(c.valid(), "."):]
		}), dpop.ReasonSignature},
		{"signature of zeros", edit(func(p string) string {
			return p[:strings.LastIndex(p, ".")+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
		}), dpop.ReasonSignature},
		{"signature in DER", edit(func(p string) string {
			input := p[:strings.LastIndex(p, ".")]
			sum := sha256.Sum256([]byte(input))
			return input + "." + base64.RawURLEncoding.EncodeToString(must(ecdsa.SignASN1(rand.Reader, c.private.(*ecdsa.PrivateKey), sum[:])))
		}), dpop.ReasonSignature},

		{"iat with an exponent", raw(c.header().String(), strings.Replace(c.claims().with(object{"iat": 0}).String(), `"iat":0`, `"iat":1e9`, 1)), dpop.ReasonMalformed},
		{"iat with a fraction", func() string { return c.proof(nil, object{"iat": float64(time.Now().Unix()) + 0.5}) }, ""},
		{"60 s old", iat(-60), ""},
		{"61 s old", iat(-61), dpop.ReasonTime},
		{"10 s ahead", iat(10), ""},
		{"11 s ahead", iat(11), dpop.ReasonTime},
		{"exp in the future", func() string {
			return c.proof(nil, object{"exp": time.Now().Unix() + 1, "nbf": time.Now().Unix() + 10})
		}, ""},
		{"exp now", func() string { return c.proof(nil, object{"exp": time.Now().Unix()}) }, dpop.ReasonTime},
		{"nbf 11 s ahead", func() string { return c.proof(nil, object{"nbf": time.Now().Unix() + 11}) }, dpop.ReasonTime},
		{"nbf 11 s and iat 10 s ahead", func() string {
			return c.proof(nil, object{"nbf": time.Now().Unix() + 11, "iat": time.Now().Unix() + 10})
		}, dpop.ReasonTime},

		{"jti of 64", func() string { return c.proof(nil, object{"jti": strings.Repeat(rand.Text(), 3)[:64]}) }, ""},
		{"jti of 256", func() string { return c.proof(nil, object{"jti": strings.Repeat(rand.Text(), 10)[:256]}) }, ""},
	}
	const attacker, bad = "https://attacker.example", dpop.ReasonMalformed
	jwk := func(changes object) object { return c.jwk().with(changes) }
	type values = []any
	null := json.RawMessage("null") // nil removes the member
	for _, test := range []struct {
		want   gatehouse.Reason
		claim  bool // and not a parameter of the header
		name   string
		values []any // nil for none
	}{
		{dpop.ReasonType, false, "typ", values{nil, "JWT", "at+jwt", "DPoP+jwt", "application/dpop+jwt", []string{"dpop+jwt"}}},
		{dpop.ReasonAlgorithm, false, "alg", values{nil, "none", "es256", "PS256"}},
		{dpop.ReasonKey, false, "jwk", values{nil, c.jkt, private, jwk(object{"use": "enc"}), object{"kty": "oct", "k": "AAAA"}, jwk(object{"y": c.jwk()["x"]})}},
		{dpop.ReasonAlgorithm, false, "jwk", values{jwk(object{"alg": "ES384"}), jwk(object{"alg": "PS256"}), jwk(object{"alg": "ES"}), jwk(object{"alg": "ES256K"})}},
		{"", false, "jwk", values{jwk(object{"alg": "ES256"}), jwk(object{"use": "sig", "ext": true, "key_ops": []string{"verify"}})}},
		{bad, false, "crit", values{[]string{"typ"}}},
		{bad, false, "b64", values{true}},
		{bad, false, "cty", values{"JWT"}},
		{bad, false, "zip", values{"DEF"}},
		{bad, false, "jku", values{attacker}},
		{bad, false, "x5u", values{attacker}},
		{bad, false, "x5c", values{[]string{"MIIB"}}},
		{bad, false, "enc", values{"A128GCM"}},
		{bad, false, "epk", values{object{}}},
		{bad, false, "p2s", values{"x"}},
		{bad, false, "p2c", values{1}},
		{bad, true, "HTM", values{"GET"}}, // beside htm
		{bad, true, "htm", values{nil, []string{"GET"}}},
		{dpop.ReasonMethod, true, "htm", values{"", "POST", "get", "GET "}},
		{bad, true, "htu", values{nil, []string{target}}},
		{dpop.ReasonURL, true, "htu", values{target + "/1"}},
		{bad, true, "iat", values{nil, null, "1700000000", -1, 253402300800}},
		{dpop.ReasonTime, true, "iat", values{253402300799, 0}},
		{dpop.ReasonTime, true, "exp", values{0}},
		{bad, true, "exp", values{null, "x"}},
		{bad, true, "nbf", values{null, true}},
		{bad, true, "jti", values{nil, "", 1, strings.Repeat("j", 257), strings.Repeat("j", 4000), "a\nb"}},
		{dpop.ReasonToken, true, "ath", values{nil, "", hash("other"), hash(token) + "=", token}},
		{bad, true, "ath", values{null, 1}},
		{"", true, "nonce", values{"x"}}, // nothing requires it
		{bad, true, "nonce", values{null, 1}},
	} {
		for _, value := range test.values {
			change := changed(object{test.name: value}, nil)
			if test.claim {
				change = changed(nil, object{test.name: value})
			}
			rows = append(rows, row{fmt.Sprintf("%s = %.20v", test.name, value), change, test.want})
		}
	}
	for _, test := range rows {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(999 * time.Millisecond) // whole seconds count
				v := newVerifier()
				check(t, v, request("GET", target, test.proof()), c.jkt, test.want)
				// Once more, with the header of the client in the cache.
				check(t, v, request("GET", target, c.valid()), c.jkt, "")
				check(t, v, request("GET", target, test.proof()), c.jkt, test.want)
			})
		})
	}
}

// valid returns a valid proof.
func (c client) valid() string { return c.proof(nil, nil) }

// padded returns a valid proof of a number of bytes. A longer header shifts its base64.
func padded(c client, size int, claims object) string {
	for m := range 4 {
		for n, length := size/2, 0; length < size; n++ {
			p := c.proof(object{"y": strings.Repeat("y", m)}, object{"x": strings.Repeat("x", n)}.with(claims))
			if length = len(p); length == size {
				return p
			}
		}
	}
	panic("no proof has this size")
}

// flip changes the first character of the signature.
func flip(proof string) string {
	n := strings.LastIndex(proof, ".") + 1
	return proof[:n] + flipFirst(proof[n:])
}

// Covers RFC 9449 §4.3 (one).
func TestNumberOfProofs(t *testing.T) {
	c := newClient("ES256")
	v := newVerifier()
	p := c.valid()
	check(t, v, request("GET", target), c.jkt, dpop.ReasonMissing)
	check(t, v, request("GET", target, p, p), c.jkt, dpop.ReasonSeveral)
	check(t, v, request("GET", target, p, ""), c.jkt, dpop.ReasonSeveral)
	check(t, v, request("GET", target, p), c.jkt, "")
}

func TestAlgorithms(t *testing.T) {
	all := []dpop.Algorithm{
		dpop.ES256, dpop.ES384, dpop.ES512, dpop.PS256, dpop.PS384, dpop.PS512, dpop.RS256, dpop.RS384, dpop.RS512, dpop.EdDSA, dpop.Ed25519,
	}
	defaults := "ES256 PS256 EdDSA Ed25519"
	for _, algorithm := range all {
		c := newClient(string(algorithm))
		want := dpop.ReasonAlgorithm
		if strings.Contains(defaults, string(algorithm)) {
			want = ""
		}
		check(t, newVerifier(), request("GET", target, c.valid()), c.jkt, want)
		v := newVerifier(func(c *dpop.Config) { c.Algorithms = []dpop.Algorithm{algorithm} })
		check(t, v, request("GET", target, c.valid()), c.jkt, "")
		check(t, v, request("GET", target, flip(c.valid())), c.jkt, dpop.ReasonSignature)
	}
}

// The method is that of the request, HEAD included.
func TestMethods(t *testing.T) {
	c, v := newClient("ES256"), newVerifier()
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "QUERY"}
	for _, method := range methods {
		for _, htm := range methods {
			want := dpop.ReasonMethod
			if htm == method {
				want = ""
			}
			check(t, v, request(method, target, c.proof(nil, object{"htm": htm})), c.jkt, want)
		}
	}
}

// The header of a rejected proof is not cached.
func TestHeaderOfRejectedProof(t *testing.T) {
	c, v := newClient("ES256"), newVerifier()
	for _, changes := range []object{{"htm": "PUT"}, {"ath": "x"}, {"iat": 1}} {
		v.Confirm(request("GET", target, c.proof(nil, changes)), token, c.jkt, time.Now()) //nolint:errcheck // rejected, see TestProofs
	}
	v.Confirm(request("GET", target, flip(c.valid())), token, c.jkt, time.Now()) //nolint:errcheck // rejected, see TestProofs
	if n := dpop.CachedHeaders(v); n != 0 {
		t.Errorf("%d headers are cached after rejected proofs, want none", n)
	}
	for range 2 {
		check(t, v, request("GET", target, c.valid()), c.jkt, "")
		check(t, v, request("GET", target, c.proof(object{"y": strings.Repeat("y", 2000)}, nil)), c.jkt, "")
	}
	if n := dpop.CachedHeaders(v); n != 1 {
		t.Errorf("%d headers are cached after valid proofs, want 1: that of a long header is not", n)
	}
}

// A proof is used once, whatever else is changed, and for as long as it is accepted.
// The same jti of another key is another proof.
//
// Covers RFC 9449 §11.1 (time, jti).
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := dpop.NewMemory(0)
		shared := func(c *dpop.Config) { c.Replays = store }
		v, node := newVerifier(shared), newVerifier(shared)
		c, other := newClient("ES256"), newClient("ES256")
		id := object{"jti": "once", "iat": time.Now().Unix() + 10}
		check(t, v, request("GET", target, c.proof(nil, id)), c.jkt, "")
		check(t, v, request("GET", target, c.proof(nil, id)), c.jkt, dpop.ReasonReplayed)
		check(t, node, request("GET", target, c.proof(nil, id)), c.jkt, dpop.ReasonReplayed)
		check(t, node, request("GET", origin+"/other", c.proof(nil, object{"jti": "once", "htu": origin + "/other"})), c.jkt, dpop.ReasonReplayed)
		check(t, v, request("GET", target, other.proof(nil, object{"jti": "once"})), other.jkt, "")
		time.Sleep(70 * time.Second)
		check(t, v, request("GET", target, c.proof(nil, id)), c.jkt, dpop.ReasonReplayed)
		time.Sleep(time.Second)
		check(t, v, request("GET", target, c.proof(nil, id)), c.jkt, dpop.ReasonTime)
		time.Sleep(10 * time.Second) // the store has forgotten it
		check(t, v, request("GET", target, c.proof(nil, object{"jti": "once"})), c.jkt, "")
	})
}

// A proof whose token was validated long ago, because keys were waited for, is checked at
// the present time: the store has forgotten that it was used.
func TestReplayAfterWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, c := newVerifier(), newClient("ES256")
		r := request("GET", target, c.valid())
		check(t, v, r, c.jkt, "")
		time.Sleep(60 * time.Second)
		validated := time.Now()
		time.Sleep(12 * time.Second)
		_, err := v.Confirm(r, token, c.jkt, validated)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != dpop.ReasonTime {
			t.Errorf("Confirm = %v, want reason %s", err, dpop.ReasonTime)
		}
	})
}

// recorder is a replay store that records its calls.
type recorder struct {
	keys      map[[32]byte]int
	lifetimes []time.Duration
}

func (s *recorder) Insert(_ context.Context, key [32]byte, lifetime time.Duration) (bool, error) {
	s.keys[key]++
	s.lifetimes = append(s.lifetimes, lifetime)
	return s.keys[key] == 1, nil
}

// Only a proof that is valid in all other respects is recorded, so that no caller
// without the key can fill the store or use up the proof of a client.
func TestRejectedProofIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &recorder{keys: map[[32]byte]int{}}
		v := newVerifier(withNonces(nonceKey), func(c *dpop.Config) { c.Replays = store })
		c, other := newClient("ES256"), newClient("ES256")
		nonce := check(t, v, request("GET", target, c.valid()), c.jkt, dpop.ReasonNonce)
		with := func(changes object) object { return object{"jti": "1", "nonce": nonce}.with(changes) }
		check(t, v, request("GET", target, other.proof(nil, with(nil))), c.jkt, dpop.ReasonOtherKey)
		check(t, v, request("GET", target, c.proof(nil, with(object{"htm": "PUT"}))), c.jkt, dpop.ReasonMethod)
		check(t, v, request("GET", target, c.proof(nil, with(object{"htu": origin}))), c.jkt, dpop.ReasonURL)
		check(t, v, request("GET", target, c.proof(nil, with(object{"ath": "x"}))), c.jkt, dpop.ReasonToken)
		check(t, v, request("GET", target, c.proof(nil, with(object{"iat": 1}))), c.jkt, dpop.ReasonTime)
		check(t, v, request("GET", target, c.proof(nil, with(object{"nonce": "x"}))), c.jkt, dpop.ReasonNonce)
		check(t, v, request("GET", target, flip(c.proof(nil, with(nil)))), c.jkt, dpop.ReasonSignature)
		if len(store.keys) > 0 {
			t.Errorf("the store has %d keys after rejected proofs, want none", len(store.keys))
		}
		for _, iat := range []int64{-60, 0, 10} {
			id := strings.Repeat("j", 230) + rand.Text() // 256 bytes
			check(t, v, request("GET", target, c.proof(nil, with(object{"jti": id, "iat": time.Now().Unix() + iat}))), c.jkt, "")
			if n := store.keys[sha256.Sum256([]byte("dpop\x00"+c.jkt+id))]; n != 1 { // no other package uses this name
				t.Errorf("the proof is recorded %d times under its name, want once", n)
			}
			if got, want := store.lifetimes[len(store.lifetimes)-1], time.Duration(71+iat)*time.Second; got != want {
				t.Errorf("lifetime of a proof with iat %+d s = %v, want %v", iat, got, want)
			}
		}
	})
}

func TestStoreDown(t *testing.T) {
	c := newClient("ES256")
	calls := 0
	v := newVerifier(func(c *dpop.Config) { c.Replays = down{&calls} })
	check(t, v, request("GET", target, c.valid()), c.jkt, dpop.ReasonReplaysUnavailable)
	check(t, v, request("GET", target, flip(c.valid())), c.jkt, dpop.ReasonSignature)
	if calls != 1 {
		t.Errorf("the store was called %d times, want once", calls)
	}
	if _, err := v.Confirm(request("GET", target, c.valid()), token, c.jkt, time.Now()); !errors.Is(err, errDown) {
		t.Errorf("Confirm error = %v, want one that wraps %v", err, errDown)
	}
}

// A full store refuses: it does not forget a proof that could be used again.
func TestFullMemoryRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient("ES256")
		v := newVerifier(func(c *dpop.Config) { c.Replays = dpop.NewMemory(16) }) // one key in each part
		var first string
		for n := range 1000 {
			p := c.valid()
			if n == 0 {
				first = p
			}
			if _, err := v.Confirm(request("GET", target, p), token, c.jkt, time.Now()); err != nil {
				check(t, v, request("GET", target, first), c.jkt, dpop.ReasonReplayed)
				check(t, v, request("GET", target, p), c.jkt, dpop.ReasonReplaysUnavailable)
				time.Sleep(72 * time.Second)
				check(t, v, request("GET", target, c.valid()), c.jkt, "")
				return
			}
		}
		t.Error("1000 proofs in a store of 16: no error")
	})
}

// The header of a proof is read with the cost of a hash until the key is known to be
// that of the token.
func TestNoSignatureOfAnotherKey(t *testing.T) {
	c, other := newClient("ES256"), newClient("ES256")
	v := newVerifier()
	invalid := flip(other.proof(nil, object{"htm": "PUT", "ath": "x"}))
	check(t, v, request("GET", target, invalid), c.jkt, dpop.ReasonOtherKey)
	check(t, v, request("GET", target, c.valid()), `{"kty":"EC"}`, dpop.ReasonOtherKey)
	check(t, v, request("GET", target, c.valid()), c.jkt+"=", dpop.ReasonOtherKey)
	check(t, v, request("GET", target, c.valid()), c.jkt[:42], dpop.ReasonOtherKey)
	check(t, v, request("GET", target, c.valid()), "", dpop.ReasonOtherKey)
	check(t, v, request("GET", target, c.valid()), strings.ToLower(c.jkt), dpop.ReasonOtherKey)
}

// The cause names the parameter or the claim, for operators.
func TestCauses(t *testing.T) {
	c, v := newClient("ES256"), newVerifier()
	for want, proof := range map[string]string{
		"dpop: alg: ES256 does not fit a key of type *ecdsa.PublicKey": newClient("ES384").proof(object{"alg": "ES256"}, nil),
		"dpop: claim htm: missing or not a string":                     c.proof(nil, object{"htm": nil}),
	} {
		_, err := v.Confirm(request("GET", target, proof), token, c.jkt, time.Now())
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Cause.Error() != want {
			t.Errorf("Confirm error = %v, want the cause %s", err, want)
		}
	}
}

func TestOtherCurveDoesNotVerify(t *testing.T) {
	// A P-384 key under the name of P-256 has another thumbprint and no point there.
	k := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	c := client{"ES384", k, must(jose.Thumbprint(k.Public()))}
	p := c.proof(object{"alg": "ES256", "jwk": c.jwk().with(object{"crv": "P-256"})}, nil)
	check(t, newVerifier(), request("GET", target, p), c.jkt, dpop.ReasonKey)
}
