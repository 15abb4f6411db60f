// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	maxNonceChars = 512
	// maxErrorBytes is how much of an error response is read for its code.
	maxErrorBytes = 64 << 10
)

// TransportConfig configures a [Transport].
type TransportConfig struct {
	// Key signs the proofs. Required.
	Key *Key

	// Origins are the scheme, host and port of the servers that receive proofs and
	// tokens, such as "https://api.example.com". At least one is required.
	Origins []string

	// Token returns the access token for each request. The token must be bound to Key. If
	// Token is nil, the token is that of the header "Authorization: DPoP" of the request,
	// if there is one: golang.org/x/oauth2.Transport sets this header for tokens of type
	// DPoP.
	Token func(context.Context) (gatehouse.Secret, error)

	// Base makes the requests, [http.DefaultTransport] if nil.
	Base http.RoundTripper
}

// Transport is the [http.RoundTripper] of an [http.Client] that adds a proof to each
// request, to a resource server or an authorization server.
//
// It sends proofs and tokens to the configured origins only: a request to another origin,
// including a redirect, returns an error and is not sent. It remembers the last nonce of
// each origin. If a server requires a nonce, the request is repeated once with a new
// proof; if a server refuses a proof, once more. A request whose body cannot be repeated
// is not: see http.Request.GetBody. It is safe for concurrent use.
type Transport struct {
	key   *Key
	token func(context.Context) (gatehouse.Secret, error)
	base  http.RoundTripper

	mu     sync.Mutex
	nonces map[string]string // by origin; it has all configured ones
}

// NewTransport returns a transport. It reports all configuration errors at once.
func NewTransport(config TransportConfig) (*Transport, error) {
	t := &Transport{key: config.Key, token: config.Token, base: config.Base, nonces: make(map[string]string)}
	var errs []error
	if config.Key == nil {
		errs = append(errs, errors.New("dpop: TransportConfig.Key: required"))
	}
	if len(config.Origins) == 0 {
		errs = append(errs, errors.New("dpop: TransportConfig.Origins: at least one is required"))
	}
	for i, origin := range config.Origins {
		u, err := safeurl.Parse(origin)
		if err == nil && u.Scheme+"://"+u.Host != origin {
			err = errors.New("not an origin: must be a scheme, a host and an optional port")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("dpop: TransportConfig.Origins[%d]: %w", i, err))
			continue
		}
		t.nonces[safeurl.Origin(u)] = ""
	}
	switch {
	case config.Base == nil:
		t.base = http.DefaultTransport
	case typednil.Is(config.Base):
		errs = append(errs, fmt.Errorf("dpop: TransportConfig.Base: is a nil %T", config.Base))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

var errHeader = errors.New("dpop: Transport: the request already has a DPoP header, or an Authorization header that does not fit")

// RoundTrip implements [http.RoundTripper].
//
// Implements RFC 9449 §7.3, §8 (retry), §9 (client).
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	origin := safeurl.Origin(r.URL)
	token, err := t.tokenFor(r, origin)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	var nonceSent, proofRefused bool // the reasons for which the request was already repeated
	for body := r.Body; ; {
		nonce, _ := t.nonce(origin)
		response, err := t.send(r, body, token, nonce)
		if err != nil {
			return nil, err
		}
		fresh := t.remember(origin, response)
		retry := false
		switch code := errorCode(response); {
		case code == CodeUseNonce.String() && !nonceSent && fresh != "" && fresh != nonce:
			nonceSent, retry = true, true
		// The transport of net/http sends a request again, with the same proof, if a
		// reused connection breaks. The server may have seen it.
		case code == CodeInvalidProof.String() && !proofRefused:
			proofRefused, retry = true, true
		}
		if !retry {
			return response, nil
		}
		if body, err = bodyAgain(r); err != nil {
			return response, nil //nolint:nilerr // the caller gets the response
		}
		_ = response.Body.Close()
	}
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // as the interface demands
	}
}

// bodyAgain returns the body of a request for another attempt.
func bodyAgain(r *http.Request) (io.ReadCloser, error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return r.Body, nil
	case r.GetBody == nil:
		return nil, errors.New("the body cannot be repeated")
	}
	return r.GetBody()
}

// tokenFor returns the token of a request, "" for none.
func (t *Transport) tokenFor(r *http.Request, origin string) (string, error) {
	if _, ok := t.nonce(origin); !ok {
		return "", fmt.Errorf("dpop: Transport: the origin %q is not one of TransportConfig.Origins", origin)
	}
	authorization := r.Header["Authorization"]
	if len(r.Header[header]) > 0 || len(authorization) > 1 || len(authorization) == 1 && t.token != nil {
		return "", errHeader
	}
	if t.token != nil {
		token, err := t.token(r.Context())
		if err == nil && !text.IsToken68(string(token.Reveal())) {
			err = errors.New("not a b64token")
		}
		if err != nil {
			return "", fmt.Errorf("dpop: Transport: token: %w", err)
		}
		return string(token.Reveal()), nil
	}
	if len(authorization) == 0 {
		return "", nil
	}
	switch name, credentials, _ := strings.Cut(authorization[0], " "); {
	case strings.EqualFold(name, scheme):
		return strings.TrimLeft(credentials, " "), nil
	case strings.EqualFold(name, "Bearer"):
		return "", errHeader // a server refuses a Bearer token with a proof
	}
	return "", nil // of a client at an authorization server
}

// send sends one attempt.
func (t *Transport) send(r *http.Request, body io.ReadCloser, token, nonce string) (*http.Response, error) {
	proof, err := t.key.Proof(ProofRequest{Method: methodOf(r), URL: r.URL, AccessToken: token, Nonce: nonce})
	if err != nil {
		if body != nil {
			_ = body.Close()
		}
		return nil, err
	}
	attempt := r.Clone(r.Context()) // RoundTrip must not change the request
	attempt.Body = body
	attempt.Header.Set("DPoP", proof)
	if token != "" {
		attempt.Header.Set("Authorization", scheme+" "+token)
	}
	return t.base.RoundTrip(attempt)
}

// methodOf returns the method of a request, for which "" is GET.
func methodOf(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// nonce returns the last nonce of an origin, and reports whether the origin is one of
// the configured ones.
func (t *Transport) nonce(origin string) (nonce string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	nonce, ok = t.nonces[origin]
	return nonce, ok
}

// remember keeps the nonce of a response, of any status, and returns it, "" for none.
//
//	RFC 9449 §8.2 (new): "The client MUST use the new nonce value supplied for the next
//	token request and for all subsequent token requests until the authorization
//	server supplies a new nonce."
func (t *Transport) remember(origin string, response *http.Response) string {
	values := response.Header[nonceHeader]
	if len(values) != 1 || len(values[0]) > maxNonceChars || !isNonce(values[0]) {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nonces[origin] = values[0]
	return values[0]
}

// isNonce reports whether s is a nonce.
//
//	RFC 9449 §8.1: nonce = 1*NQCHAR
func isNonce(s string) bool { return text.IsVisible(s) && !strings.ContainsAny(s, `"\`) }

// errorCode returns the error of a response that is about the proof: of the challenge
// of a resource server, or of the JSON of an authorization server. The body can still
// be read afterwards.
func errorCode(response *http.Response) string {
	about := []string{CodeUseNonce.String(), CodeInvalidProof.String()}
	switch response.StatusCode {
	case http.StatusUnauthorized:
		for _, challenge := range response.Header["Www-Authenticate"] {
			for _, code := range about {
				if strings.Contains(challenge, code) {
					return code
				}
			}
		}
	case http.StatusBadRequest:
	default:
		return ""
	}
	read, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes))
	rest := response.Body
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), rest), rest}
	var answer struct {
		Error string `json:"error"`
	}
	if err != nil || json.Unmarshal(read, &answer) != nil || !slices.Contains(about, answer.Error) {
		return ""
	}
	return answer.Error
}
