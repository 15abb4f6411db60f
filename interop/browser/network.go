// SPDX-License-Identifier: Apache-2.0

package browser

import "testing"

// Cookie is a cookie of the browser.
type Cookie struct {
	Name     string  `json:"name"`
	Value    string  `json:"value"`
	Domain   string  `json:"domain"` // with a leading dot if subdomains get it too
	Path     string  `json:"path"`
	HTTPOnly bool    `json:"httpOnly"`
	Secure   bool    `json:"secure"`
	SameSite string  `json:"sameSite"`
	Expires  float64 `json:"expires"` // in seconds since 1970, -1 for a session cookie
}

// Cookies returns all cookies of the browser.
func (p *Page) Cookies(t testing.TB) []Cookie {
	t.Helper()
	var a struct{ Cookies []Cookie }
	p.call(t, "cookies", nil, &a)
	return a.Cookies
}

// Plant sets a cookie, as an attacker with access to the browser can.
func (p *Page) Plant(t testing.TB, c Cookie) {
	t.Helper()
	p.do(t, "plant", arguments{"cookies": []Cookie{c}})
}

// Exchange is a request of the browser and its response.
type Exchange struct {
	URL, Method string
	Type        string // "document", "fetch", "image" and so on
	Status      int
	Sent        map[string]string // the header of the request
	Header      map[string]string // that of the response; several values of a name have a newline between them
	Body        string            // of the response; "" for a redirect, and if the browser has dropped it
}

// Exchanges returns all exchanges of the browser profile so far, without WebSockets.
func (p *Page) Exchanges(t testing.TB) []Exchange {
	t.Helper()
	var a struct{ Exchanges []Exchange }
	p.call(t, "exchanges", nil, &a)
	return a.Exchanges
}
