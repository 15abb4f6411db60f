// SPDX-License-Identifier: Apache-2.0

// Package safeurl checks the URLs of a configuration: of resources, issuers, key
// sets, endpoints and login pages.
package safeurl

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

// Parse parses an absolute https URL without user information and fragment. It
// accepts plain http for loopback addresses only.
//
// Implements RFC 9728 §1.2.
func Parse(s string) (*url.URL, error) {
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
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("plain http is for loopback addresses only")
	}
	return nil, errors.New("not an https URL")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, _ := netip.ParseAddr(host) // on failure the zero Addr, which is no loopback address
	return addr.Unmap().IsLoopback()
}

// Origin returns the origin of u as one text, for comparisons: the scheme, the
// host in lower case and the port, which is there also where it is the default.
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

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
