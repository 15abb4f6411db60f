// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package enginetest

import (
	"errors"
	"os"
	"syscall"
)

const (
	kill = iota
	freeze
	thaw
)

const supported = false

type account struct{}

func unprivileged(...string) (account, error) {
	return account{}, errors.New("this operating system is not supported")
}

func (account) own(string) error { return nil }

func (account) attributes() *syscall.SysProcAttr { return nil }

func family(pid, signal int) {
	if p, err := os.FindProcess(pid); err == nil && signal == kill {
		_ = p.Kill()
	}
}
