// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

var (
	errMethod = errors.New("oauth: the callback is not a GET")
	errQuery  = errors.New("oauth: the query is malformed")
)

// Callback ends a login. The handler of the redirect URI calls it before it
// writes anything; the response then carries the header that removes the
// transaction from the browser.
//
// First of all it demands that this browser has begun this very login, which is
// over then, whatever comes of it. Only after that it looks at which server the
// response is of, at the error, and at the code, which it redeems; at last it
// demands that the tokens are those of this login.
//
// On success the application makes a new session, of [Result.Session] say, and
// redirects to the ReturnTo. The error is a [*gatehouse.Error], and is safe to show: see
// [Login.Refuse].
func (l *Login) Callback(w http.ResponseWriter, r *http.Request) (Result, error) {
	start := time.Now()
	private(w.Header())
	result, err := l.callback(w, r)
	if err != nil {
		return Result{}, l.tell(r, start, err)
	}
	event := l.event(r, start)
	event.Decision = gatehouse.Allowed
	event.Principal = result.Principal()
	event.Principal.Claims = gatehouse.Claims{}
	if e := l.observe(r, event); e != nil {
		return Result{}, e
	}
	return result, nil
}

func (l *Login) callback(w http.ResponseWriter, r *http.Request) (Result, error) {
	if r.Method != http.MethodGet {
		return Result{}, l.client.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginResponse, errMethod)
	}
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Result{}, l.client.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginResponse, errQuery)
	}
	t, err := l.recall(w, r, params)
	if err != nil {
		return Result{}, l.client.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginTransaction, err)
	}
	result, err := l.client.redeem(r.Context(), t, params)
	if err != nil {
		return Result{}, err
	}
	result.ReturnTo = t.ReturnTo
	return result, nil
}

// recall returns the transaction of the callback, and ends it.
func (l *Login) recall(w http.ResponseWriter, r *http.Request, params url.Values) (transaction, error) {
	states := params["state"]
	if len(states) == 0 {
		return transaction{}, errState
	}
	sealed, err := l.transactionCookie(nameOf(states[0]))
	if err != nil {
		return transaction{}, err
	}
	value, err := sealed.Open(r)
	if err != nil {
		return transaction{}, err
	}
	t, err := parseTransaction(value)
	if err != nil {
		return transaction{}, err
	}
	if err := t.of(params); err != nil {
		return transaction{}, err
	}
	sealed.Clear(w, r)
	return t, nil
}
