// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// raw makes a route that answers with text.
func raw(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

func machineParams() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}}
}

func TestTokenResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		client := newClient(t, s.config())
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
			s.routes["/token"] = raw(http.StatusOK, body)
			got, err := client.Token(t.Context(), machineParams())
			if err != nil || string(got.Access.Reveal()) != "x" || got.Scopes != scopes(want.scope) ||
				time.Until(got.Expires) != want.expires || string(got.Refresh.Reveal()) != want.refresh {
				t.Errorf("%s: %+v, %v", body, got, err)
			}
		}
	})
}

// TestTokenResponseRefused: what is not a token response brings no token, and
// nothing of it is in the error.
func TestTokenResponseRefused(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	for _, body := range []string{
		``, `null`, `[]`, `"s3cret"`, `{`, `{}`, `access_token=s3cret&token_type=Bearer`, `<html>s3cret</html>`,
		`{"token_type":"Bearer"}`, `{"access_token":"s3cret","token_type":"Bearer","refresh_token":""}`,
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
		s.routes["/token"] = raw(http.StatusOK, body)
		got, err := client.Token(t.Context(), machineParams())
		if !errors.Is(err, oauth.ErrUnavailable) || got.Access.Len() > 0 {
			t.Errorf("%.100s: %+v, %v", body, got, err)
		}
		if strings.Contains(fmt.Sprint(err), "s3cret") {
			t.Errorf("%.100s: the error quotes it: %v", body, err)
		}
	}
}

// TestTokenErrors: a refusal is known by its code alone.
func TestTokenErrors(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
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
		s.routes["/token"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.retry)
			w.Header().Set("Location", issuer+"/elsewhere")
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}
		_, err := client.Token(t.Context(), machineParams())
		e, ok := errors.AsType[*oauth.Error](err)
		if !ok || e.Code != test.code || e.Status != test.status || e.Endpoint != "token" || e.RetryAfter != test.after ||
			errors.Is(err, oauth.ErrUnavailable) != test.unavailable {
			t.Errorf("%d %s: %#v", test.status, test.body, err)
		}
		if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), fmt.Sprint(test.status)) {
			t.Errorf("%d %s: %v", test.status, test.body, err)
		}
	}
	if s.count("/elsewhere") != 0 {
		t.Error("a redirect was followed")
	}
	// The body of a refusal that is read in part says nothing.
	s.routes["/token"] = raw(400, strings.Repeat(" ", 300<<10))
	_, err := client.Token(t.Context(), machineParams())
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != "" {
		t.Errorf("large: %v", err)
	}
}

func TestTokenGrants(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	for grant, instead := range map[string]string{
		"password": "ClientCredentials", "implicit": "NewLogin", "authorization_code": "Redeem", "urn:x": "methods", "PASSWORD": "methods", "": "methods",
	} {
		_, err := client.Token(t.Context(), url.Values{"grant_type": {grant}, "username": {"u"}, "password": {"p"}})
		e, ok := errors.AsType[*oauth.GrantError](err)
		if !ok || e.Grant != grant || e.Why == "" || !strings.Contains(err.Error(), instead) {
			t.Errorf("%s: %v", grant, err)
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
			t.Errorf("%s: is sent", name)
		}
	}
	if s.count("/token") != 0 {
		t.Error("something was sent")
	}
	// A response type is asked for where a login is configured.
	for _, asked := range []string{"token", "id_token token", "code token", ""} {
		_, err := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Params: url.Values{"response_type": {asked}}})
		if e, ok := errors.AsType[*oauth.GrantError](err); !ok || !strings.Contains(e.Instead, "NewLogin") {
			t.Errorf("response_type %q: %v", asked, err)
		}
	}
}

func TestRefresh(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	first := oauth.Tokens{Refresh: secret("refresh-1"), Scopes: scopes("a"), ID: secret(s.idToken("n"))}
	second, err := client.Refresh(t.Context(), first)
	if err != nil || string(second.Access.Reveal()) != "access-2" || string(second.Refresh.Reveal()) != "refresh-2" ||
		second.Scopes != scopes("a") || !second.ID.Equal(first.ID) {
		t.Errorf("%+v, %v", second, err)
	}
	s.reply = object{"refresh_token": nil, "id_token": s.idToken("")}
	if got, err := client.Refresh(t.Context(), first); err != nil || !got.Refresh.Equal(first.Refresh) || got.ID.Equal(first.ID) {
		t.Errorf("not rotated: %+v, %v", got, err)
	}
	s.idt = func(claims object) { claims["sub"] = "eve" }
	s.reply = object{"id_token": s.idToken("")}
	if _, err := client.Refresh(t.Context(), first); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("about somebody else: %v", err)
	}
	s.reply = object{"id_token": forged()}
	if _, err := client.Refresh(t.Context(), first); err == nil {
		t.Error("a forged ID token is accepted")
	}
	if _, err := client.Refresh(t.Context(), oauth.Tokens{}); err == nil {
		t.Error("nothing was refreshed")
	}
}

// TestRefreshKeeps: the new tokens are not lost because the keys for an ID token
// cannot be had.
func TestRefreshKeeps(t *testing.T) {
	s := newServer(t)
	s.routes["/jwks"] = raw(http.StatusServiceUnavailable, "")
	s.reply = object{"id_token": s.idToken("")}
	first := oauth.Tokens{Refresh: secret("refresh-1"), ID: secret("old")}
	got, err := newClient(t, s.config()).Refresh(t.Context(), first)
	if err != nil || string(got.Refresh.Reveal()) != "refresh-2" || !got.ID.Equal(first.ID) {
		t.Errorf("%+v, %v", got, err)
	}
	// The same where nothing says which keys they are.
	c := s.config()
	c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + "/token"}
	if got, err := newClient(t, c).Refresh(t.Context(), first); err != nil || !got.ID.Equal(first.ID) {
		t.Errorf("without keys: %+v, %v", got, err)
	}
}

func TestOAuth2(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	one := oauth.Tokens{Access: secret("a"), Refresh: secret("r"), ID: secret("i"), Scopes: scopes("x y"), Expires: expires}
	token := one.OAuth2()
	if token.AccessToken != "a" || token.RefreshToken != "r" || token.Type() != "Bearer" || !token.Expiry.Equal(expires) || !token.Valid() {
		t.Errorf("%+v", token)
	}
	two := oauth.FromOAuth2(token)
	if !two.Access.Equal(one.Access) || !two.Refresh.Equal(one.Refresh) || !two.ID.Equal(one.ID) || two.Scopes != one.Scopes || !two.Expires.Equal(expires) {
		t.Errorf("%+v", two)
	}
	if none := oauth.FromOAuth2(&oauth2.Token{}); none.Access.Len() != 0 || !none.Expires.IsZero() {
		t.Errorf("%+v", none)
	}
	if text, _ := json.Marshal(one); strings.Contains(string(text), `"a"`) {
		t.Errorf("%s", text)
	}
}

func TestRevoke(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	s.routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("token") != "x" || r.PostFormValue("token_type_hint") != "refresh_token" || r.Header.Get("Authorization") == "" {
			t.Errorf("asked for %v", r.PostForm)
		}
	}
	if err := client.Revoke(t.Context(), secret("x"), oauth.RefreshToken); err != nil {
		t.Error(err)
	}
	s.routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	err := client.Revoke(t.Context(), secret("x"), "")
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.RetryAfter != 3*time.Second || !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("503: %v", err)
	}
	delete(s.metadata, "revocation_endpoint")
	delete(s.metadata, "introspection_endpoint")
	delete(s.metadata, "end_session_endpoint")
	delete(s.metadata, "authorization_endpoint")
	client = newClient(t, s.config())
	_, err1 := client.Introspect(t.Context(), secret("x"), "")
	_, err2 := client.LogoutURL(t.Context(), oauth.Tokens{}, "")
	_, err3 := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect})
	for _, err := range []error{client.Revoke(t.Context(), secret("x"), ""), err1, err2, err3} {
		if !errors.Is(err, oauth.ErrNotOffered) {
			t.Errorf("not offered: %v", err)
		}
	}
}

func TestIntrospect(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	ask := func(status int, body string) (oauth.Introspection, error) {
		s.routes["/introspect"] = raw(status, body)
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

func TestExchange(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	var form url.Values
	reply := func(body object) {
		s.routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			form = r.PostForm
			answer(w, http.StatusOK, body)
		}
	}
	reply(object{"access_token": "x", "token_type": "N_A", "issued_token_type": oauth.TypeJWT})
	got, err := client.Exchange(t.Context(), oauth.ExchangeRequest{
		Subject: secret("s"), Actor: secret("a"), ActorType: oauth.TypeJWT, RequestedType: oauth.TypeJWT, Scopes: scopes("r"),
		Resources: []string{"https://one", "https://two"}, Audiences: []string{"three"},
	})
	if err != nil || got.Type != oauth.TypeJWT || string(got.Access.Reveal()) != "x" || got.Scopes != scopes("r") {
		t.Errorf("%+v, %v", got, err)
	}
	want := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"s"}, "subject_token_type": {oauth.TypeAccessToken},
		"actor_token": {"a"}, "actor_token_type": {oauth.TypeJWT}, "requested_token_type": {oauth.TypeJWT}, "scope": {"r"},
		"resource": {"https://one", "https://two"}, "audience": {"three"},
	}
	if form.Encode() != want.Encode() {
		t.Errorf("sent %v", form)
	}
	if _, err := client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: secret("s"), RequestedType: oauth.TypeIDToken}); err == nil {
		t.Error("another type than asked for is accepted")
	}
	if _, err := client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: secret("s")}); err != nil || form.Has("actor_token_type") || form.Has("scope") {
		t.Errorf("%v, sent %v", err, form)
	}
	reply(object{"access_token": "x", "token_type": "Bearer"})
	if _, err := client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: secret("s")}); err == nil {
		t.Error("no type is accepted")
	}
	reply(object{"access_token": "x", "token_type": "DPoP", "issued_token_type": oauth.TypeAccessToken})
	if _, err := client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: secret("s")}); err == nil {
		t.Error("a DPoP token is accepted")
	}
	s.routes["/token"] = raw(400, `{"error":"invalid_target"}`)
	if _, err := client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: secret("s")}); err == nil {
		t.Error("a refusal is accepted")
	}
	if _, err := client.Exchange(context.Background(), oauth.ExchangeRequest{}); err == nil {
		t.Error("no subject is accepted")
	}
}

func TestLogout(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	address, err := client.LogoutURL(t.Context(), oauth.Tokens{ID: secret("id")}, "https://app.example.com/bye")
	u := must(url.Parse(address))
	if q := u.Query(); err != nil || u.Path != "/end" || q.Get("x") != "1" || q.Get("id_token_hint") != "id" || q.Get("client_id") != clientID ||
		q.Get("post_logout_redirect_uri") != "https://app.example.com/bye" {
		t.Errorf("%s, %v", address, err)
	}
	now := time.Now().Unix()
	token := func(typ string, changes object) string {
		claims := object{
			"iss": issuer, "aud": clientID, "sub": "alice", "iat": now, "exp": now + 60, "jti": "1", "sid": "s1",
			"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}},
		}
		for name, value := range changes {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		return string(must(ring().SignJWT(typ, claims)).Reveal())
	}
	for name, text := range map[string]string{
		"good": token("logout+jwt", nil), "old type": token("JWT", nil), "no type": token("", nil), "session only": token("logout+jwt", object{"sub": nil}),
	} {
		if got, err := client.LogoutToken(t.Context(), text); err != nil || got.SessionID != "s1" || got.ID != "1" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "nonce": token("logout+jwt", object{"nonce": "n"}), "no jti": token("logout+jwt", object{"jti": nil}),
		"nobody": token("logout+jwt", object{"sub": nil, "sid": nil}), "no events": token("logout+jwt", object{"events": nil}),
		"another event": token("logout+jwt", object{"events": object{"x": object{}}}), "access token": token("at+jwt", nil),
		"events a text": token("logout+jwt", object{"events": "x"}), "expired": token("logout+jwt", object{"iat": now - 300, "exp": now - 200}),
		"another client": token("logout+jwt", object{"aud": "other"}), "ID token": s.idToken("n"),
	} {
		if got, err := client.LogoutToken(t.Context(), text); err == nil || errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	down := newServer(t)
	down.routes["/jwks"] = raw(500, "")
	if _, err := newClient(t, down.config()).LogoutToken(t.Context(), token("logout+jwt", nil)); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("no keys: %v", err)
	}
	c := down.config()
	c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + "/token"}
	if _, err := newClient(t, c).LogoutToken(t.Context(), token("logout+jwt", nil)); err == nil {
		t.Error("without keys a token is accepted")
	}
}

var _ gatehouse.Observer = (*events)(nil)
