// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// TestRejectedTokensAreRevoked: no program keeps the tokens of a response that a check
// rejects. They are revoked, or the error says that they are not.
func TestRejectedTokensAreRevoked(t *testing.T) {
	wrongNonce := func(s *providertest.Server) { s.Claims = func(claims object) { claims["nonce"] = "other" } }
	redeem := func(t *testing.T, change func(*providertest.Server)) (*providertest.Server, func() error) {
		l := newLogin(t)
		change(l.Server)
		return l.Server, func() error { _, err := l.redeem(); return err }
	}
	refresh := func(t *testing.T, change func(*providertest.Server)) (*providertest.Server, func() error) {
		s := providertest.New(t)
		old := oauth.Tokens{Refresh: secret("refresh-1"), ID: secret(s.IDToken("n"))}
		change(s)
		return s, func() error { _, err := s.Client().Refresh(t.Context(), old); return err }
	}
	for name, test := range map[string]struct {
		begin   func(*testing.T, func(*providertest.Server)) (*providertest.Server, func() error)
		change  func(*providertest.Server)
		revoked string
	}{
		"redeem, nonce":            {redeem, wrongNonce, "refresh-1"},
		"redeem, no refresh token": {redeem, func(s *providertest.Server) { wrongNonce(s); s.Reply = object{"refresh_token": nil} }, "access-1"},
		"redeem, keys unavailable": {redeem, func(s *providertest.Server) { s.Routes["/jwks"] = down }, "refresh-1"},
		"redeem, token type":       {redeem, func(s *providertest.Server) { s.Reply = object{"token_type": "mac"} }, "refresh-1"},
		"redeem, scope":            {redeem, func(s *providertest.Server) { s.Reply = object{"scope": "a  b"} }, "refresh-1"},
		"redeem, text after JSON": {redeem, func(s *providertest.Server) {
			s.Routes["/token"] = raw(200, `{"access_token":"access-1","token_type":"Bearer"} x`)
		}, "access-1"},
		"refresh, nonce": {refresh, func(s *providertest.Server) { s.Reply = object{"id_token": s.IDToken("m")} }, "refresh-2"},
		"refresh, not rotated": {refresh, func(s *providertest.Server) {
			s.Reply = object{"id_token": s.IDToken("m"), "refresh_token": nil}
		}, "access-2"},
		"refresh, subject": {refresh, func(s *providertest.Server) { s.Reply = idToken("sub", "eve")(s) }, "refresh-2"},
		"refresh, subject, not rotated": {refresh, func(s *providertest.Server) {
			s.Reply = idToken("sub", "eve")(s)
			s.Reply["refresh_token"] = nil
		}, "access-2"},
		"refresh, forged": {refresh, func(s *providertest.Server) { s.Reply = object{"id_token": forged()} }, "refresh-2"},
		"refresh, forged, not rotated": {refresh, func(s *providertest.Server) {
			s.Reply = object{"id_token": forged(), "refresh_token": nil}
		}, "access-2"},
		"refresh, token type": {refresh, func(s *providertest.Server) { s.Reply = object{"token_type": "mac"} }, "refresh-2"},
	} {
		s, do := test.begin(t, test.change)
		var revoked []string
		s.Routes["/revoke"] = func(_ http.ResponseWriter, r *http.Request) {
			token := r.PostFormValue("token")
			if kind, _, _ := strings.Cut(token, "-"); r.PostFormValue("token_type_hint") != kind+"_token" {
				t.Errorf("%s: %s is revoked with the hint %q", name, token, r.PostFormValue("token_type_hint"))
			}
			revoked = append(revoked, token)
		}
		if err := do(); err == nil || !slices.Equal(revoked, []string{test.revoked}) || strings.Contains(causeOf(err), "not revoked") {
			t.Errorf("%s: error = %v, revoked %q, want %q", name, causeOf(err), revoked, test.revoked)
		}
		s, do = test.begin(t, test.change)
		s.Routes["/revoke"] = down
		if err := do(); err == nil || !strings.Contains(causeOf(err), "not revoked") {
			t.Errorf("%s, without revocation: error = %v, want one that says so", name, causeOf(err))
		}
	}
	// They are revoked even if the caller hangs up.
	gone := newLogin(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone.Routes["/jwks"] = func(w http.ResponseWriter, r *http.Request) { cancel(); down(w, r) }
	gone.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) {}
	if _, err := gone.client.Redeem(ctx, gone.transaction, gone.response); err == nil || gone.Count("/revoke") != 1 {
		t.Errorf("Redeem, canceled: error = %v with %d revocations, want 1", err, gone.Count("/revoke"))
	}
	synctest.Test(t, func(t *testing.T) { // a revocation without an answer does not last
		slow := newLogin(t)
		wrongNonce(slow.Server)
		slow.Routes["/revoke"] = hanging
		start := time.Now()
		if _, err := slow.redeem(); err == nil || time.Since(start) != 3*time.Second {
			t.Errorf("Redeem error = %v after %v, want one after 3s", err, time.Since(start))
		}
	})
	// That the revocation fails does not make a rejection an outage.
	l := newLogin(t)
	wrongNonce(l.Server)
	l.Routes["/revoke"] = down
	if _, err := l.redeem(); reasonOf(err) != oauth.ReasonIDToken {
		t.Errorf("Redeem error = %v, want %s", err, oauth.ReasonIDToken)
	}
	s, do := refresh(t, func(s *providertest.Server) { s.Reply = object{"id_token": forged()}; s.Routes["/revoke"] = down })
	if err := do(); err == nil || errors.Is(err, oauth.ErrUnavailable) || s.Count("/revoke") != 1 {
		t.Errorf("Refresh error = %v, want one that is no outage", err)
	}
}

// causeOf returns the text of an error for operators.
func causeOf(err error) string {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Cause != nil {
		return e.Cause.Error()
	}
	if err == nil {
		return ""
	}
	return err.Error()
}
