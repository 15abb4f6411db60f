// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse-go/gatehouse/audit"
)

// Each record of logs of every size is proven, and the hash files are those that
// package tlog expects.
func TestProve(t *testing.T) {
	for size := range 20 {
		path := written(t, size)
		report := verify(t, path, int64(size+1))
		root, err := audit.Root(int64(size+1), read(t, path+".hashes"))
		if err != nil || !bytes.Contains(report.Checkpoint, []byte("\n"+root.String()+"\n")) {
			t.Errorf("checkpoint of %d records = %q, %v, want the root %s", size+1, report.Checkpoint, err, root)
		}
		for n := range int64(size + 1) {
			proof, err := audit.Prove(path, logKey.Public(), n)
			if err != nil {
				t.Fatalf("Prove(%d) error = %v, want nil", n, err)
			}
			record := must(audit.Record(path, n))
			got, gotOrigin, err := audit.CheckProof(proof, record, logKey.Public())
			if err != nil || got != n || gotOrigin != origin {
				t.Errorf("CheckProof(%d of %d) = %d, %q, %v, want %d, %q, nil", n, size+1, got, gotOrigin, err, n, origin)
			}
			record[5] ^= 1
			if _, _, err := audit.CheckProof(proof, record, logKey.Public()); err == nil {
				t.Errorf("CheckProof(%d of %d) of a changed record error = nil, want one", n, size+1)
			}
		}
		for _, n := range []int64{-1, int64(size + 1)} {
			if _, err := audit.Prove(path, logKey.Public(), n); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the last checkpoint signs %d records", size+1)) {
				t.Errorf("Prove(%d of %d) error = %v, want one with the number of records", n, size+1, err)
			}
		}
	}
}

func TestProveRefuses(t *testing.T) {
	path := written(t, 6)
	if _, err := audit.Prove("none", logKey.Public(), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Prove() of no log error = %v, want %v", err, os.ErrNotExist)
	}
	if _, err := audit.Prove(path, ecKey.Public(), 0); err == nil || !strings.Contains(err.Error(), "no signature by this key") {
		t.Errorf("Prove() with another key error = %v, want that of the signature", err)
	}
	write(t, path+".hashes", read(t, path+".hashes")[:32])
	if proof, err := audit.Prove(path, logKey.Public(), 0); err == nil {
		t.Errorf("Prove() without hashes = %s, nil, want an error", proof)
	}
	if err := os.Remove(path + ".hashes"); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Prove(path, logKey.Public(), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Prove() without the file of hashes error = %v, want %v", err, os.ErrNotExist)
	}
	// What is no checkpoint, and one without an empty line in it.
	for text, want := range map[string]string{"x\n\n": "", "a\n— b\n\n": "a\n— b\n"} {
		write(t, path+".checkpoints", []byte(text))
		if last, err := audit.LastCheckpoint(path); string(last) != want || (err == nil) != (want != "") {
			t.Errorf("LastCheckpoint() of %q = %q, %v, want %q", text, last, err, want)
		}
	}
}

func TestCheckProofRefuses(t *testing.T) {
	path := written(t, 6)
	proof, record := must(audit.Prove(path, logKey.Public(), 2)), must(audit.Record(path, 2))
	replace := func(old, new string) []byte { return bytes.Replace(proof, []byte(old), []byte(new), 1) }
	for name, test := range map[string]struct {
		proof []byte
		key   crypto.PublicKey
		ok    bool
	}{
		"as it is":              {proof, logKey.Public(), true},
		"with extra data":       {replace("index", "extra AAAA\nindex"), logKey.Public(), true},
		"longest":               {replace("index", "extra "+strings.Repeat("A", 64<<10-len(proof)-len("extra \n"))+"\nindex"), logKey.Public(), true},
		"a byte more":           {replace("index", "extra "+strings.Repeat("A", 64<<10-len(proof)-len("extra"))+"\nindex"), logKey.Public(), false},
		"space in front of it":  {replace("index", " extra AAAA\nindex"), logKey.Public(), false},
		"index without name":    {replace("index 2", "2"), logKey.Public(), false},
		"only the header":       {[]byte("c2sp.org/tlog-proof@v1\n\n"), logKey.Public(), false},
		"with extra data twice": {replace("index", "extra AAAA\nextra AAAA\nindex"), logKey.Public(), false},
		"another signature":     {append(bytes.Clone(proof), "— witness AAAAAAA=\n"...), logKey.Public(), true},
		"a malleable one":       {append(bytes.Clone(proof), "— witness AAAAAAB=\n"...), logKey.Public(), false},
		"another key":           {proof, ecKey.Public(), false},
		"no key":                {proof, nil, false},
		"empty":                 {nil, logKey.Public(), false},
		"another version":       {replace("@v1", "@v2"), logKey.Public(), false},
		"another index":         {replace("index 2", "index 3"), logKey.Public(), false},
		"index with zero":       {replace("index 2", "index 02"), logKey.Public(), false},
		"negative index":        {replace("index 2", "index -2"), logKey.Public(), false},
		"index behind the tree": {replace("index 2", "index 7"), logKey.Public(), false},
		"no index":              {replace("index 2\n", ""), logKey.Public(), false},
		"only extra data":       {[]byte("c2sp.org/tlog-proof@v1\nextra AAAA\n\n"), logKey.Public(), false},
		"a hash more":           {replace("index 2\n", "index 2\n"+strings.Repeat("A", 43)+"=\n"), logKey.Public(), false},
		"malformed hash":        {replace("index 2\n", "index 2\nAAAA\n"), logKey.Public(), false},
		"size":                  {replace("\n7\n", "\n8\n"), logKey.Public(), false},
		"extension line":        {replace("\n\n—", "\nextension\n\n—"), logKey.Public(), false},
		"64 KiB of extra data":  {replace("index", "extra "+strings.Repeat("A", 64<<10)+"\nindex"), logKey.Public(), false},
		"a malleable signature": {slices.Concat(proof[:len(proof)-3], []byte{proof[len(proof)-3] + 1}, proof[len(proof)-2:]), logKey.Public(), false},
	} {
		if _, _, err := audit.CheckProof(test.proof, record, test.key); (err == nil) != test.ok {
			t.Errorf("%s: CheckProof() error = %v, want accepted: %t", name, err, test.ok)
		}
	}
}

func FuzzCheckProof(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n" + origin + "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— x AAAA\n"))
	f.Fuzz(func(t *testing.T, proof []byte) {
		// Only the holder of the key can make a proof.
		if n, _, err := audit.CheckProof(proof, []byte("record"), logKey.Public()); err == nil {
			t.Errorf("CheckProof(%q) = %d, nil, want an error", proof, n)
		}
	})
}

// A log of random growth is cosigned by a witness that follows the specification
// and uses the verifier of package tlog; one that was rewritten is not.
func TestWitness(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&witnessServer{key: private, name: "witness.example.com/w1", log: logKey.Public().(ed25519.PublicKey)})
	defer server.Close()
	w := audit.Witness{URL: server.URL, Name: "witness.example.com/w1", Key: public}

	path := newPath(t)
	var cosigned [][]byte
	for range 5 {
		l := open(t, audit.Config{Path: path})
		observe(t, l, rand.IntN(9))
		shut(t, l)
		point, err := w.Cosign(t.Context(), path, logKey.Public())
		if err != nil || bytes.Count(point, []byte("— ")) != 2 {
			t.Fatalf("Cosign() = %q, %v, want two signatures", point, err)
		}
		cosigned = append(cosigned, point)
	}
	if again, err := w.Cosign(t.Context(), path, logKey.Public()); err != nil {
		t.Errorf("Cosign() of the same checkpoint = %q, %v, want nil", again, err)
	}
	if _, err := audit.Verify(path, logKey.Public(), cosigned...); err != nil {
		t.Errorf("Verify() with the cosigned checkpoints error = %v, want nil", err)
	}
	moved := httptest.NewServer(http.RedirectHandler(server.URL+"/add-checkpoint", http.StatusTemporaryRedirect))
	defer moved.Close()
	for name, wrong := range map[string]struct {
		witness audit.Witness
		path    string
	}{
		"another log":   {w, written(t, 60)},
		"a shorter log": {w, written(t, 0)},
		"another key":   {audit.Witness{URL: server.URL, Name: w.Name, Key: logKey.Public().(ed25519.PublicKey)}, path},
		"a redirect":    {audit.Witness{URL: moved.URL, Name: w.Name, Key: public}, path},
		"plain http":    {audit.Witness{URL: "http://witness.example.com", Name: w.Name, Key: public}, path},
		"no name":       {audit.Witness{URL: server.URL, Key: public}, path},
		"no key":        {audit.Witness{URL: server.URL, Name: w.Name}, path},
	} {
		if point, err := wrong.witness.Cosign(t.Context(), wrong.path, logKey.Public()); err == nil {
			t.Errorf("%s: Cosign() = %q, nil, want an error", name, point)
		}
	}
}

// witnessServer is a witness as C2SP tlog-witness describes it.
type witnessServer struct {
	name string
	key  ed25519.PrivateKey
	log  ed25519.PublicKey
	size int64
	root tlog.Hash
}

func (s *witnessServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	head, text, _ := strings.Cut(string(body), "\n\n")
	proofLines := strings.Split(head, "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(proofLines[0], "old "), 10, 64)
	vkey, vkeyErr := note.NewEd25519VerifierKey(origin, s.log)
	verifier, verifierErr := note.NewVerifier(vkey)
	if r.URL.Path != "/add-checkpoint" || r.Method != http.MethodPost || err != nil || vkeyErr != nil || verifierErr != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	lines := strings.Split(n.Text, "\n")
	size, _ := strconv.ParseInt(lines[1], 10, 64)
	root, _ := tlog.ParseHash(lines[2])
	var proof tlog.TreeProof
	for _, line := range proofLines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		proof = append(proof, hash)
	}
	switch {
	case old > size:
		w.WriteHeader(http.StatusBadRequest)
		return
	case old != s.size, old == size && root != s.root:
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, "%d\n", s.size)
		return
	case old > 0 && old < size && tlog.CheckTree(proof, size, root, old, s.root) != nil:
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.size, s.root = size, root
	const now = 1_790_000_000
	signature := binary.BigEndian.AppendUint64(nil, now)
	signature = append(signature, ed25519.Sign(s.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", now, n.Text))...)
	id := sha256.Sum256(append([]byte(s.name+"\n\x04"), s.key.Public().(ed25519.PublicKey)...))
	_, _ = fmt.Fprintf(w, "— %s %s\n", s.name, base64.StdEncoding.EncodeToString(append(id[:4], signature...)))
}
