// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/pkce"
)

// AuthorizationRequest holds the parameters of an authorization request, RFC
// 6749 section 4.1.1.
type AuthorizationRequest struct {
	// RedirectURI is the registered address to which the authorization server sends
	// the browser back. A native application that listens on a loopback address
	// includes its current port. Never derive it from a request. Required.
	RedirectURI string

	// Scopes are the requested scopes. Only with openid does the result identify the
	// user: otherwise Result.Subject is empty. Many authorization servers return a
	// refresh token only for the scope offline_access.
	Scopes gatehouse.Scopes

	// Resources are the resource indicators (URLs) of the APIs that will accept the
	// access token, RFC 8707.
	Resources []string

	// MaxAge is the maximum age of the authentication of the user, in whole
	// seconds; zero for no limit. It requires the scope openid.
	MaxAge time.Duration

	// Params are additional parameters, such as prompt, login_hint or
	// acr_values.
	Params url.Values
}

// openid is the scope of OpenID Connect requests.
const openid = "openid"

// Check validates the fields of a request and returns all errors at once. It
// makes no network call.
//
// Implements RFC 6749 §3.1 (once), §3.1.2; RFC 9126 §2.1 (request_uri); RFC
// 9700 §2.6.
func (c *Client) Check(request AuthorizationRequest) error {
	var errs []error
	fail := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("oauth: AuthorizationRequest.%s: %w", name, err))
		}
	}
	u, err := safeurl.Parse(request.RedirectURI)
	if err == nil && strings.HasPrefix(u.Path, "//") {
		err = errors.New("empty path segment: remove the second slash after the host")
	}
	fail("RedirectURI", err)
	if request.Scopes.Has(openid) && c.verifier == nil {
		fail("Scopes", errNoKeys)
	}
	for _, resource := range request.Resources {
		// RFC 8707 §2: "Its value MUST be an absolute URI ... The URI MUST NOT
		// include a fragment component."
		if u, err := url.Parse(resource); err != nil || !u.IsAbs() || u.Fragment != "" {
			fail("Resources", errors.New("not an absolute URI without a fragment"))
		}
	}
	switch {
	case request.MaxAge < 0 || request.MaxAge%time.Second != 0:
		fail("MaxAge", errors.New("must be in whole seconds"))
	case request.MaxAge > 0 && !request.Scopes.Has(openid):
		fail("MaxAge", errors.New("requires the scope openid"))
	}
	for name, values := range request.Params {
		switch name {
		case "response_type":
			for _, value := range values {
				fail("Params", checkResponseType(value))
			}
			fallthrough
		case "redirect_uri", "scope", "resource", "max_age", "state", "nonce", "code_challenge", "code_challenge_method",
			"response_mode", "request", "request_uri", "code_verifier", "dpop_jkt":
			fail("Params", fmt.Errorf("%s: is set by this package", name))
		default:
			if reserved(name) {
				fail("Params", fmt.Errorf("%s: is set by this package", name))
			}
		}
	}
	return errors.Join(errs...)
}

// Transaction is one authorization request whose response is pending. It redacts
// itself, except for URL and State, which the browser sees.
//
// The program must bind the transaction to the user agent that it redirects to the URL.
// Otherwise an attacker can log a user in to the attacker's account (login CSRF). A
// program with one user keeps it in memory; a server keeps it in a sealed cookie, as
// package signin does.
type Transaction struct {
	// URL is the URL to which the browser must be redirected.
	URL string
	// State is the parameter state of the request and of its response.
	State string

	kept gatehouse.Secret // the transaction as JSON
	used atomic.Bool
}

// transaction holds the data with which the client verifies the response and redeems the
// code.
//
// Implements RFC 9700 §2.1 (mix-up).
type transaction struct {
	State       string   `json:"state"`
	Nonce       string   `json:"nonce,omitempty"`
	Verifier    string   `json:"verifier"`
	Issuer      string   `json:"iss"`
	Client      string   `json:"client"`
	RedirectURI string   `json:"redirect_uri"`
	Scopes      string   `json:"scope,omitempty"`
	Resources   []string `json:"resource,omitempty"`
	MaxAge      int64    `json:"max_age,omitempty"`
}

// Secret returns the transaction in the format of [ParseTransaction]: a JSON
// object with the PKCE verifier and the nonce. Store it where neither the user
// nor another site can read or replace it.
func (t *Transaction) Secret() gatehouse.Secret { return t.kept }

// ParseTransaction parses the result of [Transaction.Secret]. The URL of the
// transaction is empty. The caller must ensure that each transaction is
// redeemed only once.
func ParseTransaction(text gatehouse.Secret) (*Transaction, error) {
	var t transaction
	if err := json.Unmarshal(text.Reveal(), &t); err != nil || t.State == "" || t.Verifier == "" {
		return nil, errTransaction
	}
	return &Transaction{State: t.State, kept: text}, nil
}

var errTransaction = errors.New("oauth: ParseTransaction: not a transaction")

// Authorize prepares an authorization request: authorization code with PKCE S256, state,
// nonce (with openid), and a pushed authorization request (RFC 9126) if the authorization
// server has such an endpoint. The caller keeps the transaction, redirects a browser to
// its URL and passes the response to [Client.Redeem].
//
// Implements RFC 7636 §4.1 (fresh), §4.2 (client), §7.2; RFC 8252 §6; RFC 9126
// §4 (once), §5; RFC 9700 §2.1.1 (injection, public, S256); OIDC Core §3.1.2.1
// (nonce).
func (c *Client) Authorize(ctx context.Context, request AuthorizationRequest) (*Transaction, error) {
	if err := c.Check(request); err != nil {
		return nil, err
	}
	p, err := c.Provider(ctx)
	if err != nil {
		return nil, err
	}
	if p.AuthorizationEndpoint == "" {
		return nil, fmt.Errorf("oauth: authorization endpoint: %w", ErrNotOffered)
	}
	if request.Scopes.Has(openid) {
		if err := c.checkAlgorithms(p); err != nil {
			return nil, err
		}
	}
	verifier := pkce.NewVerifier()
	t := transaction{
		State: random(), Verifier: string(verifier.Reveal()), Issuer: c.issuer, Client: c.id, RedirectURI: request.RedirectURI,
		Scopes: request.Scopes.String(), Resources: request.Resources, MaxAge: int64(request.MaxAge / time.Second),
	}
	params := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {request.RedirectURI}, "state": {t.State},
		"code_challenge": {pkce.Challenge(verifier)}, "code_challenge_method": {pkce.Method},
	}
	maps.Copy(params, request.Params)
	setScope(params, request.Scopes)
	if request.Scopes.Has(openid) {
		t.Nonce = random()
		params.Set("nonce", t.Nonce)
	}
	if len(t.Resources) > 0 {
		params["resource"] = t.Resources
	}
	if t.MaxAge > 0 {
		params.Set("max_age", strconv.FormatInt(t.MaxAge, 10))
	}
	// RFC 9449 §10: the authorization server issues tokens for this code only with a
	// proof of this key.
	if c.key != nil {
		params.Set("dpop_jkt", c.key.Thumbprint())
	}
	if p.PushedAuthorizationEndpoint != "" {
		if params, err = c.push(ctx, p, params); err != nil {
			return nil, err
		}
	}
	address, err := url.Parse(p.AuthorizationEndpoint)
	if err != nil {
		return nil, errors.New("oauth: authorization endpoint: malformed URL")
	}
	// RFC 6749 §3.1 (query): the endpoint "MAY include an
	// "application/x-www-form-urlencoded" formatted query component, which MUST
	// be retained".
	if address.RawQuery != "" {
		address.RawQuery += "&"
	}
	address.RawQuery += params.Encode()
	kept, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("oauth: transaction: %w", err)
	}
	return &Transaction{URL: address.String(), State: t.State, kept: gatehouse.NewSecret(kept)}, nil
}

// push sends the parameters to the pushed authorization request endpoint and
// returns the parameters that remain for the browser. There is no fallback if
// the endpoint rejects the request.
//
//	RFC 9126 §2.2: "request_uri" and "expires_in" are in the answer, with status
//	201.
//
// Implements RFC 9126 §2.1 (POST), §2.3.
func (c *Client) push(ctx context.Context, p Provider, params url.Values) (url.Values, error) {
	a, err := c.post(ctx, c.pushes, endpointPAR, p.PushedAuthorizationEndpoint, params)
	if err != nil {
		return nil, err
	}
	uri := ""
	err = strictjson.Object(a.body, limits, func(name, value string) error {
		if name == "request_uri" {
			uri, _ = strictjson.String(value)
		}
		return nil
	})
	if err != nil || uri == "" {
		return nil, malformed(endpointPAR, "has no request_uri")
	}
	// RFC 9126 §4 (parameters): the request of the browser has these two parameters.
	return url.Values{"client_id": {c.id}, "request_uri": {uri}}, nil
}

// random returns 256 random bits as 43 characters.
//
// Implements RFC 6749 §4.1.1.
func random() string {
	var octets [32]byte
	_, _ = rand.Read(octets[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(octets[:])
}
