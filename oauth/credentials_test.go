// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// machine returns a source of numbered tokens, and its server.
func machine(t *testing.T, lifetime int) (*oauth.Credentials, *providertest.Server) {
	t.Helper()
	s := providertest.New(t)
	n := 0
	s.Routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		want := url.Values{"grant_type": {"client_credentials"}, "scope": {"a"}, "resource": {"https://one"}, "audience": {"two"}}
		if r.PostForm.Encode() != want.Encode() {
			t.Errorf("form %v, want %v", r.PostForm, want)
		}
		<-time.After(time.Second)
		if r.Context().Err() != nil {
			t.Error("the request was canceled")
		}
		n++
		answer(w, 200, object{"access_token": fmt.Sprint("t", n), "token_type": "Bearer", "expires_in": lifetime, "refresh_token": "r"})
	}
	resources := []string{"https://one"}
	source, err := s.Client().ClientCredentials(oauth.CredentialsRequest{Scopes: scopes("a"), Resources: resources, Audience: "two"})
	if err != nil {
		t.Fatal(err)
	}
	resources[0] = "https://changed"
	return source, s
}

func expect(t *testing.T, source *oauth.Credentials, want string) oauth.Tokens {
	t.Helper()
	got, err := source.Token(t.Context())
	if err != nil || string(got.Access.Reveal()) != want || got.Refresh.Len() != 0 {
		t.Errorf("Token = %q, %v, want %s without a refresh token", got.Access.Reveal(), err, want)
	}
	return got
}

// Covers RFC 6749 §4.4.3.
func TestClientCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, s := machine(t, 300)
		expect(t, source, "t1")
		time.Sleep(270*time.Second - time.Millisecond)
		first := expect(t, source, "t1")
		time.Sleep(time.Millisecond)
		second := expect(t, source, "t2")
		source.Forget(first) // not the current one
		expect(t, source, "t2")
		source.Forget(second)
		answers := s.Routes["/token"]
		s.Routes["/token"] = raw(http.StatusServiceUnavailable, "")
		if token, err := source.Token(t.Context()); !errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("Token after Forget = %v, %v, want %v and not the rejected token", token, err, oauth.ErrUnavailable)
		}
		s.Routes["/token"] = answers
		time.Sleep(time.Second)
		expect(t, source, "t3")

		// If the authorization server is down, the old token is used until it expires.
		time.Sleep(280 * time.Second)
		s.Routes["/token"] = raw(http.StatusServiceUnavailable, "")
		expect(t, source, "t3")
		time.Sleep(20 * time.Second)
		if _, err := source.Token(t.Context()); !errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("Token error = %v, want %v", err, oauth.ErrUnavailable)
		}
	})
}

// TestClientCredentialsRejected: a client that is rejected does not use the old token.
func TestClientCredentialsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, s := machine(t, 300)
		expect(t, source, "t1")
		time.Sleep(280 * time.Second)
		s.Routes["/token"] = raw(http.StatusUnauthorized, `{"error":"invalid_client"}`)
		_, err := source.Token(t.Context())
		if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != "invalid_client" {
			t.Errorf("Token error = %v, want invalid_client", err)
		}
	})
}

// TestClientCredentialsShort: a token with a lifetime of a minute is replaced after
// three quarters of it.
func TestClientCredentialsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := machine(t, 60)
		expect(t, source, "t1")
		time.Sleep(44 * time.Second)
		expect(t, source, "t1")
		time.Sleep(2 * time.Second)
		expect(t, source, "t2")
	})
}

// A shared request may take as long as two: discovery, and the request itself.
func TestClientCredentialsAfterSlowDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, s := machine(t, 300)
		s.Routes[wellKnown] = func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(9500 * time.Millisecond) // the Timeout is 10 s, and the token takes 1 s
			answer(w, 200, s.Metadata)
		}
		expect(t, source, "t1")
	})
}

func TestClientCredentialsOAuth2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, s := machine(t, 300)
		token, err := source.OAuth2().Token()
		if err != nil || token.AccessToken != "t1" || !token.Valid() || token.RefreshToken != "" {
			t.Errorf("%v, %v", token, err)
		}
		time.Sleep(time.Hour)
		s.Routes["/token"] = raw(500, "")
		if token, err := source.OAuth2().Token(); !errors.Is(err, oauth.ErrUnavailable) || token != nil {
			t.Errorf("%v, %v", token, err)
		}
	})
}

// Covers RFC 6749 §4.4.
func TestClientCredentialsPublic(t *testing.T) {
	c := providertest.New(t).Config()
	c.Auth, c.Secret = oauth.Public, secret("")
	if _, err := newClient(t, c).ClientCredentials(oauth.CredentialsRequest{}); err == nil {
		t.Error("ClientCredentials of a public client: error = nil")
	}
}
