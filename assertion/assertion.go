// SPDX-License-Identifier: Apache-2.0

// Package assertion authenticates the clients of an authorization server by JWT
// client assertions, RFC 7523: the method private_key_jwt.
//
// [New] takes the registered clients with their keys. [Verifier.Authenticate] is
// the client authentication of a token endpoint, such as that of package refresh.
// Each assertion is accepted once.
//
// An assertion is accepted at token endpoints only. It is not an access token: this
// package has no gatehouse.Authenticator, and package jwtauth rejects an assertion
// because of its typ and its audience.
//
// # Choices that the standards leave open
//
//   - aud is the issuer identifier of the authorization server and nothing else: as a
//     string, or as an array with that one element. An assertion for the address of
//     an endpoint, or for several servers, could be used at another server.
//   - iat and jti are required, and exp is at most Config.MaxLifetime after iat.
//   - typ may be missing, JWT or client-authentication+jwt.
package assertion

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	assertionType      = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	defaultMaxLifetime = 5 * time.Minute
	maxMaxLifetime     = time.Hour
	skew               = 30 * time.Second
	maxBytes           = 8 << 10
	maxForm            = 64 << 10
	maxText            = 255
)

// ReplayStore records used assertions. The stores of package dpop and of module store
// implement it.
type ReplayStore interface {
	// Insert records key for lifetime and reports whether it was absent or expired.
	// Of several concurrent calls with one key, in any number of processes, exactly
	// one returns true. Every error means that the store is unavailable.
	Insert(ctx context.Context, key [sha256.Size]byte, lifetime time.Duration) (inserted bool, err error)
}

// Config configures a [Verifier].
type Config struct {
	// Issuer is the issuer identifier of the authorization server. aud must be equal to
	// it. Required.
	Issuer string

	// Clients are the registered clients. At least one is required without Find.
	Clients []Client

	// Find returns a client that is not one of Clients, from a registry that changes
	// while the program runs, and [ErrUnknownClient] if there is none. id is
	// client-supplied and not verified; it has at most 255 bytes. Authenticate returns an
	// error of Find that is a [*gatehouse.Error]; for any other error the response is
	// 503. Find must be safe for concurrent use and bounded in time. Optional.
	Find func(ctx context.Context, id string) (Client, error)

	// Replays records used assertions. All processes of the authorization server must
	// share it. Required.
	Replays ReplayStore

	// MaxLifetime is the maximum of exp - iat: 5 minutes by default, at most 1 hour.
	MaxLifetime time.Duration

	// Transport makes the requests for the remote key sets of Clients,
	// [http.DefaultTransport] by default. The keys of a client that Find returns must
	// be jwtauth.StaticKeys.
	Transport http.RoundTripper

	// Observer receives the events of key sets, see package jwtauth. Optional.
	Observer gatehouse.Observer
}

// Verifier verifies client assertions. It is safe for concurrent use.
type Verifier struct {
	config  Config // without Clients
	clients map[string]*jwtauth.Verifier
}

// New returns a verifier. It reports all configuration errors at once and makes no
// network call.
func New(config Config) (*Verifier, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("assertion: Config."+format, args...))
	}
	if config.Issuer == "" {
		fail("Issuer: required")
	}
	if config.MaxLifetime == 0 {
		config.MaxLifetime = defaultMaxLifetime
	}
	if config.MaxLifetime < 0 || config.MaxLifetime > maxMaxLifetime {
		fail("MaxLifetime: got %v, want 0 to %v", config.MaxLifetime, maxMaxLifetime)
		config.MaxLifetime = defaultMaxLifetime
	}
	if typednil.Is(config.Replays) {
		fail("Replays: required")
	}
	if config.Transport != nil && typednil.Is(config.Transport) {
		fail("Transport: is a nil %T", config.Transport)
	}
	if config.Observer != nil && typednil.Is(config.Observer) {
		fail("Observer: is a nil %T", config.Observer)
	}
	if len(config.Clients) == 0 && config.Find == nil {
		fail("Clients: at least one is required, or Find")
	}
	v := &Verifier{config: config, clients: make(map[string]*jwtauth.Verifier)}
	v.config.Clients = nil
	for n, c := range config.Clients {
		verifier, err := v.newVerifier(fmt.Sprintf("assertion: Config.Clients[%d]", n), c)
		if _, ok := v.clients[c.ID]; ok {
			fail("Clients[%d].ID: duplicate of an earlier client", n)
		}
		errs = append(errs, err)
		v.clients[c.ID] = verifier
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return v, nil
}

// Close cancels running fetches of key sets and waits for them.
func (v *Verifier) Close() error {
	var errs []error
	for _, c := range v.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Authenticate returns the client_id of the client whose assertion is in the form
// of a request to a token endpoint. It returns [gatehouse.ErrNoCredentials] if the
// form has no client_assertion, so that the caller can try another method. Any
// other error is a [*gatehouse.Error]: [CodeInvalidClient], or 503 if the replay
// store or the keys are unavailable.
//
// It reads r.PostForm, and parses a body of at most 64 KiB if that is nil.
//
// Implements RFC 6749 §2.3; RFC 7523 §3 (audience, claims, once).
func (v *Verifier) Authenticate(r *http.Request) (client string, err error) {
	if r.PostForm == nil {
		r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
		if r.ParseForm() != nil { // the error may quote the form
			return "", reject(ReasonRequest, "", "the form is malformed or too large")
		}
	}
	kinds, assertions, ids := sent(r, "client_assertion_type"), sent(r, "client_assertion"), sent(r, "client_id")
	if len(kinds) == 0 && len(assertions) == 0 {
		return "", gatehouse.ErrNoCredentials
	}
	switch {
	case len(kinds) != 1 || kinds[0] != assertionType:
		return "", reject(ReasonRequest, "", "client_assertion_type is not "+assertionType)
	case len(assertions) != 1 || len(ids) > 1:
		return "", reject(ReasonRequest, "", "a parameter is missing or repeated")
	case len(r.Header["Authorization"]) > 0 || len(sent(r, "client_secret")) > 0:
		// RFC 6749 §2.3: "The client MUST NOT use more than one authentication method
		// in each request."
		return "", reject(ReasonRequest, "", "several authentication methods")
	}
	client, err = v.verify(r.Context(), assertions[0])
	if err == nil && len(ids) == 1 && ids[0] != client {
		return "", reject(ReasonRequest, client, "client_id is another client than that of the assertion")
	}
	return client, err
}

// sent returns the values of a parameter, none if its only one is empty.
//
//	RFC 6749 §3.2 (empty): "Parameters sent without a value MUST be treated as
//	if they were omitted from the request."
func sent(r *http.Request, name string) []string {
	values := r.PostForm[name]
	if len(values) == 1 && values[0] == "" {
		return nil
	}
	return values
}

// verify returns the client that signed an assertion.
func (v *Verifier) verify(ctx context.Context, assertion string) (string, error) {
	client := issuerOf(assertion)
	verifier, err := v.verifierOf(ctx, client)
	if err != nil {
		return "", err
	}
	verified, err := verifier.Verify(ctx, assertion)
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		if e.Code.Status() == http.StatusServiceUnavailable {
			return "", e
		}
		return "", &gatehouse.Error{Code: CodeInvalidClient, Reason: ReasonInvalid, Credential: client, Cause: e}
	}
	if err != nil {
		return "", err
	}
	var aud, jti, exp string
	err = strictjson.Object(verified.Claims.String(), strictjson.Limits{Depth: 16, Members: 4096}, func(name, value string) error {
		switch name {
		case "aud":
			aud = value
		case "jti":
			jti, _ = strictjson.String(value)
		case "exp":
			exp = value
		}
		return nil
	})
	seconds, ok := jose.NumericDate(exp)
	switch {
	case err != nil || !ok:
		return "", reject(ReasonClaims, client, "malformed claims")
	case !isAssertionType(verified.Type):
		return "", reject(ReasonClaims, client, "typ is that of another kind of JWT")
	case verified.Subject != client:
		return "", reject(ReasonClaims, client, "sub is not iss")
	case !v.isAudience(aud):
		return "", reject(ReasonAudience, client, "aud is not the issuer alone")
	case jti == "": // package jwtauth has checked its form
		return "", reject(ReasonClaims, client, "jti is missing")
	}
	// Insert the key last, so that a rejected assertion does not count as used.
	key := sha256.Sum256([]byte("assertion\x00" + client + "\x00" + jti))
	inserted, err := v.config.Replays.Insert(ctx, key, time.Until(time.Unix(seconds, 0).Add(skew)))
	switch {
	case err != nil:
		return "", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonStoreUnavailable, Credential: client, Cause: err}
	case !inserted:
		return "", reject(ReasonReplayed, client, "jti was used before")
	}
	return client, nil
}

// isAudience reports whether aud is the issuer, or an array with nothing else.
func (v *Verifier) isAudience(aud string) bool {
	if single, ok := strictjson.String(aud); ok {
		return single == v.config.Issuer
	}
	n := 0
	return strictjson.Strings(aud, func(one string) bool { n++; return one == v.config.Issuer }) && n == 1
}

func isAssertionType(typ string) bool {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "client-authentication+jwt":
		return true
	}
	return false
}

// issuerOf returns the iss of a JWT that is not verified yet, "" if it has none. It
// selects the verifier, which compares iss again.
func issuerOf(assertion string) (iss string) {
	if len(assertion) > maxBytes {
		return ""
	}
	parts, err := jose.Split(assertion)
	if err != nil {
		return ""
	}
	payload, err := base64url.Decode(nil, parts.Payload)
	if err != nil {
		return ""
	}
	err = strictjson.Object(string(payload), strictjson.Limits{Depth: 16, Members: 4096}, func(name, value string) error {
		if name == "iss" {
			iss, _ = strictjson.String(value)
		}
		return nil
	})
	if err != nil {
		return ""
	}
	return iss
}
