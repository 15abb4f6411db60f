// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
)

// A nonce is valid for five minutes, on every server with the key, and is renewed
// when less than half of its life is left.
//
// Covers RFC 9449 §4.3 (nonce), §8 (unpredictable), §8.1, §8.2 (cache), §11.3.
func TestNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient("ES256")
		v, node, foreign := newVerifier(withNonces(nonceKey)), newVerifier(withNonces(nonceKey)), newVerifier(withNonces(otherKey))
		send := func(v *dpop.Verifier, nonce string, want gatehouse.Reason) string {
			t.Helper()
			return check(t, v, request("GET", target, c.proof(nil, object{"nonce": nonce})), c.jkt, want)
		}
		first := check(t, v, request("GET", target, c.valid()), c.jkt, dpop.ReasonNonce)
		if len(first) < 22 || strings.Trim(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("nonce %q, want base64url of at least 128 bits", first)
		}
		if fresh := send(v, first, ""); fresh != "" {
			t.Errorf("a fresh nonce is renewed: %q", fresh)
		}
		send(node, first, "")
		send(foreign, first, dpop.ReasonNonce)
		for name, invalid := range map[string]string{
			"empty": "", "text": "nonce", "cut": first[1:], "longer": first + "AAAA", "padded": first + "=", "changed": flipFirst(first),
			"changed MAC": first[:len(first)-1] + flipFirst(first[len(first)-1:]), "zero": base64.RawURLEncoding.EncodeToString(make([]byte, 24)),
			"huge": strings.Repeat("A", 4000),
		} {
			if fresh := send(v, invalid, dpop.ReasonNonce); fresh != first {
				t.Errorf("%s: fresh nonce %q, want %q", name, fresh, first)
			}
		}
		time.Sleep(150 * time.Second)
		if fresh := send(v, first, ""); fresh != "" {
			t.Errorf("a nonce with half of its life left is renewed: %q", fresh)
		}
		time.Sleep(time.Second)
		second := send(v, first, "")
		if second == "" || second == first {
			t.Errorf("after 151 s: fresh nonce %q, want another one", second)
		}
		// A rejected proof gets a fresh nonce too.
		if fresh := check(t, v, request("GET", target, c.proof(nil, object{"nonce": first, "htm": "PUT"})), c.jkt, dpop.ReasonMethod); fresh != second {
			t.Errorf("fresh nonce of a rejected proof = %q, want %q", fresh, second)
		}
		if fresh := check(t, v, request("GET", target), c.jkt, dpop.ReasonMissing); fresh != second {
			t.Errorf("fresh nonce without a proof = %q, want %q", fresh, second)
		}
		if fresh := check(t, v, request("GET", target, c.proof(nil, object{"nonce": second, "htm": "PUT"})), c.jkt, dpop.ReasonMethod); fresh != "" {
			t.Errorf("a fresh nonce of a rejected proof is renewed: %q", fresh)
		}
		time.Sleep(149 * time.Second)
		send(v, first, "")
		time.Sleep(time.Second)
		send(v, first, dpop.ReasonNonce)
		send(v, second, "")
		if send(newVerifier(), first, "") != "" {
			t.Error("a server without nonces sends one")
		}
	})
}

func flipFirst(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// The clocks of two servers may differ by ten seconds.
func TestNonceOfServerWhoseClockIsAhead(t *testing.T) {
	c := newClient("ES256")
	var early, late string
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Second)
		early = check(t, newVerifier(withNonces(nonceKey)), request("GET", target, c.valid()), c.jkt, dpop.ReasonNonce)
		time.Sleep(time.Second)
		late = check(t, newVerifier(withNonces(nonceKey)), request("GET", target, c.valid()), c.jkt, dpop.ReasonNonce)
	})
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(withNonces(nonceKey))
		check(t, v, request("GET", target, c.proof(nil, object{"nonce": early})), c.jkt, "")
		check(t, v, request("GET", target, c.proof(nil, object{"nonce": late})), c.jkt, dpop.ReasonNonce)
	})
}

func TestNonceKeyRotation(t *testing.T) {
	c := newClient("ES256")
	send := func(nonce string, want gatehouse.Reason, keys ...gatehouse.Secret) string {
		t.Helper()
		return check(t, newVerifier(withNonces(keys...)), request("GET", target, c.proof(nil, object{"nonce": nonce})), c.jkt, want)
	}
	old := send("", dpop.ReasonNonce, nonceKey)
	send(old, "", nonceKey, otherKey)
	send(old, "", otherKey, nonceKey)
	send(old, dpop.ReasonNonce, otherKey)
	fresh := send("", dpop.ReasonNonce, otherKey, nonceKey)
	send(fresh, "", otherKey)
	send(fresh, dpop.ReasonNonce, nonceKey)
	send(fresh, "", nonceKey, gatehouse.NewSecret(make([]byte, 32)), otherKey)
}
