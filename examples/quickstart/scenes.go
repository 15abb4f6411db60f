// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
)

// cast is everybody around the API.
type cast struct {
	issuer   *authtest.Issuer // one that the API trusts
	down     *authtest.Issuer // another one, whose key server is down
	stranger *authtest.Issuer // one that it does not know
	keys     *apikey.Keys
}

// scenes are what is to be shown.
func (c *cast) scenes(ctx context.Context) ([]scene, error) {
	key, err := c.makeKeys(ctx)
	if err != nil {
		return nil, err
	}
	reader := authtest.Claims{"scope": "reports:read", "tenant": "acme"}
	token := c.issuer.Token(reader)
	return []scene{
		{"GET /whoami is for every caller", "/whoami", []step{
			letIn("an access token", bearer(token)),
			letIn("an API key", apiKey(key.good)),
			letIn("an API key, sent as a Bearer token", bearer(key.good)),
			refused("nothing", nil, http.StatusUnauthorized, gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials),
		}},
		{"GET /reports is for the scope reports:read", "/reports", []step{
			letIn("a token that has it", bearer(token)),
			letIn("an API key that has it", apiKey(key.good)),
			refused("a token that has reports:write", bearer(c.issuer.Token(authtest.Claims{"scope": "reports:write"})),
				http.StatusForbidden, gatehouse.CodeInsufficientScope, gatehouse.ReasonScope),
			refused("a token that has reports:*", bearer(c.issuer.Token(authtest.Claims{"scope": "reports:*"})),
				http.StatusForbidden, gatehouse.CodeInsufficientScope, gatehouse.ReasonScope),
		}},
		{"GET /tenants/acme/reports is for acme alone", "/tenants/acme/reports", []step{
			letIn("a token of acme", bearer(token)),
			letIn("an API key of acme", apiKey(key.good)),
			refused("a token of globex", bearer(c.issuer.Token(authtest.Claims{"scope": "reports:read", "tenant": "globex"})),
				http.StatusForbidden, gatehouse.CodeAccessDenied, gatehouse.ReasonTenant),
		}},
		{"Forged tokens", "/reports", []step{
			badToken("one word of it changed", tampered(token), gatehouse.ReasonTokenSignature),
			badToken("signed with another key", c.issuer.ForeignToken(reader), gatehouse.ReasonTokenSignature),
			badToken("not signed at all: alg is none", c.issuer.UnsignedToken(reader), gatehouse.ReasonTokenAlgorithm),
			badToken("HS256, with the public key for a secret", c.issuer.ConfusedToken(reader), gatehouse.ReasonTokenAlgorithm),
			badToken("of an issuer that the API does not know", c.stranger.Token(reader), gatehouse.ReasonTokenIssuer),
		}},
		{"Genuine tokens that are not good for this", "/reports", []step{
			badToken("expired an hour ago", c.issuer.ExpiredToken(reader), gatehouse.ReasonTokenExpired),
			badToken("not valid before tomorrow", c.but(reader, "nbf", in(24*time.Hour)), gatehouse.ReasonTokenNotYetValid),
			badToken("valid for ten years", c.but(reader, "exp", in(10*365*24*time.Hour)), gatehouse.ReasonTokenLifetime),
			badToken("for another API", c.but(reader, "aud", "https://mail.example.com"), gatehouse.ReasonTokenAudience),
			badToken("an ID token, which is for a client", c.issuer.IDToken(reader), gatehouse.ReasonTokenType),
			badToken("bound to a key that was not shown", c.but(reader, "cnf", map[string]string{"jkt": "x"}), gatehouse.ReasonTokenBinding),
			badToken("with two subjects in it", c.twoSubjects(token), gatehouse.ReasonTokenMalformed),
			badToken("of nine kilobytes", c.but(reader, "note", strings.Repeat("x", 6600)), gatehouse.ReasonTokenOversized),
		}},
		{"API keys that are no good", "/reports", []step{
			badKey("with a typing error in it", mistyped(key.good), gatehouse.ReasonKeyMalformed),
			badKey("replaced by a newer one", key.rotated, gatehouse.ReasonKeyRotated),
			badKey("revoked", key.revoked, gatehouse.ReasonKeyRevoked),
		}},
		{"Requests that could be read in two ways", "/reports", []step{
			refused("a token and an API key", append(bearer(token), apiKey(key.good)...),
				http.StatusBadRequest, gatehouse.CodeInvalidRequest, gatehouse.ReasonSeveralCredentials),
			refused("the word Bearer and nothing behind it", []string{"Authorization", "Bearer"},
				http.StatusBadRequest, gatehouse.CodeInvalidRequest, gatehouse.ReasonMalformedCredentials),
			{
				words: "a token in the URL, where logs keep it", query: "?access_token=" + token,
				want: outcome{http.StatusUnauthorized, gatehouse.CodeMissingCredentials, gatehouse.ReasonCredentialInURL},
			},
		}},
		{"Neither good nor bad, as nobody can tell now", "/reports", []step{
			refused("a token whose issuer cannot be reached", bearer(c.down.Token(reader)),
				http.StatusServiceUnavailable, gatehouse.CodeTemporarilyUnavailable, gatehouse.ReasonKeysUnavailable),
		}},
	}, nil
}

func badToken(words, token string, reason gatehouse.Reason) step {
	return refused(words, bearer(token), http.StatusUnauthorized, gatehouse.CodeInvalidToken, reason)
}

func badKey(words, key string, reason gatehouse.Reason) step {
	return refused(words, apiKey(key), http.StatusForbidden, gatehouse.CodeInvalidAPIKey, reason)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func apiKey(key string) []string { return []string{"X-API-Key", key} }

// but makes a token that is good but for one claim.
func (c *cast) but(claims authtest.Claims, name string, value any) string {
	changed := maps.Clone(claims)
	changed[name] = value
	return c.issuer.Token(changed)
}

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// tampered makes alice an admin.
func tampered(token string) string {
	parts := strings.Split(token, ".")
	claims := strings.Replace(decode(parts[1]), `"alice"`, `"admin"`, 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2]
}

// twoSubjects has the issuer itself sign what parsers differ on.
func (c *cast) twoSubjects(token string) string {
	parts := strings.Split(token, ".")
	return c.issuer.Sign([]byte(decode(parts[0])), []byte(`{"sub":"admin",`+decode(parts[1])[1:]))
}

// decode reads a part of a token that this program has made itself.
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

// texts are API keys as clients send them.
type texts struct{ good, rotated, revoked string }

func (c *cast) makeKeys(ctx context.Context) (texts, error) {
	var made [3]apikey.Issued
	for n := range made {
		var err error
		if made[n], err = c.makeKey(ctx, "ci"); err != nil {
			return texts{}, err
		}
	}
	if _, err := c.keys.Rotate(ctx, made[1].Key.ID, 0, 0); err != nil { // without grace
		return texts{}, err
	}
	if _, err := c.keys.Revoke(ctx, made[2].Key.ID); err != nil {
		return texts{}, err
	}
	text := func(n int) string { return string(made[n].Secret.Reveal()) }
	return texts{text(0), text(1), text(2)}, nil
}

func (c *cast) makeKey(ctx context.Context, owner string) (apikey.Issued, error) {
	return c.keys.Create(ctx, apikey.Request{
		Owner: owner, Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: time.Hour,
	})
}
