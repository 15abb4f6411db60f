// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// server is a gate with a JWT authenticator and a verifier of proofs.
type server struct {
	issuer  *authtest.Issuer
	handler http.Handler
	events  *[]gatehouse.Event
}

type recording struct{ events *[]gatehouse.Event }

func (r recording) Observe(_ context.Context, e gatehouse.Event) error {
	*r.events = append(*r.events, e)
	return nil
}

func newServer(t *testing.T, wrap func(gatehouse.Authenticator) gatehouse.Authenticator, changes ...func(*dpop.Config)) server {
	t.Helper()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Target: "/reports"})
	tokens := must(jwtauth.New(jwtauth.Config{
		Issuers:    []jwtauth.Issuer{{URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover()}},
		Confirmers: []gatehouse.Confirmer{newVerifier(changes...)}, CacheEntries: 100,
	}))
	s := server{issuer: issuer, events: new([]gatehouse.Event)}
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{wrap(tokens)}, Realm: "test", Observer: recording{s.events}}))
	mux := gate.Mux()
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		w.Header().Set("Binding", string(p.Binding))
		for _, name := range []string{"Authorization", "Dpop"} {
			if len(r.Header[name]) > 0 {
				t.Errorf("the handler sees the header %s", name)
			}
		}
	}, gatehouse.Authenticated)
	mux.HandleFunc("GET /sensitive", func(http.ResponseWriter, *http.Request) {}, gatehouse.Bound("dpop"))
	mux.HandleFunc("GET /forbidden", func(http.ResponseWriter, *http.Request) {}, gatehouse.PolicyFunc(func(*http.Request, gatehouse.Principal) error {
		return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonPolicyRefused}
	}))
	s.handler = mux
	return s
}

func as(a gatehouse.Authenticator) gatehouse.Authenticator { return a }

// proofFor returns a proof for a GET with a token.
func (c client) proofFor(token, path string, changes object) string {
	sum := sha256.Sum256([]byte(token))
	return c.proof(nil, object{"htu": origin + path, "ath": base64.RawURLEncoding.EncodeToString(sum[:])}.with(changes))
}

func (s server) send(path string, authorization []string, proofs ...string) *httptest.ResponseRecorder {
	r := request("GET", path, proofs...)
	r.Header["Authorization"] = authorization
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// challenges returns the scheme and the error of each challenge, and fails the test
// if a DPoP challenge lacks algs.
func challenges(t *testing.T, w *httptest.ResponseRecorder) []string {
	t.Helper()
	var all []string
	for _, challenge := range w.Header()["Www-Authenticate"] {
		name, params, _ := strings.Cut(challenge, " ")
		if name == "DPoP" && !strings.Contains(params, `algs="ES256 PS256 EdDSA Ed25519"`) {
			t.Errorf("challenge %q has no algs", challenge)
		}
		if _, after, found := strings.Cut(params, `error="`); found {
			code, _, _ := strings.Cut(after, `"`)
			name += " " + code
		}
		all = append(all, name)
	}
	return all
}

// The answers of a gate to everything that a client can send.
//
// Covers RFC 9449 §7.1 (algs), §7.2 (error, downgrade).
func TestGate(t *testing.T) {
	s := newServer(t, as)
	c, other := newClient("ES256"), newClient("ES256")
	bound := s.issuer.Token(authtest.Claims{"cnf": map[string]any{"jkt": c.jkt}})
	free := s.issuer.Token(nil)
	expired := s.issuer.ExpiredToken(authtest.Claims{"cnf": map[string]any{"jkt": c.jkt}})
	two := s.issuer.Token(authtest.Claims{"cnf": map[string]any{"jkt": c.jkt, "x5t#S256": c.jkt}})
	proof := func(token, path string) []string { return []string{c.proofFor(token, path, nil)} }
	const ok = ""
	for _, test := range []struct {
		name, path    string
		authorization []string
		proofs        []string
		status        int
		challenges    []string
		reason        gatehouse.Reason
	}{
		{"bound token with a proof", "/reports", []string{"DPoP " + bound}, proof(bound, "/reports"), 200, nil, ok},
		{"again, cached", "/reports", []string{"DPoP " + bound}, proof(bound, "/reports"), 200, nil, ok},
		{"scheme in lower case", "/reports", []string{"dpop " + bound}, proof(bound, "/reports"), 200, nil, ok},
		{"bound token on a sensitive route", "/sensitive", []string{"DPoP " + bound}, proof(bound, "/sensitive"), 200, nil, ok},
		{"free token as Bearer", "/reports", []string{"Bearer " + free}, nil, 200, nil, ok},
		{"free token on a sensitive route", "/sensitive", []string{"Bearer " + free}, nil, 401, []string{"Bearer invalid_token", "DPoP"}, gatehouse.ReasonUnbound},
		{"no credential", "/reports", nil, nil, 401, []string{"Bearer", "DPoP"}, gatehouse.ReasonNoCredentials},
		{"only a proof", "/reports", nil, proof(bound, "/reports"), 401, []string{"Bearer", "DPoP"}, gatehouse.ReasonNoCredentials},
		{"no proof", "/reports", []string{"DPoP " + bound}, nil, 401, []string{"DPoP invalid_dpop_proof"}, dpop.ReasonMissing},
		{"two proofs", "/reports", []string{"DPoP " + bound}, append(proof(bound, "/reports"), proof(bound, "/reports")...), 401, []string{"DPoP invalid_dpop_proof"}, dpop.ReasonSeveral},
		{"proof for another path", "/reports", []string{"DPoP " + bound}, proof(bound, "/sensitive"), 401, []string{"DPoP invalid_dpop_proof"}, dpop.ReasonURL},
		{"proof for another token", "/reports", []string{"DPoP " + bound}, proof(free, "/reports"), 401, []string{"DPoP invalid_dpop_proof"}, dpop.ReasonToken},
		{"proof by another key", "/reports", []string{"DPoP " + bound}, []string{other.proofFor(bound, "/reports", nil)}, 401, []string{"DPoP invalid_token"}, dpop.ReasonOtherKey},
		{"bound token as Bearer", "/reports", []string{"Bearer " + bound}, nil, 401, []string{"Bearer invalid_token", "DPoP"}, gatehouse.ReasonUnconfirmed},
		{"bound token as Bearer with a proof", "/reports", []string{"Bearer " + bound}, proof(bound, "/reports"), 400, nil, gatehouse.ReasonSeveralCredentials},
		{"free token as Bearer with a proof", "/reports", []string{"Bearer " + free}, proof(free, "/reports"), 400, nil, gatehouse.ReasonSeveralCredentials},
		{"free token as Bearer with an empty proof", "/reports", []string{"Bearer " + free}, []string{""}, 400, nil, gatehouse.ReasonSeveralCredentials},
		{"free token as Bearer with two proofs", "/reports", []string{"Bearer " + free}, []string{"", ""}, 400, nil, gatehouse.ReasonSeveralCredentials},
		{"free token with a proof", "/reports", []string{"DPoP " + free}, proof(free, "/reports"), 401, []string{"DPoP invalid_token"}, gatehouse.ReasonUnconfirmed},
		{"expired token", "/reports", []string{"DPoP " + expired}, proof(expired, "/reports"), 401, []string{"DPoP invalid_token"}, jwtauth.ReasonExpired},
		{"member that nothing confirms", "/reports", []string{"DPoP " + two}, proof(two, "/reports"), 401, []string{"DPoP invalid_token"}, gatehouse.ReasonUnconfirmed},
		{"no JWT", "/reports", []string{"DPoP opaque"}, proof("opaque", "/reports"), 401, []string{"DPoP invalid_token"}, gatehouse.ReasonUnclaimed},
		{"both schemes", "/reports", []string{"DPoP " + bound, "Bearer " + bound}, proof(bound, "/reports"), 400, nil, gatehouse.ReasonSeveralCredentials},
		{"scheme alone", "/reports", []string{"DPoP"}, proof(bound, "/reports"), 400, nil, gatehouse.ReasonMalformedCredentials},
	} {
		t.Run(test.name, func(t *testing.T) {
			*s.events = nil
			w := s.send(test.path, test.authorization, test.proofs...)
			if w.Code != test.status {
				t.Errorf("status = %d, want %d", w.Code, test.status)
			}
			if diff := cmp.Diff(test.challenges, challenges(t, w)); diff != "" {
				t.Errorf("challenges (-want +got):\n%s", diff)
			}
			var reason gatehouse.Reason
			for _, e := range *s.events {
				reason = e.Reason
			}
			if reason != test.reason {
				t.Errorf("reason = %q, want %q", reason, test.reason)
			}
			if want := map[bool]string{true: "dpop"}[test.status == 200 && len(test.proofs) > 0 && test.path == "/reports"]; w.Header().Get("Binding") != want {
				t.Errorf("binding = %q, want %q", w.Header().Get("Binding"), want)
			}
			for _, secret := range append([]string{bound, free}, test.proofs...) {
				if secret != "" && strings.Contains(w.Body.String(), secret) {
					t.Error("the body contains a credential")
				}
			}
		})
	}
}

// Covers RFC 9449 §9.
func TestGateNonces(t *testing.T) {
	s := newServer(t, as, withNonces(nonceKey))
	c := newClient("ES256")
	bound := s.issuer.Token(authtest.Claims{"cnf": map[string]any{"jkt": c.jkt}})
	w := s.send("/reports", []string{"DPoP " + bound}, c.proofFor(bound, "/reports", nil))
	nonce := w.Header().Get("DPoP-Nonce")
	if w.Code != 401 || nonce == "" || len(w.Header()["Dpop-Nonce"]) != 1 || !cmp.Equal(challenges(t, w), []string{"DPoP use_dpop_nonce"}) {
		t.Fatalf("without a nonce: %d %v, want 401 with use_dpop_nonce and one DPoP-Nonce", w.Code, w.Header())
	}
	if e := (*s.events)[len(*s.events)-1]; e.Level != slog.LevelInfo || e.Reason != dpop.ReasonNonce {
		t.Errorf("event = %v %s, want INFO: each client needs a first nonce", e.Level, e.Reason)
	}
	if w = s.send("/reports", []string{"DPoP " + bound}, c.proofFor(bound, "/reports", object{"nonce": nonce})); w.Code != 200 || w.Header().Get("DPoP-Nonce") != "" {
		t.Errorf("with the nonce: %d %v, want 200 without DPoP-Nonce", w.Code, w.Header())
	}
	if w = s.send("/reports", []string{"Bearer " + s.issuer.Token(nil)}); w.Code != 200 || w.Header().Get("DPoP-Nonce") != "" {
		t.Errorf("Bearer token: %d %v, want 200 without DPoP-Nonce", w.Code, w.Header())
	}
	// An old nonce is replaced on every answer: of a handler, a policy and the mux.
	old := dpop.NonceAt(nonceKey, time.Now().Add(-4*time.Minute))
	for path, status := range map[string]int{"/reports": 200, "/forbidden": 403, "/unknown": 404, "/reports?page=2": 200} {
		w := s.send(path, []string{"DPoP " + bound}, c.proofFor(bound, path, object{"nonce": old}))
		if w.Code != status || len(w.Header()["Dpop-Nonce"]) != 1 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s with an old nonce: %d %v, want %d with DPoP-Nonce and no-store", path, w.Code, w.Header(), status)
		}
	}
}

// In front of the gate, Nonces reaches answers that Confirm does not.
func TestNoncesHandler(t *testing.T) {
	s := newServer(t, as, withNonces(nonceKey))
	s.handler = newVerifier(withNonces(nonceKey)).Nonces(s.handler)
	c := newClient("ES256")
	bound := map[string]any{"cnf": map[string]any{"jkt": c.jkt}}
	old, current := dpop.NonceAt(nonceKey, time.Now().Add(-4*time.Minute)), dpop.NonceAt(nonceKey, time.Now())
	for _, test := range []struct {
		name, token, nonce string
		status, nonces     int
	}{
		{"expired token, old nonce", s.issuer.ExpiredToken(bound), old, 401, 1},
		{"expired token, current nonce", s.issuer.ExpiredToken(bound), current, 401, 0},
		{"valid token, old nonce", s.issuer.Token(bound), old, 200, 1},
		{"valid token, current nonce", s.issuer.Token(bound), current, 200, 0},
	} {
		w := s.send("/reports", []string{"DPoP " + test.token}, c.proofFor(test.token, "/reports", object{"nonce": test.nonce}))
		if w.Code != test.status || len(w.Header()["Dpop-Nonce"]) != test.nonces {
			t.Errorf("%s: %d %v, want %d with %d nonces", test.name, w.Code, w.Header(), test.status, test.nonces)
		}
		fresh := c.proofFor(test.token, "/reports", object{"nonce": w.Header().Get("DPoP-Nonce")})
		if again := s.send("/reports", []string{"DPoP " + test.token}, fresh); test.nonces == 1 && again.Header().Get("DPoP-Nonce") != "" {
			t.Errorf("%s: the nonce is renewed at once: %v", test.name, again.Header())
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("DPoP", c.proof(nil, object{"nonce": old}))
	newVerifier(withNonces(nonceKey)).Nonces(http.NotFoundHandler()).ServeHTTP(w, r)
	if len(w.Header()["Dpop-Nonce"]) != 1 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("without a gate: %v, want a nonce with no-store", w.Header())
	}
	// A proof that Confirm cannot read has no nonce.
	for proof, nonces := range map[string]int{
		padded(c, 8<<10, object{"nonce": current}): 0, padded(c, 8<<10+1, object{"nonce": current}): 1, c.proof(nil, object{"nonce": current, "iat": nil}): 1,
	} {
		if w := s.send("/reports", nil, proof); len(w.Header()["Dpop-Nonce"]) != nonces {
			t.Errorf("with a proof of %d bytes: %v, want %d nonces", len(proof), w.Header(), nonces)
		}
	}
	for _, proofs := range [][]string{nil, {c.valid(), c.valid()}} {
		if w := s.send("/reports", nil, proofs...); w.Header().Get("DPoP-Nonce") != "" {
			t.Errorf("with %d proofs: %v, want no nonce", len(proofs), w.Header())
		}
	}
	if next := http.Handler(http.NewServeMux()); newVerifier().Nonces(next) != next {
		t.Error("Nonces without keys does not return next")
	}
}

// overTLS accepts a caller whose token is bound to a certificate.
type overTLS struct{ gatehouse.Authenticator }

func (overTLS) Authenticate(*http.Request) (gatehouse.Proof, error) {
	return gatehouse.NewProof(&gatehouse.Principal{Method: "jwt", Subject: "ada", Binding: "mtls"}), nil
}

func TestRequire(t *testing.T) {
	s := newServer(t, dpop.Require)
	c := newClient("ES256")
	bound := s.issuer.Token(authtest.Claims{"cnf": map[string]any{"jkt": c.jkt}})
	if w := s.send("/reports", []string{"DPoP " + bound}, c.proofFor(bound, "/reports", nil)); w.Code != 200 {
		t.Errorf("bound token: status %d, want 200", w.Code)
	}
	w := s.send("/reports", []string{"Bearer " + s.issuer.Token(authtest.Claims{"jti": "t-1"})})
	if w.Code != 401 || !cmp.Equal(challenges(t, w), []string{"Bearer invalid_token", "DPoP"}) {
		t.Errorf("free token: %d %v, want 401 with a DPoP challenge", w.Code, w.Header())
	}
	e := (*s.events)[len(*s.events)-1]
	if e.Reason != gatehouse.ReasonUnbound || e.Issuer != s.issuer.URL || e.Credential != "t-1" || e.Decision != gatehouse.Rejected {
		t.Errorf("event = %+v, want a rejection with the issuer and the credential", e)
	}
	for reason, authorization := range map[gatehouse.Reason][]string{jwtauth.ReasonExpired: {"Bearer " + s.issuer.ExpiredToken(nil)}, gatehouse.ReasonNoCredentials: nil} {
		w := s.send("/reports", authorization)
		if e := (*s.events)[len(*s.events)-1]; w.Code != 401 || e.Reason != reason {
			t.Errorf("Authorization %.10q: %d, reason %s, want 401, %s", authorization, w.Code, e.Reason, reason)
		}
	}
	if _, err := dpop.Require(overTLS{}).Authenticate(nil); err != nil {
		t.Errorf("token with another binding: error = %v, want none", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Require(nil) does not panic")
		}
	}()
	dpop.Require((*jwtauth.Authenticator)(nil))
}

// A server with DPoP resists what one without it does.
func TestAttacks(t *testing.T) {
	s := newServer(t, as)
	authtest.Attack(t, s.handler, s.issuer)
}
