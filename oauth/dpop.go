// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// schemeDPoP is the authentication scheme and the token_type of bound tokens.
const schemeDPoP = "DPoP"

// maxProving limits the number of origins that receive proofs. An authorization server
// has one or two.
const maxProving = 8

// proving holds the HTTP clients that add proofs, by the origin of the endpoint. Each
// keeps the nonces of its origin.
type proving struct {
	mu      sync.Mutex
	clients map[string]*fetch.Client
}

// tokenType returns the token_type of the access tokens of this client.
func (c *Client) tokenType() string {
	if c.key != nil {
		return schemeDPoP
	}
	return bearer
}

// withProof returns the HTTP client for a request to a token endpoint or with an access
// token. With Config.DPoP that client adds a proof.
//
//	RFC 9449 §5: "the client MUST provide a valid DPoP proof JWT in a DPoP header
//	when making an access token request to the authorization server's token
//	endpoint."
func (c *Client) withProof(address string) (*fetch.Client, error) {
	if c.key == nil {
		return &c.http, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("malformed URL")
	}
	origin := u.Scheme + "://" + u.Host
	p := &c.proving
	p.mu.Lock()
	defer p.mu.Unlock()
	if client := p.clients[origin]; client != nil {
		return client, nil
	}
	transport, err := dpop.NewTransport(dpop.TransportConfig{Key: c.key, Origins: []string{origin}, Base: c.http.Transport})
	if err != nil {
		return nil, err
	}
	var proofs http.RoundTripper = transport
	if c.onceOnly {
		proofs = unrepeatable{transport}
	}
	client := &fetch.Client{Transport: proofs, Timeout: c.http.Timeout, MaxBytes: c.http.MaxBytes}
	if p.clients == nil || len(p.clients) >= maxProving {
		p.clients = make(map[string]*fetch.Client)
	}
	p.clients[origin] = client
	return client, nil
}

// unrepeatable removes GetBody from a request, so that the transport of the proofs does
// not repeat it: the body contains a client assertion, and servers accept its jti once.
// The transport keeps the nonce for the next request.
type unrepeatable struct{ http.RoundTripper }

func (u unrepeatable) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.WithContext(r.Context()) // a copy: RoundTrip must not change the request
	r.GetBody = nil
	return u.RoundTripper.RoundTrip(r)
}

// isAboutProof reports whether the same request may succeed with another proof.
func isAboutProof(code string) bool {
	return code == dpop.CodeUseNonce.String() || code == dpop.CodeInvalidProof.String()
}

// checkDPoP returns an error if the metadata do not list the algorithm of the key: the
// server would not bind tokens to the key.
//
// Implements RFC 9449 §5.1.
func (c *Client) checkDPoP(document string) error {
	if c.key == nil {
		return nil
	}
	found := false
	err := strictjson.Object(document, limits, func(name, value string) error {
		if name == "dpop_signing_alg_values_supported" && !strictjson.Strings(value, func(algorithm string) bool {
			found = found || algorithm == string(c.key.Algorithm())
			return true
		}) {
			return errors.New("dpop_signing_alg_values_supported: malformed")
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("dpop_signing_alg_values_supported: %s, the algorithm of Config.DPoP, is missing", c.key.Algorithm())
	}
	return err
}
