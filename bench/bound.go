// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// boundToken is a DPoP-bound token with a proof, neither of which was seen before,
// against the two bare signature checks.
func boundToken(passes int, burst time.Duration) (pathResult, error) {
	return boundRace("DPoP-bound JWT with a proof, full gate", -1, "two bare signature checks", "1.10", passes, burst)
}

// seenBoundToken is a DPoP-bound token that is in the cache, with a new proof.
func seenBoundToken(passes int, burst time.Duration) (pathResult, error) {
	return boundRace("the same, JWT seen before", 10_000, "one bare signature check", "1.15", passes, burst)
}

func boundRace(name string, cache int, floor, target string, passes int, burst time.Duration) (pathResult, error) {
	b, err := newBound(cache)
	if err != nil {
		return pathResult{}, err
	}
	client, err := b.prover()
	if err != nil {
		return pathResult{}, err
	}
	bare := contestant{name: "floor", work: func(n int) error {
		n %= distinct
		if cache < 0 && !verifies(b.m.public.(*ecdsa.PublicKey), b.m.tokens[n]) {
			return errors.New("a good token was refused")
		}
		if !verifies(b.public, client.proofs[n]) {
			return errors.New("a good proof was refused")
		}
		return nil
	}}
	results, err := race([]contestant{bare, {name: name, work: client.request}}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], floor, target}, nil
}

// verifies checks an ES256 signature with the standard library and does nothing else.
func verifies(public *ecdsa.PublicKey, token string) bool {
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(token[:dot]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(public, sum[:], r, s)
}

// seenCertificateToken is a token that is bound to the certificate of the connection and
// in the cache, against an unbound one that is in the cache.
func seenCertificateToken(passes int, burst time.Duration) (pathResult, error) {
	m, err := newMaterial("ES256")
	if err != nil {
		return pathResult{}, err
	}
	state, err := newConnection()
	if err != nil {
		return pathResult{}, err
	}
	certificates, err := mtls.New(mtls.Config{})
	if err != nil {
		return pathResult{}, err
	}
	thumbprint := mtls.Thumbprint(state.PeerCertificates[0])
	if err := m.bind("ext", "x5t#S256", thumbprint); err != nil { // not bound, but as long
		return pathResult{}, err
	}
	h, err := protect(m, 10_000, ok)
	if err != nil {
		return pathResult{}, err
	}
	floor := serving("floor", h, requests(m.tokens))
	if err := m.bind("cnf", "x5t#S256", thumbprint); err != nil {
		return pathResult{}, err
	}
	bound, err := protect(m, 10_000, ok, certificates)
	if err != nil {
		return pathResult{}, err
	}
	list := requests(m.tokens)
	for _, r := range list {
		r.TLS = state
	}
	results, err := race([]contestant{floor, serving("certificate-bound JWT seen before, full gate", bound, list)}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], "unbound JWT of the same length, seen before, full gate", "1.1"}, nil
}

// newConnection returns the state of a connection with a verified client certificate.
func newConnection() (*tls.ConnectionState, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}, nil
}

// bind signs the tokens again, bound by a member of the claim cnf, or of another claim,
// which binds nothing.
func (m *material) bind(claim, member, value string) error {
	for n, token := range m.tokens {
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
			return err
		}
		delete(claims, "ext")
		claims[claim] = map[string]any{member: value}
		again := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		again.Header["typ"], again.Header["kid"] = "at+jwt", "k1"
		var err error
		if m.tokens[n], err = again.SignedString(m.private); err != nil {
			return err
		}
	}
	return nil
}

// bound is a gate for DPoP-bound tokens, and the client that sends them.
type bound struct {
	m       *material
	key     *dpop.Key
	public  *ecdsa.PublicKey
	handler http.Handler
}

func newBound(cache int) (*bound, error) {
	m, err := newMaterial("ES256")
	if err != nil {
		return nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := dpop.NewKey(dpop.ES256, private)
	if err != nil {
		return nil, err
	}
	if err := m.bind("cnf", "jkt", key.Thumbprint()); err != nil {
		return nil, err
	}
	proofs, err := dpop.New(dpop.Config{PublicOrigin: audience, Replays: &unused{store: dpop.NewMemory(0)}})
	if err != nil {
		return nil, err
	}
	handler, err := protect(m, cache, ok, proofs)
	return &bound{m, key, &private.PublicKey, handler}, err
}

// prover sends requests with proofs, each of which it sends many times.
type prover struct {
	*bound
	serve   contestant
	list    []*http.Request
	proofs  []string
	renewed time.Time
}

func (b *bound) prover() (*prover, error) {
	p := &prover{bound: b, list: requests(b.m.tokens), proofs: make([]string, distinct)}
	p.serve = serving("", b.handler, p.list)
	return p, p.renew()
}

// renew makes new proofs, before the old ones are too old.
func (p *prover) renew() error {
	target, err := url.Parse(audience + "/reports")
	if err != nil {
		return err
	}
	for n, token := range p.m.tokens {
		if p.proofs[n], err = p.key.Proof(dpop.ProofRequest{Method: http.MethodGet, URL: target, AccessToken: token}); err != nil {
			return err
		}
		p.list[n].Header["Authorization"] = []string{"DPoP " + token}
		p.list[n].Header["Dpop"] = []string{p.proofs[n]}
	}
	p.renewed = time.Now()
	return nil
}

func (p *prover) request(n int) error {
	if n%distinct == 0 && time.Since(p.renewed) > 30*time.Second {
		if err := p.renew(); err != nil {
			return err
		}
	}
	return p.serve.work(n)
}

// twoCoresBound is the throughput of two cores with DPoP-bound tokens that are in the
// cache.
func twoCoresBound(passes int, burst time.Duration) (pathResult, error) {
	b, err := newBound(10_000)
	if err != nil {
		return pathResult{}, err
	}
	var work [3]func(int) error
	for i := range work {
		p, err := b.prover()
		if err != nil {
			return pathResult{}, err
		}
		work[i] = p.request
	}
	return scaling("DPoP-bound JWT seen before, two cores over one", "1.8", 32, work, passes, burst)
}

// unused is a store in memory to which each key is new, and which does not fill up.
type unused struct {
	store *dpop.Memory
	n     atomic.Uint64
}

func (u *unused) Insert(ctx context.Context, key [32]byte, _ time.Duration) (bool, error) {
	binary.BigEndian.PutUint64(key[8:], u.n.Add(1))
	return u.store.Insert(ctx, key, 100*time.Millisecond)
}
