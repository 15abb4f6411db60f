// SPDX-License-Identifier: Apache-2.0

package spiffe_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"
	"os"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/spiffe"
)

func Example() {
	file, err := os.CreateTemp("", "bundle")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	fmt.Fprint(file, bundle("jwt-svid", &key.PublicKey))

	verifier, err := spiffe.New(spiffe.Config{
		TrustDomains: map[string]spiffe.Bundle{"example.org": spiffe.BundleFile(file.Name())},
		Audiences:    []string{"spiffe://example.org/reports"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = verifier.Close() }()
	svid, err := verifier.Verify(context.Background(), signed(key, nil, nil))
	fmt.Println(svid.ID, err)

	// Output:
	// spiffe://example.org/billing <nil>
}

// Workloads with an X.509-SVID as callers.
func ExampleCertificateID() {
	certificates, err := mtls.New(mtls.Config{
		Principal: func(_ context.Context, leaf *x509.Certificate) (gatehouse.Principal, error) {
			id, err := spiffe.CertificateID(leaf)
			if err != nil || id.TrustDomain() != "example.org" {
				return gatehouse.Principal{}, gatehouse.ErrNoCredentials
			}
			return gatehouse.Principal{Kind: gatehouse.KindService, Issuer: id.TrustDomain(), Subject: id.String()}, nil
		},
	})
	fmt.Println(certificates != nil, err)

	// Output:
	// true <nil>
}
