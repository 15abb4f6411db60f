// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

var jsonAttacks = []func(*kit){
	base64Spellings, duplicates, duplicatesInside, folded, escaped, trailing, shapes, encodings, deep, wide,
}

// duplicates has one name twice. Parsers differ in which value they use.
//
//	RFC 7519 §4: "The Claim Names within a JWT Claims Set MUST be unique; JWT
//	parsers MUST either reject JWTs with duplicate Claim Names or use a JSON
//	parser that returns only the lexically last duplicate member name".
//	RFC 7515 §4 says the same of header parameters.
func duplicates(k *kit) {
	k.row = "duplicate member"
	past := k.claims().set("exp", "1")
	for _, test := range []struct{ name, other string }{
		{"iss", `"https://attacker.example"`},
		{"sub", `"mallory"`},
		{"aud", `"https://other.example"`},
		{"exp", past.value("exp")},
		{"iat", "1"},
		{"jti", `"other"`},
		{"client_id", `"other"`},
	} {
		claims := k.claims()
		if claims.value(test.name) == "" {
			continue // the issuer has no such claim
		}
		k.signed(test.name+", equal values", k.header(), claims.append(quote(test.name), claims.value(test.name)))
		k.signed(test.name+", the last valid", k.header(), claims.prepend(quote(test.name), test.other))
		k.signed(test.name+", the first valid", k.header(), claims.append(quote(test.name), test.other))
	}
	scoped := k.claims().without("scope").append(`"scope"`, `"a"`)
	k.signed("scope", k.header(), scoped.append(`"scope"`, `"a admin"`))
	k.signed("nbf", k.header(), k.claims().append(`"nbf"`, "1").append(`"nbf"`, "1"))
	k.signed("cnf", k.header(), k.claims().append(`"cnf"`, `{"jkt":"x"}`).append(`"cnf"`, "null"))
	k.signed("a private claim", k.header(), k.claims().append(`"x"`, "1").append(`"x"`, "1"))
	k.signed("iss, one of them escaped", k.header(), k.claims().append(`"\u0069ss"`, k.claims().value("iss")))
	k.signed("an empty name", k.header(), k.claims().append(`""`, "1").append(`""`, "1"))

	k.row = "duplicate header parameter"
	for _, test := range []struct{ name, other string }{
		{"alg", `"none"`}, {"typ", `"JWT"`}, {"kid", `"other"`},
	} {
		header := k.header()
		k.signed(test.name+", equal values", header.append(quote(test.name), header.value(test.name)), k.claims())
		k.signed(test.name+", the last valid", header.prepend(quote(test.name), test.other), k.claims())
		k.signed(test.name+", the first valid", header.append(quote(test.name), test.other), k.claims())
	}
	k.signed("a private one", k.header().append(`"x"`, "1").append(`"x"`, "1"), k.claims())
	k.signed("alg, one of them escaped", k.header().append(`"\u0061lg"`, k.header().value("alg")), k.claims())
}

func duplicatesInside(k *kit) {
	k.row = "duplicate member inside"
	for _, test := range []struct{ name, value string }{
		{"an object", `{"a":1,"a":1}`},
		{"an object of an object", `{"o":{"a":1,"a":1}}`},
		{"an array", `[1,{"a":1,"a":1}]`},
		{"an array of arrays", `[[[{"a":1,"a":2}]]]`},
		{"an object, one of them escaped", `{"a":1,"\u0061":1}`},
		{"six deep", `{"a":{"a":{"a":{"a":{"a":{"b":1,"b":1}}}}}}`},
	} {
		k.signed(test.name, k.header(), k.claims().append(`"x"`, test.value))
		k.signed(test.name+" in the header", k.header().append(`"x"`, test.value), k.claims())
	}
	k.signed("act", k.header(), k.claims().append(`"act"`, `{"sub":"a","sub":"b"}`))
}

// folded changes the case of names, which a parser that ignores case reads as the
// real ones, such as encoding/json with structs.
func folded(k *kit) {
	k.row = "folded name"
	for _, test := range []struct{ name, folded string }{
		{"iss", "ISS"},
		{"iss", "Iss"},
		{"iss", "iſſ"},
		{"sub", "SUB"},
		{"sub", "ſub"},
		{"aud", "AUD"},
		{"aud", "Aud"},
		{"exp", "EXP"},
		{"exp", "eXp"},
		{"client_id", "CLIENT_ID"},
		{"jti", "JTI"},
		{"iat", "Iat"},
	} {
		claims := k.claims()
		if claims.value(test.name) == "" {
			continue
		}
		if required := test.name != "client_id" && test.name != "jti" && test.name != "iat"; required || k.profiled() {
			k.signed(test.folded+" for "+test.name, k.header(), claims.rename(test.name, quote(test.folded)))
		}
		k.signed(test.folded+" beside "+test.name, k.header(), claims.append(quote(test.folded), claims.value(test.name)))
	}
	k.signed("Cnf", k.header(), k.claims().append(`"Cnf"`, `{"jkt":"x"}`))
	k.signed("NBF", k.header(), k.claims().append(`"NBF"`, "1"))
	k.signed("SCOPE", k.header(), k.claims().append(`"SCOPE"`, `"a"`))
	k.signed("ſcope", k.header(), k.claims().append(`"ſcope"`, `"a"`))

	k.row = "folded header parameter"
	for _, test := range []struct{ name, folded string }{
		{"alg", "ALG"}, {"alg", "Alg"}, {"kid", "KID"}, {"kid", "\u212aid"}, {"typ", "TYP"}, {"typ", "Typ"},
	} {
		header := k.header()
		k.signed(test.folded+" beside "+test.name, header.append(quote(test.folded), header.value(test.name)), k.claims())
		// A folded name is not the real one, even if that is optional.
		if test.name != "kid" || k.issuer.Secret.Len() == 0 {
			k.signed(test.folded+" for "+test.name, header.rename(test.name, quote(test.folded)), k.claims())
		}
	}
	k.signed("Crit", k.header().append(`"Crit"`, `["x"]`), k.claims())
	k.signed("JWK", k.header().append(`"JWK"`, k.issuer.attackerJWK().String()), k.claims())
}

// escaped writes names and values with JSON escapes, which does not change them,
// RFC 8259 section 8.3.
func escaped(k *kit) {
	k.row = "escaped"
	k.valid("name iss", k.header(), k.claims().rename("iss", `"\u0069ss"`))
	k.valid("name exp", k.header(), k.claims().rename("exp", `"\u0065\u0078\u0070"`))
	k.valid("name alg", k.header().rename("alg", `"\u0061lg"`), k.claims())
	k.valid("name kid", k.header().rename("kid", `"k\u0069d"`), k.claims())
	k.valid("solidus in iss", k.header(), k.claims().set("iss", strings.ReplaceAll(k.claims().value("iss"), "/", `\/`)))
	k.valid("letter in iss", k.header(), k.claims().set("iss", strings.Replace(k.claims().value("iss"), "h", `\u0068`, 1)))
	k.valid("letter in aud", k.header(), k.claims().set("aud", `"`+unicodeEscape(k.issuer.Audience)+`"`))
	k.valid("letter in typ", k.header().set("typ", `"`+unicodeEscape(k.issuer.config.Type)+`"`), k.claims())
	k.valid("pair of surrogates", k.header(), k.claims().append(`"x"`, `"\ud83d\ude00"`))
	k.valid("white space", k.header(), append(object{{"\n\t \"x\" ", " 1\r\n"}}, k.claims()...))
}

func unicodeEscape(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return b.String()
}

func trailing(k *kit) {
	k.row = "data after the JSON"
	for _, test := range []struct{ name, text string }{
		{"an object", "{}"},
		{"an object on the next line", "\n{}"},
		{"a bracket", "}"},
		{"a comma", ","},
		{"a NUL", "\x00"},
		{"a letter", "x"},
		{"the claims again", k.claims().String()},
	} {
		k.signedText(test.name, k.header().String(), k.claims().String()+test.text)
		k.signedText(test.name+", header", k.header().String()+test.text, k.claims().String())
	}
	k.signedText("an object before", k.header().String(), "{}"+k.claims().String())
	k.signedText("an object before, header", "{}"+k.header().String(), k.claims().String())
}

// shapes has other JSON than an object.
func shapes(k *kit) {
	k.row = "JSON of another type"
	claims, header := k.claims().String(), k.header().String()
	for _, text := range []string{"null", "[]", `"x"`, "1", "true", "{}", "", " ", "x", "{", "[" + "%s" + "]", "%q"} {
		payload, name := text, text
		if strings.Contains(text, "%") {
			payload = fmt.Sprintf(text, claims)
			name = fmt.Sprintf(text, "…")
		}
		k.signedText(fmt.Sprintf("payload %s", name), header, payload)
		payload = text
		if strings.Contains(text, "%") {
			payload = fmt.Sprintf(text, header)
		}
		k.signedText(fmt.Sprintf("header %s", name), payload, claims)
	}
	for _, test := range []struct {
		name   string
		change func(string) string
	}{
		{"BOM", func(s string) string { return "\ufeff" + s }},
		{"UTF-16", inUTF16},
		{"a comma at the end", func(s string) string { return s[:len(s)-1] + ",}" }},
		{"a comment", func(s string) string { return "{/**/" + s[1:] }},
		{"single quotes", func(s string) string { return strings.ReplaceAll(s, `"`, "'") }},
		{"no quotes around a name", func(s string) string { return strings.Replace(s, `"`+firstName(s)+`"`, firstName(s), 1) }},
		{"a vertical tab", func(s string) string { return "\v" + s }},
		{"a no-break space", func(s string) string { return "\u00a0" + s }},
		{"a tab in a string", func(s string) string { return s[:len(s)-1] + ",\"x\":\"\t\"}" }},
		{"a line break in a string", func(s string) string { return s[:len(s)-1] + ",\"x\":\"\n\"}" }},
		{"an unknown escape", func(s string) string { return s[:len(s)-1] + `,"x":"\q"}` }},
		{"half an escape", func(s string) string { return s[:len(s)-1] + `,"x":"\u00"}` }},
		{"a missing colon", func(s string) string { return s[:len(s)-1] + `,"x" 1}` }},
		{"a name without a value", func(s string) string { return s[:len(s)-1] + `,"x"}` }},
		{"cut", func(s string) string { return s[:len(s)-1] }},
	} {
		k.signedText("payload with "+test.name, header, test.change(claims))
		k.signedText("header with "+test.name, test.change(header), claims)
	}
}

func firstName(object string) string {
	_, rest, _ := strings.Cut(object, `"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func inUTF16(s string) string {
	b := []byte{0xfe, 0xff}
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit>>8), byte(unit))
	}
	return string(b)
}
