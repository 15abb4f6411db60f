// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"errors"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/gatehouse-go/gatehouse/apikey"
)

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checksum is a second implementation of the checksum, from its definition.
func checksum(body string) string { return base62(uint64(crc32.ChecksumIEEE([]byte(body)))) }

func base62(n uint64) (text string) {
	for range 6 {
		text = digits[n%62:][:1] + text
		n /= 62
	}
	return text
}

// golden is a key that every version must parse.
const golden = "acme_live_0123456789ABCDEF_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" + goldenSum

const goldenSum = "3NxMSK"

func TestParseGolden(t *testing.T) {
	if sum := checksum(golden[:len(golden)-6]); sum != goldenSum {
		t.Fatalf("checksum(golden) = %s, want %s", sum, goldenSum)
	}
	want := apikey.Label{Prefix: "acme", Environment: "live", ID: "0123456789ABCDEF"}
	if got, err := apikey.Parse(golden); err != nil || got != want || got.String() != "acme_live_0123456789ABCDEF" {
		t.Errorf("Parse(golden) = %v, %v, want %v", got, err, want)
	}
}

func TestCreateReturnsRandomKeys(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1) // each run has the same counts
	f := newKeys(t, nil)
	seen := make(map[string]bool)
	count := make(map[byte]int)
	pattern := regexp.MustCompile("^" + apikey.Pattern("acme") + "$")
	for range 500 {
		key, text := f.create(t, request())
		parts := strings.Split(text, "_")
		if len(parts) != 4 || parts[0] != "acme" || parts[1] != "live" || parts[2] != key.ID || len(parts[3]) != 43+6 || !pattern.MatchString(text) {
			t.Fatal("the text of the key has another format")
		}
		if body := text[:len(text)-6]; text[len(body):] != checksum(body) {
			t.Fatal("the checksum of the key is wrong")
		}
		for _, part := range []string{parts[2], parts[3][:43]} {
			if seen[part] {
				t.Fatal("an ID or a secret occurred twice")
			}
			seen[part] = true
			for i := range len(part) {
				count[part[i]]++
			}
		}
	}
	// 29,500 characters: 476 of each on average, with a standard deviation of 22.
	for i := range len(digits) {
		if n := count[digits[i]]; n < 476-4*22 || n > 476+4*22 {
			t.Errorf("%q occurs %d times, want 476 ± 88", digits[i], n)
		}
	}
}

// malformedKeys are texts that are almost a key.
func malformedKeys() map[string]string {
	parts := strings.Split(golden, "_")
	resum := func(body string) string { return body + checksum(body) }
	body := golden[:len(golden)-6]
	return map[string]string{
		"empty":                    "",
		"prefix alone":             "acme_",
		"label alone":              "acme_live_0123456789ABCDEF",
		"no checksum":              body,
		"wrong checksum":           body + "000000",
		"checksum in base 64":      body + "3N+MSK",
		"checksum above 32 bits":   body + base62(1<<32+uint64(crc32.ChecksumIEEE([]byte(body)))),
		"truncated":                golden[:len(golden)-1],
		"one character more":       golden + "0",
		"space before":             " " + golden,
		"space after":              golden + " ",
		"line break after":         golden + "\n",
		"twice":                    golden + golden,
		"five parts":               golden + "_x",
		"upper-case prefix":        resum("ACME_" + strings.SplitN(body, "_", 2)[1]),
		"digit first":              resum("1cme_" + strings.SplitN(body, "_", 2)[1]),
		"short prefix":             resum("a_" + strings.SplitN(body, "_", 2)[1]),
		"long prefix":              resum("acmeacmeacmeacmea_" + strings.SplitN(body, "_", 2)[1]),
		"no prefix":                resum("_" + strings.SplitN(body, "_", 2)[1]),
		"no environment":           resum("acme__" + parts[2] + "_" + parts[3][:43]),
		"environment of 17":        resum("acme_abcdefghijklmnopq_" + parts[2] + "_" + parts[3][:43]),
		"environment with a digit": resum("acme_1live_" + parts[2] + "_" + parts[3][:43]),
		"environment missing":      resum("acme_" + parts[2] + "_" + parts[3][:43]),
		"short ID":                 resum("acme_live_" + parts[2][1:] + "_" + parts[3][:43]),
		"long ID":                  resum("acme_live_0" + parts[2] + "_" + parts[3][:43]),
		"malformed ID":             resum("acme_live_0123456789ABCDE-_" + parts[3][:43]),
		"short secret":             resum("acme_live_" + parts[2] + "_" + parts[3][:42]),
		"long secret":              resum("acme_live_" + parts[2] + "_0" + parts[3][:43]),
		"malformed secret":         resum("acme_live_" + parts[2] + "_" + parts[3][:42] + "-"),
		"malformed first of it":    resum("acme_live_" + parts[2] + "_-" + parts[3][1:43]),
		"non-ASCII secret":         resum("acme_live_" + parts[2] + "_" + parts[3][:41] + "é"),
		"no separator before ID":   resum("acme_live0" + parts[2] + "_" + parts[3][:43]),
		"no separator after ID":    resum("acme_live_" + parts[2] + "0" + parts[3][:43]),
		"dashes":                   strings.ReplaceAll(golden, "_", "-"),
		"a megabyte":               strings.Repeat("acme_live_", 100_000),
	}
}

func TestParseRejectsMalformedKeys(t *testing.T) {
	f := newKeys(t, nil)
	for name, text := range malformedKeys() {
		send(t, get(text), f.Keys)
		if label, err := apikey.Parse(text); !errors.Is(err, apikey.ErrMalformed) || label != (apikey.Label{}) {
			t.Errorf("Parse(%s) = %v, %v, want ErrMalformed", name, label, err)
		}
	}
	f.wantCalls(t, "Find", 0)
}

// The checksum detects each replaced character and each swapped pair.
func TestParseRejectsTypingErrors(t *testing.T) {
	f := newKeys(t, nil)
	for i := range len(golden) {
		for j := range len(digits) {
			text := golden[:i] + digits[j:j+1] + golden[i+1:]
			if _, err := apikey.Parse(text); (err == nil) != (text == golden) {
				t.Errorf("Parse with character %d replaced by %s: error = %v", i, digits[j:j+1], err)
			} else if err != nil {
				_, _ = f.Authenticate(get(text))
			}
		}
		if i > 0 && golden[i] != golden[i-1] {
			text := golden[:i-1] + golden[i:i+1] + golden[i-1:i] + golden[i+1:]
			if _, err := apikey.Parse(text); err == nil {
				t.Errorf("Parse with characters %d and %d swapped: error = nil, want ErrMalformed", i-1, i)
			}
		}
	}
	f.wantCalls(t, "Find", 0)
}

func TestPatternFindsKeys(t *testing.T) {
	pattern := regexp.MustCompile(apikey.Pattern("acme"))
	for _, text := range []string{
		golden, "key=" + golden, `"` + golden + `"`, "https://example.com/?k=" + golden + "&x", "export KEY='" + golden + "'\n",
	} {
		if found := pattern.FindString(text); found != golden {
			t.Errorf("Pattern finds %q in %q, want the key", found, text)
		}
	}
	anchored := regexp.MustCompile(`^(?:` + apikey.Pattern("acme") + `)$`)
	for name, text := range malformedKeys() {
		// A regular expression cannot verify the checksum.
		if name != "wrong checksum" && anchored.MatchString(text) {
			t.Errorf("Pattern matches the malformed key %q, want no match", name)
		}
	}
	for _, text := range []string{"x" + golden, "_" + golden, golden + "0", golden + "_", "acmo" + golden[4:]} {
		if pattern.MatchString(text) {
			t.Errorf("Pattern matches in %q, want no match", text)
		}
	}
}

// Each key has exactly one text that Parse accepts.
func FuzzParse(f *testing.F) {
	f.Add(golden)
	for _, text := range malformedKeys() {
		f.Add(text[:min(len(text), 200)])
	}
	pattern := regexp.MustCompile(`^[a-z][a-z0-9]{1,15}_[a-z][a-z0-9]{0,15}_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}[0-4][0-9A-Za-z]{5}$`)
	f.Fuzz(func(t *testing.T, text string) {
		label, err := apikey.Parse(text)
		if err != nil {
			if !errors.Is(err, apikey.ErrMalformed) || label != (apikey.Label{}) {
				t.Errorf("Parse(%q) = %v, %v, want ErrMalformed", text, label, err)
			}
			return
		}
		secret := text[strings.LastIndexByte(text, '_')+1:]
		body := label.String() + "_" + secret[:43]
		if again := body + checksum(body); again != text {
			t.Errorf("Parse(%q) accepts a second text of %q", text, again)
		}
		if !pattern.MatchString(text) {
			t.Errorf("Pattern does not match the valid key %q", text)
		}
	})
}
