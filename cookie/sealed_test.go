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
)

const sealedName = "__Host-Http-box"

// maxValue is the largest value that fits into four cookies of this name: all
// characters less the count, in octets, less key id, nonce, expiry and tag.
const maxValue = (4*4096-4*len(sealedName)-3*len(".1")-1)*3/4 - 49

func newBox(tb testing.TB, seeds ...byte) *cookie.Sealed {
	tb.Helper()
	return newSealed(tb, cookie.SealedConfig{
		Cookie: cookie.Config{Name: "box"}, Keys: newRing(tb, seeds...), Purpose: "test", Lifetime: time.Hour,
	})
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// put has the browser receive a response in which value is set.
func (b *browser) put(s *cookie.Sealed, value []byte) {
	b.tb.Helper()
	w := newResponse()
	if err := s.Set(w, b.send(newRequest(http.MethodGet)), value); err != nil {
		b.tb.Fatal(err)
	}
	b.receive(w)
}

func TestSealedMistakes(t *testing.T) {
	good := cookie.SealedConfig{Cookie: cookie.Config{Name: "a"}, Keys: newRing(t, 1), Purpose: "test", Lifetime: time.Minute}
	for _, test := range []struct {
		name   string
		change func(*cookie.SealedConfig)
		want   string
	}{
		{"nothing wrong", func(*cookie.SealedConfig) {}, ""},
		{"shortest", func(c *cookie.SealedConfig) { c.Lifetime = time.Second }, ""},
		{"longest", func(c *cookie.SealedConfig) { c.Lifetime = 400 * 24 * time.Hour }, ""},
		{"an age as long as the lifetime", func(c *cookie.SealedConfig) { c.Cookie.MaxAge = time.Minute }, ""},
		{"longest purpose", func(c *cookie.SealedConfig) { c.Purpose = strings.Repeat("p", 128) }, ""},
		{"no name", func(c *cookie.SealedConfig) { c.Cookie.Name = "" }, "cookie: SealedConfig.Cookie.Name: required"},
		{"no keys", func(c *cookie.SealedConfig) { c.Keys = nil }, "cookie: SealedConfig.Keys: required"},
		{"no purpose", func(c *cookie.SealedConfig) { c.Purpose = "" }, "cookie: SealedConfig.Purpose: required, at most 128 octets"},
		{"purpose too long", func(c *cookie.SealedConfig) { c.Purpose = strings.Repeat("p", 129) }, "cookie: SealedConfig.Purpose: required, at most 128 octets"},
		{"no lifetime", func(c *cookie.SealedConfig) { c.Lifetime = 0 }, "cookie: SealedConfig.Lifetime: must be from a second to 400 days"},
		{"too short", func(c *cookie.SealedConfig) { c.Lifetime = time.Second - 1 }, "cookie: SealedConfig.Lifetime: must be from a second to 400 days"},
		{"too long", func(c *cookie.SealedConfig) { c.Lifetime = 400*24*time.Hour + 1 }, "cookie: SealedConfig.Lifetime: must be from a second to 400 days"},
		{"an age beyond the lifetime", func(c *cookie.SealedConfig) { c.Cookie.MaxAge = 61 * time.Second }, "cookie: SealedConfig.Cookie.MaxAge: exceeds Lifetime"},
		{
			"everything", func(c *cookie.SealedConfig) { *c = cookie.SealedConfig{} },
			"cookie: SealedConfig.Cookie.Name: required\ncookie: SealedConfig.Keys: required\n" +
				"cookie: SealedConfig.Purpose: required, at most 128 octets\ncookie: SealedConfig.Lifetime: must be from a second to 400 days",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := good
			test.change(&config)
			s, err := cookie.NewSealed(config)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || err.Error() != test.want || s != nil {
				t.Errorf("%v, error %v, want %s", s, err, test.want)
			}
		})
	}
}

// Sizes around every boundary: what is set opens, in as few cookies as possible,
// each of at most 4096 octets and all but the last of exactly that.
func TestSealedSizes(t *testing.T) {
	s := newBox(t, 1)
	if s.Name() != sealedName {
		t.Fatalf("name %s", s.Name())
	}
	var sizes []int
	chars := 0
	for _, room := range []int{4096 - len(sealedName) - 1, 4096 - len(sealedName) - 2, 4096 - len(sealedName) - 2} {
		chars += room
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
			t.Errorf("%d octets: %v", size, err)
		}
		want := 1
		if text := ((size+49)*4+2)/3 + 1; text > 4096-len(sealedName) {
			want += (text - (4096 - len(sealedName)) + 4093 - len(sealedName)) / (4094 - len(sealedName))
		}
		if len(b.names) != want {
			t.Errorf("%d octets in %d cookies, want %d", size, len(b.names), want)
		}
		for i, name := range b.names {
			octets := len(name) + len(b.jar[name])
			if i < len(b.names)-1 && octets != 4096 {
				t.Errorf("%d octets: cookie %d of %d has %d", size, i, len(b.names), octets)
			}
		}
		if first := b.jar[sealedName][0]; first != byte('0'+want) {
			t.Errorf("%d octets: the count is %q, want %d", size, first, want)
		}
	}
	w := newResponse()
	w.Header().Set("Set-Cookie", "other=1")
	for _, size := range []int{maxValue + 1, 1 << 20} {
		if err := s.Set(w, newRequest(http.MethodGet), make([]byte, size)); !errors.Is(err, cookie.ErrTooLarge) {
			t.Errorf("%d octets: %v", size, err)
		}
		if got := w.Header()["Set-Cookie"]; len(w.Header()) != 1 || len(got) != 1 || got[0] != "other=1" {
			t.Errorf("a value that was refused changed the response: %v", w.Header())
		}
	}
}

// A value that grows and shrinks leaves nothing behind.
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
			t.Errorf("%d octets: %v, want %v", step.size, got, step.want)
		}
		if got, err := s.Open(b.send(newRequest(http.MethodGet))); err != nil || len(got) != step.size {
			t.Errorf("%d octets: %d, %v", step.size, len(got), err)
		}
	}
	for _, size := range []int{100, maxValue} {
		b.put(s, random(size))
		w := newResponse()
		s.Clear(w, b.send(newRequest(http.MethodGet)))
		if b.receive(w); len(b.has()) != 0 {
			t.Errorf("after Clear: %v", b.has())
		}
		if _, err := s.Open(b.send(newRequest(http.MethodGet))); !errors.Is(err, http.ErrNoCookie) {
			t.Errorf("after Clear: %v", err)
		}
	}
	// What the request did not come with is not cleared, and what is not ours is
	// left alone.
	w := newResponse()
	s.Clear(w, newRequest(http.MethodGet, "Cookie", sealedName+".2=x; "+sealedName+".4=x; "+sealedName+".x=x; "+sealedName+".11=x; "+sealedName+"1=x; "+sealedName+"-3=x"))
	want := []string{sealedName + "=", sealedName + ".2="}
	if got := names(w); !slices.Equal(got, want) {
		t.Errorf("cleared %v, want %v", got, want)
	}
	// Removed with the attributes without which browsers would ignore it.
	for _, line := range w.Header()["Set-Cookie"] {
		if !strings.HasSuffix(line, "=; Path=/; HttpOnly; Secure; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT") {
			t.Errorf("Set-Cookie %s", line)
		}
	}
}

// names returns what a response sets, up to the equals sign.
func names(w http.ResponseWriter) []string {
	var all []string
	for _, line := range w.Header()["Set-Cookie"] {
		all = append(all, line[:strings.IndexByte(line, '=')+1])
	}
	return all
}

// Within one response the last Set or Clear counts, parts included.
func TestSealedLastWordCounts(t *testing.T) {
	s := newBox(t, 1)
	r := newRequest(http.MethodGet)
	w := newResponse()
	for _, size := range []int{maxValue, 5000, 10} {
		if err := s.Set(w, r, random(size)); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(w); !slices.Equal(got, []string{sealedName + "="}) {
		t.Errorf("%v", got)
	}
	if err := s.Set(w, r, random(maxValue)); err != nil {
		t.Fatal(err)
	}
	s.Clear(w, r)
	if got := names(w); !slices.Equal(got, []string{sealedName + "="}) {
		t.Errorf("%v", got)
	}
}

func TestSealedRefuses(t *testing.T) {
	s := newBox(t, 1)
	b := newBrowser(t)
	b.put(s, random(8000)) // three cookies
	first, second, third := b.jar[sealedName], b.jar[sealedName+".1"], b.jar[sealedName+".2"]
	b.put(s, random(8000))
	otherSecond := b.jar[sealedName+".1"]
	three := func(a, b, c string) string {
		return sealedName + "=" + a + "; " + sealedName + ".1=" + b + "; " + sealedName + ".2=" + c
	}
	malformed, seal, duplicate := gatehouse.ReasonCookieMalformed, gatehouse.ReasonCookieSeal, gatehouse.ReasonCookieDuplicate
	for _, test := range []struct {
		name, cookie string
		status       int // 0 for none
		reason       gatehouse.Reason
	}{
		{"as they were", three(first, second, third), 0, ""},
		{"in another order of the header", sealedName + ".2=" + third + ";" + sealedName + "=" + first + ";" + sealedName + ".1=" + second, 0, ""},
		{"with a stale part behind", three(first, second, third) + "; " + sealedName + ".3=stale", 0, ""},
		{"with a part that never was", three(first, second, third) + "; " + sealedName + ".4=x; " + sealedName + ".10=x", 0, ""},

		{"without the last", sealedName + "=" + first + "; " + sealedName + ".1=" + second, 401, malformed},
		{"without the middle", sealedName + "=" + first + "; " + sealedName + ".2=" + third, 401, malformed},
		{"the last is empty", three(first, second, ""), 401, malformed},
		{"the first is empty", three("", second, third), 401, malformed},
		{"only the count", three("3", second, third), 401, malformed},
		{"parts swapped", three(first, third, second), 401, malformed},
		{"first and second swapped", three(second, first, third), 401, malformed},
		{"a part twice", three(first, second, second[:len(third)]), 401, seal},
		{"a part of another value", three(first, otherSecond, third), 401, seal},
		{"the last cut", three(first, second, third[:len(third)-1]), 401, seal},
		{"the last cut by four", three(first, second, third[:len(third)-4]), 401, seal},
		{"the last longer", three(first, second, third+"AAAA"), 401, seal},
		{"the middle cut", three(first, second[1:], third), 401, malformed},
		{"the first cut", three(first[:len(first)-1], second, third), 401, malformed},
		{"a character moved to the right", three(first, second[:len(second)-1], second[len(second)-1:]+third), 401, malformed},
		{"a character moved to the left", three(first, second+third[:1], third[1:]), 401, malformed},
		{"the middle oversized", three(first, second+"A", third), 401, malformed},
		{"the first oversized", three(first+"A", second, third), 401, malformed},
		{"the last oversized", three(first, second, strings.Repeat("A", 4096-len(sealedName)-1)), 401, malformed},
		{"the last as long as can be", three(first, second, strings.Repeat("A", 4096-len(sealedName)-2)), 401, seal},
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
		{"a line of its own", sealedName + "=1", 401, malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Open(newRequest(http.MethodGet, "Cookie", test.cookie))
			if test.status == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, test.status, test.reason)
			if test.reason == seal && !errors.Is(err, cookie.ErrSeal) {
				t.Errorf("cause %v", errors.Unwrap(err))
			}
		})
	}
	if _, err := s.Open(newRequest(http.MethodGet, "Cookie", sealedName+".1="+second)); !errors.Is(err, http.ErrNoCookie) {
		t.Errorf("without the first: %v", err)
	}
}

// No bit of a cookie can be changed, be it of one part or of several.
func TestSealedIsNotMalleable(t *testing.T) {
	s := newBox(t, 1, 2)
	for size, step := range map[int]int{0: 1, 200: 1, 8000: 97} {
		b := newBrowser(t)
		b.put(s, random(size))
		header := b.send(newRequest(http.MethodGet)).Header.Get("Cookie")
		inValue := false
		for i := range header {
			switch header[i] {
			case ';':
				inValue = false
				continue
			case '=':
				inValue = true
				continue
			}
			if !inValue || i%step != 0 {
				continue
			}
			for bit := range 8 {
				changed := []byte(header)
				changed[i] ^= 1 << bit
				r := newRequest(http.MethodGet)
				r.Header["Cookie"] = []string{string(changed)}
				if _, err := s.Open(r); err == nil || errors.Is(err, http.ErrNoCookie) {
					t.Fatalf("%d octets: bit %d of octet %d: %v", size, bit, i, err)
				}
			}
		}
	}
}

// A value is good in the cookie that it was set as, and for its purpose.
func TestSealedBindsNameAndPurpose(t *testing.T) {
	ring := newRing(t, 1)
	config := cookie.SealedConfig{Cookie: cookie.Config{Name: "a"}, Keys: ring, Purpose: "test", Lifetime: time.Hour}
	s := newSealed(t, config)
	b := newBrowser(t)
	b.put(s, []byte("v"))
	value := b.jar["__Host-Http-a"]
	for what, change := range map[string]func(*cookie.SealedConfig){
		"another name":    func(c *cookie.SealedConfig) { c.Cookie.Name = "b" },
		"another prefix":  func(c *cookie.SealedConfig) { c.Cookie.Prefix = cookie.PrefixHost },
		"another purpose": func(c *cookie.SealedConfig) { c.Purpose = "tests" },
		"another key":     func(c *cookie.SealedConfig) { c.Keys = newRing(t, 2) },
	} {
		changed := config
		change(&changed)
		other := newSealed(t, changed)
		_, err := other.Open(newRequest(http.MethodGet, "Cookie", other.Name()+"="+value))
		if wantError(t, err, 401, gatehouse.ReasonCookieSeal); !errors.Is(err, cookie.ErrSeal) {
			t.Errorf("%s: cause %v", what, errors.Unwrap(err))
		}
	}
	// The attributes are the browser's business.
	same := config
	same.Cookie.SameSite, same.Cookie.MaxAge, same.Lifetime = http.SameSiteStrictMode, time.Minute, time.Minute
	if got, err := newSealed(t, same).Open(b.send(newRequest(http.MethodGet))); err != nil || string(got) != "v" {
		t.Errorf("%q, %v", got, err)
	}
}

// Sealed by the old key, then again by the new one, then the old one goes.
func TestSealedKeyRotation(t *testing.T) {
	b := newBrowser(t)
	b.put(newBox(t, 1), []byte("v"))
	both := newBox(t, 2, 1)
	value, err := both.Open(b.send(newRequest(http.MethodGet)))
	if err != nil {
		t.Fatal(err)
	}
	b.put(both, value)
	if got, err := newBox(t, 2).Open(b.send(newRequest(http.MethodGet))); err != nil || string(got) != "v" {
		t.Errorf("%q, %v", got, err)
	}
	_, err = newBox(t, 1).Open(b.send(newRequest(http.MethodGet)))
	wantError(t, err, 401, gatehouse.ReasonCookieSeal)
}

func TestSealedExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBox(t, 1)
		b := newBrowser(t)
		b.put(s, []byte("v"))
		time.Sleep(time.Hour - time.Nanosecond)
		if _, err := s.Open(b.send(newRequest(http.MethodGet))); err != nil {
			t.Errorf("a moment before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		_, err := s.Open(b.send(newRequest(http.MethodGet)))
		wantError(t, err, 401, gatehouse.ReasonCookieExpired)
		if !errors.Is(err, cookie.ErrExpired) {
			t.Errorf("cause %v", errors.Unwrap(err))
		}
	})
}

// The ceilings of what a request costs beside its cryptography.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	s, r, value := benchSealed(t, 300)
	open := floor(t, value)
	c := newCookie(t, cookie.Config{Name: "id"})
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
		{"the floor of Open", 2, func() error { open(); return nil }},
		{"Open", 1, func() error { _, err := s.Open(r); return err }},
		{"Read", 0, func() error { _, err := c.Read(plain); return err }},
		{"Check of a POST", 0, func() error { return sites.Check(post) }},
		{"Check of a GET", 0, func() error { return sites.Check(get) }},
		{"Check from the address bar", 0, func() error { return sites.Check(typed) }},
	} {
		if got := testing.AllocsPerRun(100, func() {
			if err := test.f(); err != nil {
				t.Fatal(err)
			}
		}); got > test.most {
			t.Errorf("%s: %v allocations, want at most %v", test.name, got, test.most)
		}
	}
}

// Refusing a megabyte costs nothing that grows with it.
func TestOversizedIsCheap(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	s := newBox(t, 1)
	c := newCookie(t, cookie.Config{Name: "box"})
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
					t.Fatal("not refused")
				}
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 512 {
				t.Errorf("%s of %s: %d octets allocated", name, what, got)
			}
		}
	}
}

// Whatever the header is: if it opens, the value is one that was sealed, and it is
// split in the one way there is. (The processes that share the work each seal
// anew.)
func FuzzSealedOpen(f *testing.F) {
	ring, err := cookie.NewRing(secret(1))
	if err != nil {
		f.Fatal(err)
	}
	s, err := cookie.NewSealed(cookie.SealedConfig{
		Cookie: cookie.Config{Name: "box"}, Keys: ring, Purpose: "test", Lifetime: 24 * time.Hour,
	})
	if err != nil {
		f.Fatal(err)
	}
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
				return // another header
			}
			if value != "" {
				pairs = append(pairs, partName(i)+"="+value)
			}
		}
		got, err := s.Open(newRequest(http.MethodGet, "Cookie", strings.Join(pairs, "; ")))
		if err != nil {
			return
		}
		if !sealed[string(got)] {
			t.Fatalf("opened %q, which was never sealed", got)
		}
		count := int(zero[0] - '0')
		for i, value := range values[:count] {
			octets := len(partName(i)) + len(value)
			if octets > 4096 || i < count-1 && octets != 4096 || value == "" {
				t.Fatalf("opened %d parts, of which number %d has %d octets", count, i, octets)
			}
		}
		text := zero[1:] + strings.Join(values[1:count], "")
		if text != base64.RawURLEncoding.EncodeToString(decode(t, text)) {
			t.Fatalf("opened %q", text)
		}
	})
}

func partName(i int) string {
	if i == 0 {
		return sealedName
	}
	return fmt.Sprintf("%s.%d", sealedName, i)
}

func decode(tb testing.TB, text string) []byte {
	tb.Helper()
	octets, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return octets
}
