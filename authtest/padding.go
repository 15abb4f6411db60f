// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // registers crypto.SHA1
	"encoding/binary"
	"math/big"
	"slices"
)

// digestPrefixes are the DER of DigestInfo up to the digest, RFC 8017 section
// 9.2 note 1.
var digestPrefixes = map[crypto.Hash][]byte{
	crypto.SHA1:   {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14},
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	crypto.SHA384: {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

func digestInfo(hash crypto.Hash, sum []byte) []byte {
	return append(bytes.Clone(digestPrefixes[hash]), sum...)
}

// padPKCS1 is EMSA-PKCS1-v1_5, RFC 8017 section 9.2: 00 01 FF…FF 00 T.
func padPKCS1(size int, t []byte) []byte {
	em := bytes.Repeat([]byte{0xff}, size)
	em[0], em[1], em[size-len(t)-1] = 0, 1, 0
	copy(em[size-len(t):], t)
	return em
}

// paddings are wrong forms of EMSA-PKCS1-v1_5.
var paddings = []struct {
	name string
	make func(size int, hash crypto.Hash, sum []byte) []byte
}{
	{"short, with zeros after", func(size int, hash crypto.Hash, sum []byte) []byte {
		em := make([]byte, size)
		copy(em, padPKCS1(11+len(digestInfo(hash, sum)), digestInfo(hash, sum)))
		return em
	}},
	{"short, with noise after", func(size int, hash crypto.Hash, sum []byte) []byte {
		em := bytes.Repeat([]byte{0x5a}, size)
		copy(em, padPKCS1(11+len(digestInfo(hash, sum)), digestInfo(hash, sum)))
		return em
	}},
	{"none, with noise after", func(size int, hash crypto.Hash, sum []byte) []byte {
		em := bytes.Repeat([]byte{0x5a}, size)
		copy(em, padPKCS1(3+len(digestInfo(hash, sum)), digestInfo(hash, sum)))
		return em
	}},
	{"one byte altered", func(size int, hash crypto.Hash, sum []byte) []byte {
		em := padPKCS1(size, digestInfo(hash, sum))
		em[20] = 0xfe
		return em
	}},
	{"block type 2", func(size int, hash crypto.Hash, sum []byte) []byte {
		em := padPKCS1(size, digestInfo(hash, sum))
		em[1] = 2
		return em
	}},
	{"block type 0", func(size int, hash crypto.Hash, sum []byte) []byte {
		t := digestInfo(hash, sum)
		return append(make([]byte, size-len(t)), t...)
	}},
	{"first byte 1", func(size int, hash crypto.Hash, sum []byte) []byte {
		em := padPKCS1(size, digestInfo(hash, sum))
		em[0] = 1
		return em
	}},
	{"without DigestInfo", func(size int, _ crypto.Hash, sum []byte) []byte { return padPKCS1(size, sum) }},
	{"without the NULL parameters", func(size int, hash crypto.Hash, sum []byte) []byte {
		t := digestInfo(hash, sum)
		null := bytes.Index(t, []byte{0x05, 0x00, 0x04})
		t = slices.Delete(t, null, null+2)
		t[1] -= 2
		t[3] -= 2
		return padPKCS1(size, t)
	}},
	{"noise as parameters", func(size int, hash crypto.Hash, sum []byte) []byte {
		t := digestInfo(hash, sum)
		null := bytes.Index(t, []byte{0x05, 0x00, 0x04})
		t = slices.Replace(t, null, null+2, 0x04, 0x04, 0x5a, 0x5a, 0x5a, 0x5a)
		t[1] += 4
		t[3] += 4
		return padPKCS1(size, t)
	}},
	{"BER length", func(size int, hash crypto.Hash, sum []byte) []byte {
		t := digestInfo(hash, sum)
		return padPKCS1(size, slices.Insert(t, 1, 0x81))
	}},
	{"a byte after the digest", func(size int, hash crypto.Hash, sum []byte) []byte {
		return padPKCS1(size, append(digestInfo(hash, sum), 0))
	}},
	{"digest named SHA-1", func(size int, _ crypto.Hash, sum []byte) []byte {
		return padPKCS1(size, digestInfo(crypto.SHA1, sum[:crypto.SHA1.Size()]))
	}},
}

// padPSS is EMSA-PSS, RFC 8017 section 9.1.1, with a mask of any hash and a salt of
// any length, also zero, which crypto/rsa does not offer.
func padPSS(hash, mask crypto.Hash, sum []byte, bits, saltLength int) []byte {
	size := (bits + 7) / 8
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt)
	h := digest(hash, string(make([]byte, 8))+string(sum)+string(salt))
	db := make([]byte, size-len(h)-1)
	db[len(db)-saltLength-1] = 1
	copy(db[len(db)-saltLength:], salt)
	for block := uint32(0); int(block)*mask.Size() < len(db); block++ {
		counter := binary.BigEndian.AppendUint32(nil, block)
		from := int(block) * mask.Size()
		for n, b := range digest(mask, string(h)+string(counter)) {
			if from+n < len(db) {
				db[from+n] ^= b
			}
		}
	}
	db[0] &= 0xff >> (8*size - bits)
	return slices.Concat(db, h, []byte{0xbc})
}

// rawRSA is RSASP1, RFC 8017 section 5.2.1: the private operation on em.
func rawRSA(private *rsa.PrivateKey, em []byte) []byte {
	m := new(big.Int).SetBytes(em)
	return m.Exp(m, private.D, private.N).FillBytes(make([]byte, private.Size()))
}
