// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// Covers RFC 6749 §4.1.1, §4.1.2 (once, unknown), §4.1.3; RFC 7636 §4.2 (client),
// §4.3 (request); ASVS 5.0 §6.8.4, §10.5.2; OIDC Core §3.1.2.1 (nonce), §5.7.
func TestRedeem(t *testing.T) {
	l := newLogin(t)
	q := l.query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) != 43 ||
		q.Get("scope") != "openid reports:read" || q.Get("redirect_uri") != redirect || q.Has("code_verifier") || q.Has("max_age") || q.Get("state") != l.transaction.State {
		t.Errorf("Authorize URL = %s", l.transaction.URL)
	}
	if strings.HasSuffix(l.transaction.State, strings.Repeat("A", 20)) {
		t.Errorf("State = %q, want 256 random bits", l.transaction.State)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", l.transaction, l.transaction, l.transaction), "verifier") {
		t.Error("the transaction prints its verifier")
	}
	// Unknown parameters are ignored: RFC 6749 §4.1.2.
	l.Reply = object{"session_state": "x", "x": object{"y": []int{1}}}
	l.response["x"] = []string{"1", "2"}
	result, err := l.redeem()
	if err != nil {
		t.Fatalf("Redeem error = %v", err)
	}
	if result.Subject != "alice" || result.SessionID != "s1" || result.AuthTime.IsZero() || result.Issuer != issuer || result.Client != clientID ||
		reveal(result.Tokens.Access) != "access-1" || result.Tokens.Scopes != scopes("openid reports:read") {
		t.Errorf("Redeem = %+v", result)
	}
	p := result.Principal()
	if p.Kind != gatehouse.KindUser || p.Subject != "alice" || p.Issuer != issuer || p.Client != clientID || p.Scopes != result.Tokens.Scopes ||
		p.AuthTime != result.AuthTime || !strings.Contains(p.Claims.String(), `"sid":"s1"`) {
		t.Errorf("Principal = %+v", p)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, leak := range []string{"access-1", "refresh-1", reveal(result.Tokens.ID)} {
			if strings.Contains(fmt.Sprintf(verb, result), leak) {
				t.Errorf("%s prints a token", verb)
			}
		}
	}
	if _, err := l.redeem(); reasonOf(err) != oauth.ReasonTransaction || l.Count("/token") != 1 {
		t.Errorf("second Redeem error = %v after %d token requests, want %s after 1", err, l.Count("/token"), oauth.ReasonTransaction)
	}
}

// TestRedeemRejects checks that each hostile response is rejected for its own
// reason, that no code is sent unless all checks before passed, and that no token
// is returned unless all checks passed.
//
// Covers RFC 9700 §4.5.3.2; ASVS 5.0 §6.8.2, §10.5.4; OIDC Core §2, §3.1.3.7
// (step 2, step 3, step 6, step 7).
func TestRedeemRejects(t *testing.T) {
	response := func(pairs ...string) func(*login) {
		return func(l *login) {
			for n := 0; n < len(pairs); n += 2 {
				l.response.Set(pairs[n], pairs[n+1])
			}
		}
	}
	without := func(name string) func(*login) { return func(l *login) { l.response.Del(name) } }
	twice := func(name, value string) func(*login) { return func(l *login) { l.response.Add(name, value) } }
	route := func(path string, h http.HandlerFunc) func(*login) { return func(l *login) { l.Routes[path] = h } }
	reply := func(name string, value any) func(*login) { return func(l *login) { l.Reply = object{name: value} } }
	once := func(first bool) func(*login) {
		return func(l *login) {
			l.client = l.Client(func(c *oauth.Config) {
				c.Once = func(context.Context, string) (bool, error) { return first, errors.New("down") }
			})
		}
	}
	const (
		tx     = oauth.ReasonTransaction
		iss    = oauth.ReasonIssuer
		format = oauth.ReasonResponse
		denied = oauth.ReasonDenied
		code   = oauth.ReasonCode
		token  = oauth.ReasonIDToken
		server = oauth.ReasonUnavailable
	)
	for name, test := range map[string]struct {
		change  func(*login)
		reason  gatehouse.Reason
		status  int
		redeems int
	}{
		"state missing":                {without("state"), tx, 400, 0},
		"state empty":                  {response("state", ""), tx, 400, 0},
		"state of another transaction": {response("state", strings.Repeat("A", 43)), tx, 400, 0},
		"state twice":                  {func(l *login) { l.response.Add("state", l.transaction.State) }, tx, 400, 0}, // Covers RFC 6749 §3.1 (once).
		"iss missing":                  {without("iss"), iss, 400, 0},                                                 // Covers RFC 9207 §2.4 (missing).
		// Covers RFC 9207 §2.4 (compare, mismatch, metadata); RFC 9700
		// §4.4.2.1.
		"iss of another issuer":       {response("iss", "https://evil.example"), iss, 400, 0},
		"iss with a slash":            {response("iss", issuer+"/"), iss, 400, 0}, // Covers RFC 9207 §2.4 (compare).
		"iss empty":                   {response("iss", ""), iss, 400, 0},
		"iss in capitals":             {response("iss", strings.ToUpper(issuer)), iss, 400, 0},
		"iss escaped twice":           {response("iss", url.QueryEscape(issuer)), iss, 400, 0},
		"iss twice":                   {twice("iss", issuer), iss, 400, 0},                           // Covers RFC 9207 §4 (several).
		"iss wrong, with an error":    {response("iss", "x", "error", "access_denied"), iss, 400, 0}, // Covers RFC 9207 §2.4 (errors).
		"access denied":               {response("error", "access_denied"), denied, 403, 0},
		"login required":              {response("error", "login_required"), denied, 403, 0},
		"consent required":            {response("error", "consent_required"), denied, 403, 0},
		"interaction required":        {response("error", "interaction_required"), denied, 403, 0},
		"account selection required":  {response("error", "account_selection_required"), denied, 403, 0},
		"unmet requirements":          {response("error", "unmet_authentication_requirements"), oauth.ReasonStepUp, 403, 0},
		"Once fails":                  {once(false), server, 503, 0},
		"Once fails, and says first":  {once(true), server, 503, 0},
		"temporarily unavailable":     {response("error", "temporarily_unavailable"), server, 503, 0},
		"error":                       {response("error", "invalid_scope"), denied, 400, 0},
		"error of no registered code": {response("error", "<script>"), denied, 400, 0},
		// Covers RFC 6749 §3.1 (once).
		"error twice":  {func(l *login) { l.response["error"] = []string{"access_denied", "x"} }, format, 400, 0},
		"server error": {response("error", "server_error"), server, 503, 0},
		"code missing": {without("code"), format, 400, 0},
		"code empty":   {response("code", ""), format, 400, 0},
		"code twice":   {twice("code", "x"), format, 400, 0}, // Covers RFC 6749 §3.1 (once).
		"code forged":  {response("code", "x"), code, 400, 1},
		// Covers RFC 9700 §2.1.1 (injection).
		"code of another login": {func(l *login) { l.response.Set("code", another(l).Get("code")) }, code, 400, 1},
		"metadata unavailable":  {func(l *login) { l.Routes[wellKnown], l.client = down, l.Client() }, server, 503, 0},
		"token endpoint down":   {route("/token", down), server, 503, 1},
		"keys unavailable":      {route("/jwks", down), server, 503, 1},
		"token type DPoP":       {reply("token_type", "DPoP"), server, 503, 1},
		"id_token: missing":     {reply("id_token", nil), token, 400, 1},      // Covers OIDC Core §3.1.3.3.
		"ID token forged":       {reply("id_token", forged()), token, 400, 1}, // Covers ASVS 5.0 §6.8.2; OIDC Core §3.1.3.7 (step 6).
		// Covers RFC 9700 §2.1.1 (injection); ASVS 5.0 §10.5.1; OIDC Core
		// §3.1.3.7 (step 11).
		"nonce of another login": {claim("nonce", "x"), token, 400, 1},
		"nonce missing":          {claim("nonce", nil), token, 400, 1},   // Covers ASVS 5.0 §10.5.1; OIDC Core §3.1.3.7 (step 11).
		"aud of another client":  {claim("aud", "other"), token, 400, 1}, // Covers ASVS 5.0 §10.5.4; OIDC Core §3.1.3.7 (step 3).
		"aud missing":            {claim("aud", nil), token, 400, 1},
		"two audiences, no azp":  {claim("aud", []string{clientID, "other"}), token, 400, 1}, // Covers OIDC Core §3.1.3.7 (step 4).
		"azp of another client":  {claim("azp", "other"), token, 400, 1},                     // Covers OIDC Core §2.
		"azp begins with client": {claim("azp", clientID+"2"), token, 400, 1},
		"azp a number":           {claim("azp", 1), token, 400, 1},
		// Covers OIDC Core §3.1.3.7 (step 2).
		"ID token of another issuer":     {claim("iss", "https://evil.example"), token, 400, 1},
		"ID token of issuer and a slash": {claim("iss", issuer+"/"), token, 400, 1},                            // Covers OIDC Discovery §4.3.
		"ID token expired":               {claim("exp", time.Now().Add(-2*time.Minute).Unix()), token, 400, 1}, // Covers OIDC Core §3.1.3.7 (step 9).
		"exp missing":                    {claim("exp", nil), token, 400, 1},
		"iat missing":                    {claim("iat", nil), token, 400, 1}, // Covers OIDC Core §3.1.3.7 (step 10).
		"iat in the future": {func(l *login) { // Covers OIDC Core §3.1.3.7 (step 10).
			l.Claims = func(c object) {
				c["iat"], c["exp"] = time.Now().Add(time.Hour).Unix(), time.Now().Add(2*time.Hour).Unix()
			}
		}, token, 400, 1},
		"sub missing":            {claim("sub", nil), token, 400, 1},
		"sub empty":              {claim("sub", ""), token, 400, 1}, // Covers ASVS 5.0 §10.5.2.
		"sub a number":           {claim("sub", 1), token, 400, 1},
		"events":                 {claim("events", object{}), token, 400, 1},                // Covers OIDC Back-Channel Logout §2.6 (kind).
		"typ of a logout token":  {func(l *login) { l.Type = "logout+jwt" }, token, 400, 1}, // Covers OIDC Back-Channel Logout §2.6 (kind).
		"typ of an access token": {func(l *login) { l.Type = "at+jwt" }, token, 400, 1},     // Covers ASVS 5.0 §9.2.2.
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogin(t)
			test.change(l)
			result, err := l.redeem()
			e, _ := errors.AsType[*gatehouse.Error](err)
			if e == nil || e.Reason != test.reason || e.Issuer != issuer || e.Code.Status() != test.status || !reflect.ValueOf(result).IsZero() || strings.Contains(causeOf(err), "<script>") {
				t.Fatalf("Redeem = %+v, %v, want %s with status %d", result, err, test.reason, test.status)
			}
			if got := l.Count("/token"); got != test.redeems {
				t.Errorf("Redeem made %d token requests, want %d", got, test.redeems)
			}
			if strings.HasPrefix(name, "state") { // an attacker's response does not use up the transaction
				l.response.Set("state", l.query().Get("state"))
				if _, err := l.redeem(); err != nil {
					t.Errorf("Redeem after that, with the right state: error = %v, want nil", err)
				}
			}
			if test.reason != tx { // the transaction is used
				if _, err := l.redeem(); reasonOf(err) != tx {
					t.Errorf("second Redeem error = %v, want %s", err, tx)
				}
			}
		})
	}
}

// another returns the response of another authorization request.
func another(l *login) url.Values {
	return l.Authorize(must(l.client.Authorize(l.Context(), oauth.AuthorizationRequest{RedirectURI: redirect})).URL)
}

// TestRedeemAccepts: OpenID Connect Core 1.0 section 3.1.3.7, and RFC 9207 for an
// authorization server that does not announce the parameter iss.
//
// Covers RFC 9207 §2.4 (compare, support).
func TestRedeemAccepts(t *testing.T) {
	unannounced := func(l *login) {
		delete(l.Metadata, "authorization_response_iss_parameter_supported")
		l.client = l.Client()
		l.begin()
	}
	for name, change := range map[string]func(*login){
		"no typ":             func(l *login) { l.Type = "" },
		"typ in lower case":  func(l *login) { l.Type = "jwt" },
		"less scope":         func(l *login) { l.Reply = object{"scope": "reports:read"} },
		"an old login":       claim("auth_time", time.Now().Add(-time.Hour).Unix()),
		"12 KB":              claim("groups", strings.Repeat("x", 9<<10)),
		"audience in a list": claim("aud", []string{clientID}),
		"two audiences, azp": func(l *login) { // Covers OIDC Core §3.1.3.7 (step 4).
			l.Claims = func(c object) { c["aud"], c["azp"] = []string{"other", clientID}, clientID }
		},
		"iss not announced":   func(l *login) { unannounced(l); l.response.Del("iss") },
		"iss although unsaid": unannounced,
		"flags that are false": func(l *login) {
			l.Metadata["authorization_response_iss_parameter_supported"], l.Metadata["tls_client_certificate_bound_access_tokens"] = false, false
			l.client = l.Client()
			l.begin()
			l.response.Del("iss")
		},
		"configured keys": func(l *login) {
			l.Routes["/jwks"] = down
			l.client = l.Client(func(c *oauth.Config) { c.IDTokenKeys = providertest.Keys() })
			l.begin()
		},
		"configured metadata": func(l *login) {
			p := must(l.client.Provider(l.Context()))
			p.JWKSURI = issuer + "/keys"
			l.Routes[wellKnown], l.Routes["/jwks"], l.Routes["/keys"] = down, down, providertest.Keys().ServeHTTP
			l.client = l.Client(func(c *oauth.Config) { c.Provider = p })
			l.begin()
		},
		"configured metadata and keys": func(l *login) {
			p := must(l.client.Provider(l.Context()))
			l.Routes["/jwks"] = down
			l.client = l.Client(func(c *oauth.Config) { c.Provider, c.IDTokenKeys = p, providertest.Keys() })
			l.begin()
		},
	} {
		l := newLogin(t)
		change(l)
		if result, err := l.redeem(); err != nil || result.Subject != "alice" {
			t.Errorf("%s: Redeem = %+v, %v, want subject alice", name, result, err)
		}
	}
	l := newLogin(t)
	unannounced(l)
	l.response.Set("iss", "https://evil.example")
	if _, err := l.redeem(); reasonOf(err) != oauth.ReasonIssuer || l.Count("/token") != 0 {
		t.Errorf("Redeem with another iss, not announced: error = %v, want %s", err, oauth.ReasonIssuer)
	}
}

// TestRedeemTampered: a transaction is checked as a whole.
//
// Covers RFC 9700 §2.1.1 (transaction); ASVS 5.0 §10.1.2; OIDC Core §3.1.3.7
// (step 11).
func TestRedeemTampered(t *testing.T) {
	for name, test := range map[string]struct {
		member string
		value  any
		reason gatehouse.Reason
	}{
		"another state":    {"state", strings.Repeat("A", 43), oauth.ReasonTransaction},
		"another issuer":   {"iss", issuer + ".example", oauth.ReasonIssuer},
		"another client":   {"client", clientID + "2", oauth.ReasonIssuer},
		"malformed scopes": {"scope", "a  b", oauth.ReasonTransaction},
		"empty nonce":      {"nonce", "", oauth.ReasonIDToken},
		"no change":        {"state", nil, ""},
	} {
		l := newLogin(t)
		var kept object
		if err := json.Unmarshal(l.transaction.Secret().Reveal(), &kept); err != nil {
			t.Fatal(err)
		}
		if test.value != nil {
			kept[test.member] = test.value
		}
		if test.member == "nonce" {
			l.Claims = func(claims object) { claims["nonce"] = "" }
		}
		l.transaction = must(oauth.ParseTransaction(gatehouse.NewSecret(must(json.Marshal(kept)))))
		if l.transaction.State != kept["state"] {
			t.Errorf("%s: State = %q, want %q", name, l.transaction.State, kept["state"])
		}
		if _, err := l.redeem(); reasonOf(err) != test.reason || (err == nil) != (test.reason == "") {
			t.Errorf("%s: Redeem error = %v, want %q", name, err, test.reason)
		}
	}
	l := newLogin(t)
	if _, err := l.client.Redeem(t.Context(), new(oauth.Transaction), url.Values{"state": {""}}); reasonOf(err) != oauth.ReasonTransaction {
		t.Errorf("Redeem of a zero Transaction: error = %v, want %s", err, oauth.ReasonTransaction)
	}
	for _, text := range []string{"", "null", "{}", `{"state":"x"}`, `{"verifier":"x"}`, `{"state":"","verifier":"x"}`, `{"state":"x","iss":"y"}`, `{"state":"x","verifier":"y","max_age":"z"}`, "x"} {
		if transaction, err := oauth.ParseTransaction(secret(text)); err == nil || transaction != nil {
			t.Errorf("ParseTransaction(%q) = %v, %v, want an error", text, transaction, err)
		}
	}
}

// TestRedeemAlgorithms: an ID token that is not signed by a configured algorithm
// with a key of the issuer is rejected.
func TestRedeemAlgorithms(t *testing.T) {
	for name, test := range map[string]struct {
		header object
		key    string
	}{
		"unsigned":                   {object{"alg": "none"}, ""},
		"unsigned, called ES256":     {object{"alg": "ES256", "kid": "k1"}, ""},
		"signed with the secret":     {object{"alg": "HS256"}, providertest.Secret}, // Covers OIDC Core §3.1.3.7 (step 8).
		"signed with the public key": {object{"alg": "HS256", "kid": "k1"}, "x"},
		"by a key in the header":     {object{"alg": "ES256", "jwk": object{"kty": "EC"}}, "x"},
	} {
		l := newLogin(t)
		now := time.Now().Unix()
		l.Reply = object{"id_token": jws(test.header, object{
			"iss": issuer, "aud": clientID, "sub": "alice", "nonce": l.query().Get("nonce"), "iat": now, "exp": now + 300,
		}, test.key)}
		if _, err := l.redeem(); reasonOf(err) != oauth.ReasonIDToken {
			t.Errorf("%s: Redeem error = %v, want %s", name, err, oauth.ReasonIDToken)
		}
	}
}

// jws signs claims with HMAC, which no signer of the library supports.
func jws(header, claims object, key string) string {
	part := func(o object) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(o))) }
	text := part(header) + "." + part(claims)
	if key == "" {
		return text + "."
	}
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(mac, text)
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestRedeemCause: the cause names the check for the operator.
func TestRedeemCause(t *testing.T) {
	l := newLogin(t)
	l.Reply = object{"id_token": nil}
	if _, err := l.redeem(); !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "id_token: missing") {
		t.Errorf("Redeem cause = %v, want it to name the missing ID token", errors.Unwrap(err))
	}
}

// Covers ASVS 5.0 §6.8.4; OIDC Core §3.1.3.7 (step 13).
func TestMaxAge(t *testing.T) {
	ago := func(d time.Duration) any { return time.Now().Add(-d).Unix() }
	for name, test := range map[string]struct {
		authTime any
		good     bool
	}{
		"recent": {ago(time.Minute), true}, "within the skew": {ago(5*time.Minute + 30*time.Second), true}, "too old": {ago(6*time.Minute + 30*time.Second), false}, "missing": {nil, false}, "fraction": {1.5, false},
		"recent, with a fraction": {float64(time.Now().Unix()) + 0.5, true},
	} {
		l := newLogin(t, func(r *oauth.AuthorizationRequest) { r.MaxAge = 5 * time.Minute })
		claim("auth_time", test.authTime)(l)
		if got := l.query().Get("max_age"); got != "300" {
			t.Errorf("max_age = %q, want 300", got)
		}
		_, err := l.redeem()
		if (err == nil) != test.good || err != nil && (reasonOf(err) != oauth.ReasonStepUp || l.Count("/revoke") != 0 || !strings.Contains(causeOf(err), "are not revoked")) {
			t.Errorf("%s: Redeem error = %v after %d revocations, want success: %t", name, causeOf(err), l.Count("/revoke"), test.good)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLogin(t, func(r *oauth.AuthorizationRequest) { r.MaxAge = 5 * time.Minute })
		claim("auth_time", ago(6*time.Minute))(l)
		if _, err := l.redeem(); err != nil {
			t.Errorf("exactly MaxAge and the skew: Redeem error = %v", err)
		}
	})
	// The ID token of another login is rejected as such, and its tokens are revoked.
	l := newLogin(t, func(r *oauth.AuthorizationRequest) { r.MaxAge = 5 * time.Minute })
	l.Claims = func(claims object) { claims["auth_time"], claims["nonce"] = ago(time.Hour), "x" }
	if _, err := l.redeem(); reasonOf(err) != oauth.ReasonIDToken || l.Count("/revoke") != 1 {
		t.Errorf("Redeem with another nonce, too old: error = %v after %d revocations, want %s after 1", err, l.Count("/revoke"), oauth.ReasonIDToken)
	}
}

// Covers OIDC Core §3.1.2.1 (openid).
func TestRedeemWithoutOpenID(t *testing.T) {
	params := url.Values{"prompt": {"login"}}
	l := newLogin(t, func(r *oauth.AuthorizationRequest) {
		r.Scopes, r.Resources, r.Params = scopes("reports:read"), []string{"https://api.example.com"}, params
	})
	if len(params) != 1 {
		t.Errorf("Params of the caller after Authorize = %v, want only prompt", params)
	}
	if q := l.query(); q.Has("nonce") || q.Get("prompt") != "login" || q.Get("resource") != "https://api.example.com" {
		t.Errorf("Authorize URL = %s", l.transaction.URL)
	}
	if result, err := l.redeem(); err != nil || result.Subject != "" {
		t.Errorf("Redeem = %+v, %v, want no subject", result, err)
	}
}
