// SPDX-License-Identifier: Apache-2.0

// Package safeurl reads the URLs of configuration: of resources, of issuers, of
// key sets and of endpoints.
package safeurl

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Parse reads an absolute https URL without user information and fragment.
// Plain http is accepted for loopback addresses only, where nobody else can
// listen.
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
	addr, _ := netip.ParseAddr(host) // the zero Addr is no loopback address
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
