// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Algorithm is an asymmetric signature algorithm of RFC 7518 section 3.1, RFC 8037
// or RFC 9864.
type Algorithm string

// The algorithms of proofs. EdDSA and Ed25519 are two names of one algorithm.
const (
	ES256   Algorithm = "ES256"
	ES384   Algorithm = "ES384"
	ES512   Algorithm = "ES512"
	PS256   Algorithm = "PS256"
	PS384   Algorithm = "PS384"
	PS512   Algorithm = "PS512"
	RS256   Algorithm = "RS256"
	RS384   Algorithm = "RS384"
	RS512   Algorithm = "RS512"
	EdDSA   Algorithm = "EdDSA"
	Ed25519 Algorithm = "Ed25519"
)

var (
	supported         = []Algorithm{ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512, EdDSA, Ed25519}
	defaultAlgorithms = []Algorithm{ES256, PS256, EdDSA, Ed25519}
)

const (
	minNonceKeyBytes = 32
	maxNonceKeys     = 8
)

// Config configures a [Verifier].
type Config struct {
	// PublicOrigin is the origin of the URLs that clients use, such as
	// "https://api.example.com": scheme, host and port without a path. Plain http is
	// accepted for loopback addresses only. Required.
	PublicOrigin string

	// Replays records used proofs. All servers of the origin must share it. Required.
	Replays ReplayStore

	// Algorithms are the accepted signature algorithms, which challenges list. ES256,
	// PS256, EdDSA and Ed25519 if empty.
	Algorithms []Algorithm

	// NonceKeys are up to 8 secrets of at least 32 random bytes. With NonceKeys, every
	// proof must contain a nonce of the server. A nonce is valid for five minutes on
	// every server with the key. Responses contain a fresh one when less than half of
	// that time is left.
	//
	// The first key creates nonces, all of them verify nonces. To rotate, append the new
	// key on every server, then move it to the front, and remove the old one five minutes
	// later. Optional.
	NonceKeys []gatehouse.Secret

	// Path returns the path of the URL that the client used, in its escaped form and
	// without the query, if a proxy in front of this server rewrites paths. By
	// default it is the path of the request as it was received, before a handler
	// such as http.StripPrefix changed it. Path must not read a header that clients
	// can set. It must be safe for concurrent use.
	Path func(*http.Request) string
}

// Verifier verifies the proofs of requests: it is the [gatehouse.Confirmer] of the
// member jkt of the cnf claim. It is safe for concurrent use.
type Verifier struct {
	origin     origin
	path       func(*http.Request) string
	replays    ReplayStore
	algorithms []Algorithm
	nonces     *nonces // nil if proofs need none
	headers    *headerCache
}

var _ gatehouse.Confirmer = (*Verifier)(nil)

// New returns a verifier. It reports all configuration errors at once.
func New(config Config) (*Verifier, error) {
	v := &Verifier{replays: config.Replays, algorithms: slices.Clone(config.Algorithms), path: config.Path, headers: newHeaderCache()}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("dpop: Config."+format, args...))
	}
	var err error
	if v.origin, err = parseOrigin(config.PublicOrigin); err != nil {
		fail("PublicOrigin: %w", err)
	}
	if typednil.Is(config.Replays) {
		fail("Replays: required")
	}
	if len(v.algorithms) == 0 {
		v.algorithms = defaultAlgorithms
	}
	for i, a := range v.algorithms {
		if !slices.Contains(supported, a) {
			fail("Algorithms[%d]: %q is not a supported asymmetric algorithm", i, string(a))
		}
		if slices.Contains(v.algorithms[:i], a) {
			fail("Algorithms[%d]: %s occurs twice", i, a)
		}
	}
	if len(config.NonceKeys) > maxNonceKeys {
		fail("NonceKeys: %d keys, at most %d are allowed", len(config.NonceKeys), maxNonceKeys)
	}
	for i, key := range config.NonceKeys {
		if key.Len() < minNonceKeyBytes {
			fail("NonceKeys[%d]: got %d bytes, at least %d are required", i, key.Len(), minNonceKeyBytes)
		}
		if slices.ContainsFunc(config.NonceKeys[:i], key.Equal) {
			fail("NonceKeys[%d]: occurs twice", i)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if v.path == nil {
		v.path = receivedPath
	}
	if len(config.NonceKeys) > 0 {
		v.nonces = newNonces(config.NonceKeys)
	}
	return v, nil
}

// Confirms implements [gatehouse.Confirmer].
//
// Implements RFC 9449 §6.1, §7.1 (algs), §7.2 (error, downgrade).
func (v *Verifier) Confirms() gatehouse.Confirms {
	names := make([]string, len(v.algorithms))
	for i, a := range v.algorithms {
		names[i] = string(a)
	}
	return gatehouse.Confirms{
		Member: "jkt", Binding: Binding,
		Scheme: gatehouse.Scheme{
			Name: scheme, Params: []gatehouse.Param{{Name: "algs", Value: strings.Join(names, " ")}},
			Companions: []string{header}, Always: true,
		},
	}
}
