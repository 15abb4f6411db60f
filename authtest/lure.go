// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"sync"
	"time"
)

// lurePath is where tokens of the kit point to with jku and x5u. Whoever asks
// there follows an address out of a token that is not verified.
const lurePath = "/.authtest/lure/"

// lureID names the key that tokens bring along or point to.
const lureID = "lure"

// lureAlgorithm is the algorithm of the attacker's own key.
func (i *Issuer) lureAlgorithm() string {
	if i.Secret.Len() > 0 {
		return "RS256"
	}
	return i.config.Algorithms[0]
}

// lure returns the attacker's own key.
func (i *Issuer) lure() *key {
	algorithm := i.lureAlgorithm()
	return &key{id: lureID, algorithm: algorithm, private: shared("lure", algorithm)}
}

func (i *Issuer) lureJWK() jwk {
	k := i.lure()
	return newJWK(k.id, k.algorithm, k.public())
}

// lureURL is where the attacker publishes that key.
func (i *Issuer) lureURL(name string) string {
	return i.server.URL + lurePath + url.PathEscape(name)
}

// certificates holds one self-signed certificate for each key that asked.
var certificates sync.Map // of func() []byte by crypto.Signer

// certificate returns a certificate in which a key vouches for itself.
func certificate(private crypto.Signer) []byte {
	once, _ := certificates.LoadOrStore(fmt.Sprint(private.Public()), sync.OnceValue(func() []byte {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1),
			Subject:      pkix.Name{CommonName: "issuer"},
			NotBefore:    time.Now().Add(-time.Hour),
			NotAfter:     time.Now().Add(24 * time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
		if err != nil {
			panic(fmt.Errorf("authtest: %w", err))
		}
		return der
	}))
	return once.(func() []byte)()
}

// x5c, x5t and x5t256 are the header parameters of RFC 7515 §4.1.6 to 4.1.8.
func x5c(der []byte) []string { return []string{base64.StdEncoding.EncodeToString(der)} }

func x5t(der []byte) string {
	sum := sha1.Sum(der)
	return encode(sum[:])
}

func x5t256(der []byte) string {
	sum := sha256.Sum256(der)
	return encode(sum[:])
}
