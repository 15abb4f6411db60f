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

// Auth is a client authentication method, named as in RFC 7591, RFC 8414 and
// RFC 8705.
type Auth string

// The client authentication methods.
const (
	// SecretBasic sends the secret as the password of HTTP Basic. It is the
	// default.
	SecretBasic Auth = "client_secret_basic"
	// SecretPost sends the secret in the body.
	SecretPost Auth = "client_secret_post"
	// PrivateKeyJWT signs a client assertion, RFC 7523. The authorization server
	// holds the public key only.
	PrivateKeyJWT Auth = "private_key_jwt"
	// TLSClient presents a certificate from an authority that the authorization server
	// trusts, RFC 8705 section 2.1.
	TLSClient Auth = "tls_client_auth"
	// SelfSignedTLS presents a certificate that is registered with the
	// authorization server, RFC 8705 section 2.2.
	SelfSignedTLS Auth = "self_signed_tls_client_auth"
	// Public sends no credential. It is for public clients, which run on the user's
	// device and cannot keep a secret.
	//
	// Implements RFC 8252 §8.5.
	Public Auth = "none"
)

// assertionLifetime is short, because each request has its own assertion.
const assertionLifetime = time.Minute

// authenticator adds the client authentication to a request.
//
//	RFC 6749 §2.3: "The client MUST NOT use more than one authentication method
//	in each request."
type authenticator func(h http.Header, form url.Values) error

// Implements RFC 6749 §2.3; RFC 9700 §2.5.
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
			// RFC 6749 §2.3.1 (basic): client_id and secret are "encoded using the
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
		fail("Auth", fmt.Errorf("%q is not supported", string(c.Auth)))
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

// assert adds the client assertion of RFC 7523 section 2.2.
//
// The audience is the issuer only. If it were an endpoint or several audiences, a server
// could replay the assertion at another server that the client uses.
//
// Implements RFC 7523 §3 (audience, claims).
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

// newTransport returns the round tripper of a client.
//
// Implements RFC 7662 §4 (TLS); RFC 8414 §6.1.
func newTransport(c Config) (http.RoundTripper, error) {
	switch {
	case c.TLS == nil && c.Transport == nil:
		return http.DefaultTransport, nil
	case c.TLS == nil:
		return c.Transport, nil
	case c.Transport != nil:
		return nil, errors.New("oauth: Config.Transport: cannot be set together with TLS")
	case c.TLS.InsecureSkipVerify:
		return nil, errors.New("oauth: Config.TLS: InsecureSkipVerify is not supported; set RootCAs")
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second, MaxIdleConns: 100}
	t.TLSClientConfig = c.TLS.Clone()
	return t, nil
}

var _ http.Handler = (*jwtauth.KeyRing)(nil) // see Config.Keys
