// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// Witness is a server of the protocol C2SP tlog-witness, on a machine that the writer
// of the log does not control. It signs a checkpoint only if the log still contains all
// records that the witness has signed before.
type Witness struct {
	// URL is the submission prefix of the witness, to which "/add-checkpoint" is
	// appended: https; plain http for loopback addresses only.
	URL string
	// Name and Key are the name and the Ed25519 public key of the witness.
	Name string
	Key  ed25519.PublicKey
	// Transport makes the requests: [http.DefaultTransport] by default.
	Transport http.RoundTripper
}

const witnessTimeout = 10 * time.Second

// Cosign has the witness sign the last checkpoint of a log, and returns the
// checkpoint with both signatures, for Verify. key is the public key of the log,
// which the witness must know. Call it at intervals, from any process that can
// read the log. It takes at most 10 s.
func (w Witness) Cosign(ctx context.Context, path string, key crypto.PublicKey) ([]byte, error) {
	cosigned, err := w.cosign(ctx, path, key)
	if err != nil {
		return nil, fmt.Errorf("audit: witness %s: %w", w.Name, err)
	}
	return cosigned, nil
}

func (w Witness) cosign(ctx context.Context, path string, key crypto.PublicKey) ([]byte, error) {
	if _, err := safeurl.Parse(w.URL); err != nil {
		return nil, fmt.Errorf("URL: %w", err)
	}
	if len(w.Key) != ed25519.PublicKeySize || !isOrigin(w.Name) {
		return nil, errors.New("Name and an Ed25519 Key are required")
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTimeout)
	defer cancel()
	last, err := LastCheckpoint(path)
	if err != nil {
		return nil, err
	}
	point, err := openCheckpoint(last, key)
	if err != nil {
		return nil, err
	}
	file, err := openFile(path + hashesSuffix)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	// The witness answers 409 with the size that it has signed before.
	status, body, err := w.add(ctx, hashes{file}, &point, 0)
	if err == nil && status == http.StatusConflict {
		old, parseErr := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
		if parseErr != nil || old <= 0 || old > point.N {
			return nil, fmt.Errorf("it has signed %q records and the log has %d: the log was cut or the witness knows another log of this origin", body, point.N)
		}
		status, body, err = w.add(ctx, hashes{file}, &point, old)
	}
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusUnprocessableEntity, status == http.StatusConflict:
		return nil, fmt.Errorf("HTTP status %d: the log does not contain what the witness has signed before", status)
	case status != http.StatusOK:
		return nil, fmt.Errorf("HTTP status %d", status)
	}
	// C2SP tlog-witness: "The client MUST ignore any cosignatures from unknown
	// keys."
	cosigned := append(bytes.Clone(point.text), body...)
	if _, err := note.Open(cosigned, note.VerifierList(cosigner{w.Name, w.Key})); err != nil {
		return nil, errors.New("the response has no valid signature of the witness")
	}
	return cosigned, nil
}

// add submits a checkpoint with the proof that it continues the first old
// records.
func (w Witness) add(ctx context.Context, h hashes, point *checkpoint, old int64) (status int, body []byte, err error) {
	request := fmt.Appendf(nil, "old %d\n", old)
	if old > 0 {
		proof, err := tlog.ProveTree(point.N, old, h)
		if err != nil {
			return 0, nil, err
		}
		for _, hash := range proof {
			request = append(base64.StdEncoding.AppendEncode(request, hash[:]), '\n')
		}
	}
	request = append(append(request, '\n'), point.text...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(w.URL, "/")+"/add-checkpoint", bytes.NewReader(request))
	if err != nil {
		return 0, nil, err
	}
	client := http.Client{Transport: w.Transport, CheckRedirect: fetch.NoRedirect}
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxCheckpoint))
	return response.StatusCode, body, err
}

// cosigner verifies Ed25519 cosignatures of C2SP tlog-cosignature.
type cosigner struct {
	name string
	key  ed25519.PublicKey
}

const typeCosignature = 0x04

func (c cosigner) Name() string { return c.name }

func (c cosigner) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(c.name+"\n"), append([]byte{typeCosignature}, c.key...)...))
	return binary.BigEndian.Uint32(sum[:4])
}

func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(c.key, signed, signature[8:])
}
