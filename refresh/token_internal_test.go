// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"testing"
)

// FuzzParseToken checks that each token has exactly one valid text.
func FuzzParseToken(f *testing.F) {
	good := string(newToken().text().Reveal())
	body := strings.TrimPrefix(good, prefix)
	for _, text := range []string{
		good, "", prefix, body, good + "=", good + "A", good[:len(good)-1], "G" + good[1:], strings.ToUpper(good), " " + good, good + "\n",
		prefix + strings.Repeat("A", len(body)-1) + "B", prefix + strings.Repeat("A", len(body)),
		prefix + strings.Repeat("\n", len(body)), good[:40] + "\r\n" + good[42:], good[:40] + "+/" + good[42:], good[:40] + "==" + good[42:],
		prefix + base64.StdEncoding.EncodeToString(make([]byte, 80)),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tok, ok := parseToken(text)
		if !ok {
			if tok != (token{}) {
				t.Fatal("parseToken returned a token with ok = false")
			}
			return
		}
		if again := tok.text().Reveal(); !bytes.Equal(again, text) {
			t.Fatalf("parseToken(%q) has the text %q", text, again)
		}
	})
}

// Covers RFC 6749 §10.4 (guess).
func TestTokenText(t *testing.T) {
	tok := newToken()
	text := tok.text().Reveal()
	if len(text) != 125 || tokenChars != 125 {
		t.Errorf("text has %d characters, tokenChars = %d, want 125", len(text), tokenChars)
	}
	if again, ok := parseToken(text); !ok || again != tok {
		t.Fatalf("parseToken(text) = equal %v, %v, want true, true", again == tok, ok)
	}
	if next := tok.next(); next.id != tok.id || next.key != tok.key || next.secret == tok.secret {
		t.Error("next: want the same family and key and another secret")
	}
	if other := newToken(); other.id == tok.id || other.key == tok.key || other.secret == tok.secret {
		t.Error("newToken: two families share a part")
	}
	var differ [tokenBytes]byte // the bits that are not the same in all tokens
	for range 9 {
		other := newToken()
		for i, part := range [][]byte{other.id[:], other.key[:], other.secret[:]} {
			subtle.XORBytes(part, part, [][]byte{tok.id[:], tok.key[:], tok.secret[:]}[i])
		}
		for i, b := range bytes.Join([][]byte{other.id[:], other.key[:], other.secret[:]}, nil) {
			differ[i] |= b
		}
	}
	if i := bytes.IndexByte(differ[:], 0); i >= 0 {
		t.Errorf("byte %d is the same in ten tokens", i)
	}
	if tok.keyHash() == tok.secretHash() {
		t.Error("key and secret have the same hash")
	}
}

func TestSealOpensWithPredecessorOnly(t *testing.T) {
	tok := newToken()
	next := tok.next()
	sealed, err := tok.seal(next)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := tok.open(sealed); err != nil || opened != next {
		t.Fatalf("open = equal %v, %v, want true, nil", opened == next, err)
	}
	if bytes.Contains(sealed, next.secret[:]) || bytes.Contains(sealed, tok.secret[:]) {
		t.Error("the sealed text contains a secret")
	}
	if again, err := tok.seal(next); err != nil || bytes.Equal(again, sealed) {
		t.Errorf("seal twice: same result, error = %v", err)
	}
	renamed := tok
	renamed.id[0] ^= 1
	for name, other := range map[string]token{"successor": next, "another family": newToken(), "another ID": renamed, "zero": {}} {
		if _, err := other.open(sealed); err == nil {
			t.Errorf("open with %s: got no error", name)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := tok.open(changed); err == nil {
			t.Errorf("open with a changed byte %d: got no error", i)
		}
		if _, err := tok.open(sealed[:i]); err == nil {
			t.Errorf("open of %d bytes: got no error", i)
		}
	}
}
