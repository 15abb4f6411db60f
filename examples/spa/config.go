// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/examples/internal/clientconfig"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
)

// config is the configuration file.
type config struct {
	clientconfig.File        // of the back end
	AppAddr           string `json:"app_addr" example:"127.0.0.1:8081"`            // host:port where the page is
	AppOrigin         string `json:"app_origin" example:"https://app.example.com"` // what browsers reach that by
}

func loadConfig(path string) (*config, error) {
	var c config
	if err := configfile.Read(path, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// check returns the mistakes that are none of the library's. What is no origin,
// the session says.
func (c *config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := configfile.CheckAddr(c.AppAddr); err != nil {
		fail("app_addr: %w", err)
	}
	if _, err := cookie.NewCrossSite(cookie.CrossSiteConfig{TrustedOrigins: []string{c.AppOrigin, c.PublicOrigin}}); err != nil {
		return errors.Join(errs...)
	}
	page, err1 := url.Parse(c.AppOrigin)
	backend, err2 := url.Parse(c.PublicOrigin)
	switch {
	case err1 != nil || err2 != nil: // then they are none
	case c.AppOrigin == c.PublicOrigin:
		fail("app_origin: is that of the back end; for one origin see examples/signin")
	case page.Scheme != backend.Scheme:
		fail("app_origin: is %s and public_origin is %s, so browsers keep the cookie back", page.Scheme, backend.Scheme)
	case siteOf(page.Hostname()) != siteOf(backend.Hostname()):
		fail("app_origin: is of another site than public_origin, so browsers keep the cookie back")
	}
	return errors.Join(errs...)
}

// siteOf returns what two hosts of one site have in common: the last two labels of
// a name. What a site is follows from the public suffix list, which is not looked
// up, so that a.co.uk and b.co.uk pass here, or a.github.io and b.github.io: then
// the mistake shows in the browser, where nobody stays signed in.
func siteOf(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(len(labels)-2, 0):], ".")
}
