// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/interop/josepeer"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

const (
	joseIssuer   = "https://jose.example.com"
	joseAudience = "https://api.example.com"
)

func joseClaims() string {
	now := time.Now().Unix()
	return fmt.Sprintf(`{"iss":%q,"aud":[%q,"https://other.example.com"],"sub":"ada","client_id":"app","jti":"id-1",`+
		`"iat":%d,"exp":%d,"scope":"reports:read","nested":{"a":[1,2.50,"\u00e9\n"],"b":null}}`,
		joseIssuer, joseAudience, now, now+300)
}

// TestJoseTokens verifies tokens that jose signs, with the key set that jose
// exports, and compares the claims.
func TestJoseTokens(t *testing.T) {
	t.Parallel()
	peer := sharedPeer(t)
	asymmetric := []jwtauth.Algorithm{
		jwtauth.RS256, jwtauth.RS384, jwtauth.RS512, jwtauth.PS256, jwtauth.PS384, jwtauth.PS512,
		jwtauth.ES256, jwtauth.ES384, jwtauth.ES512, jwtauth.EdDSA,
	}
	for _, a := range asymmetric {
		peer.Generate(t, "of-"+string(a), string(a))
	}
	set := peer.JWKS(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(set)
	}))
	t.Cleanup(server.Close)
	file := writeFile(t, t.TempDir(), "jwks.json", string(set))
	for name, keys := range map[string]jwtauth.Keys{"RemoteKeys": jwtauth.RemoteKeys(server.URL), "KeyFile": jwtauth.KeyFile(file)} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{
				{URL: joseIssuer, Audiences: []string{joseAudience}, Algorithms: asymmetric, Keys: keys},
			}})
			for _, a := range asymmetric {
				claims := joseClaims()
				who := api.accept(t, "/reports", peer.Sign(t, "of-"+string(a), "at+jwt", claims))
				if who.Subject != "ada" || !sameJSON(t, string(who.Claims), claims) {
					t.Errorf("%s: the caller is %+v", a, who)
				}
			}
		})
	}
	for _, a := range []jwtauth.Algorithm{jwtauth.HS256, jwtauth.HS384, jwtauth.HS512} {
		t.Run(string(a), func(t *testing.T) {
			secret := make([]byte, 64)
			_, _ = rand.Read(secret)
			peer.Secret(t, string(a), string(a), secret)
			api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{{
				URL: joseIssuer, Audiences: []string{joseAudience}, Algorithms: []jwtauth.Algorithm{a},
				Keys: jwtauth.SharedSecret(gatehouse.NewSecret(secret)),
			}}})
			api.accept(t, "/reports", peer.Sign(t, string(a), "at+jwt", joseClaims()))
		})
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	return reflect.DeepEqual(object(t, a), object(t, b))
}

// TestJoseAttacks verifies the catalogue of attacks with both: jwtauth rejects each
// token that jose rejects, and both accept each valid token.
func TestJoseAttacks(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS512"} {
		t.Run(a, func(t *testing.T) {
			if a != "ES256" {
				enginetest.Slow(t)
			}
			t.Parallel()
			peer := sharedPeer(t)
			issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{a}})
			demands := josepeer.Demands{
				Issuer: issuer.URL, Audience: issuer.Audience, Algorithms: issuer.Algorithms, Type: "at+jwt", Skew: 30,
				JWKS: issuer.KeySet(),
			}
			keys := jwtauth.RemoteKeys(issuer.KeysURL)
			if issuer.Secret.Len() > 0 {
				demands.JWKS, demands.KeyID = nil, "secret of "+issuer.URL
				peer.Secret(t, demands.KeyID, a, issuer.Secret.Reveal())
				keys = jwtauth.SharedSecret(issuer.Secret)
			}
			tokens := must(jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
				URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.Algorithm(a)}, Keys: keys,
			}}}))
			defer func() { _ = tokens.Close() }()

			var rejected atomic.Int64
			accepted, lenient := 0, map[string]int{}
			for attempt := range authtest.Attacks(issuer) {
				token, ok := bearer(attempt.Request)
				if !ok {
					continue
				}
				who, err := tokens.Verify(t.Context(), token)
				claims, why := peer.Verify(t, token, demands)
				switch {
				case err != nil && attempt.Valid():
					t.Errorf("%s: jwtauth rejects a valid token: %v", attempt.Name, err)
				case err != nil && why == "":
					lenient[attempt.Row]++
					fallthrough
				case err != nil:
					rejected.Add(1)
				case !attempt.Valid():
					t.Errorf("%s: jwtauth accepts it", attempt.Name)
				case why != "":
					// A token may have expired between the two.
					if _, err := tokens.Verify(t.Context(), token); err == nil {
						t.Errorf("%s: jwtauth accepts it, jose rejects it: %s", attempt.Name, why)
					}
				case !sameJSON(t, who.Claims.String(), claims):
					t.Errorf("%s: jose reads %s, jwtauth reads %s", attempt.Name, claims, who.Claims)
				default:
					accepted++
				}
			}
			if accepted == 0 {
				t.Error("both accept no valid token, want some")
			}
			report(t, &rejected)
			t.Logf("both accept %d unusual valid tokens; jose, which has no profile for access tokens, accepts hostile ones of %d kinds: %s",
				accepted, len(lenient), strings.Join(slices.Sorted(maps.Keys(lenient)), ", "))
		})
	}
}

// bearer returns the token of a request that has one and nothing else.
func bearer(r *http.Request) (string, bool) {
	if len(r.Header) != 1 || r.URL.RawQuery != "" || r.Method != http.MethodGet {
		return "", false
	}
	token, err := gatehouse.Authorization(r, "Bearer")
	return token, err == nil
}
