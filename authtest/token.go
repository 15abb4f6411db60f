// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"time"
)

// Token returns a good access token, RFC 9068 section 2, that is valid for five
// minutes. It carries iss, sub, aud, client_id, iat, exp, jti and what the
// issuer was configured with; claims replaces, adds and, with a nil value,
// takes away.
//
//	issuer.Token(nil)
//	issuer.Token(authtest.Claims{"sub": "bob", "scope": "reports:read"})
//	issuer.Token(authtest.Claims{"cnf": map[string]any{"jkt": thumbprint}})
//
// It panics if a value is one that encoding/json cannot write.
func (i *Issuer) Token(claims Claims) string { return i.TokenWith(nil, claims) }

// TokenWith returns a token like [Issuer.Token] whose header is changed as
// well. If header names the alg or the kid of a key that the issuer has or had,
// that key signs; otherwise the value is written as it is, and the issuer's
// first key signs.
func (i *Issuer) TokenWith(header Header, claims Claims) string {
	algorithm, _ := header["alg"].(string)
	id, _ := header["kid"].(string)
	k := i.signer(algorithm, id)
	return k.sign(i.header(k).merge(header).String(), i.claims().merge(claims).String())
}

// Sign returns header and payload, which need not be JSON, as a JWS in compact
// form, signed with the issuer's first key and the algorithm of that key
// whatever the header says.
func (i *Issuer) Sign(header, payload []byte) string {
	return i.signer("", "").sign(string(header), string(payload))
}

// IDToken returns an ID token, OpenID Connect Core section 2: meant for the
// client, not for an API, and signed with the same key as the access tokens.
func (i *Issuer) IDToken(claims Claims) string {
	k := i.signer("", "")
	payload := i.claims().without("scope").without("client_id").without("jti").merge(Claims{
		"aud":       clientID,
		"nonce":     rand.Text(),
		"at_hash":   encode("authtest authtest"[:16]),
		"auth_time": time.Now().Unix(),
	})
	return k.sign(i.header(k).merge(Header{"typ": "JWT"}).String(), payload.merge(claims).String())
}

// ExpiredToken returns a token that was good until an hour ago.
func (i *Issuer) ExpiredToken(claims Claims) string {
	past := i.claims().merge(Claims{
		"iat": time.Now().Add(-65 * time.Minute).Unix(),
		"exp": time.Now().Add(-60 * time.Minute).Unix(),
	})
	k := i.signer("", "")
	return k.sign(i.header(k).String(), past.merge(claims).String())
}

// ForeignToken returns a token that says everything a good one says, the kid
// included, but is signed with a key that is not the issuer's.
func (i *Issuer) ForeignToken(claims Claims) string {
	k := i.signer("", "")
	input := encode(i.header(k).String()) + "." + encode(i.claims().merge(claims).String())
	return input + "." + encode(signAs(k.algorithm, foreign(k.algorithm), input))
}

// UnsignedToken returns a token with the algorithm none and no signature.
func (i *Issuer) UnsignedToken(claims Claims) string {
	header := i.header(i.signer("", "")).merge(Header{"alg": "none"})
	return encode(header.String()) + "." + encode(i.claims().merge(claims).String()) + "."
}

// ConfusedToken returns a token with the algorithm HS256 whose secret is the
// issuer's public key in PEM, the classic confusion of a public key with a
// shared secret. An issuer that has no public key signs with its own name.
func (i *Issuer) ConfusedToken(claims Claims) string {
	k := i.signer("", "")
	secret := []byte(i.URL)
	if public := k.public(); public != nil {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			panic(err) // not with the keys that we make
		}
		secret = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	input := encode(i.header(k).merge(Header{"alg": "HS256"}).String()) + "." +
		encode(i.claims().merge(claims).String())
	return input + "." + encode(signAs("HS256", secret, input))
}

const clientID = "authtest-client"

// header is the header of a good token.
func (i *Issuer) header(k *key) object {
	return object{}.merge(Header{"alg": k.algorithm, "kid": k.id, "typ": i.config.Type})
}

// claims is the payload of a good token.
func (i *Issuer) claims() object {
	now := time.Now()
	claims := object{}.merge(Claims{
		"iss":       i.URL,
		"sub":       "alice",
		"aud":       i.Audience,
		"client_id": clientID,
		"iat":       now.Unix(),
		"exp":       now.Add(5 * time.Minute).Unix(),
		"jti":       rand.Text(),
	})
	if i.config.Scope != "" {
		claims = claims.merge(Claims{"scope": i.config.Scope})
	}
	return claims.merge(i.config.Claims)
}

// sign makes a JWS in compact form, RFC 7515 section 7.1.
func (k *key) sign(header, payload string) string {
	return k.signInput(encode(header) + "." + encode(payload))
}

func (k *key) signInput(input string) string {
	return input + "." + encode(signAs(k.algorithm, k.private, input))
}
