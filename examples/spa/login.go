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
)

// goHome sends a person to the page: to the address of the configuration, which
// nothing in a request can change.
func (a *app) goHome(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, a.home, http.StatusSeeOther)
}

// begin sends the browser to the provider. The page leads here by a link: a login
// is something that a person goes to, and nothing that a script fetches. Where the
// provider is down, or refuses to begin a login, the way leads back to the page;
// why is in the log.
func (a *app) begin(w http.ResponseWriter, r *http.Request) {
	if isNavigation(r) {
		w = &instead{ResponseWriter: w, page: func(w http.ResponseWriter) { a.complain(w, r, "unavailable") }}
	}
	a.login.Start(w, r)
}

// callback is where the browser comes back to. With a login that has succeeded
// a session begins. The way back leads to the page in any case, whatever way a
// request has asked for.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	result, err := a.login.Callback(w, r)
	if err != nil {
		// Somebody has pressed the back button: nothing was redeemed, and nothing
		// needs to be.
		e, _ := errors.AsType[*gatehouse.Error](err)
		if _, signedIn := a.sessions.Authenticate(r); e != nil && e.Reason == gatehouse.ReasonLoginTransaction && signedIn == nil {
			a.goHome(w, r)
			return
		}
		a.fail(w, r, err)
		return
	}
	if err := a.sessions.Start(w, r, result.Session()); err != nil {
		a.logger.ErrorContext(r.Context(), "session", "problem", err.Error())
		a.fail(w, r, err)
		return
	}
	a.goHome(w, r)
}

// logoutTimeout bounds what a logout takes beyond the end of the session.
const logoutTimeout = 3 * time.Second

// logout ends the session here, and then at the provider. It stands outside the
// gate, so that somebody whose session is over can sign out too; End refuses what
// the pages of others cause.
//
// The page sends a form, and not a fetch: where that leads, an ID token is in the
// address, and a script has no business with it.
func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	tokens, err := a.sessions.End(w, r)
	if err != nil {
		a.logger.WarnContext(r.Context(), "logout", "problem", err.Error())
		a.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutTimeout)
	defer cancel()
	if tokens.Refresh.Len() > 0 {
		// It is nowhere but here, so nobody can use it if this fails.
		if err := a.client.Revoke(ctx, tokens.Refresh, oauth.RefreshToken); err != nil {
			a.logger.WarnContext(ctx, "revocation", "problem", err.Error())
		}
	}
	if !isNavigation(r) {
		tokens.ID = gatehouse.Secret{}
	}
	// The back end is what is registered at the provider. It leads on to the page.
	address, err := a.client.LogoutURL(ctx, oauth.Tokens(tokens), a.origin+"/")
	if err != nil {
		a.logger.WarnContext(ctx, "logout", "problem", err.Error())
		address = a.home
	}
	if isNavigation(r) {
		http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // where the metadata of the provider say
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"logout_url": address})
}

// fail answers a request that has failed: a script with JSON, a person by the
// page, which gets a word of ours to show and no detail. The page never leads back
// to the login by itself, which would be a loop where the reason stays.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*gatehouse.Error](err)
	// A form of another site does not get a person to the page, as if it had done
	// something.
	if !isNavigation(r) || ok && e.Reason == gatehouse.ReasonCrossSite {
		gatehouse.Refuse(w, r, err)
		return
	}
	problem := "unavailable"
	if ok {
		switch e.Status() {
		case http.StatusForbidden:
			problem = "refused"
		case http.StatusBadRequest:
			problem = "incomplete"
		}
	}
	a.complain(w, r, problem)
}

// complain sends a person to the page, which says what the problem is.
func (a *app) complain(w http.ResponseWriter, r *http.Request, problem string) {
	http.Redirect(w, r, a.home+"?problem="+problem, http.StatusSeeOther)
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
