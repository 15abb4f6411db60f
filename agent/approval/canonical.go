// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// limits of the arguments of a call.
var limits = strictjson.Limits{Depth: 32, Members: 1 << 17}

// ErrNumber is the error of [Canonical] for a number that another parser may read
// as a different one.
var ErrNumber = errors.New("approval: number is not exact as a double: use a string, or fewer digits")

// Canonical returns a JSON object in the canonical form of RFC 8785: two objects with the
// same meaning have the same text.
//
// It rejects text that parsers read differently: duplicate member names, even if they
// differ in case; invalid UTF-8; lone surrogates; text after the object; and numbers that
// are not exact as IEEE 754 doubles, which are integers beyond ±(2^53-1), numbers with
// more digits than a double has, underflow and -0. The object may be nested 32 deep and
// have 131,072 members and elements in total.
//
// Implements RFC 8785 §3.1 (I-JSON), §3.2.1, §3.2.2 (strings), §3.2.2 (numbers),
// §3.2.3 (sort), §3.2.4.
func Canonical(object []byte) (string, error) {
	s := string(object)
	if err := strictjson.Object(s, limits, nil); err != nil {
		return "", err
	}
	// The text is valid and unambiguous, so encoding/json reads it correctly.
	decoder := json.NewDecoder(strings.NewReader(s))
	decoder.UseNumber()
	var value any
	_ = decoder.Decode(&value)
	canonical, err := appendValue(make([]byte, 0, len(object)), value)
	return string(canonical), err
}

func appendValue(b []byte, value any) ([]byte, error) {
	var err error
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case json.Number:
		return appendNumber(b, string(v))
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, element); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	members := value.(map[string]any)
	b = append(b, '{')
	for i, name := range slices.SortedFunc(maps.Keys(members), compareUTF16) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		if b, err = appendValue(b, members[name]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// compareUTF16 orders names by UTF-16 code units, which differs from the order of UTF-8.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			return slices.Compare(utf16.AppendRune(nil, x), utf16.AppendRune(nil, y))
		}
		a, b = a[n:], b[m:]
	}
	return len(a) - len(b)
}

// appendString appends a string as RFC 8785 §3.2.2.2 writes it.
func appendString(b []byte, s string) []byte {
	const short, digits = "btn\x00fr", "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= '\b' && c <= '\r' && c != '\v':
			b = append(b, '\\', short[c-'\b'])
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// appendNumber appends a number as ECMAScript writes it.
func appendNumber(b []byte, literal string) ([]byte, error) {
	f, _ := strconv.ParseFloat(literal, 64) // infinite after an overflow
	if math.Abs(f) > 1<<53-1 || f == 0 && math.Signbit(f) {
		return nil, ErrNumber
	}
	format := byte('f')
	if f != 0 && math.Abs(f) < 1e-6 {
		format = 'e'
	}
	text := strconv.FormatFloat(f, format, -1, 64)
	text = strings.Replace(text, "e-0", "e-", 1) // e-09 is e-9 in ECMAScript
	if decimalOf(text) != decimalOf(literal) {
		return nil, ErrNumber
	}
	return append(b, text...), nil
}

// decimal is a number in unique form: its digits, and the power of ten of the last digit.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

func decimalOf(literal string) decimal {
	var d decimal
	literal, d.negative = strings.CutPrefix(literal, "-")
	mantissa, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent, _ = strconv.Atoi(exponent) // out of range: an overflow, or 0
	d.exponent -= len(fraction)
	d.digits = strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(d.digits, "0")
	d.exponent += len(d.digits) - len(trimmed)
	if d.digits = trimmed; d.digits == "" {
		d.exponent = 0
	}
	return d
}
