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

	"github.com/gatehouse-go/gatehouse/cookie"
)

// wantSealInvalid fails the test unless err is ErrSeal and there is no value.
func wantSealInvalid(tb testing.TB, what string, value []byte, err error) {
	tb.Helper()
	if !errors.Is(err, cookie.ErrSeal) || value != nil {
		tb.Errorf("Open(%s) = %q, %v, want %v", what, value, err, cookie.ErrSeal)
	}
}

func TestSealedValueOpens(t *testing.T) {
	keys := newKeyring(t, 1)
	expires := time.Now().Add(time.Hour)
	for size := range 200 {
		value := bytes.Repeat([]byte{'v'}, size)
		text := keys.Seal("name", "purpose", value, expires)
		if got, err := keys.Open("name", "purpose", text); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("Open(Seal(%d octets)) = %q, %v", size, got, err)
		}
		if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("Seal = %q, want base64url", text)
		}
		if again := keys.Seal("name", "purpose", value, expires); again == text {
			t.Fatalf("Seal of %d octets returned the same text twice", size)
		}
	}
}

func TestSealBindsNamePurposeAndKey(t *testing.T) {
	keys := newKeyring(t, 1)
	text := keys.Seal("name", "purpose", []byte("v"), time.Now().Add(time.Hour))
	for what, test := range map[string]struct {
		keys          *cookie.Keyring
		name, purpose string
	}{
		"another name":                    {keys, "nam", "purpose"},
		"another purpose":                 {keys, "name", "purposes"},
		"no name":                         {keys, "", "purpose"},
		"no purpose":                      {keys, "name", ""},
		"name and purpose swapped":        {keys, "purpose", "name"},
		"boundary moved to the left":      {keys, "nam", "epurpose"},
		"boundary moved to the right":     {keys, "namep", "urpose"},
		"another key":                     {newKeyring(t, 2), "name", "purpose"},
		"other keys, perhaps of equal id": {newKeyring(t, 2, 3, 4, 5, 6, 7, 8, 9), "name", "purpose"},
	} {
		value, err := test.keys.Open(test.name, test.purpose, text)
		wantSealInvalid(t, what, value, err)
	}
}

// Every bit is authenticated, and a sealed value has one spelling.
//
// Covers RFC 6265bis §8.3.
func TestSealedValueIsNotMalleable(t *testing.T) {
	keys := newKeyring(t, 1, 2, 3)
	for _, size := range []int{0, 1, 2, 3, 50} {
		text := keys.Seal("name", "purpose", make([]byte, size), time.Now().Add(time.Hour))
		rejected := func(changed string) {
			t.Helper()
			value, err := keys.Open("name", "purpose", changed)
			wantSealInvalid(t, fmt.Sprintf("%q changed to %q", text, changed), value, err)
		}
		for i := range text {
			for bit := range 8 {
				changed := []byte(text)
				changed[i] ^= 1 << bit
				rejected(string(changed))
			}
			rejected(text[:i])
			rejected(text[i+1:])
			for _, c := range []string{"\n", "\r", "\r\n", " ", "=", "A", "\x00"} {
				rejected(text[:i] + c + text[i:])
			}
		}
		for _, c := range []string{"\n", "\r\n", " ", "=", "==", "A", "AAAA", text} {
			rejected(text + c)
		}
	}
}

func TestSealExpires(t *testing.T) {
	keys := newKeyring(t, 1)
	synctest.Test(t, func(t *testing.T) {
		text := keys.Seal("n", "p", []byte("v"), time.Now().Add(10*time.Second))
		time.Sleep(10*time.Second - time.Nanosecond)
		if _, err := keys.Open("n", "p", text); err != nil {
			t.Errorf("Open before the expiry error = %v, want nil", err)
		}
		time.Sleep(time.Nanosecond)
		if value, err := keys.Open("n", "p", text); !errors.Is(err, cookie.ErrExpired) || value != nil {
			t.Errorf("Open at the expiry = %q, %v, want %v", value, err, cookie.ErrExpired)
		}
		value, err := keys.Open("other", "p", text) // the seal is checked first
		wantSealInvalid(t, "another name, expired", value, err)
	})
	for _, expires := range []time.Time{{}, time.Unix(-1, 0), time.Unix(0, 0), time.Unix(1, 0), time.Now()} {
		if _, err := keys.Open("n", "p", keys.Seal("n", "p", nil, expires)); !errors.Is(err, cookie.ErrExpired) {
			t.Errorf("Open(Seal until %v) error = %v, want %v", expires, err, cookie.ErrExpired)
		}
	}
}

// The first key seals, all keys open.
func TestKeyRotation(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	keyrings := []*cookie.Keyring{newKeyring(t, 1), newKeyring(t, 1, 2), newKeyring(t, 2, 1), newKeyring(t, 2)}
	opens := [][]bool{ // by reader, then by writer
		{true, true, false, false},
		{true, true, true, true},
		{true, true, true, true},
		{false, false, true, true},
	}
	for i, reader := range keyrings {
		for j, writer := range keyrings {
			_, err := reader.Open("n", "p", writer.Seal("n", "p", []byte("v"), expires))
			if (err == nil) != opens[i][j] || err != nil && !errors.Is(err, cookie.ErrSeal) {
				t.Errorf("keyring %d Open(Seal by keyring %d) error = %v, want opened %t", i, j, err, opens[i][j])
			}
		}
	}
}

// The id of a key is one octet of a hash, so two of many keys have the same.
func TestKeysOfEqualID(t *testing.T) {
	seeds := make(map[byte]byte)
	for seed := range 256 {
		text := newKeyring(t, byte(seed)).Seal("n", "p", []byte("v"), time.Now().Add(time.Hour))
		id := decode(t, text)[0]
		other, ok := seeds[id]
		seeds[id] = byte(seed)
		if !ok {
			continue
		}
		for _, keys := range []*cookie.Keyring{newKeyring(t, other, byte(seed)), newKeyring(t, byte(seed), other)} {
			if got, err := keys.Open("n", "p", text); err != nil || string(got) != "v" {
				t.Errorf("Open = %q, %v, want v", got, err)
			}
			value, err := keys.Open("n", "q", text)
			wantSealInvalid(t, "another purpose", value, err)
		}
		return
	}
	t.Fatal("256 keys have 256 ids, want two of equal id")
}

// The format, the derivation of the key and the associated data, by hand: values
// that an earlier release sealed open in a later one.
func TestSealFormat(t *testing.T) {
	derived := must(hkdf.Key(sha256.New, secret(1).Reveal(), nil, "gatehouse cookie seal 1", 33))
	aead := must(chacha20poly1305.NewX(derived[:32]))
	nonce := []byte("abcdefghijklmnopqrstuvwx")
	plain := append([]byte{0, 0, 0, 1, 0, 0, 0, 0}, "value"...)    // until the year 2106
	box := aead.Seal(nil, nonce, plain, []byte("\x04namepurpose")) //nolint:gosec // a vector
	text := base64.RawURLEncoding.EncodeToString(bytes.Join([][]byte{derived[32:], nonce, box}, nil))
	const want = "S2FiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eLcx5D0jFYW35zJl2Qhc51bDa5-0VJ1YJEUmi781"
	if text != want {
		t.Errorf("sealed by hand = %s, want %s", text, want)
	}
	if got, err := newKeyring(t, 1).Open("name", "purpose", want); err != nil || string(got) != "value" {
		t.Errorf("Open = %q, %v, want value", got, err)
	}
}

func TestKeyringIsRedacted(t *testing.T) {
	derived := must(hkdf.Key(sha256.New, secret(7).Reveal(), nil, "gatehouse cookie seal 1", 32))
	keys := newKeyring(t, 7)
	s := must(cookie.NewSealed(cookie.SealedConfig{Cookie: cookie.Config{Name: "n"}, Keys: keys, Purpose: "p", Lifetime: time.Minute}))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{keys, *keys, s, *s} {
			text := fmt.Sprintf(verb, value)
			for _, key := range [][]byte{derived[:8], secret(7).Reveal()[:8]} {
				for _, form := range []string{string(key), hex.EncodeToString(key), strings.Trim(fmt.Sprint(key), "[]"), strings.Trim(fmt.Sprintf("%#v", key), "[]byte{}")} {
					if strings.Contains(text, form) {
						t.Errorf("%s of %T prints a key: %s", verb, value, text)
					}
				}
			}
		}
	}
}

// XChaCha20-Poly1305 is not of FIPS 140: with fips140=only, NewKeyring returns an
// error and does not panic.
func TestKeyringUnderFIPS140(t *testing.T) {
	const child = "GATEHOUSE_COOKIE_FIPS_CHILD"
	if os.Getenv(child) != "" {
		if _, err := cookie.NewKeyring(secret(1)); err == nil || !strings.HasPrefix(err.Error(), "cookie: NewKeyring: ") {
			t.Fatalf("NewKeyring error = %v, want one of NewKeyring", err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKeyringUnderFIPS140$") //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", child+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func decode(tb testing.TB, text string) []byte {
	tb.Helper()
	return must(base64.RawURLEncoding.DecodeString(text))
}
