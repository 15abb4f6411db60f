// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// checked returns the issuer of a preset or, if one of its parameters is invalid,
// an issuer that jwtauth.New refuses with these errors.
func checked(preset string, issuer jwtauth.Issuer, invalid ...error) jwtauth.Issuer {
	var errs []error
	for _, err := range invalid {
		if err != nil {
			errs = append(errs, fmt.Errorf("providers.%s: %w", preset, err))
		}
	}
	if len(errs) > 0 {
		return jwtauth.Issuer{Err: errors.Join(errs...)}
	}
	return issuer
}

// required checks that each value of a parameter is not empty.
func required(parameter string, values ...string) error {
	if len(values) == 0 {
		return fmt.Errorf("%s: at least one is required", parameter)
	}
	if slices.Contains(values, "") {
		return fmt.Errorf("%s: is empty", parameter)
	}
	return nil
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// consists reports whether value is not empty and has only characters of set.
func consists(value, set string) bool {
	return value != "" && strings.IndexFunc(value, func(r rune) bool { return !strings.ContainsRune(set, r) }) < 0
}

// label checks a name that becomes a part of a host name or of a path.
func label(parameter, value, example string) error {
	if !consists(value, letters+digits+"-_") {
		return fmt.Errorf("%s: got %q, want a name such as %q", parameter, value, example)
	}
	return nil
}

// hostName checks a host name with an optional port.
func hostName(parameter, value, example string) error {
	if u, err := url.Parse("https://" + value); err != nil || u.Host != value || u.Hostname() == "" || !strings.Contains(value, ".") {
		return fmt.Errorf("%s: got %q, want a host name such as %q", parameter, value, example)
	}
	return nil
}

// tenantID checks the ID of one Microsoft Entra tenant: "common" stands for every
// tenant, and iss has the ID even if clients use a domain name of the tenant.
func tenantID(tenant string) error {
	parts := strings.Split(tenant, "-")
	valid := len(parts) == 5
	for i, size := range []int{8, 4, 4, 4, 12} {
		valid = valid && len(parts[i]) == size && consists(parts[i], digits+"abcdef")
	}
	if !valid {
		return fmt.Errorf(`tenant: got %q, want the ID of one tenant in lower case, such as "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"`, tenant)
	}
	return nil
}

// address checks that a URL has no slash at the end. Package jwtauth checks the rest.
func address(parameter, value, example string) error {
	if u, err := url.Parse(value); err != nil || u.Scheme == "" || u.Host == "" || strings.HasSuffix(value, "/") {
		return fmt.Errorf("%s: got %q, want a URL without a slash at the end, such as %q", parameter, value, example)
	}
	return nil
}
