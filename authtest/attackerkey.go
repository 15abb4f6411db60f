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
	"slices"
	"sync"
	"time"
)

// attackerPath is the path of the attacker-controlled URLs to which jku and x5u of the
// attempts point. A handler that fetches one follows a URL in an unverified token.
const attackerPath = "/.authtest/attacker/"

// attackerKeyID is the kid of the key that tokens contain or point to.
const attackerKeyID = "attacker"

// attackerAlgorithm returns the algorithm of the key of the attacker.
func (i *Issuer) attackerAlgorithm() string {
	if i.Secret.Len() > 0 {
		return "RS256"
	}
	return i.config.Algorithms[0]
}

// attackerKey returns the key of the attacker.
func (i *Issuer) attackerKey() *key {
	algorithm := i.attackerAlgorithm()
	return &key{id: attackerKeyID, algorithm: algorithm, private: shared("attacker", algorithm)}
}

func (i *Issuer) attackerJWK() jwk {
	k := i.attackerKey()
	return newJWK(k.id, k.algorithm, k.public())
}

// attackerURL returns the URL at which the attacker publishes the key.
func (i *Issuer) attackerURL(name string) string {
	return i.server.URL + attackerPath + url.PathEscape(name)
}

// certificates holds one self-signed certificate for each key.
var certificates sync.Map // of func() []byte by crypto.Signer

// certificate returns a self-signed certificate of a key.
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

// AttackerURLFetches returns the names of the attempts whose attacker-controlled
// URL was fetched: a URL in jku or x5u of a token. A verifier must not fetch one.
func (i *Issuer) AttackerURLFetches() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.fetched)
}
