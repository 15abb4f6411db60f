// SPDX-License-Identifier: Apache-2.0

//go:build unix && !solaris && !aix

package audit

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of a log. The operating system releases it when the process ends or
// is killed.
func lock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.New("another process has opened the log: each process needs its own Path")
	}
	return err
}

// isOpen reports whether a process has opened the log for writing.
func isOpen(file *os.File) bool {
	fd := int(file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return errors.Is(err, syscall.EWOULDBLOCK)
	}
	_ = syscall.Flock(fd, syscall.LOCK_UN)
	return false
}
