// SPDX-License-Identifier: Apache-2.0

package base64url_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
)

// Covers RFC 7515 §2.
func TestDecode(t *testing.T) {
	for text, want := range map[string]string{
		"AA": "\x00", "AAA": "\x00\x00", "AAAA": "\x00\x00\x00", "-_-_": "\xfb\xff\xbf", "Zm9vYmFy": "foobar", "Zm9vYmFyZm9vYmE": "foobarfooba",
	} {
		if got, err := base64url.Decode([]byte("x"), text); err != nil || string(got) != "x"+want {
			t.Errorf("Decode(x, %q) = %q, %v, want %q", text, got, err, "x"+want)
		}
		if got, err := base64url.Decode(nil, []byte(text)); err != nil || string(got) != want {
			t.Errorf("Decode(bytes of %q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "A", "AAAAA", // no byte has these lengths
		"AB", "AAB", "Zm9vYmFyZm9vYmF", // bits behind the last byte
		"AA==", "AAA=", "A\nA", "AA\r", "AAAA\n", "A+", "A/", "AA A", "AAAAAAA\xff", "é",
	} {
		if got, err := base64url.Decode(nil, text); err == nil {
			t.Errorf("Decode(%q) = %q, want an error", text, got)
		}
	}
	for size := range 24 {
		for n := range size { // a character that is not of the alphabet, at each place
			text := strings.Repeat("A", n) + "\x80" + strings.Repeat("A", size-n-1)
			if got, err := base64url.Decode(nil, text); err == nil {
				t.Errorf("Decode(%q) = %q, want an error", text, got)
			}
		}
	}
}

// FuzzDecode: what the encoder of the standard library makes is read, and nothing else.
func FuzzDecode(f *testing.F) {
	for n := range 30 {
		f.Add(strings.Repeat("a", n))
		f.Add(base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xa5}, n)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := base64.RawURLEncoding.DecodeString(text)
		canonical := err == nil && text != "" && base64.RawURLEncoding.EncodeToString(want) == text
		got, err := base64url.Decode(nil, text)
		if (err == nil) != canonical || canonical && !bytes.Equal(got, want) {
			t.Errorf("Decode(%q) = %q, %v, want %q, canonical %v", text, got, err, want, canonical)
		}
		if encoded := base64.RawURLEncoding.EncodeToString([]byte(text)); encoded != "" {
			if got, err := base64url.Decode(nil, encoded); err != nil || string(got) != text {
				t.Errorf("Decode(%q) = %q, %v, want %q", encoded, got, err, text)
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	text, bytes := strings.Repeat("abcd", 100), bytes.Repeat([]byte("abcd"), 100)
	buffer := make([]byte, 0, 300)
	alloctest.AtMost(t, 0, func() { _, _ = base64url.Decode(buffer, text); _, _ = base64url.Decode(buffer, bytes) })
}
