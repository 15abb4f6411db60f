// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"crypto/rsa"
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

	"github.com/gatehouse-go/gatehouse/authtest"
)

// catalogue is what the kit has to cover: the rows of the attacks on tokens and
// requests that people have thought of, and the rows of the kit for each.
var catalogue = map[string][]string{
	"algorithm none in every spelling":           {"alg none"},
	"algorithm missing or of another type":       {"alg malformed"},
	"public key as an HMAC secret":               {"public key as a secret"},
	"key used for another algorithm":             {"key of another algorithm"},
	"curve of another algorithm":                 {"key of another curve"},
	"PSS with another salt":                      {"PSS salt"},
	"weak RSA keys":                              {"odd key"},
	"PKCS #1 v1.5 padding":                       {"PKCS #1 padding"},
	"psychic signatures, DER, wrong lengths":     {"ECDSA values"},
	"ECDSA malleability":                         {"ECDSA malleability"},
	"Ed25519 of low order, malleable":            {"odd key", "EdDSA values"},
	"algorithms not in use":                      {"alg unavailable"},
	"empty and well-known secrets":               {"weak secret"},
	"kid injection":                              {"kid", "kid of a known secret", "kid absent"},
	"one kid for several keys":                   {"odd key"},
	"jwk, jku, x5u":                              {"key in the header"},
	"x5c, x5t":                                   {"certificate in the header"},
	"key not for verifying, private, symmetric":  {"odd key"},
	"key of another issuer":                      {"another issuer", "signature of a foreign key"},
	"altered signature":                          {"signature altered"},
	"number of segments":                         {"segments"},
	"JWE":                                        {"JWE"},
	"nested token":                               {"cty"},
	"compression":                                {"zip"},
	"JSON serialization":                         {"JSON serialization"},
	"unencoded payload":                          {"b64"},
	"critical header parameters":                 {"crit"},
	"type confusion":                             {"typ of another token", "typ"},
	"base64":                                     {"base64"},
	"line breaks in the token":                   {"line breaks"},
	"duplicate members":                          {"duplicate member", "duplicate header parameter", "duplicate member inside"},
	"folded and escaped names":                   {"folded name", "folded header parameter", "escaped"},
	"trailing data":                              {"data behind the JSON"},
	"BOM, null, array, string":                   {"JSON of another shape"},
	"invalid UTF-8, lone surrogates":             {"not UTF-8", "lone surrogate"},
	"nesting and width":                          {"depth", "width"},
	"size":                                       {"size"},
	"exp missing, past, malformed, out of range": {"exp", "exp that is no date"},
	"lifetime":                                   {"lifetime"},
	"nbf":                                        {"nbf"},
	"iat":                                        {"iat"},
	"fractions":                                  {"fraction of a second"},
	"aud":                                        {"aud", "aud of several"},
	"iss":                                        {"iss"},
	"sub":                                        {"sub"},
	"client_id and jti":                          {"client_id", "jti"},
	"scope":                                      {"scope malformed", "scope not granted"},
	"cnf":                                        {"cnf"},
	"delegation":                                 {"act"},
	"several credentials, joined by a comma":     {"several credentials"},
	"header, query, body and cookie":             {"several places"},
	"scheme in any case":                         {"scheme in any case"},
	"white space":                                {"white space"},
	"Bearer alone":                               {"nothing behind the scheme"},
	"trailing junk":                              {"junk behind"},
	"characters outside b64token":                {"outside of b64token"},
	"obs-fold":                                   {"line break"},
	"Basic with a token":                         {"another scheme"},
	"token in the URL":                           {"token in the URL"},
	"token in the body":                          {"token in the body"},
	"cookies":                                    {"token in a cookie"},
	"other headers":                              {"token in another header", "identity in a header"},
	"OPTIONS, path exclusion":                    {"another method", "another path"},
	"challenge injection":                        {"injection"},
	"timing and enumeration":                     {"telling answer"},
	"ID token marks where typ is JWT":            {"marks of another token"},
	"key of one issuer and name of another, same kid": {"two issuers"},
}

func TestCatalogueIsCovered(t *testing.T) {
	all := authtest.NewIssuer(t, authtest.IssuerConfig{
		Algorithms: []string{"ES256", "RS256", "PS256", "EdDSA"}, Scope: "reports:read",
	})
	plain := authtest.NewIssuer(t)
	compatible := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Type: "JWT"})
	for _, issuer := range []*authtest.Issuer{all, compatible} {
		if err := issuer.PublishOddKeys(); err != nil {
			t.Fatal(err)
		}
	}
	rows := make(map[string]int)
	for _, issuer := range []*authtest.Issuer{all, compatible} {
		for a := range authtest.Attacks(issuer) {
			rows[a.Row]++
		}
	}
	for a := range authtest.Crossings(all, compatible) {
		rows[a.Row]++
	}
	for name, wanted := range catalogue {
		for _, row := range wanted {
			if rows[row] == 0 {
				t.Errorf("%s: no attempt in the row %q", name, row)
			}
		}
	}
	for row := range rows {
		if !slices.ContainsFunc(slices.Collect(maps.Values(catalogue)), func(r []string) bool { return slices.Contains(r, row) }) {
			t.Errorf("the row %q is not in the catalogue", row)
		}
	}
	// The least that any issuer gets, each request different from the others.
	hostile := make(map[string]bool)
	for a := range authtest.Attacks(plain) {
		if !a.Good() {
			hostile[fmt.Sprint(a.Request.Method, a.Request.URL, a.Request.Header, a.Name)] = true
		}
	}
	if len(hostile) < 1000 {
		t.Errorf("only %d hostile requests", len(hostile))
	}
}

// recorder is a testing.TB that keeps what is reported.
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

func attack(t *testing.T, handler http.Handler, issuer *authtest.Issuer, ignore ...authtest.Kind) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		authtest.Attack(r, handler, issuer, ignore...)
	}()
	<-done
	return r
}

// refuse is how a handler without faults refuses.
func refuse(w http.ResponseWriter, status int, code string) {
	challenge := `Bearer realm="test"`
	if code != "" {
		challenge += fmt.Sprintf(`, error=%q`, code)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}

// naive verifies as the first example of golang-jwt does: the signature, and the
// expiry if there is one.
func naive(issuer *authtest.Issuer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			refuse(w, http.StatusUnauthorized, "")
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
			refuse(w, http.StatusUnauthorized, "invalid_token")
		}
	})
}

func TestNaiveHandlerIsReported(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256", "RS256", "PS256"}})
	r := attack(t, naive(issuer), issuer)
	if r.fatal != nil {
		t.Fatal(r.fatal)
	}
	for _, name := range []string{
		"aud: missing", "aud: of another", "iss: missing", "iss: a slash behind", "exp: missing", "exp: 0", "sub: missing",
		"client_id: missing", "jti: missing", "iat: in an hour", "lifetime: a year", "crit: unknown", "crit: empty",
		"b64: false, not critical, encoded", "zip: DEF, payload as it is", "cty: \"JWT\", claims inside",
		"typ of another token: dpop+jwt", "typ of another token: ID token for the client", "typ: null",
		"key in the header: jku of the issuer", "key in the header: jwk of the issuer", "certificate in the header: x5t",
		"key of another algorithm: PS256 by rs256-1", "key of another algorithm: RS512 by rs256-1",
		"key of another curve: ES384 by es256-1", "PSS salt: PS256, none", "PSS salt: PS256, the longest",
		"base64: bits left over set, signature", "line breaks: CRLF behind, signature", "line breaks: LF inside, payload",
		"duplicate member: iss, the last good", "duplicate header parameter: alg, both good",
		"duplicate member inside: an array", "folded name: ISS beside iss", "not UTF-8: a byte FF in sub",
		"lone surrogate: high, sub", "depth: 500 arrays", "width: 500 claims", "size: a megabyte of claims",
		"nbf: 1e19", "cnf: DPoP", "cnf: the JSON value \"x\"", "scope malformed: two spaces", "act: act of 100",
		"sub: a line break", "several credentials: the good one first", "several places: header and query",
	} {
		if !slices.Contains(r.errors, "authtest: got through: "+name+": answered with 200") {
			t.Errorf("not reported: %s", name)
		}
	}
	for _, name := range []string{
		"alg none: \"none\"", "signature of a foreign key: RS256", "public key as a secret: HS256 by the PEM of rs256-1",
		"kid: unknown", "exp: 1h0m0s ago", "segments: two dots", "ECDSA values: ES256, r = s = 0",
	} {
		if slices.ContainsFunc(r.errors, func(e string) bool { return strings.Contains(e, "got through: "+name+":") }) {
			t.Errorf("reported although it is refused: %s", name)
		}
	}
	for _, name := range []string{
		"refused although good: scheme in any case: bearer: answered with 401",
		"wrong status: junk behind: \"\\tjunk\": answered with 401, not 400",
	} {
		if !slices.Contains(r.errors, "authtest: "+name) {
			t.Errorf("not reported: %s", name)
		}
	}
	issuer = authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	ignoring := attack(t, naive(issuer), issuer, authtest.RefusedGood, authtest.WrongStatus)
	for _, e := range ignoring.errors {
		if !strings.HasPrefix(e, "authtest: got through: ") {
			t.Errorf("not ignored: %s", e)
		}
	}
	if len(ignoring.errors) < 300 {
		t.Errorf("%d findings", len(ignoring.errors))
	}
}

func TestOpenHandlerIsReported(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	r := attack(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), issuer)
	hostile := 0
	for a := range authtest.Attacks(issuer) {
		if a.Good() {
			continue
		}
		hostile++
		if !slices.Contains(r.errors, "authtest: got through: "+a.Name+": answered with 200") {
			t.Errorf("not reported: %s", a.Name)
		}
	}
	if len(r.errors) != hostile {
		t.Errorf("%d findings for %d hostile requests", len(r.errors), hostile)
	}
}

func TestControls(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	closed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusUnauthorized, "invalid_token") })
	if r := attack(t, closed, issuer); len(r.fatal) != 1 || !strings.Contains(r.fatal[0], "before the first attack: answered with 401") {
		t.Errorf("a closed handler: %v", r.fatal)
	}
	requests := 0
	closing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests > 1 {
			refuse(w, http.StatusUnauthorized, "invalid_token")
		}
	})
	if r := attack(t, closing, issuer); len(r.fatal) != 1 || !strings.Contains(r.fatal[0], "after the last attack") {
		t.Errorf("a closing handler: %v", r.fatal)
	}
	if r := attack(t, closed, issuer, authtest.GotThrough); len(r.fatal) != 1 || !strings.Contains(r.fatal[0], "cannot be ignored") {
		t.Errorf("ignoring what got through: %v", r.fatal)
	}
}

// TestKindsOfFindings wires faults around a handler that lets only a good token
// in.
func TestKindsOfFindings(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	for name, test := range map[string]struct {
		refuse http.HandlerFunc
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
				`leaked: alg none: "none": a part of the credential is in the body`,
				`leaked: token in another header: Token: a part of the credential is in the header X-Token-Again`,
				`wrong header: alg none: "none": X-Reason: has a line break`,
				`wrong header: alg none: "none": WWW-Authenticate: does not follow RFC 9110 §11.6.1`,
				`wrong header: alg none: "none": Cache-Control: no-store is missing`,
			},
		},
		"no challenge": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
			[]string{`wrong header: alg none: "none": WWW-Authenticate: missing`},
		},
		"no error code": {
			func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusUnauthorized, "") },
			[]string{`wrong header: alg none: "none": WWW-Authenticate: error is not invalid_token`},
		},
		"wrong status": {
			func(w http.ResponseWriter, _ *http.Request) {
				refuse(w, http.StatusInternalServerError, "invalid_token")
			},
			[]string{"wrong status: kid: unknown: answered with 500, not 401 or 503"},
		},
		"too much said, and done": {
			func(w http.ResponseWriter, r *http.Request) {
				refuse(w, http.StatusUnauthorized, "invalid_token")
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
				"wrong header: another method: HEAD: WWW-Authenticate: has an error code although there was no credential",
				"telltale: telling answer: bad signature and expired: answered otherwise than telling answer: bad signature",
				"lured: key in the header: jku of the attacker: the address in the token was asked for",
			},
		},
	} {
		requests := 0
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests++; requests > 1 {
				test.refuse(w, r)
			}
		})
		r := attack(t, handler, issuer)
		if len(r.fatal) != 1 { // the control at the end
			t.Errorf("%s: %v", name, r.fatal)
		}
		for _, want := range test.want {
			if !slices.Contains(r.errors, "authtest: "+want) {
				t.Errorf("%s: not reported: %s; the first findings are %q", name, want, r.errors[:min(len(r.errors), 5)])
			}
		}
	}
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// TestLureHoldsTheAttackersKey, with which the tokens that point there are
// signed: a verifier that follows them lets them in.
func TestLureHoldsTheAttackersKey(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"RS256"}})
	tried := 0
	for a := range authtest.Attacks(issuer) {
		if a.Section == "envelope" {
			break
		}
		if a.Row != "key in the header" || !strings.Contains(a.Name, "signed with") {
			continue
		}
		_, err := jwt.Parse(bearer(a.Request), func(token *jwt.Token) (any, error) {
			if token.Method.Alg() == "HS256" {
				return []byte("secret"), nil
			}
			if key, ok := token.Header["jwk"]; ok {
				text, err := json.Marshal(map[string]any{"keys": []any{key}})
				if err != nil {
					return nil, err
				}
				return rsaKey(t, text)
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
			t.Errorf("%s: %v", a.Name, err)
		}
	}
	if tried != 10 {
		t.Errorf("%d tokens bring their key", tried)
	}
	if lured := issuer.Lured(); len(lured) != 4 || !strings.HasPrefix(lured[0], "key in the header: jku of the attacker") {
		t.Errorf("lured by %q", lured)
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
	n, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	if err != nil {
		return nil, err
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, nil
}
