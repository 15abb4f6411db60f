// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The bindings of tokens, and the names of the clients that get them.
const (
	bindingMTLS = "mtls"
	bindingDPoP = "dpop"
)

// scope is required for GET /reports.
const scope = "reports:read"

// config is the configuration of both services; each reads its part. Paths are relative
// to the file.
type config struct {
	Issuer string `json:"issuer"` // of the authorization server
	CA     string `json:"ca"`     // PEM: issues the certificates of all servers and clients

	Reports struct {
		Addr     string `json:"addr"`
		Origin   string `json:"origin"` // as clients write it; also the audience of the tokens
		Cert     string `json:"cert"`   // PEM
		Key      string `json:"key"`    // PEM
		NonceKey string `json:"nonce_key"`
	} `json:"reports"`

	Billing struct {
		Clients      map[string]string `json:"clients"` // client IDs, by binding
		Cert         string            `json:"cert"`    // PEM
		Key          string            `json:"key"`     // PEM
		AssertionKey string            `json:"assertion_key"`
	} `json:"billing"`

	dir string
}

func readConfig(path string) (config, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return config{}, err
	}
	defer func() { _ = file.Close() }()
	c := config{dir: filepath.Dir(path)}
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return config{}, err
	}
	for binding := range c.Billing.Clients {
		if binding != bindingMTLS && binding != bindingDPoP {
			return config{}, fmt.Errorf("billing.clients: %q is no binding: want mtls or dpop", binding)
		}
	}
	return c, nil
}

// path returns the path of a file that the configuration names.
func (c config) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// certificate reads a certificate with its key.
func (c config) certificate(cert, key string) (tls.Certificate, error) {
	return tls.LoadX509KeyPair(c.path(cert), c.path(key))
}

// client returns the TLS settings of a client. It trusts servers of the CA only.
func (c config) client(certificates ...tls.Certificate) (*tls.Config, error) {
	text, err := os.ReadFile(c.path(c.CA))
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("ca: has no certificate in PEM")
	}
	return &tls.Config{RootCAs: pool, Certificates: certificates, MinVersion: tls.VersionTLS12}, nil
}
