// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

const (
	scheme      = "DPoP"
	header      = "Dpop" // the canonical name of the header
	nonceHeader = "Dpop-Nonce"
	typ         = "dpop+jwt"

	maxProofBytes = 8 << 10
	maxID         = 256 // bytes of jti

	farFuture = "253402300799"
)

// proof is a parsed proof. Only its form, its type, its algorithm and its key are
// checked.
type proof struct {
	jose.Compact
	algorithm string
	key       jose.Key
	cached    bool // the header was in the cache

	method, url, id    string
	token, nonce       string // "" if they are missing
	issued             int64
	expires, notBefore int64 // the far future and 0 if they are missing
}

// headerTable lists the parameters of the header that parse reads, in this order. From
// crit on they are forbidden: they change the meaning of the JWT or name another key.
var headerTable = strictjson.NewTable(
	"typ", "alg", "jwk",
	"crit", "b64", "cty", "zip", "jku", "x5u", "x5c", "enc", "epk", "p2s", "p2c",
)

// claimTable lists the claims that parse reads, in this order.
var claimTable = strictjson.NewTable("htm", "htu", "jti", "ath", "nonce", "iat", "exp", "nbf")

var (
	errForbidden = errors.New("the header has a parameter that is never accepted")
	errOversized = fmt.Errorf("the proof is longer than %d bytes", maxProofBytes)
	errType      = errors.New("typ: must be " + typ)
	errID        = fmt.Errorf("claim jti: must have 1 to %d bytes without control characters", maxID)
)

// parse parses a proof strictly.
//
// Implements RFC 9449 §4.2 (public), §4.3 (jwt, claims, alg), §11.1 (size), §11.5,
// §11.6.
func (v *Verifier) parse(jwt string) (proof, *gatehouse.Error) {
	if len(jwt) > maxProofBytes {
		return proof{}, reject(ReasonMalformed, errOversized)
	}
	parts, err := jose.Split(jwt)
	if err != nil {
		return proof{}, reject(ReasonMalformed, err)
	}
	p := proof{Compact: parts}
	if h := v.headers.get(p.Header); h != nil {
		p.algorithm, p.key, p.cached = h.algorithm, h.key, true
	} else if e := p.parseHeader(v.algorithms); e != nil {
		return proof{}, e
	}
	if err := p.parseClaims(); err != nil {
		return proof{}, reject(ReasonMalformed, err)
	}
	return p, nil
}

func (p *proof) parseHeader(algorithms []Algorithm) *gatehouse.Error {
	var buffer [1024]byte
	decoded, err := base64url.Decode(buffer[:0], p.Header)
	if err != nil {
		return reject(ReasonMalformed, fmt.Errorf("header: %w", err))
	}
	var rawType, rawAlgorithm, jwk, bad string
	err = headerTable.Read(string(decoded), strictjson.Limits{Depth: 5, Members: 64}, &rawType, &rawAlgorithm, &jwk,
		&bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad, &bad)
	if err != nil {
		return reject(ReasonMalformed, fmt.Errorf("header: %w", err))
	}
	if bad != "" {
		return reject(ReasonMalformed, errForbidden)
	}
	// RFC 9449 §4.3 (typ): "The typ JOSE Header Parameter has the value dpop+jwt."
	if name, _ := strictjson.String(rawType); name != typ {
		return reject(ReasonType, errType)
	}
	p.algorithm, _ = strictjson.String(rawAlgorithm)
	if !slices.Contains(algorithms, Algorithm(p.algorithm)) {
		return reject(ReasonAlgorithm, errors.New("alg: not one of Config.Algorithms"))
	}
	if p.key, err = jose.ParseKey(jwk); err != nil {
		return reject(ReasonKey, fmt.Errorf("jwk %w", err))
	}
	if p.key.Algorithm != "" && p.key.Algorithm != p.algorithm {
		return reject(ReasonAlgorithm, errors.New("alg: is not that of jwk"))
	}
	if !jose.Fits(p.algorithm, p.key.Public) {
		return reject(ReasonAlgorithm, fmt.Errorf("alg: %s does not fit a key of type %T", p.algorithm, p.key.Public))
	}
	return nil
}

func (p *proof) parseClaims() error {
	var buffer [1024]byte
	decoded, err := base64url.Decode(buffer[:0], p.Payload)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	var htm, htu, jti, ath, nonce, iat, exp, nbf string
	err = claimTable.Read(string(decoded), strictjson.Limits{Depth: 8, Members: 64}, &htm, &htu, &jti, &ath, &nonce, &iat, &exp, &nbf)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	for _, claim := range [...]struct {
		name, raw string
		value     *string
		required  bool
	}{{"htm", htm, &p.method, true}, {"htu", htu, &p.url, true}, {"jti", jti, &p.id, true}, {"ath", ath, &p.token, false}, {"nonce", nonce, &p.nonce, false}} {
		var ok bool
		if *claim.value, ok = strictjson.String(claim.raw); !ok && (claim.required || claim.raw != "") {
			return fmt.Errorf("claim %s: missing or not a string", claim.name)
		}
	}
	if p.id == "" || !text.IsClean(p.id, maxID) {
		return errID
	}
	// RFC 7519 §4.1.4, §4.1.5: a JWT with exp or nbf is valid only within them.
	if exp == "" {
		exp = farFuture
	}
	if nbf == "" {
		nbf = "0"
	}
	var ok1, ok2, ok3 bool
	p.issued, ok1 = jose.NumericDate(iat)
	p.expires, ok2 = jose.NumericDate(exp)
	p.notBefore, ok3 = jose.NumericDate(nbf)
	if !ok1 || !ok2 || !ok3 {
		return errors.New("claim iat: missing, or iat, exp or nbf is not a date")
	}
	return nil
}

// nonceOf returns the nonce of a proof, "" if it has none or its claims are malformed. It
// does not read the header, because parsing a key that is not in the cache costs more
// than all claims.
func nonceOf(jwt string) string {
	if len(jwt) > maxProofBytes {
		return ""
	}
	parts, err := jose.Split(jwt)
	p := proof{Compact: parts}
	if err != nil || p.parseClaims() != nil {
		return ""
	}
	return p.nonce
}

// reject returns the error for an invalid proof.
func reject(reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: CodeInvalidProof, Reason: reason, Scheme: scheme, Cause: fmt.Errorf("dpop: %w", cause)}
}
