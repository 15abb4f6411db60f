// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

// catalogue has the rows of all known attacks on tokens and requests.
var catalogue = []string{
	"alg none", "alg malformed", "public key as a secret", "key of another algorithm", "key of another curve",
	"PSS salt", "odd key", "PKCS #1 padding", "ECDSA values", "ECDSA malleability", "EdDSA values", "alg unavailable",
	"weak secret", "kid", "kid of a known secret", "kid absent", "key in the header", "certificate in the header",
	"another issuer", "signature of a foreign key", "signature altered", "segments", "JWE", "cty", "zip",
	"JSON serialization", "b64", "crit", "typ of another token", "typ", "base64", "line breaks", "duplicate member",
	"duplicate header parameter", "duplicate member inside", "folded name", "folded header parameter", "escaped",
	"data after the JSON", "JSON of another type", "not UTF-8", "lone surrogate", "depth", "width", "size", "exp",
	"exp malformed", "lifetime", "nbf", "iat", "fraction of a second", "aud", "aud of several", "iss", "sub",
	"client_id", "jti", "scope malformed", "scope not granted", "cnf", "act", "several credentials", "several places",
	"scheme in any case", "white space", "empty credential", "trailing junk", "outside b64token", "line break",
	"another scheme", "token in the URL", "token in the body", "token in a cookie", "token in another header",
	"identity in a header", "another method", "another path", "injection", "oracle", "claims of another token",
	"two issuers",
}

func TestCatalogueIsCovered(t *testing.T) {
	racetest.Skip(t)
	t.Parallel()
	all := authtest.NewIssuer(t, authtest.IssuerConfig{
		Algorithms: []string{"ES256", "RS256", "PS256", "EdDSA"}, Scope: "reports:read",
	})
	plain := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	compatible := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Type: "JWT"})
	for _, issuer := range []*authtest.Issuer{all, compatible} {
		if err := issuer.PublishOddKeys(); err != nil {
			t.Fatal(err)
		}
	}
	rows := make(map[string]bool)
	for _, issuer := range []*authtest.Issuer{all, compatible} {
		for a := range authtest.Attacks(issuer) {
			rows[a.Row] = true
		}
	}
	for a := range authtest.CrossIssuerAttacks(all, compatible) {
		rows[a.Row] = true
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(catalogue)), slices.Sorted(maps.Keys(rows))); diff != "" {
		t.Errorf("rows of Attacks and CrossIssuerAttacks (-want +got):\n%s", diff)
	}
	// The minimum for each issuer, of different requests.
	hostile := make(map[string]bool)
	for a := range authtest.Attacks(plain) {
		if !a.Valid() {
			hostile[fmt.Sprint(a.Request.Method, a.Request.URL, a.Request.Header, a.Name)] = true
		}
	}
	if len(hostile) < 1000 {
		t.Errorf("%d hostile requests, want at least 1000", len(hostile))
	}
}

// recorder is a testing.TB that records errors.
type recorder struct {
	testing.TB
	errors, fatal []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = append(r.fatal, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// record calls f with a recorder.
func record(t *testing.T, f func(testing.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // which Fatal ends
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func attack(t *testing.T, handler http.Handler, issuer *authtest.Issuer, ignore ...authtest.Kind) *recorder {
	t.Helper()
	return record(t, func(tb testing.TB) { authtest.Attack(tb, handler, issuer, ignore...) })
}

// wantReported fails the test for each of the findings that was not reported.
func (r *recorder) wantReported(t *testing.T, findings ...string) {
	t.Helper()
	for _, finding := range findings {
		if !slices.Contains(r.errors, "authtest: "+finding) {
			t.Errorf("not reported: %s; the first of %d findings are %q", finding, len(r.errors), r.errors[:min(len(r.errors), 5)])
		}
	}
}

// reject answers like a correct handler.
func reject(w http.ResponseWriter, status int, code string) {
	challenge := `Bearer realm="test"`
	if code != "" {
		challenge += fmt.Sprintf(`, error=%q`, code)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}

// naive verifies like the first example of golang-jwt: the signature, and the expiry
// if there is one.
func naive(issuer *authtest.Issuer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			reject(w, http.StatusUnauthorized, "")
			return
		}
		_, err := jwt.Parse(token, func(t *jwt.Token) (any, error) {
			for _, k := range issuer.Keys() {
				if k.ID == t.Header["kid"] {
					return k.Public, nil
				}
			}
			return nil, errors.New("no such key")
		})
		if err != nil {
			reject(w, http.StatusUnauthorized, "invalid_token")
		}
	})
}

func TestAttackReportsNaiveHandler(t *testing.T) {
	racetest.Skip(t)
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256", "RS256", "PS256"}})
	r := attack(t, naive(issuer), issuer)
	if r.fatal != nil {
		t.Fatal(r.fatal)
	}
	// The attempts with a valid signature, if golang-jwt reads them.
	for _, name := range []string{
		"aud: missing", "aud: another", "iss: a slash after", "exp: missing", "client_id: missing", "iat: in an hour", "lifetime: a year",
		"crit: unknown", "b64: false, not critical, encoded", "zip: DEF, plain payload", "cty: \"JWT\", claims inside",
		"typ of another token: dpop+jwt", "typ of another token: ID token for the client", "key in the header: jku of the issuer",
		"certificate in the header: x5t", "key of another algorithm: PS256 by rs256-1", "key of another curve: ES384 by es256-1",
		"PSS salt: PS256, none", "base64: unused bits set, signature", "line breaks: CRLF after, signature",
		"duplicate member: iss, the last valid", "folded name: ISS beside iss", "not UTF-8: a byte FF in sub", "lone surrogate: high, sub",
		"depth: 500 arrays", "width: 3000 claims", "size: a megabyte of claims", "nbf: 1e19", "cnf: DPoP", "scope malformed: two spaces",
		"act: act of 100", "several credentials: the valid one first", "several places: header and query",
	} {
		r.wantReported(t, "accepted: "+name+": status 200")
	}
	for _, name := range []string{
		"alg none: \"none\"", "signature of a foreign key: RS256", "public key as a secret: HS256 by the PEM of rs256-1",
		"kid: unknown", "exp: 1h0m0s ago", "segments: two dots", "ECDSA values: ES256, r = s = 0",
	} {
		if slices.ContainsFunc(r.errors, func(e string) bool { return strings.Contains(e, "accepted: "+name+":") }) {
			t.Errorf("reported although it is rejected: %s", name)
		}
	}
	r.wantReported(t,
		"rejected although valid: scheme in any case: bearer: status 401",
		"wrong status: trailing junk: \"\\tjunk\": status 401, want 400",
	)
	issuer = authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	ignoring := attack(t, naive(issuer), issuer, authtest.RejectedValid, authtest.WrongStatus)
	for _, e := range ignoring.errors {
		if !strings.HasPrefix(e, "authtest: accepted: ") {
			t.Errorf("reported although ignored: %s", e)
		}
	}
	if len(ignoring.errors) < 300 {
		t.Errorf("%d findings, want at least 300", len(ignoring.errors))
	}
}

func TestAttackReportsOpenHandler(t *testing.T) {
	racetest.Skip(t)
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	r := attack(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), issuer)
	hostile := 0
	for a := range authtest.Attacks(issuer) {
		if a.Valid() {
			continue
		}
		hostile++
		r.wantReported(t, "accepted: "+a.Name+": status 200")
	}
	if len(r.errors) != hostile {
		t.Errorf("%d findings for %d hostile requests", len(r.errors), hostile)
	}
}

func TestAttackNeedsValidToken(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	closed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reject(w, http.StatusUnauthorized, "invalid_token") })
	if r := attack(t, closed, issuer); len(r.fatal) != 1 || !strings.Contains(r.fatal[0], "before the first attempt: status 401") {
		t.Errorf("Attack(closed handler) = %q, want it fatal", r.fatal)
	}
	for status, hint := range map[int]string{401: "is there a gate", 403: "Set Scope or Claims", 404: "IssuerConfig.Target", 405: "IssuerConfig.Target", 500: "status 500"} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if r := attack(t, handler, issuer); len(r.fatal) != 1 || !strings.Contains(r.fatal[0], hint) {
			t.Errorf("Attack(handler that answers %d) = %q, want the hint %q", status, r.fatal, hint)
		}
	}
	requests := 0
	closing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests > 1 {
			reject(w, http.StatusUnauthorized, "invalid_token")
		}
	})
	if r := attack(t, closing, issuer); len(r.fatal) != 1 || !strings.Contains(r.fatal[0], "after the last attempt") {
		t.Errorf("Attack(handler that closes) = %q, want it fatal", r.fatal)
	}
	if r := attack(t, closed, issuer, authtest.Accepted); len(r.fatal) != 1 || !strings.Contains(r.fatal[0], "cannot be ignored") {
		t.Errorf("Attack(ignore Accepted) = %q, want it fatal", r.fatal)
	}
}

// Each handler accepts the first request, a valid token, and answers all others with
// a fault.
func TestKindsOfFindings(t *testing.T) {
	racetest.Skip(t)
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	for name, test := range map[string]struct {
		reject http.HandlerFunc
		want   []string
	}{
		"panic": {
			func(http.ResponseWriter, *http.Request) { panic("oh") },
			[]string{`panicked: alg none: "none": oh`},
		},
		"leaks and malformed headers": {
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Token-Again", r.Header.Get("Token"))
				w.Header().Set("X-Reason", "a\r\nb")
				w.Header().Set("WWW-Authenticate", `Bearer error="a "token" is bad"`)
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, "bad token "+r.Header.Get("Authorization")[min(9, len(r.Header.Get("Authorization"))):])
			},
			[]string{
				`leaked: alg none: "none": part of the credential in the body`,
				`leaked: token in another header: Token: part of the credential in the header X-Token-Again`,
				`wrong header: alg none: "none": X-Reason: line break`,
				`wrong header: alg none: "none": WWW-Authenticate: malformed, RFC 9110 section 11.6.1`,
				`wrong header: alg none: "none": Cache-Control: no no-store`,
			},
		},
		"no challenge": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
			[]string{`wrong header: alg none: "none": WWW-Authenticate: missing`},
		},
		"no error code": {
			func(w http.ResponseWriter, _ *http.Request) { reject(w, http.StatusUnauthorized, "") },
			[]string{`wrong header: alg none: "none": WWW-Authenticate: error = "", want invalid_token`},
		},
		"wrong status": {
			func(w http.ResponseWriter, _ *http.Request) {
				reject(w, http.StatusInternalServerError, "invalid_token")
			},
			[]string{"wrong status: kid: unknown: status 500, want 401 or 503"},
		},
		"oracle and attacker-controlled URL": {
			func(w http.ResponseWriter, r *http.Request) {
				reject(w, http.StatusUnauthorized, "invalid_token")
				token, _, err := jwt.NewParser().ParseUnverified(bearer(r), jwt.MapClaims{})
				if err != nil {
					return
				}
				if exp, err := token.Claims.GetExpirationTime(); err == nil && exp != nil && exp.Unix() < 1000 {
					_, _ = io.WriteString(w, "expired")
				}
				if jku, ok := token.Header["jku"].(string); ok && strings.HasPrefix(jku, "http") {
					_, _, _ = get(t, jku)
				}
			},
			[]string{
				"wrong header: another method: HEAD: WWW-Authenticate: error code for a request without credentials",
				"oracle: oracle: invalid signature and expired: another answer than for oracle: invalid signature: body \"expired\", not \"\"",
				"attacker-controlled URL fetched: key in the header: jku of the attacker: the handler fetched the URL in the token",
			},
		},
	} {
		requests := 0
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests++; requests > 1 {
				test.reject(w, r)
			}
		})
		r := attack(t, handler, issuer)
		if len(r.fatal) != 1 { // the valid token after the last attempt
			t.Errorf("%s: Fatal calls = %v, want one", name, r.fatal)
		}
		r.wantReported(t, test.want...)
	}
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// A verifier that uses the key in the header, or fetches its URL, accepts the tokens
// that the attacker has signed.
func TestAttackerKeyVerifies(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"RS256"}, Path: "/tenants/acme"})
	tried := 0
	for a := range authtest.Attacks(issuer) {
		if a.Section == "envelope" {
			break
		}
		if !strings.HasSuffix(a.Row, " in the header") || !strings.Contains(a.Name, "signed with") {
			continue
		}
		_, err := jwt.Parse(bearer(a.Request), func(token *jwt.Token) (any, error) {
			if token.Method.Alg() == "HS256" {
				return []byte("secret"), nil
			}
			if key, ok := token.Header["jwk"]; ok {
				return rsaKey(t, must(json.Marshal(map[string]any{"keys": []any{key}})))
			}
			if chain, ok := token.Header["x5c"].([]any); ok {
				return must(x509.ParseCertificate(must(base64.StdEncoding.DecodeString(chain[0].(string))))).PublicKey, nil
			}
			for _, name := range []string{"jku", "x5u"} {
				if address, ok := token.Header[name].(string); ok {
					body, _, err := get(t, address)
					if err != nil {
						return nil, err
					}
					return rsaKey(t, body)
				}
			}
			return nil, errors.New("no key")
		})
		tried++
		if err != nil {
			t.Errorf("%s: Parse error = %v, want nil", a.Name, err)
		}
	}
	if tried != 12 {
		t.Errorf("%d tokens with a key of the attacker, want 12", tried)
	}
	if fetched := issuer.AttackerURLFetches(); len(fetched) != 4 || !strings.HasPrefix(fetched[0], "key in the header: jku of the attacker") {
		t.Errorf("AttackerURLFetches = %q, want 4 of key in the header", fetched)
	}
}

func rsaKey(t *testing.T, document []byte) (*rsa.PublicKey, error) {
	t.Helper()
	var set struct {
		Keys []struct{ N, E string }
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, err
	}
	n := must(base64.RawURLEncoding.DecodeString(set.Keys[0].N))
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, nil
}
