// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// CrossSiteConfig configures [CrossSite].
type CrossSiteConfig struct {
	// TrustedOrigins are the other origins whose pages may send requests with the
	// cookies of a user, exactly as browsers write them: "https://app.example.com",
	// with the port if it is not the default one and without a slash at the end.
	// Plain http is accepted for loopback addresses only. There are no wildcards.
	// Optional.
	TrustedOrigins []string

	// AllowFraming accepts navigations with the cookie in a frame of another site or
	// origin. Set it for pages that others embed, such as a widget, and list the allowed
	// sites in frame-ancestors of a Content-Security-Policy. Without AllowFraming such a
	// request is rejected, so that a sibling host cannot use a page without
	// frame-ancestors for clickjacking.
	AllowFraming bool
}

// CrossSite protects against cross-site request forgery (CSRF): it rejects requests from
// pages of other origins, because browsers send the user's cookies with them too. Every
// authenticator that reads a cookie calls it. It is safe for concurrent use.
//
// It uses [http.CrossOriginProtection], which relies on the headers Sec-Fetch-Site
// and Origin that no page can forge, and is stricter for requests with cookies:
//
//   - A request with an unsafe method and neither header is rejected: all current
//     browsers send one of them.
//   - An upgrade, such as to a WebSocket, needs the server's own origin or a trusted one,
//     even with the method GET (cross-site WebSocket hijacking).
//   - Cross-origin requests with GET, HEAD or OPTIONS that are not navigations are
//     rejected: images, scripts, fetches.
//   - Over TLS, an Origin of plain http is another origin.
//   - Navigations in a frame of another origin are rejected, by Sec-Fetch-Dest, even if
//     it is another host of the same site (clickjacking).
//
// A link on a page of another site can still cause a GET with cookies: handlers for GET
// must change nothing. For browsers without Sec-Fetch-Dest, the application must set
// frame-ancestors in a Content-Security-Policy. The check trusts the Host header: reject
// requests for host names that are not yours.
type CrossSite struct {
	protection *http.CrossOriginProtection
	trusted    map[string]bool
	framing    bool
}

// NewCrossSite returns the check. It reports all errors in config at once.
func NewCrossSite(config CrossSiteConfig) (*CrossSite, error) {
	c, err := newCrossSite(config.TrustedOrigins, "CrossSiteConfig")
	if err != nil {
		return nil, err
	}
	c.framing = config.AllowFraming
	return c, nil
}

func newCrossSite(origins []string, field string) (*CrossSite, error) {
	c := &CrossSite{protection: http.NewCrossOriginProtection(), trusted: make(map[string]bool)}
	var errs []error
	for i, origin := range origins {
		err := checkOrigin(origin)
		if err == nil {
			err = c.protection.AddTrustedOrigin(origin)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("cookie: %s.TrustedOrigins[%d]: %w", field, i, err))
		}
		c.trusted[origin] = true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// checkOrigin rejects text that no browser sends as an Origin: it would never match.
//
//	RFC 6454 §6.2: scheme, "://", host in its ASCII form, and ":" and the port if
//	it "is different from the default port"
func checkOrigin(origin string) error {
	u, err := safeurl.Parse(origin)
	if err != nil {
		return err
	}
	if u.Scheme+"://"+u.Host != origin {
		return errors.New("not an origin: write a scheme, a host and a port only")
	}
	if strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") != "" {
		return errors.New("not an origin as browsers write it: use lower case ASCII, no wildcard")
	}
	return checkPort(u)
}

func checkPort(u *url.URL) error {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return errors.New("empty port")
		}
		return nil
	}
	n, _ := strconv.ParseUint(port, 10, 16) // another number if it is out of range
	if strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("invalid port %s", port)
	}
	if u.Scheme == "https" && n == 443 || u.Scheme == "http" && n == 80 {
		return fmt.Errorf("leave out the default port %s, as browsers do", port)
	}
	return nil
}

// The causes of refusals by Check.
var (
	errAmbiguous     = errors.New("cookie: several Origin or Sec-Fetch-Site headers")
	errNoOrigin      = errors.New("cookie: unsafe method with neither Sec-Fetch-Site nor Origin")
	errUpgradeOrigin = errors.New("cookie: upgrade without an origin")
	errFramed        = errors.New("cookie: in a frame of another origin")
	errScheme        = errors.New("cookie: Origin has another scheme or host than the request")
)

// Check returns nil for a request from a page of this or a trusted origin, and for a
// request that no page causes. Otherwise it returns a [*gatehouse.Error] of 403 with
// [ReasonCrossSite]. It reads only the method, the host, the headers and the TLS state of
// r.
//
// Call it only for requests that carry a cookie: it is too strict for other clients.
//
// Implements RFC 10017 §6.1.3.3; ASVS 5.0 §3.5.1.
func (c *CrossSite) Check(r *http.Request) error {
	site, ok1 := single(r.Header, "Sec-Fetch-Site")
	origin, ok2 := single(r.Header, "Origin")
	if !ok1 || !ok2 {
		return errCrossSite(errAmbiguous)
	}
	if site == "same-origin" {
		return nil // net/http accepts it, and no page can forge it
	}
	silent := site == "" && origin == ""
	checked := r
	switch {
	case isUpgrade(r):
		// RFC 6455 §10.2: "Servers that are not intended to process input from any
		// web page but only for certain sites SHOULD verify the |Origin| field is
		// an origin they expect." Browsers do not open a WebSocket from the address
		// bar, so "none" is rejected too.
		if silent || site == "none" {
			return errCrossSite(errUpgradeOrigin)
		}
		checked = asUnsafe(r)
	case isSafe(r.Method):
		if !c.framing && isFramed(site, r.Header.Get("Sec-Fetch-Dest")) {
			return errCrossSite(errFramed)
		}
		if silent || r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			return nil
		}
		checked = asUnsafe(r)
	case silent:
		return errCrossSite(errNoOrigin)
	}
	// Without Sec-Fetch-Site, net/http compares the host of Origin with Host. It ignores
	// the scheme, and accepts "null" for a request without Host.
	if site == "" && !c.trusted[origin] && (r.Host == "" || r.TLS != nil && !strings.HasPrefix(origin, "https://")) {
		return errCrossSite(errScheme)
	}
	if err := c.protection.Check(checked); err != nil {
		return errCrossSite(err)
	}
	return nil
}

// isFramed reports whether a page of another origin, or of an unknown one,
// shows the response in a frame.
func isFramed(site, destination string) bool {
	switch destination {
	case "iframe", "frame", "fencedframe", "object", "embed":
		return site != "none"
	}
	return false
}

// single returns the value of a header, "" for none, and false for several.
func single(h http.Header, name string) (string, bool) {
	values := h[name]
	switch len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	}
	return "", false
}

// isUpgrade reports whether the request asks for another protocol than HTTP: by
// RFC 9110 §7.8, or by an extended CONNECT, RFC 8441.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0
}

// isSafe reports whether http.CrossOriginProtection treats the method as safe.
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// asUnsafe returns a request for which http.CrossOriginProtection decides as if r
// had an unsafe method.
func asUnsafe(r *http.Request) *http.Request {
	return &http.Request{Method: http.MethodPost, Host: r.Host, Header: r.Header}
}
