// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// reports is the API. It accepts only tokens that are bound to a certificate or to a
// key.
type reports struct {
	server *http.Server
	tokens *jwtauth.Authenticator
}

func newReports(c config, observer gatehouse.Observer) (*reports, error) {
	certificate, err := c.certificate(c.Reports.Cert, c.Reports.Key)
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	roots, err := mtls.NewRoots(mtls.RootsConfig{File: c.path(c.CA), Observer: observer})
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	certificates, errCertificates := mtls.New(mtls.Config{Roots: roots})
	nonces, errNonces := gatehouse.LoadSecret(c.secret(c.Reports.NonceKey), 32)
	proofs, errProofs := dpop.New(dpop.Config{
		PublicOrigin: c.Reports.Origin,
		Replays:      dpop.NewMemory(0), // one server: several share a store, see store/sqlstore and store/redisstore
		NonceKeys:    []gatehouse.Secret{nonces},
	})
	settings, errSettings := mtls.ServerTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, roots)
	fetches, errFetches := c.client()
	if err := errors.Join(errCertificates, errNonces, errProofs, errSettings, errFetches); err != nil {
		return nil, err
	}
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL: c.Issuer, Audiences: []string{c.Reports.Origin}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
		}},
		Confirmers: []gatehouse.Confirmer{certificates, proofs},
		Transport:  &http.Transport{TLSClientConfig: fetches, ForceAttemptHTTP2: true},
		Observer:   observer,
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{dpop.Require(tokens)}, Realm: "reports", Observer: observer,
	})
	if err != nil {
		_ = tokens.Close()
		return nil, err
	}
	mux := gate.Mux()
	mux.HandleFunc("GET /reports", list, scopes.All(scope))
	mux.PublicFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return &reports{
		tokens: tokens,
		server: &http.Server{
			Handler: proofs.Nonces(mux), TLSConfig: settings, ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout: timeout, WriteTimeout: 2 * timeout, IdleTimeout: 2 * time.Minute,
		},
	}, nil
}

func (a *reports) close() {
	_ = a.server.Close()
	_ = a.tokens.Close()
}

// list says who called, by which proof.
func list(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	fmt.Fprintf(w, "the reports of %s, bound by %s", p.Subject, p.Binding)
}

// secret makes the path in file:PATH relative to the configuration.
func (c config) secret(name string) string {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		return "file:" + c.path(path)
	}
	return name
}
