// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/gatehouse-go/gatehouse/audit"
)

// openTrail opens the audit log of this node. Its name in the checkpoints is that of
// the public origin.
func (c *config) openTrail() (*audit.Log, error) {
	if c.Audit.Path == "" {
		return nil, errors.New("audit.path: required")
	}
	if !strings.HasPrefix(c.Audit.SigningKey, "file:") {
		return nil, errors.New("audit.signing_key: must be file:PATH")
	}
	key, err := audit.LoadKey(c.Audit.SigningKey)
	if err != nil {
		return nil, fmt.Errorf("audit.signing_key: %w", err)
	}
	_, host, _ := strings.Cut(c.PublicOrigin, "://")
	trail, err := audit.Open(audit.Config{Path: c.Audit.Path, Origin: host + "/audit", Key: key, MaxBytes: math.MaxInt64})
	if err != nil {
		return nil, renameAll(err, "audit: Config.Path", "audit.path", "audit: Config.Origin", "public_origin")
	}
	return trail, nil
}

// verifyTrail writes the number of records of a log without a change. The error names the
// first record that was changed, counted from 1.
func verifyTrail(path, keyFile string, stdout io.Writer) error {
	key, err := audit.ReadPublicKey(keyFile)
	if err != nil {
		return err
	}
	report, err := audit.Verify(path, key)
	if fault, ok := errors.AsType[*audit.Fault](err); ok {
		return fmt.Errorf("record %d is %s", fault.First+1, problem(fault))
	}
	if err != nil {
		return err
	}
	switch torn, err := endsTorn(path); {
	case err != nil:
		return err
	case report.Records > report.Signed:
		return fmt.Errorf("record %d is %s: no checkpoint signs it", report.Signed+1, audit.Inserted)
	case torn:
		return fmt.Errorf("record %d is %s: an incomplete line", report.Records+1, audit.Inserted)
	}
	_, err = fmt.Fprintf(stdout, "%d records\n", report.Records)
	return err
}

func problem(fault *audit.Fault) string {
	text := string(fault.Problem)
	if fault.Problem == audit.Rewritten {
		text = fmt.Sprintf("the first that may be changed, record %d the last: the hashes were changed with them", fault.Last+1)
	}
	if fault.Cause != nil {
		text += ": " + fault.Cause.Error()
	}
	return text
}

// endsTorn reports whether a file ends without a line break.
func endsTorn(path string) (bool, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	last := make([]byte, 1)
	_, err = file.ReadAt(last, info.Size()-1)
	return last[0] != '\n', err
}
