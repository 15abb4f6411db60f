// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
)

// FuzzProof signs any header and payload with the key of the token. What is accepted
// must be a valid proof for a reader that is not strict, too.
func FuzzProof(f *testing.F) {
	c := newClient("ES256")
	header, claims := c.header(), c.claims()
	f.Add(header.String(), claims.String())
	f.Add(header.with(object{"crit": []string{"x"}}).String(), claims.with(object{"nonce": "x"}).String())
	f.Add(strings.Replace(header.String(), `{`, `{"typ":"JWT",`, 1), strings.Replace(claims.String(), `{`, "{\n\"HTM\":\"PUT\",", 1))
	f.Add(header.with(object{"jwk": newClient("ES256").jwk()}).String(), `{}`)
	f.Add(`{"typ":"dpop\u002bjwt"`, `{"iat":1e3}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		v := newVerifier(func(c *dpop.Config) { c.Replays = &recorder{keys: map[[32]byte]int{}} })
		if _, err := v.Confirm(request("GET", target, c.sign(header, payload)), token, c.jkt, time.Now()); err != nil {
			return
		}
		var h struct {
			Type      string         `json:"typ"`
			Algorithm string         `json:"alg"`
			Key       map[string]any `json:"jwk"`
			Crit      any            `json:"crit"`
		}
		var p struct {
			Method string  `json:"htm"`
			URL    string  `json:"htu"`
			ID     string  `json:"jti"`
			Token  string  `json:"ath"`
			Issued float64 `json:"iat"`
		}
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &p) != nil {
			t.Fatalf("accepted, but not JSON: %s %s", header, payload)
		}
		if h.Type != "dpop+jwt" || h.Algorithm != "ES256" || h.Crit != nil || h.Key["kty"] != "EC" || h.Key["d"] != nil || h.Key["x"] != c.jwk()["x"] {
			t.Errorf("accepted the header %s", header)
		}
		age := time.Since(time.Unix(int64(p.Issued), 0))
		if p.Method != "GET" || !strings.HasPrefix(strings.ToLower(p.URL), origin) || p.ID == "" || p.Token != claims["ath"] || age > 70*time.Second || age < -20*time.Second {
			t.Errorf("accepted the payload %s", payload)
		}
	})
}

// FuzzHeader sends any value of the header DPoP.
func FuzzHeader(f *testing.F) {
	c := newClient("ES256")
	valid := c.valid()
	f.Add(valid)
	f.Add(valid + ".")
	f.Add("..")
	v := newVerifier(withNonces(nonceKey))
	f.Fuzz(func(t *testing.T, proof string) {
		if _, err := v.Confirm(request("GET", target, proof), token, c.jkt, time.Now()); err == nil {
			t.Errorf("accepted %q", proof)
		}
	})
}
