// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// A client of the FAPI 2.0 Security Profile. Both keys are generated here; in a
// program they come from a file or a hardware module, so that tokens outlive the
// process.
func ExampleFAPI2() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: private})
	if err != nil {
		log.Fatal(err)
	}
	key, err := dpop.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}

	// snippet: fapi
	client, err := oauth.New(oauth.Config{
		Issuer:   "https://as.example.com",
		ClientID: "reports",
		Profile:  oauth.FAPI2,
		Auth:     oauth.PrivateKeyJWT,
		Keys:     keys,
		DPoP:     key,
	})
	// end snippet
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()

	_, err = oauth.New(oauth.Config{Issuer: "https://as.example.com", ClientID: "reports", Profile: oauth.FAPI2, Auth: oauth.Public, DPoP: key})
	fmt.Println(err)
	// Output: oauth: Config.Auth: FAPI 2.0 requires private_key_jwt, tls_client_auth or self_signed_tls_client_auth
}
