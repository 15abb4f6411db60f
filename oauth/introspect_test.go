// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func TestIntrospect(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	ask := func(status int, body string) (oauth.Introspection, error) {
		s.Routes["/introspect"] = raw(status, body)
		return client.Introspect(t.Context(), secret("x"), oauth.AccessToken)
	}
	got, err := ask(200, `{"active":true,"scope":"a b","client_id":"c","sub":"s","iss":"i","aud":["x","y"],"exp":99999999999,"iat":1,"token_type":"Bearer","x":{"y":1}}`)
	if err != nil || !got.Active || got.Scopes != scopes("a b") || got.Client != "c" || got.Subject != "s" || got.Issuer != "i" || got.Type != "Bearer" ||
		!got.For("y") || got.For("z") || got.Expires.Unix() != 99999999999 || got.Issued.Unix() != 1 || !strings.Contains(got.Claims.String(), `"y":1`) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := ask(200, `{"active":true,"aud":"z"}`); err != nil || !got.For("z") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := ask(200, `{"active":true}`); err != nil || got.For("") {
		t.Errorf("%+v, %v", got, err)
	}
	for _, body := range []string{`{"active":false,"sub":"s","aud":"z"}`, `{"active":true,"sub":"s","exp":1,"aud":"z"}`} {
		if got, err := ask(200, body); err != nil || got.Active || got.Subject != "" || got.For("z") || got.Claims.String() != "{}" {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{
		``, `{}`, `{"sub":"s"}`, `{"active":"true"}`, `{"active":1}`, `{"active":null}`, `{"ACTIVE":true}`, `{"active":true,"active":true}`,
		`{"active":true,"exp":"1"}`, `{"active":true,"exp":-1}`, `{"active":true,"aud":1}`, `{"active":true,"aud":[1]}`, `{"active":true,"scope":1}`, `{"active":true,"scope":" "}`,
		`{"active":true,"sub":1}`, `{"active":true,"client_id":[]}`, `{"active":true,"iss":0}`, `{"active":true,"iat":1.5}`, `{"active":true,"token_type":{}}`,
	} {
		if got, err := ask(200, body); !errors.Is(err, oauth.ErrUnavailable) || got.Active {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	if (oauth.Introspection{Audience: []string{"z"}}).For("z") {
		t.Error("what is not active is for somebody")
	}
	for _, status := range []int{400, 401, 403, 404, 500, 503} {
		if got, err := ask(status, `{"active":true}`); err == nil || got.Active {
			t.Errorf("%d: %+v", status, got)
		}
	}
}

func TestRevoke(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	s.Routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("token") != "x" || r.PostFormValue("token_type_hint") != "refresh_token" || r.Header.Get("Authorization") == "" {
			t.Errorf("asked for %v", r.PostForm)
		}
	}
	if err := client.Revoke(t.Context(), secret("x"), oauth.RefreshToken); err != nil {
		t.Error(err)
	}
	s.Routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	err := client.Revoke(t.Context(), secret("x"), "")
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.RetryAfter != 3*time.Second || !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("503: %v", err)
	}
	delete(s.Metadata, "revocation_endpoint")
	delete(s.Metadata, "introspection_endpoint")
	delete(s.Metadata, "end_session_endpoint")
	delete(s.Metadata, "authorization_endpoint")
	client = s.Client()
	_, err1 := client.Introspect(t.Context(), secret("x"), "")
	_, err2 := client.EndSessionURL(t.Context(), oauth.Tokens{}, "")
	_, err3 := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect})
	for _, err := range []error{client.Revoke(t.Context(), secret("x"), ""), err1, err2, err3} {
		if !errors.Is(err, oauth.ErrNotOffered) {
			t.Errorf("not offered: %v", err)
		}
	}
}

// TestRevocationAnswers: the status says all, and one that says nothing leaves
// the token as it was.
func TestRevocationAnswers(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	for _, body := range []string{"", "<html>", `{"error":"invalid_request"}`, strings.Repeat("x", 1000)} {
		s.Routes["/revoke"] = raw(200, body)
		if err := client.Revoke(t.Context(), secret("x"), ""); err != nil {
			t.Errorf("%.20q: %v", body, err)
		}
	}
	s.Routes["/revoke"] = raw(400, `{"error":"unsupported_token_type"}`)
	err := client.Revoke(t.Context(), secret("x"), oauth.AccessToken)
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != "unsupported_token_type" || errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("unsupported: %v", err)
	}
	asked := s.Count("/revoke")
	s.Routes["/revoke"] = raw(503, "")
	for range 2 {
		if err := client.Revoke(t.Context(), secret("x"), ""); !errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("503: %v", err)
		}
	}
	if got := s.Count("/revoke") - asked; got != 2 {
		t.Errorf("asked %d times for two calls", got)
	}
}

// TestIntrospectionIsNotKept: each call asks, so that a token that was withdrawn
// is not taken for a good one.
func TestIntrospectionIsNotKept(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	for n, active := range []bool{true, false, true} {
		s.Routes["/introspect"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, object{"active": active, "aud": "api"}) }
		if got, err := client.Introspect(t.Context(), secret("x"), ""); err != nil || got.Active != active || got.For("api") != active || s.Count("/introspect") != n+1 {
			t.Errorf("%d: %+v, %v after %d requests", n, got, err, s.Count("/introspect"))
		}
	}
}
