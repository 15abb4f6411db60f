// SPDX-License-Identifier: Apache-2.0

// Package safeurl checks the URLs of a configuration: of resources, issuers, key
// sets, endpoints and login pages.
package safeurl

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

// ErrPlainHTTP is the error for an http URL of another host.
var ErrPlainHTTP = errors.New("plain http is for loopback addresses only")

// Parse parses an absolute https URL without user information and fragment. It
// accepts plain http for loopback addresses and for the hosts in plainHTTP only, for
// whose format see [CheckHostPort]. The port of a URL without one is 80.
//
// Implements RFC 9728 §1.2.
func Parse(s string, plainHTTP ...string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return nil, errors.New("required")
	case err != nil || u.Hostname() == "":
		return nil, errors.New("not an absolute URL")
	case u.User != nil:
		return nil, errors.New("has user information in it")
	case strings.Contains(s, "#"):
		return nil, errors.New("has a fragment")
	case u.Scheme == "https", u.Scheme == "http" && (isLoopback(u.Hostname()) || slices.Contains(plainHTTP, hostPort(u))):
		return u, nil
	case u.Scheme == "http":
		return nil, ErrPlainHTTP
	}
	return nil, errors.New("not an https URL")
}

// ParseNamed parses a URL that a document at the URL by names, such as the jwks_uri of
// an issuer's metadata. It is like [Parse], but what an https document names must be
// https: otherwise the connection to it would be as weak as plain http.
func ParseNamed(by *url.URL, s string, plainHTTP ...string) (*url.URL, error) {
	u, err := Parse(s, plainHTTP...)
	if err == nil && by.Scheme == "https" && u.Scheme != "https" {
		return nil, errors.New("plain http, named by a document that came over https")
	}
	return u, err
}

// CheckHostPort checks an entry of a list of hosts for plain http: a host name in lower
// case or an IP address, with a port, such as "keycloak:8080" or "[fd00::1]:80".
func CheckHostPort(entry string) error {
	u, err := url.Parse("http://" + entry)
	if err == nil {
		_, err = strconv.ParseUint(u.Port(), 10, 16)
	}
	if err != nil || u.Port()[0] == '0' || u.Hostname() == "" || strings.Contains(entry, "*") || hostPort(u) != entry {
		return errors.New(`must be one host and port in lower case, such as "keycloak:8080"`)
	}
	return nil
}

// hostPort returns the host in lower case and the port of u.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, _ := netip.ParseAddr(host) // on failure the zero Addr, which is no loopback address
	return addr.IsLoopback()
}

// Origin returns the origin of u as one text, for comparisons: the scheme, the
// host in lower case and the port, which is there also where it is the default.
func Origin(u *url.URL) string { return u.Scheme + "://" + hostPort(u) }

// CheckLogin checks the URL of a login page: a path on this host, an https URL, or ""
// for none. Browsers read "//host" and "/\host" as URLs of another host, so that
// they are errors (open redirect).
func CheckLogin(login string) error {
	if login == "" {
		return nil
	}
	if !text.IsVisible(login) || strings.Contains(login, `\`) {
		return errors.New("has characters that a URL cannot have")
	}
	if strings.HasPrefix(login, "/") && !strings.HasPrefix(login, "//") {
		return nil
	}
	if !strings.Contains(login, "://") {
		return errors.New("is neither a path that begins with one / nor an https URL")
	}
	_, err := Parse(login)
	return err
}
