// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

const secretText = "correct-horse-battery-staple"

// leaks reports whether out has a part of the secret, in any form in which Go
// prints bytes.
func leaks(out string) bool {
	lower := strings.ToLower(out)
	for i := range len(secretText) - 4 {
		piece := secretText[i : i+4]
		decimal := strings.Trim(fmt.Sprint([]byte(piece)), "[]")
		for _, form := range []string{
			piece, hex.EncodeToString([]byte(piece)), fmt.Sprintf("% x", piece), strings.Trim(fmt.Sprintf("%#v", []byte(piece)), "[]byte{}"),
			decimal, strings.ReplaceAll(decimal, " ", ","), base64.StdEncoding.EncodeToString([]byte(piece))[:5],
			strings.Trim(fmt.Sprintf("%b", []byte(piece)), "[]"), strings.Trim(fmt.Sprintf("%o", []byte(piece)), "[]"),
			strings.Trim(fmt.Sprintf("%U", []byte(piece)), "[]"), strings.Trim(fmt.Sprintf("%c", []byte(piece)), "[]"),
		} {
			if strings.Contains(lower, strings.ToLower(form)) {
				return true
			}
		}
	}
	return false
}

type config struct {
	Name   string
	Secret gatehouse.Secret
	hidden gatehouse.Secret
	Next   *config
	any    any
	list   []gatehouse.Secret
	byName map[string]gatehouse.Secret
}

func TestSecretIsNeverPrinted(t *testing.T) {
	if !leaks(secretText) || !leaks(fmt.Sprint([]byte(secretText))) || !leaks(fmt.Sprintf("%#v", []byte(secretText))) || !leaks(fmt.Sprintf("%X", secretText)) {
		t.Fatal("leaks finds nothing")
	}
	s := gatehouse.NewSecret([]byte(secretText))
	nested := config{Name: "n", Secret: s, hidden: s, any: s, list: []gatehouse.Secret{s}, byName: map[string]gatehouse.Secret{"a": s}, Next: &config{Secret: s, hidden: s}}
	for name, v := range map[string]any{
		"value": s, "pointer": &s, "slice": []gatehouse.Secret{s}, "array": [1]gatehouse.Secret{s}, "slice of pointers": []*gatehouse.Secret{&s},
		"map": map[string]gatehouse.Secret{"a": s}, "struct": nested, "pointer to struct": &nested,
		"any": []any{s, &s, nested}, "anonymous": struct{ gatehouse.Secret }{s}, "unexported": struct{ s gatehouse.Secret }{s},
		"unexported pointer": struct{ s *gatehouse.Secret }{&s}, "error": fmt.Errorf("bad key %v %s %x", s, s, s),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%b", "%o", "%O", "%U", "%c", "%t", "%e", "%p", "%T", "%w", "%10.3s", "%-5d", "%!"} {
			if out := fmt.Sprintf(verb, v); leaks(out) {
				t.Errorf("%s %s: %s", name, verb, out)
			}
		}
		if out := fmt.Sprint(v) + fmt.Sprintln(v); leaks(out) {
			t.Errorf("%s: %s", name, out)
		}
		if out, err := json.Marshal(v); leaks(string(out)) || err != nil && leaks(err.Error()) {
			t.Errorf("%s as JSON: %s, %v", name, out, err)
		}
		var b bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			logger := slog.New(handler)
			logger.Info("x", "v", v, slog.Any("a", v), slog.Group("g", "v", v))
			logger.With("v", v).WithGroup("h").Info(fmt.Sprint(v))
		}
		if leaks(b.String()) {
			t.Errorf("%s in the log: %s", name, &b)
		}
	}
}

func TestSecretPrintsRedacted(t *testing.T) {
	s := gatehouse.NewSecret([]byte(secretText))
	const want = "[redacted]"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		equal(t, fmt.Sprintf("Sprintf(%q)", verb), fmt.Sprintf(verb, s), want)
		equal(t, fmt.Sprintf("Sprintf(%q) of the zero Secret", verb), fmt.Sprintf(verb, gatehouse.Secret{}), want)
	}
	if got, err := xml.Marshal(s); err != nil || leaks(string(got)) || !strings.Contains(string(got), want) {
		t.Errorf("Marshal = %s, %v", got, err)
	}
	if s.String() != want || s.GoString() != want || s.LogValue().String() != want {
		t.Errorf("String = %s, GoString = %s, LogValue = %s", s.String(), s.GoString(), s.LogValue())
	}
	if got, err := json.Marshal(map[string]any{"key": s}); err != nil || string(got) != `{"key":"[redacted]"}` {
		t.Errorf("Marshal = %s, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"Secret":"`+secretText+`"}`), new(config)); err == nil || leaks(err.Error()) {
		t.Errorf("Unmarshal of a literal secret = %v, want an error without it", err)
	}
}

func TestSecretValue(t *testing.T) {
	b := []byte(secretText)
	s := gatehouse.NewSecret(b)
	b[0] = 'X'
	if string(s.Reveal()) != secretText || s.Len() != len(secretText) {
		t.Errorf("Reveal = %s, Len = %d", s.Reveal(), s.Len())
	}
	s.Reveal()[0] = 'X'
	if string(s.Reveal()) != secretText {
		t.Error("Reveal does not return a copy")
	}
	for _, test := range []struct {
		a, b gatehouse.Secret
		want bool
	}{
		{s, s, true},
		{s, gatehouse.NewSecret([]byte(secretText)), true},
		{s, gatehouse.NewSecret([]byte(secretText + "x")), false},
		{s, gatehouse.NewSecret([]byte(secretText[1:])), false},
		{s, gatehouse.NewSecret([]byte("X" + secretText[1:])), false},
		{s, gatehouse.NewSecret([]byte(secretText[:len(secretText)-1] + "X")), false},
		{s, gatehouse.Secret{}, false},
		{s, gatehouse.NewSecret(nil), false},
	} {
		if test.a.Equal(test.b) != test.want || test.b.Equal(test.a) != test.want {
			t.Errorf("Equal(%s, %s) = %v", test.a.Reveal(), test.b.Reveal(), !test.want)
		}
	}
	for _, empty := range []gatehouse.Secret{{}, gatehouse.NewSecret(nil), gatehouse.NewSecret([]byte{})} {
		if empty.Len() != 0 || len(empty.Reveal()) != 0 {
			t.Errorf("empty secret: Len = %d, Reveal = %q", empty.Len(), empty.Reveal())
		}
	}
}

func TestLoadSecretFromEnv(t *testing.T) {
	for _, test := range []struct {
		value string
		min   int
		want  string // of the secret, or of the error behind the reference
		bad   bool
	}{
		{secretText, 0, secretText, false},
		{secretText, len(secretText), secretText, false},
		{secretText + "\n", len(secretText), secretText, false},
		{secretText + "\r\n", len(secretText), secretText, false},
		{secretText + "\n\n", 0, secretText + "\n", false},
		{secretText + "\r", 0, secretText + "\r", false},
		{secretText + " ", 0, secretText + " ", false},
		{"\n" + secretText, 0, "\n" + secretText, false},
		{secretText, len(secretText) + 1, "got 28 bytes, at least 29 are required", true},
		{secretText + "\n", len(secretText) + 1, "got 28 bytes, at least 29 are required", true},
		{"", 0, "got 0 bytes, at least 1 are required", true},
		{"\n", 0, "got 0 bytes, at least 1 are required", true},
		{"\r\n", -1, "got 0 bytes, at least 1 are required", true},
	} {
		t.Setenv("GATEHOUSE_TEST_SECRET", test.value)
		s, err := gatehouse.LoadSecret("env:GATEHOUSE_TEST_SECRET", test.min)
		if test.bad {
			if want := "gatehouse: secret env:GATEHOUSE_TEST_SECRET: " + test.want; err == nil || err.Error() != want || s.Len() != 0 {
				t.Errorf("LoadSecret of %q: error = %v, want %s", test.value, err, want)
			}
		} else if err != nil || string(s.Reveal()) != test.want {
			t.Errorf("LoadSecret of %q = %q, %v", test.value, s.Reveal(), err)
		}
	}
	if err := os.Unsetenv("GATEHOUSE_TEST_SECRET"); err != nil { // Setenv above restores it
		t.Fatal(err)
	}
	if _, err := gatehouse.LoadSecret("env:GATEHOUSE_TEST_SECRET", 0); err == nil || err.Error() != "gatehouse: secret env:GATEHOUSE_TEST_SECRET: not set" {
		t.Errorf("LoadSecret error = %v", err)
	}
}

// The error does not repeat a secret that stands in the place of a reference.
func TestLoadSecretRefusesLiterals(t *testing.T) {
	for _, ref := range []string{"", ":", "env", "env:", "file", "file:", secretText, "literal:" + secretText, "ENV:HOME", " env:HOME", "base64:" + secretText, "http://" + secretText} {
		s, err := gatehouse.LoadSecret(ref, 0)
		if err == nil || err.Error() != "gatehouse: secret: must be env:NAME or file:PATH, not the secret itself" || s.Len() != 0 {
			t.Errorf("LoadSecret(%q) error = %v", ref, err)
		}
	}
}
