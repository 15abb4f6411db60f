// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// check copies the lists, sets the defaults and returns all errors except those in the
// names of claims. longest bounds MaxLifetime.
func (i *Issuer) check(longest time.Duration) []error {
	for _, list := range []*[]string{
		&i.Audiences, &i.Clients, &i.SubjectClaims, &i.ClientClaims, &i.ScopeClaims, &i.RolesClaims,
		&i.Tenants, &i.AllowedScopes, &i.AllowedRoles, &i.PlainHTTPHosts,
	} {
		*list = slices.Clone(*list)
	}
	i.Algorithms = slices.Clone(i.Algorithms)
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if err := i.checkURL(); err != nil {
		fail("URL: %w", err)
	}
	if len(i.Audiences) == 0 && len(i.Clients) == 0 && !i.AcceptMissingAudience {
		fail("Audiences: at least one is required")
	}
	if len(i.Algorithms) == 0 {
		fail("Algorithms: at least one is required")
	}
	for _, a := range i.Algorithms {
		_, asymmetric := algorithms[a]
		_, symmetric := hmacHashes[a]
		if !asymmetric && !symmetric {
			fail("Algorithms: %q is not supported; RS256 and ES256 are the usual ones", string(a))
		}
	}
	if typednil.Is(i.Keys) {
		fail("Keys: required")
	}
	if i.Profile > Compatible {
		fail("Profile: got %d, want RFC9068 or Compatible", i.Profile)
	}
	if i.MaxLifetime == 0 {
		i.MaxLifetime = min(defaultMaxLifetime, longest)
	}
	if i.MaxLifetime < 0 || i.MaxLifetime > maxMaxLifetime {
		fail("MaxLifetime: got %v, want 0 to %v", i.MaxLifetime, maxMaxLifetime)
	} else if i.MaxLifetime > longest {
		fail("MaxLifetime: got %v, but Config.Revocations keeps revocations for lifetimes up to %v", i.MaxLifetime, longest)
	}
	if i.MaxTokenBytes == 0 {
		i.MaxTokenBytes = defaultTokenBytes
	}
	if i.MaxTokenBytes < 0 || i.MaxTokenBytes > maxTokenBytes {
		fail("MaxTokenBytes: got %d, want 0 to %d", i.MaxTokenBytes, maxTokenBytes)
	}
	return append(errs, i.checkClaims()...)
}

// checkClaims checks the settings for the content of tokens.
func (i *Issuer) checkClaims() []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, list := range []struct {
		name   string
		values []string
	}{
		{"Audiences", i.Audiences},
		{"Clients", i.Clients},
		{"Tenants", i.Tenants},
		{"AllowedScopes", i.AllowedScopes},
		{"AllowedRoles", i.AllowedRoles},
	} {
		for n, value := range list.values {
			if !isIdentifier(value) {
				fail("%s[%d]: must be 1 to %d bytes of UTF-8 without control characters", list.name, n, maxText)
			}
		}
	}
	for name, set := range map[string]bool{
		"Clients": len(i.Clients) > 0, "AcceptMissingAudience": i.AcceptMissingAudience, "AcceptNonce": i.AcceptNonce,
	} {
		if set && i.Profile == RFC9068 {
			fail("%s: requires Profile: Compatible", name)
		}
	}
	if i.Tenants != nil && len(i.Tenants) == 0 {
		fail("Tenants: at least one is required; set AnyTenant for all")
	}
	if len(i.Tenants) > 0 && i.AnyTenant {
		fail("AnyTenant: excludes Tenants")
	}
	if i.Header != "" {
		i.Header = http.CanonicalHeaderKey(i.Header)
		if !text.IsToken(i.Header) || i.Header == "Authorization" || i.Header == "Cookie" {
			fail("Header: must be the name of a header other than Authorization and Cookie")
		}
	}
	for n, host := range i.PlainHTTPHosts {
		if err := safeurl.CheckHostPort(host); err != nil {
			fail("PlainHTTPHosts[%d]: %w", n, err)
		}
	}
	return errs
}

func (i *Issuer) checkURL() error {
	parse := i.parseURL
	if _, discovers := i.Keys.(discover); !discovers {
		if i.URL != "" && !strings.Contains(i.URL, "://") {
			if !isIdentifier(i.URL) || i.URL[0] == '/' {
				return errors.New("neither an absolute URL nor a name")
			}
			return nil
		}
		parse = func(address string) (*url.URL, error) {
			if rest, plain := strings.CutPrefix(address, "http://"); plain {
				address = "https://" + rest
			}
			return safeurl.Parse(address)
		}
	}
	u, err := parse(i.URL)
	switch {
	case err != nil:
		return err
	case u.RawQuery != "" || u.ForceQuery:
		// RFC 8414 §2 (issuer): the issuer is a URL that "has no query or
		// fragment components".
		return errors.New("has a query; remove it")
	case strings.Contains(u.Path, "/.well-known/"):
		return errors.New("is a metadata address; the issuer is the part before /.well-known/")
	}
	return nil
}

// reportPlainHTTP reports the hosts with plain http at start.
func (i *issuer) reportPlainHTTP() {
	if len(i.PlainHTTPHosts) > 0 {
		_ = gatehouse.Report(context.Background(), i.observer, gatehouse.Event{
			Type: EventPlainHTTP, Level: slog.LevelWarn, Issuer: i.URL,
			Attrs: []slog.Attr{slog.String(AttrHosts, strings.Join(i.PlainHTTPHosts, " "))},
		})
	}
}

// parseURL parses an address from which this issuer's metadata or key set is
// fetched: https, or plain http for loopback addresses and PlainHTTPHosts.
func (i *Issuer) parseURL(address string) (*url.URL, error) {
	u, err := safeurl.Parse(address, i.PlainHTTPHosts...)
	if errors.Is(err, safeurl.ErrPlainHTTP) {
		return nil, errors.New("plain http is for loopback addresses and PlainHTTPHosts only")
	}
	return u, err
}
