// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// base64Spellings spells valid segments in ways that lenient decoders accept. The
// signature covers the spelling, so that only the spelling is wrong.
//
//	RFC 7515 §2: base64url is "with all trailing '=' characters omitted … and
//	without the inclusion of any line breaks, whitespace, or other additional
//	characters".
func base64Spellings(k *kit) {
	k.row = "base64"
	k.spelled("padding", func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) })
	k.spelled("alphabet of RFC 4648 §4", strings.NewReplacer("-", "+", "_", "/").Replace)
	k.spelled("an extra letter", func(s string) string {
		if len(s)%4 == 0 {
			return s + "A" // a single letter, which encodes no byte
		}
		return s
	})
	k.spelled("a space inside", func(s string) string { return s[:4] + " " + s[4:] })
	k.spelled("a space after", func(s string) string { return s + " " })
	k.spelled("a percent-encoded letter", func(s string) string { return fmt.Sprintf("%%%02X%s", s[0], s[1:]) })
	k.spelled("a dollar inside", func(s string) string { return s[:4] + "$" + s[4:] })
	k.spelled("a NUL inside", func(s string) string { return s[:4] + "\x00" + s[4:] })
	k.spelled("unused bits set", leftoverBits)

	k.row = "line breaks"
	for _, lineBreak := range []struct{ name, text string }{{"LF", "\n"}, {"CR", "\r"}, {"CRLF", "\r\n"}} {
		k.spelled(lineBreak.name+" inside", func(s string) string { return s[:4] + lineBreak.text + s[4:] })
		k.spelled(lineBreak.name+" after", func(s string) string { return s + lineBreak.text })
		input, signature := k.parts(k.key)
		k.forged(lineBreak.name+" before the token", lineBreak.text+input+"."+encode(signature))
	}
}

// spelled changes the spelling of each segment in turn. It makes tokens until one
// has a segment that spell changes.
func (k *kit) spelled(name string, spell func(string) string) {
	for _, which := range []string{"header", "payload", "signature"} {
		for try := range 6 {
			header := k.header().String()
			header = "{" + strings.Repeat(" ", try%3) + header[1:] // of another length
			// In base64url, at each offset, these have "-" or "_".
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

// leftoverBits sets one of the unused bits of the last letter. It returns s if there
// are none.
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

// encodings are strings that are not UTF-8. A parser that replaces invalid bytes by
// U+FFFD makes two subjects equal.
func encodings(k *kit) {
	k.row = "not UTF-8"
	for _, test := range []struct{ name, text string }{
		{"a byte FF", "\xff"},
		{"a continuation alone", "\x80"},
		{"cut", "\xe2\x82"},
		{"overlong", "\xc0\xaf"},
		{"a surrogate", "\xed\xa0\x80"},
		{"beyond U+10FFFF", "\xf4\x90\x80\x80"},
	} {
		k.signed(test.name+" in sub", k.header(), k.claims().set("sub", `"alice`+test.text+`"`))
		k.signed(test.name+" in a private claim", k.header(), k.claims().append(`"x"`, `"`+test.text+`"`))
	}
	k.signed("in a name", k.header(), k.claims().append("\"x\xff\"", "1"))
	k.signed("in an array", k.header(), k.claims().append(`"x"`, "[[\"\xff\"]]"))
	k.signed("in the header", k.header().append(`"x"`, "\"\xff\""), k.claims())
	k.signed("in a name of the header", k.header().append("\"x\xff\"", "1"), k.claims())

	k.row = "lone surrogate"
	for _, test := range []struct{ name, text string }{
		{"high", `\ud800`},
		{"low", `\udc00`},
		{"in the wrong order", `\udc00\ud800`},
		{"high before a letter", `\ud800x`},
		{"high before another escape", `\ud800\u0041`},
		{"two high", `\ud800\ud800`},
	} {
		k.signed(test.name+", sub", k.header(), k.claims().set("sub", `"alice`+test.text+`"`))
		k.signed(test.name+", private claim", k.header(), k.claims().append(`"x"`, `"`+test.text+`"`))
	}
	k.signed("in a name", k.header(), k.claims().append(`"x\ud800"`, "1"))
	k.signed("in an object", k.header(), k.claims().append(`"x"`, `{"y":"\ud800"}`))
	k.signed("in the header", k.header().append(`"x"`, `"\ud800"`), k.claims())
}

// deep nests deeper than a recursive parser or its stack can handle.
func deep(k *kit) {
	k.row = "depth"
	for _, depth := range []int{100, 500, 2400, 9990, 100_000} {
		k.signed(fmt.Sprintf("%d arrays", depth), k.header(),
			k.claims().append(`"x"`, strings.Repeat("[", depth)+strings.Repeat("]", depth)))
	}
	for _, depth := range []int{100, 500, 9990} {
		k.signed(fmt.Sprintf("%d objects", depth), k.header(),
			k.claims().append(`"x"`, strings.Repeat(`{"x":`, depth)+"1"+strings.Repeat("}", depth)))
	}
	k.signed("100 arrays in the header",
		k.header().append(`"x"`, strings.Repeat("[", 100)+strings.Repeat("]", 100)), k.claims())
	k.signedText("2000 unclosed arrays", k.header().String(), `{"x":`+strings.Repeat("[", 2000))
}

// wide has more members than tokens of real issuers, a few of which have 1,000 roles.
func wide(k *kit) {
	k.row = "width"
	var more object
	for n := range 3000 {
		more = append(more, member{fmt.Sprintf(`"%x"`, n+0x1000), "1"})
	}
	k.signed("3000 claims", k.header(), append(k.claims(), more...))
	inside := make([]string, 3000)
	for n := range inside {
		inside[n] = fmt.Sprintf(`"%x":1`, n)
	}
	k.signed("3000 members inside", k.header(), k.claims().append(`"x"`, "{"+strings.Join(inside, ",")+"}"))
	k.signed("3000 elements", k.header(), k.claims().append(`"x"`, "[1"+strings.Repeat(",1", 3000)+"]"))
	k.signed("500000 elements", k.header(), k.claims().append(`"x"`, "[1"+strings.Repeat(",1", 500_000)+"]"))
}
