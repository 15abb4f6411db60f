// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func machineParams() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}}
}

// Covers RFC 6749 §5.1.
func TestTokenResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		client := s.Client()
		for body, want := range map[string]struct {
			scope   string
			expires time.Duration
			refresh string
		}{
			`{"access_token":"x","token_type":"Bearer"}`:                                        {"a b", time.Hour, ""},
			`{"access_token":"x","token_type":"bEARER","expires_in":60,"scope":"a","more":[1]}`: {"a", time.Minute, ""},
			`{"access_token":"x","token_type":"Bearer","scope":"","refresh_token":"r"}`:         {"", time.Hour, "r"},
			`{"access_token":"x","token_type":"Bearer","expires_in":99999999999999}`:            {"a b", 366 * 24 * time.Hour, ""},
			`{"access_token":"x","token_type":"Bearer","expires_in":0}`:                         {"a b", 0, ""},
		} {
			s.Routes["/token"] = raw(http.StatusOK, body)
			got, err := client.Token(t.Context(), machineParams())
			if err != nil || string(got.Access.Reveal()) != "x" || got.Scopes != scopes(want.scope) ||
				time.Until(got.Expires) != want.expires || string(got.Refresh.Reveal()) != want.refresh {
				t.Errorf("%s: Token = %+v, %v, want %+v", body, got, err, want)
			}
		}
	})
}

// TestTokenResponseRejected: malformed responses return no token, and the error does
// not quote them.
//
// Covers RFC 6749 §7.1.
func TestTokenResponseRejected(t *testing.T) {
	s := providertest.New(t)
	for _, body := range []string{
		``, `null`, `[]`, `"s3cret"`, `{`, `{}`, `access_token=s3cret&token_type=Bearer`, `<html>s3cret</html>`,
		`{"x":"s3cret","token_type":"Bearer"}`, `{"access_token":"s3cret","token_type":"Bearer","refresh_token":""}`,
		`{"access_token":"s3cret","token_type":"Bearer"}` + strings.Repeat(" ", 256<<10),
		`{"access_token":"s3cret"}`, `{"access_token":"","token_type":"Bearer"}`, `{"access_token":1,"token_type":"Bearer"}`,
		`{"access_token":"s3cret","token_type":"DPoP"}`, `{"access_token":"s3cret","token_type":"mac"}`, `{"access_token":"s3cret","token_type":"N_A"}`,
		`{"access_token":"s3cret","token_type":1}`, `{"access_token":"s3cret s3cret","token_type":"Bearer"}`, `{"access_token":"s3cret\n","token_type":"Bearer"}`,
		`{"access_token":"s3crét","token_type":"Bearer"}`, `{"access_token":"\u007f","token_type":"Bearer"}`,
		`{"access_token":"s3cret","access_token":"x","token_type":"Bearer"}`, `{"access_token":"s3cret","ACCESS_TOKEN":"x","token_type":"Bearer"}`,
		`{"access_token":"s3cret","token_type":"Bearer"} ` + `{}`, `{"access_token":"s3cret","token_type":"Bearer","expires_in":"60"}`,
		`{"access_token":"s3cret","token_type":"Bearer","expires_in":-1}`, `{"access_token":"s3cret","token_type":"Bearer","expires_in":1e3}`,
		`{"access_token":"s3cret","token_type":"Bearer","scope":["s3cret"]}`, `{"access_token":"s3cret","token_type":"Bearer","scope":"a  b"}`,
		`{"access_token":"s3cret","token_type":"Bearer","refresh_token":null}`, `{"access_token":"s3cret","token_type":"Bearer","id_token":{}}`,
		`{"access_token":"s3cret","token_type":"Bearer","x":"` + strings.Repeat("s3cret", 50_000) + `"}`,
	} {
		s.Routes["/token"] = raw(http.StatusOK, body)
		before := s.Count("/token")
		got, err := s.Client().Token(t.Context(), machineParams()) // a new client, without a pause
		if !errors.Is(err, oauth.ErrUnavailable) || got.Access.Len() > 0 || s.Count("/token") != before+1 {
			t.Errorf("%.100s: Token = %+v, %v, want %v", body, got, err, oauth.ErrUnavailable)
		}
		if strings.Contains(fmt.Sprint(err), "s3cret") {
			t.Errorf("%.100s: the error quotes the response: %v", body, err)
		}
		for member, want := range map[string]string{`"expires_in"`: "has a malformed expires_in", `"mac"`: "has a token_type other than Bearer"} {
			if strings.Contains(body, member) && !strings.Contains(fmt.Sprint(err), "oauth: the response of the token endpoint "+want) {
				t.Errorf("%.100s: Token error = %v, want %s", body, err, want)
			}
		}
	}
}

// TestTokenErrors: of an error response, only the status, a registered code and
// Retry-After are kept.
//
// Covers RFC 6749 §10.14.
func TestTokenErrors(t *testing.T) {
	s := providertest.New(t)
	for _, test := range []struct {
		status      int
		body, retry string
		code        string
		unavailable bool
		after       time.Duration
	}{
		{400, `{"error":"invalid_grant","error_description":"s3cret"}`, "", "invalid_grant", false, 0},
		{401, `{"error":"invalid_client"}`, "", "invalid_client", false, 0},
		{400, `{"error":"s3cret"}`, "", "", false, 0},
		{400, `s3cret`, "", "", false, 0},
		{400, `{"error":"invalid_grant_s3cret"}`, "", "", false, 0},
		{400, `{"error":"invalid_grant","error":"invalid_client"}`, "", "", false, 0},
		{400, `{"error":"temporarily_unavailable"}`, "", "temporarily_unavailable", true, 0},
		{400, `{"error":"server_error"}`, "", "server_error", true, 0},
		{429, ``, "7", "", true, 7 * time.Second},
		{500, `{"error":"server_error"}`, "", "server_error", true, 0},
		{503, `s3cret`, "2", "", true, 2 * time.Second},
		{503, ``, "-2", "", true, 0},
		{302, ``, "", "", true, 0},
		{204, ``, "", "", true, 0},
	} {
		s.Routes["/token"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.retry)
			w.Header().Set("Location", issuer+"/elsewhere")
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}
		_, err := s.Client().Token(t.Context(), machineParams())
		e, ok := errors.AsType[*oauth.Error](err)
		if !ok || e.Code != test.code || e.Status != test.status || e.Endpoint != "token" || e.RetryAfter != test.after ||
			errors.Is(err, oauth.ErrUnavailable) != test.unavailable {
			t.Errorf("%d %s: Token error = %#v, want code %q", test.status, test.body, err, test.code)
		}
		if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), fmt.Sprint(test.status)) {
			t.Errorf("%d %s: Token error = %v, want the status and no text of the server", test.status, test.body, err)
		}
	}
	if s.Count("/elsewhere") != 0 {
		t.Error("Token followed a redirect")
	}
	// The code of a body that is too large is unknown.
	s.Routes["/token"] = raw(400, `{"error":"invalid_grant"}`+strings.Repeat(" ", 300<<10))
	_, err := s.Client().Token(t.Context(), machineParams())
	if _, ok := errors.AsType[*oauth.Error](err); ok || !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("Token error with a body of 300 KB = %v, want %v without a code", err, oauth.ErrUnavailable)
	}
}

// TestErrorSaysWhatToDo: the text names the endpoint, the code, the status and, for the
// errors that nearly always have one cause, the setting.
func TestErrorSaysWhatToDo(t *testing.T) {
	const par, redirectURI = "pushed authorization request", "; check that the RedirectURI is registered for this client"
	for want, e := range map[string]*oauth.Error{
		"token endpoint returned an error: invalid_client (HTTP status 401); check Config.ClientID, Secret and Auth against the registration": {Endpoint: "token", Code: "invalid_client", Status: 401},
		"token endpoint returned an error: invalid_request (HTTP status 400)":                                                                 {Endpoint: "token", Code: "invalid_request", Status: 400},
		"authorization endpoint returned an error: no registered error code":                                                                  {Endpoint: "authorization"},
		par + " endpoint returned an error: invalid_scope (HTTP status 400)":                                                                  {Endpoint: par, Code: "invalid_scope", Status: 400},
		par + " endpoint returned an error: invalid_request (HTTP status 400)" + redirectURI:                                                  {Endpoint: par, Code: "invalid_request", Status: 400},
		"authorization endpoint returned an error: invalid_redirect_uri" + redirectURI:                                                        {Endpoint: "authorization", Code: "invalid_redirect_uri"},
	} {
		if got := e.Error(); got != "oauth: the "+want {
			t.Errorf("Error() = %q, want oauth: the %q", got, want)
		}
	}
}

// Covers RFC 9700 §2.1.2, §2.4.
func TestTokenGrants(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	for grant, instead := range map[string]string{
		"password": "ClientCredentials", "implicit": "package signin", "authorization_code": "Redeem", "urn:x": "methods", "PASSWORD": "methods", "": "methods",
	} {
		_, err := client.Token(t.Context(), url.Values{"grant_type": {grant}, "username": {"u"}, "password": {"p"}})
		e, ok := errors.AsType[*oauth.GrantError](err)
		if !ok || e.Grant != grant || e.Why == "" || !strings.Contains(e.Instead, instead) || err.Error() != fmt.Sprintf("oauth: grant %q: not supported: %s; %s", grant, e.Why, e.Instead) {
			t.Errorf("Token(%s) error = %v, want a GrantError with %s", grant, err, instead)
		}
	}
	for name, params := range map[string]url.Values{
		"none":      {},
		"twice":     {"grant_type": {"client_credentials", "password"}},
		"client_id": {"grant_type": {"client_credentials"}, "client_id": {"x"}},
		"secret":    {"grant_type": {"client_credentials"}, "client_secret": {"x"}},
		"assertion": {"grant_type": {"client_credentials"}, "client_assertion": {"x"}},
		"scope":     {"grant_type": {"client_credentials"}, "scope": {"a  b"}},
	} {
		if _, err := client.Token(t.Context(), params); err == nil {
			t.Errorf("%s: Token error = nil", name)
		}
	}
	if s.Count("/token") != 0 {
		t.Error("a rejected request was sent")
	}
	for _, requested := range []string{"token", "id_token token", "code token", ""} {
		_, err := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Params: url.Values{"response_type": {"code", requested}}})
		if e, ok := errors.AsType[*oauth.GrantError](err); !ok || e.Grant != requested || !strings.Contains(e.Instead, "package signin") {
			t.Errorf("response_type %q: Authorize error = %v, want a GrantError", requested, err)
		}
	}
}

func TestOAuth2(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	want := oauth.Tokens{Access: secret("a"), Refresh: secret("r"), ID: secret("i"), Scopes: scopes("x y"), Expires: expires}
	token := oauth.ToOAuth2(want)
	if token.AccessToken != "a" || token.RefreshToken != "r" || token.Type() != "Bearer" || !token.Expiry.Equal(expires) || !token.Valid() {
		t.Errorf("ToOAuth2 = %+v", token)
	}
	got := oauth.FromOAuth2(token)
	if !got.Access.Equal(want.Access) || !got.Refresh.Equal(want.Refresh) || !got.ID.Equal(want.ID) || got.Scopes != want.Scopes || !got.Expires.Equal(expires) {
		t.Errorf("FromOAuth2(ToOAuth2(t)) = %+v, want %+v", got, want)
	}
	if none := oauth.FromOAuth2(&oauth2.Token{}); none.Access.Len() != 0 || !none.Expires.IsZero() {
		t.Errorf("FromOAuth2 of an empty token = %+v", none)
	}
	if id := oauth.ToOAuth2(oauth.Tokens{Access: secret("a")}).Extra("id_token"); id != nil {
		t.Errorf("ToOAuth2 without an ID token has the id_token %q", id)
	}
	if !oauth.FromOAuth2(&oauth2.Token{TokenType: "dpop"}).DPoP {
		t.Error("FromOAuth2 of a token of the type dpop: DPoP = false")
	}
	if text, _ := json.Marshal(want); strings.Contains(string(text), `"a"`) {
		t.Errorf("Tokens as JSON = %s, want the tokens redacted", text)
	}
}

// Covers RFC 8693 §2.1, §2.2.1.
func TestExchange(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	full := oauth.ExchangeRequest{
		Subject: secret("s"), SubjectType: oauth.TypeRefreshToken, Actor: secret("a"), ActorType: oauth.TypeIDToken,
		RequestedType: oauth.TypeJWT, Scopes: scopes("r"),
		Resources: []string{"https://one", "https://two"}, Audiences: []string{"three", "four"},
	}
	subject := oauth.ExchangeRequest{Subject: secret("s")}
	grant := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"s"}, "subject_token_type": {oauth.TypeAccessToken}}
	all := url.Values{
		"actor_token": {"a"}, "actor_token_type": {oauth.TypeIDToken}, "requested_token_type": {oauth.TypeJWT}, "scope": {"r"},
		"resource": {"https://one", "https://two"}, "audience": {"three", "four"},
	}
	maps.Copy(all, grant)
	all.Set("subject_token_type", oauth.TypeRefreshToken)
	with := func(name, value string) url.Values {
		form := maps.Clone(grant)
		form.Set(name, value)
		return form
	}
	resource, audience, typed, actor := subject, subject, subject, full
	resource.Resources, audience.Audiences, typed.SubjectType, actor.ActorType = []string{"https://one"}, []string{"one"}, oauth.TypeJWT, ""
	acting := maps.Clone(all)
	acting.Set("actor_token_type", oauth.TypeAccessToken)
	const bearer = `{"access_token":"x","token_type":"Bearer","issued_token_type":"` + oauth.TypeAccessToken + `"}`
	for name, test := range map[string]struct {
		request oauth.ExchangeRequest
		reply   string
		form    url.Values
		good    bool
	}{
		"all parameters": {full, `{"access_token":"x","token_type":"N_A","issued_token_type":"` + oauth.TypeJWT + `"}`, all, true},
		"default actor":  {actor, `{"access_token":"x","token_type":"N_A","issued_token_type":"` + oauth.TypeJWT + `"}`, acting, true},
		"subject only":   {subject, bearer, grant, true},
		"resource":       {resource, bearer, with("resource", "https://one"), true},
		"audience":       {audience, bearer, with("audience", "one"), true},
		"subject type":   {typed, bearer, with("subject_token_type", oauth.TypeJWT), true},
		"another type":   {full, `{"access_token":"x","token_type":"N_A","issued_token_type":"` + oauth.TypeIDToken + `"}`, all, false},
		"a longer type":  {full, `{"access_token":"x","token_type":"N_A","issued_token_type":"` + oauth.TypeJWT + `2"}`, all, false},
		"no type":        {subject, `{"access_token":"x","token_type":"Bearer"}`, grant, false},
		"DPoP":           {subject, `{"access_token":"x","token_type":"DPoP","issued_token_type":"` + oauth.TypeAccessToken + `"}`, grant, false},
		"rejected":       {subject, "", grant, false},
		"no subject":     {oauth.ExchangeRequest{}, "", nil, false},
	} {
		s.Routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
			if _ = r.ParseForm(); r.PostForm.Encode() != test.form.Encode() {
				t.Errorf("%s: form %v, want %v", name, r.PostForm, test.form)
			}
			if test.reply == "" {
				raw(400, `{"error":"invalid_target"}`)(w, r)
				return
			}
			raw(200, test.reply)(w, r)
		}
		revoked := ""
		s.Routes["/revoke"] = func(_ http.ResponseWriter, r *http.Request) {
			revoked = r.PostFormValue("token") + " " + r.PostFormValue("token_type_hint")
		}
		got, err := client.Exchange(t.Context(), test.request)
		if (err == nil) != test.good || test.good && (reveal(got.Access) != "x" || got.Type == "" || got.Scopes != test.request.Scopes) {
			t.Errorf("%s: Exchange = %+v, %v, want success: %t", name, got, err, test.good)
		}
		want := map[bool]string{true: "x access_token"}[!test.good && test.reply != ""]
		if revoked != want {
			t.Errorf("%s: revoked %q, want %q", name, revoked, want)
		}
		if e, _ := errors.AsType[*oauth.Error](err); name == "rejected" && (e == nil || e.Code != "invalid_target") {
			t.Errorf("%s: Exchange error = %v, want invalid_target", name, err)
		}
	}
}
