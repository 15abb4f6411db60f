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
	// TrustedOrigins are the origins beside the server's own whose pages may
	// use it with the cookies of a user: exactly as browsers send them, such as
	// "https://app.example.com", with the port if it is not the default one and
	// without a slash at the end. Plain http is for loopback addresses only.
	// There are no wildcards. Optional.
	TrustedOrigins []string
}

// CrossSite tells requests that the server's own pages cause from those that
// the pages of others cause, which a browser sends with the same cookies. Every
// authenticator that reads a cookie asks it. It is safe for concurrent use.
//
// It is [http.CrossOriginProtection], which trusts the headers Sec-Fetch-Site
// and Origin since no page can forge them, and is stricter where that is made
// for requests without cookies:
//
//   - A request with an unsafe method that has neither header is refused: a
//     browser that is young enough to be trusted sends one of them.
//   - An upgrade, such as to a WebSocket, needs the server's own origin or a
//     trusted one, though its method is GET.
//   - Other requests with GET, HEAD or OPTIONS are refused if a page of another
//     origin causes them and they are not navigations: images, scripts, fetches.
//   - Over TLS an Origin of plain http is another origin.
//
// What remains is that a link or a frame on a page of others can cause a GET
// with cookies: a handler for GET must change nothing, and who may put its pages
// into a frame is for the frame-ancestors of its Content-Security-Policy to say.
// The Host header is trusted: a server that is reached under names that are not
// its own should refuse them.
type CrossSite struct {
	protection *http.CrossOriginProtection
	trusted    map[string]bool
}

// NewCrossSite makes the check. All mistakes in the configuration are reported
// at once.
func NewCrossSite(config CrossSiteConfig) (*CrossSite, error) {
	return newCrossSite(config.TrustedOrigins, "CrossSiteConfig")
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

// checkOrigin refuses what no browser sends as an Origin: it would never match.
//
//	RFC 6454 §6.2: scheme, "://", host in its ASCII form, and ":" and the port if
//	it "is different from the default port"
func checkOrigin(origin string) error {
	u, err := safeurl.Parse(origin)
	if err != nil {
		return err
	}
	if u.Scheme+"://"+u.Host != origin {
		return errors.New("is not an origin: only a scheme, a host and a port")
	}
	if strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") != "" {
		return errors.New("is not an origin as browsers write it: small letters, no wildcard")
	}
	return checkPort(u)
}

func checkPort(u *url.URL) error {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return errors.New("has an empty port")
		}
		return nil
	}
	n, _ := strconv.ParseUint(port, 10, 16) // what is out of range comes back as another
	if strconv.FormatUint(n, 10) != port {
		return errors.New("has a port that is none")
	}
	if u.Scheme == "https" && n == 443 || u.Scheme == "http" && n == 80 {
		return errors.New("names the default port, which browsers leave out")
	}
	return nil
}

// The refusals of Check, for operators.
var (
	errAmbiguous     = errors.New("cookie: several Origin or Sec-Fetch-Site headers")
	errNoOrigin      = errors.New("cookie: unsafe method with neither Sec-Fetch-Site nor Origin")
	errUpgradeOrigin = errors.New("cookie: upgrade that says nothing about its origin")
	errScheme        = errors.New("cookie: Origin is not of the server's own scheme and host")
)

// Check returns nil if the request may carry a cookie of ours, and otherwise a
// [*gatehouse.Error] of 403 and [gatehouse.ReasonCrossSite]. It reads nothing but
// the head of the request and changes nothing.
//
// Call it for requests that do carry such a cookie: for those of other clients
// it is too strict.
func (c *CrossSite) Check(r *http.Request) error {
	site, ok1 := single(r.Header, "Sec-Fetch-Site")
	origin, ok2 := single(r.Header, "Origin")
	if !ok1 || !ok2 {
		return errCrossSite(errAmbiguous)
	}
	silent := site == "" && origin == ""
	judged := r
	switch {
	case isUpgrade(r):
		// RFC 6455 §10.2: "Servers that are not intended to process input from any
		// web page but only for certain sites SHOULD verify the |Origin| field is
		// an origin they expect." No person opens a WebSocket from the address bar,
		// so "none" is no answer either.
		if silent || site == "none" {
			return errCrossSite(errUpgradeOrigin)
		}
		judged = asUnsafe(r)
	case isSafe(r.Method):
		if silent || r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			return nil
		}
		judged = asUnsafe(r)
	case silent:
		return errCrossSite(errNoOrigin)
	}
	// Where Origin alone decides, net/http compares its host to Host. It knows
	// nothing of the scheme, and takes "null" for the origin of a request without
	// a Host.
	if site == "" && !c.trusted[origin] && (r.Host == "" || r.TLS != nil && !strings.HasPrefix(origin, "https://")) {
		return errCrossSite(errScheme)
	}
	if err := c.protection.Check(judged); err != nil {
		return errCrossSite(err)
	}
	return nil
}

// single returns the value of a header, and false if there are several.
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

// isUpgrade reports whether the request asks to become something else than
// HTTP: by RFC 9110 §7.8, or by an extended CONNECT, RFC 8441.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0
}

// isSafe is the opinion of http.CrossOriginProtection.
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// asUnsafe returns what http.CrossOriginProtection needs to see of the request
// to judge it like one with an unsafe method.
func asUnsafe(r *http.Request) *http.Request {
	return &http.Request{Method: http.MethodPost, Host: r.Host, Header: r.Header}
}
