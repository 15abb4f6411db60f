// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// begin sends the browser to the authorization server. Where that is down, or
// refuses to begin a login, a person gets a page of ours; why is in the log.
func (a *app) begin(w http.ResponseWriter, r *http.Request) {
	if isNavigation(r) {
		w = &instead{ResponseWriter: w, page: func(w http.ResponseWriter) { show(w, signIn, http.StatusServiceUnavailable) }}
	}
	a.login.Start(w, r)
}

// callback is where the browser comes back to. With a login that has succeeded
// a session begins.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	result, err := a.login.Callback(w, r)
	if err != nil {
		// Somebody has pressed the back button: nothing was redeemed, and nothing
		// needs to be.
		e, _ := errors.AsType[*gatehouse.Error](err)
		if _, signedIn := a.sessions.Authenticate(r); e != nil && e.Reason == gatehouse.ReasonLoginTransaction && signedIn == nil {
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		explain(w, r, signIn, err)
		return
	}
	login := result.Session()
	login.Label = browserName(r.UserAgent())
	if err := a.sessions.Start(w, r, login); err != nil {
		a.logger.ErrorContext(r.Context(), "session", "problem", err.Error())
		explain(w, r, signIn, err)
		return
	}
	http.Redirect(w, r, result.ReturnTo, http.StatusSeeOther)
}

// logoutTimeout bounds what a logout takes beyond the end of the session.
const logoutTimeout = 3 * time.Second

// logout ends the session here, and then at the authorization server. It stands
// outside the gate, so that somebody whose session is over can sign out too; End
// refuses what the pages of others cause.
func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	tokens, err := a.sessions.End(w, r)
	if err != nil {
		a.logger.WarnContext(r.Context(), "logout", "problem", err.Error())
		explain(w, r, signOut, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutTimeout)
	defer cancel()
	a.revoke(ctx, tokens)

	form := isNavigation(r)
	if !form {
		// The hint is an ID token, and this answer goes to a script. Without it the
		// authorization server asks whether to sign out.
		tokens.ID = gatehouse.Secret{}
	}
	address, err := a.client.LogoutURL(ctx, oauth.Tokens(tokens), a.origin+"/")
	if err != nil {
		a.logger.WarnContext(ctx, "logout", "problem", err.Error())
		address = "/" // signed out here, which is what this server can promise
	}
	if form {
		http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // where the metadata of the provider say
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"logout_url": address})
}

// revoke withdraws the tokens of a session that has ended, as far as that can be
// done quickly. They are nowhere but here, so nobody can use them if it fails.
func (a *app) revoke(ctx context.Context, tokens session.Tokens) {
	token, kind := tokens.Refresh, oauth.RefreshToken
	if token.Len() == 0 {
		token, kind = tokens.Access, oauth.AccessToken
	}
	if token.Len() == 0 {
		return
	}
	if err := a.client.Revoke(ctx, token, kind); err != nil {
		a.logger.WarnContext(ctx, "revocation", "problem", err.Error())
	}
}

// isNavigation reports whether the answer is for a person, who has followed a
// link or sent a form, and not for a script.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// instead is a response writer that replaces the body of a 503.
type instead struct {
	http.ResponseWriter
	page     func(http.ResponseWriter)
	replaced bool
}

// WriteHeader implements [http.ResponseWriter].
func (i *instead) WriteHeader(status int) {
	if status != http.StatusServiceUnavailable || i.replaced {
		i.ResponseWriter.WriteHeader(status)
		return
	}
	i.replaced = true
	i.Header().Del("Content-Type")
	i.page(i.ResponseWriter)
}

// Write implements [io.Writer].
func (i *instead) Write(b []byte) (int, error) {
	if i.replaced {
		return len(b), nil
	}
	return i.ResponseWriter.Write(b)
}
