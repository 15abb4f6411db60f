// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"time"
)

// Token returns an access token, RFC 9068 section 2, that is valid for five minutes.
// It has iss, sub, aud, client_id, iat, exp, jti and the claims of the
// [IssuerConfig]; claims replaces, adds and, with a nil value, removes claims.
//
//	issuer.Token(nil)
//	issuer.Token(authtest.Claims{"sub": "bob", "scope": "reports:read"})
//	issuer.Token(authtest.Claims{"cnf": map[string]any{"jkt": thumbprint}})
//
// It panics if encoding/json cannot encode a value.
func (i *Issuer) Token(claims Claims) string { return i.TokenWith(nil, claims) }

// TokenWith returns a token like [Issuer.Token] with a changed header. If header has
// the alg or the kid of a current or former key of the issuer, that key signs;
// otherwise the first key signs.
func (i *Issuer) TokenWith(header Header, claims Claims) string {
	algorithm, _ := header["alg"].(string)
	id, _ := header["kid"].(string)
	k := i.signer(algorithm, id)
	return k.sign(i.header(k).merge(header).String(), i.claims().merge(claims).String())
}

// Sign returns header and payload, which need not be JSON, as a JWS in compact
// form. The first key of the issuer signs with its algorithm; the alg of the
// header is ignored.
func (i *Issuer) Sign(header, payload []byte) string {
	return i.signer("", "").sign(string(header), string(payload))
}

// IDToken returns an ID token, OpenID Connect Core section 2. Its audience is the client.
// It is signed with the key of the access tokens.
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

// ExpiredToken returns a token that expired an hour ago.
func (i *Issuer) ExpiredToken(claims Claims) string {
	past := i.claims().merge(Claims{
		"iat": time.Now().Add(-65 * time.Minute).Unix(),
		"exp": time.Now().Add(-60 * time.Minute).Unix(),
	})
	k := i.signer("", "")
	return k.sign(i.header(k).String(), past.merge(claims).String())
}

// ForeignToken returns a token with the header and claims of a valid one, signed with a
// key of another issuer.
func (i *Issuer) ForeignToken(claims Claims) string {
	k := i.signer("", "")
	input := signingInput(i.header(k), i.claims().merge(claims))
	return input + "." + encode(signAs(k.algorithm, foreign(k.algorithm), input))
}

// UnsignedToken returns a token with the algorithm none and no signature.
func (i *Issuer) UnsignedToken(claims Claims) string {
	header := i.header(i.signer("", "")).merge(Header{"alg": "none"})
	return signingInput(header, i.claims().merge(claims)) + "."
}

// ConfusedToken returns an HS256 token whose secret is the public key of the issuer
// in PEM (algorithm confusion). For an issuer without a public key the secret is its
// URL.
func (i *Issuer) ConfusedToken(claims Claims) string {
	k := i.signer("", "")
	secret := []byte(i.URL)
	if public := k.public(); public != nil {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			panic(err) // not for a key of this package
		}
		secret = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	input := encode(i.header(k).merge(Header{"alg": "HS256"}).String()) + "." +
		encode(i.claims().merge(claims).String())
	return input + "." + encode(signAs("HS256", secret, input))
}

const clientID = "authtest-client"

// header is the header of a valid token.
func (i *Issuer) header(k *key) object {
	return object{}.merge(Header{"alg": k.algorithm, "kid": k.id, "typ": i.config.Type})
}

// claims is the payload of a valid token.
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
