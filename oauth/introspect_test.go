// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// TestIntrospect: each call asks the authorization server, and a response without
// active is neither yes nor no.
//
// Covers RFC 7662 §2.2 (active, inactive, members), §2.3, §4 (cache, audience); ASVS 5.0 §10.3.1.
func TestIntrospect(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	const full = `{"active":true,"scope":"a b","client_id":"c","sub":"s","iss":"i","aud":["x","y"],"exp":253402300799,"iat":1,"token_type":"Bearer","x":{"y":1}}`
	for _, test := range []struct {
		status int
		active bool
		aud    string // for which For is true
		err    bool
		bodies []string
	}{
		{200, true, "y", false, []string{full}},
		{200, true, "z", false, []string{`{"active":true,"aud":"z"}`}},
		{200, true, "", false, []string{`{"active":true}`}},
		{200, false, "", false, []string{`{"active":false,"sub":"s","aud":"z"}`, `{"active":true,"exp":0}`, fmt.Sprintf(`{"active":true,"sub":"s","exp":%d,"aud":"z"}`, time.Now().Unix()-60)}},
		{200, false, "", true, []string{
			``, `{}`, `{"sub":"s"}`, `{"active":"true"}`, `{"active":1}`, `{"active":null}`, `{"ACTIVE":true}`, `{"active":true,"active":true}`,
			`{"active":true,"exp":"1"}`, `{"active":true,"exp":-1}`, `{"active":true,"exp":253402300800}`, `{"active":true,"aud":1}`, `{"active":true,"aud":[1]}`,
			`{"active":true,"scope":1}`, `{"active":true,"scope":" "}`, `{"active":true,"sub":1}`, `{"active":true,"client_id":[]}`, `{"active":true,"iss":0}`,
			`{"active":true,"iat":1.5}`, `{"active":true,"token_type":{}}`,
		}},
		{400, false, "", true, []string{`{"active":true}`}},
		{401, false, "", true, []string{`{"active":true}`}},
		{403, false, "", true, []string{`{"active":true}`}},
		{404, false, "", true, []string{`{"active":true}`}},
		{500, false, "", true, []string{`{"active":true}`}},
		{503, false, "", true, []string{`{"active":true}`}},
	} {
		for _, body := range test.bodies {
			s.Routes["/introspect"] = raw(test.status, body)
			before := s.Count("/introspect")
			got, err := client.Introspect(t.Context(), secret("x"), oauth.AccessToken)
			if (err != nil) != test.err || got.Active != test.active || test.status == 200 && test.err && !errors.Is(err, oauth.ErrUnavailable) || s.Count("/introspect") != before+1 {
				t.Errorf("%d %s: Introspect = %+v, %v, want active: %t, error: %t", test.status, body, got, err, test.active, test.err)
			}
			if test.status == 200 && test.err && !strings.HasPrefix(err.Error(), "oauth: the response of the introspection endpoint ") {
				t.Errorf("%s: Introspect error = %v, want it to name the endpoint", body, err)
			}
			for _, aud := range []string{"", "y", "yz", "z", "other"} {
				if got.For(aud) != (aud == test.aud && aud != "") {
					t.Errorf("%s: For(%q) = %t", body, aud, got.For(aud))
				}
			}
			switch {
			case body == full && (got.Scopes != scopes("a b") || got.Client != "c" || got.Subject != "s" || got.Issuer != "i" || got.Type != "Bearer" ||
				got.Expires.Unix() != 253402300799 || got.Issued.Unix() != 1 || !strings.Contains(got.Claims.String(), `"y":1`)):
				t.Errorf("Introspect = %+v, want all members of %s", got, body)
			case !got.Active && (got.Subject != "" || got.Claims.String() != "{}"):
				t.Errorf("%s: Introspect = %+v, want all fields zero", body, got)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		for exp, active := range map[int64]bool{0: false, 1: true} {
			s.Routes["/introspect"] = raw(200, fmt.Sprintf(`{"active":true,"exp":%d}`, time.Now().Unix()+exp))
			if got, err := s.Client().Introspect(t.Context(), secret("x"), ""); err != nil || got.Active != active {
				t.Errorf("exp in %d s: Introspect = %+v, %v, want active: %t", exp, got, err, active)
			}
		}
	})
	s.Routes["/introspect"] = raw(200, `{"active":true,"exp":"1"}`)
	if _, err := s.Client().Introspect(t.Context(), secret("x"), ""); !strings.Contains(fmt.Sprint(err), "has a malformed exp") { // a new client, without a pause
		t.Errorf("Introspect error = %v, want it to name exp", err)
	}
	if (oauth.Introspection{Audience: []string{"z"}}).For("z") {
		t.Error("For = true for an inactive token")
	}
}

// TestRevoke: the status is the whole response, RFC 7009 section 2.2, and each call
// is one request.
//
// Covers RFC 7009 §2.1 (client), §2.2 (client), §2.2.1 (503, unsupported).
func TestRevoke(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	for _, test := range []struct {
		status int
		body   string
		want   oauth.Error // zero for success
		down   bool
	}{
		{200, "", oauth.Error{}, false},
		{200, "<html>", oauth.Error{}, false},
		{200, `{"error":"invalid_request"}`, oauth.Error{}, false},
		{400, `{"error":"unsupported_token_type"}`, oauth.Error{Endpoint: "revocation", Code: "unsupported_token_type", Status: 400}, false},
		{503, "", oauth.Error{Endpoint: "revocation", Status: 503, RetryAfter: 3 * time.Second}, true},
	} {
		s.Routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) {
			if r.PostFormValue("token") != "x" || r.PostFormValue("token_type_hint") != "refresh_token" || r.Header.Get("Authorization") == "" {
				t.Errorf("revocation request %v %v", r.Header, r.PostForm)
			}
			if test.down {
				w.Header().Set("Retry-After", "3")
			}
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}
		before := s.Count("/revoke")
		err := client.Revoke(t.Context(), secret("x"), oauth.RefreshToken)
		e, ok := errors.AsType[*oauth.Error](err)
		if ok && *e != test.want || !ok && (err != nil || test.want != oauth.Error{}) || errors.Is(err, oauth.ErrUnavailable) != test.down || s.Count("/revoke") != before+1 {
			t.Errorf("%d %s: Revoke error = %#v after %d requests, want %#v after 1", test.status, test.body, err, s.Count("/revoke")-before, test.want)
		}
	}
}

func TestNotOffered(t *testing.T) {
	s := providertest.New(t)
	for _, name := range []string{"revocation_endpoint", "introspection_endpoint", "end_session_endpoint", "authorization_endpoint"} {
		delete(s.Metadata, name)
	}
	for _, want := range []error{oauth.ErrNotOffered, oauth.ErrUnavailable} {
		client := s.Client()
		_, err1 := client.Introspect(t.Context(), secret("x"), "")
		_, err2 := client.EndSessionURL(t.Context(), oauth.Tokens{}, "")
		_, err3 := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect})
		_, err4 := client.Userinfo(t.Context(), secret("x"), "alice")
		for n, err := range []error{client.Revoke(t.Context(), secret("x"), ""), err1, err2, err3, err4} {
			endpoint := []string{"revocation", "introspection", "end session", "authorization", "userinfo"}[n]
			if !errors.Is(err, want) || want == oauth.ErrNotOffered && !strings.HasPrefix(err.Error(), "oauth: "+endpoint+" endpoint: ") {
				t.Errorf("call %d: error = %v, want %v of the %s endpoint", n, err, want, endpoint)
			}
		}
		s.Routes[wellKnown] = down // for the second round
	}
	if _, err := providertest.New(t).Client().Userinfo(t.Context(), secret("x"), "alice"); !errors.Is(err, oauth.ErrNotOffered) {
		t.Errorf("Userinfo error = %v, want %v", err, oauth.ErrNotOffered)
	}
	if _, err := s.Client().Exchange(t.Context(), oauth.ExchangeRequest{Subject: secret("s")}); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("Exchange error = %v, want %v", err, oauth.ErrUnavailable)
	}
}

func TestUserinfo(t *testing.T) {
	s := providertest.New(t)
	s.Metadata["userinfo_endpoint"] = issuer + "/userinfo"
	client := s.Client()
	now := time.Now().Unix()
	signed := func(changes object) string {
		claims := object{"iss": issuer, "aud": clientID, "sub": "alice", "iat": now, "exp": now + 60}
		maps.Copy(claims, changes)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		return providertest.Sign("JWT", claims)
	}
	payload := func(jwt string) string {
		return string(must(base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[1])))
	}
	alice := signed(nil)
	causes := map[string]string{
		"HTML": "is of neither type", "a JWT": "is not a JSON object", "signed, forged": "signature", "another subject": "is about another subject",
	}
	undated, noExpiry := payload(signed(object{"iat": nil, "exp": nil})), payload(signed(object{"exp": nil}))
	for name, test := range map[string]struct {
		subject string
		status  int
		body    string
		want    string // "" for an error
		down    bool
	}{
		"signed":                    {"alice", 200, alice, payload(alice), false},
		"signed, without times":     {"alice", 200, signed(object{"iat": nil, "exp": nil}), undated, false}, // Covers OIDC Core §5.3.2 (signed).
		"signed, without exp":       {"alice", 200, signed(object{"exp": nil}), noExpiry, false},
		"signed, in the future":     {"alice", 200, signed(object{"iat": now + 600, "exp": nil}), "", true},
		"signed, without iss":       {"alice", 200, signed(object{"iss": nil}), "", true}, // Covers OIDC Core §5.3.2 (signed).
		"signed, without aud":       {"alice", 200, signed(object{"aud": nil}), "", true}, // Covers OIDC Core §5.3.2 (signed).
		"signed, another subject":   {"alice", 200, signed(object{"sub": "eve"}), "", true},
		"signed, for another":       {"alice", 200, signed(object{"aud": "other"}), "", true},
		"signed, by another issuer": {"alice", 200, signed(object{"iss": "https://evil.example"}), "", true},
		"signed, expired":           {"alice", 200, signed(object{"iat": now - 900, "exp": now - 600}), "", true},
		"signed, forged":            {"alice", 200, forged(), "", true},
		"claims":                    {"alice", 200, `{"sub":"alice","name":"Alice"}`, `{"sub":"alice","name":"Alice"}`, false},
		"another subject":           {"alice", 200, `{"sub":"eve"}`, "", true}, // Covers OIDC Core §5.3.2.
		"no subject":                {"", 200, `{}`, "", true},                 // Covers OIDC Core §5.3.2.
		"sub a number":              {"1", 200, `{"sub":1}`, "", true},
		"sub twice":                 {"alice", 200, `{"sub":"eve","sub":"alice"}`, "", true},
		"a JWT":                     {"alice", 200, `a.b.c`, "", true},
		"rejected":                  {"alice", 401, `{"error":"invalid_token"}`, "", false},
		"redirect":                  {"alice", 302, ``, "", true},
		"HTML":                      {"alice", 200, `{"sub":"alice"}`, "", true}, // Covers OIDC Core §5.3.2 (type).
		"no type":                   {"alice", 200, `{"sub":"alice"}`, "", true},
	} {
		s.Routes["/userinfo"] = func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer access" || r.Header.Get("Accept") != "application/json" {
				t.Errorf("userinfo request %s %v", r.Method, r.Header)
			}
			w.Header().Set("Location", issuer+"/elsewhere")
			kind := "application/json; charset=utf-8"
			switch {
			case name == "HTML":
				kind = "text/html"
			case name == "no type":
				kind = ""
			case strings.HasPrefix(name, "signed"):
				kind = "application/jwt"
			}
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}
		got, err := client.Userinfo(t.Context(), secret("access"), test.subject)
		if (err == nil) != (test.want != "") || err == nil && got.String() != test.want || errors.Is(err, oauth.ErrUnavailable) != test.down {
			t.Errorf("%s: Userinfo = %s, %v, want %q, unavailable: %t", name, got, err, test.want, test.down)
		}
		if !strings.Contains(fmt.Sprint(err), causes[name]) {
			t.Errorf("%s: Userinfo error = %v, want %s", name, err, causes[name])
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Userinfo(canceled, secret("access"), "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("Userinfo, canceled: error = %v, want %v", err, context.Canceled)
	}
	if s.Count("/elsewhere") != 0 {
		t.Error("Userinfo followed a redirect")
	}
}
