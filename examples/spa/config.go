// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse/examples/internal/clientconfig"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
)

// config is the configuration file.
type config struct {
	clientconfig.File        // of the back end
	AppAddr           string `json:"app_addr"`   // host:port where the page is
	AppOrigin         string `json:"app_origin"` // what browsers reach that by
}

func loadConfig(path string) (*config, error) {
	var c config
	if err := configfile.Read(path, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// check returns the mistakes that are none of the library's.
func (c *config) check() error {
	var errs []error
	if c.AppAddr == "" {
		errs = append(errs, errors.New("app_addr: required"))
	}
	switch {
	case c.AppOrigin == "", c.PublicOrigin == "": // the session says so
	case c.AppOrigin == c.PublicOrigin:
		errs = append(errs, errors.New("app_origin: is that of the back end; for one origin see examples/signin"))
	case !sameSite(c.AppOrigin, c.PublicOrigin):
		errs = append(errs, errors.New("app_origin: is of another site than public_origin, so browsers keep the cookie back"))
	}
	return errors.Join(errs...)
}

// sameSite reports whether two origins may be of one site. What that is follows
// from the public suffix list, which is not at hand; the last two labels of a
// name are less than that, and a mistake shows in the browser.
func sameSite(a, b string) bool {
	one, err1 := url.Parse(a)
	other, err2 := url.Parse(b)
	if err1 != nil || err2 != nil || one.Scheme != other.Scheme {
		return false
	}
	return siteOf(one.Hostname()) == siteOf(other.Hostname())
}

func siteOf(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(len(labels)-2, 0):], ".")
}
