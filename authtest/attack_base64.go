// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// sloppyBase64 spells good segments in ways that lenient decoders take. The
// signature covers the spelling, so that nothing else is wrong.
//
//	RFC 7515 §2: base64url is "with all trailing '=' characters omitted … and
//	without the inclusion of any line breaks, whitespace, or other additional
//	characters".
func sloppyBase64(k *kit) {
	k.row = "base64"
	k.respelled("padding", func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) })
	k.respelled("the alphabet of RFC 4648 §4", strings.NewReplacer("-", "+", "_", "/").Replace)
	k.respelled("a letter more", func(s string) string {
		if len(s)%4 == 0 {
			return s + "A" // one left over, which says nothing
		}
		return s
	})
	k.respelled("a space inside", func(s string) string { return s[:4] + " " + s[4:] })
	k.respelled("a space behind", func(s string) string { return s + " " })
	k.respelled("a letter in percent-encoding", func(s string) string { return fmt.Sprintf("%%%02X%s", s[0], s[1:]) })
	k.respelled("a dollar inside", func(s string) string { return s[:4] + "$" + s[4:] })
	k.respelled("a NUL inside", func(s string) string { return s[:4] + "\x00" + s[4:] })
	k.respelled("bits left over set", leftoverBits)

	k.row = "line breaks"
	for _, lineBreak := range []struct{ name, text string }{{"LF", "\n"}, {"CR", "\r"}, {"CRLF", "\r\n"}} {
		k.respelled(lineBreak.name+" inside", func(s string) string { return s[:4] + lineBreak.text + s[4:] })
		k.respelled(lineBreak.name+" behind", func(s string) string { return s + lineBreak.text })
		input, signature := k.parts(k.key)
		k.forged(lineBreak.name+" before the token", lineBreak.text+input+"."+encode(signature))
	}
}

// respelled spells one segment after the other anew. Tokens are made until one
// has what the spelling is about.
func (k *kit) respelled(name string, spell func(string) string) {
	for _, which := range []string{"header", "payload", "signature"} {
		for try := range 6 {
			header := k.header().String()
			header = "{" + strings.Repeat(" ", try%3) + header[1:] // as good, of another length
			// Every third letter of these stands for "-" or "_", whatever is before.
			note := "~?>~?>" + strings.Repeat("x", try%3)
			segments := []string{encode(header), encode(k.claims().set("note", quote(note)).String())}
			if which != "signature" {
				n := map[string]int{"header": 0, "payload": 1}[which]
				spelling := spell(segments[n])
				if spelling == segments[n] {
					continue
				}
				segments[n] = spelling
				k.signedInput(name+", "+which, strings.Join(segments, "."))
				break
			}
			input := strings.Join(segments, ".")
			signature := encode(signAs(k.key.algorithm, k.key.private, input))
			if spelling := spell(signature); spelling != signature {
				k.forged(name+", "+which, input+"."+spelling)
				break
			}
		}
	}
}

// leftoverBits sets one of the bits of the last letter that stand for nothing.
// It returns s if there are none.
func leftoverBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(s)%4 == 0 {
		return s
	}
	last := strings.IndexByte(alphabet, s[len(s)-1])
	spelling := s[:len(s)-1] + string(alphabet[last|1])
	if _, err := base64.RawURLEncoding.Strict().DecodeString(spelling); err == nil {
		return s
	}
	return spelling
}
