// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
)

// jwk is a JSON Web Key, RFC 7517 section 4.
type jwk map[string]any

// newJWK describes a public key that verifies signatures.
func newJWK(id, algorithm string, public crypto.PublicKey) jwk {
	k := jwk{"kid": id, "alg": algorithm, "use": "sig"}
	switch public := public.(type) {
	case *rsa.PublicKey:
		k["kty"] = "RSA"
		k["n"] = encode(public.N.Bytes())
		k["e"] = encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4 || X || Y
		if err != nil {
			panic(fmt.Errorf("authtest: %w", err))
		}
		half := len(point) / 2
		k["kty"] = "EC"
		k["crv"] = public.Curve.Params().Name
		k["x"] = encode(point[1 : 1+half])
		k["y"] = encode(point[1+half:])
	case ed25519.PublicKey:
		k["kty"] = "OKP"
		k["crv"] = "Ed25519"
		k["x"] = encode(public)
	}
	return k
}

// with returns a copy with more members; a nil value takes one away.
func (k jwk) with(members jwk) jwk {
	all := make(jwk)
	for _, m := range []jwk{k, members} {
		for name, value := range m {
			if value == nil {
				delete(all, name)
				continue
			}
			all[name] = value
		}
	}
	return all
}

func (k jwk) String() string {
	text, err := json.Marshal(k)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err)) // nothing in it that JSON cannot say
	}
	return string(text)
}

// KeySet returns the JWK Set that the issuer serves while nothing is broken.
func (i *Issuer) KeySet() []byte {
	keys := []jwk{}
	for _, k := range i.Keys() {
		keys = append(keys, newJWK(k.ID, k.Algorithm, k.Public))
	}
	i.mu.Lock()
	for _, odd := range i.oddKeys {
		keys = append(keys, odd.jwk)
	}
	i.mu.Unlock()
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(fmt.Errorf("authtest: key set: %w", err))
	}
	return document
}

// id returns the kid as JSON.
func (k jwk) id() string { return marshal(k["kid"]) }
