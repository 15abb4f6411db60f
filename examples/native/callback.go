// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// outcome is how a login has ended.
type outcome struct {
	result oauth.Result
	err    error
}

// callback takes the one answer to a login, and tells ended of it.
//
// Every program and every page on the machine can send requests here. What does
// not carry the state of this login is refused and changes nothing, so that
// nobody but the authorization server and the person can end the login. What
// does carry it ends the login, well or not: a second answer is refused like a
// foreign one.
func callback(ctx context.Context, client *oauth.Client, transaction *oauth.Transaction, host, path string, ended chan<- outcome) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != host: // by another name: DNS that was made to lead here
			show(w, http.StatusMisdirectedRequest, pageForeign)
			return
		case r.URL.Path != path: // /favicon.ico, say
			show(w, http.StatusNotFound, pageForeign)
			return
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			show(w, http.StatusMethodNotAllowed, pageForeign)
			return
		}
		params, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			show(w, http.StatusBadRequest, pageForeign)
			return
		}
		// The context is that of the login: a browser that goes away does not take
		// the code along.
		result, err := client.Redeem(ctx, transaction, params)
		e, refused := errors.AsType[*gatehouse.Error](err)
		switch {
		case refused && e.Reason == gatehouse.ReasonLoginTransaction:
			show(w, e.Status(), pageForeign)
			return
		case refused && e.Code == gatehouse.CodeAccessDenied:
			show(w, e.Status(), pageRefused)
		case refused:
			show(w, e.Status(), pageFailed)
		default:
			show(w, http.StatusOK, pageDone)
		}
		ended <- outcome{result, err}
	})
}
