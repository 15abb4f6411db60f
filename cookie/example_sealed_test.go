// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// The state of a login, which the server needs again at the callback and which
// others must not read or change.
func ExampleSealed() {
	// In a service: gatehouse.LoadSecret("env:COOKIE_KEY", 32), followed by the
	// previous key until the values that it sealed have expired.
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	keys, err := cookie.NewKeyring(gatehouse.NewSecret(key))
	if err != nil {
		panic(err)
	}
	transaction, err := cookie.NewSealed(cookie.SealedConfig{
		Cookie:   cookie.Config{Name: "tx"},
		Keys:     keys,
		Purpose:  "login transaction",
		Lifetime: 10 * time.Minute,
	})
	if err != nil {
		panic(err)
	}

	type state struct{ Issuer, ReturnTo string }
	start := func(w http.ResponseWriter, r *http.Request) {
		value, _ := json.Marshal(state{"https://auth.example.com", "/reports"})
		if err := transaction.Set(w, r, value); err != nil {
			panic(err)
		}
	}
	callback := func(w http.ResponseWriter, r *http.Request) {
		value, err := transaction.Open(r)
		switch {
		case errors.Is(err, http.ErrNoCookie):
			fmt.Println("no login was started in this browser")
			return
		case err != nil:
			fmt.Println("rejected:", err)
			return
		}
		transaction.Clear(w, r)
		var s state
		if err := json.Unmarshal(value, &s); err != nil {
			panic(err)
		}
		fmt.Println("back to", s.ReturnTo)
	}

	w := httptest.NewRecorder()
	start(w, httptest.NewRequest(http.MethodGet, "/login", nil))
	sent := w.Result().Cookies()[0]

	r := httptest.NewRequest(http.MethodGet, "/callback", nil)
	callback(httptest.NewRecorder(), r)

	r.AddCookie(&http.Cookie{Name: sent.Name, Value: sent.Value})
	callback(httptest.NewRecorder(), r)

	r = httptest.NewRequest(http.MethodGet, "/callback", nil)
	r.AddCookie(&http.Cookie{Name: sent.Name, Value: sent.Value[:len(sent.Value)-1]})
	callback(httptest.NewRecorder(), r)

	// Output:
	// no login was started in this browser
	// back to /reports
	// rejected: gatehouse: invalid_token (cookie_seal_invalid)
}
