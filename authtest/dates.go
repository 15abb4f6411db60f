// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

var timeAttacks = []func(*kit){expiry, expiryForms, lifetime, notBefore, issuedAt, fractions}

// claim is a token in which one claim has another JSON value.
func (k *kit) claim(name, claim, value string) {
	if value == k.claims().value(claim) {
		return // the change does not apply to the name of this issuer
	}
	if value == "null" && !k.profiled() && slices.Contains([]string{"iat", "nbf", "scope", "act"}, claim) {
		return // some providers send null for an optional claim that is missing
	}
	k.signed(name, k.header(), k.claims().set(claim, value))
}

func unix(after time.Duration) string { return strconv.FormatInt(time.Now().Add(after).Unix(), 10) }

// notDates are values that are no NumericDate. A parser that wraps, rounds or
// converts reads some of them as the valid date.
//
//	RFC 7519 §2: NumericDate is "A JSON numeric value representing the number of
//	seconds from 1970-01-01T00:00:00Z UTC".
func notDates(valid string) []struct{ name, value string } {
	seconds, err := strconv.ParseUint(valid, 10, 63)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err)) // valid comes from this package
	}
	return []struct{ name, value string }{
		{"null", "null"},
		{"a string", quote(valid)},
		{"a string of a float", `"1e10"`},
		{"a date", quote(time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339))},
		{"true", "true"},
		{"an array", "[" + valid + "]"},
		{"an empty array", "[]"},
		{"an object", "{}"},
		{"NaN", "NaN"},
		{"Infinity", "Infinity"},
		{"a leading zero", "0" + valid},
		{"a plus", "+" + valid},
		{"hexadecimal", fmt.Sprintf("%#x", seconds)},
		{"a separator", valid[:4] + "_" + valid[4:]},
		{"a dot after", valid + "."},
		{"an exponent", valid + "e0"},
		{"an exponent, shifted", valid[:1] + "." + valid[1:] + "E+" + strconv.Itoa(len(valid)-1)},
		{"1e400", "1e400"},
		{"1e308", "1e308"},
		{"1e19", "1e19"},
		{"2^63", "9223372036854775808"},
		{"2^64 more", fmt.Sprintf("1844674407%010d", uint64(3709551616)+seconds)},
		{"negative", "-" + valid},
		{"minus one", "-1"},
		{"twenty digits", "99999999999999999999"},
		{"year 10000", "253402300800"},
	}
}

// expiry is an expired token.
//
//	RFC 7519 §4.1.4: exp is the time "on or after which the JWT MUST NOT be
//	accepted for processing".
//
// Verifiers may allow some minutes of skew; the catalogue allows five.
func expiry(k *kit) {
	k.row = "exp"
	k.signed("missing", k.header(), k.claims().without("exp"))
	k.claim("0", "exp", "0")
	k.claim("-0", "exp", "-0")
	k.claim("1", "exp", "1")
	// With an earlier iat, so that only the expiry is wrong.
	for _, past := range []time.Duration{6 * time.Minute, time.Hour, 20 * time.Hour} {
		claims := k.claims().set("iat", unix(-past-5*time.Minute)).set("exp", unix(-past))
		k.signed(fmt.Sprintf("%v ago", past), k.header(), claims)
	}
}

func expiryForms(k *kit) {
	k.row = "exp malformed"
	for _, test := range notDates(unix(5 * time.Minute)) {
		k.claim(test.name, "exp", test.value)
	}
}

// lifetime is a token that is valid for too long.
func lifetime(k *kit) {
	k.row = "lifetime"
	for _, test := range []struct{ name, exp string }{
		{"25 hours", unix(25 * time.Hour)},
		{"a year", unix(365 * 24 * time.Hour)},
		{"until 2286", "9999999999"},
		{"until 5107", "99000000000"},
		{"until 9999", "253402300799"},
		{"1e18 in full", "1000000000000000000"},
		{"milliseconds", unix(5*time.Minute) + "000"},
	} {
		k.claim(test.name, "exp", test.exp)
	}
	k.signed("issued 25 hours ago", k.header(), k.claims().set("iat", unix(-25*time.Hour)))
	k.signed("expires before it is issued", k.header(), k.claims().set("iat", unix(0)).set("exp", unix(-10*time.Second)))
	k.signed("issued in 1970", k.header(), k.claims().set("iat", "0"))
	now := time.Now()
	k.valid("a day, to the second", k.header(), k.claims().set("iat", fmt.Sprint(now.Unix())).set("exp", fmt.Sprint(now.Add(24*time.Hour).Unix())))
}

// notBefore is a token that is not valid yet.
//
//	RFC 7519 §4.1.5: nbf is the time "before which the JWT MUST NOT be accepted
//	for processing".
func notBefore(k *kit) {
	k.row = "nbf"
	k.claim("in 6 minutes", "nbf", unix(6*time.Minute))
	k.claim("in an hour", "nbf", unix(time.Hour))
	k.claim("in 2286", "nbf", "9999999999")
	for _, test := range notDates(unix(-time.Minute)) {
		k.claim(test.name, "nbf", test.value)
	}
	k.valid("a minute ago", k.header(), k.claims().set("nbf", unix(-time.Minute)))
}

func issuedAt(k *kit) {
	k.row = "iat"
	if k.profiled() {
		// RFC 9068 §2.2: "iat REQUIRED".
		k.signed("missing", k.header(), k.claims().without("iat"))
	}
	// With a later exp, so that only the time of issue is wrong.
	k.signed("in 6 minutes", k.header(), k.claims().set("iat", unix(6*time.Minute)).set("exp", unix(10*time.Minute)))
	k.signed("in an hour", k.header(), k.claims().set("iat", unix(time.Hour)).set("exp", unix(2*time.Hour)))
	k.signed("behind exp", k.header(), k.claims().set("iat", unix(10*time.Minute)))
	for _, test := range notDates(unix(0)) {
		k.claim(test.name, "iat", test.value)
	}
}

// fractions are fractions of a second, which are allowed.
//
//	RFC 7519 §2: "non-integer values can be represented".
func fractions(k *kit) {
	k.row = "fraction of a second"
	for _, name := range []string{"exp", "iat", "nbf"} {
		value := unix(-time.Minute)
		if name == "exp" {
			value = unix(5 * time.Minute)
		}
		k.valid(name, k.header(), k.claims().set(name, value+".5"))
	}
}
