// SPDX-License-Identifier: Apache-2.0

// Package san reads the subject alternative names of a certificate as they are:
// crypto/x509 parses URIs, and writes some of them differently.
package san

import (
	"crypto/x509"
	"encoding/asn1"
)

// The kinds of names, the prefixes of what Names returns.
const (
	Email = "email:"
	DNS   = "dns:"
	URI   = "uri:"
)

// Names returns the email addresses, DNS names and URIs of a certificate that
// crypto/x509 has parsed, each with its kind in front.
func Names(certificate *x509.Certificate) []string {
	kinds := map[int]string{1: Email, 2: DNS, 6: URI} // RFC 5280 section 4.2.1.6
	var found []string
	for _, extension := range certificate.Extensions {
		if !extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var list []asn1.RawValue
		_, _ = asn1.Unmarshal(extension.Value, &list) // cannot fail: crypto/x509 has parsed it
		for _, name := range list {
			if kind := kinds[name.Tag]; kind != "" && name.Class == asn1.ClassContextSpecific {
				found = append(found, kind+string(name.Bytes))
			}
		}
	}
	return found
}
