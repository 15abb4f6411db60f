// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/store"
)

// This file is for sender-constrained tokens, which are useless without a key of the
// client: DPoP (RFC 9449) or a TLS client certificate (RFC 8705).

// tlsConfig makes the server speak HTTPS.
type tlsConfig struct {
	Cert     string `json:"cert"`      // file:PATH, PEM
	Key      string `json:"key"`       // file:PATH, PEM
	ClientCA string `json:"client_ca"` // PATH, PEM: verifies client certificates
}

// mtlsConfig maps client certificates to callers.
type mtlsConfig struct {
	Subjects []struct {
		SAN     string   `json:"san"` // uri:, dns: or email: and the name
		Subject string   `json:"subject"`
		Tenant  string   `json:"tenant"`
		Scopes  []string `json:"scopes"`
	} `json:"subjects"`
	ClientCertHeader *struct {
		From []string `json:"from"` // the proxies that may send Client-Cert
	} `json:"client_cert_header"`
}

// dpopConfig configures the verification of DPoP proofs.
type dpopConfig struct {
	NonceKey string `json:"nonce_key"` // env:NAME or file:PATH; no nonces if empty
	Replay   struct {
		Driver string `json:"driver"` // memory, sqlite, postgres or redis
		DSN    string `json:"dsn"`
	} `json:"replay"`
	Required bool `json:"required"` // accept no unbound access tokens
}

// bound holds the confirmers of sender-constrained tokens. A field is nil if that part is
// not configured.
type bound struct {
	roots        *mtls.Roots
	certificates *mtls.Authenticator
	proofs       *dpop.Verifier
	replays      *store.DB
	required     bool
}

func newBound(c *config, observer gatehouse.Observer, logger *slog.Logger) (*bound, error) {
	b := &bound{}
	return b, errors.Join(b.addCertificates(c, observer), b.addProofs(c, logger))
}

func (b *bound) addCertificates(c *config, observer gatehouse.Observer) (err error) {
	if c.TLS != nil && c.TLS.ClientCA != "" {
		if b.roots, err = mtls.NewRoots(mtls.RootsConfig{File: c.TLS.ClientCA, Observer: observer}); err != nil {
			return fmt.Errorf("tls.client_ca: %w", err)
		}
	}
	if c.MTLS == nil && b.roots == nil {
		return nil
	}
	settings := mtls.Config{Roots: b.roots}
	if c.MTLS != nil {
		for _, s := range c.MTLS.Subjects {
			settings.Subjects = append(settings.Subjects, mtls.Subject{SAN: s.SAN, Subject: s.Subject, Tenant: s.Tenant, Scopes: s.Scopes})
		}
		switch header := c.MTLS.ClientCertHeader; {
		case header != nil && len(header.From) == 0:
			return errors.New("mtls.client_cert_header.from: required")
		case header != nil:
			for n, from := range header.From {
				network, err := netip.ParsePrefix(from)
				if err != nil {
					return fmt.Errorf(`mtls.client_cert_header.from[%d]: %q is not a network such as "10.0.0.0/8"`, n, from)
				}
				settings.Proxies = append(settings.Proxies, network)
			}
		case b.roots == nil:
			return errors.New("mtls: needs tls.client_ca or mtls.client_cert_header: without one there is no client certificate")
		}
	}
	b.certificates, err = mtls.New(settings)
	return err
}

func (b *bound) addProofs(c *config, logger *slog.Logger) error {
	if c.DPoP == nil {
		if c.PublicOrigin == "" {
			return nil
		}
		_, err := dpop.New(dpop.Config{PublicOrigin: c.PublicOrigin, Replays: dpop.NewMemory(1)}) // checks the origin
		return err
	}
	var errs []error
	settings := dpop.Config{PublicOrigin: c.PublicOrigin}
	if c.DPoP.NonceKey != "" {
		key, err := gatehouse.LoadSecret(c.DPoP.NonceKey, 32)
		if err != nil {
			errs = append(errs, fmt.Errorf("dpop.nonce_key: %w", err))
		} else {
			settings.NonceKeys = []gatehouse.Secret{key}
		}
	}
	driver := c.DPoP.Replay.Driver
	if driver == "" {
		driver = "memory"
	}
	replays, err := openStore("dpop.replay", store.Config{Driver: driver, DSN: c.DPoP.Replay.DSN, Logger: logger})
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	b.replays, b.required = replays, c.DPoP.Required
	settings.Replays = replays.Replays
	b.proofs, err = dpop.New(settings)
	return errors.Join(append(errs, err)...)
}

// confirmers returns the confirmers for the authenticators of tokens.
func (b *bound) confirmers() []gatehouse.Confirmer {
	var all []gatehouse.Confirmer
	if b.certificates != nil {
		all = append(all, b.certificates)
	}
	if b.proofs != nil {
		all = append(all, b.proofs)
	}
	return all
}

// require returns an authenticator of access tokens that accepts unbound ones only if
// the configuration does.
func (b *bound) require(tokens gatehouse.Authenticator) gatehouse.Authenticator {
	if b.required {
		return dpop.Require(tokens)
	}
	return tokens
}

// start prepares the store of used proofs.
func (b *bound) start(ctx context.Context) error {
	if b.replays == nil {
		return nil
	}
	if err := b.replays.Start(ctx); err != nil {
		return fmt.Errorf("dpop.replay.dsn: %w", err)
	}
	return nil
}

func (b *bound) close() {
	if b.replays != nil {
		_ = b.replays.Close()
	}
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

// requireBinding allows callers with a sender-constrained credential. An API key is not
// an invalid token, so its caller gets the challenges without an error.
func requireBinding(r *http.Request, p gatehouse.Principal) error {
	err := gatehouse.Bound().Authorize(r, p)
	if err != nil && p.Method == apikey.Method {
		return &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonUnbound}
	}
	return err
}

// sensitive is for callers with a sender-constrained credential.
func sensitive(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	writeJSON(w, http.StatusOK, map[string]any{"subject": p.Subject, "binding": p.Binding})
}
