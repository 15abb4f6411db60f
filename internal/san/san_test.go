// SPDX-License-Identifier: Apache-2.0

package san_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/internal/san"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestNames(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	name := func(class, tag int, text string) asn1.RawValue {
		return asn1.RawValue{Class: class, Tag: tag, Bytes: []byte(text)}
	}
	context := asn1.ClassContextSpecific
	for _, test := range []struct {
		name  string
		names []asn1.RawValue // none for a certificate without the extension
		want  []string
	}{
		{"no names", nil, nil},
		{"each kind", []asn1.RawValue{
			name(context, 1, "ops@example.org"), name(context, 2, "api.example.org"), name(context, 6, "spiffe://example.org/billing"),
		}, []string{"email:ops@example.org", "dns:api.example.org", "uri:spiffe://example.org/billing"}},
		{"bytes as they are", []asn1.RawValue{
			name(context, 6, "spiffe://EXAMPLE.org/%62illing"), name(context, 2, "*.Example.org"),
		}, []string{"uri:spiffe://EXAMPLE.org/%62illing", "dns:*.Example.org"}},
		{"another class", []asn1.RawValue{name(asn1.ClassUniversal, 2, "\x01"), name(context, 2, "a")}, []string{"dns:a"}},
		{"other kinds", []asn1.RawValue{name(context, 7, "\x7f\x00\x00\x01"), name(context, 2, "a")}, []string{"dns:a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(1)}
			if test.names != nil {
				issuer := must(asn1.Marshal([]asn1.RawValue{name(context, 6, "spiffe://example.org/issuer")}))
				template.ExtraExtensions = []pkix.Extension{ // the first is the alternative name of the issuer
					{Id: asn1.ObjectIdentifier{2, 5, 29, 18}, Value: issuer}, {Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: must(asn1.Marshal(test.names))},
				}
			}
			certificate := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))))
			if diff := cmp.Diff(test.want, san.Names(certificate)); diff != "" {
				t.Errorf("Names (-want +got):\n%s", diff)
			}
		})
	}
}

// Names of a certificate that crypto/x509 has not parsed are none if the extension is
// malformed.
func TestNamesOfMalformedExtension(t *testing.T) {
	certificate := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: []byte("x")}}}
	if got := san.Names(certificate); got != nil {
		t.Errorf("Names() = %q, want none", got)
	}
}
