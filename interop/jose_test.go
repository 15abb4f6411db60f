// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
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
