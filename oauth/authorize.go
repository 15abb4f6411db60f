// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/pkce"
)

// AuthorizationRequest says what a login is to bring.
type AuthorizationRequest struct {
	// RedirectURI is where the browser comes back: as it is registered, with
	// the port of the moment for a program that listens on a loopback address.
	// It must not be made of what a request says. Required.
	RedirectURI string

	// Scopes are asked for. With openid among them, the login says who the
	// person is; without it, there is nobody of whom a session could be. Many
	// servers give a refresh token with offline_access only.
	Scopes gatehouse.Scopes

	// Resources are the APIs that the access token is for, RFC 8707.
	Resources []string

	// MaxAge, if it is not zero, is how long ago the person may have shown who
	// they are, in whole seconds. It needs the scope openid.
	MaxAge time.Duration

	// Params are more parameters, such as prompt, login_hint or acr_values.
	Params url.Values
}

// openid is the scope that makes a login one of OpenID Connect.
const openid = "openid"

// check returns what is wrong, in all fields.
func (a AuthorizationRequest) check(c *Client, field string) error {
	var errs []error
	fail := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("oauth: %s.%s: %w", field, name, err))
		}
	}
	u, err := safeurl.Parse(a.RedirectURI)
	if err == nil && strings.HasPrefix(u.Path, "//") {
		err = errors.New("has an empty segment in its path: a slash too many behind the host")
	}
	fail("RedirectURI", err)
	if a.Scopes.Has(openid) && c.statements == nil {
		fail("Scopes", errNoKeys)
	}
	for _, resource := range a.Resources {
		// RFC 8707 §2: "Its value MUST be an absolute URI ... The URI MUST NOT
		// include a fragment component."
		if u, err := url.Parse(resource); err != nil || !u.IsAbs() || u.Fragment != "" {
			fail("Resources", errors.New("not an absolute URI without a fragment"))
		}
	}
	switch {
	case a.MaxAge < 0 || a.MaxAge%time.Second != 0:
		fail("MaxAge", errors.New("must be in whole seconds"))
	case a.MaxAge > 0 && !a.Scopes.Has(openid):
		fail("MaxAge", errors.New("needs the scope openid"))
	}
	for name, values := range a.Params {
		switch name {
		case "response_type":
			for _, value := range values {
				fail("Params", checkResponseType(value))
			}
			fallthrough
		case "redirect_uri", "scope", "resource", "max_age", "state", "nonce", "code_challenge", "code_challenge_method",
			"response_mode", "request", "request_uri", "code_verifier":
			fail("Params", fmt.Errorf("%s is not the application's to set here", name))
		default:
			if reserved(name) {
				fail("Params", fmt.Errorf("%s is not the application's to set here", name))
			}
		}
	}
	return errors.Join(errs...)
}

// Transaction is one login that has begun, of a program that is its own
// browser's only user: see [Client.Authorize]. It redacts itself, but for the
// URL.
type Transaction struct {
	// URL is where the browser is to be sent.
	URL string

	kept gatehouse.Secret // a transaction, as JSON
	used atomic.Bool
}

// transaction is what has to be remembered of a login until its callback.
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
	ReturnTo    string   `json:"return_to,omitempty"`
	Begun       int64    `json:"begun"` // in milliseconds
}

// Authorize begins a login for a program on the machine of the user, which keeps
// the transaction in its memory, sends a browser to its URL and gives what comes
// back to [Client.Redeem]. A server uses [NewLogin] instead, which ties the
// transaction to the browser.
func (c *Client) Authorize(ctx context.Context, request AuthorizationRequest) (*Transaction, error) {
	if err := request.check(c, "AuthorizationRequest"); err != nil {
		return nil, err
	}
	address, t, err := c.authorize(ctx, request)
	if err != nil {
		return nil, err
	}
	kept, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("oauth: transaction: %w", err)
	}
	return &Transaction{URL: address, kept: gatehouse.NewSecret(kept)}, nil
}

// authorize makes a transaction, and the address of its authorization request.
func (c *Client) authorize(ctx context.Context, request AuthorizationRequest) (string, transaction, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return "", transaction{}, err
	}
	if p.AuthorizationEndpoint == "" {
		return "", transaction{}, fmt.Errorf("oauth: authorization endpoint: %w", ErrNotOffered)
	}
	verifier := pkce.NewVerifier()
	t := transaction{
		State: random(), Verifier: string(verifier.Reveal()), Issuer: c.issuer, Client: c.id, RedirectURI: request.RedirectURI,
		Scopes: request.Scopes.String(), Resources: slices.Clone(request.Resources), MaxAge: int64(request.MaxAge / time.Second),
		Begun: time.Now().UnixMilli(),
	}
	params := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {request.RedirectURI}, "state": {t.State},
		"code_challenge": {pkce.Challenge(verifier)}, "code_challenge_method": {pkce.Method},
	}
	for name, values := range request.Params {
		params[name] = slices.Clone(values)
	}
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
	if p.PushedAuthorizationEndpoint != "" {
		if params, err = c.push(ctx, p, params); err != nil {
			return "", transaction{}, err
		}
	}
	address, err := url.Parse(p.AuthorizationEndpoint)
	if err != nil {
		return "", transaction{}, fmt.Errorf("oauth: authorization endpoint: %w", withoutURL(err))
	}
	// RFC 6749 §3.1: the endpoint "MAY include an
	// "application/x-www-form-urlencoded" formatted query component, which MUST be
	// retained".
	if address.RawQuery != "" {
		address.RawQuery += "&"
	}
	address.RawQuery += params.Encode()
	return address.String(), t, nil
}

// push hands the request over to the server and returns what is left to be sent
// through the browser. A server that refuses it is not asked in another way.
//
//	RFC 9126 §2.2: "request_uri" and "expires_in" are in the answer, with status
//	201.
func (c *Client) push(ctx context.Context, p Provider, params url.Values) (url.Values, error) {
	a, err := c.post(ctx, endpointPAR, p.PushedAuthorizationEndpoint, params)
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
	// RFC 9126 §4: the two parameters of the request that follows.
	return url.Values{"client_id": {c.id}, "request_uri": {uri}}, nil
}

// random returns 256 random bits as 43 characters.
func random() string {
	var octets [32]byte
	_, _ = rand.Read(octets[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(octets[:])
}
