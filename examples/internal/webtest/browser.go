// SPDX-License-Identifier: Apache-2.0

package webtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Browser keeps cookies, also Secure ones of loopback addresses, and sends Origin
// and Sec-Fetch headers. Only Go follows redirects.
type Browser struct {
	UserAgent string

	t       testing.TB
	cookies map[string]*http.Cookie // by host and name
	mu      sync.Mutex

	seen strings.Builder // all responses
}

// NewBrowser makes a browser without cookies.
func NewBrowser(t testing.TB) *Browser {
	return &Browser{t: t, cookies: make(map[string]*http.Cookie)}
}

// Page is a response with its body.
type Page struct {
	URL    string
	Status int
	Header http.Header
	Body   string
}

// JSON decodes the body, which must be a JSON object.
func (p Page) JSON(t testing.TB) Object {
	t.Helper()
	var object Object
	if err := json.Unmarshal([]byte(p.Body), &object); err != nil {
		t.Fatalf("%s: %d %q is not a JSON object", p.URL, p.Status, p.Body)
	}
	return object
}

// String returns a short form for failure texts.
func (p Page) String() string {
	return fmt.Sprintf("%d %s %q", p.Status, p.Header.Get("Location"), p.Body[:min(len(p.Body), 200)])
}

// Request is a request of a browser. From is the origin of the page that causes
// it, "" if the user typed the address.
type Request struct {
	Method, URL, From string
	Navigation        bool
	Body, Type        string
	Header            http.Header
}

var transport = &http.Transport{DisableKeepAlives: true}

// Do sends a request and follows no redirect.
func (b *Browser) Do(request Request) Page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), request.Method, request.URL, strings.NewReader(request.Body))
	if err != nil {
		b.t.Fatal(err)
	}
	maps.Copy(r.Header, request.Header)
	if request.Type != "" {
		r.Header.Set("Content-Type", request.Type)
	}
	if b.UserAgent != "" {
		r.Header.Set("User-Agent", b.UserAgent)
	}
	own := r.URL.Scheme + "://" + r.URL.Host
	site := "none"
	switch {
	case request.From == own:
		site = "same-origin"
	case request.From != "":
		site = "cross-site"
		if from, err := url.Parse(request.From); err == nil && from.Hostname() == r.URL.Hostname() {
			site = "same-site"
		}
	}
	r.Header.Set("Sec-Fetch-Site", site)
	if request.Navigation {
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Accept", "text/html,*/*;q=0.8")
	} else {
		r.Header.Set("Sec-Fetch-Mode", "cors")
		r.Header.Set("Sec-Fetch-Dest", "empty")
		r.Header.Set("Accept", "application/json")
	}
	if request.From != "" && (request.Method != http.MethodGet || !request.Navigation && site != "same-origin") {
		r.Header.Set("Origin", request.From)
	}
	b.mu.Lock()
	// SameSite=Lax: cross-site requests carry cookies only if they are GET navigations.
	if site != "cross-site" || request.Navigation && request.Method == http.MethodGet {
		for key, c := range b.cookies {
			if strings.HasPrefix(key, r.URL.Hostname()+" ") {
				r.AddCookie(c)
			}
		}
	}
	b.mu.Unlock()
	client := http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range response.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite == 0 || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-") {
			b.t.Errorf("cookie %v, want Secure, HttpOnly, SameSite, Path=/ and the prefix __Host-", c)
		}
		key := r.URL.Hostname() + " " + c.Name
		if b.cookies[key] = c; c.MaxAge < 0 || !c.Expires.IsZero() && c.Expires.Before(time.Now()) {
			delete(b.cookies, key)
		}
	}
	page := Page{request.URL, response.StatusCode, response.Header, string(body)}
	fmt.Fprintln(&b.seen, response.Header, page.Body)
	return page
}

// Go navigates to a URL and follows redirects.
func (b *Browser) Go(address string) Page {
	b.t.Helper()
	from := ""
	for range 10 {
		page := b.Do(Request{Method: http.MethodGet, URL: address, From: from, Navigation: true})
		if page.Status < 300 || page.Status > 399 {
			return page
		}
		here, err := url.Parse(address)
		if err != nil {
			b.t.Fatal(err)
		}
		next, err := here.Parse(page.Header.Get("Location"))
		if err != nil {
			b.t.Fatal(err)
		}
		from, address = here.Scheme+"://"+here.Host, next.String()
	}
	b.t.Fatal("too many redirects")
	return Page{}
}

// Fetch sends a request as a script on a page of the origin from does.
func (b *Browser) Fetch(method, address, from string) Page {
	b.t.Helper()
	return b.Do(Request{Method: method, URL: address, From: from})
}

// Cookies returns the names of all cookies.
func (b *Browser) Cookies() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for key := range b.cookies {
		_, name, _ := strings.Cut(key, " ")
		names = append(names, name)
	}
	return names
}

// Copy returns another browser with the same cookies.
func (b *Browser) Copy() *Browser {
	b.mu.Lock()
	defer b.mu.Unlock()
	other := NewBrowser(b.t)
	maps.Copy(other.cookies, b.cookies)
	return other
}

// Seen returns the headers and bodies of all responses.
func (b *Browser) Seen() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen.String()
}
