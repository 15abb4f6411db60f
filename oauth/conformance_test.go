// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// This file holds the requirements of docs/conformance.md that no other test
// shows.

// TestEndpointsAreHTTPS: metadata with one address in the clear are not used.
func TestEndpointsAreHTTPS(t *testing.T) {
	for _, name := range []string{
		"token_endpoint", "authorization_endpoint", "pushed_authorization_request_endpoint", "revocation_endpoint",
		"introspection_endpoint", "userinfo_endpoint", "end_session_endpoint", "jwks_uri",
	} {
		s := newServer(t)
		s.metadata[name] = "https://as.example.com/x"
		if _, err := newClient(t, s.config()).Provider(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.metadata[name] = "http://as.example.com/x"
		if p, err := newClient(t, s.config()).Provider(t.Context()); !errors.Is(err, oauth.ErrUnavailable) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestMetadataStatus: only a 200 brings metadata.
func TestMetadataStatus(t *testing.T) {
	for status, good := range map[int]bool{200: true, 201: false, 203: false, 206: false} {
		s := newServer(t)
		s.routes[wellKnown] = func(w http.ResponseWriter, _ *http.Request) { answer(w, status, s.metadata) }
		if _, err := newClient(t, s.config()).Provider(t.Context()); (err == nil) != good {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestMetadataStrings: strings are compared by their code points once the escapes
// of JSON are off, and without any normalization.
func TestMetadataStrings(t *testing.T) {
	for written, good := range map[string]bool{
		`https:\/\/as.example.com`:      true,
		`\u0068ttps://as.example.com`:   true,
		`HTTPS://as.example.com`:        false,
		`https://as.example.com:443`:    false,
		`https://as.example.com/`:       false,
		`https://as.example.com\u0000`:  false,
		`https://as.e\u0301xample.com`:  false,
		`https://as.example.com\ud800`:  false,
		`https%3a//as.example.com`:      false,
		` https://as.example.com`:       false,
		`https://as.example.com#`:       false,
		`https://as.example.com?tenant`: false,
	} {
		s := newServer(t)
		s.routes[wellKnown] = raw(200, `{"issuer":"`+written+`","token_endpoint":"https://as.example.com/token","more":{"x":[1]},"signed_metadata":"x"}`)
		if _, err := newClient(t, s.config()).Provider(t.Context()); (err == nil) != good {
			t.Errorf("%s: %v", written, err)
		}
	}
}

// TestSecretsStayInBodies: what is secret goes out by POST and in the body or in
// a header, never in an address.
func TestSecretsStayInBodies(t *testing.T) {
	s := newServer(t)
	s.metadata["pushed_authorization_request_endpoint"] = issuer + "/par"
	seen := 0
	look := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			seen++
			if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
			}
			next(w, r)
		}
	}
	s.routes["/par"] = look(raw(201, `{"request_uri":"urn:x","expires_in":60}`))
	s.routes["/revoke"] = look(raw(200, ""))
	s.routes["/introspect"] = look(raw(200, `{"active":false}`))
	s.routes["/token"] = look(raw(200, `{"access_token":"x","token_type":"Bearer"}`))
	for _, change := range []func(*oauth.Config){
		func(*oauth.Config) {},
		func(c *oauth.Config) { c.Auth = oauth.SecretPost },
		func(c *oauth.Config) { c.Auth, c.Secret, c.Keys = oauth.PrivateKeyJWT, secret(""), ring() },
	} {
		c := s.config()
		change(&c)
		client := newClient(t, c)
		seen = 0
		transaction, err1 := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect})
		_, err2 := client.Refresh(t.Context(), oauth.Tokens{Refresh: secret("r")})
		err3 := client.Revoke(t.Context(), secret("r"), oauth.RefreshToken)
		_, err4 := client.Introspect(t.Context(), secret("a"), oauth.AccessToken)
		if err := errors.Join(err1, err2, err3, err4); err != nil || seen != 4 {
			t.Fatalf("%s: %d requests, %v", c.Auth, seen, err)
		}
		for _, name := range []string{"client_secret", "client_assertion", "code_verifier"} {
			if strings.Contains(transaction.URL, name) {
				t.Errorf("%s: sent to %s", c.Auth, transaction.URL)
			}
		}
	}
}

// TestRevocationAnswers: the status says all, and one that says nothing leaves
// the token as it was.
func TestRevocationAnswers(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	for _, body := range []string{"", "<html>", `{"error":"invalid_request"}`, strings.Repeat("x", 1000)} {
		s.routes["/revoke"] = raw(200, body)
		if err := client.Revoke(t.Context(), secret("x"), ""); err != nil {
			t.Errorf("%.20q: %v", body, err)
		}
	}
	s.routes["/revoke"] = raw(400, `{"error":"unsupported_token_type"}`)
	err := client.Revoke(t.Context(), secret("x"), oauth.AccessToken)
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != "unsupported_token_type" || errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("unsupported: %v", err)
	}
	asked := s.count("/revoke")
	s.routes["/revoke"] = raw(503, "")
	for range 2 {
		if err := client.Revoke(t.Context(), secret("x"), ""); !errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("503: %v", err)
		}
	}
	if got := s.count("/revoke") - asked; got != 2 {
		t.Errorf("asked %d times for two calls", got)
	}
}

// TestIntrospectionIsNotKept: each call asks, so that a token that was withdrawn
// is not taken for a good one.
func TestIntrospectionIsNotKept(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	for n, active := range []bool{true, false, true} {
		s.routes["/introspect"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, object{"active": active, "aud": "api"}) }
		if got, err := client.Introspect(t.Context(), secret("x"), ""); err != nil || got.Active != active || got.For("api") != active || s.count("/introspect") != n+1 {
			t.Errorf("%d: %+v, %v after %d requests", n, got, err, s.count("/introspect"))
		}
	}
}

// TestRequestURIOnce: every login pushes a request of its own.
func TestRequestURIOnce(t *testing.T) {
	s := newServer(t)
	s.metadata["pushed_authorization_request_endpoint"] = issuer + "/par"
	var pushed []url.Values
	s.routes["/par"] = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		pushed = append(pushed, r.PostForm)
		answer(w, http.StatusCreated, object{"request_uri": "urn:x:" + r.PostForm.Get("state"), "expires_in": 60})
	}
	client := newClient(t, s.config())
	for n := range 2 {
		transaction, err := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")})
		if err != nil {
			t.Fatal(err)
		}
		if q := must(url.Parse(transaction.URL)).Query(); q.Get("request_uri") != "urn:x:"+pushed[n].Get("state") || pushed[n].Has("request_uri") {
			t.Errorf("sent to %s, pushed %v", transaction.URL, pushed[n])
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if pushed[0].Get(name) == pushed[1].Get(name) {
			t.Errorf("%s is used again", name)
		}
	}
}

// TestIssuerNotAnnounced: a server that does not say that it sends iss may leave
// it out, and may not send another one.
func TestIssuerNotAnnounced(t *testing.T) {
	for name, test := range map[string]struct {
		iss  []string
		good bool
	}{
		"left out": {nil, true}, "its own": {[]string{issuer}, true}, "another": {[]string{"https://evil.example"}, false}, "empty": {[]string{""}, false},
		"in capitals": {[]string{strings.ToUpper(issuer)}, false}, "escaped twice": {[]string{url.QueryEscape(issuer)}, false}, "twice": {[]string{issuer, issuer}, false},
	} {
		a := newApp(t)
		delete(a.metadata, "authorization_response_iss_parameter_supported")
		params := a.authorize(a.start("/login"))
		if params["iss"] = test.iss; test.iss == nil {
			params.Del("iss")
		}
		_, err := a.callback(params)
		if (err == nil) != test.good || err != nil && (reasonOf(err) != gatehouse.ReasonLoginIssuer || a.count("/token") != 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingBeforeTheNonce: as long as a login is not known to be good, none of
// its tokens comes out.
func TestNothingBeforeTheNonce(t *testing.T) {
	for name, change := range map[string]func(*app, url.Values){
		"nonce of another login": claim("nonce", "x"),
		"ID token of another":    claim("aud", "other"),
		"no ID token":            func(a *app, _ url.Values) { a.reply = object{"id_token": nil} },
		"keys cannot be had":     func(a *app, _ url.Values) { a.break503("/jwks") },
	} {
		a := newApp(t)
		params := a.authorize(a.start("/login"))
		change(a, params)
		if result, err := a.callback(params); err == nil || !reflect.ValueOf(result).IsZero() || a.count("/token") != 1 {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
		client := newClient(t, a.config())
		transaction := must(client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")}))
		if result, err := client.Redeem(t.Context(), transaction, a.authorize(transaction.URL)); err == nil || !reflect.ValueOf(result).IsZero() {
			t.Errorf("%s, without a browser: %+v, %v", name, result, err)
		}
	}
}

// TestVerifierIsNeverShown: the verifier is of its login alone, goes to the token
// endpoint alone, and after a failure there is no attempt with less.
func TestVerifierIsNeverShown(t *testing.T) {
	a := newApp(t)
	var verifiers []string
	a.routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
		verifiers = append(verifiers, r.PostFormValue("code_verifier"))
		answer(w, 400, object{"error": "invalid_grant"})
	}
	for n := range 2 {
		sent := a.start("/login")
		if _, err := a.callback(a.authorize(sent)); reasonOf(err) != gatehouse.ReasonLoginCode || len(verifiers) != n+1 {
			t.Fatalf("%v, %d codes were sent", err, len(verifiers))
		}
		if strings.Contains(sent, verifiers[n]) || !strings.Contains(sent, "code_challenge_method=S256") || len(verifiers[n]) != 43 {
			t.Errorf("sent to %s with the verifier %s", sent, verifiers[n])
		}
	}
	if verifiers[0] == verifiers[1] {
		t.Error("a verifier is used again")
	}
	// The authorization endpoint refuses the challenge: the login is over.
	params := url.Values{"error": {"invalid_request"}, "state": {must(url.Parse(a.start("/login"))).Query().Get("state")}, "iss": {issuer}}
	if _, err := a.callback(params); reasonOf(err) != gatehouse.ReasonLoginRefused || len(verifiers) != 2 {
		t.Errorf("%v, %d codes were sent", err, len(verifiers))
	}
}

// TestUnknownParameters: what a server says beside, in a callback and in an
// answer, is left alone.
func TestUnknownParameters(t *testing.T) {
	a := newApp(t)
	a.reply = object{"session_state": "x", "not_before_policy": 0, "x": object{"y": []int{1}}}
	params := a.authorize(a.start("/login"))
	params.Set("session_state", "x")
	params.Add("x", "1")
	params.Add("x", "2")
	if result, err := a.callback(params); err != nil || result.Subject != "alice" {
		t.Errorf("%+v, %v", result, err)
	}
}

// token signs claims by hand, for algorithms that no signer here has.
func token(header, claims object, key string) string {
	part := func(o object) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(o))) }
	text := part(header) + "." + part(claims)
	if key == "" {
		return text + "."
	}
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(mac, text)
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestIDTokens: OpenID Connect Core 1.0 section 3.1.3.7, as far as
// TestCallbackRefuses does not show it.
func TestIDTokens(t *testing.T) {
	set := func(pairs ...any) func(object) {
		return func(claims object) {
			for n := 0; n < len(pairs); n += 2 {
				claims[pairs[n].(string)] = pairs[n+1]
			}
		}
	}
	for name, test := range map[string]struct {
		change func(object)
		typ    string
		good   bool
	}{
		"as it is":                       {set(), "JWT", true},
		"without a type":                 {set(), "", true},
		"an access token":                {set(), "at+jwt", false},
		"audience in a list":             {set("aud", []string{clientID}), "JWT", true},
		"issued to us, others too":       {set("aud", []string{"other", clientID}, "azp", clientID), "JWT", true},
		"issued to another, us too":      {set("aud", []string{"other", clientID}, "azp", "other"), "JWT", false},
		"for others, azp is us":          {set("aud", []string{"other"}, "azp", clientID), "JWT", false},
		"azp a number":                   {set("azp", 1), "JWT", false},
		"no aud":                         {set("aud", nil), "JWT", false},
		"no exp":                         {set("exp", nil), "JWT", false},
		"no iat":                         {set("iat", nil), "JWT", false},
		"from the future":                {set("iat", time.Now().Add(time.Hour).Unix(), "exp", time.Now().Add(2*time.Hour).Unix()), "JWT", false},
		"sub a number":                   {set("sub", 1), "JWT", false},
		"sub empty":                      {set("sub", ""), "JWT", false},
		"iss of the issuer with a slash": {set("iss", issuer+"/"), "JWT", false},
	} {
		a := newApp(t)
		a.idt, a.typ = test.change, test.typ
		if result, err := a.callback(a.authorize(a.start("/login"))); (err == nil) != test.good || err != nil && reasonOf(err) != gatehouse.ReasonLoginToken {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
	for name, test := range map[string]struct {
		header object
		key    string
	}{
		"unsigned":                   {object{"alg": "none"}, ""},
		"unsigned, called ES256":     {object{"alg": "ES256", "kid": "k1"}, ""},
		"signed with the secret":     {object{"alg": "HS256"}, password},
		"signed with the public key": {object{"alg": "HS256", "kid": "k1"}, "x"},
		"by a key in the header":     {object{"alg": "ES256", "jwk": object{"kty": "EC"}}, "x"},
	} {
		a := newApp(t)
		sent := a.start("/login")
		now := time.Now().Unix()
		a.reply = object{"id_token": token(test.header, object{
			"iss": issuer, "aud": clientID, "sub": "alice", "nonce": must(url.Parse(sent)).Query().Get("nonce"), "iat": now, "exp": now + 300,
		}, test.key)}
		if result, err := a.callback(a.authorize(sent)); reasonOf(err) != gatehouse.ReasonLoginToken {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
}

// TestRefreshedIDToken: OpenID Connect Core 1.0 section 12.2.
func TestRefreshedIDToken(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	first := oauth.Tokens{Refresh: secret("refresh-1"), ID: secret(s.idToken("n"))}
	for name, test := range map[string]struct {
		claim string
		value any
		good  bool
	}{
		"the same nonce": {"nonce", "n", true}, "no nonce": {"nonce", nil, true}, "another nonce": {"nonce", "m", false}, "another sub": {"sub", "eve", false},
		"another iss": {"iss", "https://evil.example", false}, "another aud": {"aud", "other", false}, "no sub": {"sub", nil, false},
	} {
		s.idt = func(claims object) { claims[test.claim] = test.value }
		s.reply = object{"id_token": s.idToken("n")}
		if got, err := client.Refresh(t.Context(), first); (err == nil) != test.good || err != nil && !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// What was renewed without a nonce is renewed on.
	s.idt = func(claims object) { claims["nonce"] = nil }
	first.ID = secret(s.idToken(""))
	s.idt = func(object) {}
	s.reply = object{"id_token": s.idToken("n")}
	if _, err := client.Refresh(t.Context(), first); err != nil {
		t.Error(err)
	}
}

// TestLogoutTokens: OpenID Connect Back-Channel Logout 1.0 section 2.6, as far as
// TestLogout does not show it.
func TestLogoutTokens(t *testing.T) {
	client := newClient(t, newServer(t).config())
	const event = "http://schemas.openid.net/event/backchannel-logout"
	now := time.Now().Unix()
	claims := func(change object) object {
		all := object{"iss": issuer, "aud": clientID, "sub": "alice", "iat": now, "exp": now + 60, "jti": "1", "events": object{event: object{}}}
		for name, value := range change {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return all
	}
	sign := func(change object) string {
		return string(must(ring().SignJWT("logout+jwt", claims(change))).Reveal())
	}
	for name, test := range map[string]struct {
		token string
		good  bool
	}{
		"as it is":               {sign(nil), true},
		"more events":            {sign(object{"events": object{event: object{}, "x": 1}}), true},
		"the event says more":    {sign(object{"events": object{event: object{"x": 1}}}), true},
		"the event a text":       {sign(object{"events": object{event: "x"}}), false},
		"the event null":         {sign(object{"events": object{event: nil}}), false},
		"the event a list":       {sign(object{"events": object{event: []string{}}}), false},
		"events a list":          {sign(object{"events": []string{event}}), false},
		"another issuer":         {sign(object{"iss": "https://evil.example"}), false},
		"no iat":                 {sign(object{"iat": nil}), false},
		"no exp":                 {sign(object{"exp": nil}), false},
		"no aud":                 {sign(object{"aud": nil}), false},
		"unsigned":               {token(object{"alg": "none", "typ": "logout+jwt"}, claims(nil), ""), false},
		"signed with the secret": {token(object{"alg": "HS256", "typ": "logout+jwt"}, claims(nil), password), false},
	} {
		if got, err := client.LogoutToken(t.Context(), test.token); (err == nil) != test.good || test.good && got.Subject != "alice" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
