// SPDX-License-Identifier: Apache-2.0

package browser

import "testing"

// Cookie is a cookie as the browser keeps it.
type Cookie struct {
	Name     string  `json:"name"`
	Value    string  `json:"value"`
	Domain   string  `json:"domain"` // begins with a dot if it is not of that host alone
	Path     string  `json:"path"`
	HTTPOnly bool    `json:"httpOnly"`
	Secure   bool    `json:"secure"`
	SameSite string  `json:"sameSite"`
	Expires  float64 `json:"expires"` // in seconds since 1970, -1 if it goes with the browser
}

// Cookies are all that the browser keeps.
func (p *Page) Cookies(t testing.TB) []Cookie {
	t.Helper()
	var a struct{ Cookies []Cookie }
	p.call(t, "cookies", nil, &a)
	return a.Cookies
}

// Plant puts a cookie into the browser, as somebody can who has sat before it.
func (p *Page) Plant(t testing.TB, c Cookie) {
	t.Helper()
	p.do(t, "plant", arguments{"cookies": []Cookie{c}})
}

// Exchange is a request of the browser and its answer.
type Exchange struct {
	URL, Method string
	Type        string // "document", "fetch", "image" and so on
	Status      int
	Sent        map[string]string // the header of the request
	Header      map[string]string // that of the response; several values of a name have a newline between them
	Body        string            // of the response; "" for a redirect, and where the browser keeps it no more
}

// Exchanges are all so far of the person's browser, WebSockets not among them.
func (p *Page) Exchanges(t testing.TB) []Exchange {
	t.Helper()
	var a struct{ Exchanges []Exchange }
	p.call(t, "exchanges", nil, &a)
	return a.Exchanges
}
