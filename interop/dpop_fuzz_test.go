// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/interop/dpoppeer"
	"github.com/gatehouse-go/gatehouse/interop/node"
)

// FuzzDPoPProofs signs valid proofs to which a member with any name and value was added,
// in front or at the end of the header, of the key or of the claims. What the verifier
// accepts, jose accepts too.
func FuzzDPoPProofs(f *testing.F) {
	node.Require(f)
	peer := dpoppeer.Start(f)
	for where := range byte(6) {
		for _, member := range [][2]string{
			{"typ", `"JWT"`},
			{"alg", `"none"`},
			{"crit", `["b64"]`},
			{"b64", `false`},
			{"d", `"AA"`},
			{"kty", `"oct"`},
			{"crv", `"P-384"`},
			{"htm", `"PUT"`},
			{"htu", `"https://api.example.com/reports?x#y"`},
			{"iat", `1e300`},
			{"jti", `null`},
			{"ath", `[]`},
			{"exp", `0`},
			{"nbf", `-1`},
			{"\\u0068tm", `"PUT"`},
			{"HTM", `"PUT"`},
			{"x", `{"x":[1,{"y":"\ud800"}]}`},
			{"", `""`},
		} {
			f.Add(where, member[0], member[1])
		}
	}
	const origin, path, token = "https://api.example.com", "/reports", "token"
	target := must(url.Parse(origin + path))
	private, key := newProofKey()
	f.Fuzz(func(t *testing.T, where byte, name, value string) {
		verifier := must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: dpop.NewMemory(16)}))
		valid := must(key.Proof(dpop.ProofRequest{Method: http.MethodGet, URL: target, AccessToken: token}))
		parts := strings.Split(valid, ".")
		header, claims := decode(parts[0]), decode(parts[1])
		member := `"` + name + `":` + value
		add := func(object string) string {
			if where/3%2 == 0 {
				return "{" + member + "," + object[1:]
			}
			return object[:len(object)-1] + "," + member + "}"
		}
		switch where % 3 {
		case 0:
			header = add(header)
		case 1:
			var parsed struct {
				Key json.RawMessage `json:"jwk"`
			}
			if err := json.Unmarshal([]byte(header), &parsed); err != nil {
				t.Fatal(err)
			}
			header = strings.Replace(header, string(parsed.Key), add(string(parsed.Key)), 1)
		case 2:
			claims = add(claims)
		}
		proof := signES256(private, header, claims)
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.Header.Set("DPoP", proof)
		if _, err := verifier.Confirm(r, token, key.Thumbprint(), time.Now()); err != nil {
			return
		}
		if ok, why := peer.Verify(t, proof, origin+path, token, []string{"ES256", "PS256", "EdDSA", "Ed25519"}); !ok {
			t.Errorf("accepted, but jose says %s: header %q, claims %q", why, header, claims)
		}
	})
}
