// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// What is read as a refresh token is the one text of it.
func FuzzRefreshToken(f *testing.F) {
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
		token, ok := parseToken(text)
		if !ok {
			if token != (token{}) {
				t.Fatal("what is refused leaves something behind")
			}
			return
		}
		if again := token.text().Reveal(); !bytes.Equal(again, text) {
			t.Fatalf("%q is read as %q", text, again)
		}
	})
}

func TestRefreshTokenText(t *testing.T) {
	tok := newToken()
	text := token.text().Reveal()
	if len(text) != tokenChars || token.text().Len() != 125 {
		t.Errorf("%d characters", len(text))
	}
	again, ok := parseToken(text)
	if !ok || again != token {
		t.Fatalf("%v, %v", again == token, ok)
	}
	next := token.next()
	if next.id != token.id || next.key != token.key || next.secret == token.secret {
		t.Error("the next token is not another one of the same family")
	}
	other := newToken()
	if other.id == token.id || other.key == token.key || other.secret == token.secret {
		t.Error("two families have something in common")
	}
	if token.keyHash() == token.secretHash() {
		t.Error("one hash for two secrets")
	}
	// The last character of a text stands for four bits that count.
	last := text[len(text)-1]
	for c := range byte(128) {
		changed := append(bytes.Clone(text[:len(text)-1]), c)
		if again, ok := parseToken(changed); ok && c != last && again == token {
			t.Errorf("%q and %q are one token", last, c)
		}
	}
}

// A successor opens with the token that it was sealed for, and with no other.
func TestRefreshSeal(t *testing.T) {
	tok := newToken()
	next := token.next()
	sealed, err := token.seal(next)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := token.open(sealed); err != nil || opened != next {
		t.Fatalf("opened: %v, %v", opened == next, err)
	}
	if bytes.Contains(sealed, next.secret[:]) || bytes.Contains(sealed, token.secret[:]) {
		t.Error("a secret can be read")
	}
	again, err := token.seal(next)
	if err != nil || bytes.Equal(again, sealed) {
		t.Error("two seals are alike", err)
	}
	renamed := token
	renamed.id[0] ^= 1
	for name, other := range map[string]token{"the successor": next, "another family": newToken(), "another id": renamed, "zeros": {}} {
		if _, err := other.open(sealed); err == nil {
			t.Errorf("%s opens it", name)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := token.open(changed); err == nil {
			t.Errorf("opens with a change at %d", i)
		}
		if _, err := token.open(sealed[:i]); err == nil {
			t.Errorf("opens when cut at %d", i)
		}
	}
}
