// SPDX-License-Identifier: Apache-2.0

//go:build unix

package mtls_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/gatehouse-go/gatehouse/mtls"
)

// While one request waits for the file, others are checked with the previous roots.
func TestRequestsDoNotWaitForRoots(t *testing.T) {
	roots, file := rootsOf(t, root)
	a := must(mtls.New(mtls.Config{Subjects: subjects, Roots: roots}))
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	roots.Reread()
	waiting := make(chan error, 1)
	go func() {
		_, err := a.Authenticate(overTLS(client))
		waiting <- err
	}()
	pipe := must(os.OpenFile(file, os.O_WRONLY, 0)) // waits until the request reads
	_, err := a.Authenticate(overTLS(client))
	equal(t, "error while another request reads", err, nil)
	equal(t, "the other request has ended", len(waiting), 0)
	_, err = pipe.Write(pemOf(root))
	equal(t, "error of Write", err, nil)
	equal(t, "error of Close", pipe.Close(), nil)
	equal(t, "error of the other request", <-waiting, nil)
}
