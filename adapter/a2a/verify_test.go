// SPDX-License-Identifier: Apache-2.0

package gatea2a_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	gatea2a "github.com/gatehouse-go/gatehouse/adapter/a2a"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// keySet returns a JWK Set with the public half of a key.
func keySet(key *ecdsa.PrivateKey, change func(jwk map[string]any)) string {
	jwk := make(map[string]any)
	for name, value := range jose.Members(key.Public()) {
		jwk[name] = value
	}
	jwk["kid"], jwk["alg"] = "card", "ES256"
	if change != nil {
		change(jwk)
	}
	return string(must(json.Marshal(map[string]any{"keys": []any{map[string]any{"kty": "unknown"}, jwk}})))
}

// TestVerifyCard changes what a served card and its key set have.
//
// Covers RFC 7515 §5.2.
func TestVerifyCard(t *testing.T) {
	s := start(t)
	_, text := post(t, s, "GET", "/.well-known/agent-card.json", "", "")
	var card map[string]any
	if err := json.Unmarshal([]byte(text), &card); err != nil {
		t.Fatal(err)
	}
	served := card["signatures"].([]any)[0]
	// with returns the card with members that replace those of the served one.
	with := func(members map[string]any) string {
		changed := maps.Clone(card)
		maps.Copy(changed, members)
		return string(must(json.Marshal(changed)))
	}
	unsigned := maps.Clone(card)
	delete(unsigned, "signatures")
	payload := base64.RawURLEncoding.EncodeToString([]byte(must(approval.Canonical(must(json.Marshal(unsigned))))))
	signature := func(key *ecdsa.PrivateKey, header string) map[string]any {
		protected := base64.RawURLEncoding.EncodeToString([]byte(header))
		return map[string]any{"protected": protected, "signature": base64.RawURLEncoding.EncodeToString(must(jose.Sign("ES256", key, protected+"."+payload)))}
	}
	signed := func(header string) string {
		return with(map[string]any{"signatures": []any{signature(s.key, header)}})
	}
	// odd returns a signed card that is not one of the SDK.
	odd := func() string {
		members := maps.Clone(unsigned)
		members["name"] = 5
		canonical := must(approval.Canonical(must(json.Marshal(members))))
		protected := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"card","typ":"JOSE"}`))
		signed := must(jose.Sign("ES256", s.key, protected+"."+base64.RawURLEncoding.EncodeToString([]byte(canonical))))
		members["signatures"] = []any{map[string]any{"protected": protected, "signature": base64.RawURLEncoding.EncodeToString(signed)}}
		return string(must(json.Marshal(members)))
	}
	stranger := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	keys := keySet(s.key, nil)
	for _, test := range []struct {
		name, card, keys string
		want             string // in the error, "" if the card is valid
	}{
		{"as served", text, keys, ""},
		{"in another form", with(nil), keys, ""},
		{"key without alg", text, keySet(s.key, func(jwk map[string]any) { delete(jwk, "alg") }), ""},
		{"several signatures", with(map[string]any{"signatures": []any{signature(stranger, `{"alg":"ES256","kid":"card","typ":"JOSE"}`), served}}), keys, ""},
		{"jku", signed(`{"alg":"ES256","kid":"card","typ":"JOSE","jku":"https://evil.example"}`), keys, ""},
		{"another URL", with(map[string]any{"url": "https://evil.example/a2a"}), keys, "no signature"},
		{"a member that the SDK does not know", with(map[string]any{"more": 1}), keys, "no signature"},
		{"signature of a stranger", with(map[string]any{"signatures": []any{signature(stranger, `{"alg":"ES256","kid":"card","typ":"JOSE"}`)}}), keys, "no signature"},
		{"key of a stranger", text, keySet(stranger, nil), "no signature"},
		{"another kid", text, keySet(s.key, func(jwk map[string]any) { jwk["kid"] = "other" }), "no signature"},
		{"no kid", signed(`{"alg":"ES256","typ":"JOSE"}`), keySet(s.key, func(jwk map[string]any) { delete(jwk, "kid") }), "no signature"},
		{"alg of the key", text, keySet(s.key, func(jwk map[string]any) { jwk["alg"] = "ES384" }), "no signature"},
		{"key for encryption", text, keySet(s.key, func(jwk map[string]any) { jwk["use"] = "enc" }), "no signature"},
		{"alg none", signed(`{"alg":"none","kid":"card","typ":"JOSE"}`), keys, "no signature"},
		{"a token", signed(`{"alg":"ES256","kid":"card","typ":"at+jwt"}`), keys, "no signature"},
		{"no typ", signed(`{"alg":"ES256","kid":"card"}`), keys, "no signature"},
		{"crit", signed(`{"alg":"ES256","kid":"card","typ":"JOSE","crit":"b64"}`), keys, "no signature"},
		{"alg twice", signed(`{"alg":"ES256","kid":"card","typ":"JOSE","alg":"ES256"}`), keys, "no signature"},
		{"padding", strings.Replace(text, `"signature":"`, `"signature":"=`, 1), keys, "no signature"},
		{"padded header", strings.Replace(text, `"protected":"`, `"protected":"=`, 1), keys, "no signature"},
		{"no signatures", string(must(json.Marshal(unsigned))), keys, "1 to 8 signatures"},
		{"nine signatures", with(map[string]any{"signatures": []any{served, served, served, served, served, served, served, served, served}}), keys, "1 to 8 signatures"},
		{"a name twice", strings.Replace(text, "{", `{"url":"https://evil.example",`, 1), keys, "the card"},
		{"no object", "[]", keys, "the card"},
		{"large card", text + strings.Repeat(" ", 1<<20), keys, "the card has"},
		{"malformed key set", text, "{", "the key set"},
		{"a name twice in the key set", text, strings.Replace(keys, "{", `{"keys":[],`, 1), "the key set"},
		{"large key set", text, keys + strings.Repeat(" ", 1<<20), "the key set"},
		{"many keys", text, `{"keys":[{}` + strings.Repeat(",{}", 100) + `]}`, "the key set"},
		{"eight signatures", with(map[string]any{"signatures": []any{served, served, served, served, served, served, served, served}}), keys, ""},
		{"largest card", text + strings.Repeat(" ", 1<<20-len(text)), keys, ""},
		{"largest key set", text, keys + strings.Repeat(" ", 1<<20-len(keys)), ""},
		{"another type of a member", odd(), keys, "cannot unmarshal"},
		{"a hundred keys", text, strings.Replace(keys, "[", "["+strings.Repeat(`{"kty":"unknown"},`, 98), 1), ""},
		{"no keys", text, "{}", "no signature"},
	} {
		got, err := gatea2a.VerifyCard([]byte(test.card), []byte(test.keys))
		switch {
		case test.want == "" && (err != nil || got.Name != "tester"):
			t.Errorf("%s: VerifyCard = %+v, %v, want the card", test.name, got, err)
		case test.want != "" && (got != nil || err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: VerifyCard = %+v, %v, want %q", test.name, got, err, test.want)
		}
	}
}
