// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/oauth"
)

const spiffeID = "spiffe://example.org/billing"

// story makes certificates, starts an authorization server and reports, lets billing call
// reports, and then sends requests of another machine with copied tokens and proofs. It
// returns an error if an outcome is not the expected one.
func story(ctx context.Context, npm string, stdout, stderr io.Writer) error {
	npm, err := findNPM(npm)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "m2m-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	c, err := prepare(dir, "https://localhost:"+port)
	if err != nil {
		return err
	}
	s := &stage{config: c, out: stdout}
	fmt.Fprintf(stdout, "A CA has issued certificates for the authorization server, reports, billing and another\nmachine.\n\n")
	s.line("", "", "status", "response", "reason in the log")

	var stop func()
	if s.config.Issuer, stop, err = startProvider(ctx, c, npm); err != nil {
		return err
	}
	defer stop()
	api, err := newReports(s.config, gatehouse.ObserverFunc(s.observe)) //nolint:contextcheck // its backends outlive every request
	if err != nil {
		return err
	}
	defer api.close()
	api.server.Handler = s.eavesdrop(api.server.Handler)
	go func() { _ = api.server.ServeTLS(listener, "", "") }()

	if err := errors.Join(s.certificateBound(ctx), s.keyBound(ctx), s.impersonate(ctx)); err != nil {
		fmt.Fprintln(stderr, "reason of the last decision:", s.reason())
		return err
	}
	if s.wrong > 0 {
		return fmt.Errorf("%d unexpected outcomes", s.wrong)
	}
	fmt.Fprintln(stdout, "\nReports served billing and refused the other machine.")
	return nil
}

// prepare creates certificates and keys, and the configuration with their paths.
func prepare(dir, origin string) (config, error) {
	c := config{dir: dir, CA: "ca.pem"}
	c.Reports.Origin, c.Reports.Cert, c.Reports.Key, c.Reports.NonceKey = origin, "reports.pem", "reports-key.pem", "file:nonce-key"
	c.Billing.Clients = map[string]string{bindingMTLS: "billing-mtls", bindingDPoP: "billing-dpop"}
	c.Billing.Cert, c.Billing.Key, c.Billing.AssertionKey = "billing.pem", "billing-key.pem", "assertion-key.pem"
	a, err := newAuthority(dir)
	if err != nil {
		return config{}, err
	}
	_, err1 := a.newKey(c.Billing.AssertionKey)
	_, err2 := a.newKey("other-assertion-key.pem")
	return c, errors.Join(
		err1, err2, a.server("as"), a.server("reports"), a.client("billing", spiffeID), a.client("other", "spiffe://example.org/other"),
		os.WriteFile(filepath.Join(dir, "nonce-key"), []byte(rand.Text()+rand.Text()), 0o600),
	)
}

// stage prints what happens and remembers what the API has seen and decided.
type stage struct {
	config config
	out    io.Writer
	last   atomic.Pointer[gatehouse.Event]
	proof  atomic.Pointer[string]
	wrong  int
}

func (s *stage) observe(_ context.Context, e gatehouse.Event) error {
	if e.Type == gatehouse.EventDecision {
		s.last.Store(&e)
	}
	return nil
}

func (s *stage) reason() gatehouse.Reason {
	if e := s.last.Load(); e != nil {
		return e.Reason
	}
	return ""
}

// eavesdrop keeps the last proof, as a log or a proxy in front of the API might.
func (s *stage) eavesdrop(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof := r.Header.Get("DPoP")
		s.proof.Store(&proof)
		next.ServeHTTP(w, r)
	})
}

// certificateBound: a token that is bound to the certificate of billing.
func (s *stage) certificateBound(ctx context.Context) error {
	fmt.Fprintln(s.out, "\nA token that is bound to the certificate of billing (mTLS, RFC 8705)")
	b, err := newBilling(s.config, bindingMTLS)
	if err != nil {
		return err
	}
	defer b.close()
	if err := s.try(ctx, "billing calls reports", b.http, nil, http.StatusOK, ""); err != nil {
		return err
	}
	token, err := b.tokens.Token(ctx)
	if err != nil {
		return err
	}
	header := http.Header{"Authorization": {"Bearer " + string(token.Access.Reveal())}}
	other, err := s.other(true)
	if err != nil {
		return err
	}
	bare, err := s.other(false)
	if err != nil {
		return err
	}
	return errors.Join(
		s.try(ctx, "the token, copied, with another certificate", other, header, http.StatusUnauthorized, mtls.ReasonThumbprint),
		s.try(ctx, "the token, copied, without a certificate", bare, header, http.StatusUnauthorized, mtls.ReasonNoCertificate),
	)
}

// keyBound: a token that is bound to a key of billing.
func (s *stage) keyBound(ctx context.Context) error {
	fmt.Fprintln(s.out, "\nA token that is bound to a key of billing (DPoP, RFC 9449)")
	b, err := newBilling(s.config, bindingDPoP)
	if err != nil {
		return err
	}
	defer b.close()
	if err := s.try(ctx, "billing calls reports", b.http, nil, http.StatusOK, ""); err != nil {
		return err
	}
	token, err := b.tokens.Token(ctx)
	if err != nil {
		return err
	}
	proof, text := *s.proof.Load(), string(token.Access.Reveal())
	key, err := dpop.GenerateKey()
	if err != nil {
		return err
	}
	target, err := url.Parse(s.config.Reports.Origin + "/reports")
	if err != nil {
		return err
	}
	own, err := key.Proof(dpop.ProofRequest{Method: http.MethodGet, URL: target, AccessToken: text})
	if err != nil {
		return err
	}
	other, err := s.other(true)
	if err != nil {
		return err
	}
	bound := http.Header{"Authorization": {"DPoP " + text}}
	with := func(proof string) http.Header {
		return http.Header{"Authorization": bound["Authorization"], "Dpop": {proof}}
	}
	bearer := http.Header{"Authorization": {"Bearer " + text}}
	return errors.Join(
		s.try(ctx, "the token, copied, as a Bearer token", other, bearer, http.StatusUnauthorized, gatehouse.ReasonUnconfirmed),
		s.try(ctx, "the token, copied, without a proof", other, bound, http.StatusUnauthorized, dpop.ReasonMissing),
		s.try(ctx, "the token, copied, with a proof by another key", other, with(own), http.StatusUnauthorized, dpop.ReasonOtherKey),
		s.try(ctx, "the token and its proof, both copied", other, with(proof), http.StatusUnauthorized, dpop.ReasonReplayed),
	)
}

// impersonate asks the authorization server for tokens of billing, from the other machine.
func (s *stage) impersonate(ctx context.Context) error {
	fmt.Fprintln(s.out, "\nThe other machine asks the authorization server for tokens of billing")
	thief := s.config
	thief.Billing.Cert, thief.Billing.Key, thief.Billing.AssertionKey = "other.pem", "other-key.pem", "other-assertion-key.pem"
	for _, row := range []struct{ words, binding string }{
		{"with another certificate", bindingMTLS}, {"with an assertion by another key", bindingDPoP},
	} {
		b, err := newBilling(thief, row.binding)
		if err != nil {
			return err
		}
		_, err = b.tokens.Token(ctx)
		b.close()
		refused, ok := errors.AsType[*oauth.Error](err)
		if !ok {
			return fmt.Errorf("%s: got %w, want an error of the authorization server", row.words, err)
		}
		s.row(refused.Code == "invalid_client", row.words, strconv.Itoa(refused.Status), refused.Code, "")
	}
	return nil
}

// other returns an HTTP client of the other machine.
func (s *stage) other(withCertificate bool) (*http.Client, error) {
	var certificates []tls.Certificate
	if withCertificate {
		certificate, err := s.config.certificate("other.pem", "other-key.pem")
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	settings, err := s.config.client(certificates...)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}, Timeout: timeout}, nil
}

// try sends a request to reports and prints the outcome.
func (s *stage) try(ctx context.Context, words string, client *http.Client, header http.Header, status int, reason gatehouse.Reason) error {
	got, body, err := get(ctx, client, s.config.Reports.Origin+"/reports", header)
	if err != nil {
		return fmt.Errorf("%s: %w", words, err)
	}
	said := body
	if got != http.StatusOK {
		var refusal struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(body), &refusal); err != nil {
			return fmt.Errorf("%s: %w", words, err)
		}
		said = refusal.Error
	}
	s.row(got == status && s.reason() == reason, words, strconv.Itoa(got), said, string(s.reason()))
	return nil
}

func (s *stage) row(expected bool, words, status, said, reason string) {
	mark := "✓"
	if !expected {
		mark = "✗"
		s.wrong++
	}
	s.line(mark, words, status, said, reason)
}

func (s *stage) line(mark, words, status, said, reason string) {
	fmt.Fprintln(s.out, strings.TrimRight(fmt.Sprintf("%1s %-47s %-6s  %-18s  %s", mark, words, status, said, reason), " "))
}
