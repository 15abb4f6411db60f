// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/navigation"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// serveLogin redirects the browser to the authorization server.
//
// Implements ASVS 5.0 §7.6.2.
func (h *Handler) serveLogin(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	private(w.Header())
	if !navigation.Is(r) && (!h.partitioned || r.Method != http.MethodGet || !navigation.ShowsResponse(r)) {
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
	ctx := r.Context()
	r = withReturnTo(r, returnTo)
	request, asked, err := h.parameters(ctx, query)
	if err != nil {
		h.fail(w, r, start, h.reject(gatehouse.CodeAccessDenied, ReasonStepUp, err))
		return
	}
	t, err := h.Client.Authorize(ctx, request)
	if err == nil {
		err = h.remember(w, r, t, pending{ReturnTo: returnTo, Asked: asked, Remember: h.remembers(r, query)})
	}
	if errors.Is(err, oauth.ErrUnsupported) {
		h.fail(w, r, start, h.reject(gatehouse.CodeTemporarilyUnavailable, ReasonProvider, err))
		return
	}
	if err != nil {
		h.fail(w, r, start, h.unavailable(err))
		return
	}
	w.Header().Set("Location", t.URL)
	w.WriteHeader(http.StatusSeeOther) // RFC 9700 §4.12: never 307
}

// serveCallback completes a login and starts the session.
func (h *Handler) serveCallback(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	private(w.Header())
	result, p, err := h.redeem(w, r)
	r = withReturnTo(r, p.ReturnTo)
	if err != nil {
		e := h.record(r, start, err)
		// With a session, the user pressed the back button after a login: nothing was
		// redeemed, and the user is logged in.
		if e.Reason == ReasonTransaction || e.Reason == oauth.ReasonTransaction {
			if _, err := h.Sessions.Authenticate(r); err == nil {
				redirect(w, cmp.Or(p.ReturnTo, h.home))
				return
			}
		}
		h.answer(w, r, e)
		return
	}
	login, err := h.admit(r, &result, p)
	if err == nil {
		err = h.endOther(r, login.Principal.Key())
	}
	if err != nil {
		h.drop(r, result)
		h.fail(w, r, start, err)
		return
	}
	if err := h.Sessions.Start(w, r, login); err != nil { // the manager reports the error
		h.drop(r, result)
		h.answer(w, r, h.asError(err))
		return
	}
	redirect(w, p.ReturnTo)
}

// endOther ends the session of the browser if it belongs to another user than the one who logs
// in, and revokes its tokens. [session.Manager.Start] ends a session of the same user; the tokens
// of that session stay valid, because revoking them could end the grant of the new session. If
// Start fails afterwards, the browser has no session, instead of that of another user.
func (h *Handler) endOther(r *http.Request, user gatehouse.Key) error {
	proof, err := h.Sessions.Authenticate(r)
	if err != nil {
		return nil // Start reports the error, unless there is no session
	}
	p := proof.Principal()
	if p.Key() == user {
		return nil
	}
	tokens, err := h.Sessions.EndOne(r.Context(), p.Issuer, p.Subject, p.Credential)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutTimeout)
	defer cancel()
	if failed := failure(h.revoke(ctx, tokens)); failed != nil {
		_ = h.report(r, EventLogoutIncomplete, failed) // the session in this application has ended
	}
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return err
}

// admit returns the session of a user whom the authorization server has authenticated,
// if the user may sign in.
func (h *Handler) admit(r *http.Request, result *oauth.Result, p pending) (session.Login, error) {
	if err := p.Asked.unmet(*result, time.UnixMilli(p.Begun)); err != nil {
		return session.Login{}, h.reject(gatehouse.CodeAccessDenied, ReasonStepUp, err)
	}
	if h.userinfo {
		more, err := h.Client.Userinfo(r.Context(), result.Tokens.Access, result.Subject)
		if err == nil {
			result.Claims, err = extend(result.Claims, more)
		}
		if err != nil {
			return session.Login{}, h.unavailable(err)
		}
	}
	if reason, err := h.admits.decide(result.Claims); err != nil {
		return session.Login{}, h.reject(gatehouse.CodeAccessDenied, reason, err)
	}
	login := session.Login{Principal: result.Principal(), Tokens: result.Tokens, SID: result.SessionID}
	if p.Remember {
		login.Lifetime = h.lifetime
	}
	if h.complete != nil {
		if err := h.complete(r, &login); err != nil {
			return session.Login{}, err
		}
	}
	return login, nil
}

// extend returns the claims of an ID token, and from more the claims that the ID token
// does not have.
func extend(claims, more gatehouse.Claims) (gatehouse.Claims, error) {
	var all, own map[string]json.RawMessage
	if err := errors.Join(more.Decode(&all), claims.Decode(&own)); err != nil {
		return gatehouse.Claims{}, err
	}
	// Claims about the authentication come only from the ID token, which always has iss, aud, exp,
	// iat and nonce.
	for _, name := range []string{"nbf", "jti", "azp", "at_hash", "c_hash", "s_hash", "sid", "auth_time", "acr", "amr", "events", "cnf"} {
		delete(all, name)
	}
	// A value and its verification must come from the same source.
	for _, name := range []string{"email", "phone_number"} {
		if own[name] != nil || own[name+"_verified"] != nil {
			delete(all, name)
			delete(all, name+"_verified")
		}
	}
	maps.Copy(all, own)
	text, err := json.Marshal(all)
	if err != nil {
		return gatehouse.Claims{}, err
	}
	return gatehouse.NewClaims(string(text))
}

// drop revokes the tokens of a login that starts no session. It does not revoke them if
// the browser has a session of the same user, such as after a failed step-up, because
// that could also end the grant of that session. It reports tokens that stay valid.
func (h *Handler) drop(r *http.Request, result oauth.Result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutTimeout)
	defer cancel()
	err := errSameUser
	if proof, failure := h.Sessions.Authenticate(r); failure != nil || proof.Principal().Key() != (gatehouse.Key{Issuer: h.issuer, Subject: result.Subject}) {
		err = h.revoke(ctx, result.Tokens)
	}
	if err != nil {
		_ = h.report(r, EventTokensDropped, err) // the login is refused anyway
	}
}

// redeem ends the transaction of a callback and returns its result.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request) (oauth.Result, pending, error) {
	if r.Method != http.MethodGet {
		return oauth.Result{}, pending{}, h.reject(gatehouse.CodeInvalidRequest, ReasonResponse, errMethod)
	}
	response, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return oauth.Result{}, pending{}, h.reject(gatehouse.CodeInvalidRequest, ReasonResponse, errQuery)
	}
	t, p, err := h.recall(w, r, response)
	if err != nil {
		return oauth.Result{}, p, h.reject(gatehouse.CodeInvalidRequest, ReasonTransaction, err)
	}
	result, err := h.Client.Redeem(r.Context(), t, response)
	return result, p, err
}

// redirect redirects the browser with a GET request.
func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
