// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/navigation"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// serveLogin sends the browser to the authorization server.
//
// Implements ASVS 5.0 §7.6.2.
func (h *Handler) serveLogin(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	private(w.Header())
	if !navigation.Is(r) {
		h.fail(w, r, start, h.reject(gatehouse.CodeMissingCredentials, ReasonNavigation, nil))
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	returnTo, ok := h.returnTo(query, err)
	if !ok {
		if err := h.report(r, EventReturnToRejected, nil); err != nil {
			h.answer(w, r, h.asError(err))
			return
		}
	}
	t, err := h.Client.Authorize(r.Context(), stepUp(h.request, query))
	if err == nil {
		err = h.remember(w, r, t, returnTo)
	}
	if err != nil {
		h.fail(w, withReturnTo(r, returnTo), start, h.unavailable(err))
		return
	}
	w.Header().Set("Location", t.URL)
	w.WriteHeader(http.StatusSeeOther) // RFC 9700 §4.12: never 307
}

// stepUp adds the parameters of a step-up challenge (RFC 9470) to the authorization
// request: max_age in seconds, and acr_values. The gate adds them to the LoginURL.
// Any page can link to a login with them, so they replace no stronger setting: a
// larger max_age, an acr_values beside a configured one, and a malformed parameter
// are ignored. A policy must check what the ID token says, not what was asked for.
//
// Implements RFC 9470 §4.
func stepUp(request oauth.AuthorizationRequest, query url.Values) oauth.AuthorizationRequest {
	request.Params = maps.Clone(request.Params)
	if seconds, err := strconv.ParseUint(query.Get("max_age"), 10, 31); err == nil {
		age := time.Duration(seconds) * time.Second
		switch {
		case age == 0: // authenticate now, whatever the age
			request.Params.Set("prompt", strings.TrimSpace("login "+request.Params.Get("prompt")))
		case request.MaxAge == 0 || age < request.MaxAge:
			request.MaxAge = age
		}
	}
	if acr := query.Get("acr_values"); acr != "" && len(acr) <= maxACRValues && text.IsPrintable(acr) && !request.Params.Has("acr_values") {
		request.Params.Set("acr_values", acr)
	}
	return request
}

// maxACRValues bounds the length of acr_values, in bytes.
const maxACRValues = 256

// serveCallback completes a login and starts the session.
func (h *Handler) serveCallback(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	private(w.Header())
	result, returnTo, err := h.redeem(w, r)
	r = withReturnTo(r, returnTo)
	if err != nil {
		e := h.record(r, start, err)
		// With a session, this is the back button after a login: nothing was
		// redeemed, and the user is logged in.
		if e.Reason == ReasonTransaction || e.Reason == oauth.ReasonTransaction {
			if _, err := h.Sessions.Authenticate(r); err == nil {
				redirect(w, h.home)
				return
			}
		}
		h.answer(w, r, e)
		return
	}
	login := session.Login{Principal: result.Principal(), Tokens: result.Tokens, SID: result.SessionID}
	if h.complete != nil {
		if err := h.complete(r, &login); err != nil {
			h.fail(w, r, start, err)
			return
		}
	}
	if err := h.Sessions.Start(w, r, login); err != nil { // it has reported the error
		h.answer(w, r, h.asError(err))
		return
	}
	redirect(w, returnTo)
}

// redeem ends the transaction of a callback and returns its result.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request) (oauth.Result, string, error) {
	if r.Method != http.MethodGet {
		return oauth.Result{}, "", h.reject(gatehouse.CodeInvalidRequest, ReasonResponse, errMethod)
	}
	response, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return oauth.Result{}, "", h.reject(gatehouse.CodeInvalidRequest, ReasonResponse, errQuery)
	}
	t, returnTo, err := h.recall(w, r, response)
	if err != nil {
		return oauth.Result{}, "", h.reject(gatehouse.CodeInvalidRequest, ReasonTransaction, err)
	}
	result, err := h.Client.Redeem(r.Context(), t, response)
	return result, returnTo, err
}

// redirect sends the browser on with a GET request.
func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
