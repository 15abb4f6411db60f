// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// A proof is accepted while its iat is at most maxAge ago and maxAhead in the future,
// in whole seconds.
//
//	RFC 9449 §11.1 (time): "servers MUST only accept DPoP proofs for a limited time
//	after their creation (preferably only for a relatively brief period on the
//	order of seconds or minutes)."
const (
	maxAge   = 60 * time.Second
	maxAhead = 10 * time.Second
)

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// Confirm implements [gatehouse.Confirmer]: it checks that the request has exactly one
// proof, by the key with the given thumbprint, for this request and this token, and
// that the proof was not used before. Only a proof that is valid in all other
// respects is recorded as used.
//
// The error has the code [CodeInvalidProof] or [CodeUseNonce], gatehouse's
// CodeInvalidToken if the proof is by another key, or 503 if the replay store is
// unavailable. With nonces, the header has a fresh one when the client needs it.
//
// Implements RFC 9449 §4.3 (htm, nonce, iat), §7, §7.1, §8.2 (cache), §9.
func (v *Verifier) Confirm(r *http.Request, token, thumbprint string, _ time.Time) (http.Header, error) {
	if gatehouse.IsRecheck(r.Context()) {
		return nil, nil //nolint:nilnil // the proof was verified, and is valid once
	}
	p, e := v.read(r)
	ath := ""
	if e == nil {
		ath = hash(token)
	}
	extra, e := v.confirm(r, &p, e, ath, thumbprint)
	if e != nil {
		return nil, e
	}
	return extra, nil
}

// confirm checks a proof, unless reading it has failed with e. ath is the claim that
// it must have, "" for none.
func (v *Verifier) confirm(r *http.Request, p *proof, e *gatehouse.Error, ath, thumbprint string) (http.Header, *gatehouse.Error) {
	// Not the time at which the token was validated, which may be some seconds ago: the
	// record of the proof is kept for as long as the proof is valid by this clock.
	now := time.Now()
	if e == nil {
		e = v.check(r, p, ath, thumbprint, now)
	}
	var fresh http.Header
	if v.nonces != nil {
		valid, old := v.nonces.check(p.nonce, now)
		if e == nil && !valid {
			e = &gatehouse.Error{
				Code: CodeUseNonce, Reason: ReasonNonce, Scheme: scheme, Level: slog.LevelInfo, // the first request of every client
				Cause: errors.New("dpop: claim nonce: missing, expired, or not a nonce of this server"),
			}
		}
		if old {
			fresh = http.Header{nonceHeader: {v.nonces.issue(now)}, "Cache-Control": {"no-store"}}
		}
	}
	if e == nil {
		e = v.use(r, p, now)
	}
	if e != nil {
		e.Header = fresh
		return nil, e
	}
	return fresh, nil
}

// Thumbprint checks the proof of a request to a token endpoint, RFC 9449 section 5, and
// returns the thumbprint of its key. The server binds the access token to this key: it is
// the member jkt of the cnf claim. Without a proof Thumbprint returns "". Its checks,
// errors and header are those of [Verifier.Confirm]. For these codes a token endpoint
// must respond with status 400.
//
// Call it after the client is authenticated: a valid proof is recorded as used.
//
// Implements RFC 9449 §5 (server).
func (v *Verifier) Thumbprint(r *http.Request) (thumbprint string, extra http.Header, err error) {
	if len(r.Header[header]) == 0 {
		return "", nil, nil
	}
	p, e := v.read(r)
	if e == nil {
		thumbprint = p.key.Thumbprint
	}
	extra, e = v.confirm(r, &p, e, "", thumbprint)
	if e != nil {
		return "", nil, e
	}
	return thumbprint, extra, nil
}

// read returns the proof of a request.
//
//	RFC 9449 §4.3 (one): "There is not more than one DPoP HTTP request header
//	field."
func (v *Verifier) read(r *http.Request) (proof, *gatehouse.Error) {
	switch values := r.Header[header]; len(values) {
	case 0:
		return proof{}, reject(ReasonMissing, errors.New("the request has no DPoP header"))
	case 1:
		return v.parse(values[0])
	default:
		return proof{}, reject(ReasonSeveral, fmt.Errorf("the request has %d DPoP headers", len(values)))
	}
}

// check makes all checks before that of the signature. The key is checked first; its
// error is that of a token for another client.
func (v *Verifier) check(r *http.Request, p *proof, ath, thumbprint string, now time.Time) *gatehouse.Error {
	// RFC 9449 §6: "Resource servers supporting DPoP MUST ensure that the public key
	// from the DPoP proof matches the one bound to the access token."
	if p.key.Thumbprint != thumbprint {
		e := reject(ReasonOtherKey, errors.New("the key of the proof is not the one of the token's cnf.jkt"))
		e.Code = gatehouse.CodeInvalidToken
		return e
	}
	age := now.Unix() - p.issued
	switch {
	case p.method != r.Method:
		return reject(ReasonMethod, errors.New("claim htm: is not the method of the request"))
	case !isTarget(p.url, v.origin, v.path(r)):
		return reject(ReasonURL, errors.New("claim htu: is not Config.PublicOrigin with the path of the request"))
	case p.token != ath:
		return reject(ReasonToken, errors.New("claim ath: missing, or not the hash of the access token"))
	case age > seconds(maxAge):
		return reject(ReasonTime, fmt.Errorf("claim iat: the proof is older than %v", maxAge))
	case age < -seconds(maxAhead):
		return reject(ReasonTime, fmt.Errorf("claim iat: the proof is more than %v in the future", maxAhead))
	case now.Unix() >= p.expires, p.notBefore-now.Unix() > seconds(maxAhead):
		return reject(ReasonTime, errors.New("claims exp, nbf: the proof is expired or not yet valid"))
	}
	return nil
}

// hash returns the claim ath for a token.
//
//	RFC 9449 §4.2 (ath): "The value MUST be the result of a base64url encoding (as
//	defined in Section 2 of [RFC7515]) the SHA-256 [SHS] hash of the ASCII encoding
//	of the associated access token's value."
func hash(token string) string {
	var buffer [1024]byte // for a token of the usual size
	var text [64]byte
	sum := sha256.Sum256(append(buffer[:0], token...))
	return string(base64.RawURLEncoding.AppendEncode(text[:0], sum[:]))
}

// use verifies the signature and records the proof as used, for as long as any server
// could accept it. The clocks of two servers may differ by maxAhead.
//
// Implements RFC 9449 §4.3 (signature), §11.1 (jti, size).
func (v *Verifier) use(r *http.Request, p *proof, now time.Time) *gatehouse.Error {
	var buffer [512]byte // the signature of an RSA key of 4,096 bits
	signature, err := base64url.Decode(buffer[:0], p.Signature)
	if err != nil {
		return reject(ReasonMalformed, fmt.Errorf("signature: %w", err))
	}
	if !jose.Verify(p.algorithm, p.key.Public, p.SigningInput, signature) {
		return reject(ReasonSignature, errors.New("the signature does not verify"))
	}
	v.headers.put(p)
	// The thumbprint has a fixed length, so that no two pairs have one key. The same
	// jti of another client's key is another proof.
	var name [512]byte
	key := sha256.Sum256(append(append(append(name[:0], "dpop\x00"...), p.key.Thumbprint...), p.id...))
	lifetime := time.Unix(p.issued, 0).Add(maxAge + maxAhead + time.Second).Sub(now)
	inserted, err := v.replays.Insert(r.Context(), key, lifetime)
	switch {
	case err != nil:
		return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonReplaysUnavailable, Scheme: scheme, Cause: fmt.Errorf("dpop: replay store: %w", err)}
	case !inserted:
		return reject(ReasonReplayed, errors.New("claim jti: the proof was used before"))
	}
	return nil
}
