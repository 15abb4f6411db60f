// SPDX-License-Identifier: Apache-2.0

package spiffe

import (
	"crypto/x509"
	"errors"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/san"
)

const (
	scheme         = "spiffe://"
	maxID          = 2048 // bytes
	maxTrustDomain = 255  // bytes
)

var errID = errors.New("spiffe: malformed SPIFFE ID")

// ID is a SPIFFE ID. It is comparable. The zero ID stands for no ID.
type ID struct{ trustDomain, path string }

// ParseID parses a SPIFFE ID strictly: at most 2048 bytes, the scheme and the trust
// domain in lower case, no port, user information, query, fragment or percent encoding,
// and no empty segment, "." or ".." in the path. An ID has exactly one text, so IDs can
// be compared byte by byte.
func ParseID(s string) (ID, error) {
	rest, ok := strings.CutPrefix(s, scheme)
	if !ok || len(s) > maxID {
		return ID{}, errID
	}
	domain, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		domain, path = rest[:i], rest[i:]
	}
	if !isTrustDomain(domain) {
		return ID{}, errID
	}
	if path != "" {
		for segment := range strings.SplitSeq(path[1:], "/") {
			if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, notInPath) {
				return ID{}, errID
			}
		}
	}
	return ID{domain, path}, nil
}

// isTrustDomain reports whether s is a trust domain name: lower-case letters,
// digits, dots, hyphens and underscores.
func isTrustDomain(s string) bool {
	return s != "" && len(s) <= maxTrustDomain && !strings.ContainsFunc(s, func(r rune) bool {
		return notInPath(r) || 'A' <= r && r <= 'Z'
	})
}

func notInPath(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
}

// TrustDomain returns the name of the trust domain.
func (id ID) TrustDomain() string { return id.trustDomain }

// Path returns the path with its leading slash, "" for the ID of a trust domain.
func (id ID) Path() string { return id.path }

// String returns the text of the ID, "" for the zero ID.
func (id ID) String() string {
	if id == (ID{}) {
		return ""
	}
	return scheme + id.trustDomain + id.path
}

// CertificateID returns the SPIFFE ID of the certificate of a workload, an X.509-SVID:
// the certificate must have exactly one URI, an ID with a path; it must not be that of a
// CA; its key usage must allow digital signatures, and must not allow signing
// certificates or CRLs. It does not verify the certificate: use it in
// mtls.Config.Principal, which gets verified ones.
func CertificateID(leaf *x509.Certificate) (ID, error) {
	const signing = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if leaf.IsCA || leaf.KeyUsage&signing != 0 || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return ID{}, errors.New("spiffe: not the certificate of a workload: it is that of a CA, or its key usage is not digitalSignature")
	}
	var uris []string
	for _, name := range san.Names(leaf) {
		if uri, ok := strings.CutPrefix(name, san.URI); ok {
			uris = append(uris, uri)
		}
	}
	if len(uris) > 1 {
		return ID{}, errors.New("spiffe: the certificate has several URIs")
	}
	id, err := ParseID(strings.Join(uris, ""))
	if err != nil || id.path == "" {
		return ID{}, errID
	}
	return id, nil
}
