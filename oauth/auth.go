// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Auth is how a client authenticates itself to the authorization server, by the
// names that RFC 7591, RFC 8414 and RFC 8705 have for it.
type Auth string

// The ways of authentication. One is chosen, since finding out by trying would
// send the code or the refresh token more than once.
const (
	// SecretBasic sends the secret as the password of HTTP Basic. It is the
	// default.
	SecretBasic Auth = "client_secret_basic"
	// SecretPost sends the secret in the body.
	SecretPost Auth = "client_secret_post"
	// PrivateKeyJWT signs an assertion, RFC 7523. The server knows the public
	// key only.
	PrivateKeyJWT Auth = "private_key_jwt"
	// TLSClient shows a certificate of an authority that the server trusts, RFC
	// 8705 section 2.1.
	TLSClient Auth = "tls_client_auth"
	// SelfSignedTLS shows a certificate that is registered with the server, RFC
	// 8705 section 2.2.
	SelfSignedTLS Auth = "self_signed_tls_client_auth"
	// Public clients have nothing that they could keep to themselves: programs
	// on the machine of the user.
	Public Auth = "none"
)

// assertionLifetime is short, because an assertion is made for one request.
const assertionLifetime = time.Minute

// authenticator puts the authentication of the client into a request: the one
// and only.
//
//	RFC 6749 §2.3: "The client MUST NOT use more than one authentication method
//	in each request."
type authenticator func(h http.Header, form url.Values) error

func newAuthenticator(c Config) (authenticator, error) {
	var errs []error
	fail := func(field string, err error) { errs = append(errs, fmt.Errorf("oauth: Config.%s: %w", field, err)) }
	if c.Auth == "" {
		c.Auth = SecretBasic
	}
	secret := c.Auth == SecretBasic || c.Auth == SecretPost
	if has := c.Secret.Len() > 0; has != secret {
		fail("Secret", presence(has, c.Auth))
	}
	if has := c.Keys != nil; has != (c.Auth == PrivateKeyJWT) {
		fail("Keys", presence(has, c.Auth))
	}
	if (c.Auth == TLSClient || c.Auth == SelfSignedTLS) && !hasCertificate(c.TLS) {
		fail("TLS", fmt.Errorf("a certificate is required for %s", c.Auth))
	}
	var a authenticator
	switch c.Auth {
	case SecretBasic:
		a = func(h http.Header, _ url.Values) error {
			// RFC 6749 §2.3.1: both are "encoded using the
			// "application/x-www-form-urlencoded" encoding algorithm".
			r := http.Request{Header: h}
			r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(string(c.Secret.Reveal())))
			return nil
		}
	case SecretPost:
		a = func(_ http.Header, form url.Values) error {
			form.Set("client_id", c.ClientID)
			form.Set("client_secret", string(c.Secret.Reveal()))
			return nil
		}
	case PrivateKeyJWT:
		a = func(_ http.Header, form url.Values) error { return assert(c, form) }
	case TLSClient, SelfSignedTLS, Public:
		a = func(_ http.Header, form url.Values) error {
			form.Set("client_id", c.ClientID)
			return nil
		}
	default:
		fail("Auth", fmt.Errorf("%q is not one", string(c.Auth)))
	}
	return a, errors.Join(errs...)
}

func presence(has bool, auth Auth) error {
	if has {
		return fmt.Errorf("is not used by %s", auth)
	}
	return fmt.Errorf("required for %s", auth)
}

func hasCertificate(c *tls.Config) bool {
	return c != nil && (len(c.Certificates) > 0 || c.GetClientCertificate != nil)
}

// assert adds the assertion of RFC 7523 section 2.2.
//
// Its audience is the issuer and nothing else: an assertion that names an
// endpoint, or several audiences, can be passed on by one server to another that
// the client uses.
func assert(c Config, form url.Values) error {
	now := time.Now()
	assertion, err := c.Keys.SignJWT("JWT", map[string]any{
		"iss": c.ClientID, "sub": c.ClientID, "aud": c.Issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	})
	if err != nil {
		return err
	}
	form.Set("client_id", c.ClientID)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", string(assertion.Reveal()))
	return nil
}

// newTransport makes what the requests go through.
func newTransport(c Config) (http.RoundTripper, error) {
	switch {
	case c.TLS == nil && c.Transport == nil:
		return http.DefaultTransport, nil
	case c.TLS == nil:
		return c.Transport, nil
	case c.Transport != nil:
		return nil, errors.New("oauth: Config.Transport: cannot be set together with TLS")
	case c.TLS.InsecureSkipVerify:
		return nil, errors.New("oauth: Config.TLS: the certificate of the server must be verified")
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second, MaxIdleConns: 100}
	t.TLSClientConfig = c.TLS.Clone()
	return t, nil
}

var _ http.Handler = (*jwtauth.KeyRing)(nil) // Config.Keys says so
