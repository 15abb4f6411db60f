// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// A signature in ASN.1 is the one that encoding/asn1 makes, for each length and each
// form of the two numbers.
func TestAppendASN1(t *testing.T) {
	numbers := func(size int) [][]byte {
		all := [][]byte{make([]byte, size), bytes.Repeat([]byte{0xff}, size), bytes.Repeat([]byte{1}, size)}
		for _, first := range []byte{0x01, 0x7f, 0x80} {
			for zeros := range size {
				n := make([]byte, size)
				n[zeros] = first
				all = append(all, n)
			}
		}
		return all
	}
	for _, size := range []int{32, 48, 66} {
		for _, r := range numbers(size) {
			for _, s := range numbers(size) {
				want := must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)}))
				if got := jose.AppendASN1(nil, append(bytes.Clone(r), s...)); !bytes.Equal(got, want) {
					t.Fatalf("AppendASN1(%x, %x) = %x, want %x", r, s, got, want)
				}
			}
		}
	}
}
