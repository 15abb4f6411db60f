// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"hash/maphash"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/san"
)

// Thumbprint returns the thumbprint of a certificate, the value of the cnf member
// x5t#S256: 43 characters.
//
//	RFC 8705 §3.1: "The value of the x5t#S256 member is a base64url-encoded
//	[RFC4648] SHA-256 [SHS] hash (a.k.a., thumbprint, fingerprint, or digest) of
//	the DER encoding [X690] of the X.509 certificate [RFC5280]."
func Thumbprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// certificate is a client certificate with the results that depend only on the
// certificate and the roots. It is immutable.
type certificate struct {
	leaf        *x509.Certificate
	header      string // Client-Cert, "" for the certificate of a connection
	chainHeader string
	roots       *rootSet

	thumbprint  string
	from, until time.Time            // of the chain, or of the leaf if it is not verified
	problem     *gatehouse.Error     // why it is refused, nil if it is not
	principal   *gatehouse.Principal // of Config.Subjects, nil for none
	rows        int                  // of Config.Subjects that match
}

// cache holds accepted certificates, by the pointer of a connection's certificate or by
// the text that a proxy sends. Two certificates that share a slot replace each other,
// which only costs time.
type cache struct {
	seed  maphash.Seed
	slots [512]atomic.Pointer[certificate]
}

// slot returns the slot of a text that ends with the signature of a certificate.
func (c *cache) slot(text string) *atomic.Pointer[certificate] {
	return &c.slots[maphash.String(c.seed, text[max(0, len(text)-32):])%uint64(len(c.slots))]
}

func (c *cache) slotOf(leaf *x509.Certificate) *atomic.Pointer[certificate] {
	return &c.slots[maphash.Bytes(c.seed, leaf.Signature[max(0, len(leaf.Signature)-24):])%uint64(len(c.slots))]
}

// certificate returns the certificate of r: that of the header if the peer is a proxy,
// and that of the connection if not. It is nil if there is none. After an error the
// request must be refused, with any credential.
func (a *Authenticator) certificate(r *http.Request) (*certificate, *gatehouse.Error) {
	proxy, e := a.fromProxy(r)
	if e != nil {
		return nil, e
	}
	var roots *rootSet
	if a.config.Roots != nil {
		roots = a.config.Roots.set()
	}
	if proxy {
		return a.ofProxy(r, roots)
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	// Without roots of its own, the authenticator relies on the handshake, which may
	// have been made for a host with other roots.
	if roots == nil && r.TLS.ServerName != "" && !strings.EqualFold(r.TLS.ServerName, hostName(r.Host)) {
		return nil, refuse(CodeMisdirected, ReasonMisdirected, errors.New("mtls: the host of the request is not the server name of the handshake"))
	}
	leaf := r.TLS.PeerCertificates[0]
	slot := a.cache.slotOf(leaf)
	if c := slot.Load(); c != nil && c.leaf == leaf && c.roots == roots {
		return c, nil
	}
	chains, expired := r.TLS.VerifiedChains, false
	if roots != nil {
		chains, expired = verify(leaf, r.TLS.PeerCertificates[1:], roots)
	}
	c := a.examine(&certificate{leaf: leaf, roots: roots}, chains, expired)
	a.remember(slot, c)
	return c, nil
}

// remember keeps a certificate that some request may use.
func (a *Authenticator) remember(slot *atomic.Pointer[certificate], c *certificate) {
	if c.problem == nil || a.config.AllowUnverifiedCertificates && c.isUnverified() {
		slot.Store(c)
	}
}

// isUnverified reports whether the only known problem of c is that it leads to no root.
func (c *certificate) isUnverified() bool {
	return c.problem != nil && c.problem.Reason == ReasonUntrusted
}

// ofProxy returns the certificate in the header.
func (a *Authenticator) ofProxy(r *http.Request, roots *rootSet) (*certificate, *gatehouse.Error) {
	header, chain, err := headerText(r.Header)
	if err != nil {
		return nil, refuse(gatehouse.CodeInvalidRequest, ReasonHeader, err)
	}
	if header == "" {
		return nil, nil
	}
	slot := a.cache.slot(header)
	if c := slot.Load(); c != nil && c.header == header && c.chainHeader == chain && c.roots == roots {
		return c, nil
	}
	leaf, intermediates, err := parseHeader(header, chain)
	if err != nil {
		return nil, refuse(gatehouse.CodeInvalidRequest, ReasonHeader, err)
	}
	chains, expired := [][]*x509.Certificate{{leaf}}, false // the proxy has verified it
	if roots != nil {
		chains, expired = verify(leaf, intermediates, roots)
	}
	// The text outlives the request: it must not keep the other headers in memory.
	c := a.examine(&certificate{leaf: leaf, header: strings.Clone(header), chainHeader: strings.Clone(chain), roots: roots}, chains, expired)
	a.remember(slot, c)
	return c, nil
}

// verify returns the chains from leaf to roots that are valid now. If there is none,
// expired reports whether a certificate is expired or not valid yet: crypto/x509 then
// has not looked for a root.
func verify(leaf *x509.Certificate, intermediates []*x509.Certificate, roots *rootSet) (chains [][]*x509.Certificate, expired bool) {
	options := x509.VerifyOptions{
		Roots: roots.pool, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, i := range intermediates {
		options.Intermediates.AddCert(i)
	}
	chains, err := leaf.Verify(options)
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return chains, ok && invalid.Reason == x509.Expired
}

// examine sets the fields of c from its certificate and its chains.
func (a *Authenticator) examine(c *certificate, chains [][]*x509.Certificate, expired bool) *certificate {
	c.thumbprint = Thumbprint(c.leaf)
	if len(chains) == 0 {
		c.from, c.until = validity([]*x509.Certificate{c.leaf})
	}
	for _, chain := range chains {
		from, until := validity(chain)
		if until.After(c.until) {
			c.from, c.until = from, until
		}
	}
	if len(chains) == 0 && expired {
		c.problem = a.expired(c)
	} else if len(chains) == 0 {
		c.problem = a.invalid(c, ReasonUntrusted, "no chain to a trust root was verified")
	} else if problem := usageProblem(c.leaf); problem != "" {
		c.problem = a.invalid(c, ReasonUsage, problem)
	} else if e := a.checkTime(c, time.Now()); e != nil {
		c.problem = e
	}
	for _, name := range san.Names(c.leaf) {
		if p := a.subjects[name]; p != nil {
			c.rows++
			c.principal = p
		}
	}
	if c.rows != 1 {
		c.principal = nil
		return c
	}
	p := *c.principal
	p.Credential, p.Expires = c.thumbprint, c.until
	c.principal = &p
	return c
}

// validity returns the time in which all certificates of a chain are valid.
func validity(chain []*x509.Certificate) (from, until time.Time) {
	for i, certificate := range chain {
		if certificate.NotBefore.After(from) {
			from = certificate.NotBefore
		}
		if i == 0 || certificate.NotAfter.Before(until) {
			until = certificate.NotAfter
		}
	}
	return from, until
}

// checkTime refuses a certificate outside of its validity: a connection may be
// older than that.
func (a *Authenticator) checkTime(c *certificate, now time.Time) *gatehouse.Error {
	if now.Before(c.from) || now.After(c.until) {
		return a.expired(c)
	}
	return nil
}

func (a *Authenticator) expired(c *certificate) *gatehouse.Error {
	return a.invalid(c, ReasonExpired, "a certificate of the chain is expired or not valid yet")
}

// usageProblem returns why a certificate is not valid for a TLS client, "" if it is.
// crypto/tls does not check this.
func usageProblem(leaf *x509.Certificate) string {
	switch {
	case leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return "it is the certificate of a CA"
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return "its key usage lacks digitalSignature"
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return "its extended key usage lacks clientAuth"
	}
	return ""
}

// invalid refuses a certificate.
func (a *Authenticator) invalid(c *certificate, reason gatehouse.Reason, cause string) *gatehouse.Error {
	e := refuse(gatehouse.CodeInvalidToken, reason, errors.New("mtls: certificate: "+cause))
	e.Issuer, e.Credential = a.config.Issuer, c.thumbprint
	return e
}

// hostName returns a host without its port.
func hostName(host string) string {
	if strings.IndexByte(host, ':') >= 0 { // SplitHostPort allocates an error without one
		if name, _, err := net.SplitHostPort(host); err == nil {
			return name
		}
	}
	return host
}
