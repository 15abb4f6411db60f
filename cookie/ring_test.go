// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

func TestRingMistakes(t *testing.T) {
	many := make([]gatehouse.Secret, 9)
	for i := range many {
		many[i] = secret(byte(i))
	}
	short := gatehouse.NewSecret(make([]byte, 31))
	for _, test := range []struct {
		name    string
		secrets []gatehouse.Secret
		want    string
	}{
		{"one", many[:1], ""},
		{"eight", many[:8], ""},
		{"a longer one", []gatehouse.Secret{gatehouse.NewSecret(make([]byte, 64))}, ""},
		{"none", nil, "cookie: NewRing: at least one secret is required"},
		{"nine", many, "cookie: NewRing: 9 secrets are too many, at most 8 are allowed"},
		{"short", []gatehouse.Secret{secret(1), short}, "cookie: NewRing: secret 1 has 31 bytes, needs at least 32"},
		{"empty", []gatehouse.Secret{{}}, "cookie: NewRing: secret 0 has 0 bytes, needs at least 32"},
		{"twice", []gatehouse.Secret{secret(1), secret(2), secret(1)}, "cookie: NewRing: secret 2 occurs twice"},
		{
			"several mistakes",
			[]gatehouse.Secret{short, secret(1), secret(1)},
			"cookie: NewRing: secret 0 has 31 bytes, needs at least 32\ncookie: NewRing: secret 2 occurs twice",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			ring, err := cookie.NewRing(test.secrets...)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || err.Error() != test.want || ring != nil {
				t.Errorf("%v, error %v, want %s", ring, err, test.want)
			}
		})
	}
}

func TestSealedValueOpens(t *testing.T) {
	ring := newRing(t, 1)
	expires := time.Now().Add(time.Hour)
	for size := range 200 {
		value := bytes.Repeat([]byte{'v'}, size)
		text := ring.Seal("name", "purpose", value, expires)
		got, err := ring.Open("name", "purpose", text)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%d octets: %q, %v", size, got, err)
		}
		if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("%q", text)
		}
		if again := ring.Seal("name", "purpose", value, expires); again == text {
			t.Fatal("sealed twice, and the same")
		}
	}
}

// A sealed value is good under its name, for its purpose, and for its keys.
func TestSealBindsNamePurposeAndKey(t *testing.T) {
	ring := newRing(t, 1)
	text := ring.Seal("name", "purpose", []byte("v"), time.Now().Add(time.Hour))
	for what, open := range map[string]func() ([]byte, error){
		"another name":                func() ([]byte, error) { return ring.Open("nam", "purpose", text) },
		"another purpose":             func() ([]byte, error) { return ring.Open("name", "purposes", text) },
		"no name":                     func() ([]byte, error) { return ring.Open("", "purpose", text) },
		"no purpose":                  func() ([]byte, error) { return ring.Open("name", "", text) },
		"name and purpose swapped":    func() ([]byte, error) { return ring.Open("purpose", "name", text) },
		"the boundary moved to left":  func() ([]byte, error) { return ring.Open("nam", "epurpose", text) },
		"the boundary moved to right": func() ([]byte, error) { return ring.Open("namep", "urpose", text) },
		"another key":                 func() ([]byte, error) { return newRing(t, 2).Open("name", "purpose", text) },
		"other keys":                  func() ([]byte, error) { return newRing(t, 2, 3, 4, 5, 6, 7, 8, 9).Open("name", "purpose", text) },
	} {
		if value, err := open(); !errors.Is(err, cookie.ErrSeal) || value != nil {
			t.Errorf("%s: %q, %v", what, value, err)
		}
	}
}

// Every bit counts, and there is one way to write a sealed value.
func TestSealedValueIsNotMalleable(t *testing.T) {
	ring := newRing(t, 1, 2, 3)
	for _, size := range []int{0, 1, 2, 3, 50} {
		text := ring.Seal("name", "purpose", make([]byte, size), time.Now().Add(time.Hour))
		refused := func(what, changed string) {
			t.Helper()
			if _, err := ring.Open("name", "purpose", changed); !errors.Is(err, cookie.ErrSeal) {
				t.Errorf("%d octets, %s: %v", size, what, err)
			}
		}
		for i := range text {
			for bit := range 8 {
				changed := []byte(text)
				changed[i] ^= 1 << bit
				refused(fmt.Sprintf("bit %d of character %d", bit, i), string(changed))
			}
			refused(fmt.Sprintf("cut to %d", i), text[:i])
			refused(fmt.Sprintf("without the first %d", i+1), text[i+1:])
			for _, c := range []string{"\n", "\r", "\r\n", " ", "=", "A", "\x00"} {
				refused(fmt.Sprintf("%q at %d", c, i), text[:i]+c+text[i:])
			}
		}
		for _, c := range []string{"\n", "\r\n", " ", "=", "==", "A", "AAAA", text} {
			refused(fmt.Sprintf("%q behind", c), text+c)
		}
		refused("nothing", "")
	}
}

func TestSealExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t, 1)
		text := ring.Seal("n", "p", []byte("v"), time.Now().Add(10*time.Second))
		time.Sleep(10*time.Second - time.Nanosecond)
		if _, err := ring.Open("n", "p", text); err != nil {
			t.Errorf("a moment before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if value, err := ring.Open("n", "p", text); !errors.Is(err, cookie.ErrExpired) || value != nil {
			t.Errorf("at the end: %q, %v", value, err)
		}
		// That it is over is said only of what is ours.
		if _, err := ring.Open("other", "p", text); !errors.Is(err, cookie.ErrSeal) {
			t.Errorf("of another name: %v", err)
		}
	})
	ring := newRing(t, 1)
	for _, expires := range []time.Time{{}, time.Unix(-1, 0), time.Unix(0, 0), time.Unix(1, 0), time.Now()} {
		if _, err := ring.Open("n", "p", ring.Seal("n", "p", nil, expires)); !errors.Is(err, cookie.ErrExpired) {
			t.Errorf("until %v: %v", expires, err)
		}
	}
}

// The first key seals, all of them open: a new key goes behind, then in front,
// then the old one goes.
func TestKeyRotation(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	rings := []*cookie.Ring{newRing(t, 1), newRing(t, 1, 2), newRing(t, 2, 1), newRing(t, 2)}
	opens := [][]bool{ // by whom, of what each has sealed
		{true, true, false, false},
		{true, true, true, true},
		{true, true, true, true},
		{false, false, true, true},
	}
	for i, reader := range rings {
		for j, writer := range rings {
			_, err := reader.Open("n", "p", writer.Seal("n", "p", []byte("v"), expires))
			if (err == nil) != opens[i][j] || err != nil && !errors.Is(err, cookie.ErrSeal) {
				t.Errorf("ring %d of what ring %d has sealed: %v", i, j, err)
			}
		}
	}
}

// The id of a key is an octet of a hash: of many keys two have the same.
func TestKeysOfOneID(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	seeds := make(map[byte]byte)
	for seed := range 256 {
		text := newRing(t, byte(seed)).Seal("n", "p", []byte("v"), expires)
		sealed, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		other, ok := seeds[sealed[0]]
		seeds[sealed[0]] = byte(seed)
		if !ok {
			continue
		}
		for _, ring := range []*cookie.Ring{newRing(t, other, byte(seed)), newRing(t, byte(seed), other)} {
			if got, err := ring.Open("n", "p", text); err != nil || string(got) != "v" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := ring.Open("n", "q", text); !errors.Is(err, cookie.ErrSeal) {
				t.Errorf("for another purpose: %v", err)
			}
		}
		return
	}
	t.Fatal("256 keys of 256 ids")
}

// What was sealed by an earlier release opens in a later one: the format, the
// derivation of the key and the associated data, done by hand.
func TestSealFormat(t *testing.T) {
	derived, err := hkdf.Key(sha256.New, secret(1).Reveal(), nil, "gatehouse cookie seal 1", 33)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(derived[:32])
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("abcdefghijklmnopqrstuvwx")
	plain := append([]byte{0, 0, 0, 1, 0, 0, 0, 0}, "value"...)    // until the year 2106
	box := aead.Seal(nil, nonce, plain, []byte("\x04namepurpose")) //nolint:gosec // a vector
	text := base64.RawURLEncoding.EncodeToString(bytes.Join([][]byte{derived[32:], nonce, box}, nil))
	const want = "S2FiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eLcx5D0jFYW35zJl2Qhc51bDa5-0VJ1YJEUmi781"
	if text != want {
		t.Errorf("%s, want %s", text, want)
	}
	if got, err := newRing(t, 1).Open("name", "purpose", want); err != nil || string(got) != "value" {
		t.Errorf("%q, %v", got, err)
	}
}

// Printing a ring, or what has one in it, shows no key.
func TestRingShowsNoKey(t *testing.T) {
	derived, err := hkdf.Key(sha256.New, secret(7).Reveal(), nil, "gatehouse cookie seal 1", 32)
	if err != nil {
		t.Fatal(err)
	}
	ring := newRing(t, 7)
	s := newSealed(t, cookie.SealedConfig{Cookie: cookie.Config{Name: "n"}, Keys: ring, Purpose: "p", Lifetime: time.Minute})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{ring, *ring, s, *s} {
			text := fmt.Sprintf(verb, value)
			for _, key := range [][]byte{derived, secret(7).Reveal()} {
				for _, form := range []string{string(key[:8]), hex.EncodeToString(key[:8]), strings.Trim(fmt.Sprint(key[:8]), "[]"), strings.Trim(fmt.Sprintf("%#v", key[:8]), "[]byte{}")} {
					if strings.Contains(text, form) {
						t.Errorf("%s of %T shows a key: %s", verb, value, text)
					}
				}
			}
		}
	}
}

// Where only the ciphers of FIPS 140 may be used, this one is an error and no
// panic.
func TestRingUnderFIPS140(t *testing.T) {
	const child = "GATEHOUSE_COOKIE_FIPS_CHILD"
	if os.Getenv(child) != "" {
		_, err := cookie.NewRing(secret(1))
		if err == nil || !strings.HasPrefix(err.Error(), "cookie: NewRing: ") {
			t.Fatalf("error %v", err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRingUnderFIPS140$") //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", child+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Nothing opens but what was sealed, and that in one form. (The processes that
// share the work each seal anew.)
func FuzzRingOpen(f *testing.F) {
	ring, err := cookie.NewRing(secret(1), secret(2))
	if err != nil {
		f.Fatal(err)
	}
	sealed := ring.Seal("n", "p", []byte("value"), time.Now().Add(24*time.Hour))
	f.Add("", "")
	f.Add(sealed, "value")
	f.Add(sealed+"\n", "v")
	f.Fuzz(func(t *testing.T, text, value string) {
		if got, err := ring.Open("n", "p", text); err == nil {
			octets, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil || base64.RawURLEncoding.EncodeToString(octets) != text || string(got) != "value" {
				t.Fatalf("%q opens: %q", text, got)
			}
		}
		resealed := ring.Seal(value, text, []byte(value), time.Now().Add(time.Hour))
		if got, err := ring.Open(value, text, resealed); err != nil || string(got) != value {
			t.Fatalf("%q became %q, %v", value, got, err)
		}
	})
}
