// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// tlsConfig makes the server speak HTTPS.
type tlsConfig struct {
	Cert     string `json:"cert"`      // file:PATH, PEM
	Key      string `json:"key"`       // file:PATH, PEM
	ClientCA string `json:"client_ca"` // PATH, PEM: verifies client certificates
}

// clientCertificates returns the confirmer of tokens that are bound to a client
// certificate, and the roots for the server. Both are nil without tls.client_ca.
func (c *config) clientCertificates(observer gatehouse.Observer) (*mtls.Authenticator, *mtls.Roots, error) {
	if c.TLS == nil || c.TLS.ClientCA == "" {
		return nil, nil, nil
	}
	roots, err := mtls.NewRoots(mtls.RootsConfig{File: c.TLS.ClientCA, Observer: observer})
	if err != nil {
		return nil, nil, fmt.Errorf("tls.client_ca: %w", err)
	}
	certificates, err := mtls.New(mtls.Config{Roots: roots})
	return certificates, roots, err
}

// serverTLS returns the TLS settings of the server, nil for plain HTTP.
func (c *config) serverTLS(roots *mtls.Roots) (*tls.Config, error) {
	if c.TLS == nil {
		return nil, nil //nolint:nilnil // plain HTTP
	}
	certificate, err := c.TLS.load()
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if roots == nil {
		return settings, nil
	}
	return mtls.ServerTLS(settings, roots)
}

func (c *tlsConfig) load() (tls.Certificate, error) {
	path, ok := strings.CutPrefix(c.Cert, "file:")
	if !ok {
		return tls.Certificate{}, errors.New("tls.cert: must be file:PATH")
	}
	certificate, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.cert: %w", err)
	}
	key, err := gatehouse.LoadSecret(c.Key, 1)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.key: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key.Reveal())
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls: %w", err)
	}
	return pair, nil
}
