// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// snippet: data

// Cart is what the session keeps between requests.
type Cart struct {
	Items map[string]int `json:"items"`
}

// shop returns a handler for use behind a gate.
func shop(sessions *session.Manager) http.Handler {
	carts := session.Data[Cart]{Sessions: sessions, Name: "cart"}
	messages := session.Data[[]string]{Sessions: sessions, Name: "messages"} // shown once
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		err1 := carts.Update(r.Context(), func(c *Cart) error {
			if c.Items == nil {
				c.Items = make(map[string]int)
			}
			c.Items[r.FormValue("item")]++
			return nil
		})
		err2 := messages.Update(r.Context(), func(m *[]string) error { *m = append(*m, "Added."); return nil })
		if err := errors.Join(err1, err2); err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, "/cart", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		cart, err1 := carts.Get(r.Context())
		shown, err2 := messages.Take(r.Context())
		if err := errors.Join(err1, err2); err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		fmt.Fprintln(w, cart.Items, shown)
	})
	return mux
}

// end snippet

// A cart and messages for the next page.
func ExampleData() {
	sessions, err := session.New(session.Config{Store: session.NewMemory(0)})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{sessions}, Realm: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	login := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/login", http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if err := sessions.Start(login, r, session.Login{Principal: gatehouse.Principal{Subject: "ada", Issuer: "example"}}); err != nil {
		log.Fatal(err)
	}
	h := gate.Handler(shop(sessions))
	for _, target := range []string{"POST /cart?item=tea", "POST /cart?item=tea", "GET /cart", "GET /cart"} {
		var method, path string
		_, _ = fmt.Sscan(target, &method, &path)
		r := httptest.NewRequest(method, path, http.NoBody)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.AddCookie(login.Result().Cookies()[0])
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(strings.TrimSpace(fmt.Sprintln(method, w.Code, w.Body)))
	}
	// Output:
	// POST 303
	// POST 303
	// GET 200 map[tea:2] [Added. Added.]
	// GET 200 map[tea:2] []
}
