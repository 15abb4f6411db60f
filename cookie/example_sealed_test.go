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

// What a server wants to find again when the person comes back, and what
// nobody else is to read or write.
func ExampleSealed() {
	// In a service: gatehouse.LoadSecret("env:COOKIE_KEY", 32), and behind it the
	// key before, for as long as what it has sealed may still come.
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	keys, err := cookie.NewRing(gatehouse.NewSecret(key))
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
			fmt.Println("nobody has begun here")
			return
		case err != nil:
			fmt.Println("refused:", err)
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
	// nobody has begun here
	// back to /reports
	// refused: gatehouse: invalid_token (cookie_seal)
}
