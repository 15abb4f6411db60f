// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"maps"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// peers are the issuers and the API keys.
type peers struct {
	issuer  *authtest.Issuer // trusted by the API
	down    *authtest.Issuer // trusted, with its key set unavailable
	unknown *authtest.Issuer // not trusted
	keys    *apikey.Keys
}

// scenes returns the requests with their expected outcomes.
func (p *peers) scenes(ctx context.Context) ([]scene, error) {
	key, err := p.makeKeys(ctx)
	if err != nil {
		return nil, err
	}
	reader := authtest.Claims{"scope": "reports:read", "tenant": "acme"}
	token := p.issuer.Token(reader)
	return []scene{
		{"GET /whoami needs an authenticated caller", "/whoami", []step{
			accepted("an access token", bearer(token)),
			accepted("an API key", apiKey(key.good)),
			accepted("an API key, sent as a Bearer token", bearer(key.good)),
			rejected("no credential", nil, gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials),
		}},
		{"GET /reports needs the scope reports:read", "/reports", []step{
			accepted("a token with this scope", bearer(token)),
			accepted("an API key with this scope", apiKey(key.good)),
			rejected("a token with reports:write", bearer(p.issuer.Token(authtest.Claims{"scope": "reports:write"})),
				gatehouse.CodeInsufficientScope, scopes.ReasonMissing),
			rejected("a token with reports:*", bearer(p.issuer.Token(authtest.Claims{"scope": "reports:*"})),
				gatehouse.CodeInsufficientScope, scopes.ReasonMissing),
		}},
		{"GET /tenants/acme/reports needs the tenant acme", "/tenants/acme/reports", []step{
			accepted("a token of acme", bearer(token)),
			accepted("an API key of acme", apiKey(key.good)),
			rejected("a token of globex", bearer(p.but(reader, "tenant", "globex")), gatehouse.CodeAccessDenied, tenant.ReasonMismatch),
		}},
		{"Forged tokens", "/reports", []step{
			invalidToken("subject changed after signing", tampered(token), jwtauth.ReasonSignature),
			invalidToken("signed with another key", p.issuer.ForeignToken(reader), jwtauth.ReasonSignature),
			invalidToken("not signed: alg is none", p.issuer.UnsignedToken(reader), jwtauth.ReasonAlgorithm),
			invalidToken("HS256, with the public key as the secret", p.issuer.ConfusedToken(reader), jwtauth.ReasonAlgorithm),
			invalidToken("from an unknown issuer", p.unknown.Token(reader), jwtauth.ReasonIssuer),
		}},
		{"Genuine tokens that are not valid here", "/reports", []step{
			invalidToken("expired an hour ago", p.issuer.ExpiredToken(reader), jwtauth.ReasonExpired),
			invalidToken("not valid before tomorrow", p.but(reader, "nbf", in(24*time.Hour)), jwtauth.ReasonNotYetValid),
			invalidToken("valid for ten years", p.but(reader, "exp", in(10*365*24*time.Hour)), jwtauth.ReasonLifetime),
			invalidToken("for another API", p.but(reader, "aud", "https://mail.example.com"), jwtauth.ReasonAudience),
			invalidToken("an ID token, which is for a client", p.issuer.IDToken(reader), jwtauth.ReasonType),
			invalidToken("sender-constrained, without a proof", p.but(reader, "cnf", map[string]string{"jkt": "x"}), gatehouse.ReasonUnconfirmed),
			invalidToken("with two subjects", p.twoSubjects(token), jwtauth.ReasonMalformed),
			invalidToken("of nine kilobytes", p.but(reader, "note", strings.Repeat("x", 6600)), jwtauth.ReasonOversized),
		}},
		{"Invalid API keys", "/reports", []step{
			invalidKey("with a typing error", mistyped(key.good), apikey.ReasonMalformed),
			invalidKey("rotated", key.rotated, apikey.ReasonRotated),
			invalidKey("revoked", key.revoked, apikey.ReasonRevoked),
		}},
		{"Ambiguous requests", "/reports", []step{
			rejected("a token and an API key", append(bearer(token), apiKey(key.good)...),
				gatehouse.CodeInvalidRequest, gatehouse.ReasonSeveralCredentials),
			rejected("Bearer without a token", []string{"Authorization", "Bearer"},
				gatehouse.CodeInvalidRequest, gatehouse.ReasonMalformedCredentials),
			{
				words: "a token in the URL, which logs contain", query: "?access_token=" + token,
				want: outcomeOf(gatehouse.CodeMissingCredentials, gatehouse.ReasonCredentialInURL),
			},
		}},
		{"Unavailable, which is neither valid nor invalid", "/reports", []step{
			rejected("a token of an issuer that does not respond", bearer(p.down.Token(reader)),
				gatehouse.CodeTemporarilyUnavailable, jwtauth.ReasonKeysUnavailable),
		}},
	}, nil
}

func invalidToken(words, token string, reason gatehouse.Reason) step {
	return rejected(words, bearer(token), gatehouse.CodeInvalidToken, reason)
}

func invalidKey(words, key string, reason gatehouse.Reason) step {
	return rejected(words, apiKey(key), apikey.CodeInvalidKey, reason)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func apiKey(key string) []string { return []string{"X-API-Key", key} }

// but returns a token of the trusted issuer with one claim changed.
func (p *peers) but(claims authtest.Claims, name string, value any) string {
	changed := maps.Clone(claims)
	changed[name] = value
	return p.issuer.Token(changed)
}

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// tampered returns token with the subject admin and the old signature.
func tampered(token string) string {
	parts := strings.Split(token, ".")
	claims := strings.Replace(decode(parts[1]), `"alice"`, `"admin"`, 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2]
}

// twoSubjects returns a signed token with a duplicate sub, which parsers read in
// different ways.
func (p *peers) twoSubjects(token string) string {
	parts := strings.Split(token, ".")
	return p.issuer.Sign([]byte(decode(parts[0])), []byte(`{"sub":"admin",`+decode(parts[1])[1:]))
}

// decode decodes a segment of a token from this program.
func decode(part string) string {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// mistyped changes the last character of a key.
func mistyped(key string) string {
	last := len(key) - 1
	if key[last] == 'x' {
		return key[:last] + "y"
	}
	return key[:last] + "x"
}

// texts are API keys in the form that clients send.
type texts struct{ good, rotated, revoked string }

func (p *peers) makeKeys(ctx context.Context) (texts, error) {
	var made [3]apikey.Issued
	for n := range made {
		var err error
		if made[n], err = p.makeKey(ctx, "ci"); err != nil {
			return texts{}, err
		}
	}
	if _, err := p.keys.Rotate(ctx, made[1].Key.ID, 0, 0); err != nil { // without grace
		return texts{}, err
	}
	if _, err := p.keys.Revoke(ctx, made[2].Key.ID); err != nil {
		return texts{}, err
	}
	text := func(n int) string { return string(made[n].Secret.Reveal()) }
	return texts{text(0), text(1), text(2)}, nil
}

func (p *peers) makeKey(ctx context.Context, owner string) (apikey.Issued, error) {
	return p.keys.Create(ctx, apikey.Request{
		Owner: owner, Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: time.Hour,
	})
}
