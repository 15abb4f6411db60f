// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// Config configures an [Authenticator]. All fields are optional: an
// Authenticator that only confirms tokens needs no Subjects.
type Config struct {
	// Roots verify the certificates, in addition to the handshake or a proxy. If Roots is
	// nil, a certificate of the connection must have been verified in the handshake, and
	// a certificate from a proxy counts as verified by the proxy.
	Roots *Roots

	// Subjects are the callers, by a name in their certificate. A certificate that
	// matches several rows is no credential.
	Subjects []Subject

	// Principal returns the caller of a verified certificate that matches no row of
	// Subjects, or [gatehouse.ErrNoCredentials] if it belongs to no caller. The result
	// must have a Subject. An empty Issuer becomes Config.Issuer; Method, Binding,
	// Credential and Expires are set by the authenticator. The response to any other
	// error that is not a [*gatehouse.Error] is 503. Principal must be safe for
	// concurrent use.
	//
	// crypto/x509 accepts names that a certificate should not have: a URI with an
	// upper-case host, an email address with a comma, the DNS name "*.example.org".
	// Compare whole names, of one kind.
	Principal func(ctx context.Context, leaf *x509.Certificate) (gatehouse.Principal, error)

	// Revoked reports whether a certificate is revoked. It is called on each request with
	// a certificate of a caller or of a bound token, so it must be fast and bounded in
	// time. The response to an error is 503.
	Revoked func(ctx context.Context, leaf *x509.Certificate) (bool, error)

	// Proxies are the networks of reverse proxies that end the TLS connections of clients
	// and send the client certificate in Client-Cert, RFC 9440. For these peers the
	// authenticator reads only the header, never the certificate of the connection. The
	// proxies must remove the header from the requests of their clients. With Proxies, a
	// request with the header from any other peer is refused with 400. Without Proxies,
	// the header is not read.
	Proxies []netip.Prefix

	// AllowUnverifiedCertificates makes Confirm accept a certificate that leads to no
	// root, such as a self-signed one of RFC 8705 section 2.2: the thumbprint of the
	// token and the private key are then the only proof. It must still be valid now,
	// and not be revoked. Authenticate still requires a verified certificate.
	//
	// Set it if the authorization server issues tokens for such certificates. The server
	// must then use [tls.RequestClientCert], because a handshake with [ServerTLS] fails
	// for a certificate that does not verify. Do not set it if the removal of a CA must
	// end the use of its tokens.
	AllowUnverifiedCertificates bool

	// Issuer is the Issuer of the principals, "mtls" if empty.
	Issuer string
}

// Subject is a caller with one name in its certificate.
type Subject struct {
	// SAN is a subject alternative name: "uri:", "dns:" or "email:" and the name, such
	// as "uri:spiffe://example.org/billing". It is compared byte for byte. Required,
	// in one row only.
	SAN string

	// Subject is the Subject of the principal. Required, at most 255 bytes.
	Subject string

	// Tenant, Client, Scopes and Roles are those of the principal. Optional.
	Tenant, Client string
	Scopes, Roles  []string

	// Kind is the Kind of the principal, [gatehouse.KindService] if empty.
	Kind gatehouse.Kind
}

const (
	defaultIssuer = "mtls"
	maxText       = 255  // bytes
	maxSAN        = 2048 // bytes, the limit of SPIFFE IDs
)

// check returns the principals by name, and all errors.
func (c *Config) check() (map[string]*gatehouse.Principal, error) {
	const field = "mtls: Config."
	var errs []error
	if c.Issuer == "" {
		c.Issuer = defaultIssuer
	}
	if !text.IsClean(c.Issuer, maxText) {
		errs = append(errs, errors.New(field+"Issuer: must be at most 255 bytes of UTF-8 without control characters"))
	}
	if c.Roots != nil && c.Roots.current.Load() == nil {
		errs = append(errs, errors.New(field+"Roots: must come from NewRoots"))
	}
	networks, err := clientaddr.Normalize(c.Proxies)
	if err != nil {
		errs = append(errs, fmt.Errorf(field+"Proxies%w", err))
	}
	c.Proxies = networks
	subjects := make(map[string]*gatehouse.Principal)
	for i, s := range c.Subjects {
		p, err := s.principal(c.Issuer)
		if err == nil && subjects[s.SAN] != nil {
			err = errors.New("SAN: duplicate of an earlier row")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf(field+"Subjects[%d].%w", i, err))
		}
		subjects[s.SAN] = p
	}
	return subjects, errors.Join(errs...)
}

func (s Subject) principal(issuer string) (*gatehouse.Principal, error) {
	kind, name, _ := strings.Cut(s.SAN, ":")
	switch {
	case kind != "uri" && kind != "dns" && kind != "email":
		return nil, errors.New(`SAN: must begin with "uri:", "dns:" or "email:"`)
	case !text.IsVisible(name) || len(name) > maxSAN:
		return nil, fmt.Errorf("SAN: the name must be 1 to %d bytes of printable ASCII without spaces", maxSAN)
	case kind == "dns" && strings.Contains(name, "*"):
		return nil, errors.New("SAN: a wildcard names no caller")
	case kind == "email" && (strings.Count(name, "@") != 1 || strings.Contains(name, ",")):
		return nil, errors.New("SAN: not one email address")
	case s.Subject == "" || !text.IsClean(s.Subject, maxText):
		return nil, errors.New("Subject: required, at most 255 bytes of UTF-8 without control characters")
	case !text.IsClean(s.Tenant, maxText):
		return nil, errors.New("Tenant: must be at most 255 bytes of UTF-8 without control characters")
	case !text.IsClean(s.Client, maxText):
		return nil, errors.New("Client: must be at most 255 bytes of UTF-8 without control characters")
	}
	scopes, err := gatehouse.NewScopes(s.Scopes...)
	if err != nil {
		return nil, fmt.Errorf("Scopes: %w", err)
	}
	roles, err := gatehouse.NewRoles(s.Roles...)
	if err != nil {
		return nil, fmt.Errorf("Roles: %w", err)
	}
	if s.Kind == "" {
		s.Kind = gatehouse.KindService
	}
	return &gatehouse.Principal{
		Kind: s.Kind, Issuer: issuer, Subject: s.Subject, Tenant: s.Tenant, Client: s.Client,
		Scopes: scopes, Roles: roles, Method: Method, Binding: Binding,
	}, nil
}
