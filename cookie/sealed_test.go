// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

const sealedName = "__Host-Http-box"

// maxValue is the largest value that fits into four cookies of this name: all
// characters without the count, in octets, without key id, nonce, expiry and tag.
const maxValue = (4*4096-4*len(sealedName)-3*len(".1")-1)*3/4 - 49

func newBox(tb testing.TB, seeds ...byte) *cookie.Sealed {
	tb.Helper()
	return must(cookie.NewSealed(cookie.SealedConfig{
		Cookie: cookie.Config{Name: "box"}, Keys: newKeyring(tb, seeds...), Purpose: "test", Lifetime: time.Hour,
	}))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// Sizes around every boundary: a value is split into as few cookies as possible,
// all but the last of 4096 octets.
//
// Covers RFC 6265bis §5.6.
func TestSealedSplitsLargeValues(t *testing.T) {
	s := newBox(t, 1)
	if s.Name() != sealedName {
		t.Fatalf("Name = %s, want %s", s.Name(), sealedName)
	}
	var sizes []int
	chars := 0
	for _, capacity := range []int{4096 - len(sealedName) - 1, 4096 - len(sealedName) - 2, 4096 - len(sealedName) - 2} {
		chars += capacity
		full := chars*3/4 - 49
		sizes = append(sizes, full-2, full-1, full, full+1, full+2)
	}
	sizes = append(sizes, 0, 1, 300, maxValue-1, maxValue)
	for _, size := range sizes {
		value := random(size)
		b := newBrowser(t)
		b.put(s, value)
		got, err := s.Open(b.send(newRequest(http.MethodGet)))
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("Open(%d octets) = %d octets, %v", size, len(got), err)
		}
		want := 1
		if text := ((size+49)*4+2)/3 + 1; text > 4096-len(sealedName) {
			want += (text - (4096 - len(sealedName)) + 4093 - len(sealedName)) / (4094 - len(sealedName))
		}
		if len(b.names) != want {
			t.Errorf("%d octets are split into %d cookies, want %d", size, len(b.names), want)
		}
		for i, name := range b.names {
			octets := len(name) + len(b.jar[name])
			if i < len(b.names)-1 && octets != 4096 {
				t.Errorf("%d octets: cookie %d of %d has %d octets, want 4096", size, i, len(b.names), octets)
			}
		}
		if first := b.jar[sealedName][0]; first != byte('0'+want) {
			t.Errorf("%d octets: count = %q, want %d", size, first, want)
		}
	}
	w := newResponse()
	w.Header().Set("Set-Cookie", "other=1")
	for _, size := range []int{maxValue + 1, 1 << 20} {
		if err := s.Set(w, newRequest(http.MethodGet), make([]byte, size)); !errors.Is(err, cookie.ErrTooLarge) {
			t.Errorf("Set(%d octets) error = %v, want %v", size, err, cookie.ErrTooLarge)
		}
		if got := w.Header()["Set-Cookie"]; len(w.Header()) != 1 || len(got) != 1 || got[0] != "other=1" {
			t.Errorf("Set of a rejected value changed the header to %v", w.Header())
		}
	}
}

func TestSealedClearsStaleParts(t *testing.T) {
	s := newBox(t, 1)
	b := newBrowser(t)
	for _, step := range []struct {
		size int
		want []string
	}{
		{100, []string{sealedName}},
		{8000, []string{sealedName, sealedName + ".1", sealedName + ".2"}},
		{maxValue, []string{sealedName, sealedName + ".1", sealedName + ".2", sealedName + ".3"}},
		{4000, []string{sealedName, sealedName + ".1"}},
		{100, []string{sealedName}},
	} {
		value := random(step.size)
		b.put(s, value)
		if got := b.has(); !slices.Equal(got, step.want) {
			t.Errorf("cookies after Set(%d octets) = %v, want %v", step.size, got, step.want)
		}
		if got, err := s.Open(b.send(newRequest(http.MethodGet))); err != nil || len(got) != step.size {
			t.Errorf("Open(%d octets) = %d octets, %v", step.size, len(got), err)
		}
	}
	for _, size := range []int{100, maxValue} {
		b.put(s, random(size))
		w := newResponse()
		s.Clear(w, b.send(newRequest(http.MethodGet)))
		if b.receive(w); len(b.has()) != 0 {
			t.Errorf("cookies after Clear = %v, want none", b.has())
		}
		if _, err := s.Open(b.send(newRequest(http.MethodGet))); !errors.Is(err, http.ErrNoCookie) {
			t.Errorf("Open after Clear error = %v, want %v", err, http.ErrNoCookie)
		}
	}
	// Parts that the request does not have, and other cookies, are not cleared.
	// The cleared ones have the attributes without which browsers ignore it.
	w := newResponse()
	s.Clear(w, newRequest(http.MethodGet, "Cookie", sealedName+".2=x; "+sealedName+".4=x; "+sealedName+".x=x; "+sealedName+".11=x; "+sealedName+"1=x; "+sealedName+"-3=x"))
	const cleared = "=; Path=/; HttpOnly; Secure; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	wantSetCookie(t, w, sealedName+cleared, sealedName+".2"+cleared)
}

// names returns the names that a response sets.
func names(w http.ResponseWriter) []string {
	var all []string
	for _, line := range w.Header()["Set-Cookie"] {
		all = append(all, line[:strings.IndexByte(line, '=')])
	}
	return all
}

// Covers RFC 6265bis §4.1.1 (one).
func TestSealedLastSetOrClearCounts(t *testing.T) {
	s := newBox(t, 1)
	r := newRequest(http.MethodGet)
	w := newResponse()
	w.Header().Add("Set-Cookie", ".1=of another")
	for _, size := range []int{maxValue, 5000, 10} {
		succeeds(t, s.Set(w, r, random(size)))
	}
	if err := s.Set(w, r, random(maxValue+1)); !errors.Is(err, cookie.ErrTooLarge) {
		t.Errorf("Set error = %v, want %v", err, cookie.ErrTooLarge)
	}
	if got := names(w); !slices.Equal(got, []string{".1", sealedName}) {
		t.Errorf("Set-Cookie names = %v, want .1 and %s", got, sealedName)
	}
	succeeds(t, s.Set(w, r, random(maxValue)))
	s.Clear(w, r)
	if got := names(w); !slices.Equal(got, []string{".1", sealedName}) {
		t.Errorf("Set-Cookie names = %v, want .1 and %s", got, sealedName)
	}
}

func TestSealedOpenRejects(t *testing.T) {
	s := newBox(t, 1)
	b := newBrowser(t)
	var first, second, third string
	for first == "" || first[1] <= '9' || second[0] <= '9' { // those could be a count
		b.put(s, random(8000)) // three cookies
		first, second, third = b.jar[sealedName], b.jar[sealedName+".1"], b.jar[sealedName+".2"]
	}
	b.put(s, random(8000))
	otherSecond := b.jar[sealedName+".1"]
	three := func(a, b, c string) string {
		return sealedName + "=" + a + "; " + sealedName + ".1=" + b + "; " + sealedName + ".2=" + c
	}
	malformed, seal, duplicate := cookie.ReasonMalformed, cookie.ReasonSealInvalid, cookie.ReasonDuplicate
	for _, test := range []struct {
		name, cookie string
		status       int // 0 for no error
		reason       gatehouse.Reason
	}{
		{"unchanged", three(first, second, third), 0, ""},
		{"in another order of the header", sealedName + ".2=" + third + ";" + sealedName + "=" + first + ";" + sealedName + ".1=" + second, 0, ""},
		{"with a stale part", three(first, second, third) + "; " + sealedName + ".3=stale", 0, ""},
		{"with names that are no parts", three(first, second, third) + "; " + sealedName + ".4=x; " + sealedName + ".10=x", 0, ""},

		{"without the last", sealedName + "=" + first + "; " + sealedName + ".1=" + second, 401, malformed},
		{"without the middle", sealedName + "=" + first + "; " + sealedName + ".2=" + third, 401, malformed},
		{"the last is empty", three(first, second, ""), 401, malformed},
		{"the first is empty", three("", second, third), 401, malformed},
		{"only the count", three("3", second, third), 401, malformed},
		{"parts swapped", three(first, third, second), 401, malformed},
		{"first and second swapped", three(second, first, third), 401, malformed},
		{"a part twice", three(first, second, second[:len(third)]), 401, seal},
		{"part of another value", three(first, otherSecond, third), 401, seal},
		{"last part truncated", three(first, second, third[:len(third)-1]), 401, seal},
		{"last part truncated by four", three(first, second, third[:len(third)-4]), 401, seal},
		{"last part extended", three(first, second, third+"AAAA"), 401, seal},
		{"middle part truncated", three(first, second[1:], third), 401, malformed},
		{"first part truncated", three(first[:len(first)-1], second, third), 401, malformed},
		{"a character moved to the right", three(first, second[:len(second)-1], second[len(second)-1:]+third), 401, malformed},
		{"a character moved to the left", three(first, second+third[:1], third[1:]), 401, malformed},
		{"the middle oversized", three(first, second+"A", third), 401, malformed},
		{"the first oversized", three(first+"A", second, third), 401, malformed},
		{"the last oversized", three(first, second, strings.Repeat("A", 4096-len(sealedName)-1)), 401, malformed},
		{"last part of the maximum length", three(first, second, strings.Repeat("A", 4096-len(sealedName)-2)), 401, seal},
		{"count 0", three("0"+first[1:], second, third), 401, malformed},
		{"count 1", three("1"+first[1:], second, third), 401, seal},
		{"count 2", three("2"+first[1:], second, third), 401, seal},
		{"count 4", three("4"+first[1:], second, third), 401, malformed},
		{"count 5", three("5"+first[1:], second, third), 401, malformed},
		{"count 9", three("9"+first[1:], second, third), 401, malformed},
		{"count a", three("a"+first[1:], second, third), 401, malformed},
		{"no count", three(first[1:], second, third), 401, malformed},
		{"the first twice", three(first, second, third) + "; " + sealedName + "=" + first, 400, duplicate},
		{"the second twice", three(first, second, third) + "; " + sealedName + ".1=" + second, 400, duplicate},
		{"a stale part twice", three(first, second, third) + "; " + sealedName + ".3=x; " + sealedName + ".3=x", 400, duplicate},
		{"more than 64 KB", three(first, second, third) + "; a=" + strings.Repeat("a", 64<<10), 400, malformed},
		{"garbage", sealedName + "=1garbage", 401, seal},
		{"count alone", sealedName + "=1", 401, malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Open(newRequest(http.MethodGet, "Cookie", test.cookie))
			if test.status == 0 {
				if err != nil {
					t.Errorf("Open error = %v, want nil", err)
				}
				return
			}
			wantError(t, err, test.status, test.reason)
			if test.reason == seal && !errors.Is(err, cookie.ErrSeal) {
				t.Errorf("cause = %v, want %v", errors.Unwrap(err), cookie.ErrSeal)
			}
		})
	}
	if _, err := s.Open(newRequest(http.MethodGet, "Cookie", sealedName+".1="+second)); !errors.Is(err, http.ErrNoCookie) {
		t.Errorf("Open(only the second part) error = %v, want %v", err, http.ErrNoCookie)
	}
}

// Every bit of every part is authenticated.
func TestSealedIsNotMalleable(t *testing.T) {
	s := newBox(t, 1, 2)
	for size, step := range map[int]int{0: 1, 200: 1, 8000: 97} {
		b := newBrowser(t)
		b.put(s, random(size))
		for name, value := range b.jar {
			for n := 0; n < 8*len(value); n += step {
				changed := []byte(value)
				changed[n/8] ^= 1 << (n % 8)
				b.jar[name] = string(changed)
				if _, err := s.Open(b.send(newRequest(http.MethodGet))); err == nil || errors.Is(err, http.ErrNoCookie) {
					t.Fatalf("Open(%d octets, bit %d of %s changed) error = %v", size, n, name, err)
				}
			}
			b.jar[name] = value
		}
	}
}

// Covers RFC 6265bis §8.3.
func TestSealedBindsNameAndPurpose(t *testing.T) {
	keys := newKeyring(t, 1)
	config := cookie.SealedConfig{Cookie: cookie.Config{Name: "a"}, Keys: keys, Purpose: "test", Lifetime: time.Hour}
	s := must(cookie.NewSealed(config))
	b := newBrowser(t)
	b.put(s, []byte("v"))
	value := b.jar["__Host-Http-a"]
	for what, change := range map[string]func(*cookie.SealedConfig){
		"another name":    func(c *cookie.SealedConfig) { c.Cookie.Name = "b" },
		"another prefix":  func(c *cookie.SealedConfig) { c.Cookie.Prefix = cookie.PrefixHost },
		"another purpose": func(c *cookie.SealedConfig) { c.Purpose = "tests" },
		"another key":     func(c *cookie.SealedConfig) { c.Keys = newKeyring(t, 2) },
	} {
		changed := config
		change(&changed)
		other := must(cookie.NewSealed(changed))
		_, err := other.Open(newRequest(http.MethodGet, "Cookie", other.Name()+"="+value))
		if wantError(t, err, 401, cookie.ReasonSealInvalid); !errors.Is(err, cookie.ErrSeal) {
			t.Errorf("%s: cause = %v, want %v", what, errors.Unwrap(err), cookie.ErrSeal)
		}
	}
	value = "1" + keys.Seal("__Host-Http-a", "test", []byte("v"), time.Now().Add(time.Hour))
	if got, err := s.Open(newRequest(http.MethodGet, "Cookie", "__Host-Http-a="+value)); err != nil || string(got) != "v" {
		t.Errorf("Open of a value of Seal = %q, %v, want v", got, err)
	}
	// Attributes and lifetime are not part of the seal.
	same := config
	same.Cookie.SameSite, same.Cookie.MaxAge, same.Lifetime = http.SameSiteStrictMode, time.Minute, time.Minute
	if got, err := must(cookie.NewSealed(same)).Open(b.send(newRequest(http.MethodGet))); err != nil || string(got) != "v" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSealedExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBox(t, 1)
		b := newBrowser(t)
		b.put(s, []byte("v"))
		time.Sleep(time.Hour - time.Nanosecond)
		if _, err := s.Open(b.send(newRequest(http.MethodGet))); err != nil {
			t.Errorf("Open before the expiry error = %v, want nil", err)
		}
		time.Sleep(time.Nanosecond)
		_, err := s.Open(b.send(newRequest(http.MethodGet)))
		wantError(t, err, 401, cookie.ReasonExpired)
		if !errors.Is(err, cookie.ErrExpired) {
			t.Errorf("cause = %v, want %v", errors.Unwrap(err), cookie.ErrExpired)
		}
	})
}

func TestAllocations(t *testing.T) {
	s := newBox(t, 1)
	b := newBrowser(t)
	b.put(s, make([]byte, 300))
	r := b.send(newRequest(http.MethodGet))
	c := must(cookie.New(cookie.Config{Name: "id"}))
	plain := newRequest(http.MethodGet, "Cookie", "a=1; __Host-Http-id=v; b=2")
	sites := newCrossSite(t, "https://spa.example.com")
	post := newRequest(http.MethodPost, "Sec-Fetch-Site", "same-site", "Origin", "https://spa.example.com")
	get := newRequest(http.MethodGet, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors")
	typed := newRequest(http.MethodGet, "Sec-Fetch-Site", "none")
	for _, test := range []struct {
		name string
		most float64
		f    func() error
	}{
		{"Open", 1, func() error { _, err := s.Open(r); return err }},
		{"Read", 0, func() error { _, err := c.Read(plain); return err }},
		{"Check of a POST", 0, func() error { return sites.Check(post) }},
		{"Check of a GET", 0, func() error { return sites.Check(get) }},
		{"Check from the address bar", 0, func() error { return sites.Check(typed) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			alloctest.AtMost(t, test.most, func() {
				succeeds(t, test.f())
			})
		})
	}
}

func TestOversizedCookieAllocatesLittle(t *testing.T) {
	if racetest.Enabled {
		t.Skip("the race detector allocates")
	}
	s := newBox(t, 1)
	c := must(cookie.New(cookie.Config{Name: "box"}))
	const runs = 1000
	for name, refuse := range map[string]func(*http.Request) error{
		"Open": func(r *http.Request) error { _, err := s.Open(r); return err },
		"Read": func(r *http.Request) error { _, err := c.Read(r); return err },
	} {
		for what, header := range map[string]string{
			"one cookie":   sealedName + "=1" + strings.Repeat("A", 1<<20),
			"many cookies": strings.Repeat(sealedName+"=1; ", 1<<16),
		} {
			r := newRequest(http.MethodGet, "Cookie", header)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				if refuse(r) == nil {
					t.Fatalf("%s(%s) error = nil, want one", name, what)
				}
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 512 {
				t.Errorf("%s(%s) allocates %d octets, want at most 512", name, what, got)
			}
		}
	}
}

// Only sealed values open, and in one split. (Each fuzzing process seals anew.)
func FuzzSealedOpen(f *testing.F) {
	s := newBox(f, 1)
	sealed := make(map[string]bool)
	for _, size := range []int{0, 10, 5000, 8000} {
		value := bytes.Repeat([]byte{byte(size)}, size)
		sealed[string(value)] = true
		b := newBrowser(f)
		b.put(s, value)
		f.Add(b.jar[sealedName], b.jar[sealedName+".1"], b.jar[sealedName+".2"], b.jar[sealedName+".3"])
	}
	f.Add("1", "", "", "")
	f.Fuzz(func(t *testing.T, zero, one, two, three string) {
		values := [4]string{zero, one, two, three}
		var pairs []string
		for i, value := range values {
			if strings.ContainsAny(value, ";") || strings.TrimSpace(value) != value {
				return // a different Cookie header
			}
			if value != "" {
				pairs = append(pairs, partName(i)+"="+value)
			}
		}
		got, err := s.Open(newRequest(http.MethodGet, "Cookie", strings.Join(pairs, "; ")))
		if err != nil {
			return
		}
		count := int(zero[0] - '0')
		text := zero[1:] + strings.Join(values[1:count], "")
		if !sealed[string(got)] || text != base64.RawURLEncoding.EncodeToString(decode(t, text)) {
			t.Fatalf("Open(%q) = %q, which was not sealed in this spelling", text, got)
		}
		for i, value := range values[:count] {
			if octets := len(partName(i)) + len(value); octets > 4096 || i < count-1 && octets != 4096 || value == "" {
				t.Fatalf("Open accepts %d parts of which number %d has %d octets", count, i, octets)
			}
		}
	})
}

func partName(i int) string {
	if i == 0 {
		return sealedName
	}
	return fmt.Sprintf("%s.%d", sealedName, i)
}
